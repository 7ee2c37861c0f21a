//! One look at a span of time: requests by subscription, as each hop counts them.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{Analytics, Billable, Dimension, EventFilter, Interval, UsageQuery};
use domain::billable::{Policy, billable};
use domain::clock::Timestamp;
use domain::ids::{AccountId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::Outcome;
use serde::Serialize;
use store::Store;

use crate::error::Error;

/// Where requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// The ledger's totals, which quotas and invoices are made from.
    Ledger,
    /// Raw facts in analytics, one by one.
    Facts,
    /// Roll-ups in analytics, as wide ones as the time allows.
    Rollups,
    /// Roll-ups of an hour, or of minutes for less.
    HourlyRollups,
}

impl Hop {
    /// Every hop; the first one is what the others are held against.
    pub(crate) const ALL: [Self; 4] = [Self::Ledger, Self::Facts, Self::Rollups, Self::HourlyRollups];

    /// Its name in APIs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Facts => "facts",
            Self::Rollups => "rollups",
            Self::HourlyRollups => "hourly_rollups",
        }
    }
}

/// A span of time in whole quarters of an hour, which every hop can be cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

const QUARTER_HOUR_MS: i64 = 900_000;
const HOUR_MS: i64 = 3_600_000;

impl Range {
    /// The quarters of an hour that hold these instants; the last one is `to` where it begins one.
    pub fn covering(from: Timestamp, to: Timestamp) -> Self {
        let floor =
            |at: Timestamp| Timestamp::from_millis(at.as_millis().div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS);
        Self {
            from: floor(from),
            to: floor(to.plus_millis(QUARTER_HOUR_MS - 1)),
        }
    }

    /// Two parts of it, cut at a full hour where there is one inside; `None` for a quarter of an hour.
    pub(crate) fn halves(self) -> Option<[Self; 2]> {
        let quarters = self.to.millis_since(self.from) / QUARTER_HOUR_MS;
        if quarters < 2 {
            return None;
        }
        let middle = self.from.plus_millis(quarters / 2 * QUARTER_HOUR_MS);
        let hour = Timestamp::from_millis(middle.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
        let inside = [hour, hour.plus_millis(HOUR_MS)]
            .into_iter()
            .find(|hour| *hour > self.from && *hour < self.to);
        let middle = inside.unwrap_or(middle);
        Some([Self { to: middle, ..self }, Self { from: middle, ..self }])
    }
}

/// Whose requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's that pays.
    All,
    /// Those of an account: of its subscriptions.
    Account(AccountId, BTreeSet<SubscriptionId>),
    /// Those of one subscription.
    Subscription(SubscriptionId),
}

/// Requests as one hop counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// All of subscriptions.
    pub requests: u64,
    /// Those that are billed.
    pub billable: u64,
}

pub(crate) type Counts = BTreeMap<SubscriptionId, Count>;

/// What every hop counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look(BTreeMap<Hop, Counts>);

/// Whether an outcome is billed.
const BILLED: Billable<'static> = &|outcome| !billable(Policy::V1, outcome).is_none();

/// The billed part of what the ledger keeps under an outcome's class.
pub(crate) fn billable_part(outcome: &str, quantity: Quantity) -> Quantity {
    Outcome::from_class_key(outcome).map_or(Quantity::ZERO, |outcome| billable(Policy::V1, &outcome).of(quantity))
}

impl Look {
    /// Counts a span of time at every hop.
    ///
    /// # Errors
    /// When a hop cannot be read.
    pub(crate) async fn at(books: (&Store, &Analytics), range: Range, whose: &Whose) -> Result<Self, Error> {
        let mut hops = BTreeMap::new();
        for hop in Hop::ALL {
            hops.insert(hop, count(books, hop, range, whose).await?);
        }
        Ok(Self(hops))
    }

    /// What a hop counted, by subscription.
    pub(crate) fn of(&self, hop: Hop) -> impl Iterator<Item = (&SubscriptionId, &Count)> {
        self.0.get(&hop).into_iter().flatten()
    }

    /// What a hop counted of one subscription.
    pub(crate) fn one(&self, hop: Hop, subscription: SubscriptionId) -> Count {
        let counts = self.0.get(&hop);
        counts
            .and_then(|counts| counts.get(&subscription))
            .copied()
            .unwrap_or_default()
    }

