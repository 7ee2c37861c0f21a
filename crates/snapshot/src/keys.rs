//! Credentials by their hash.

use std::collections::HashMap;
use std::sync::Arc;

use domain::clock::Timestamp;
use domain::ids::{ConsumerId, CredentialId, ProductId};
use domain::key::{KeyHash, Mode};

use crate::consumer::CompiledConsumer;
use crate::error::{Error, Fault, Object};
use crate::shards::Shards;
use crate::source::KeyRecord;

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Id.
    pub credential: CredentialId,
    /// Live or test.
    pub mode: Mode,
    /// Whose.
    pub consumer: ConsumerId,
    /// The end of its life.
    pub expires_at: Option<Timestamp>,
    products: Option<Arc<[ProductId]>>,
}

impl KeyEntry {
    fn new(record: &KeyRecord) -> Self {
        Self {
            credential: record.id,
            mode: record.mode,
            consumer: record.consumer,
            expires_at: record.expires_at,
            products: if record.products.is_empty() {
                None
            } else {
                Some(record.products.as_slice().into())
            },
        }
    }

    /// Products that it opens; empty opens all of the consumer's.
    pub fn pinned(&self) -> &[ProductId] {
        self.products.as_deref().unwrap_or_default()
    }

    /// The row that it was compiled from.
    pub(crate) fn row(&self, hash: KeyHash) -> KeyRecord {
        KeyRecord {
            id: self.credential,
            hash,
            mode: self.mode,
            consumer: self.consumer,
            products: self.pinned().to_vec(),
            expires_at: self.expires_at,
            revoked: false,
        }
    }

    /// Whether its life is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// Who a credential belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Identity<'a> {
    /// `invalid-credentials`: never seen, revoked, or without a consumer.
    Unknown,
    /// `expired-credentials`.
    Expired {
        /// The credential.
        key: &'a KeyEntry,
        /// Whose.
        consumer: &'a Arc<CompiledConsumer>,
    },
    /// In force. Whether the consumer may call is told by its status.
    Known {
        /// The credential.
        key: &'a KeyEntry,
        /// Whose.
        consumer: &'a Arc<CompiledConsumer>,
    },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) by_hash: Shards<KeyHash, KeyEntry>,
    by_id: Shards<CredentialId, KeyHash>,
}

impl Keys {
    /// The keys after some changed; of each id what it is now, or nothing.
    pub(crate) fn changed(&self, changes: &HashMap<CredentialId, Option<KeyRecord>>) -> Result<Self, Error> {
        let (mut by_hash, mut by_id) = (self.by_hash.edit(), self.by_id.edit());
        let in_force = |record: &&KeyRecord| !record.revoked;
        // All that go, go first: a hash may move from one credential to another in one batch.
        for (id, record) in changes {
            let stays = record
                .as_ref()
                .filter(in_force)
                .is_some_and(|record| by_id.get(id) == Some(&record.hash));
            if stays {
                continue;
            }
            if let Some(hash) = by_id.remove(id) {
                by_hash.remove(&hash);
            }
        }
        for (id, record) in changes {
            let Some(record) = record.as_ref().filter(in_force) else {
                continue;
            };
            let replaced = by_hash.insert(record.hash, KeyEntry::new(record));
            if let Some(other) = replaced.filter(|other| other.credential != *id) {
                let (first, second) = (other.credential.min(*id), other.credential.max(*id));
                let fault = Fault::Duplicate(Object::new("key", first));
                return Err(Error {
                    object: Object::new("key", second),
                    fault,
                });
            }
            by_id.insert(*id, record.hash);
        }
        Ok(Self {
            by_hash: by_hash.done(),
            by_id: by_id.done(),
        })
    }
}
