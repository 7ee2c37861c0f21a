//! Where cells are found: by subscription and mode, or by address.
//!
//! Subscriptions are as many as were sold. Addresses are as many as an attacker has, so they are capped: a full shard
//! forgets what it can forget without harm, then the least recently used short rates; an address for which there is
//! still no room shares one cell with the others of its shard. A cell with an open reservation, or with a day, month or
//! quota in use, is never forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::enforce::Window;
use domain::ids::{PlanId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;

use crate::cell::Cell;
use crate::shared::post::{Post, Share};
use crate::times::Times;

const SHARDS: usize = 256;

/// Bounds of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Cells of anonymous addresses kept at most (about 400 bytes each).
    pub max_addresses: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_addresses: 262_144 }
    }
}

/// What a limit had used in a window before this process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Live or test.
    pub mode: Mode,
    /// The limit's stable key: `METER/period`, `requests/day` or `requests/month`, each with its operations if any.
    pub key: Arc<str>,
    /// The window.
    pub window: Window,
    /// Units used in it. Several baselines of one window add up (ledger, then tail).
    pub used: Quantity,
}

type SubscriptionKey = (SubscriptionId, Mode);
type AddressKey = (PlanId, u128);
type Shard<K, S> = RwLock<HashMap<K, Arc<Cell>, S>>;

/// All cells of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Counters(Arc<State>);

#[derive(Debug)]
struct State {
    subscriptions: Vec<Shard<SubscriptionKey, BuildHasherDefault<IdHasher>>>,
    addresses: Vec<AddressShard>,
    addresses_per_shard: usize,
    /// Where other nodes count too.
    post: Option<Post>,
    /// Keyed at random, so that no caller can aim addresses at one shard.
    address_hash: RandomState,
}

