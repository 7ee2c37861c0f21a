//! Starting what a process runs, in order, and stopping it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use analytics::Analytics;
use billing::Billing;
use domain::clock::Clock;
use domain::sealed::MasterKey;
use journal::Journal;
use mail::Mailer;
use metering::{Currency, Metering};
use reconciliation::Reconciler;
use serving::health::Health;
use serving::tls::ServerTls;
use snapshot::Feed;
use store::Store;
use telemetry::{Logs, Metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use usage_source::kafka::{KafkaSource, Shipper};
use usage_source::{Segments, UsageSource};

use super::control::{self, Seen, Wake};
use super::data_plane::{self, Fed, Ledger, Started};
use super::report::Reporter;
use super::sharing::{Link, Sharing};
use super::{Error, Roles, data_dir, follow, ops, reconciling, tls, upkeep};
use crate::config::{Config, Environment};

/// Mails that wait when the process ends get so long for one more try.
const MAIL_LIMIT: Duration = Duration::from_secs(5);

/// Usage that is not shipped when the process ends gets so long; the journal keeps the rest.
const SHIP_LIMIT: Duration = Duration::from_secs(5);

/// A person who may log in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) role: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

/// What every part of the process is started with.
pub(super) struct Shared<'a> {
    pub(super) config: &'a Config,
    pub(super) environment: &'a Environment,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) master_key: MasterKey,
}

/// The databases of the roles that have them.
pub(super) struct Books {
    pub(super) store: Store,
    /// Of portal and metering.
    pub(super) analytics: Option<Analytics>,
}

/// A running platform, or the roles of it that this process has.
pub(crate) struct Running {
    config: Config,
    health: Arc<Health>,
    clock: Clock,
    portal: Option<PortalSide>,
    gateway: Option<gateway::Running>,
    /// Where the gateway shares its counters.
    sharing: Option<Sharing>,
    metering: Option<Metering>,
    reconciler: Option<Reconciler>,
    billing: Option<Billing>,
    journal: Option<Arc<Journal>>,
    shipper: Option<Arc<Shipper>>,
    books: Option<Books>,
    /// Dropped at the end: it feeds the gateway.
    fed: Option<Fed>,
    tasks: Vec<JoinHandle<()>>,
}

struct PortalSide {
    portal: portal::Running,
    admin: portal::FirstAdmin,
    admin_token: String,
    mailer: Mailer,
}

async fn open_books(shared: &Shared<'_>, roles: Roles) -> Result<Option<Books>, Error> {
    if !roles.has_store() {
        return Ok(None);
    }
    let config = shared.config;
    let store = Store::open(&config.store_location()).await?;
    store.migrate(shared.clock.now()).await?;
    if shared.environment.test_clock()
        && let Some(reading) = store.test_clock().await?
    {
        shared.clock.follow(reading);
    }
    let analytics = if roles.portal || roles.metering {
        Some(open_analytics(config).await?)
    } else {
        None
    };
    Ok(Some(Books { store, analytics }))
}

/// Analytics on the server that the configuration names, else in the data directory.
pub(crate) async fn open_analytics(config: &Config) -> Result<Analytics, analytics::Error> {
    let Some(url) = &config.analytics_url else {
        return Analytics::embedded(&config.data("analytics.db")).await;
    };
    let settings = analytics::Settings {
        cluster: config.analytics_cluster.clone(),
        ..analytics::Settings::default()
    };
    analytics::open(url, &settings).await
}

/// The certificates of this process.
struct Certificates {
    portal: Option<Arc<ServerTls>>,
    gateway: Option<Arc<ServerTls>>,
}

impl Certificates {
    fn load(config: &Config, roles: Roles) -> Result<Self, Error> {
        let load = |wanted: bool, files: &Option<crate::config::TlsFiles>| {
            files.as_ref().filter(|_| wanted).map(tls::load).transpose()
        };
        Ok(Self {
            portal: load(roles.portal, &config.portal_tls)?,
            gateway: load(roles.gateway, &config.gateway_tls)?,
        })
    }

