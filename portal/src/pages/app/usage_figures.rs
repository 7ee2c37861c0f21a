//! Usage in days of the reader's zone, from the queries of `GET /usage`.
//!
//! Every interval is asked for on its own, so that days begin where they do for the reader and sums are exact.

use std::collections::{BTreeMap, HashSet};

use analytics::{Dimension, UsageQuery, UsageRow};
use domain::clock::Timestamp;
use domain::histogram::Histogram;
use domain::quantity::Quantity;

use super::uses;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::Member;
use crate::pages::web::range::Range;

/// What is counted of an interval.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) successful: u64,
    pub(crate) client_errors: u64,
    pub(crate) server_errors: u64,
    /// Refused by the gateway; in no other number.
    pub(crate) refused: u64,
    pub(crate) billable: Quantity,
    pub(crate) latency: Histogram,
    /// Requests by the value of the dimension that is split by.
    pub(crate) split: BTreeMap<String, u64>,
}

impl Figures {
    pub(crate) fn errors(&self) -> u64 {
        self.client_errors.saturating_add(self.server_errors)
    }

    /// A percentile in microseconds.
    pub(crate) fn latency(&self, per_mille: u32) -> Option<u64> {
        self.latency.quantile(per_mille)
    }

    fn add(&mut self, row: &UsageRow, dimensions: &[Dimension]) {
        let value = |wanted: Dimension| {
            let at = dimensions.iter().position(|one| *one == wanted)?;
            row.group.get(at)?.as_deref()
        };
        let status = value(Dimension::Status)
            .and_then(|text| text.parse::<u16>().ok())
            .unwrap_or(0);
        let count = match status {
            0..=399 => &mut self.successful,
            400..=499 => &mut self.client_errors,
            _ => &mut self.server_errors,
        };
        *count = count.saturating_add(row.requests);
        self.requests = self.requests.saturating_add(row.requests);
        self.refused = self.refused.saturating_add(row.rejected);
        self.billable = self.billable.saturating_add(row.billable);
        self.latency.merge(&row.latency);
        let split = [Dimension::Operation, Dimension::Credential]
            .into_iter()
            .find(|one| dimensions.contains(one));
        let key = split.map_or_else(|| value(Dimension::Status), value);
        if row.requests > 0 {
            let count = self.split.entry(key.unwrap_or_default().to_owned()).or_default();
            *count = count.saturating_add(row.requests);
        }
    }

    /// Both together.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.successful = self.successful.saturating_add(other.successful);
        self.client_errors = self.client_errors.saturating_add(other.client_errors);
        self.server_errors = self.server_errors.saturating_add(other.server_errors);
        self.refused = self.refused.saturating_add(other.refused);
        self.billable = self.billable.saturating_add(other.billable);
        self.latency.merge(&other.latency);
        for (key, count) in &other.split {
            let sum = self.split.entry(key.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Of this app alone.
    pub(crate) consumer: Option<String>,
    /// Of these subscriptions alone.
    pub(crate) subscriptions: Option<HashSet<String>>,
    /// What requests are split by besides their status.
    pub(crate) split: Option<Dimension>,
}

/// The figures of one interval. Ask for fresh usage before.
pub(crate) async fn of(
    app: &App,
    member: &Member,
    scope: &Scope,
    (from, to): (Timestamp, Timestamp),
) -> Result<Figures, Problem> {
    let mut query: UsageQuery = uses::question(member, from, to);
    if let Some(consumer) = &scope.consumer {
        query.filter.insert(Dimension::Consumer, consumer.clone());
    }
    query.group_by = vec![Dimension::Status];
    query
        .group_by
        .extend(scope.subscriptions.is_some().then_some(Dimension::Subscription));
    query.group_by.extend(scope.split);
    let mut figures = Figures::default();
    for row in uses::rows(app, &query).await? {
        let own = scope.subscriptions.as_ref().is_none_or(|known| {
            row.group
                .get(1)
                .and_then(|id| id.as_deref())
                .is_some_and(|id| known.contains(id))
        });
        if own {
            figures.add(&row, &query.group_by);
        }
    }
    Ok(figures)
}

/// The figures of each interval of a range.
pub(crate) async fn of_each(app: &App, member: &Member, scope: &Scope, range: &Range) -> Result<Vec<Figures>, Problem> {
    let mut found = Vec::with_capacity(range.intervals.len());
    for interval in &range.intervals {
        found.push(of(app, member, scope, (interval.from, interval.to)).await?);
    }
    Ok(found)
}
