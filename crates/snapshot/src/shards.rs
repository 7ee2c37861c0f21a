//! A map in many shards, each shared between snapshots until it changes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// Shards of each map.
pub(crate) const SHARDS: usize = 1_024;

type Shard<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

/// An immutable map of 1,024 shards.
#[derive(Debug)]
pub(crate) struct Shards<K, V>(Arc<[Arc<Shard<K, V>>]>);

impl<K, V> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        // All empty shards are one until they are written to.
        let empty = Arc::new(Shard::default());
        Self(std::iter::repeat_n(empty, SHARDS).collect())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(shard_of(key))?.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flat_map(|shard| shard.iter())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.len()).sum()
    }

    /// A copy that can be changed: only shards that are written to are copied.
    pub(crate) fn edit(&self) -> Edit<K, V> {
        Edit(self.0.to_vec())
    }

    /// How many shards are the very same in another map.
    pub(crate) fn shared_with(&self, other: &Self) -> usize {
        self.0
            .iter()
            .zip(other.0.iter())
            .filter(|(one, two)| Arc::ptr_eq(one, two))
            .count()
    }
}

/// A map that is being changed.
#[derive(Debug)]
pub(crate) struct Edit<K, V>(Vec<Arc<Shard<K, V>>>);

impl<K: Hash + Eq + Clone, V: Clone> Edit<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(shard_of(key))?.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        Arc::make_mut(self.0.get_mut(shard_of(&key))?).insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let shard = self.0.get_mut(shard_of(key))?;
        if shard.contains_key(key) {
            Arc::make_mut(shard).remove(key)
        } else {
            None
        }
    }

    pub(crate) fn done(self) -> Shards<K, V> {
        Shards(self.0.into())
    }
}

fn shard_of<K: Hash>(key: &K) -> usize {
    // Other bits than those by which the map inside the shard spreads its entries.
    let hash = BuildHasherDefault::<FoldHasher>::default().hash_one(key);
    usize::try_from(hash >> 32).unwrap_or(0) % SHARDS
}

/// Folds what is random already: ids and SHA-256 hashes, which no caller chooses.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FoldHasher(u64);

impl FoldHasher {
    const fn fold(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.fold(u64::from(*byte));
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, _length: usize) {
        // Lengths of what is hashed here never differ.
    }
}
