//! What every handler of the portal holds.

use std::sync::{Arc, OnceLock};

use analytics::Analytics;
use domain::clock::Clock;
use domain::sealed::MasterKey;
use mail::Mailer;
use store::{Actor, ControlTx, Scope, Store};

use crate::api::refusals::Refusals;
use crate::hooks::Hooks;
use crate::http::problem::Problem;
use crate::pages::reading::Reading;
use crate::pages::web::cookie::Scheme;
use crate::publisher::Publisher;

/// Shared state. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) analytics: Analytics,
    pub(crate) clock: Clock,
    pub(crate) master_key: MasterKey,
    pub(crate) hooks: Hooks,
    pub(crate) mailer: Mailer,
    pub(crate) publisher: Publisher,
    pub(crate) test_clock: TestClock,
    pub(crate) refusals: Refusals,
    pub(crate) links: Links,
    pub(crate) reading: Reading,
}

/// Where browsers and programs find this deployment.
#[derive(Debug)]
pub(crate) struct Links {
    portal: String,
    gateway: OnceLock<String>,
}

impl Links {
    /// From the public address of the portal, without a slash at its end.
    pub(crate) fn new(portal: String) -> Self {
        Self {
            portal,
            gateway: OnceLock::new(),
        }
    }

    /// The portal: `https://developers.example`.
    pub(crate) fn origin(&self) -> &str {
        &self.portal
    }

    /// A page with its host, for mails.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.portal)
    }

    /// Whether cookies may be `Secure`.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.portal.starts_with("https://") {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// The gateway: `https://api.example`; `None` while none is known.
    pub(crate) fn gateway(&self) -> Option<&str> {
        self.gateway.get().map(String::as_str)
    }

    /// Tells where the gateway is; the first word holds.
    pub(crate) fn gateway_at(&self, url: &str) {
        let _ = self.gateway.set(url.trim_end_matches('/').to_owned());
    }
}

/// Whether the clock may be moved through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestClock {
    /// It may: tests only.
    On,
    /// There is no such route.
    Off,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Begins a change as `actor` that sees what is within `scope`.
    pub(crate) async fn change(&self, actor: Actor, scope: Scope) -> Result<ControlTx, Problem> {
        Ok(self.store.change(actor, self.clock.now()).await?.within(scope))
    }

    /// Commits a change and wakes the publisher when the gateways serve from what has changed.
    pub(crate) async fn commit(&self, tx: ControlTx) -> Result<Option<i64>, Problem> {
        let revision = tx.commit().await?;
        if revision.is_some() {
            self.publisher.wake();
        }
        Ok(revision)
    }

    /// 80 bits for a new id.
    pub(crate) fn seed() -> [u8; 10] {
        domain::random::bytes()
    }
}
