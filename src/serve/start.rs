//! Starting, in order, and stopping.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use analytics::Embedded;
use billing::Billing;
use counters::Counters;
use domain::billable::{Policy, billable};
use domain::clock::Clock;
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::Outcome;
use gateway::Gateway;
use journal::Journal;
use mail::Mailer;
use metering::{Currency, Metering};
use portal::{DueRun, DueRuns, Freshness, GatewayStatus, Gateways, Hooks, Portal, QuotaQuery, QuotaUse};
use serving::health::Health;
use serving::tls::ServerTls;
use snapshot::Feed;
use store::{Location, Store};
use telemetry::{Logs, Metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{Error, baseline, data_dir, ops, tls, upkeep};
use crate::config::{Config, Environment, WhenFull};

/// Mails that wait when the process ends get so long for one more try.
const MAIL_LIMIT: Duration = Duration::from_secs(5);
const ADMIN_FILE: &str = "first-admin";

/// A person who may log in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) role: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

/// A running platform.
pub(crate) struct Running {
    config: Config,
    health: Arc<Health>,
    portal: portal::Running,
    gateway: gateway::Running,
    metering: Metering,
    billing: Billing,
    journal: Arc<Journal>,
    store: Store,
    clock: Clock,
    analytics: Embedded,
    admin: portal::FirstAdmin,
    admin_token: String,
    mailer: Mailer,
    tasks: Vec<JoinHandle<()>>,
}

/// Everything that the services share.
struct Base {
    clock: Clock,
    store: Store,
    analytics: Embedded,
    journal: Arc<Journal>,
}

async fn open(config: &Config) -> Result<Base, Error> {
    let clock = Clock::system();
    let location = match &config.store_url {
        Some(url) => Location::parse(url),
        None => Location::Directory(config.data_dir.clone()),
    };
    let store = Store::open(&location).await?;
    store.migrate(clock.now()).await?;
    let analytics = Embedded::open(&config.data("analytics.db")).await?;
    Ok(Base {
        journal: open_journal(config, &clock)?,
        clock,
        store,
        analytics,
    })
}

fn open_journal(config: &Config, clock: &Clock) -> Result<Arc<Journal>, Error> {
    let now = clock.clone();
    let wall = Arc::new(move || now.now().as_millis());
    let mut settings = journal::Settings::new(config.data("journal"), wall).map_err(Error::JournalSettings)?;
    settings.node.clone_from(&config.node);
    settings.max_bytes = config.journal_max_bytes;
    settings.segment_bytes = segment_bytes(config.journal_max_bytes);
    Ok(Arc::new(Journal::open(settings)?))
}

/// A sixteenth of the whole, within what the journal takes, so that freeing works in small steps.
fn segment_bytes(max_bytes: u64) -> u64 {
    (max_bytes / 16).clamp(64 << 10, 4 << 20) & !4095
}

/// Starts everything. When it returns, the gateway accepts and the process is ready.
///
/// # Errors
/// Why it did not start; what had started ends with the process.
pub(crate) async fn start(config: Config, environment: &Environment) -> Result<Running, Error> {
    if !config.not_built.is_empty() {
        return Err(Error::NotBuilt(config.not_built.join("\n")));
    }
    let logs = Logs::start(config.log_format, &config.log_filter)?;
    data_dir::prepare(&config.data_dir)?;
    let master_key = data_dir::master_key(&config.master_key_file)?;
    let portal_tls = config.portal_tls.as_ref().map(tls::load).transpose()?;
    let gateway_tls = config.gateway_tls.as_ref().map(tls::load).transpose()?;
    let health = Arc::new(Health::new());
    for condition in ["snapshot", "journal replayed", "gateway"] {
        health.set(condition, false);
    }
    let metrics = Metrics::default();
    let mut tasks = vec![serve_ops(&config, &health, &metrics).await?];
    let base = open(&config).await?;
    let metering = start_metering(&base);
    metrics.register(|registry| metering.register(registry));
    metering.currency().caught_up().await?;
    health.set("journal replayed", true);
    let admin = first_admin(&config, &base, environment).await?;
    let (publisher, feed) = empty_feed(&master_key)?;
    let wake = Wake::default();
    let billing = start_billing(&base, metering.currency(), wake.clone());
    let hooks = hooks(
        &base,
        metering.currency(),
        billing.handle(),
        Seen {
            feed: feed.clone(),
            node: config.node.clone(),
        },
    );
    let mailer = start_mailer(&config, &metrics)?;
    let portal = Portal::start(
        portal_settings(&config, portal_tls.as_ref(), environment),
        portal::Parts {
            store: base.store.clone(),
            analytics: base.analytics.clone(),
            clock: base.clock.clone(),
            master_key,
            feed: publisher,
            hooks,
            mailer: mailer.clone(),
        },
    )
    .await?;
    wake.set(portal.waker());
    health.set("snapshot", true);
    let (gateway, counters) = start_gateway(&config, &base, &feed, gateway_tls.clone(), &metrics).await?;
    tasks.extend(start_upkeep(&base, counters, &feed));
    portal.gateway_at(&reachable(&config.gateway_public_url, gateway.local_addr()));
    health.set("gateway", true);
    let certificates = [
        (gateway_tls, config.gateway_tls.clone()),
        (portal_tls, config.portal_tls.clone()),
    ];
    tasks.push(tokio::spawn(reload_on_hangup(
        certificates,
        logs,
        config.log_filter.clone(),
    )));
    let admin_token = admin_token(&config, &admin, environment);
    Ok(Running {
        config,
        health,
        portal,
        gateway,
        metering,
        billing,
        journal: base.journal,
        store: base.store,
        clock: base.clock,
        analytics: base.analytics,
        admin,
        admin_token,
        mailer,
        tasks,
    })
}

fn start_mailer(config: &Config, metrics: &Metrics) -> Result<Mailer, Error> {
    let mailer = Mailer::start(&config.mail)?;
    metrics.register(|registry| mailer.register(registry));
    Ok(mailer)
}

fn start_upkeep(base: &Base, counters: Counters, feed: &Feed) -> [JoinHandle<()>; 2] {
    let (store, analytics, clock) = (base.store.clone(), base.analytics.clone(), base.clock.clone());
    [
        tokio::spawn(upkeep::sweep(counters, clock.clone())),
        tokio::spawn(upkeep::purge(store, analytics, feed.clone(), clock)),
    ]
}

/// A public address whose port was left to the system, with the port that it has given.
fn reachable(url: &str, addr: SocketAddr) -> String {
    match url.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", addr.port()),
        None => url.to_owned(),
    }
}

