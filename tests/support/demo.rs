//! The demo as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::Api;
use super::client::Client;
use super::{guarded, ports};

/// The demo as a process.
pub struct Demo {
    pub child: Child,
    pub facts: Value,
    pub ready: Duration,
}

/// An offset at which the three default ports are free.
fn offset() -> u16 {
    let taken = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_err();
    std::iter::repeat_with(|| ports::free().saturating_sub(8080) % 20_000 + 1_000)
        .find(|offset| !(0..3).any(|port| taken(8080 + port + offset)))
        .unwrap()
}

impl Demo {
    pub fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Self::run(command, data_dir, more)
    }

    /// A demo that is meant to be kept in a static: it ends with this process, and `folder` goes with it.
    pub fn start_for_all(folder: &Path, more: &[&str]) -> Self {
        let command = guarded::command(env!("CARGO_BIN_EXE_tollgate"), Some(folder));
        Self::run(command, &folder.join("data"), more)
    }

    fn run(mut command: Command, data_dir: &Path, more: &[&str]) -> Self {
        let started = Instant::now();
        let mut child = command
            .args(["demo", "--json", "--port-offset", &offset().to_string(), "--data-dir"])
            .arg(data_dir)
            .args(more)
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

    pub fn text(&self, name: &str) -> &str {
        self.facts[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.facts))
    }

    pub fn client(&self, name: &str) -> Client {
        Client::new(address(self.text(name)))
    }

    pub fn api(&self) -> Api {
        Api::new(address(self.text("portal")), self.text("admin_token"))
    }

    /// Memory that the process holds, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub fn stop(mut self) -> ExitStatus {
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

pub fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

pub fn listens(address: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

pub fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
