//! The platform in processes of their own: portal, metering, billing and gateways on PostgreSQL, Kafka and ClickHouse.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection as _;

use super::api::{Api, Subscriber, text};
use super::client::Client;
use super::platform::{Platform, Settings};
use super::servers::Server;
use super::upstream::Upstream;
use super::world::configuration;

/// Servers that a fleet needs.
pub const SERVERS: [&str; 3] = ["postgres", "kafka", "clickhouse"];

/// A machine has room for one fleet at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Everything of one test. Fields are dropped in this order: processes before servers, servers before folders.
pub struct Fleet {
    pub gateways: Vec<Platform>,
    pub metering: Platform,
    pub billing: Platform,
    pub portal: Platform,
    pub upstream: Upstream,
    pub postgres: Server,
    pub kafka: Server,
    pub clickhouse: Server,
    pub dir: tempfile::TempDir,
    _only: MutexGuard<'static, ()>,
}

fn node(dir: &Path, name: &str, roles: &'static str, servers: [&Server; 3]) -> Settings {
    let [postgres, kafka, clickhouse] = servers.map(Server::port);
    Settings::new(&dir.join(name))
        .with_roles(roles)
        .with_test_clock()
        .with("TOLLGATE_NODE", name)
        .with(
            "TOLLGATE_STORE_URL",
            &format!("postgres://postgres:postgres@127.0.0.1:{postgres}/postgres"),
        )
        .with("TOLLGATE_USAGE_URL", &format!("kafka://127.0.0.1:{kafka}/usage"))
        .with(
            "TOLLGATE_ANALYTICS_URL",
            &format!("clickhouse+http://default@127.0.0.1:{clickhouse}/tollgate"),
        )
        .with(
            "TOLLGATE_SECRETS_MASTER_KEY_FILE",
            &dir.join("master.key").to_string_lossy(),
        )
}

impl Fleet {
    /// Starts servers, portal, metering, billing and so many gateways, and applies a plan with these limits.
    pub fn start(gateways: usize, limits: &Value) -> Self {
        Self::start_with(gateways, limits, |gateway| gateway)
    }

    /// The same, with gateways that share their counters.
    pub fn start_sharing(gateways: usize, limits: &Value, counters: &str) -> Self {
        Self::start_with(gateways, limits, |gateway| {
            gateway.with("TOLLGATE_COUNTERS_URL", counters)
        })
    }

    /// The same, with gateways that are set up as wished.
    pub fn start_with(gateways: usize, limits: &Value, adjust: impl Fn(Settings) -> Settings) -> Self {
        let only = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let (postgres, kafka, clickhouse) = std::thread::scope(|scope| {
            let [postgres, kafka, clickhouse] = SERVERS.map(|name| scope.spawn(move || Server::start(name)));
            (
                postgres.join().unwrap(),
                kafka.join().unwrap(),
                clickhouse.join().unwrap(),
            )
        });
        let servers = [&postgres, &kafka, &clickhouse];
        let upstream = Upstream::start(dir.path());
        let portal = node(dir.path(), "portal", "portal", servers).start();
        let api = portal.api();
        api.put("/config", configuration(&upstream.url, limits));
        let token = api.post("/tokens", json!({ "name": "gateways", "scopes": ["gateways:connect"] }));
        let (token, control) = (text(&token["secret"]), format!("http://{}", portal.portal()));
        let metering = node(dir.path(), "metering", "metering", servers).start();
        let billing = node(dir.path(), "billing", "billing", servers).start();
        let gateway = |number: usize| {
            let settings = node(dir.path(), &format!("gateway-{number}"), "gateway", servers)
                .with("TOLLGATE_CONTROL_URL", &control)
                .with("TOLLGATE_CONTROL_TOKEN", &token)
                .with("TOLLGATE_GATEWAY_THREADS", "1");
            adjust(settings).start()
        };
        Self {
            gateways: (1..=gateways).map(gateway).collect(),
            metering,
            billing,
            portal,
            upstream,
            postgres,
            kafka,
            clickhouse,
            dir,
            _only: only,
        }
    }

    pub fn api(&self) -> Api {
        self.portal.api()
    }

    /// A subscriber whose key every gateway knows.
    pub fn subscriber(&self, name: &str) -> Subscriber {
        let subscriber = self.api().subscriber(name, "echo", "standard", json!({}));
        for gateway in &self.gateways {
            until("a gateway learns of a new key", Duration::from_secs(10), || {
                status(gateway, &subscriber.key) != 401
            });
        }
        subscriber
    }

    /// Waits until the number of a subscription's facts stands still: everything on its way has come.
    pub fn quiet(&self, subscription: &str, deadline: Instant) {
        let path = format!("/usage?subscription={subscription}&from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z");
        let requests = || -> u64 {
            let usage = self.api().get(&path);
            let rows = usage["items"].as_array().unwrap().iter();
            rows.map(|row| row["requests"].as_u64().unwrap()).sum()
        };
        let (mut last, mut same) = (requests(), 0);
        while same < 4 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(500));
            let now = requests();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
    }

    /// A statement for PostgreSQL that changes one row, as somebody would who should not.
    pub fn postgres_says(&self, sql: &'static str) {
        let url = format!(
            "postgres://postgres:postgres@127.0.0.1:{}/postgres",
            self.postgres.port()
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let changed = runtime.block_on(async {
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
        });
        assert_eq!(changed, 1, "{sql}");
    }

    /// The same for ClickHouse.
    pub fn clickhouse_says(&self, sql: &str) {
        let mut client = Client::new(std::net::SocketAddr::from(([127, 0, 0, 1], self.clickhouse.port())));
        client.timeout = Duration::from_secs(60);
        let answer = client
            .send("POST", "/?user=default", &[("Connection", "close")], sql.as_bytes())
            .unwrap();
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
    }
}

/// What a key is answered on a gateway, without being counted.
pub fn status(gateway: &Platform, key: &str) -> u16 {
    let mut client = Client::new(gateway.gateway());
    client
        .get("/.tollgate/usage", &[("X-API-Key", key)])
        .map_or(0, |answer| answer.status)
}

/// Waits until something is so.
pub fn until(what: &str, limit: Duration, so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}
