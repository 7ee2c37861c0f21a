//! How limits stand, for headers and for `/.tollgate/usage`.

use std::sync::Arc;

use domain::clock::Timestamp;
use domain::enforce::{EnforcedLimit, EnforcedRule};
use domain::quantity::Quantity;

use crate::cell::LimitKind;
use crate::slot::Standing;
use crate::times::Times;

/// The limit that leaves the fewest units, for `RateLimit` and `X-RateLimit-*`. Concurrency and quotas without an end
/// take no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tightest {
    /// Index into the limits of the admission.
    pub index: u16,
    /// Units at most (a bucket's size, a quota's ceiling).
    pub limit: u64,
    /// Whole units left after this request.
    pub remaining: u64,
    /// Seconds until all units are there again, rounded up.
    pub reset_s: u64,
}

impl Tightest {
    pub(crate) fn tighter(
        known: Option<Self>,
        index: u16,
        limit: &EnforcedLimit,
        standing: Standing,
        units: u64,
    ) -> Option<Self> {
        let (Some(most), false) = (standing.limit, matches!(limit.rule, EnforcedRule::Concurrency { .. })) else {
            return known;
        };
        let reset_ns = if units > 0 {
            standing.reset_ns.max(1)
        } else {
            standing.reset_ns
        };
        let this = Self {
            index,
            limit: most,
            remaining: standing.remaining.saturating_sub(units),
            reset_s: reset_ns.div_ceil(1_000_000_000),
        };
        match known {
            Some(known)
                if (known.remaining, std::cmp::Reverse(known.reset_s))
                    <= (this.remaining, std::cmp::Reverse(this.reset_s)) =>
            {
                Some(known)
            }
            _ => Some(this),
        }
    }
}

/// How one limit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// The limit's stable key.
    pub key: Arc<str>,
    /// Its kind.
    pub kind: LimitKind,
    /// The meter of a quota.
    pub meter: Option<Arc<str>>,
    /// Units as sold.
    pub max: u64,
    /// Units up to which requests are served, with overage; `None` without end.
    pub ceiling: Option<u64>,
    /// Used and reserved units.
    pub used: Quantity,
    /// Units left of `max`, never below zero.
    pub remaining: Quantity,
    /// When all units are there again on the domain clock; `None` for concurrency.
    pub resets_at: Option<Timestamp>,
}

impl LimitView {
    pub(crate) fn new(limit: &EnforcedLimit, standing: Standing, now: Times) -> Self {
        let used = Quantity::from_nanos(standing.used);
        let (meter, max) = match &limit.rule {
            EnforcedRule::Quota { meter, max, .. } => (Some(Arc::clone(meter)), *max),
            EnforcedRule::Bucket { burst, .. } => (None, *burst),
            EnforcedRule::Fixed { requests, .. } | EnforcedRule::Calendar { requests, .. } => (None, *requests),
            EnforcedRule::Concurrency { max } => (None, *max),
        };
        let kind = LimitKind::of(&limit.rule);
        let reset_ms = i64::try_from(standing.reset_ns.div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Self {
            key: Arc::clone(&limit.key),
            kind,
            meter,
            max,
            ceiling: standing.limit,
            used,
            remaining: Quantity::from_units(max).saturating_sub(used).max(Quantity::ZERO),
            resets_at: (kind != LimitKind::Concurrency).then(|| now.wall.plus_millis(reset_ms)),
        }
    }
}