/// What the portal is told of the process configuration.
fn portal_settings(config: &Config, tls: Option<&Arc<ServerTls>>, environment: &Environment) -> portal::Settings {
    portal::Settings {
        listen: config.portal_listen,
        // Without a free port in it, the address is the one that was configured.
        public_url: Some(config.portal_public_url.clone()).filter(|url| !url.ends_with(":0")),
        tls: tls.cloned(),
        trusted_proxies: portal::TrustedProxies(config.trusted_proxies.clone()),
        test_clock: if environment.test_clock() {
            portal::TestClock::On
        } else {
            portal::TestClock::Off
        },
    }
}

async fn serve_ops(config: &Config, health: &Arc<Health>, metrics: &Metrics) -> Result<JoinHandle<()>, Error> {
    let address = config.ops_listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Ops { address, source })?;
    let state = ops::Ops {
        health: Arc::clone(health),
        metrics: metrics.clone(),
    };
    Ok(tokio::spawn(async move {
        if let Err(error) = ops::serve(listener, state).await {
            tracing::error!(%error, "health and metrics are no longer served");
        }
    }))
}

fn start_metering(base: &Base) -> Metering {
    Metering::start(metering::Parts {
        store: base.store.clone(),
        analytics: base.analytics.clone(),
        journal: Arc::clone(&base.journal),
        clock: base.clock.clone(),
    })
}

fn empty_feed(master_key: &domain::sealed::MasterKey) -> Result<(snapshot::Publisher, Feed), Error> {
    Ok(Feed::new(snapshot::compile(None, std::iter::empty(), 0, master_key)?))
}