    /// Loads their files and the filter of the log again whenever the process is told to.
    fn reload_on_hangup(self, config: &Config, logs: Logs) -> impl Future<Output = ()> + use<> {
        let pairs = [
            (self.gateway, config.gateway_tls.clone()),
            (self.portal, config.portal_tls.clone()),
        ];
        reload(pairs, logs, config.log_filter.clone())
    }
}

/// Starts everything that the roles name. When it returns, the process is ready.
///
/// # Errors
/// Why it did not start; what had started ends with the process.
pub(crate) async fn start(config: Config, roles: Roles, environment: &Environment) -> Result<Running, Error> {
    if !config.not_built.is_empty() {
        return Err(Error::NotBuilt(config.not_built.join("\n")));
    }
    roles.check(&config)?;
    let logs = Logs::start(config.log_format, &config.log_filter)?;
    data_dir::prepare(&config.data_dir)?;
    let shared = Shared {
        config: &config,
        environment,
        health: Arc::new(Health::new()),
        metrics: Metrics::default(),
        clock: Clock::system(),
        master_key: master_key(&config, roles)?,
    };
    let certificates = Certificates::load(&config, roles)?;
    for condition in roles.conditions() {
        shared.health.set(condition, false);
    }
    let mut tasks = vec![serve_ops(&shared).await?];
    let books = open_books(&shared, roles).await?;
    let opening = || data_plane::open_journal(&config, &shared.clock);
    let journal = roles.gateway.then(opening).transpose()?;
    let shipper = journal.as_ref().map(|journal| data_plane::ship(&shared, journal));
    let shipper = shipper.transpose()?.flatten();
    let metering = start_metering(&shared, books.as_ref(), journal.as_ref(), roles).await?;
    // What travels over a topic is counted when it is: nobody waits for it.
    let direct = metering.as_ref().filter(|_| config.usage_kafka.is_none());
    let currency = direct.map(Metering::currency);
    let (publisher, feed) = empty_feed(&shared.master_key)?;
    let wake = Wake::default();
    let reconciler = reconciling::start(&shared, books.as_ref(), roles);
    let counting = (currency.clone(), reconciler.as_ref());
    let billing = start_billing(&shared, books.as_ref(), counting, wake.clone(), roles);
    let mut control = Control {
        publisher: Some(publisher),
        currency,
        billing: billing.as_ref().map(Billing::handle),
        feed: feed.clone(),
        wake,
    };
    let portal = control.portal(&shared, books.as_ref(), &certificates, roles).await?;
    let fed = match control.publisher.take() {
        Some(publisher) if roles.gateway => Some(data_plane::feed(&shared, publisher).await?),
        _ => None,
    };
    let sources = (journal.as_ref(), books.as_ref(), fed.as_ref());
    let gateway = start_gateway(&shared, &certificates, sources, &feed).await?;
    let (gateway, counters, sharing) = apart(gateway);
    let link = sharing.as_ref().map(|sharing| Arc::clone(&sharing.link));
    if let Some(side) = &portal {
        let address = gateway.as_ref().map(gateway::Running::local_addr);
        side.portal.gateway_at(&reachable(&config.gateway_public_url, address));
    }
    tasks.extend(start_upkeep(&shared, books.as_ref(), &feed, roles));
    tasks.extend(counters.map(|counters| tokio::spawn(upkeep::sweep(counters, shared.clock.clone()))));
    let held = (shipper.clone(), link);
    tasks.extend(fed.as_ref().map(|fed| report(&shared, fed, &feed, held)));
    tasks.push(tokio::spawn(certificates.reload_on_hangup(&config, logs)));
    let (health, clock) = (shared.health, shared.clock);
    for condition in roles.conditions() {
        health.set(condition, true);
    }
    Ok(Running {
        config,
        health,
        clock,
        portal,
        gateway,
        sharing,
        metering,
        reconciler,
        billing,
        journal,
        shipper,
        books,
        fed,
        tasks,
    })
}

