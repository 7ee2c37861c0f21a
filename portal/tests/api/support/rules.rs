//! Documents with one fault, and the answer to each.

use domain::key::{ApiKey, Mode};
use serde_json::{Value, json};

use super::{Server, petstore};

/// A configuration that uses most of what there is.
pub(crate) fn sound() -> Value {
    let mut document = petstore();
    document["apis"][0]["upstream"]["auth"]["value_env"] = json!("PETSTORE_SECRET");
    document["apis"][0]["hosts"] = json!(["api.example.com"]);
    let pro = &mut document["products"][0]["plans"][1];
    pro["limits"] = json!([
        {"requests": 100, "per": "second", "operations": ["listPets"]},
        {"meter": "tokens", "per": "period"},
        {"requests": 50000, "per": "period", "overage": {"allow": "15%", "price": "prorated"}}
    ]);
    pro["price"]["usage"] = json!([{"meter": "tokens", "model": "unit", "unit": "0.002", "included": 100}]);
    document["accounts"] = json!([{"name": "globex", "email": "a@globex.example"}]);
    document["consumers"] = json!([{"name": "web", "account": "globex",
        "subscriptions": [{"product": "petstore", "plan": "pro"}],
        "credentials": [{"type": "api_key", "secret": ApiKey::new(Mode::Live, [4; 32]).reveal()}]}]);
    document
}

/// The sound configuration with one value replaced or added.
fn with(pointer: &str, value: &Value) -> Value {
    let mut document = sound();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(key.to_owned(), value.clone())),
        Some(Value::Array(items)) if key == "-" => items.push(value.clone()),
        Some(Value::Array(items)) => items[key.parse::<usize>().unwrap()] = value.clone(),
        other => panic!("{parent}: {other:?}"),
    }
    document
}

/// Each row: what is written where, the place of the fault, the reason, and the remedy.
pub(crate) type Row<'a> = (&'a str, Value, &'a str, &'a str, &'a str);

pub(crate) async fn refuses(rows: &[Row<'_>]) {
    let server = Server::start().await;
    for (pointer, value, at, reason, remedy) in rows {
        let reply = server.apply(with(pointer, value)).await;
        assert_eq!(reply.status, 400, "{pointer} = {value}: {}", reply.text);
        assert_eq!(reply.problem(), "request-invalid");
        let body = reply.json();
        let errors = body["errors"].as_array().unwrap();
        let fault = errors.iter().find(|fault| fault["pointer"] == **at);
        let detail = fault.and_then(|fault| fault["detail"].as_str());
        let detail = detail.unwrap_or_else(|| panic!("{pointer} = {value}: {at}: {body}"));
        let (told, way_out) = detail.split_once("; ").unwrap_or_default();
        assert!(
            told.contains(reason) && way_out.contains(remedy),
            "{at}: {reason}; {remedy}: {detail}"
        );
    }
    assert_eq!(
        server.get("/config").await.expect(200),
        json!({}),
        "nothing was written"
    );
}
