//! Figures of a range of time beside the range before it, from the same query as `GET /usage`.

use std::collections::BTreeMap;

use analytics::{Dimension, Interval, UsageQuery, UsageRow};
use domain::clock::Timestamp;
use domain::key::Mode;
use domain::limit::REQUESTS;

use crate::api::usage::billed;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show;

/// What is asked: a range and what it is narrowed to.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) filter: BTreeMap<Dimension, String>,
}

impl Range {
    /// The last so many milliseconds.
    pub(super) fn last(now: Timestamp, millis: i64) -> Self {
        Self {
            from: now.plus_millis(-millis),
            to: now.plus_millis(1),
            filter: BTreeMap::new(),
        }
    }

    /// Narrowed to one value of a dimension.
    #[must_use]
    pub(super) fn only(mut self, dimension: Dimension, value: &impl ToString) -> Self {
        self.filter.insert(dimension, value.to_string());
        self
    }

    /// The range of the same length that ends where this one begins.
    pub(super) fn before(&self) -> Self {
        let length = self.to.millis_since(self.from);
        Self {
            from: self.from.plus_millis(-length),
            to: self.from,
            filter: self.filter.clone(),
        }
    }

    /// Rows of the range.
    pub(super) async fn rows(
        &self,
        app: &App,
        interval: Interval,
        group_by: &[Dimension],
    ) -> Result<Vec<UsageRow>, Problem> {
        let query = UsageQuery {
            from: self.from,
            to: self.to,
            interval,
            group_by: group_by.to_vec(),
            filter: self.filter.clone(),
            mode: Mode::Live,
            meter: REQUESTS.to_owned(),
        };
        Ok(app.analytics.usage(&query, &billed).await?)
    }

    /// The sums of the range.
    pub(super) async fn totals(&self, app: &App) -> Result<Totals, Problem> {
        let rows = self.rows(app, Interval::Whole, &[]).await?;
        Ok(rows.first().map(Totals::of).unwrap_or_default())
    }
}

/// The sums of a range.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) rejected: u64,
    pub(super) bytes_out: u64,
    /// Percentiles in microseconds.
    pub(super) p50: Option<u64>,
    pub(super) p95: Option<u64>,
    pub(super) p99: Option<u64>,
}

impl Totals {
    /// Of one row.
    pub(super) fn of(row: &UsageRow) -> Self {
        Self {
            requests: row.requests,
            errors: row.errors,
            rejected: row.rejected,
            bytes_out: row.bytes_out,
            p50: row.latency.quantile(500),
            p95: row.latency.quantile(950),
            p99: row.latency.quantile(990),
        }
    }
}

/// A figure with what it is compared to.
#[derive(Debug, Clone)]
pub(super) struct Stat {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// A figure of the range before, in words.
fn before(text: &str) -> String {
    if text == show::NOTHING {
        "nothing before".to_owned()
    } else {
        format!("{text} before")
    }
}

fn change(now: u64, earlier: u64) -> String {
    if earlier == 0 {
        return "nothing before".to_owned();
    }
    show::change(now, earlier)
}

/// The six figures of a range beside those of the range before.
pub(super) fn stats(now: &Totals, earlier: &Totals) -> Vec<Stat> {
    let stat = |label, value, note| Stat { label, value, note };
    vec![
        stat(
            "Requests",
            show::number(now.requests),
            change(now.requests, earlier.requests),
        ),
        stat(
            "Errors",
            show::percent(now.errors, now.requests),
            before(&show::percent(earlier.errors, earlier.requests)),
        ),
        stat(
            "Refused",
            show::number(now.rejected),
            before(&show::number(earlier.rejected)),
        ),
        stat(
            "Median latency",
            show::latency_or_nothing(now.p50),
            before(&show::latency_or_nothing(earlier.p50)),
        ),
        stat(
            "p95 latency",
            show::latency_or_nothing(now.p95),
            format!("p99 {}", show::latency_or_nothing(now.p99)),
        ),
        stat(
            "Sent",
            show::bytes(now.bytes_out),
            change(now.bytes_out, earlier.bytes_out),
        ),
    ]
}