/// The key that seals secrets: made by a process that has the portal, else the one that it made.
fn master_key(config: &Config, roles: Roles) -> Result<MasterKey, Error> {
    if !roles.portal && roles.gateway && !config.master_key_file.exists() {
        return Err(Error::MasterKey(config.master_key_file.clone()));
    }
    Ok(data_dir::master_key(&config.master_key_file)?)
}

async fn start_metering(
    shared: &Shared<'_>,
    books: Option<&Books>,
    journal: Option<&Arc<Journal>>,
    roles: Roles,
) -> Result<Option<Metering>, Error> {
    let (Some(books), true) = (books, roles.metering) else {
        return Ok(None);
    };
    let Some(analytics) = &books.analytics else {
        return Ok(None);
    };
    if let Some(settings) = &shared.config.usage_kafka {
        let source = KafkaSource::open(settings.clone())?;
        return Ok(Some(meter(shared, books, analytics, source)));
    }
    let Some(journal) = journal else { return Ok(None) };
    let metering = meter(shared, books, analytics, Segments::new(Arc::clone(journal)));
    metering.currency().caught_up().await?;
    Ok(Some(metering))
}

fn meter<S: UsageSource>(shared: &Shared<'_>, books: &Books, analytics: &Analytics, source: S) -> Metering {
    let metering = Metering::start(metering::Parts {
        store: books.store.clone(),
        analytics: analytics.clone(),
        source,
        clock: shared.clock.clone(),
    });
    shared.metrics.register(|registry| metering.register(registry));
    metering
}

fn start_billing(
    shared: &Shared<'_>,
    books: Option<&Books>,
    (currency, reconciler): (Option<Currency>, Option<&Reconciler>),
    wake: Wake,
    roles: Roles,
) -> Option<Billing> {
    let books = books.filter(|_| roles.billing)?;
    let freshness = match currency {
        Some(currency) => billing::Freshness::new(move |()| {
            let currency = currency.clone();
            async move { Ok(currency.caught_up().await?) }
        }),
        None => billing::Freshness::none(),
    };
    Some(Billing::start(billing::Parts {
        store: books.store.clone(),
        clock: shared.clock.clone(),
        freshness,
        reconciliation: reconciling::before_runs(&books.store, reconciler),
        changed: Box::new(move || wake.call()),
    }))
}

/// What the control plane of this process is made of.
struct Control {
    publisher: Option<snapshot::Publisher>,
    currency: Option<Currency>,
    billing: Option<billing::Handle>,
    feed: Feed,
    wake: Wake,
}

impl Control {
    async fn portal(
        &mut self,
        shared: &Shared<'_>,
        books: Option<&Books>,
        certificates: &Certificates,
        roles: Roles,
    ) -> Result<Option<PortalSide>, Error> {
        let (Some(books), true) = (books, roles.portal) else {
            return Ok(None);
        };
        let (Some(analytics), Some(publisher)) = (books.analytics.clone(), self.publisher.take()) else {
            return Ok(None);
        };
        let admin = control::first_admin(shared, &books.store).await?;
        let mailer = Mailer::start(&shared.config.mail)?;
        shared.metrics.register(|registry| mailer.register(registry));
        let seen = Seen {
            feed: self.feed.clone(),
            node: shared.config.node.clone(),
            region: shared.config.region.clone(),
            started_at: shared.clock.now(),
        };
        let plane = control::Plane {
            store: books.store.clone(),
            analytics,
            mailer: mailer.clone(),
            tls: certificates.portal.clone(),
            publisher,
            currency: self.currency.clone(),
            billing: self.billing.clone(),
            seen: roles.gateway.then_some(seen),
        };
        let portal = control::start(shared, plane).await?;
        self.wake.set(portal.waker());
        Ok(Some(PortalSide {
            portal,
            admin_token: control::admin_token(shared.config, &admin, shared.environment),
            admin,
            mailer,
        }))
    }
}

