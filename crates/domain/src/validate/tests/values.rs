use super::*;

#[test]
fn meters_are_read_from_something() {
    check_errors(&[
        ("/meters/1/value", json!(null), "/meters/1/value", "a sum needs a value"),
        (
            "/meters/1/value",
            json!({"response_json": "usage"}),
            "/meters/1/value/response_json",
            "not a JSON pointer",
        ),
        (
            "/meters/1/value",
            json!({"response_json": "/a~2"}),
            "/meters/1/value/response_json",
            "not a JSON pointer",
        ),
        (
            "/meters/1/value",
            json!({"response_header": "X Y"}),
            "/meters/1/value/response_header",
            "not the name of a header",
        ),
        (
            "/meters/1/aggregate",
            json!("count"),
            "/meters/1/value",
            "a count has no value",
        ),
        (
            "/meters/1/filter/status/0",
            json!("9xx"),
            "/meters/1/filter/status/0",
            "not a status",
        ),
        (
            "/meters/0/filter",
            json!({"status": ["200"]}),
            "/meters/0",
            "nothing else",
        ),
    ]);
}

#[test]
fn prices_and_limits_fit_together() {
    let plan = "/products/0/plans/1";
    let at = |rest: &str| format!("{plan}/{rest}");
    let rows = [
        (
            at("limits/0"),
            json!({"meter": "tokens", "max": 50, "per": "period"}),
            at("price/usage/0/included"),
            "includes 100 units and the quota stops at 50",
        ),
        (
            at("limits/0"),
            json!({"meter": "tokens", "per": "period", "overage": {"allow": "unlimited", "price": "0.1"}}),
            at("limits/0/overage/price"),
            "has a usage price",
        ),
        (
            at("limits/1"),
            json!({"meter": "requests", "per": "period"}),
            at("limits/1/max"),
            "no maximum",
        ),
        (
            at("limits/1"),
            json!({"meter": "tokens", "max": 200, "per": "period"}),
            at("limits/1"),
            "another limit of the plan counts the same",
        ),
        (
            at("limits/1"),
            json!({"requests": 0, "per": "second"}),
            at("limits/1/requests"),
            "missing",
        ),
        (
            at("limits/1/overage/price"),
            json!("-1"),
            at("limits/1/overage/price"),
            "below zero",
        ),
        (
            at("price/recurring"),
            json!(null),
            at("limits/1/overage/price"),
            "no recurring price",
        ),
        (
            at("price/usage/0/unit"),
            json!("-1"),
            at("price/usage/0/unit"),
            "below zero",
        ),
        (
            at("price/usage/0/unit"),
            json!(null),
            at("price/usage/0/unit"),
            "needs `unit`",
        ),
        (
            at("prices"),
            json!([{"currency": "USD"}]),
            at("prices/0/currency"),
            "a price in USD already",
        ),
    ];
    for (pointer, value, expected, words) in rows {
        check_errors(&[(&pointer, value, &expected, words)]);
    }
    // The overage is served, so that all included units can be used.
    let served = json!({"meter": "tokens", "max": 50, "per": "period", "overage": {"allow": "unlimited"}});
    assert_eq!(
        findings(with("/products/0/plans/1/limits/0", served), References::Within),
        []
    );
}

#[test]
fn customers_have_addresses_zones_and_keys() {
    let key = ApiKey::new(Mode::Test, [7; 32]);
    let credential = "/consumers/0/credentials/0";
    let cut = key.reveal().get(..40).unwrap();
    let both = json!({"type": "api_key", "secret_env": "A", "hash": key.hash()});
    let wrong_mode = json!({"type": "api_key", "secret": key.reveal(), "mode": "live"});
    check_errors(&[
        (
            "/accounts/0/email",
            json!("a"),
            "/accounts/0/email",
            "not an e-mail address",
        ),
        (
            "/accounts/0/currency",
            json!("XXZ"),
            "/accounts/0/currency",
            "not a currency",
        ),
        (
            "/accounts/0/timezone",
            json!("Mars"),
            "/accounts/0/timezone",
            "not a time zone",
        ),
        (
            "/accounts/0/country",
            json!("Germany"),
            "/accounts/0/country",
            "not a country code",
        ),
        (
            "/consumers/0/subscriptions/0/anchor",
            json!("later"),
            "/consumers/0/subscriptions/0/anchor",
            "not an anchor",
        ),
        (
            "/consumers/0/subscriptions/-",
            json!({"product": "petstore", "plan": "free"}),
            "/consumers/0/subscriptions/1/product",
            "already",
        ),
        (credential, json!({"type": "api_key"}), credential, "no key"),
        (
            credential,
            json!({"type": "api_key", "secret": cut}),
            "/consumers/0/credentials/0/secret",
            "not a key",
        ),
        (credential, both, "/consumers/0/credentials/0/hash", "already"),
        (
            credential,
            wrong_mode,
            "/consumers/0/credentials/0/mode",
            "the key is a test key",
        ),
    ]);
    let mut twice = sound();
    twice["consumers"][0]["credentials"] =
        json!([{"type": "api_key", "secret": key.reveal()}, {"type": "api_key", "hash": key.hash()}]);
    let found = findings(twice, References::Within);
    assert!(
        found
            .iter()
            .any(|finding| finding.pointer == "/consumers/0/credentials/1" && finding.reason.contains("same key"))
    );
    assert!(
        !format!("{found:?}").contains(key.reveal()),
        "a secret stands in a finding"
    );
}

