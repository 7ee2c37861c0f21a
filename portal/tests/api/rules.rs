//! `PUT /config` refuses what `tollgate lint` refuses, each at its place and with the way out.

use domain::key::{ApiKey, Mode};
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::rules::{Row, refuses, sound};

#[tokio::test]
async fn the_control_without_a_fault_is_accepted() {
    let server = Server::start().await;
    server.apply(sound()).await.expect(200);
    assert_eq!(server.apply(sound()).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn apis_that_could_not_be_reached_or_told_apart_are_refused() {
    let mut twin = sound()["apis"][0].clone();
    twin["name"] = json!("twin");
    let mut double = twin.clone();
    double["name"] = json!("petstore");
    let target = "/apis/0/upstream/targets/0";
    refuses(&[
        (
            "/apis/0/name",
            json!("Pet Store"),
            "/apis/0/name",
            "is not a name",
            "small letters",
        ),
        (
            "/apis/-",
            double,
            "/apis/1/name",
            "another API is called",
            "a name of its own",
        ),
        (
            "/apis/-",
            twin,
            "/apis/1/hosts/0",
            "the same host and base path",
            "another `base_path`",
        ),
        (
            "/apis/0/base_path",
            json!("pets"),
            "/apis/0/base_path",
            "not a base path",
            "/petstore",
        ),
        (
            "/apis/0/base_path",
            json!("/a%62"),
            "/apis/0/base_path",
            "canonical",
            "write `/ab`",
        ),
        (
            "/apis/0/base_path",
            json!("/.tollgate/x"),
            "/apis/0/base_path",
            "itself",
            "another path",
        ),
        (
            "/apis/0/hosts/0",
            json!("*.example.com"),
            "/apis/0/hosts/0",
            "not a host name",
            "api.example.com",
        ),
        (
            "/apis/0/version",
            json!(""),
            "/apis/0/version",
            "not a version",
            "1 to 64",
        ),
        (
            "/apis/0/upstream/targets",
            json!([]),
            "/apis/0/upstream/targets",
            "no upstream",
            "write targets",
        ),
        (
            target,
            json!({"url": "ftp://a"}),
            "/apis/0/upstream/targets/0/url",
            "neither http",
            "http://",
        ),
        (
            target,
            json!({"url": "http://u:p@a"}),
            "/apis/0/upstream/targets/0/url",
            "user name",
            "http://",
        ),
        (
            target,
            json!({"url": "http://a", "weight": 0}),
            "/apis/0/upstream/targets/0/weight",
            "no target",
            "above 0",
        ),
        (
            "/apis/0/upstream/timeouts",
            json!({"connect": "0s"}),
            "/apis/0/upstream/timeouts/connect",
            "zero",
            "30s",
        ),
        (
            "/apis/0/auth",
            json!([]),
            "/apis/0/auth",
            "nobody could call",
            "api_key",
        ),
        (
            "/apis/0/auth",
            json!(["api_key", "api_key"]),
            "/apis/0/auth/1",
            "twice",
            "remove it",
        ),
        (
            "/apis/0/openapi",
            json!("./pets.yaml"),
            "/apis/0/openapi",
            "no OpenAPI document",
            "inline",
        ),
        (
            "/apis/0/openapi",
            json!({"paths": {}}),
            "/apis/0/openapi",
            "neither openapi nor",
            "openapi: 3",
        ),
        (
            "/apis/0/openapi",
            json!({"openapi": "9.0"}),
            "/apis/0/openapi/openapi",
            "cannot be read",
            "openapi: 3",
        ),
        (
            "/apis/0/operations",
            json!({"listPet": {}}),
            "/apis/0/operations/listPet",
            "no operation",
            "`listPets`",
        ),
    ])
    .await;
}

#[tokio::test]
async fn headers_of_the_gateway_and_values_that_cannot_be_sent_are_refused() {
    let auth = "/apis/0/upstream/auth";
    refuses(&[
        (
            "/apis/0/upstream/auth/header",
            json!("X-Consumer-Id"),
            "/apis/0/upstream/auth/header",
            "itself",
            "another",
        ),
        (
            "/apis/0/upstream/auth/header",
            json!("X Y"),
            "/apis/0/upstream/auth/header",
            "not the name",
            "letters",
        ),
        (
            "/apis/0/upstream/auth/value_env",
            json!("A-B"),
            "/apis/0/upstream/auth/value_env",
            "variable",
            "letters",
        ),
        (
            "/apis/0/upstream/auth/value",
            json!("a\r\nb"),
            "/apis/0/upstream/auth/value",
            "cannot be sent",
            "printable",
        ),
        (
            auth,
            json!({"header": "X-Key"}),
            "/apis/0/upstream/auth/value",
            "missing",
            "value_env",
        ),
        (
            "/apis/0/api_key",
            json!({"header": "Host"}),
            "/apis/0/api_key/header",
            "itself",
            "another name",
        ),
        (
            "/apis/0/api_key",
            json!({"query": "a b"}),
            "/apis/0/api_key/query",
            "query parameter",
            "letters",
        ),
    ])
    .await;
}

#[tokio::test]
async fn meters_that_measure_nothing_are_refused() {
    let filter = "/meters/0/filter";
    refuses(&[
        (
            "/meters/0/value",
            json!(null),
            "/meters/0/value",
            "a sum needs a value",
            "response_json",
        ),
        (
            "/meters/0/aggregate",
            json!("count"),
            "/meters/0/value",
            "a count has no value",
            "sum",
        ),
        (
            "/meters/0/value",
            json!({"response_json": "usage"}),
            "/meters/0/value/response_json",
            "JSON pointer",
            "/usage",
        ),
        (
            "/meters/0/value",
            json!({"response_header": "X Y"}),
            "/meters/0/value/response_header",
            "name of a header",
            "X-Tokens",
        ),
        (
            filter,
            json!({"status": ["9xx"]}),
            "/meters/0/filter/status/0",
            "not a status",
            "2xx",
        ),
        (
            filter,
            json!({"operations": ["listPet"]}),
            "/meters/0/filter/operations/0",
            "no API has",
            "`listPets`",
        ),
        (
            "/meters/-",
            json!({"name": "requests", "aggregate": "count", "filter": {"status": ["200"]}}),
            "/meters/1",
            "nothing else",
            "another name",
        ),
        (
            "/meters/-",
            json!({"name": "tokens", "aggregate": "count"}),
            "/meters/1/name",
            "another meter",
            "its own",
        ),
    ])
    .await;
}

#[tokio::test]
async fn prices_and_limits_that_do_not_fit_together_are_refused() {
    let plan = "/products/0/plans/1";
    let at = |rest: &str| format!("{plan}/{rest}");
    let (limits, price) = (at("limits/1"), at("price"));
    let (overage, included) = (at("limits/1/overage/price"), at("price/usage/0/included"));
    let tokens =
        |max: Value, overage: Value| json!({"meter": "tokens", "max": max, "per": "period", "overage": overage});
    let rows = [
        (
            limits.clone(),
            tokens(json!(50), json!("none")),
            included,
            "stops at 50",
            "raise `max`",
        ),
        (
            limits.clone(),
            tokens(json!(500), json!({"allow": "unlimited", "price": "0.1"})),
            overage,
            "has a usage price",
            "remove one",
        ),
        (
            limits.clone(),
            json!({"meter": "token", "max": 1, "per": "period"}),
            at("limits/1/meter"),
            "no meter",
            "`tokens`",
        ),
        (
            at("limits/0/operations/0"),
            json!("listPet"),
            at("limits/0/operations/0"),
            "an operation",
            "`listPets`",
        ),
        (
            at("limits/2"),
            json!({"requests": 9, "per": "second", "operations": ["listPets"]}),
            at("limits/2"),
            "counts the same",
            "keep one",
        ),
        (
            at("limits/2"),
            json!({"requests": null, "meter": "requests", "per": "period"}),
            at("limits/2/max"),
            "no maximum",
            "write max",
        ),
        (
            at("limits/2/overage/price"),
            json!("-1"),
            at("limits/2/overage/price"),
            "below zero",
            "at least 0",
        ),
        (
            at("price/recurring"),
            json!(null),
            at("limits/2/overage/price"),
            "no recurring price",
            "write price.recurring",
        ),
        (
            at("price/usage/0/unit"),
            json!("-1"),
            at("price/usage/0/unit"),
            "below zero",
            "",
        ),
        (
            at("price/usage/0/unit"),
            json!(null),
            at("price/usage/0/unit"),
            "needs `unit`",
            "",
        ),
        (
            at("price/usage/0/meter"),
            json!("token"),
            at("price/usage/0/meter"),
            "no meter",
            "`tokens`",
        ),
        (
            at("prices"),
            json!([{"currency": "USD"}]),
            at("prices/0/currency"),
            "already",
            "one price a currency",
        ),
        (
            price,
            json!({"currency": "USD", "commitment": {"amount": "1"}}),
            at("price/commitment"),
            "not supported yet",
            "",
        ),
    ];
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(pointer, value, at, reason, remedy)| (pointer.as_str(), value.clone(), at.as_str(), *reason, *remedy))
        .collect();
    refuses(&rows).await;
}

#[tokio::test]
async fn products_and_customers_that_lead_nowhere_are_refused() {
    let credential = "/consumers/0/credentials/0";
    let key = ApiKey::new(Mode::Test, [7; 32]);
    let cut = key.reveal().get(..40).unwrap();
    let twice = json!({"type": "api_key", "hash": ApiKey::new(Mode::Live, [4; 32]).hash()});
    refuses(&[
        (
            "/products/0/apis/0",
            json!("petstor"),
            "/products/0/apis/0",
            "no API is called",
            "`petstore`",
        ),
        (
            "/products/0/apis",
            json!(["petstore", "petstore"]),
            "/products/0/apis/1",
            "twice",
            "remove it",
        ),
        (
            "/products/0/audience",
            json!(["globex"]),
            "/products/0/audience",
            "means nothing",
            "",
        ),
        (
            "/products/0/plans/0/name",
            json!("pro"),
            "/products/0/plans/1/name",
            "another plan",
            "its own",
        ),
        (
            "/apis/0/anonymous",
            json!({"product": "x", "plan": "y"}),
            "/apis/0/anonymous/product",
            "no product",
            "`petstore`",
        ),
        (
            "/accounts/0/email",
            json!("a"),
            "/accounts/0/email",
            "not an e-mail address",
            "name@example.com",
        ),
        (
            "/accounts/0/currency",
            json!("XXZ"),
            "/accounts/0/currency",
            "not a currency",
            "USD",
        ),
        (
            "/accounts/0/timezone",
            json!("Mars"),
            "/accounts/0/timezone",
            "not a time zone",
            "Europe/Berlin",
        ),
        (
            "/accounts/0/country",
            json!("Germany"),
            "/accounts/0/country",
            "not a country",
            "DE",
        ),
        (
            "/consumers/0/account",
            json!("globe"),
            "/consumers/0/account",
            "no account",
            "`globex`",
        ),
        (
            "/consumers/0/subscriptions/0/plan",
            json!("x"),
            "/consumers/0/subscriptions/0/plan",
            "no plan",
            "`free`",
        ),
        (
            "/consumers/0/subscriptions/0/anchor",
            json!("x"),
            "/consumers/0/subscriptions/0/anchor",
            "not an anchor",
            "calendar",
        ),
        (
            "/consumers/0/subscriptions/-",
            json!({"product": "petstore", "plan": "free"}),
            "/consumers/0/subscriptions/1/product",
            "already",
            "keep one",
        ),
        (
            credential,
            json!({"type": "api_key"}),
            credential,
            "no key",
            "secret_env",
        ),
        (
            credential,
            json!({"type": "mtls"}),
            "/consumers/0/credentials/0/type",
            "not supported yet",
            "remove it",
        ),
        (
            credential,
            json!({"type": "api_key", "secret": cut}),
            "/consumers/0/credentials/0/secret",
            "not a key",
            "57 characters",
        ),
        (
            credential,
            json!({"type": "api_key", "secret": key.reveal(), "mode": "live"}),
            "/consumers/0/credentials/0/mode",
            "a test key",
            "remove `mode`",
        ),
        (
            "/consumers/0/credentials/-",
            twice,
            "/consumers/0/credentials/1",
            "the same key",
            "its own",
        ),
    ])
    .await;
}

#[tokio::test]
async fn settings_beyond_reason_are_refused() {
    let billing = |settings: Value| json!({"billing": settings});
    let at = |key: &str| format!("/settings/billing/{key}");
    let (days, late, prefix) = (at("evidence_days"), at("late_limit"), at("number_prefix"));
    refuses(&[
        (
            "/settings",
            billing(json!({"evidence_days": 7})),
            &days,
            "too few",
            "at least 100",
        ),
        (
            "/settings",
            billing(json!({"late_limit": "1s"})),
            &late,
            "late after",
            "`grace`",
        ),
        (
            "/settings",
            billing(json!({"number_prefix": "a b"})),
            &prefix,
            "invoice number",
            "letters",
        ),
        (
            "/settings",
            json!({"identity_providers": [{}]}),
            "/settings/identity_providers",
            "not supported yet",
            "",
        ),
        (
            "/billable_policies",
            json!([{}]),
            "/billable_policies",
            "not supported yet",
            "",
        ),
        ("/tax_rates", json!([{}]), "/tax_rates", "not supported yet", ""),
    ])
    .await;
}
