//! Which outcomes are billed, and count against quotas.
//!
//! Facts are stored whatever is decided here. One function decides for the gateway (whether a reservation returns), for
//! the quota and for rating, so that the three cannot disagree. Policies are versioned: a new rule is a new version,
//! and facts that were rated under an older one keep it.
//!
//! Requests that are refused before they are forwarded, preflights and health checks make no fact and do not come here.

use crate::quantity::Quantity;
use crate::usage::{Kind, Outcome, Source};

/// The part of a quantity that is billed, in billionths: 0 is none, 1,000,000,000 is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Nothing is billed.
    pub const NONE: Self = Self(0);
    /// All is billed.
    pub const FULL: Self = Self(1_000_000_000);

    /// So many billionths; `None` above [`Share::FULL`].
    pub const fn from_billionths(billionths: u32) -> Option<Self> {
        if billionths <= Self::FULL.0 {
            Some(Self(billionths))
        } else {
            None
        }
    }

    /// Whether nothing is billed, so that a reservation returns.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// This part of a quantity, cut to a billionth of a unit.
    #[must_use]
    pub fn of(self, quantity: Quantity) -> Quantity {
        let one = i128::from(Self::FULL.0);
        let (whole, rest) = (quantity.nanos() / one, quantity.nanos() % one);
        let part = i128::from(self.0);
        Quantity::from_nanos(whole.saturating_mul(part).saturating_add(rest * part / one))
    }
}

/// Which answers are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answers {
    /// All but the server's own errors (5xx).
    AllButServerErrors,
    /// Successes (2xx, and 101 for a connection that was upgraded).
    SuccessesOnly,
}

/// A policy. Two policies with the same version are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Number under which rated usage refers to it.
    pub version: u32,
    /// Which answers are billed.
    pub answers: Answers,
    /// The part of an answer from the cache that is billed.
    pub cached: Share,
}

impl Policy {
    /// The default: every answer that is not a server error, answers from the cache in full.
    pub const V1: Self = Self {
        version: 1,
        answers: Answers::AllButServerErrors,
        cached: Share::FULL,
    };

    /// The policy of a version; `None` for versions that do not exist.
    pub const fn of_version(version: u32) -> Option<Self> {
        if version == Self::V1.version {
            Some(Self::V1)
        } else {
            None
        }
    }

    const fn bills_status(self, status: u16) -> bool {
        match self.answers {
            Answers::AllButServerErrors => matches!(status, 100..=499),
            Answers::SuccessesOnly => matches!(status, 101 | 200..=299),
        }
    }
}

/// The part of what a request consumed that is billed and counts against quotas.
///
/// A client that left is billed when the upstream's header had arrived. A checkpoint is billed as the request that it
/// belongs to; it carries quantities but is no request of its own: see [`billable_requests`].
pub fn billable(policy: Policy, outcome: &Outcome) -> Share {
    if outcome.kind == Kind::Interrupted || !policy.bills_status(outcome.status) {
        return Share::NONE;
    }
    match outcome.source {
        Source::Cache => policy.cached,
        Source::Upstream if outcome.upstream_answered => Share::FULL,
        Source::Upstream | Source::Gateway => Share::NONE,
    }
}

