//! What the demo prints.

use serde_json::json;

use super::set_up::SetUp;
use crate::serve::Login;

/// Prints addresses, logins, tokens, keys and a curl line: as text, or as one JSON object.
pub(super) fn tell(set_up: &SetUp, logins: &[Login], as_json: bool) {
    if as_json {
        println!("{}", object(set_up, logins));
    } else {
        println!("{}", text(set_up, logins));
    }
}

fn curl(set_up: &SetUp) -> String {
    let key = set_up.callers.first().map_or("", |caller| caller.key.as_str());
    format!(
        "curl -s -H 'Authorization: Bearer {key}' '{}/worldtime/time?zone=Asia/Kathmandu'",
        set_up.facts.gateway_url
    )
}

fn object(set_up: &SetUp, logins: &[Login]) -> serde_json::Value {
    let facts = &set_up.facts;
    json!({
        "gateway": facts.gateway_url,
        "portal": facts.portal_url,
        "api": format!("{}/api/v1", facts.portal_url),
        "ops": facts.ops_url,
        "sample_api": facts.sample_url,
        "data_dir": facts.data_dir,
        "admin_token": facts.admin_token,
        "key": set_up.callers.first().map(|caller| caller.key.as_str()),
        "curl": curl(set_up),
        "consumers": set_up.callers.iter().map(|caller| json!({
            "name": caller.consumer, "plan": caller.plan, "key": caller.key, "test_key": caller.test_key,
        })).collect::<Vec<_>>(),
        "logins": logins.iter().map(|login| json!({
            "role": login.role, "email": login.email, "password": login.password,
        })).collect::<Vec<_>>(),
    })
}

fn text(set_up: &SetUp, logins: &[Login]) -> String {
    let facts = &set_up.facts;
    let mut lines = vec![
        "Tollgate is running.".to_owned(),
        String::new(),
        format!("  Gateway     {}/worldtime", facts.gateway_url),
        format!("  Portal      {}/", facts.portal_url),
        format!(
            "  Admin API   {}/api/v1   (docs: {}/api/docs)",
            facts.portal_url, facts.portal_url
        ),
        format!("  Metrics     {}/metrics", facts.ops_url),
        format!("  Sample API  {}   (answers the gateway alone)", facts.sample_url),
        format!("  Data        {}", facts.data_dir.display()),
        String::new(),
        "Logins".to_owned(),
    ];
    lines.extend(
        logins
            .iter()
            .map(|login| format!("  {:<16} {:<28} {}", login.role, login.email, login.password)),
    );
    lines.extend([
        String::new(),
        format!("  Admin token      {}", facts.admin_token),
        String::new(),
        "Keys".to_owned(),
    ]);
    lines.extend(
        set_up
            .callers
            .iter()
            .map(|caller| format!("  {:<16} {:<6} {}", caller.consumer, caller.plan, caller.key)),
    );
    lines.extend([
        String::new(),
        "Try it:".to_owned(),
        format!("  {}", curl(set_up)),
        format!(
            "  export TOLLGATE_SERVER={} TOLLGATE_TOKEN={}",
            facts.portal_url, facts.admin_token
        ),
        "  tollgate export".to_owned(),
        String::new(),
        "Ctrl-C ends it.".to_owned(),
    ]);
    lines.join("\n")
}
