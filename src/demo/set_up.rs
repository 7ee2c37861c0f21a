//! Configures the platform over its Admin API, as anybody would.

use std::path::PathBuf;

use description::located;
use serde_json::{Value, json};

use crate::sample_api::{CONFIGURATION, DOCUMENT};

/// What the set-up starts from.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) gateway_url: String,
    pub(super) portal_url: String,
    pub(super) ops_url: String,
    pub(super) data_dir: PathBuf,
    pub(super) admin_token: String,
    pub(super) sample_url: String,
    pub(super) sample_secret: String,
}

/// A consumer with a key that was made now.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) consumer: String,
    pub(super) plan: &'static str,
    pub(super) key: String,
    pub(super) test_key: String,
}

/// What the demo shows.
#[derive(Debug)]
pub(super) struct SetUp {
    pub(super) facts: Facts,
    pub(super) callers: Vec<Caller>,
    /// The organisation of the developer's login.
    pub(super) organisation: Option<String>,
}

const CALLERS: [(&str, &str, &str); 3] = [
    ("Birch Software", "birch-website", "free"),
    ("Acme Logistics", "acme-backend", "pro"),
    ("Delta Analytics", "delta-pipeline", "scale"),
];

/// The account whose owner may log in.
const DEVELOPERS: &str = "Acme Logistics";

struct Api {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

impl Api {
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}/api/v1{path}", self.base);
        let failed = |error: ureq::Error| format!("{method} {path}: {error}");
        let mut response = match method {
            "GET" => self.agent.get(&url).header("authorization", &self.authorization).call(),
            "PUT" => self
                .agent
                .put(&url)
                .header("authorization", &self.authorization)
                .send_json(body),
            _ => self
                .agent
                .post(&url)
                .header("authorization", &self.authorization)
                .send_json(body),
        }
        .map_err(failed)?;
        let status = response.status();
        let text = response.body_mut().read_to_string().map_err(failed)?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {text}"));
        }
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        }
    }

    fn find(&self, path: &str, name: &str) -> Result<Option<String>, String> {
        let list = self.call("GET", path, &Value::Null)?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items
            .filter(|item| item["name"] == name)
            .find_map(|item| item["id"].as_str().map(str::to_owned)))
    }
}

fn id(value: &Value) -> Result<String, String> {
    value["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("an answer without an id: {value}"))
}

fn parse(text: &str) -> Result<Value, String> {
    let document = located::parse_one(text.as_bytes(), &located::Limits::CONFIGURATION);
    document
        .map(located::Document::into_value)
        .map_err(|error| error.to_string())
}

fn configuration(facts: &Facts) -> Result<Value, String> {
    let mut config = parse(CONFIGURATION)?;
    let api = &mut config["apis"][0];
    api["openapi"] = parse(DOCUMENT)?;
    let target = json!([{ "url": facts.sample_url }]);
    api["upstream"]["targets"] = target.clone();
    api["upstream"]["sandbox"] = target;
    api["upstream"]["auth"]["value"] = json!(facts.sample_secret);
    Ok(config)
}

/// Configures the platform and makes one caller for each plan.
///
/// # Errors
/// What the Admin API answered, for people.
pub(super) fn run(facts: Facts) -> Result<SetUp, String> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let authorization = format!("Bearer {}", facts.admin_token);
    let api = Api {
        agent,
        base: facts.portal_url.clone(),
        authorization,
    };
    api.call("PUT", "/config", &configuration(&facts)?)?;
    let callers = CALLERS
        .iter()
        .map(|caller| make(&api, *caller))
        .collect::<Result<_, _>>()?;
    let organisation = api.find("/accounts?limit=1000", DEVELOPERS)?;
    Ok(SetUp {
        facts,
        callers,
        organisation,
    })
}

fn make(api: &Api, (account, consumer, plan): (&str, &str, &'static str)) -> Result<Caller, String> {
    let account_id = if let Some(id) = api.find("/accounts?limit=1000", account)? {
        id
    } else {
        let email = format!("billing@{}.example", consumer.split('-').next().unwrap_or(consumer));
        let new = json!({ "name": account, "email": email, "currency": "USD" });
        id(&api.call("POST", "/accounts", &new)?)?
    };
    let consumer_id = if let Some(id) = api.find("/consumers?limit=1000", consumer)? {
        id
    } else {
        let new = json!({ "account_id": account_id, "name": consumer });
        let new = id(&api.call("POST", "/consumers", &new)?)?;
        subscribe(api, &new, plan)?;
        new
    };
    let secret = |mode: &str| {
        let path = format!("/consumers/{consumer_id}/credentials");
        let made = api.call(
            "POST",
            &path,
            &json!({ "type": "api_key", "name": format!("demo {mode}"), "mode": mode }),
        )?;
        made["secret"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "a credential without its secret".to_owned())
    };
    let (key, test_key) = (secret("live")?, secret("test")?);
    Ok(Caller {
        consumer: consumer.to_owned(),
        plan,
        key,
        test_key,
    })
}

fn subscribe(api: &Api, consumer: &str, plan: &str) -> Result<(), String> {
    let body = json!({ "consumer_id": consumer, "product": "worldtime", "plan": plan });
    let made = api.call("POST", "/subscriptions", &body)?;
    if made["status"] == "pending_approval" {
        api.call("POST", &format!("/subscriptions/{}/approve", id(&made)?), &json!({}))?;
    }
    Ok(())
}
