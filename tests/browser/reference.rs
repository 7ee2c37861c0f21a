//! The reference of a document that nobody wrote for us: names with spaces, slashes and signs, variants, recursion, and
//! texts that try to run something in the reader's browser.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::guards::House;
use crate::visitor::Found;

const RIGHT: char = '\u{e014}';

/// What runs where a text is taken for markup: known payloads of other renderers.
const PAYLOADS: [&str; 4] = [
    "<img src=x onerror=window.hit=1>",
    "\"><script>window.hit=1</script>",
    "<svg/onload=window.hit=1>",
    "[press me](javascript:window.hit=1) <a href=javascript:window.hit=1>here</a>",
];

const TAGS: [&str; 4] = ["Orders / returns", "支付", "🚚 Lieferung", "a\"b'c<d>"];

fn document() -> Value {
    let mut paths = serde_json::Map::new();
    for (at, (payload, tag)) in PAYLOADS.iter().zip(TAGS).enumerate() {
        paths.insert(
            format!("/things-{at}/{{the id}}"),
            json!({ "get": {
                "operationId": format!("get {payload}"), "summary": format!("Read {payload}"), "description": payload, "tags": [tag],
                "externalDocs": { "url": "javascript:window.hit=1", "description": payload },
                "parameters": [{ "name": "the id", "in": "path", "required": true, "description": payload,
                    "schema": { "type": "string", "enum": [payload, "b"] }, "example": payload }],
                "responses": { "200": { "description": payload, "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Payment" }, "example": { "text": payload } } } } },
            } }),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": format!("Things {}", PAYLOADS[0]), "version": "1", "description": PAYLOADS.join("\n\n"),
            "termsOfService": "javascript:window.hit=1", "contact": { "url": "javascript:window.hit=1", "name": PAYLOADS[1] } },
        "servers": [{ "url": "javascript:window.hit=1", "description": PAYLOADS[2] }],
        "tags": TAGS.map(|tag| json!({ "name": tag, "description": PAYLOADS[1] })),
        "paths": paths,
        "components": { "schemas": {
            "Payment": { "type": "object", "properties": {
                "parent": { "$ref": "#/components/schemas/Payment" },
                "by": { "oneOf": [{ "$ref": "#/components/schemas/Card" }, { "$ref": "#/components/schemas/Transfer" },
                        { "$ref": "#/components/schemas/Cash" }],
                    "discriminator": { "propertyName": "kind", "mapping": { "card": "#/components/schemas/Card",
                        "transfer": "#/components/schemas/Transfer", "cash": "#/components/schemas/Cash" } } },
                "note": { "type": "string", "description": "The last field." } } },
            "Card": { "type": "object", "properties": { "kind": { "type": "string" }, "number": { "type": "string" } } },
            "Transfer": { "type": "object", "properties": { "kind": { "type": "string" }, "iban": { "type": "string" } } },
            "Cash": { "type": "object", "properties": { "kind": { "type": "string" }, "drawer": { "type": "string" } } },
        } },
    })
}

/// A platform with this document, and the pages of its reference.
fn published() -> (House, Vec<Found>) {
    let house = House::start(|settings| settings);
    let configuration = json!({
        "apis": [{ "name": "things", "base_path": "/things", "openapi": document(),
            "upstream": { "targets": [{ "url": "http://127.0.0.1:9" }] } }],
        "products": [{ "name": "things", "title": "Things", "apis": ["things"], "plans": [{ "name": "free", "title": "Free" }] }],
    });
    house.api().put("/config", configuration);
    let mut found = house.visitor().crawl(20);
    found.retain(|found| found.path.starts_with("/products/things/") && !found.page.html.is_empty());
    (house, found)
}

#[test]
fn nothing_that_a_document_says_runs_in_the_browser_of_a_reader() {
    let (house, found) = published();
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    let mut faults = Vec::new();
    for page in &found {
        let mut note = |fault: String| faults.push(format!("{}: {fault}", page.path));
        if page.status != 200 {
            note(format!("{} (linked from {})", page.status, page.from));
        }
        checks::document(&page.page).into_iter().for_each(&mut note);
        checks::anchors(&page.page).into_iter().for_each(&mut note);
        browser.go(&page.path);
        let ran = "return window.hit !== undefined || document.querySelector('main [onerror], main [onload], main img[src=x]') !== null";
        if browser.run(ran, vec![]) == json!(true) {
            note("something ran".to_owned());
        }
    }
    faults.extend(browser.noise());
    assert!(faults.is_empty(), "{faults:#?}");
    // Each name has a page, whatever it is written with.
    let text: String = found.iter().map(|found| found.page.main_text()).collect();
    for tag in TAGS {
        assert!(text.contains(tag), "{tag} is nowhere");
    }
    let of = |kind: &str| found.iter().filter(|found| found.path.contains(kind)).count();
    assert_eq!((of("/operations/"), of("/reference/")), (4, 4), "{found:#?}");
    assert!(of("/schemas/") >= 4);
    // The widest of them keep what every page keeps.
    for kind in ["/operations/", "/reference", "/schemas/"] {
        let page = found.iter().find(|found| found.path.contains(kind)).unwrap();
        browser.go(&page.path);
        let faults = checks::appearance(&browser);
        assert!(faults.is_empty(), "{}: {faults:#?}", page.path);
    }
}

#[test]
fn a_variant_is_chosen_with_the_arrow_keys_and_a_link_to_a_field_shows_it() {
    let (house, found) = published();
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    let operation = found.iter().find(|found| found.path.contains("/operations/")).unwrap();
    for name in ["card", "transfer", "cash"] {
        assert!(operation.page.main_text().contains(name), "{name} is not there");
    }
    browser.go(&operation.path);
    let open = "for (const one of document.querySelectorAll('main details')) one.open = true;\
        const radio = document.querySelector('main .schema [type=radio]'); radio.focus(); return radio.checked";
    assert_eq!(browser.run(open, vec![]), json!(true), "the first variant is not shown");
    browser.press(RIGHT);
    let shown = "const set = document.activeElement.closest('fieldset');\
        return [...set.children].filter((e) => e.localName === 'div' && e.getClientRects().length).map((e) => e.textContent).join()";
    let shown = browser.run(shown, vec![]).as_str().unwrap().to_owned();
    assert!(shown.contains("iban") && !shown.contains("number"), "{shown}");
    let ids = operation.page.ids();
    let note = ids.iter().find(|id| id.ends_with("note"));
    browser.go("about:blank");
    browser.go(&format!("{}#{}", operation.path, note.expect("no place for a field")));
    let seen = "const e = document.querySelector(':target'), box = e.getBoundingClientRect();\
        return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight && getComputedStyle(e).boxShadow !== 'none'";
    assert_eq!(browser.run(seen, vec![]), json!(true), "the field is not shown");
}
