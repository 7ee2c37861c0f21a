//! From a snapshot and changes to the next snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use domain::clock::Timestamp;
use domain::ids::{ConsumerId, CredentialId, PlanVersionId};
use domain::key::KeyHash;
use domain::sealed::MasterKey;

use crate::catalog::{Catalog, Routes, Rows};
use crate::consumer::CompiledConsumer;
use crate::error::Error;
use crate::keys::{Identity, Keys};
use crate::plan::CompiledPlan;
use crate::shards::Shards;
use crate::source::{Change, ConsumerRecord, KeyRecord};

/// All that a gateway serves from, at one revision. Cloning it is cheap and shares everything.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: u64,
    catalog: Arc<Catalog>,
    consumers: Shards<ConsumerId, Arc<CompiledConsumer>>,
    keys: Keys,
}

/// Changes of consumers and keys: what each of them is now, or nothing.
#[derive(Default)]
struct Pending {
    consumers: HashMap<ConsumerId, Option<ConsumerRecord>>,
    keys: HashMap<CredentialId, Option<KeyRecord>>,
}

impl Pending {
    /// Takes up a change; gives back one of the catalog.
    fn apply(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::UpsertConsumer(record) => drop(self.consumers.insert(record.id, Some(record))),
            Change::RemoveConsumer(id) => drop(self.consumers.insert(id, None)),
            Change::UpsertKey(record) => drop(self.keys.insert(record.id, Some(record))),
            Change::RemoveKey(id) => drop(self.keys.insert(id, None)),
            catalog => return Some(catalog),
        }
        None
    }
}

/// The snapshot after `changes`, at `revision`. `previous` is `None` to compile from nothing; what does not change is
/// shared with it. Sealed values are opened with `master`.
///
/// # Errors
/// [`Error`] names the object that is wrong; the input is refused whole.
pub fn compile(
    previous: Option<&Snapshot>,
    changes: impl IntoIterator<Item = Change>,
    revision: u64,
    master: &MasterKey,
) -> Result<Snapshot, Error> {
    let mut next = previous.cloned().unwrap_or_default();
    next.revision = revision;
    let mut rows: Option<Rows> = None;
    let mut pending = Pending::default();
    for change in changes {
        if let Some(change) = pending.apply(change) {
            let rows = rows.get_or_insert_with(|| next.catalog.rows.clone());
            // What the rows do not take up, `pending` has taken.
            let _ = rows.apply(change);
        }
    }
    let catalog_changed = rows.is_some();
    if let Some(rows) = rows {
        next.catalog = Arc::new(Catalog::compile(&next.catalog, rows, master)?);
    }
    next.consumers = consumers(&next, pending.consumers, catalog_changed)?;
    if !pending.keys.is_empty() {
        next.keys = next.keys.changed(&pending.keys)?;
    }
    Ok(next)
}

fn consumers(
    next: &Snapshot,
    changes: HashMap<ConsumerId, Option<ConsumerRecord>>,
    catalog_changed: bool,
) -> Result<Shards<ConsumerId, Arc<CompiledConsumer>>, Error> {
    let catalog = &next.catalog;
    let mut edit = next.consumers.edit();
    if catalog_changed {
        let stale = next
            .consumers
            .iter()
            .filter(|(id, known)| !changes.contains_key(id) && !known.fits(catalog));
        for (id, known) in stale {
            edit.insert(*id, Arc::new(CompiledConsumer::new(&known.record, catalog)?));
        }
    }
    for (id, record) in changes {
        match record {
            None => drop(edit.remove(&id)),
            Some(record) => {
                edit.insert(id, Arc::new(CompiledConsumer::new(&Arc::new(record), catalog)?));
            }
        }
    }
    Ok(edit.done())
}

impl Snapshot {
    /// The configuration revision that it shows.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// APIs and operations.
    pub fn routes(&self) -> &Routes {
        &self.catalog.routes
    }

    /// Who a credential belongs to.
    pub fn identify(&self, hash: &KeyHash, now: Timestamp) -> Identity<'_> {
        let Some(key) = self.keys.by_hash.get(hash) else {
            return Identity::Unknown;
        };
        let Some(consumer) = self.consumers.get(&key.consumer) else {
            return Identity::Unknown;
        };
        if key.is_expired(now) {
            Identity::Expired { key, consumer }
        } else {
            Identity::Known { key, consumer }
        }
    }

    /// A consumer by its id.
    pub fn consumer(&self, id: ConsumerId) -> Option<&Arc<CompiledConsumer>> {
        self.consumers.get(&id)
    }

    /// All consumers, in no order.
    pub fn consumers(&self) -> impl Iterator<Item = &Arc<CompiledConsumer>> {
        self.consumers.iter().map(|(_, consumer)| consumer)
    }

    /// Everything as changes from nothing: compiled, they give this snapshot again.
    pub fn rows(&self) -> impl Iterator<Item = Change> {
        let consumers = self
            .consumers()
            .map(|consumer| Change::UpsertConsumer((*consumer.record).clone()));
        let keys = self.keys.by_hash.iter();
        let keys = keys.map(|(hash, entry)| Change::UpsertKey(entry.row(*hash)));
        self.catalog.rows.changes().chain(consumers).chain(keys)
    }

    /// A plan version by its id.
    pub fn plan(&self, id: PlanVersionId) -> Option<&Arc<CompiledPlan>> {
        self.catalog.plans.get(&id)
    }

    /// Keys in force.
    pub fn key_count(&self) -> usize {
        self.keys.by_hash.len()
    }

    /// A sum over all objects and all that was computed of them, whatever the way that led here: equal for equal
    /// states. The revision takes no part. It reads everything; a million keys take seconds.
    pub fn checksum(&self) -> u128 {
        let keys = self
            .keys
            .by_hash
            .iter()
            .map(|(hash, entry)| format!("key {} {entry:?}", hash.to_hex()));
        let consumers = self.consumers.iter().map(|(_, consumer)| consumer.dump());
        self.catalog
            .dump()
            .chain(keys)
            .chain(consumers)
            .fold(0, |sum, text| sum.wrapping_add(digest(&text)))
    }

    /// How many of the 1,024 shards of keys are shared with another snapshot.
    pub fn shares_key_shards_with(&self, other: &Self) -> usize {
        self.keys.by_hash.shared_with(&other.keys.by_hash)
    }
}

fn digest(text: &str) -> u128 {
    let bytes = domain::key::hash(text.as_bytes()).0;
    bytes.first_chunk::<16>().map_or(0, |half| u128::from_le_bytes(*half))
}
