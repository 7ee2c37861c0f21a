//! The files of apply in their whole breadth: everything that is built is accepted, served, exported and changes nothing
//! when it is applied again; everything that is not is refused at its place.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::key::{ApiKey, Mode};
use support::platform::{ADMIN_TOKEN, Platform, Settings};

const DESCRIPTION: &str = r#"
openapi: 3.1.0
info: { title: Petstore, version: "1.0" }
paths:
  /pets:
    get: { operationId: search, responses: { "200": { description: ok } } }
  /pets/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
    get: { operationId: getPet, responses: { "200": { description: ok } } }
"#;

const CATALOG: &str = r#"
apis:
  - name: petstore
    version: "1.0"
    openapi: ./specs/petstore.yaml
    base_path: /petstore
    hosts: [api.example.com]
    strip_base_path: true
    upstream:
      targets: [{ url: http://127.0.0.1:9001, weight: 100 }]
      sandbox: [{ url: http://127.0.0.1:9002 }]
      timeouts: { connect: 1s, response: 30s }
      auth: { header: X-Gateway-Secret, value_env: PETSTORE_SECRET }
    auth: [api_key]
    api_key: { header: X-Pet-Key, query: key }
    anonymous: { product: petstore, plan: free, by: ip }
    unknown_operations: pass
    policies: { }
    operations: { getPet: { policies: { } } }
meters:
  - { name: requests, aggregate: count }
  - { name: tokens, aggregate: sum, value: { response_json: /usage/total_tokens }, filter: { status: [2xx], operations: [search] } }
  - { name: megabytes, aggregate: sum, value: { response_header: X-Megabytes } }
  - { name: searches, aggregate: count, filter: { operations: [search] } }
  - { name: reads, aggregate: count, filter: { operations: [getPet] } }
billable_policies: [ ]
coupons: [ ]
tax_rates: [ ]
partners: [ ]
settings: { signup: open }
---
products:
  - name: petstore
    title: Petstore
    description: "**Pets** of all kinds"
    apis: [petstore]
    visibility: private
    audience: [acme]
    priority: 100
    plans:
      - name: free
        title: Free
        approval: automatic
        limits:
          - { requests: 10, per: second, algorithm: token_bucket, burst: 20 }
          - { requests: 100, per: minute, algorithm: fixed_window }
          - { requests: 1000, per: period }
          - { requests: 5, per: second, operations: [search] }
          - { requests: 50, per: hour, operations: ["getPet"] }
          - { requests: 500, per: day }
          - { concurrency: 20 }
        price: { currency: USD }
      - name: pro
        title: Pro
        approval: manual
        migrate: never
        limits:
          - { requests: 100, per: second }
          - { requests: 5000, per: month }
          - { meter: tokens, max: 1000000, per: period, alerts: [80%, 95%], overage: { allow: 15%, price: prorated },
              mode: strict, when_unavailable: closed }
          - { meter: searches, max: 1000, per: period, overage: { allow: unlimited, price: "0.002" } }
          - { meter: megabytes, per: period, overage: { allow: unlimited } }
          - { meter: reads, max: 10, per: period, overage: none, mode: fast }
        price: &pro
          currency: USD
          tax: { behavior: exclusive, code: "" }
          minimum: "0"
          usage_period: month
          recurring: { amount: "49.00", every: month, in: advance }
          usage:
            - { meter: requests, included: 500000, model: graduated, tiers: [ { up_to: 500000, unit: "0.0005" }, { unit: "0.000300000001" } ] }
            - { meter: megabytes, included: 10, model: unit, unit: "0.01", minimum: "1", maximum: "500", multiplier: "2.5" }
        prices:
          - { currency: JPY, usage_period: month, recurring: { amount: "7000", every: month, in: advance },
              usage: [ { meter: requests, model: volume, tiers: [ { up_to: 1000, unit: "1", flat: "10" }, { unit: "0.5", flat: "600" } ] },
                       { meter: megabytes, included: 10, model: unit, unit: "1" } ] }
          - { currency: KWD, usage_period: month, recurring: { amount: "15.000", every: month, in: arrears },
              usage: [ { meter: requests, model: package, size: 1000, amount: "0.125" },
                       { meter: megabytes, included: 10, model: unit, unit: "0.003" } ] }
          - { currency: EUR, usage_period: month, recurring: { amount: "490.00", every: year, in: advance },
              usage: [ { meter: requests, model: stairstep, tiers: [ { up_to: 1000, amount: "5" }, { amount: "50" } ] },
                       { meter: megabytes, included: 10, model: unit, unit: "0.01" } ] }
        addons: [ ]
"#;

const CUSTOMERS: &str = r"
accounts:
  - { name: acme, email: billing@acme.example, currency: EUR, timezone: Europe/Berlin, country: DE, address: Berlin, tax_ids: [DE123] }
consumers:
  - { name: acme-backend, account: acme, subscriptions: [ { product: petstore, plan: pro } ],
      credentials: [ { type: api_key, secret_env: ACME_KEY } ] }
  - { name: acme-tests, account: acme, subscriptions: [ { product: petstore, plan: free, anchor: calendar } ],
      credentials: [ { type: api_key, name: ci, hash: HASH, mode: test, products: [petstore] } ] }
";

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn key(mode: Mode, seed: u8) -> ApiKey {
    ApiKey::new(mode, [seed; 32])
}

/// Runs the program in a folder with this on standard input.
fn run(folder: &Path, server: &str, input: &str, arguments: &[&str]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("TOLLGATE_SERVER", server)
        .env("TOLLGATE_TOKEN", ADMIN_TOKEN)
        .env("PETSTORE_SECRET", "hush-hush")
        .env("ACME_KEY", key(Mode::Live, 3).reveal())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("files").join(name);
    std::fs::create_dir_all(path("specs")).unwrap();
    std::fs::write(path("specs/petstore.yaml"), DESCRIPTION).unwrap();
    std::fs::write(path("catalog.yaml"), CATALOG).unwrap();
    let hash = key(Mode::Test, 4).hash().to_hex();
    std::fs::write(path("customers.yaml"), CUSTOMERS.replace("HASH", &hash)).unwrap();
    folder
}

fn revision(platform: &Platform) -> serde_json::Value {
    platform.api().get("/config/revisions")["items"][0]["revision"].clone()
}

#[test]
fn everything_that_is_built_is_applied_exported_and_applied_again_without_a_change() {
    let folder = files();
    let at = folder.path();
    let lint = run(at, "", "", &["lint", "files"]);
    assert_eq!((lint.code, lint.err.as_str()), (Some(0), ""), "{}", lint.out);

    let platform = Settings::new(&at.join("data")).start();
    let server = format!("http://{}", platform.portal());
    let applied = run(at, &server, "", &["apply", "-f", "files"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.out, applied.err);
    let made = revision(&platform);
    for arguments in [
        &["apply", "-f", "files"][..],
        &["apply", "--prune", "-f", "files"],
        &["diff", "-f", "files"],
    ] {
        let again = run(at, &server, "", arguments);
        assert_eq!(again.code, Some(0), "{arguments:?}: {}{}", again.out, again.err);
    }
    for export in [&["export"][..], &["export", "--with-consumers"]] {
        let exported = run(at, &server, "", export);
        assert_eq!(exported.code, Some(0), "{}", exported.err);
        assert!(!exported.out.contains("hush-hush") && !exported.out.contains(key(Mode::Live, 3).reveal()));
        for arguments in [&["diff", "-f", "-"][..], &["apply", "-f", "-"]] {
            let again = run(at, &server, &exported.out, arguments);
            assert_eq!(
                again.code,
                Some(0),
                "{export:?} | {arguments:?}: {}{}",
                again.out,
                again.err
            );
        }
    }
    assert_eq!(revision(&platform), made, "nothing was written again");

    // The control: a change is one.
    let path = at.join("files/catalog.yaml");
    std::fs::write(
        &path,
        CATALOG.replace("requests: 1000, per: period", "requests: 1001, per: period"),
    )
    .unwrap();
    assert_eq!(run(at, &server, "", &["diff", "-f", "files"]).code, Some(2));
    assert_eq!(run(at, &server, "", &["apply", "-f", "files"]).code, Some(0));
    assert_ne!(revision(&platform), made);
}

#[test]
fn what_is_not_built_is_refused_at_its_place() {
    let rows = [
        ("auth: [api_key]", "auth: [api_key, jwt]", "jwt is not supported yet"),
        (
            "policies: { }\n",
            "policies: { cors: { } }\n",
            "the policy `cors` is not supported yet",
        ),
        (
            "value: { response_header: X-Megabytes }",
            "value: { response_header: X-Megabytes }, group_by: [model]",
            "group_by is not supported yet",
        ),
        (
            "name: searches, aggregate: count",
            "name: searches, source: events, type: a.b, aggregate: count",
            "a meter of events is not supported yet",
        ),
        ("approval: manual", "trial: 14d", "a trial is not supported yet"),
        (
            "minimum: \"0\"",
            "commitment: { amount: \"1000\", overage_factor: \"1.5\" }",
            "commitments are not supported yet",
        ),
        (
            "model: unit, unit: \"0.003\"",
            "model: percent, percent: \"2.9\", fixed: \"0.30\"",
            "percentages are not supported yet",
        ),
        (
            "addons: [ ]",
            "addons: [ { name: more } ]",
            "an add-on is not supported yet",
        ),
        (
            "coupons: [ ]",
            "coupons: [ { name: half } ]",
            "`coupons` is not supported yet",
        ),
        (
            "tax_rates: [ ]",
            "tax_rates: [ { name: vat } ]",
            "`tax_rates` is not supported yet",
        ),
        (
            "partners: [ ]",
            "partners: [ { name: shop } ]",
            "`partners` is not supported yet",
        ),
        (
            "billable_policies: [ ]",
            "billable_policies: [ { name: all } ]",
            "`billable_policies` is not supported yet",
        ),
    ];
    for (built, other, words) in rows {
        let folder = files();
        assert_eq!(CATALOG.matches(built).count(), 1, "{built}");
        let text = CATALOG.replace(built, other);
        std::fs::write(folder.path().join("files/catalog.yaml"), &text).unwrap();
        let lint = run(folder.path(), "", "", &["lint", "files"]);
        assert_eq!(lint.code, Some(1), "{other}: {}", lint.err);
        let line = text.lines().position(|line| line.contains(other.trim_end())).unwrap() + 1;
        let place = format!("catalog.yaml:{line}:");
        let told = lint
            .err
            .lines()
            .any(|told| told.contains(&place) && told.contains(words));
        assert!(told, "{place} {words}: {}", lint.err);
    }
}
