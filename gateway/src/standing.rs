//! How the limits of known callers stand, for answers that admission has no part in: refusals for their subscription's
//! state, and what they ask of their own use. Nothing is counted here.

use std::cmp::Reverse;

use counters::{Admission, Times};
use domain::key::Mode;
use http::header::HeaderMap;
use snapshot::CompiledSubscription;

use crate::rate_headers;
use crate::worker::Worker;

/// Where a caller stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Live and test keys are counted apart.
    pub(crate) mode: Mode,
    /// Key of the operation; empty for what belongs to none.
    pub(crate) operation: &'a str,
    /// Of the snapshot that the subscriptions are from.
    pub(crate) revision: u64,
}

/// Says what is left under the tightest limit of these subscriptions, and the policy of the one that has it.
pub(crate) fn state<'s>(
    headers: &mut HeaderMap,
    worker: &Worker,
    subscriptions: impl Iterator<Item = &'s CompiledSubscription>,
    place: Place<'_>,
) {
    let times = Times {
        mono_ns: worker.mono_ns(),
        wall: worker.stamper.now(),
    };
    let standing = subscriptions.map(|one| {
        let of = one.plan.limits_of(place.operation);
        let admission = Admission {
            limits: &one.plan.limits,
            applies: &of.applies,
            cycle: &one.cycle,
            revision: place.revision,
            weight: 1,
        };
        let cell = worker.counters.subscription(one.id, place.mode);
        (one, of, cell.tightest(&admission, times))
    });
    let tightest = standing.min_by_key(|(_, _, tightest)| {
        tightest.map_or((u64::MAX, Reverse(0)), |tightest| {
            (tightest.remaining, Reverse(tightest.reset_s))
        })
    });
    if let Some((one, of, tightest)) = tightest {
        if let Some(tightest) = tightest {
            rate_headers::state(headers, &one.plan.limits, &tightest);
        }
        rate_headers::state_policy(headers, &of.policy_header);
    }
}
