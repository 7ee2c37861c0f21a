//! Engines for tests: SQLite in a temporary directory always, ClickHouse where it is installed.
//!
//! The server is started by `tests/servers/clickhouse.sh` for the life of the test process, on a port and with data of its
//! own; every engine gets a database of its own. Without it the skipped half is named on standard error; with `CI=true`
//! that is a failure. Failures panic: this module is for tests alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::{Analytics, Settings, open};

/// Where a suite's engines come from.
#[derive(Debug)]
pub enum Engines {
    /// Files in a temporary directory.
    Files(tempfile::TempDir),
    /// Databases of a server.
    Databases(&'static Server),
}

/// Settings for tests: their facts are years old, and the server's clock is the real one.
pub fn settings() -> Settings {
    Settings {
        evidence_days: 20_000,
        ..Settings::default()
    }
}

impl Engines {
    /// A new, empty engine.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn make(&self) -> Analytics {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let location = match self {
            Self::Files(directory) => directory.path().join(format!("{next}.db")).display().to_string(),
            Self::Databases(server) => server.url(&format!("test_{}_{next}", std::process::id())),
        };
        check("open", open(&location, &settings()).await)
    }
}

/// Runs `body` with the embedded engine, then with ClickHouse where it is installed.
///
/// # Panics
/// When an engine cannot be made, and with `CI=true` when ClickHouse is not installed.
pub async fn on_both(body: impl AsyncFn(Engines)) {
    body(Engines::Files(check("temporary directory", tempfile::tempdir()))).await;
    if let Some(server) = clickhouse() {
        body(Engines::Databases(server)).await;
    }
}

/// The server of this test process, or `None` where ClickHouse is not installed.
///
/// # Panics
/// With `CI=true` when it is not installed, and when it does not start.
pub fn clickhouse() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// A server with data of its own. It ends, and its data go, with the process that started it.
#[derive(Debug)]
pub struct Server {
    port: u16,
    directory: PathBuf,
    // Its standard input stays open as long as this process lives; then the script removes the server.
    _holder: Child,
    /// One at a time kills or starts it.
    turn: Mutex<()>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/clickhouse.sh")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests learn from the environment where they run"
)]
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// The name of the running suite.
fn suite() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    name.rsplit_once('-').map_or(name.clone(), |(name, _)| name.to_owned())
}

impl Server {
    /// Starts one of its own, for tests that kill it; `None` where ClickHouse is not installed.
    ///
    /// # Panics
    /// As [`clickhouse`].
    pub fn start() -> Option<Self> {
        let found = check(
            "tests/servers/clickhouse.sh",
            Command::new(script()).arg("find").output(),
        );
        if !found.status.success() {
            let reason = String::from_utf8_lossy(&found.stderr).trim().to_owned();
            assert!(!in_ci(), "no ClickHouse for the tests: {reason}");
            // Not eprintln: the test harness swallows it when the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED on ClickHouse, all of {}: {reason}", suite());
            return None;
        }
        Some(check("start ClickHouse", Self::hold()))
    }

    fn hold() -> std::io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("tollgate-clickhouse-{}-{port}", std::process::id()));
        let mut holder = Command::new(script())
            .args(["hold", &port.to_string()])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            return Err(std::io::Error::other(
                "tests/servers/clickhouse.sh did not become ready",
            ));
        }
        Ok(Self {
            port,
            directory,
            _holder: holder,
            turn: Mutex::default(),
        })
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The same by another port, of something that stands before it.
    #[expect(clippy::unused_self, reason = "the address is this server's")]
    pub fn url_at(&self, port: u16, database: &str) -> String {
        format!("clickhouse+http://tolly:not-shown@127.0.0.1:{port}/{database}")
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn process(&self) -> String {
        let id = std::fs::read_to_string(self.directory.join("pid")).unwrap_or_default();
        id.trim().to_owned()
    }

    /// Kills it with SIGKILL and starts it again on the same data.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn kill_and_start(&self) {
        self.run("kill", &[]);
        self.run("start", &[&self.port.to_string()]);
    }

    fn run(&self, command: &str, arguments: &[&str]) {
        let _turn = self.turn.lock();
        let mut process = Command::new(script());
        process.arg(command).args(arguments).arg(&self.directory);
        let status = check(command, process.status());
        assert!(status.success(), "clickhouse.sh {command}: {status}");
    }
}

fn check<T, E: std::fmt::Debug>(step: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{step}: {error:?}"))
}
