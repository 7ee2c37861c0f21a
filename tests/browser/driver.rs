//! chromedriver, once for this process, and the commands that it has beyond WebDriver.

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::support::guarded;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

static DRIVER: LazyLock<Option<Driver>> = LazyLock::new(Driver::start);

struct Driver {
    _child: Child,
    url: String,
}

impl Driver {
    /// `--port=0` picks a free port and prints it.
    fn start() -> Option<Self> {
        if !is_there("chromedriver") || !is_there("chromium") {
            return None;
        }
        let mut command = guarded::command("chromedriver", None);
        let mut child = command.arg("--port=0").stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| line.unwrap().split("successfully on port ").nth(1).map(str::to_owned));
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.unwrap();
        Some(Self {
            _child: child,
            url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')),
        })
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Waits for an answer of the browser. Tests are written without `async`: each does one thing after another.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Says what is missing, by the name of the test; on a machine of continuous integration that is a failure.
pub fn skip(what: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(
        std::env::var("CI").is_ok_and(|ci| ci != "true") || std::env::var("CI").is_err(),
        "{test} needs {what}"
    );
    eprintln!("SKIPPED without {what}: {test}");
}

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

/// A browser of its own, with an empty profile.
pub fn session(scripts: Scripts) -> Option<Client> {
    let Some(driver) = DRIVER.as_ref() else {
        skip("chromium and chromedriver");
        return None;
    };
    let options = json!({
        "args": [
            "--headless", "--force-prefers-reduced-motion", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--force-color-profile=srgb", "--lang=en-US", "--window-size=1280,900",
        ],
        "prefs": { "profile.managed_default_content_settings.javascript": if scripts == Scripts::On { 1 } else { 2 } },
        "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
    });
    let capabilities: Capabilities = [
        ("goog:chromeOptions".to_owned(), options),
        (
            "goog:loggingPrefs".to_owned(),
            json!({ "browser": "ALL", "performance": "ALL" }),
        ),
    ]
    .into_iter()
    .collect();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    Some(wait(builder.capabilities(capabilities).connect(&driver.url)).unwrap())
}

/// A command of chromedriver below its session.
#[derive(Debug)]
struct Beyond {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Beyond {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A command of the protocol of the developer tools.
pub fn devtools(client: &Client, command: &str, parameters: &Value) -> Value {
    let body = json!({ "cmd": command, "params": parameters });
    let path = "goog/cdp/execute";
    wait(client.issue_cmd(Beyond { path, body })).unwrap()
}

/// What was written into a log since the last look.
pub fn log(client: &Client, kind: &str) -> Vec<Value> {
    let body = json!({ "type": kind });
    let path = "se/log";
    let entries = wait(client.issue_cmd(Beyond { path, body })).unwrap();
    entries.as_array().cloned().unwrap_or_default()
}
