//! The platform as a process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::api::Api;
use super::client::Client;
use super::ports;

/// The token of the first admin in tests.
pub const ADMIN_TOKEN: &str = "tgt_test_admin_token_of_this_run_0123456789abcdef";

/// How a platform is started; the same for every restart.
pub struct Settings {
    pub data_dir: PathBuf,
    pub environment: Vec<(String, String)>,
    /// What the process does; everything unless said.
    pub roles: Option<&'static str>,
    gateway: u16,
    portal: u16,
    ops: u16,
}

impl Settings {
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            environment: Vec::new(),
            roles: None,
            gateway: ports::free(),
            portal: ports::free(),
            ops: ports::free(),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_test_clock(self) -> Self {
        self.with("TOLLGATE_TEST_CLOCK", "1")
    }

    #[must_use]
    pub fn with_roles(mut self, roles: &'static str) -> Self {
        self.roles = Some(roles);
        self
    }

    pub fn start(self) -> Platform {
        let mut platform = Platform {
            child: None,
            settings: self,
        };
        platform.restart();
        platform
    }
}

/// A running platform.
pub struct Platform {
    child: Option<Child>,
    pub settings: Settings,
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Platform {
    pub fn gateway(&self) -> SocketAddr {
        local(self.settings.gateway)
    }

    pub fn portal(&self) -> SocketAddr {
        local(self.settings.portal)
    }

    pub fn ops(&self) -> SocketAddr {
        local(self.settings.ops)
    }

    pub fn api(&self) -> Api {
        Api::new(self.portal(), ADMIN_TOKEN)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Starts the process, which must not run, and waits until it is ready.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) {
        let settings = &self.settings;
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(settings.data_dir.with_extension("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .arg("--data-dir")
            .arg(&settings.data_dir)
            .args(settings.roles.iter().flat_map(|roles| ["--roles", *roles]))
            .env("TOLLGATE_GATEWAY_LISTEN", self.gateway().to_string())
            .env("TOLLGATE_PORTAL_LISTEN", self.portal().to_string())
            .env("TOLLGATE_OPS_LISTEN", self.ops().to_string())
            .env("TOLLGATE_ADMIN_TOKEN", ADMIN_TOKEN)
            .envs(settings.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub fn is_ready(&self) -> bool {
        let mut client = Client::new(self.ops());
        client.timeout = Duration::from_secs(2);
        client
            .get("/readyz", &[("Connection", "close")])
            .is_ok_and(|answer| answer.status == 200)
    }

    pub fn wait_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_ready() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the platform ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "the platform is not ready\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the process wrote to standard error, over all its runs.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.settings.data_dir.with_extension("log")).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, then waits for the end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "{name} could not be sent");
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Everything that it shows to Prometheus.
    pub fn metrics(&self) -> String {
        let answer = Client::new(self.ops()).get("/metrics", &[("Connection", "close")]);
        answer.unwrap().text()
    }

    /// The sum of a metric over its labels; 0 when it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            matches!(rest.as_bytes().first(), Some(b'{' | b' ')).then(|| rest.rsplit(' ').next())?
        });
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- last lines of the platform's log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.kill();
    }
}
