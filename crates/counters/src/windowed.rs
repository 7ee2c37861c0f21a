//! Windows of the domain clock: UTC days and months, and the usage periods of quotas.
//!
//! The window before the current one is kept as well: a request that was stamped just before a window turned is counted
//! in the window of its stamp although another request turned it first, and what ends after the turn settles there.
//! What belongs to a window older than that is dropped: it is closed and its truth is the ledger.

use domain::clock::Timestamp;
use domain::enforce::{Sharing, Window};
use domain::limit::WhenUnavailable;

use crate::lease::{Lease, Leases, Short};
use crate::slot::Standing;

/// Billionths of a unit, as in [`domain::quantity::Quantity`].
pub(crate) const NANOS: i128 = 1_000_000_000;

const NS_PER_MS: u64 = 1_000_000;

/// One window's count in billionths of a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) window: Window,
    pub(crate) used: i128,
    pub(crate) reserved: i128,
}

impl Count {
    const fn new(window: Window) -> Self {
        Self {
            window,
            used: 0,
            reserved: 0,
        }
    }

    const fn taken(&self) -> i128 {
        self.used.saturating_add(self.reserved)
    }

    fn at_rest(&self, now: Timestamp) -> bool {
        self.window.end <= now || self.taken() == 0
    }

    /// Whole units that are used or reserved, rounded up.
    pub(crate) fn taken_units(&self) -> u64 {
        units(self.taken())
    }

    /// How the limit stands on a node that has only a slice of it.
    pub(crate) fn leased(
        &self,
        alone: Standing,
        lease: &Lease,
        (ceiling, sharing): (Ceiling, Sharing),
        now_ns: u64,
    ) -> Standing {
        let Some(top) = ceiling.units else { return alone };
        let allowance = i128::from(lease.allowance(sharing.precision)) * NANOS;
        let weight = i128::from(ceiling.weight) * NANOS;
        let fits = |taken: i128| taken.saturating_add(weight.max(1)) <= allowance;
        let used = alone.used.saturating_add(i128::from(lease.elsewhere) * NANOS);
        let left = (i128::from(top) * NANOS).saturating_sub(used) / NANOS;
        let short = if alone.fits && !fits(self.taken()) {
            lease.short(now_ns)
        } else {
            None
        };
        let serves_anyway = short == Some(Short::Unavailable) && sharing.when_unavailable == WhenUnavailable::Open;
        Standing {
            used,
            remaining: u64::try_from(left.max(0)).unwrap_or(u64::MAX),
            fits: alone.fits && (fits(self.taken()) || serves_anyway),
            pending: fits(self.used),
            short,
            ..alone
        }
    }
}

fn units(nanos: i128) -> u64 {
    u64::try_from(nanos.max(0).saturating_add(NANOS - 1) / NANOS).unwrap_or(u64::MAX)
}

/// Which windows there are, by whom it is told.
pub(crate) struct Calendar<'a> {
    /// Differs between calendars that differ.
    pub(crate) stamp: u64,
    /// Orders calendars: a request that still holds an older snapshot changes nothing.
    pub(crate) revision: u64,
    /// The window of an instant.
    pub(crate) window: &'a dyn Fn(Timestamp) -> Window,
}

/// What a window holds at most, in whole units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling {
    pub(crate) units: Option<u64>,
    /// Units that a request reserves; 0 where the quantity is known only from the answer.
    pub(crate) weight: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Windowed {
    current: Option<Count>,
    previous: Option<Count>,
    calendar: Option<(u64, u64)>,
    /// Where other nodes count in the same windows.
    pub(crate) leases: Option<Box<Leases>>,
}

impl Windowed {
    pub(crate) fn new(is_shared: bool) -> Self {
        Self {
            leases: is_shared.then(Box::default),
            ..Self::default()
        }
    }

    /// The count of the window in which an instant lies, turning the window when it is over.
    pub(crate) fn at(&mut self, at: Timestamp, calendar: &Calendar<'_>) -> &mut Count {
        self.follow(at, calendar);
        let current = self.current.get_or_insert_with(|| Count::new((calendar.window)(at)));
        if at >= current.window.end {
            let turned = Count::new((calendar.window)(at));
            self.previous = Some(std::mem::replace(current, turned));
            // Whoever turns it, the newest calendar has the last word: by another stamp it will look again.
            let newest = self.calendar.map_or(0, |(_, revision)| revision);
            self.calendar = Some((calendar.stamp, newest.max(calendar.revision)));
            return current;
        }
        if at >= current.window.start {
            return current;
        }
        let kept = self.previous.filter(|previous| at < previous.window.end);
        self.previous
            .insert(kept.unwrap_or_else(|| Count::new((calendar.window)(at))))
    }

