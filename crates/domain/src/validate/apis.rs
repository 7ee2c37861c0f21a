//! APIs.

use super::addresses::{check_conflicts, check_header, check_place, check_targets};
use super::findings::{Findings, below, shown};
use super::known::{Known, choice};
use super::names::{Seen, check_slug, check_variable};
use crate::config::{Api, AuthMethod, Document, KeyLocation, UpstreamAuth};

pub(super) fn check(document: &Document, known: &Known<'_>, findings: &mut Findings) {
    let mut seen = Seen::default();
    for (index, api) in document.apis.iter().enumerate() {
        let at = format!("/apis/{index}");
        check_slug(&format!("{at}/name"), &api.name, findings);
        seen.check(&format!("{at}/name"), "API", ("", &api.name), findings);
        check_place(&at, api, findings);
        check_description(&at, api, findings);
        check_upstream(&at, api, known, findings);
        check_auth(&at, api, findings);
        check_key_location(&format!("{at}/api_key"), &api.api_key, findings);
        check_anonymous(&at, api, known, findings);
        check_policies(&at, api, findings);
        check_operations(&at, api, known, findings);
    }
    check_conflicts(document, known, findings);
}

fn check_description(at: &str, api: &Api, findings: &mut Findings) {
    if api.openapi.as_ref().is_some_and(|document| !document.is_object()) {
        findings.error(
            format!("{at}/openapi"),
            "this is no OpenAPI document",
            "write the document inline; `tollgate apply` puts it in place of the path of its file",
        );
    }
    if api.version.is_empty() || api.version.len() > 64 || api.version.chars().any(char::is_control) {
        let reason = format!("{} is not a version", shown(&api.version));
        findings.error(
            format!("{at}/version"),
            reason,
            "write 1 to 64 characters such as \"1.0\"",
        );
    }
}

fn check_upstream(at: &str, api: &Api, known: &Known<'_>, findings: &mut Findings) {
    let upstream = &api.upstream;
    if upstream.targets.is_empty() {
        let remedy = "write targets: [{ url: http://127.0.0.1:9001 }] with your address";
        findings.error(format!("{at}/upstream/targets"), "the API has no upstream", remedy);
    }
    check_targets(&format!("{at}/upstream/targets"), &upstream.targets, findings);
    check_targets(&format!("{at}/upstream/sandbox"), &upstream.sandbox, findings);
    for (key, span) in [
        ("connect", upstream.timeouts.connect),
        ("response", upstream.timeouts.response),
    ] {
        if span.as_millis() == 0 {
            let reason = format!("with a `{key}` of zero no request could succeed");
            findings.error(
                format!("{at}/upstream/timeouts/{key}"),
                reason,
                "write a time such as 30s",
            );
        }
    }
    if let Some(auth) = &upstream.auth {
        check_upstream_auth(&format!("{at}/upstream/auth"), auth, known, findings);
    }
}

fn check_upstream_auth(at: &str, auth: &UpstreamAuth, known: &Known<'_>, findings: &mut Findings) {
    check_header(&format!("{at}/header"), &auth.header, findings);
    if let Some(name) = &auth.value_env {
        check_variable(&format!("{at}/value_env"), name, findings);
    } else if auth.value.is_none() && known.is_alone() {
        let remedy = "write value_env: NAME, the environment variable of the command that applies";
        findings.error(at, "the header has no value", remedy);
    }
    let sendable = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
    let trimmed = |value: &str| !value.is_empty() && value.trim() == value;
    if auth
        .value
        .as_deref()
        .is_some_and(|value| !trimmed(value) || !value.bytes().all(sendable))
    {
        let remedy = "use printable ASCII characters without spaces around them";
        findings.error(format!("{at}/value"), "the value cannot be sent in a header", remedy);
    }
}

fn check_auth(at: &str, api: &Api, findings: &mut Findings) {
    for (index, method) in api.auth.iter().enumerate() {
        if let Some(word) = not_built(*method) {
            findings.not_built(format!("{at}/auth/{index}"), word);
        } else if api.auth.iter().take(index).any(|before| before == method) {
            findings.error(format!("{at}/auth/{index}"), "the same kind stands twice", "remove it");
        }
    }
    if api.auth.is_empty() && api.anonymous.is_none() {
        findings.error(
            format!("{at}/auth"),
            "nobody could call this API",
            "write auth: [api_key], or give callers without a key a plan by `anonymous`",
        );
    }
}

/// The word of a kind of credential that is not built.
pub(super) const fn not_built(method: AuthMethod) -> Option<&'static str> {
    match method {
        AuthMethod::ApiKey => None,
        AuthMethod::Jwt => Some("jwt"),
        AuthMethod::Oauth2 => Some("oauth2"),
        AuthMethod::Oidc => Some("oidc"),
        AuthMethod::Mtls => Some("mtls"),
        AuthMethod::Hmac => Some("hmac"),
    }
}

fn check_key_location(at: &str, location: &KeyLocation, findings: &mut Findings) {
    check_header(&format!("{at}/header"), &location.header, findings);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    if location
        .query
        .as_deref()
        .is_some_and(|name| name.is_empty() || name.len() > 64 || !name.bytes().all(plain))
    {
        let reason = "this is not the name of a query parameter";
        findings.error(
            format!("{at}/query"),
            reason,
            "write letters, digits, `-`, `_`, `.` or `~`, such as api_key",
        );
    }
}

fn check_anonymous(at: &str, api: &Api, known: &Known<'_>, findings: &mut Findings) {
    let Some(anonymous) = &api.anonymous else { return };
    let at = format!("{at}/anonymous");
    known.refer_to_plan(&at, (&anonymous.product, &anonymous.plan), findings);
    let Some(product) = known.product(&anonymous.product) else {
        return;
    };
    if !product.apis.contains(&api.name) {
        let reason = format!("the product {} does not contain this API", shown(&product.name));
        findings.error(
            format!("{at}/product"),
            reason,
            format!("add {} to the `apis` of the product", shown(&api.name)),
        );
    }
    let plan = product.plans.iter().find(|plan| plan.name == anonymous.plan);
    let price = plan.and_then(|plan| plan.price.as_ref());
    if price.is_some_and(|price| price.recurring.is_some() || !price.usage.is_empty()) {
        let reason = format!(
            "callers without a key are never billed, and the plan {} has a price",
            shown(&anonymous.plan)
        );
        findings.warning(format!("{at}/plan"), reason, "give them a plan without a price");
    }
}

fn check_policies(at: &str, api: &Api, findings: &mut Findings) {
    for name in api.policies.keys() {
        findings.not_built(
            below(&format!("{at}/policies"), name),
            &format!("the policy {}", shown(name)),
        );
    }
    for (key, overrides) in &api.operations {
        let at = format!("{}/policies", below(&format!("{at}/operations"), key));
        for name in overrides.policies.keys() {
            findings.not_built(below(&at, name), &format!("the policy {}", shown(name)));
        }
    }
}

fn check_operations(at: &str, api: &Api, known: &Known<'_>, findings: &mut Findings) {
    if api.operations.is_empty() {
        return;
    }
    let Some(keys) = known.operations([api.name.as_str()].into_iter()) else {
        return;
    };
    for key in api.operations.keys().filter(|key| !keys.contains(key.as_str())) {
        let known: Vec<&str> = keys.iter().copied().collect();
        let reason = format!("the API has no operation {}", shown(key));
        findings.error(below(&format!("{at}/operations"), key), reason, choice(key, &known));
    }
}
