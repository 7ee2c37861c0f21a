//! The counter of one limit in one cell.

use std::sync::Arc;

use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule, QuotaOf, Sharing, Window};

use crate::bucket::{Bucket, BucketRule};
use crate::fixed::{Fixed, FixedRule};
use crate::lease::{Lease, Short};
use crate::times::Times;
use crate::windowed::{Calendar, Ceiling, Count, NANOS, Windowed};

/// How a limit stands before a request is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Used and reserved, in billionths of a unit.
    pub(crate) used: i128,
    /// Units at most; `None` without end.
    pub(crate) limit: Option<u64>,
    /// Whole units left.
    pub(crate) remaining: u64,
    /// Whether the request may be counted.
    pub(crate) fits: bool,
    /// Whether it would fit if all that is merely reserved came back.
    pub(crate) pending: bool,
    /// Only this node's slice of a shared counter stands in the way.
    pub(crate) short: Option<Short>,
    /// Nanoseconds until a refused request may fit.
    pub(crate) retry_ns: u64,
    /// Nanoseconds until all units are there again.
    pub(crate) reset_ns: u64,
}

/// What surrounds an admission.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) now: Times,
    pub(crate) cycle: &'a UsageCycle,
    pub(crate) revision: u64,
    pub(crate) weight: u64,
    /// Whether windows of the domain clock are shared with other nodes.
    pub(crate) is_shared: bool,
}

/// Where a reservation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Bucket,
    /// Start of the window in nanoseconds.
    Fixed(u64),
    /// Start of the window on the domain clock; the units are requests.
    Window(Timestamp),
    /// As `Window`; the quantity of the limit's meter is added when settled.
    Metered(Timestamp),
    Concurrency,
}

#[derive(Debug)]
enum State {
    Bucket { bucket: Bucket, requests: u64 },
    Fixed { fixed: Fixed, window_ns: u64 },
    Windowed(Windowed),
    Concurrency(u64),
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: Arc<str>,
    /// The meter of a quota.
    meter: Option<Arc<str>>,
    state: State,
}

const fn fixed_rule(requests: u64, window_ns: u64) -> FixedRule {
    FixedRule { requests, window_ns }
}

impl Slot {
    pub(crate) fn new(limit: &EnforcedLimit, now: Times, is_shared: bool) -> Self {
        Self {
            key: Arc::clone(&limit.key),
            meter: None,
            state: State::new(&limit.rule, now, is_shared),
        }
    }

    pub(crate) fn preloaded(key: Arc<str>) -> Self {
        Self {
            key,
            meter: None,
            state: State::Windowed(Windowed::default()),
        }
    }

    pub(crate) fn is(&self, limit: &EnforcedLimit) -> bool {
        Arc::ptr_eq(&self.key, &limit.key) || self.key == limit.key
    }

    /// The meter whose quantities the limit counts.
    pub(crate) fn meter(&self) -> Option<&str> {
        self.meter.as_deref()
    }

    /// Brings the counter up to now and tells how it stands. A limit that counts in another way than before (the plan
    /// changed its algorithm) starts anew.
    pub(crate) fn standing(&mut self, rule: &EnforcedRule, around: Around<'_>) -> Standing {
        if !self.state.fits(rule) {
            self.state = State::new(rule, around.now, around.is_shared);
        }
        if let (None, EnforcedRule::Quota { meter, .. }) = (&self.meter, rule) {
            self.meter = Some(Arc::clone(meter));
        }
        let Around { now, weight, .. } = around;
        match (&mut self.state, rule) {
            (
                State::Bucket { bucket, requests: kept },
                &EnforcedRule::Bucket {
                    requests,
                    window_ns,
                    burst,
                },
            ) => {
                let rule = BucketRule {
                    requests,
                    window_ns,
                    burst,
                };
                *kept = requests;
                bucket.refill(rule, now.mono_ns);
                bucket.standing(rule, weight)
            }
            (State::Fixed { fixed, window_ns: kept }, &EnforcedRule::Fixed { requests, window_ns }) => {
                *kept = window_ns;
                fixed.turn(fixed_rule(requests, window_ns), now.mono_ns);
                fixed.standing(fixed_rule(requests, window_ns), now.mono_ns, weight)
            }
            (State::Windowed(windowed), rule) => {
                let ceiling = Ceiling {
                    units: ceiling_of(rule),
                    weight: reserved_by(rule, weight),
                };
                let count = with_calendar(rule, around, |calendar| *windowed.at(now.wall, calendar));
                let alone = Windowed::standing(&count, ceiling, now.wall);
                match &mut windowed.leases {
                    None => alone,
                    Some(leases) => {
                        let lease = leases.of(count.window.start);
                        count.leased(alone, lease, (ceiling, sharing_of(rule)), now.mono_ns)
                    }
                }
            }
            (State::Concurrency(in_flight), rule) => concurrency_standing(*in_flight, ceiling_of(rule), weight),
            (State::Bucket { .. } | State::Fixed { .. }, _) => concurrency_standing(0, None, weight),
        }
    }