async fn start_gateway(
    shared: &Shared<'_>,
    certificates: &Certificates,
    (journal, books, fed): (Option<&Arc<Journal>>, Option<&Books>, Option<&Fed>),
    feed: &Feed,
) -> Result<Option<Started>, Error> {
    let Some(journal) = journal else { return Ok(None) };
    shared.health.set("snapshot", true);
    let ledger = match (books, fed) {
        (Some(books), _) => Ledger::Here(books.store.clone()),
        (None, Some(fed)) => Ledger::There(fed.control.clone()),
        (None, None) => return Ok(None),
    };
    let plane = data_plane::Plane {
        journal: Arc::clone(journal),
        feed: feed.clone(),
        tls: certificates.gateway.clone(),
        ledger,
    };
    let started = data_plane::start(shared, plane).await?;
    shared.health.set("gateway", true);
    Ok(Some(started))
}

fn apart(started: Option<Started>) -> (Option<gateway::Running>, Option<counters::Counters>, Option<Sharing>) {
    started.map_or((None, None, None), |started| {
        (Some(started.running), Some(started.counters), started.sharing)
    })
}

fn report(
    shared: &Shared<'_>,
    fed: &Fed,
    feed: &Feed,
    (shipper, link): (Option<Arc<Shipper>>, Option<Arc<Link>>),
) -> JoinHandle<()> {
    let status = fed.remote.status();
    shared
        .metrics
        .register(|registry| data_plane::register(registry, &status));
    let reporter = Reporter {
        config: shared.config.clone(),
        control: fed.control.clone(),
        feed: feed.clone(),
        health: Arc::clone(&shared.health),
        clock: shared.clock.clone(),
        shipper,
        link,
    };
    reporter.start()
}

fn start_upkeep(shared: &Shared<'_>, books: Option<&Books>, feed: &Feed, roles: Roles) -> Vec<JoinHandle<()>> {
    let Some(books) = books else { return Vec::new() };
    let mut tasks = Vec::new();
    // The portal follows the clock with its publisher.
    if shared.environment.test_clock() && !roles.portal {
        tasks.push(tokio::spawn(follow::test_clock(
            books.store.clone(),
            shared.clock.clone(),
        )));
    }
    if let (Some(analytics), true) = (&books.analytics, roles.portal) {
        tasks.push(tokio::spawn(upkeep::purge(
            books.store.clone(),
            analytics.clone(),
            feed.clone(),
            shared.clock.clone(),
        )));
    }
    tasks
}

/// A public address whose port was left to the system, with the port that it has given.
fn reachable(url: &str, addr: Option<SocketAddr>) -> String {
    match (url.strip_suffix(":0"), addr) {
        (Some(host), Some(addr)) => format!("{host}:{}", addr.port()),
        _ => url.to_owned(),
    }
}

async fn serve_ops(shared: &Shared<'_>) -> Result<JoinHandle<()>, Error> {
    let address = shared.config.ops_listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Ops { address, source })?;
    let state = ops::Ops {
        health: Arc::clone(&shared.health),
        metrics: shared.metrics.clone(),
    };
    Ok(tokio::spawn(async move {
        if let Err(error) = ops::serve(listener, state).await {
            tracing::error!(%error, "health and metrics are no longer served");
        }
    }))
}

fn empty_feed(master_key: &MasterKey) -> Result<(snapshot::Publisher, Feed), Error> {
    Ok(Feed::new(snapshot::compile(None, std::iter::empty(), 0, master_key)?))
}

type Certificate = (Option<Arc<ServerTls>>, Option<crate::config::TlsFiles>);

