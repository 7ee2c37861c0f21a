//! How a cell and the agent that speaks for it reach each other: orders one way, answers the other, both under the cell's
//! lock and without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::clock::Timestamp;
use domain::enforce::{EnforcedLimit, Sharing, Window};
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::WhenUnavailable;
use tokio::sync::{mpsc, oneshot};

use super::protocol::{CounterId, Stand};
use crate::cell::{Admission, Cell, Inner, applying, around};
use crate::lease::{Lease, Offer, Purpose, Short};
use crate::reservation::Held;
use crate::slot::{Around, Origin, Slot, ceiling_of, reserved_by, sharing_of};
use crate::times::Times;

/// What was done about shared counters since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Counters of which this node has a slice now.
    pub leases: AtomicU64,
    /// Exchanges with the table.
    pub exchanges: AtomicU64,
    /// Times that this node called unused units of others back.
    pub recalls: AtomicU64,
    /// Times that others called this node's unused units back.
    pub recalled: AtomicU64,
    /// Requests served beyond the slice while the table was away.
    pub served_unavailable: AtomicU64,
    /// Requests refused because the table was away.
    pub refused_unavailable: AtomicU64,
    /// Questions to the table without an answer.
    pub failures: AtomicU64,
    /// Times that a part of the table was found new or lost.
    pub generations: AtomicU64,
    /// The most units that were asked for at once: so many a `fast` limit may be exceeded by this node.
    pub largest_slice: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a cell wants of the agent.
#[derive(Debug)]
pub(crate) enum Order {
    Ask(Wanted),
    Return(CounterId),
}

/// A counter of which a cell has or wants a slice.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) cell: Arc<Cell>,
    pub(crate) counter: CounterId,
    pub(crate) window: Window,
    pub(crate) ceiling: u64,
    pub(crate) sharing: Sharing,
}

/// Where orders go.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) tally: Arc<Tally>,
}

impl Post {
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn send(&self, order: Order) {
        // After the agent has ended nothing is given; what waits is woken by its own deadline.
        let _ended = self.orders.send(order);
    }
}

/// Whose counters a cell shares, and through whom.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) subscription: SubscriptionId,
    pub(crate) mode: Mode,
    pub(crate) post: Post,
}

impl Share {
    fn counter(&self, slot: &Slot, start: Timestamp) -> CounterId {
        CounterId {
            subscription: self.subscription,
            mode: self.mode,
            limit: Arc::clone(&slot.key),
            start,
        }
    }
}

impl Cell {
    /// Asks for more of every limit whose slice is used up. The answer comes when one of them has an answer, good or bad:
    /// admit again then. `None` when there is nothing to wait for.
    pub fn ask(self: &Arc<Self>, admission: &Admission<'_>, now: Times) -> Option<oneshot::Receiver<()>> {
        let share = self.share.as_ref()?;
        let around = around(admission, now, true);
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut waits = false;
        for (index, limit) in applying(admission) {
            let at = inner.slot_of(index, limit, around);
            let standing = inner.slots[at].standing(&limit.rule, around);
            if standing.short == Some(Short::Spent) {
                self.order(share, &mut inner.slots[at], limit, around);
                waits = true;
            }
        }
        waits.then(|| {
            let (sender, receiver) = oneshot::channel();
            inner.waiters.retain(|waiter| !waiter.is_closed());
            inner.waiters.push(sender);
            receiver
        })
    }

    /// Orders more, unless it is on its way.
    fn order(self: &Arc<Self>, share: &Share, slot: &mut Slot, limit: &EnforcedLimit, around: Around<'_>) {
        let weight = reserved_by(&limit.rule, around.weight).max(1);
        let Some(ceiling) = ceiling_of(&limit.rule) else { return };
        let Some((count, lease)) = slot.lease_at(&limit.rule, around) else {
            return;
        };
        if lease.begin(weight, around.now.mono_ns) {
            let slice = lease.asked();
            share.post.tally.largest_slice.fetch_max(slice, Ordering::Relaxed);
            share.post.send(Order::Ask(Wanted {
                cell: Arc::clone(self),
                counter: share.counter(slot, count.window.start),
                window: count.window,
                ceiling,
                sharing: sharing_of(&limit.rule),
            }));
        }
    }

