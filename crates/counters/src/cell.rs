//! All limits of one subscription or address under one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule};
use domain::quantity::Quantity;
use domain::usage::MeterValue;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::lease::Short;
use crate::reservation::{Held, Reservation, quantity_of};
use crate::shared::post::Share;
use crate::slot::{Around, Origin, Slot, Standing, reserved_by};
use crate::times::Times;
use crate::view::{LimitView, Tightest};

/// What one request asks of a cell. Borrowed from the snapshot that the request holds.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// All limits of the plan version.
    pub limits: &'a [EnforcedLimit],
    /// Which of them apply to the operation, by index.
    pub applies: &'a [u16],
    /// The usage periods of the subscription.
    pub cycle: &'a UsageCycle,
    /// The snapshot's revision: a request that holds an older one never moves a window back.
    pub revision: u64,
    /// Requests that this one counts for; 1 unless weighted. More than a limit's maximum never fits.
    pub weight: u64,
}

/// What kind of limit refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// `rate-limited`.
    Rate,
    /// `quota-exceeded`.
    Quota,
    /// `concurrency-limited`.
    Concurrency,
}

impl LimitKind {
    pub(crate) const fn of(rule: &EnforcedRule) -> Self {
        match rule {
            EnforcedRule::Bucket { .. } | EnforcedRule::Fixed { .. } | EnforcedRule::Calendar { .. } => Self::Rate,
            EnforcedRule::Quota { .. } => Self::Quota,
            EnforcedRule::Concurrency { .. } => Self::Concurrency,
        }
    }
}

/// A refused request; it was counted nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limit {key} refused the request; {retry_after_s} s until it may pass")]
pub struct Refused {
    /// The stable key of the limit that refused; of several, the one that refuses the longest.
    pub key: Arc<str>,
    /// Its kind.
    pub kind: LimitKind,
    /// Its index in [`Admission::limits`].
    pub index: u16,
    /// Units at most (a bucket's size, a quota's ceiling).
    pub limit: u64,
    /// Units used or reserved.
    pub used: Quantity,
    /// Whole units left; above zero only when the request weighs more.
    pub remaining: u64,
    /// Seconds until the request may pass, at least 1: the value of `Retry-After`.
    pub retry_after_s: u64,
    /// Only reservations stand in the way: units may come back before the window turns.
    pub pending: bool,
    /// Only this node's slice of a shared counter stands in the way.
    pub short: Option<Short>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) slots: Vec<Slot>,
    pub(crate) last_used_ns: u64,
    /// Requests that wait for a slice of a shared counter.
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
}

impl Inner {
    /// The slot of a limit; the index is where it sits unless the plan was edited.
    pub(crate) fn slot_of(&mut self, index: u16, limit: &EnforcedLimit, around: Around<'_>) -> usize {
        let hint = usize::from(index);
        if self.slots.get(hint).is_some_and(|slot| slot.is(limit)) {
            return hint;
        }
        self.slots.iter().position(|slot| slot.is(limit)).unwrap_or_else(|| {
            self.slots.push(Slot::new(limit, around.now, around.is_shared));
            self.slots.len() - 1
        })
    }
}

/// All limits of one subscription (and mode) or of one address. Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cell {
    inner: Mutex<Inner>,
    /// `None` where this node counts alone.
    pub(crate) share: Option<Share>,
}