    /// Counts a request that fits; `standing` has just been asked under the same lock.
    pub(crate) fn take(&mut self, rule: &EnforcedRule, around: Around<'_>) -> Origin {
        let Around { now, weight, .. } = around;
        match &mut self.state {
            State::Bucket { bucket, .. } => {
                bucket.take(weight);
                Origin::Bucket
            }
            State::Fixed { fixed, .. } => Origin::Fixed(fixed.take(now.mono_ns, weight)),
            State::Windowed(windowed) => with_calendar(rule, around, |calendar| {
                let count = windowed.at(now.wall, calendar);
                let reserved = reserved_by(rule, weight);
                count.reserved = count.reserved.saturating_add(i128::from(reserved) * NANOS);
                if reserved == 0 {
                    Origin::Metered(count.window.start)
                } else {
                    Origin::Window(count.window.start)
                }
            }),
            State::Concurrency(in_flight) => {
                *in_flight = in_flight.saturating_add(weight);
                Origin::Concurrency
            }
        }
    }

    /// Ends a reservation of `units` in the window that it came from; `kept` billionths stay counted.
    pub(crate) fn settle(&mut self, origin: Origin, units: u64, kept: i128) {
        match (&mut self.state, origin) {
            (State::Bucket { bucket, .. }, Origin::Bucket) if kept == 0 => bucket.give_back(units),
            (State::Fixed { fixed, .. }, Origin::Fixed(start)) if kept == 0 => fixed.give_back(start, units),
            (State::Windowed(windowed), Origin::Window(start)) => {
                windowed.settle(start, i128::from(units) * NANOS, kept);
            }
            (State::Windowed(windowed), Origin::Metered(start)) => windowed.settle(start, 0, kept),
            (State::Concurrency(in_flight), Origin::Concurrency) => *in_flight = in_flight.saturating_sub(units),
            // Counted for good, or the limit counts in another way by now.
            (State::Bucket { .. } | State::Fixed { .. } | State::Windowed(_) | State::Concurrency(_), _) => {}
        }
    }

    /// Adds a quantity to the window of an instant without admission (a checkpoint of a long stream).
    pub(crate) fn charge(&mut self, rule: &EnforcedRule, around: Around<'_>, quantity: i128) {
        if let State::Windowed(windowed) = &mut self.state {
            with_calendar(rule, around, |calendar| {
                let count = windowed.at(around.now.wall, calendar);
                count.used = count.used.saturating_add(quantity);
            });
        }
    }

    /// The window of an instant and its lease, where it is shared and has an end.
    pub(crate) fn lease_at(&mut self, rule: &EnforcedRule, around: Around<'_>) -> Option<(Count, &mut Lease)> {
        let State::Windowed(windowed) = &mut self.state else {
            return None;
        };
        ceiling_of(rule)?;
        let count = with_calendar(rule, around, |calendar| *windowed.at(around.now.wall, calendar));
        let lease = windowed.leases.as_mut()?.of(count.window.start);
        Some((count, lease))
    }

    /// The lease of a window and what is taken in it, in whole units.
    pub(crate) fn lease_of(&mut self, start: Timestamp) -> Option<(u64, u64, &mut Lease)> {
        let State::Windowed(windowed) = &mut self.state else {
            return None;
        };
        let (taken, used) = windowed.units(start);
        let lease = windowed.leases.as_mut()?.known(start)?;
        Some((taken, used, lease))
    }

    pub(crate) fn preload(&mut self, window: Window, used: i128) {
        if let State::Windowed(windowed) = &mut self.state {
            windowed.preload(window, used);
        }
    }

    /// Whether forgetting the counter would change nothing.
    pub(crate) fn at_rest(&self, now: Times) -> bool {
        match &self.state {
            State::Bucket { bucket, requests } => bucket.at_rest(*requests, now.mono_ns),
            State::Fixed { fixed, window_ns } => fixed.at_rest(*window_ns, now.mono_ns),
            State::Windowed(windowed) => windowed.at_rest(now.wall),
            State::Concurrency(in_flight) => *in_flight == 0,
        }
    }