#[test]
fn what_is_not_built_is_named_and_refused() {
    check_errors(&[
        (
            "/apis/0/auth/0",
            json!("jwt"),
            "/apis/0/auth/0",
            "jwt is not supported yet; remove it",
        ),
        (
            "/apis/0/policies",
            json!({"cors": {}}),
            "/apis/0/policies/cors",
            "the policy `cors` is not supported yet",
        ),
        (
            "/apis/0/operations",
            json!({"search": {"policies": {"cache": {}}}}),
            "/apis/0/operations/search/policies/cache",
            "not supported yet",
        ),
        (
            "/meters/1/aggregate",
            json!("unique"),
            "/meters/1/aggregate",
            "not supported yet",
        ),
        (
            "/meters/1/source",
            json!("events"),
            "/meters/1/source",
            "not supported yet",
        ),
        (
            "/meters/1/group_by",
            json!(["model"]),
            "/meters/1/group_by",
            "not supported yet",
        ),
        (
            "/products/0/plans/0/trial",
            json!("14d"),
            "/products/0/plans/0/trial",
            "a trial is not supported yet",
        ),
        (
            "/products/0/plans/0/addons",
            json!([{}]),
            "/products/0/plans/0/addons",
            "not supported yet",
        ),
        ("/coupons", json!([{}]), "/coupons", "`coupons` is not supported yet"),
        ("/tax_rates", json!([{}]), "/tax_rates", "not supported yet"),
        ("/partners", json!([{}]), "/partners", "not supported yet"),
        (
            "/billable_policies",
            json!([{}]),
            "/billable_policies",
            "not supported yet",
        ),
        (
            "/settings",
            json!({"identity_providers": [{}]}),
            "/settings/identity_providers",
            "not supported yet",
        ),
        (
            "/consumers/0/credentials/0/type",
            json!("mtls"),
            "/consumers/0/credentials/0/type",
            "not supported yet",
        ),
        (
            "/products/0/plans/1/price/commitment",
            json!({"amount": "1"}),
            "/products/0/plans/1/price/commitment",
            "not supported yet",
        ),
    ]);
}

#[test]
fn what_can_be_applied_but_may_not_be_meant_is_a_warning() {
    check(&[
        (
            "/products/0/apis",
            json!([]),
            "/products/0/apis",
            Severity::Warning,
            "opens nothing",
        ),
        (
            "/products/0/audience",
            json!([]),
            "/products/0/audience",
            Severity::Warning,
            "nobody sees",
        ),
        (
            "/apis/0/anonymous/plan",
            json!("pro"),
            "/apis/0/anonymous/plan",
            Severity::Warning,
            "never billed",
        ),
    ]);
}

#[test]
fn settings_are_within_reason() {
    check_errors(&[
        (
            "/settings",
            json!({"billing": {"currency": "dollars"}}),
            "/settings/billing/currency",
            "not a currency",
        ),
        (
            "/settings",
            json!({"billing": {"evidence_days": 7}}),
            "/settings/billing/evidence_days",
            "at least 100",
        ),
        (
            "/settings",
            json!({"billing": {"late_limit": "1s"}}),
            "/settings/billing/late_limit",
            "as much as `grace`",
        ),
        (
            "/settings",
            json!({"billing": {"number_prefix": "a b"}}),
            "/settings/billing/number_prefix",
            "invoice number",
        ),
    ]);
}

#[test]
fn a_long_list_of_findings_has_an_end() {
    let accounts: Vec<Value> = (0..2_000).map(|_| json!({"name": ""})).collect();
    let found = findings(json!({"accounts": accounts}), References::Within);
    assert_eq!(found.len(), 501);
    assert!(found.last().unwrap().reason.contains("further findings"));
}
