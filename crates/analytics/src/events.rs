//! Single facts: lists, one request, and the requests behind an invoice line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::usage::{Fact, Kind, Outcome, ProducerId, RejectionSample};

use crate::engine::Analytics;
use crate::error::Error;
use crate::usage::Billable;

/// A fact with its place in the journal and the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// Who wrote it.
    pub producer: ProducerId,
    /// Its number in the producer's journal.
    pub seq: u64,
    /// The ledger commit that counted it.
    pub ledger_commit: u64,
    /// The fact.
    pub fact: Fact,
}

/// A sample of a rejection with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSample {
    /// Who wrote it.
    pub producer: ProducerId,
    /// The number of its record in the producer's journal.
    pub seq: u64,
    /// The sample.
    pub sample: RejectionSample,
}

/// Where a page ended. Its text holds only `A-Za-z0-9_-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) time: Timestamp,
    pub(crate) producer: ProducerId,
    pub(crate) seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.time.as_millis(), self.producer, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('_');
        let mut next = || parts.next().unwrap_or_default();
        let (time, producer, seq) = (next().parse(), next().parse(), next().parse());
        match (time, producer, seq, parts.next()) {
            (Ok(time), Ok(producer), Ok(seq), None) => Ok(Self {
                time: Timestamp::from_millis(time),
                producer,
                seq,
            }),
            _ => Err(Error::Corrupt("cursor".to_owned())),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Which facts a list holds, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// First instant.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
    /// Only this account.
    pub account: Option<AccountId>,
    /// Only this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Live or test traffic.
    pub mode: Mode,
}

impl EventFilter {
    /// The columns that it narrows, with their values.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("account", self.account.map(|id| id.to_string())),
            ("consumer", self.consumer.map(|id| id.to_string())),
            ("subscription", self.subscription.map(|id| id.to_string())),
        ];
        all.into_iter().filter_map(|(column, value)| Some((column, value?)))
    }
}

/// Facts, counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawCount {
    /// Facts of every kind, those that belong to no subscription too.
    pub facts: u64,
    /// Requests of subscriptions.
    pub requests: u64,
    /// Those that are billed.
    pub billable: u64,
}

impl RawCount {
    /// Takes so many facts of one outcome.
    pub(crate) fn add(&mut self, of: Option<SubscriptionId>, outcome: Outcome, facts: u64, billable: Billable<'_>) {
        self.facts += facts;
        // Neither a part of a request that goes on, nor what nobody pays for.
        if outcome.kind != Kind::Checkpoint && of.is_some() {
            self.requests += facts;
            self.billable += if billable(&outcome) { facts } else { 0 };
        }
    }
}

/// Facts, counted one by one, by who pays.
pub type RawCounts = BTreeMap<Option<SubscriptionId>, RawCount>;

/// Facts by the ledger commit that counted them and by who wrote them.
pub type BatchCounts = BTreeMap<(u64, ProducerId), u64>;

/// Which requests stand behind a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// Only this segment.
    pub segment: Option<u32>,
    /// The meter.
    pub meter: String,
    /// Counted by a ledger commit after this one.
    pub after_commit: u64,
    /// Counted by this ledger commit or an earlier one.
    pub through_commit: u64,
}

/// A fact as both engines keep it whole.
///
/// # Errors
/// When it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Fact, Error> {
    postcard::from_bytes(bytes).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn encode(fact: &Fact) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(fact).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn decode_sample(text: &str) -> Result<RejectionSample, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn encode_sample(sample: &RejectionSample) -> Result<String, Error> {
    serde_json::to_string(sample).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn cursor(stored: &StoredFact) -> Cursor {
    Cursor {
        time: stored.fact.admitted_at,
        producer: stored.producer,
        seq: stored.seq,
    }
}

impl Analytics {
    /// Counts the facts of a filter one by one, without any roll-up: what every other number must agree with.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn raw_count(&self, filter: &EventFilter, billable: Billable<'_>) -> Result<RawCount, Error> {
        let counts = self.raw_counts(filter, billable).await?;
        let sum = |of: fn(&RawCount) -> u64| counts.values().map(of).sum();
        Ok(RawCount {
            facts: sum(|count| count.facts),
            requests: sum(|count| count.requests),
            billable: sum(|count| count.billable),
        })
    }

    /// Facts in order of time; at most `limit`.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn events(
        &self,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let mut items = self.events_after(filter, after, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Ok(Page { items, next })
    }

    /// The billed requests behind a charge, in order of time; at most `limit`.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn evidence(
        &self,
        evidence: &Evidence,
        billable: Billable<'_>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let (mut items, mut after) = (Vec::new(), after);
        loop {
            let facts = self.evidence_after(evidence, after, limit + 1).await?;
            let read = facts.len();
            for fact in facts {
                after = Some(cursor(&fact));
                if evidence.holds(&fact.fact, billable) {
                    items.push(fact);
                }
                if items.len() > limit {
                    items.truncate(limit);
                    let next = items.last().map(cursor);
                    return Ok(Page { items, next });
                }
            }
            if read <= limit {
                return Ok(Page { items, next: None });
            }
        }
    }
}

impl Evidence {
    fn holds(&self, fact: &Fact, billable: Billable<'_>) -> bool {
        let in_segment = self.segment.is_none_or(|segment| segment == fact.segment);
        let by_meter = if self.meter == REQUESTS {
            fact.outcome.kind != Kind::Checkpoint
        } else {
            fact.quantities
                .iter()
                .any(|value| value.meter == self.meter && !value.quantity.is_zero())
        };
        in_segment && by_meter && billable(&fact.outcome.class())
    }
}