impl Cell {
    pub(crate) fn shared(share: Share) -> Self {
        Self {
            share: Some(share),
            ..Self::default()
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere cannot leave a count half done: every change below is a plain assignment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks all limits that apply, then counts the request in all of them.
    ///
    /// # Errors
    /// [`Refused`] when one does not let it pass; nothing was counted then.
    pub fn admit(self: &Arc<Self>, admission: &Admission<'_>, now: Times) -> Result<Reservation, Refused> {
        let around = around(admission, now, self.share.is_some());
        let mut held: SmallVec<[Held; 4]> = SmallVec::new();
        let mut tightest = None;
        let mut refusal: Option<(u16, &EnforcedLimit, Standing)> = None;
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.last_used_ns = inner.last_used_ns.max(now.mono_ns);
        for (index, limit) in applying(admission) {
            let at = inner.slot_of(index, limit, around);
            let standing = inner.slots[at].standing(&limit.rule, around);
            let units = reserved_by(&limit.rule, admission.weight);
            if standing.fits {
                held.push(Held {
                    slot: at,
                    index,
                    units,
                    before: standing.used,
                    origin: Origin::Bucket,
                });
                tightest = Tightest::tighter(tightest, index, limit, standing, units);
            } else if refusal.is_none_or(|(_, _, known)| refuses_longer(standing, known)) {
                refusal = Some((index, limit, standing));
            }
        }
        if let Some((index, limit, standing)) = refusal {
            return Err(refused(index, limit, standing));
        }
        for one in &mut held {
            if let Some(limit) = admission.limits.get(usize::from(one.index)) {
                one.origin = inner.slots[one.slot].take(&limit.rule, around);
            }
        }
        if self.share.is_some() {
            self.look_ahead(inner, &held, (admission, around));
        }
        drop(guard);
        Ok(Reservation::new(Arc::clone(self), held, tightest))
    }

    /// Adds quantities to the quotas of their meters in the windows of this instant, without admission: a checkpoint of
    /// a long stream. Requests themselves are counted by their reservation alone.
    pub fn charge(&self, admission: &Admission<'_>, now: Times, quantities: &[MeterValue]) {
        let around = around(admission, now, self.share.is_some());
        let mut guard = self.lock();
        let inner = &mut *guard;
        for (index, limit) in applying(admission) {
            let EnforcedRule::Quota {
                meter,
                of: domain::enforce::QuotaOf::Quantities,
                ..
            } = &limit.rule
            else {
                continue;
            };
            let at = inner.slot_of(index, limit, around);
            let slot = &mut inner.slots[at];
            slot.standing(&limit.rule, around);
            slot.charge(&limit.rule, around, quantity_of(meter, quantities));
        }
    }

    /// How every limit of the admission stands, in the plan's order.
    pub fn view(&self, admission: &Admission<'_>, now: Times) -> Vec<LimitView> {
        let around = around(admission, now, self.share.is_some());
        let mut guard = self.lock();
        let inner = &mut *guard;
        applying(admission)
            .map(|(index, limit)| {
                let at = inner.slot_of(index, limit, around);
                let standing = inner.slots[at].standing(&limit.rule, around);
                LimitView::new(limit, standing, now)
            })
            .collect()
    }

    /// The tightest limit now, without counting: for headers of answers that were not admitted by limits.
    pub fn tightest(&self, admission: &Admission<'_>, now: Times) -> Option<Tightest> {
        let around = around(admission, now, self.share.is_some());
        let mut guard = self.lock();
        let inner = &mut *guard;
        applying(admission).fold(None, |tightest, (index, limit)| {
            let at = inner.slot_of(index, limit, around);
            let standing = inner.slots[at].standing(&limit.rule, around);
            Tightest::tighter(tightest, index, limit, standing, 0)
        })
    }

    pub(crate) fn settle(self: &Arc<Self>, held: &[Held], kept: impl Fn(&Slot, &Held) -> i128) {
        let mut guard = self.lock();
        for one in held {
            if let Some(slot) = guard.slots.get_mut(one.slot) {
                let kept = kept(slot, one);
                slot.settle(one.origin, one.units, kept);
            }
        }
        if self.share.is_some() {
            self.owe(&mut guard, held);
        }
    }

    pub(crate) fn preload(&self, key: &Arc<str>, window: domain::enforce::Window, used: Quantity) {
        let mut guard = self.lock();
        let known = guard.slots.iter().position(|slot| slot.key == *key);
        let at = known.unwrap_or_else(|| {
            guard.slots.push(Slot::preloaded(Arc::clone(key)));
            guard.slots.len() - 1
        });
        guard.slots[at].preload(window, used.nanos());
    }

    /// Whether forgetting the cell would change nothing.
    pub(crate) fn at_rest(&self, now: Times) -> bool {
        self.lock().slots.iter().all(|slot| slot.at_rest(now))
    }

    /// When it was last used, unless forgetting it would lose more than the memory of a short rate.
    pub(crate) fn idle_since(&self, now: Times) -> Option<u64> {
        let inner = self.lock();
        inner
            .slots
            .iter()
            .all(|slot| slot.is_short(now))
            .then_some(inner.last_used_ns)
    }
}

pub(crate) fn around<'a>(admission: &Admission<'a>, now: Times, is_shared: bool) -> Around<'a> {
    Around {
        is_shared,
        now,
        cycle: admission.cycle,
        revision: admission.revision,
        weight: admission.weight,
    }
}

pub(crate) fn applying<'a>(admission: &Admission<'a>) -> impl Iterator<Item = (u16, &'a EnforcedLimit)> + use<'a> {
    let limits = admission.limits;
    admission
        .applies
        .iter()
        .filter_map(move |&index| limits.get(usize::from(index)).map(|limit| (index, limit)))
}

/// A refusal that only a slice or reservations cause is the weaker one; else the longer wait is the stronger one.
fn refuses_longer(new: Standing, known: Standing) -> bool {
    let weight = |standing: Standing| (standing.short.is_none(), !standing.pending, standing.retry_ns);
    weight(new) > weight(known)
}

fn refused(index: u16, limit: &EnforcedLimit, standing: Standing) -> Refused {
    Refused {
        key: Arc::clone(&limit.key),
        kind: LimitKind::of(&limit.rule),
        index,
        limit: standing.limit.unwrap_or(u64::MAX),
        used: Quantity::from_nanos(standing.used),
        remaining: standing.remaining,
        retry_after_s: standing.retry_ns.div_ceil(1_000_000_000).max(1),
        pending: standing.pending,
        short: standing.short,
    }
}
