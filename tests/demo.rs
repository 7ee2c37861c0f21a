//! The demo as somebody who tries it would run it.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::demo::{Demo, address, listens, soon};
use tempfile::TempDir;

#[test]
fn the_demo_tells_scripts_everything_and_what_it_tells_works() {
    let dir = TempDir::new().unwrap();
    let demo = Demo::start(&dir.path().join("data"), &[]);
    assert!(demo.ready < Duration::from_secs(10), "{:?}", demo.ready);
    std::thread::sleep(Duration::from_secs(2));
    let resident = demo.resident_kib();
    println!(
        "demo: ready after {:?}, idle with {} MiB resident",
        demo.ready,
        resident / 1024
    );
    assert!(resident < 80 * 1024, "{resident} KiB");
    // The curl line, by a shell as a person would use it.
    let line = demo.text("curl").replacen("curl ", "curl -w '\\n%{http_code}' ", 1);
    match Command::new("sh").args(["-c", &line]).output() {
        Ok(output) if output.status.code() != Some(127) => {
            let text = String::from_utf8(output.stdout).unwrap();
            let (body, status) = text.rsplit_once('\n').unwrap();
            assert_eq!(status, "200", "{text}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert!(body.to_string().contains("Asia/Kathmandu"), "{body}");
        }
        _ => println!("curl is not installed: the line was not run"),
    }
    let mut gateway = demo.client("gateway");
    let bearer = format!("Bearer {}", demo.text("key"));
    let answer = gateway
        .get("/worldtime/time?zone=Asia/Kathmandu", &[("Authorization", &bearer)])
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("x-ratelimit-remaining").is_some());
    for consumer in demo.facts["consumers"].as_array().unwrap() {
        for key in ["key", "test_key"] {
            let answer = gateway
                .get(
                    "/worldtime/currencies/JPY",
                    &[("X-API-Key", consumer[key].as_str().unwrap())],
                )
                .unwrap();
            assert_eq!(answer.status, 200, "{consumer}: {}", answer.text());
        }
        assert!(!consumer["plan"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        gateway
            .get("/worldtime/currencies/JPY", &[("X-API-Key", "tg_live_nobody")])
            .unwrap()
            .status,
        401
    );
    for login in demo.facts["logins"].as_array().unwrap() {
        assert!(
            ["role", "email", "password"]
                .iter()
                .all(|name| !login[*name].as_str().unwrap().is_empty()),
            "{login}"
        );
    }
    assert!(!demo.facts["logins"].as_array().unwrap().is_empty());
    assert_eq!(demo.client("ops").get("/readyz", &[]).unwrap().status, 200);
    assert!(
        demo.api().get("/openapi.json")["openapi"]
            .as_str()
            .unwrap()
            .starts_with("3.1")
    );
    // The sample API answers the gateway alone.
    assert!(demo.client("sample_api").get("/currencies/JPY", &[]).unwrap().status >= 400);
}

#[test]
fn the_start_page_is_html_under_a_strict_policy() {
    let dir = TempDir::new().unwrap();
    let demo = Demo::start(&dir.path().join("data"), &[]);
    let page = demo.client("portal").get("/", &[]).unwrap();
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("<html"), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
        "{policy}"
    );
    assert!(
        policy.contains("frame-ancestors 'none'") && policy.contains("base-uri"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval") && !policy.contains('*'),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let text = page.text();
    let foreign = ["src=\"http", "src=\"//", "href=\"//"];
    assert!(
        foreign.iter().all(|foreign| !text.contains(foreign)),
        "an asset of another host: {text}"
    );
}

#[test]
fn what_it_shows_comes_from_requests_that_were_sent() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let demo = Demo::start(&data, &["--traffic", "20"]);
    let usage = |demo: &Demo| {
        demo.api().get("/usage?interval=hour&group_by=consumer")["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    let requests = |demo: &Demo| {
        usage(demo)
            .iter()
            .map(|item| item["requests"].as_u64().unwrap())
            .sum::<u64>()
    };
    soon("traffic does not show in usage", || requests(&demo) >= 60);
    assert!(
        usage(&demo)
            .iter()
            .filter(|item| item["requests"].as_u64().unwrap() > 0)
            .count()
            >= 2,
        "{:?}",
        usage(&demo)
    );
    assert_eq!(demo.stop().code(), Some(0));
    // A second start on the same data: nothing is lost, nothing is made twice, new keys work.
    let again = Demo::start(&data, &[]);
    let before = requests(&again);
    assert!(before >= 60);
    assert_eq!(again.api().all("/accounts").len(), 3);
    assert_eq!(again.api().all("/consumers").len(), 3);
    let answer = again
        .client("gateway")
        .get("/worldtime/currencies/JPY", &[("X-API-Key", again.text("key"))])
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    soon("the request after the restart is not counted", || {
        requests(&again) == before + 1
    });
}

#[test]
fn it_ends_in_order_and_leaves_no_process_behind() {
    let dir = TempDir::new().unwrap();
    let demo = Demo::start(&dir.path().join("term"), &["--traffic", "20"]);
    let addresses: Vec<_> = ["gateway", "portal", "ops", "sample_api"]
        .map(|name| address(demo.text(name)))
        .into();
    assert!(addresses.iter().all(|address| listens(*address)));
    assert_eq!(demo.stop().code(), Some(0));
    soon("something still listens after SIGTERM", || {
        !addresses.iter().any(|address| listens(*address))
    });
    let mut demo = Demo::start(&dir.path().join("kill"), &[]);
    let sample = address(demo.text("sample_api"));
    assert!(listens(sample));
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    soon("the sample API outlives kill -9 of the demo", || !listens(sample));
}
