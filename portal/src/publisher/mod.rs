//! From committed changes to the snapshot that the gateways serve from.
//!
//! A commit wakes the publisher through a channel; a look at the revision each second is the truth behind it. The rows
//! are read while the control transaction is held, so that they are those of one revision. A snapshot that is refused
//! leaves the one before it in place and is tried again from nothing.

pub(crate) mod catalog;
mod customers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::ids::{ConsumerId, CredentialId};
use snapshot::Outlet;
use snapshot::source::Change;
use store::{Actor, ControlTx, Kind};
use tokio::sync::{Notify, watch};

use self::catalog::{Catalog, Error, Operations};
use crate::api::feed;
use crate::app::App;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(200);
const FEED_PAGE: u32 = 10_000;

/// Wakes the publisher and tells what it has published.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publisher(Arc<State>);

#[derive(Debug, Default)]
struct State {
    wake: Notify,
    published: AtomicI64,
    operations: Operations,
    outlet: Outlet,
}

impl Publisher {
    /// Something was committed.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Where gateways of other processes get what is published.
    pub(crate) fn outlet(&self) -> &Outlet {
        &self.0.outlet
    }

    /// The newest revision that the gateways can get.
    pub(crate) fn published(&self) -> i64 {
        self.0.published.load(Ordering::Acquire)
    }

    /// Tries what a transaction is about to commit.
    ///
    /// # Errors
    /// The object that could not be served.
    pub(crate) async fn try_catalog(&self, app: &App, tx: &mut ControlTx) -> Result<(), Error> {
        let rows = catalog::catalog(tx, &self.0.operations).await?;
        let key = app.master_key.clone();
        tokio::task::spawn_blocking(move || snapshot::compile(None, rows.into_values(), 0, &key)).await??;
        Ok(())
    }
}

/// What has been published.
pub(crate) struct Worker {
    app: App,
    feed: snapshot::Publisher,
    /// Rows of the configuration as published; `None` before the first time and after a refusal.
    known: Option<Catalog>,
    revision: i64,
}

impl Worker {
    pub(crate) fn new(app: App, feed: snapshot::Publisher) -> Self {
        Self {
            app,
            feed,
            known: None,
            revision: 0,
        }
    }

    /// Publishes after each wake until `stop` turns true.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let state = Arc::clone(&self.app.publisher.0);
        let mut hints = self.app.store.hints();
        loop {
            tokio::select! {
                () = state.wake.notified() => {}
                () = hints.next() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            feed::follow_clock(&self.app).await;
            if let Err(error) = self.publish().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the snapshot cannot be published"
                );
                self.known = None;
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Publishes the newest revision, unless it is published already.
    pub(crate) async fn publish(&mut self) -> Result<(), Error> {
        if self.known.is_some() && self.app.store.revision().await? == self.revision {
            return Ok(());
        }
        let mut tx = self
            .app
            .store
            .change(Actor::system("publisher"), self.app.clock.now())
            .await?;
        let collected = self.collect(&mut tx).await;
        tx.rollback().await?;
        let Collected {
            changes,
            catalog,
            revision,
            whole,
        } = collected?;
        let outlet = self.app.publisher.outlet();
        let prepared = (!whole).then(|| outlet.prepare(&changes));
        let previous = if whole { None } else { Some(self.feed.feed().current()) };
        let key = self.app.master_key.clone();
        let number = u64::try_from(revision).unwrap_or_default();
        let compiled =
            tokio::task::spawn_blocking(move || snapshot::compile(previous.as_deref(), changes, number, &key))
                .await??;
        outlet.publish(&compiled, prepared);
        self.feed.publish(compiled);
        self.known = Some(catalog);
        self.revision = revision;
        self.app.publisher.0.published.store(revision, Ordering::Release);
        tracing::debug!(revision, whole, "published a snapshot");
        Ok(())
    }

    async fn collect(&self, tx: &mut ControlTx) -> Result<Collected, Error> {
        let revision = self.app.store.revision().await?;
        let touched = match &self.known {
            Some(_) => touched(&self.app, tx, self.revision).await?,
            None => None,
        };
        let cache = &self.app.publisher.0.operations;
        let (Some(known), Some(touched)) = (&self.known, touched) else {
            let catalog = catalog::catalog(tx, cache).await?;
            return self.everything(tx, catalog, revision).await;
        };
        let catalog = if touched.catalog {
            catalog::catalog(tx, cache).await?
        } else {
            known.clone()
        };
        // Keys name products by their ids: other products mean other keys.
        if customers::products(known) != customers::products(&catalog) {
            return self.everything(tx, catalog, revision).await;
        }
        let mut changes = catalog::difference(known, &catalog);
        changes.extend(customers::some(&self.app, tx, &touched, &catalog).await?);
        Ok(Collected {
            changes,
            catalog,
            revision,
            whole: false,
        })
    }

    async fn everything(&self, tx: &mut ControlTx, catalog: Catalog, revision: i64) -> Result<Collected, Error> {
        let mut changes: Vec<Change> = catalog.values().cloned().collect();
        changes.extend(customers::all(&self.app, tx, &catalog).await?);
        Ok(Collected {
            changes,
            catalog,
            revision,
            whole: true,
        })
    }
}

struct Collected {
    changes: Vec<Change>,
    catalog: Catalog,
    revision: i64,
    whole: bool,
}

/// What some revisions have changed.
#[derive(Default)]
pub(crate) struct Touched {
    catalog: bool,
    consumers: BTreeSet<ConsumerId>,
    credentials: BTreeSet<CredentialId>,
}

/// What has changed since a revision; `None` when that is forgotten.
async fn touched(app: &App, tx: &mut ControlTx, since: i64) -> Result<Option<Touched>, Error> {
    let mut touched = Touched::default();
    let Some(changes) = app.store.changes_since(since, FEED_PAGE).await? else {
        return Ok(None);
    };
    if changes.len() >= FEED_PAGE as usize {
        return Ok(None);
    }
    for change in changes {
        match change.kind {
            Kind::Consumer => touched.consumers.extend(change.id.parse::<ConsumerId>()),
            Kind::Credential => touched.credentials.extend(change.id.parse::<CredentialId>()),
            Kind::Subscription => {
                let subscription = match change.id.parse() {
                    Ok(id) => tx.subscription(id).await?,
                    Err(_) => None,
                };
                touched
                    .consumers
                    .extend(subscription.map(|subscription| subscription.consumer_id));
            }
            Kind::Settings | Kind::Account => {}
            _ => touched.catalog = true,
        }
    }
    Ok(Some(touched))
}