    /// Whether only the memory of a short rate would be lost.
    pub(crate) fn is_short(&self, now: Times) -> bool {
        matches!(self.state, State::Bucket { .. } | State::Fixed { .. }) || self.at_rest(now)
    }
}

impl State {
    fn new(rule: &EnforcedRule, now: Times, is_shared: bool) -> Self {
        match *rule {
            EnforcedRule::Bucket {
                requests,
                window_ns,
                burst,
            } => {
                let bucket = Bucket::full(
                    BucketRule {
                        requests,
                        window_ns,
                        burst,
                    },
                    now.mono_ns,
                );
                Self::Bucket { bucket, requests }
            }
            EnforcedRule::Fixed { window_ns, .. } => Self::Fixed {
                fixed: Fixed::default(),
                window_ns,
            },
            EnforcedRule::Calendar { .. } | EnforcedRule::Quota { .. } => Self::Windowed(Windowed::new(is_shared)),
            EnforcedRule::Concurrency { .. } => Self::Concurrency(0),
        }
    }

    const fn fits(&self, rule: &EnforcedRule) -> bool {
        matches!(
            (self, rule),
            (Self::Bucket { .. }, EnforcedRule::Bucket { .. })
                | (Self::Fixed { .. }, EnforcedRule::Fixed { .. })
                | (
                    Self::Windowed(_),
                    EnforcedRule::Calendar { .. } | EnforcedRule::Quota { .. }
                )
                | (Self::Concurrency(_), EnforcedRule::Concurrency { .. })
        )
    }
}

/// Units up to which requests are served; `None` without end.
pub(crate) const fn ceiling_of(rule: &EnforcedRule) -> Option<u64> {
    match rule {
        EnforcedRule::Bucket { burst, .. } => Some(*burst),
        EnforcedRule::Fixed { requests, .. } | EnforcedRule::Calendar { requests, .. } => Some(*requests),
        EnforcedRule::Quota { ceiling, .. } => *ceiling,
        EnforcedRule::Concurrency { max } => Some(*max),
    }
}

/// Units that a request of this weight reserves.
pub(crate) const fn reserved_by(rule: &EnforcedRule, weight: u64) -> u64 {
    match rule {
        EnforcedRule::Quota {
            of: QuotaOf::Quantities,
            ..
        } => 0,
        EnforcedRule::Quota {
            of: QuotaOf::Requests, ..
        }
        | EnforcedRule::Bucket { .. }
        | EnforcedRule::Fixed { .. }
        | EnforcedRule::Calendar { .. }
        | EnforcedRule::Concurrency { .. } => weight,
    }
}

fn concurrency_standing(in_flight: u64, limit: Option<u64>, weight: u64) -> Standing {
    let remaining = limit.map_or(u64::MAX, |limit| limit.saturating_sub(in_flight));
    Standing {
        used: i128::from(in_flight) * NANOS,
        limit,
        remaining,
        fits: weight <= remaining,
        pending: true,
        short: None,
        retry_ns: NS_PER_SECOND,
        reset_ns: 0,
    }
}

/// How exact a limit is over nodes. Days and months are always exact.
pub(crate) fn sharing_of(rule: &EnforcedRule) -> Sharing {
    match rule {
        EnforcedRule::Quota { sharing, .. } => *sharing,
        EnforcedRule::Bucket { .. }
        | EnforcedRule::Fixed { .. }
        | EnforcedRule::Calendar { .. }
        | EnforcedRule::Concurrency { .. } => Sharing::default(),
    }
}

const NS_PER_SECOND: u64 = 1_000_000_000;

fn with_calendar<T>(rule: &EnforcedRule, around: Around<'_>, then: impl FnOnce(&Calendar<'_>) -> T) -> T {
    match *rule {
        // Days and months never change, so any two stamps do that the cycles of quotas, being of other limits, never meet.
        EnforcedRule::Calendar { unit, .. } => then(&Calendar {
            stamp: 0,
            revision: around.revision,
            window: &|at| unit.window(at),
        }),
        EnforcedRule::Quota { .. }
        | EnforcedRule::Bucket { .. }
        | EnforcedRule::Fixed { .. }
        | EnforcedRule::Concurrency { .. } => then(&Calendar {
            stamp: around.cycle.stamp(),
            revision: around.revision,
            window: &|at| around.cycle.window(at),
        }),
    }
}