async fn reload(certificates: [Certificate; 2], logs: Logs, filter: String) {
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
        self.portal.as_ref().map_or("", |side| &side.admin_token)
    }

    /// People who may log in, as far as their passwords are known.
    pub(crate) fn logins(&self) -> Vec<Login> {
        let Some(side) = &self.portal else { return Vec::new() };
        let known = |made: &Option<String>, name| made.clone().or_else(|| control::from_file(&self.config, name));
        let (email, password) = (
            known(&side.admin.email, "email"),
            known(&side.admin.password, "password"),
        );
        let login = |(email, password)| Login {
            role: "admin".to_owned(),
            email,
            password,
        };
        email.zip(password).map(login).into_iter().collect()
    }

    /// Store and clock, for a demo that makes people; `None` in a process that has no store.
    pub(crate) fn base(&self) -> Option<(Store, Clock)> {
        let books = self.books.as_ref()?;
        Some((books.store.clone(), self.clock.clone()))
    }

    /// Tells where everything is, and what was generated, once.
    pub(crate) fn announce(&self) {
        let config = &self.config;
        if self.gateway.is_some() {
            println!("gateway    {}", config.gateway_public_url);
        }
        if let Some(side) = &self.portal {
            println!("portal     {}", config.portal_public_url);
            if let Some(token) = &side.admin.token {
                println!(
                    "admin token (shown once, also in {}): {token}",
                    control::admin_file(config).display()
                );
            }
            if let (Some(email), Some(password)) = (&side.admin.email, &side.admin.password) {
                println!("admin login: {email} {password}");
            }
        }
        println!("ops        http://{}", config.ops_listen);
        let address = |addr: Option<SocketAddr>| addr.map(|addr| addr.to_string()).unwrap_or_default();
        tracing::info!(
            gateway = address(self.gateway.as_ref().map(gateway::Running::local_addr)),
            portal = address(self.portal.as_ref().map(|side| side.portal.addr)),
            ops = %config.ops_listen,
            "ready"
        );
    }

    /// Drains the gateway, counts what is left and stops in order.
    pub(crate) async fn stop(self) {
        self.health.drain();
        if let Some(gateway) = self.gateway {
            gateway.drain(self.config.drain_timeout);
            match tokio::task::spawn_blocking(move || gateway.join()).await {
                Ok(0) => {}
                Ok(cut) => tracing::warn!(connections = cut, "connections were cut at the end of the drain"),
                Err(error) => tracing::error!(%error, "a gateway thread ended by a panic"),
            }
        }
        let link = match self.sharing {
            Some(sharing) => Some(sharing.stop().await),
            None => None,
        };
        drop(self.fed);
        for task in self.tasks {
            task.abort();
            // Ended by that, it holds nothing any more.
            let _ = task.await;
        }
        ship_the_rest(self.shipper).await;
        if let Some(link) = link {
            link.leave().await;
        }
        drop(self.reconciler);
        if let Some(metering) = self.metering {
            metering.stop().await;
        }
        if let Some(billing) = self.billing {
            billing.stop().await;
        }
        if let Some(side) = self.portal {
            side.portal.shutdown().await;
            side.mailer.stop(MAIL_LIMIT).await;
        }
        if let Some(Err(error)) = self.journal.map(|journal| journal.close()) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the journal could not be closed"
            );
        }
        if let Some(books) = self.books {
            books.store.close().await;
            if let Some(analytics) = books.analytics {
                analytics.close().await;
            }
        }
    }
}

/// Gives the shipper a while; what it leaves is shipped after the next start.
async fn ship_the_rest(shipper: Option<Arc<Shipper>>) {
    // The task that reported about it is gone or about to be.
    let Some(shipper) = shipper.and_then(Arc::into_inner) else {
        return;
    };
    match tokio::task::spawn_blocking(move || shipper.stop(SHIP_LIMIT)).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("usage that is not shipped stays in the journal until the next start"),
        Err(error) => tracing::error!(%error, "the shipper ended by a panic"),
    }
}
