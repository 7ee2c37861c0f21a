//! Private Redis servers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A server, three of a Cluster, or six with Sentinel. Ends with the test.
pub(crate) struct Servers {
    pub(crate) url: String,
    pub(crate) port: u16,
    directory: PathBuf,
    holder: Child,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/redis.sh")
}

#[expect(clippy::disallowed_methods, reason = "tests look at their environment")]
fn is_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// The first of `count` ports that are free together with their Cluster buses. Below what the system gives out itself.
fn ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 500).unwrap() * 20;
    loop {
        let first = 12_000 + (spread + NEXT.fetch_add(20, Ordering::Relaxed)) % 10_000;
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(|port| free(port) && free(port + 10_000)) {
            return first;
        }
    }
}

impl Servers {
    /// Starts servers, or names the test as skipped.
    pub(crate) fn start(kind: &str, test: &str) -> Option<Self> {
        let found = Command::new(script()).arg("find").output().unwrap();
        if !found.status.success() {
            let reason = String::from_utf8_lossy(&found.stderr).trim().to_owned();
            assert!(!is_ci(), "no Redis for {test}: {reason}");
            // Not eprintln: the test harness swallows it when the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED on Redis ({kind}): {test}: {reason}");
            return None;
        }
        let port = ports(6);
        let directory = PathBuf::from("/tmp").join(format!("tollgate-redis-{}-{port}", std::process::id()));
        let mut holder = Command::new(script())
            .args(["hold", kind, &port.to_string()])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "ready", "tests/servers/redis.sh hold {kind}");
        let url = match kind {
            "cluster" => format!("redis+cluster://127.0.0.1:{port},127.0.0.1:{}", port + 1),
            "sentinel" => format!(
                "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/tollgate",
                port + 3,
                port + 4
            ),
            _ => format!("redis://127.0.0.1:{port}"),
        };
        Some(Self {
            url,
            port,
            directory,
            holder,
        })
    }

    /// `server`, `kill`, `pause` or `resume` the server of a port.
    pub(crate) fn control(&self, what: &str, port: u16) {
        let done = Command::new(script())
            .args([what, &port.to_string()])
            .arg(&self.directory)
            .status();
        assert!(done.unwrap().success(), "{what} {port}");
    }

    /// A command to the server of a port.
    pub(crate) fn command(port: u16, words: &[&str]) -> String {
        let done = Command::new("redis-cli")
            .args(["-p", &port.to_string()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ended = self.holder.wait();
    }
}