async fn start_gateway(
    config: &Config,
    base: &Base,
    feed: &Feed,
    tls: Option<Arc<ServerTls>>,
    metrics: &Metrics,
) -> Result<(gateway::Running, Counters), Error> {
    let counters = Counters::default();
    let (snapshot, now) = (feed.current(), base.clock.now());
    let since = (baseline::calendar_since(now), baseline::periods_since(&snapshot, now));
    let uses = base.store.used_since(since.0, since.1).await?;
    counters.load_baseline(baseline::baselines(&snapshot, &uses, now));
    let counted = gateway::Metrics::default();
    metrics.register(|registry| counted.register(registry));
    let mut settings = gateway::Settings::new(config.gateway_listen);
    settings.threads = config.gateway_threads;
    settings.tls = tls;
    settings.trusted_proxies = gateway::TrustedProxies(config.trusted_proxies.clone());
    settings.when_full = match config.journal_when_full {
        WhenFull::Shed => gateway::WhenFull::Shed,
        WhenFull::ServeUnmetered => gateway::WhenFull::ServeUnmetered,
    };
    let parts = gateway::Parts {
        feed: feed.clone(),
        journal: Arc::clone(&base.journal),
        counters: counters.clone(),
        clock: base.clock.clone(),
        metrics: counted,
    };
    Ok((Gateway::start(&settings, &parts)?, counters))
}

/// Tells the portal's publisher, once there is one.
#[derive(Clone, Default)]
struct Wake(Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>);

impl Wake {
    fn set(&self, wake: impl Fn() + Send + Sync + 'static) {
        // There is one publisher a process.
        let _ = self.0.set(Box::new(wake));
    }