    /// What a hop counted in all.
    pub fn total(&self, hop: Hop) -> Count {
        self.of(hop).fold(Count::default(), |sum, (_, count)| Count {
            requests: sum.requests + count.requests,
            billable: sum.billable + count.billable,
        })
    }
}

/// Requests by subscription in one hop alone.
pub(crate) async fn count(
    (store, analytics): (&Store, &Analytics),
    hop: Hop,
    range: Range,
    whose: &Whose,
) -> Result<Counts, Error> {
    match hop {
        Hop::Ledger => ledger(store, range, whose).await,
        Hop::Facts => facts(analytics, range, whose).await,
        Hop::Rollups => rollups(analytics, range, whose, Interval::Whole).await,
        Hop::HourlyRollups => rollups(analytics, range, whose, Interval::Hour).await,
    }
}

async fn ledger(store: &Store, range: Range, whose: &Whose) -> Result<Counts, Error> {
    let parts = match whose {
        Whose::Subscription(id) => store.past_use_of(*id, range.from, range.to).await?,
        Whose::All | Whose::Account(..) => store.past_use(range.from, range.to).await?,
    };
    let mut sums: BTreeMap<SubscriptionId, (Quantity, Quantity)> = BTreeMap::new();
    for part in parts {
        let is_own = !matches!(whose, Whose::Account(_, own) if !own.contains(&part.subscription));
        if part.meter == REQUESTS && is_own {
            let (all, billable) = sums.entry(part.subscription).or_default();
            *all = all.saturating_add(part.quantity);
            *billable = billable.saturating_add(billable_part(&part.outcome, part.quantity));
        }
    }
    let count = |(all, billable): (Quantity, Quantity)| Count {
        requests: all.ceil_units(),
        billable: billable.ceil_units(),
    };
    Ok(sums.into_iter().map(|(id, sum)| (id, count(sum))).collect())
}

async fn facts(analytics: &Analytics, range: Range, whose: &Whose) -> Result<Counts, Error> {
    let filter = EventFilter {
        from: range.from,
        to: range.to,
        account: match whose {
            Whose::Account(account, _) => Some(*account),
            _ => None,
        },
        consumer: None,
        subscription: match whose {
            Whose::Subscription(id) => Some(*id),
            _ => None,
        },
        mode: Mode::Live,
    };
    let counts = analytics.raw_counts(&filter, BILLED).await?;
    let of_subscriptions = counts.into_iter().filter_map(|(id, count)| Some((id?, count)));
    Ok(of_subscriptions
        .map(|(id, count)| {
            let count = Count {
                requests: count.requests,
                billable: count.billable,
            };
            (id, count)
        })
        .filter(|(_, count)| count.requests > 0)
        .collect())
}

async fn rollups(analytics: &Analytics, range: Range, whose: &Whose, interval: Interval) -> Result<Counts, Error> {
    let filter = match whose {
        Whose::All => None,
        Whose::Account(account, _) => Some((Dimension::Account, account.to_string())),
        Whose::Subscription(id) => Some((Dimension::Subscription, id.to_string())),
    };
    let query = UsageQuery {
        from: range.from,
        to: range.to,
        interval,
        group_by: vec![Dimension::Subscription],
        filter: filter.into_iter().collect(),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    };
    let mut sums: BTreeMap<SubscriptionId, (u64, Quantity)> = BTreeMap::new();
    for row in analytics.usage(&query, BILLED).await? {
        let Some(Ok(id)) = row.group.first().and_then(|id| id.as_deref()).map(str::parse) else {
            continue;
        };
        if row.requests > 0 {
            let (requests, billable) = sums.entry(id).or_default();
            *requests += row.requests;
            *billable = billable.saturating_add(row.billable);
        }
    }
    let count = |(requests, billable): (u64, Quantity)| Count {
        requests,
        billable: billable.ceil_units(),
    };
    Ok(sums.into_iter().map(|(id, sum)| (id, count(sum))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_range_is_whole_quarters_and_is_halved_down_to_one() {
        let range = Range::covering(at(1), at(2 * QUARTER_HOUR_MS + 1));
        assert_eq!((range.from, range.to), (at(0), at(3 * QUARTER_HOUR_MS)));
        let [first, second] = range.halves().unwrap();
        assert_eq!((first.to, second.from), (at(QUARTER_HOUR_MS), at(QUARTER_HOUR_MS)));
        assert!(first.halves().is_none() && second.halves().is_some());
    }
}