#[derive(Debug)]
struct AddressShard {
    cells: Shard<AddressKey, RandomState>,
    overflow: Arc<Cell>,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Counters {
    /// No cells yet.
    pub fn new(settings: Settings) -> Self {
        Self::with_post(settings, None)
    }

    pub(crate) fn with_post(settings: Settings, post: Option<Post>) -> Self {
        let address_hash = RandomState::new();
        let address_shard = || AddressShard {
            cells: RwLock::new(HashMap::with_hasher(address_hash.clone())),
            overflow: Arc::default(),
        };
        Self(Arc::new(State {
            subscriptions: (0..SHARDS).map(|_| RwLock::default()).collect(),
            addresses: (0..SHARDS).map(|_| address_shard()).collect(),
            addresses_per_shard: settings.max_addresses.div_ceil(SHARDS).max(1),
            post,
            address_hash: address_hash.clone(),
        }))
    }

    /// The cell of a subscription; test traffic has one of its own.
    pub fn subscription(&self, id: SubscriptionId, mode: Mode) -> Arc<Cell> {
        let key = (id, mode);
        let shard = &self.0.subscriptions[shard_of(BuildHasherDefault::<IdHasher>::default().hash_one(key))];
        if let Some(cell) = read(shard).get(&key) {
            return Arc::clone(cell);
        }
        let made = || match &self.0.post {
            None => Arc::default(),
            Some(post) => Arc::new(Cell::shared(Share {
                subscription: id,
                mode,
                post: post.clone(),
            })),
        };
        Arc::clone(write(shard).entry(key).or_insert_with(made))
    }

    /// The cell of an anonymous caller on a plan: one for each IPv4 address or IPv6 /64. IPv4 addresses written as IPv6
    /// are the same caller.
    pub fn address(&self, plan: PlanId, address: IpAddr, now: Times) -> Arc<Cell> {
        let key = (plan, network_of(address));
        let shard = &self.0.addresses[shard_of(self.0.address_hash.hash_one(key))];
        if let Some(cell) = read(&shard.cells).get(&key) {
            return Arc::clone(cell);
        }
        let mut cells = write(&shard.cells);
        if let Some(cell) = cells.get(&key) {
            return Arc::clone(cell);
        }
        if cells.len() >= self.0.addresses_per_shard {
            make_room(&mut cells, now);
        }
        if cells.len() >= self.0.addresses_per_shard {
            return Arc::clone(&shard.overflow);
        }
        Arc::clone(cells.entry(key).or_default())
    }

    /// Takes up what ledger and journal tail say was used before this process started. Call it before serving, and only
    /// where this node counts alone: shared counters know it themselves.
    pub fn load_baseline(&self, baselines: impl IntoIterator<Item = Baseline>) {
        for baseline in baselines {
            let cell = self.subscription(baseline.subscription, baseline.mode);
            cell.preload(&baseline.key, baseline.window, baseline.used);
        }
    }

    /// What was done about shared counters; `None` where this node counts alone.
    pub fn tally(&self) -> Option<&crate::shared::Tally> {
        self.0.post.as_ref().map(Post::tally)
    }

    /// Counts a request that was refused because the shared counters are away.
    pub fn refused_unavailable(&self) {
        if let Some(post) = &self.0.post {
            crate::shared::post::count(&post.tally().refused_unavailable);
        }
    }

    /// Forgets every cell that nobody holds and whose loss would change nothing. Returns how many. Call it now and then,
    /// off the gateway's threads.
    pub fn sweep(&self, now: Times) -> usize {
        let subscriptions: usize = self
            .0
            .subscriptions
            .iter()
            .map(|shard| forget_resting(&mut write(shard), now))
            .sum();
        let addresses: usize = self
            .0
            .addresses
            .iter()
            .map(|shard| forget_resting(&mut write(&shard.cells), now))
            .sum();
        subscriptions + addresses
    }

    /// Cells of subscriptions and cells of addresses.
    pub fn len(&self) -> (usize, usize) {
        let subscriptions = self.0.subscriptions.iter().map(|shard| read(shard).len()).sum();
        let addresses = self.0.addresses.iter().map(|shard| read(&shard.cells).len()).sum();
        (subscriptions, addresses)
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}

fn read<K, S>(shard: &Shard<K, S>) -> RwLockReadGuard<'_, HashMap<K, Arc<Cell>, S>> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<K, S>(shard: &Shard<K, S>) -> RwLockWriteGuard<'_, HashMap<K, Arc<Cell>, S>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of(hash: u64) -> usize {
    // Other bits than those by which the map inside the shard spreads its entries.
    usize::try_from(hash >> 40).unwrap_or(0) % SHARDS
}

/// Only the map holds it: with the map locked for writing nobody can take it up meanwhile.
fn is_unheld(cell: &Arc<Cell>) -> bool {
    Arc::strong_count(cell) == 1
}

fn forget_resting<K: Hash + Eq, S: BuildHasher>(cells: &mut HashMap<K, Arc<Cell>, S>, now: Times) -> usize {
    let before = cells.len();
    cells.retain(|_, cell| !is_unheld(cell) || !cell.at_rest(now));
    before - cells.len()
}

fn make_room(cells: &mut HashMap<AddressKey, Arc<Cell>, RandomState>, now: Times) {
    let wanted = (cells.len() / 8).max(1);
    if forget_resting(cells, now) >= wanted {
        return;
    }
    let mut idle: Vec<(u64, AddressKey)> = cells
        .iter()
        .filter(|(_, cell)| is_unheld(cell))
        .filter_map(|(key, cell)| cell.idle_since(now).map(|since| (since, *key)))
        .collect();
    idle.sort_unstable();
    for (_, key) in idle.into_iter().take(wanted) {
        cells.remove(&key);
    }
}

fn network_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()) | (0xffff_u128 << 32),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

/// Folds ids, which are random in their lower half already and come from no caller.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl IdHasher {
    const fn fold(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fold(u64::from(*byte));
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.fold(u64::try_from(number >> 64).unwrap_or(0));
        self.fold(u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0));
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }
}