/// What a fact adds to the meter `requests`: a request counts once, by its final fact.
pub fn billable_requests(policy: Policy, outcome: &Outcome) -> Quantity {
    match outcome.kind {
        Kind::Request => billable(policy, outcome).of(Quantity::from_units(1)),
        Kind::Checkpoint | Kind::Interrupted => Quantity::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESSES: Policy = Policy {
        version: 2,
        answers: Answers::SuccessesOnly,
        cached: Share::FULL,
    };

    fn outcome(source: Source, status: u16) -> Outcome {
        Outcome {
            source,
            status,
            client_aborted: false,
            upstream_answered: source == Source::Upstream,
            kind: Kind::Request,
        }
    }

    fn count(policy: Policy, facts: &[(u64, Source, u16)]) -> Quantity {
        let total = |(times, source, status): &(u64, Source, u16)| {
            let one = billable_requests(policy, &outcome(*source, *status));
            Quantity::from_nanos(one.nanos() * i128::from(*times))
        };
        facts.iter().map(total).sum()
    }

    #[test]
    fn row_15_client_errors_are_billed_by_default_and_server_errors_are_not() {
        let facts = [
            (940, Source::Upstream, 200),
            (40, Source::Upstream, 404),
            (20, Source::Upstream, 503),
        ];
        assert_eq!(count(Policy::V1, &facts), Quantity::from_units(980));
        assert_eq!(count(SUCCESSES, &facts), Quantity::from_units(940));
    }

    #[test]
    fn row_52_cached_answers_are_billed_in_full_not_at_all_or_in_part() {
        let facts = [(600, Source::Upstream, 200), (400, Source::Cache, 200)];
        let half = Share::from_billionths(500_000_000).unwrap();
        for (cached, billed) in [(Share::FULL, 1_000), (Share::NONE, 600), (half, 800)] {
            let policy = Policy { cached, ..Policy::V1 };
            assert_eq!(count(policy, &facts), Quantity::from_units(billed));
        }
    }

    #[test]
    fn row_53_the_status_and_the_maker_of_the_answer_decide() {
        let facts = [
            (500, Source::Upstream, 200),
            (200, Source::Cache, 200),
            (50, Source::Upstream, 304),
            (120, Source::Upstream, 404),
            (30, Source::Gateway, 429),
            (20, Source::Gateway, 401),
            (60, Source::Upstream, 500),
            (20, Source::Gateway, 504),
        ];
        assert_eq!(count(Policy::V1, &facts), Quantity::from_units(870));
        assert_eq!(count(SUCCESSES, &facts), Quantity::from_units(700));
    }

    #[test]
    fn a_client_that_left_is_billed_once_the_upstream_had_answered() {
        let left = |upstream_answered, status| Outcome {
            client_aborted: true,
            upstream_answered,
            ..outcome(Source::Upstream, status)
        };
        assert_eq!(billable(Policy::V1, &left(true, 200)), Share::FULL);
        assert_eq!(billable(Policy::V1, &left(true, 499)), Share::FULL);
        assert_eq!(billable(Policy::V1, &left(false, 499)), Share::NONE);
        assert_eq!(billable(Policy::V1, &left(true, 503)), Share::NONE);
        let gateway = Outcome {
            client_aborted: true,
            ..outcome(Source::Gateway, 499)
        };
        assert_eq!(billable(Policy::V1, &gateway), Share::NONE);
    }

    #[test]
    fn a_checkpoint_bills_quantities_but_is_no_request_and_an_interrupted_one_bills_nothing() {
        let of = |kind| Outcome {
            kind,
            ..outcome(Source::Upstream, 200)
        };
        assert_eq!(billable(Policy::V1, &of(Kind::Checkpoint)), Share::FULL);
        assert_eq!(billable_requests(Policy::V1, &of(Kind::Checkpoint)), Quantity::ZERO);
        assert_eq!(billable(Policy::V1, &of(Kind::Interrupted)), Share::NONE);
        assert_eq!(
            billable_requests(Policy::V1, &of(Kind::Request)),
            Quantity::from_units(1)
        );
    }

    #[test]
    fn statuses_that_no_server_sends_are_not_billed() {
        for status in [0, 99, 500, 599, 600, u16::MAX] {
            assert_eq!(
                billable(Policy::V1, &outcome(Source::Upstream, status)),
                Share::NONE,
                "{status}"
            );
        }
        assert_eq!(billable(Policy::V1, &outcome(Source::Upstream, 101)), Share::FULL);
    }

    #[test]
    fn a_part_of_any_quantity_stays_in_range() {
        let most = Quantity::from_nanos(i128::MAX);
        assert_eq!(Share::FULL.of(most), most);
        assert_eq!(Share::NONE.of(most), Quantity::ZERO);
        assert_eq!(Share::from_billionths(1_000_000_001), None);
    }

    #[test]
    fn a_version_names_one_policy() {
        assert_eq!(Policy::of_version(1), Some(Policy::V1));
        assert_eq!(Policy::of_version(2), None);
    }
}
