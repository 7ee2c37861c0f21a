//! The demo as somebody who tries it would run it.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::client::Client;
use tempfile::TempDir;

/// The demo as a process.
struct Demo {
    child: Child,
    facts: Value,
    ready: Duration,
}

/// An offset at which the three default ports are free.
fn offset() -> u16 {
    let taken = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_err();
    std::iter::repeat_with(|| support::ports::free().saturating_sub(8080) % 20_000 + 1_000)
        .find(|offset| !(0..3).any(|port| taken(8080 + port + offset)))
        .unwrap()
}

impl Demo {
    fn start(data_dir: &Path, more: &[&str]) -> Self {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["demo", "--json", "--port-offset", &offset().to_string(), "--data-dir"])
            .arg(data_dir)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = started.elapsed();
        let facts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, facts, ready }
    }

    fn text(&self, name: &str) -> &str {
        self.facts[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.facts))
    }

    fn client(&self, name: &str) -> Client {
        Client::new(address(self.text(name)))
    }

    fn api(&self) -> support::api::Api {
        support::api::Api::new(address(self.text("portal")), self.text("admin_token"))
    }

    /// Memory that the process holds, in KiB.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn listens(address: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

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
    assert!(resident < 200 * 1024, "{resident} KiB");
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