    /// After an admission: orders more where little is left, and counts what was served without a slice.
    pub(crate) fn look_ahead(
        self: &Arc<Self>,
        inner: &mut Inner,
        held: &[Held],
        (admission, around): (&Admission<'_>, Around<'_>),
    ) {
        let Some(share) = &self.share else { return };
        for one in held {
            let Some(limit) = admission.limits.get(usize::from(one.index)) else {
                continue;
            };
            let slot = &mut inner.slots[one.slot];
            let Some((count, lease)) = slot.lease_at(&limit.rule, around) else {
                continue;
            };
            let taken = count.taken_units();
            let sharing = sharing_of(&limit.rule);
            if taken > lease.allowance(sharing.precision) && sharing.when_unavailable == WhenUnavailable::Open {
                super::post::count(&share.post.tally.served_unavailable);
            }
            if lease.takes(taken, around.now.mono_ns) {
                self.order(share, slot, limit, around);
            }
        }
    }

    /// After a settlement: what came back goes on to those who wait for it.
    pub(crate) fn owe(&self, inner: &mut Inner, held: &[Held]) {
        let Some(share) = &self.share else { return };
        for one in held {
            let (Origin::Window(start) | Origin::Metered(start)) = one.origin else {
                continue;
            };
            let Some(slot) = inner.slots.get_mut(one.slot) else {
                continue;
            };
            let owes = slot.lease_of(start).is_some_and(|(taken, _, lease)| lease.owes(taken));
            if owes {
                share.post.send(Order::Return(share.counter(slot, start)));
            }
        }
    }

    /// Runs `then` on the lease of a counter, with the units taken and used in its window and the last instant seen.
    fn with_lease<T>(&self, counter: &CounterId, then: impl FnOnce(&mut Lease, (u64, u64), u64) -> T) -> Option<T> {
        let mut guard = self.lock();
        let now_ns = guard.last_used_ns;
        let slot = guard.slots.iter_mut().find(|slot| slot.key == counter.limit)?;
        let (taken, used, lease) = slot.lease_of(counter.start)?;
        Some(then(lease, (taken, used), now_ns))
    }

    /// What to say to the table, and how many units are used for good.
    pub(crate) fn offer(&self, counter: &CounterId, purpose: Purpose) -> Option<(Offer, u64)> {
        self.with_lease(counter, |lease, (taken, used), _| (lease.offer(purpose, taken), used))
    }

    /// Takes up what the table said. `None` when it was too late, else whether unused units should go back at once.
    pub(crate) fn answer(&self, counter: &CounterId, offer: &Offer, stand: &Stand) -> Option<bool> {
        let taken_up = self.with_lease(counter, |lease, _, now_ns| lease.stands(offer, stand, now_ns))?;
        if !taken_up {
            return None;
        }
        self.wake();
        let owes = self.with_lease(counter, |lease, (taken, _), _| lease.owes(taken));
        // Those who were woken had asked for it; only what nobody waits for goes back.
        Some(offer.want == 0 && owes.unwrap_or(false))
    }

    /// The table did not say anything that helps.
    pub(crate) fn fail(&self, counter: &CounterId) {
        self.with_lease(counter, |lease, _, now_ns| lease.fails(now_ns));
        self.wake();
    }

    /// Others wait for what is unused here.
    pub(crate) fn recall(&self, counter: &CounterId, recall: u64) {
        self.with_lease(counter, |lease, _, _| lease.recalls(recall));
    }

    /// Something came back to the table.
    pub(crate) fn may_ask(&self, counter: &CounterId) {
        self.with_lease(counter, |lease, _, _| lease.may_ask());
        self.wake();
    }

    /// This node's session is over.
    pub(crate) fn end_lease(&self, counter: &CounterId) {
        self.with_lease(counter, |lease, (taken, _), _| lease.ends(taken));
        self.wake();
    }

    /// When it was last used, if anything unused could be returned.
    pub(crate) fn unused_since(&self, counter: &CounterId) -> Option<u64> {
        self.with_lease(counter, |lease, (taken, _), _| lease.unused_since(taken))?
    }

    fn wake(&self) {
        let waiters = std::mem::take(&mut self.lock().waiters);
        for waiter in waiters {
            // Who went away does not wait any more.
            let _gone = waiter.send(());
        }
    }
}