    fn call(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

fn start_billing(base: &Base, currency: Currency, wake: Wake) -> Billing {
    Billing::start(billing::Parts {
        store: base.store.clone(),
        clock: base.clock.clone(),
        freshness: billing::Freshness::new(move || {
            let currency = currency.clone();
            async move { Ok(currency.caught_up().await?) }
        }),
        changed: Box::new(move || wake.call()),
    })
}

/// What the gateway of this process serves from.
struct Seen {
    feed: Feed,
    node: String,
}

impl Seen {
    fn status(&self, clock: &Clock) -> GatewayStatus {
        GatewayStatus {
            node: self.node.clone(),
            region: String::new(),
            revision: i64::try_from(self.feed.current().revision()).unwrap_or(i64::MAX),
            seen_at: clock.now(),
        }
    }
}

fn hooks(base: &Base, currency: Currency, billing: billing::Handle, seen: Seen) -> Hooks {
    let (store, fresh) = (base.store.clone(), currency.clone());
    let clock = base.clock.clone();
    Hooks {
        freshness: Freshness::new(move |()| {
            let currency = currency.clone();
            async move { Ok(currency.caught_up().await?) }
        }),
        quota_use: QuotaUse::new(move |query| {
            let (store, fresh) = (store.clone(), fresh.clone());
            async move {
                fresh.caught_up().await?;
                Ok(quota_use(&store, &query).await?)
            }
        }),
        due_runs: DueRuns::new(move |at| {
            let billing = billing.clone();
            async move {
                let started = billing.start_due(at).await?;
                let done = async move { Ok(started.done.await.map(drop)?) };
                Ok(DueRun {
                    id: started.id,
                    done: Box::pin(done),
                })
            }
        }),
        gateways: Gateways::new(move |()| {
            let status = seen.status(&clock);
            async move { Ok(vec![status]) }
        }),
    }
}

/// Billed use by meter, under the policy that reservations return by.
async fn quota_use(store: &Store, query: &QuotaQuery) -> Result<Vec<Quantity>, store::Error> {
    let period = store
        .period_totals(query.subscription, query.window.start, Mode::Live)
        .await?;
    let billed = |meter: &String| {
        let totals = period.totals.iter().filter(|total| total.meter == *meter);
        totals
            .map(|total| {
                let outcome = Outcome::from_class_key(&total.outcome);
                outcome.map_or(Quantity::ZERO, |outcome| {
                    billable(Policy::V1, &outcome).of(total.quantity)
                })
            })
            .sum()
    };
    Ok(query.meters.iter().map(billed).collect())
}

async fn first_admin(config: &Config, base: &Base, environment: &Environment) -> Result<portal::FirstAdmin, Error> {
    let text = |name| environment.get(name).map(str::to_owned);
    let wish = portal::AdminWish {
        token: text("TOLLGATE_ADMIN_TOKEN"),
        email: text("TOLLGATE_ADMIN_EMAIL"),
        password: text("TOLLGATE_ADMIN_PASSWORD"),
    };
    let made = portal::ensure_first_admin(&base.store, &base.clock, wish)
        .await
        .map_err(|error| Error::FirstAdmin(error.into()))?;
    let lines: Vec<String> = [
        ("token", &made.token),
        ("email", &made.email),
        ("password", &made.password),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}\n")))
    .collect();
    let path = config.data(ADMIN_FILE);
    if made.token.is_some() && !path.exists() {
        data_dir::write_private(&path, &lines.concat())?;
    }
    Ok(made)
}

/// The admin token as far as this start knows it: given, made now, or in the file of the first start.
fn admin_token(config: &Config, made: &portal::FirstAdmin, environment: &Environment) -> String {
    let given = environment.get("TOLLGATE_ADMIN_TOKEN").map(str::to_owned);
    given
        .or_else(|| made.token.clone())
        .or_else(|| from_file(config, "token"))
        .unwrap_or_default()
}

fn from_file(config: &Config, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(config.data(ADMIN_FILE)).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

type Certificate = (Option<Arc<ServerTls>>, Option<crate::config::TlsFiles>);

async fn reload_on_hangup(certificates: [Certificate; 2], logs: Logs, filter: String) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangup.recv().await.is_some() {
        for (tls, files) in &certificates {
            let (Some(tls), Some(files)) = (tls, files) else {
                continue;
            };
            match tls::reload(tls, files) {
                Ok(()) => tracing::info!(cert = %files.cert.display(), "certificate loaded again"),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the old certificate stays"),
            }
        }
        if let Err(error) = logs.set_filter(&filter) {
            tracing::error!(%error, "the old log filter stays");
        }
    }
}

impl Running {
    /// The admin token; empty where only its hash is known.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// People who may log in, as far as their passwords are known.
    pub(crate) fn logins(&self) -> Vec<Login> {
        let known = |made: &Option<String>, name| made.clone().or_else(|| from_file(&self.config, name));
        let (email, password) = (
            known(&self.admin.email, "email"),
            known(&self.admin.password, "password"),
        );
        let login = |(email, password)| Login {
            role: "admin".to_owned(),
            email,
            password,
        };
        email.zip(password).map(login).into_iter().collect()
    }

    /// Store and clock, for a demo that makes people.
    pub(crate) fn base(&self) -> (Store, Clock) {
        (self.store.clone(), self.clock.clone())
    }

    /// Tells where everything is, and what was generated, once.
    pub(crate) fn announce(&self) {
        println!("gateway    {}", self.config.gateway_public_url);
        println!("portal     {}", self.config.portal_public_url);
        println!("ops        http://{}", self.config.ops_listen);
        if let Some(token) = &self.admin.token {
            println!(
                "admin token (shown once, also in {}): {token}",
                self.config.data(ADMIN_FILE).display()
            );
        }
        if let (Some(email), Some(password)) = (&self.admin.email, &self.admin.password) {
            println!("admin login: {email} {password}");
        }
        let address: SocketAddr = self.gateway.local_addr();
        tracing::info!(gateway = %address, portal = %self.portal.addr, ops = %self.config.ops_listen, "ready");
    }

    /// Drains the gateway, counts what is left and stops in order.
    pub(crate) async fn stop(self) {
        self.health.drain();
        self.gateway.drain(self.config.drain_timeout);
        let gateway = self.gateway;
        match tokio::task::spawn_blocking(move || gateway.join()).await {
            Ok(0) => {}
            Ok(cut) => tracing::warn!(connections = cut, "connections were cut at the end of the drain"),
            Err(error) => tracing::error!(%error, "a gateway thread ended by a panic"),
        }
        self.metering.stop().await;
        self.billing.stop().await;
        self.portal.shutdown().await;
        self.mailer.stop(MAIL_LIMIT).await;
        if let Err(error) = self.journal.close() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the journal could not be closed"
            );
        }
        for task in self.tasks {
            task.abort();
        }
        self.store.close().await;
        self.analytics.close().await;
    }
}
