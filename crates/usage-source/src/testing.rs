//! A real Kafka broker for tests, on private ports with private data, and a network before it that can fail.
//!
//! The broker is started by `tests/servers/kafka.sh`, once for a test process or for one test alone, and ends with it.
//! Without its jars the skipped test is named on standard error; with `CI=true` that is a failure. Failures panic: this
//! module is for tests alone.

mod proxy;
pub mod raw;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::kafka::{Options, Settings};

pub use proxy::Proxy;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    dir: PathBuf,
    // Its standard input stays open as long as this lives; then the script ends the broker.
    holder: Child,
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment whether servers must be there"
)]
fn in_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/kafka.sh")
}

fn check<T, E: std::fmt::Debug>(step: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{step}: {error:?}"))
}

/// Whether a broker can be started; otherwise the test that asks is named as skipped.
fn available() -> bool {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = Command::new(script())
            .arg("find")
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    });
    let Err(reason) = found else { return true };
    assert!(!in_ci(), "no Kafka broker for the tests: {reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not eprintln: the test harness swallows it when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}, no Kafka broker: {reason}");
    false
}

/// A port with two free ones behind it.
fn free_port() -> u16 {
    for _ in 0..1_000 {
        let first = check("bind", TcpListener::bind("127.0.0.1:0"));
        let port = check("address", first.local_addr()).port();
        let free = |ahead: u16| {
            port.checked_add(ahead)
                .is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        };
        if free(1) && free(2) {
            return port;
        }
    }
    panic!("no three free ports in a row");
}

impl Broker {
    /// The broker of this test process; `None` where there is none.
    ///
    /// # Panics
    /// When it does not start, and with `CI=true` when it cannot be had.
    pub fn shared() -> Option<&'static Self> {
        static BROKER: OnceLock<Broker> = OnceLock::new();
        available().then(|| BROKER.get_or_init(|| Self::launch(free_port(), None)))
    }

    /// A broker for one test, which may kill it.
    ///
    /// # Panics
    /// As [`Self::shared`].
    pub fn own() -> Option<Self> {
        available().then(|| Self::launch(free_port(), None))
    }

    /// A broker that is reached through a network that can fail, and that network.
    ///
    /// # Panics
    /// As [`Self::shared`].
    pub fn behind_proxy() -> Option<(Self, Proxy)> {
        if !available() {
            return None;
        }
        let port = free_port();
        let proxy = check("proxy", Proxy::start(port));
        Some((Self::launch(port, Some(proxy.port())), proxy))
    }

    fn launch(port: u16, advertised: Option<u16>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from("/tmp").join(format!("tollgate-kafka-{}-{number}", std::process::id()));
        let mut command = Command::new(script());
        command.args(["hold", &port.to_string()]).arg(&dir);
        if let Some(advertised) = advertised {
            let file = dir.with_extension("conf");
            let line = format!(
                "advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},SASL_PLAINTEXT://127.0.0.1:{}\n",
                port + 2
            );
            check("conf", std::fs::write(&file, line));
            command.env("KAFKA_CONF", file);
        }
        let spawned = command
            .env("KAFKA_READY_S", "180")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = check("kafka.sh", spawned);
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            check("kafka.sh", BufReader::new(output).read_line(&mut line));
        }
        assert_eq!(line.trim(), "ready", "tests/servers/kafka.sh did not become ready");
        Self { port, dir, holder }
    }

    /// Settings for a topic and a group of its own, which hurry.
    pub fn settings(&self, topic: &str) -> Settings {
        settings(self.port, topic)
    }

    /// The port at which SASL/PLAIN is asked for (user `tollgate`, password `tollgate-secret`).
    pub const fn sasl_port(&self) -> u16 {
        self.port + 2
    }

    fn run(&self, verb: &str, node: Option<&str>) {
        let mut command = Command::new(script());
        command.arg(verb).arg(&self.dir).args(node);
        let status = check(verb, command.env("KAFKA_READY_S", "180").stdin(Stdio::null()).status());
        assert!(status.success(), "kafka.sh {verb}");
    }

    /// Stops the broker with SIGSTOP: what is sent to it lies in the kernel.
    ///
    /// # Panics
    /// When there is no process to stop.
    pub fn freeze(&self) {
        let pid = check("pid", std::fs::read_to_string(self.dir.join("node1/pid")));
        let status = Command::new("sh")
            .args(["-c", &format!("kill -STOP {}", pid.trim())])
            .status();
        assert!(check("kill", status).success(), "kill -STOP");
    }

    /// Kills the broker with SIGKILL.
    ///
    /// # Panics
    /// When the script fails.
    pub fn kill(&self) {
        self.run("kill", None);
    }

    /// Starts the broker again that was killed.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&self) {
        self.run("startnode", Some("1"));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let _ = std::fs::remove_file(self.dir.with_extension("conf"));
    }
}

/// Settings for a topic at a port, with a group of its own, which hurry: the defaults wait for real networks.
///
/// # Panics
/// When the topic's name is none.
pub fn settings(port: u16, topic: &str) -> Settings {
    let url = format!("kafka://127.0.0.1:{port}/{topic}");
    let mut settings = check("settings", Settings::parse(&url, &Options::default()));
    settings.group = format!("group-of-{topic}");
    settings.partitions = 3;
    settings
        .with_property("broker.address.family", "v4")
        .with_property("reconnect.backoff.max.ms", "300")
        .with_property("heartbeat.interval.ms", "300")
        .with_property("session.timeout.ms", "6000")
        .with_property("fetch.error.backoff.ms", "50")
        .with_property("topic.metadata.refresh.fast.interval.ms", "100")
}

/// A topic's name that no other test has.
pub fn unique_topic(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
