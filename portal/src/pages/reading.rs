//! What pages for readers are made of, built once and kept: the catalogue and the references of documents.
//!
//! Invariants: a document is built off the threads that serve, once however many ask for it, and kept within bounds by
//! the hash of its bytes, under which it never changes. A task builds what is in force as soon as it is published, so
//! that readers wait for nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reference::{Limits, Reference};
use tokio::sync::{OnceCell, Semaphore, watch};

use super::catalogue::{offers, search};
use crate::app::App;
use crate::http::problem::Problem;

/// Documents that are kept at most.
const MOST_DOCUMENTS: usize = 64;
/// Bytes of the documents that are kept at most, as stored.
const MOST_BYTES: usize = 256 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is kept.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) catalogue: offers::Kept,
    pub(crate) references: References,
    pub(crate) search: search::Kept,
    /// Writing a whole document takes memory as well.
    pub(crate) writers: Semaphore,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            catalogue: offers::Kept::default(),
            references: References::default(),
            search: search::Kept::default(),
            writers: Semaphore::new(2),
        }
    }
}

/// References by the hashes of their documents.
#[derive(Debug)]
pub(crate) struct References {
    slots: Mutex<Slots>,
    /// Building takes many times the memory of the document: one at a time.
    builders: Semaphore,
}

#[derive(Debug, Default)]
struct Slots {
    by_hash: HashMap<[u8; 32], Slot>,
    clock: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    built: Arc<OnceCell<Option<Built>>>,
    used: u64,
}

#[derive(Debug, Clone)]
struct Built {
    reference: Arc<Reference>,
    bytes: usize,
}

impl Default for References {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            builders: Semaphore::new(1),
        }
    }
}

impl References {
    /// The reference of a document, if it is built already.
    pub(crate) fn ready(&self, hash: [u8; 32]) -> Option<Arc<Reference>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let built = slots.by_hash.get(&hash)?.built.get()?.as_ref()?;
        Some(Arc::clone(&built.reference))
    }

    /// The reference of a document, built unless it is there.
    ///
    /// # Errors
    /// 404 when there is no such document or it is none that can be read; those of the store.
    pub(crate) async fn of(&self, app: &App, hash: [u8; 32]) -> Result<Arc<Reference>, Problem> {
        let slot = self.slot(hash);
        let built = slot.get_or_try_init(|| self.build(app, hash)).await?;
        let found = built.as_ref().map(|built| Arc::clone(&built.reference));
        self.bound(hash);
        found.ok_or_else(|| Problem::missing("reference: the document of this API cannot be read"))
    }

    fn slot(&self, hash: [u8; 32]) -> Arc<OnceCell<Option<Built>>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.clock += 1;
        let used = slots.clock;
        let slot = slots.by_hash.entry(hash).or_insert_with(|| Slot {
            built: Arc::default(),
            used,
        });
        slot.used = used;
        Arc::clone(&slot.built)
    }

    async fn build(&self, app: &App, hash: [u8; 32]) -> Result<Option<Built>, Problem> {
        let _turn = self.builders.acquire().await.map_err(|_| Problem::internal())?;
        let Some(bytes) = app.store.document(&hash).await? else {
            return Ok(None);
        };
        tokio::task::spawn_blocking(move || built(&bytes))
            .await
            .map_err(|_| Problem::internal())
    }

    /// Forgets what was used least lately, until the rest is within bounds.
    fn bound(&self, newest: [u8; 32]) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let bytes: usize = slots.by_hash.values().map(Slot::bytes).sum();
            if slots.by_hash.len() <= MOST_DOCUMENTS && bytes <= MOST_BYTES {
                return;
            }
            let oldest = slots
                .by_hash
                .iter()
                .filter(|(hash, _)| **hash != newest)
                .min_by_key(|(_, slot)| slot.used)
                .map(|(hash, _)| *hash);
            let Some(oldest) = oldest else { return };
            slots.by_hash.remove(&oldest);
        }
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        let built = self.built.get().and_then(Option::as_ref);
        built.map_or(0, |built| built.bytes)
    }
}

fn built(bytes: &[u8]) -> Option<Built> {
    let document = serde_json::from_slice(bytes)
        .inspect_err(|error| tracing::error!(%error, "a stored document is no JSON"))
        .ok()?;
    let reference = Reference::build(Arc::new(document), Limits::default())
        .inspect_err(|refused| tracing::warn!(%refused, "a stored document has no reference"))
        .ok()?;
    Some(Built {
        reference: Arc::new(reference),
        bytes: bytes.len(),
    })
}

/// Builds what is in force after each revision, until `stop` turns true.
pub(crate) async fn keep_warm(app: App, mut stop: watch::Receiver<bool>) {
    let mut seen = -1;
    loop {
        if app.publisher.published() != seen {
            seen = app.publisher.published();
            if let Err(problem) = warm(&app).await {
                tracing::warn!(
                    status = problem.status().as_u16(),
                    "what readers see could not be prepared"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn warm(app: &App) -> Result<(), Problem> {
    let catalogue = offers::catalogue(app).await?;
    for hash in catalogue.documents().into_iter().take(MOST_DOCUMENTS) {
        if let Err(problem) = app.reading.references.of(app, hash).await {
            tracing::debug!(
                status = problem.status().as_u16(),
                "a document in force has no reference"
            );
        }
    }
    search::refresh(app).await
}
