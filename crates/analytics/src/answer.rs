//! An answer, added up from sums and facts: the same additions whatever engine they come from.

use std::collections::BTreeMap;

use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Outcome};

use crate::error::Error;
use crate::usage::{Billable, Dimension, UsageQuery, UsageRow};

/// Usage rows in the making.
pub(crate) struct Answer<'a> {
    pub(crate) query: &'a UsageQuery,
    billable: Billable<'a>,
    rows: BTreeMap<(i64, Vec<Option<String>>), UsageRow>,
}

/// What sums belong to.
pub(crate) struct Head {
    /// Any instant of the row, in milliseconds.
    pub(crate) time: i64,
    pub(crate) group: Vec<Option<String>>,
    pub(crate) outcome: Outcome,
}

/// Sums of facts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Reads an outcome as roll-ups keep it.
pub(crate) fn outcome(key: &str) -> Result<Outcome, Error> {
    Outcome::from_class_key(key).ok_or_else(|| Error::Corrupt(format!("outcome {key}")))
}

impl<'a> Answer<'a> {
    pub(crate) fn new(query: &'a UsageQuery, billable: Billable<'a>) -> Self {
        Self {
            query,
            billable,
            rows: BTreeMap::new(),
        }
    }

    pub(crate) fn into_rows(self) -> Vec<UsageRow> {
        self.rows.into_values().collect()
    }

    fn row(&mut self, time: i64, group: Vec<Option<String>>) -> &mut UsageRow {
        let time = self.query.row_time(time);
        self.rows
            .entry((time.as_millis(), group.clone()))
            .or_insert_with(|| UsageRow {
                time,
                group,
                ..UsageRow::default()
            })
    }

    pub(crate) fn add_counts(&mut self, head: Head, counts: Counts) {
        let by_request = self.query.meter == REQUESTS;
        let billed = (self.billable)(&head.outcome);
        let sums = self.row(head.time, head.group);
        sums.requests += counts.requests;
        sums.errors += counts.errors;
        sums.bytes_in += counts.bytes_in;
        sums.bytes_out += counts.bytes_out;
        if by_request {
            sums.take(Quantity::from_units(counts.requests), billed);
        }
    }

    pub(crate) fn add_latency(&mut self, head: Head, buckets: impl IntoIterator<Item = (u16, u64)>) {
        let row = self.row(head.time, head.group);
        for (bucket, count) in buckets {
            row.latency.add(bucket, count);
        }
    }

    /// Adds what the meter of the question took, where that is not the requests themselves.
    pub(crate) fn add_quantity(&mut self, head: Head, quantity: Quantity) {
        let billed = (self.billable)(&head.outcome);
        self.row(head.time, head.group).take(quantity, billed);
    }

    /// Adds rejections. `group` gives the values of the dimensions that rejections have.
    pub(crate) fn add_rejected(&mut self, time: i64, group: impl Fn(Dimension) -> String, count: u64) {
        let dimensions = self.query.group_by.iter();
        let group = dimensions
            .map(|dimension| {
                let value = dimension.is_of_rejections().then(|| group(*dimension))?;
                Some(value).filter(|value| !value.is_empty())
            })
            .collect();
        self.row(time, group).rejected += count;
    }

    pub(crate) fn add_fact(&mut self, fact: &Fact) {
        let fits = |(dimension, value): (&Dimension, &String)| dimension.of(fact).as_ref() == Some(value);
        if !self.query.filter.iter().all(fits) {
            return;
        }
        let group = self.query.group_by.iter().map(|dimension| dimension.of(fact)).collect();
        let billed = (self.billable)(&fact.outcome.class());
        let counts = fact.outcome.kind != Kind::Checkpoint;
        let quantity = if self.query.meter == REQUESTS {
            Quantity::from_units(u64::from(counts))
        } else {
            let values = fact.quantities.iter();
            let own = values.filter(|value| value.meter == self.query.meter);
            own.map(|value| value.quantity).sum()
        };
        let row = self.row(fact.admitted_at.as_millis(), group);
        if counts {
            row.requests += 1;
            row.errors += u64::from(fact.outcome.status >= 400);
            row.latency.record(fact.latency_us);
        }
        row.bytes_in += fact.bytes_in;
        row.bytes_out += fact.bytes_out;
        row.take(quantity, billed);
    }
}

impl UsageRow {
    fn take(&mut self, quantity: Quantity, billed: bool) {
        self.quantity = self.quantity.saturating_add(quantity);
        if billed {
            self.billable = self.billable.saturating_add(quantity);
        }
    }
}
