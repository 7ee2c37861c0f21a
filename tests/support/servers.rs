//! Real servers on private ports with private data, started by the scripts of `tests/servers` and ended with the test.
//!
//! Where a server's programs are missing, a contributor's test says so and passes over; in CI (`CI=true`) it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ports;

/// A running server.
pub struct Server {
    script: PathBuf,
    port: u16,
    dir: PathBuf,
}

/// Whether the programs of all these servers are there. Says which are not.
pub fn are_there(names: &[&str]) -> bool {
    let missing: Vec<_> = names.iter().filter(|name| !run(&script(name), &["find"])).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var("CI").is_err(), "servers are missing: {missing:?}");
    println!("skipped: {missing:?} are not installed");
    false
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/{name}.sh"))
}

fn run(script: &Path, arguments: &[&str]) -> bool {
    let done = Command::new("bash").arg(script).args(arguments).output().unwrap();
    if !done.status.success() && arguments != ["find"] {
        eprintln!("{}: {}", script.display(), String::from_utf8_lossy(&done.stderr));
    }
    done.status.success()
}

impl Server {
    /// Starts one and waits until it answers.
    pub fn start(name: &str) -> Self {
        // A broker also takes the two behind its own.
        let port = ports::row(2);
        // The server's own user must be able to enter it.
        let dir = PathBuf::from("/tmp").join(format!("tollgate-fleet-{name}-{}-{port}", std::process::id()));
        let server = Self {
            script: script(name),
            port,
            dir,
        };
        server.restart();
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again on what it had.
    pub fn restart(&self) {
        assert!(self.call("start", &[&self.port.to_string()]), "not started");
    }

    /// An orderly stop.
    pub fn stop(&self) {
        assert!(self.call("stop", &[]), "not stopped");
    }

    /// `kill -9`.
    pub fn kill(&self) {
        assert!(self.call("kill", &[]), "not killed");
    }

    /// SIGSTOP: it holds its connections and answers nothing.
    pub fn pause(&self) {
        assert!(self.call("pause", &[]), "not paused");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        assert!(self.call("resume", &[]), "not resumed");
    }

    fn call(&self, what: &str, arguments: &[&str]) -> bool {
        let dir = self.dir.to_string_lossy().into_owned();
        let all: Vec<&str> = [what].iter().chain(arguments).copied().chain([dir.as_str()]).collect();
        run(&self.script, &all)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.call("kill", &[]);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
