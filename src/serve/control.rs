//! The control plane of this process: portal, what it asks of other services, and the first administrator.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use analytics::Analytics;
use domain::billable::{Policy, billable};
use domain::clock::{Clock, Timestamp};
use domain::ids::RunId;
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::Outcome;
use mail::Mailer;
use metering::Currency;
use portal::{DueRun, DueRuns, Freshness, Gateways, HookError, Hooks, Portal, QuotaQuery, QuotaUse};
use serving::tls::ServerTls;
use snapshot::Feed;
use store::billing::{NewBillingRun, RunScope};
use store::{Node, Store};

use super::start::Shared;
use super::{Error, data_dir};
use crate::config::{Config, Environment};

const ADMIN_FILE: &str = "first-admin";
/// How often a run that another process carries out is looked at.
const LOOK_AT_RUN: Duration = Duration::from_millis(50);

/// What the portal is started with.
pub(super) struct Plane {
    pub(super) store: Store,
    pub(super) analytics: Analytics,
    pub(super) mailer: Mailer,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) publisher: snapshot::Publisher,
    /// Metering of this process.
    pub(super) currency: Option<Currency>,
    /// Billing of this process.
    pub(super) billing: Option<billing::Handle>,
    /// What the gateway of this process serves from.
    pub(super) seen: Option<Seen>,
}

/// Starts the portal.
pub(super) async fn start(shared: &Shared<'_>, plane: Plane) -> Result<portal::Running, Error> {
    let hooks = hooks(&plane, &shared.clock);
    let parts = portal::Parts {
        store: plane.store,
        analytics: plane.analytics,
        clock: shared.clock.clone(),
        master_key: shared.master_key.clone(),
        feed: plane.publisher,
        hooks,
        mailer: plane.mailer,
    };
    let settings = settings(shared.config, plane.tls.as_ref(), shared.environment);
    Ok(Portal::start(settings, parts).await?)
}

/// What the portal is told of the process configuration.
fn settings(config: &Config, tls: Option<&Arc<ServerTls>>, environment: &Environment) -> portal::Settings {
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

/// Tells the portal's publisher, once there is one.
#[derive(Clone, Default)]
pub(super) struct Wake(Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>);

impl Wake {
    pub(super) fn set(&self, wake: impl Fn() + Send + Sync + 'static) {
        // There is one publisher a process.
        let _ = self.0.set(Box::new(wake));
    }

    pub(super) fn call(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// What the gateway of this process serves from.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) feed: Feed,
    pub(super) node: String,
    pub(super) region: String,
    pub(super) started_at: Timestamp,
}

impl Seen {
    fn status(&self, clock: &Clock) -> Node {
        Node {
            node: self.node.clone(),
            region: self.region.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: true,
            waiting_records: 0,
            clock_offset_ms: 0,
            started_at: self.started_at,
            revision: i64::try_from(self.feed.current().revision()).unwrap_or(i64::MAX),
            seen_at: clock.now(),
        }
    }
}

fn hooks(plane: &Plane, clock: &Clock) -> Hooks {
    let (store, fresh) = (plane.store.clone(), plane.currency.clone());
    Hooks {
        freshness: freshness(plane.currency.clone()),
        quota_use: QuotaUse::new(move |query| {
            let (store, fresh) = (store.clone(), fresh.clone());
            async move {
                if let Some(fresh) = fresh {
                    fresh.caught_up().await?;
                }
                Ok(quota_use(&store, &query).await?)
            }
        }),
        due_runs: match &plane.billing {
            Some(billing) => own_runs(billing.clone()),
            None => runs_of_others(plane.store.clone()),
        },
        gateways: gateways(plane.seen.clone(), clock.clone()),
    }
}

/// Where another process counts, the ledger is as fresh as that keeps it.
fn freshness(currency: Option<Currency>) -> Freshness {
    Freshness::new(move |()| {
        let currency = currency.clone();
        async move {
            match currency {
                Some(currency) => Ok(currency.caught_up().await?),
                None => Ok(()),
            }
        }
    })
}

fn gateways(seen: Option<Seen>, clock: Clock) -> Gateways {
    Gateways::new(move |()| {
        let status = seen.as_ref().map(|seen| seen.status(&clock));
        async move { Ok(status.into_iter().collect()) }
    })
}

/// Runs that billing of this process carries out.
fn own_runs(billing: billing::Handle) -> DueRuns {
    DueRuns::new(move |at| {
        let billing = billing.clone();
        async move {
            let started = billing.start_due(at).await?;
            let done = async move { Ok(started.done.await.map(drop)?) };
            Ok(DueRun {
                id: started.id,
                done: Box::pin(done),
            })
        }
    })
}

/// Runs that a billing worker of another process takes up.
fn runs_of_others(store: Store) -> DueRuns {
    DueRuns::new(move |at| {
        let store = store.clone();
        async move {
            let id = queue_run(&store, at).await?;
            Ok(DueRun {
                id,
                done: Box::pin(run_is_done(store, id)),
            })
        }
    })
}

async fn queue_run(store: &Store, at: Timestamp) -> Result<RunId, HookError> {
    let new = NewBillingRun {
        id: RunId::new(at, domain::random::bytes()),
        scope: RunScope::Due,
        account: None,
        finalize: true,
        own_until: None,
    };
    store.enqueue_billing_run(&new, at).await?;
    Ok(new.id)
}

async fn run_is_done(store: Store, id: RunId) -> Result<(), HookError> {
    loop {
        match store.billing_run(id).await? {
            Some(run) if run.finished_at.is_some() => return Ok(()),
            Some(_) => tokio::time::sleep(LOOK_AT_RUN).await,
            None => return Err("the billing run is gone".into()),
        }
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

/// Where the first start writes what it has generated.
pub(super) fn admin_file(config: &Config) -> PathBuf {
    config.data(ADMIN_FILE)
}

/// Makes the first administrator where there is none, and keeps what was made in a file.
pub(super) async fn first_admin(shared: &Shared<'_>, store: &Store) -> Result<portal::FirstAdmin, Error> {
    let (config, environment) = (shared.config, shared.environment);
    let text = |name| environment.get(name).map(str::to_owned);
    let wish = portal::AdminWish {
        token: text("TOLLGATE_ADMIN_TOKEN"),
        email: text("TOLLGATE_ADMIN_EMAIL"),
        password: text("TOLLGATE_ADMIN_PASSWORD"),
    };
    let made = portal::ensure_first_admin(store, &shared.clock, wish)
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
    let path = admin_file(config);
    if made.token.is_some() && !path.exists() {
        data_dir::write_private(&path, &lines.concat())?;
    }
    Ok(made)
}

/// The admin token as far as this start knows it: given, made now, or in the file of the first start.
pub(super) fn admin_token(config: &Config, made: &portal::FirstAdmin, environment: &Environment) -> String {
    let given = environment.get("TOLLGATE_ADMIN_TOKEN").map(str::to_owned);
    given
        .or_else(|| made.token.clone())
        .or_else(|| from_file(config, "token"))
        .unwrap_or_default()
}

/// What the file of the first start says.
pub(super) fn from_file(config: &Config, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(admin_file(config)).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}
