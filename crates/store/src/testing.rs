//! Stores for tests: SQLite in a temporary directory always, Postgres where a server can be had.
//!
//! A server is taken from `TOLLGATE_TEST_POSTGRES_URL`, or started by `tests/servers/postgres.sh` for the life of the test
//! process when its programs are installed. Every store gets a database of its own. Without a server the skipped half is
//! named on standard error; with `CI=true` that is a failure. Failures panic: this module is for tests alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::clock::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{Location, Store};

/// The instant at which the stores of tests are migrated: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Runs `body` with an empty, migrated store on SQLite, then with one on Postgres where there is a server.
///
/// # Panics
/// When a store cannot be made, and with `CI=true` when there is no Postgres server.
pub async fn on_both(body: impl AsyncFn(Store)) {
    on_both_unmigrated(async |store| {
        check("migrate", store.migrate(START).await);
        body(store).await;
    })
    .await;
}

/// As [`on_both`], with stores that are not yet migrated.
///
/// # Panics
/// As [`on_both`].
pub async fn on_both_unmigrated(body: impl AsyncFn(Store)) {
    let directory = check("temporary directory", tempfile::tempdir());
    let store = check(
        "open",
        Store::open(&Location::Directory(directory.path().join("data"))).await,
    );
    body(store.clone()).await;
    store.close().await;
    if let Some(server) = postgres_server() {
        let url = new_database(server).await;
        let store = check("open", Store::open(&Location::Postgres(url)).await);
        body(store.clone()).await;
        store.close().await;
    }
}

/// The URL of a new, empty Postgres database, or `None` where there is no server.
///
/// # Panics
/// As [`on_both`].
pub async fn postgres_database() -> Option<String> {
    match postgres_server() {
        None => None,
        Some(server) => Some(new_database(server).await),
    }
}

struct Server {
    url: String,
    // Its standard input stays open as long as this process lives; then the script removes the server.
    _holder: Option<Child>,
}

fn postgres_server() -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(find_server) {
        Ok(server) => Some(server),
        Err(reason) => {
            assert!(
                variable("CI").as_deref() != Some("true"),
                "no Postgres server for the tests: {reason}"
            );
            // Not eprintln: the test harness swallows it when the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED on Postgres: {reason}");
            None
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests take their servers from the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn find_server() -> Result<Server, String> {
    if let Some(url) = variable("TOLLGATE_TEST_POSTGRES_URL") {
        return Ok(Server { url, _holder: None });
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/postgres.sh");
    let found = Command::new(&script)
        .arg("find")
        .output()
        .map_err(|error| error.to_string())?;
    if !found.status.success() {
        return Err(String::from_utf8_lossy(&found.stderr).trim().to_owned());
    }
    start_server(&script).map_err(|error| error.to_string())
}

fn start_server(script: &Path) -> std::io::Result<Server> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let directory = PathBuf::from("/tmp").join(format!("tollgate-postgres-{}-{port}", std::process::id()));
    let mut holder = Command::new(script)
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
        return Err(std::io::Error::other("tests/servers/postgres.sh did not become ready"));
    }
    Ok(Server {
        url: format!("postgres://postgres:postgres@127.0.0.1:{port}/postgres"),
        _holder: Some(holder),
    })
}

async fn new_database(server: &Server) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "tollgate_test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let mut connection = check("connect", PgConnection::connect(&server.url).await);
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name}"),
    ] {
        check(
            "create database",
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await,
        );
    }
    check("disconnect", connection.close().await);
    let (base, options) = server
        .url
        .split_once('?')
        .map_or((server.url.as_str(), None), |(base, rest)| (base, Some(rest)));
    let root = base.rsplit_once('/').map_or(base, |(root, _)| root);
    options.map_or_else(
        || format!("{root}/{name}"),
        |options| format!("{root}/{name}?{options}"),
    )
}

fn check<T, E: std::fmt::Debug>(step: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{step}: {error:?}"))
}