    /// Takes up a calendar that differs from the last one: a plan, an anchor or a zone has changed.
    fn follow(&mut self, at: Timestamp, calendar: &Calendar<'_>) {
        let same = self.calendar.is_some_and(|(stamp, _)| stamp == calendar.stamp);
        let older = self.calendar.is_some_and(|(_, revision)| calendar.revision < revision);
        if same || older {
            return;
        }
        self.calendar = Some((calendar.stamp, calendar.revision));
        let Some(current) = self.current else { return };
        if at >= current.window.end {
            return;
        }
        let window = (calendar.window)(at.max(current.window.start));
        if window.start > current.window.start {
            self.previous = Some(current);
            self.current = Some(Count::new(window));
        } else {
            self.current = Some(self.widened(current, window));
        }
    }

    /// The same period, or one that starts earlier: what was used stays used. Reservations of a window that ceased to
    /// exist find nothing to settle, so they count as used at once.
    fn widened(&self, current: Count, window: Window) -> Count {
        if window.start == current.window.start {
            return Count { window, ..current };
        }
        let before = self.previous.filter(|previous| previous.window.start >= window.start);
        let used = current
            .taken()
            .saturating_add(before.map_or(0, |previous| previous.taken()));
        Count {
            window,
            used,
            reserved: 0,
        }
    }

    pub(crate) fn standing(count: &Count, ceiling: Ceiling, now: Timestamp) -> Standing {
        let weight = i128::from(ceiling.weight) * NANOS;
        let taken = count.taken();
        let top = ceiling.units.map(|units| i128::from(units) * NANOS);
        let fits = |taken: i128| {
            top.is_none_or(|top| {
                if weight == 0 {
                    taken < top
                } else {
                    taken.saturating_add(weight) <= top
                }
            })
        };
        let left_ns = u64::try_from(count.window.end.millis_since(now))
            .unwrap_or(0)
            .saturating_mul(NS_PER_MS);
        Standing {
            used: taken,
            limit: ceiling.units,
            remaining: top.map_or(u64::MAX, |top| {
                u64::try_from(((top - taken) / NANOS).max(0)).unwrap_or(u64::MAX)
            }),
            fits: fits(taken),
            pending: fits(count.used),
            short: None,
            retry_ns: left_ns,
            reset_ns: left_ns,
        }
    }

    /// Applies to the window that starts at `start`, if it is still kept.
    pub(crate) fn settle(&mut self, start: Timestamp, reserved: i128, kept: i128) {
        let counts = [&mut self.current, &mut self.previous];
        if let Some(count) = counts.into_iter().flatten().find(|count| count.window.start == start) {
            count.reserved = (count.reserved - reserved).max(0);
            count.used = count.used.saturating_add(kept);
        }
    }

    /// What is taken (rounded up) and what is used for good (rounded down) in the window that starts at `start`, in whole
    /// units.
    pub(crate) fn units(&self, start: Timestamp) -> (u64, u64) {
        let counts = [&self.current, &self.previous];
        let found = counts.into_iter().flatten().find(|count| count.window.start == start);
        found.map_or((0, 0), |count| {
            let used = u64::try_from(count.used.max(0) / NANOS).unwrap_or(u64::MAX);
            (count.taken_units(), used)
        })
    }

    /// Adds what a window had used before this process started.
    pub(crate) fn preload(&mut self, window: Window, used: i128) {
        let mut counts: Vec<Count> = [self.current, self.previous].into_iter().flatten().collect();
        match counts.iter_mut().find(|count| count.window.start == window.start) {
            Some(count) => count.used = count.used.saturating_add(used),
            None => counts.push(Count {
                window,
                used,
                reserved: 0,
            }),
        }
        counts.sort_by_key(|count| std::cmp::Reverse(count.window.start));
        self.current = counts.first().copied();
        self.previous = counts.get(1).copied();
    }

    /// Whether forgetting the windows would change nothing.
    pub(crate) fn at_rest(&self, now: Timestamp) -> bool {
        [&self.current, &self.previous]
            .into_iter()
            .flatten()
            .all(|count| count.at_rest(now))
    }
}
