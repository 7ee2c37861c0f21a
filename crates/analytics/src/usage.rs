//! Usage over time, by dimension: from roll-ups, and from facts where a range begins or ends inside a minute.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::histogram::Histogram;
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Outcome};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use crate::database::Embedded;
use crate::error::Error;
use crate::rollup::floor;

/// Whether an outcome is billed, as a policy decides. It sees outcomes by class ([`Outcome::class`]).
pub type Billable<'a> = &'a (dyn Fn(&Outcome) -> bool + Send + Sync);

/// Width of the rows of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
    /// The whole range in one row a group.
    Whole,
}

macro_rules! dimensions {
    ($($(#[$doc:meta])* $name:ident = $column:literal,)*) => {
        /// What usage may be grouped by or narrowed to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Dimension { $($(#[$doc])* $name,)* }

        impl Dimension {
            /// Every dimension.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in APIs, which is also its column.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $column,)* }
            }

            /// The dimension of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($column => Some(Self::$name),)* _ => None }
            }
        }
    };
}

dimensions! {
    /// Account id.
    Account = "account",
    /// Consumer id.
    Consumer = "consumer",
    /// Subscription id.
    Subscription = "subscription",
    /// Credential id.
    Credential = "credential",
    /// API name.
    Api = "api",
    /// Operation key.
    Operation = "operation",
    /// HTTP method.
    Method = "method",
    /// `product/plan`.
    Plan = "plan",
    /// HTTP status.
    Status = "status",
}

impl Dimension {
    const fn is_of_rejections(self) -> bool {
        matches!(
            self,
            Self::Account | Self::Consumer | Self::Subscription | Self::Api | Self::Operation
        )
    }

    fn of(self, fact: &Fact) -> Option<String> {
        match self {
            Self::Account => fact.account.map(|id| id.to_string()),
            Self::Consumer => fact.consumer.map(|id| id.to_string()),
            Self::Subscription => fact.subscription.map(|id| id.to_string()),
            Self::Credential => fact.credential.map(|id| id.to_string()),
            Self::Api => Some(fact.api.clone()),
            Self::Operation => Some(fact.operation.clone()),
            Self::Method => Some(fact.method.clone()),
            Self::Plan => Some(format!("{}/{}", fact.product, fact.plan)),
            Self::Status => Some(fact.outcome.status.to_string()),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// First instant.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
    /// Width of rows.
    pub interval: Interval,
    /// One row for each combination of these.
    pub group_by: Vec<Dimension>,
    /// Only these values.
    pub filter: BTreeMap<Dimension, String>,
    /// Live or test traffic; never both in one sum.
    pub mode: Mode,
    /// The meter of `quantity` and `billable`.
    pub meter: String,
}

/// One row of usage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageRow {
    /// Start of the interval; start of the range for [`Interval::Whole`].
    pub time: Timestamp,
    /// The values of `group_by`, in its order; `None` where a fact or rejection has none.
    pub group: Vec<Option<String>>,
    /// Facts.
    pub requests: u64,
    /// Those with status 400 or above.
    pub errors: u64,
    /// What the meter took, billed or not.
    pub quantity: Quantity,
    /// The part of it that is billed.
    pub billable: Quantity,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Latency in microseconds.
    pub latency: Histogram,
    /// Refused before they were forwarded.
    pub rejected: u64,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// Width of the roll-up in seconds; `None` for facts.
    level: Option<i64>,
    from: i64,
    to: i64,
}

const MINUTE: i64 = 60;

fn ceil(time: i64, level: i64) -> i64 {
    let width = level * 1_000;
    -(-time).div_euclid(width) * width
}

/// Cuts a range into whole days, hours and minutes as far as the interval allows, and facts at its ends.
fn spans(from: i64, to: i64, interval: Interval) -> Vec<Span> {
    let levels: &[i64] = match interval {
        Interval::Minute => &[MINUTE],
        Interval::Hour => &[MINUTE, 3_600],
        Interval::Day | Interval::Month | Interval::Whole => &[MINUTE, 3_600, 86_400],
    };
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let (mut from, mut to, mut finer) = (from, to, None);
    for level in levels {
        let (inner_from, inner_to) = (ceil(from, *level), to.div_euclid(level * 1_000) * level * 1_000);
        if inner_from >= inner_to {
            break;
        }
        head.push(Span {
            level: finer,
            from,
            to: inner_from,
        });
        tail.push(Span {
            level: finer,
            from: inner_to,
            to,
        });
        (from, to, finer) = (inner_from, inner_to, Some(*level));
    }
    head.push(Span { level: finer, from, to });
    head.extend(tail.into_iter().rev());
    head.retain(|span| span.from < span.to);
    head
}

type Rows = BTreeMap<(i64, Vec<Option<String>>), UsageRow>;

struct Answer<'a> {
    query: &'a UsageQuery,
    billable: Billable<'a>,
    rows: Rows,
}

impl Embedded {
    /// Usage by interval and group, in order of time and group.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(&self, query: &UsageQuery, billable: Billable<'_>) -> Result<Vec<UsageRow>, Error> {
        let mut answer = Answer {
            query,
            billable,
            rows: Rows::new(),
        };
        let mut tx = self.readers.begin().await?;
        for span in spans(query.from.as_millis(), query.to.as_millis(), query.interval) {
            match span.level {
                None => answer.read_facts(&mut tx, span).await?,
                Some(level) => answer.read_rollups(&mut tx, level, span).await?,
            }
        }
        answer.read_rejections(&mut tx).await?;
        Ok(answer.rows.into_values().collect())
    }
}

fn push_fact_filter(sql: &mut QueryBuilder<Sqlite>, query: &UsageQuery) {
    sql.push(" AND mode = ").push_bind(query.mode.as_str());
    for (dimension, value) in &query.filter {
        // The other dimensions are looked at after decoding.
        if dimension.is_of_rejections() {
            sql.push(" AND ")
                .push(dimension.as_str())
                .push(" = ")
                .push_bind(value.clone());
        }
    }
}

impl UsageQuery {
    /// Sums of one roll-up table: time, groups in order, outcome, then the table's own columns.
    fn rollup(&self, table: &str, level: i64, span: Span) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new("SELECT r.time");
        for dimension in &self.group_by {
            sql.push(", d.").push(dimension.as_str());
        }
        let (own, by) = match table {
            "rollup r" => (
                "SUM(r.requests), SUM(r.bytes_in), SUM(r.bytes_out), d.status",
                ", d.status",
            ),
            "rollup_latency r" => ("r.bucket, SUM(r.count)", ", r.bucket"),
            _ => ("SUM(r.units), SUM(r.nanos)", ""),
        };
        sql.push(", d.outcome, ").push(own).push(" FROM ").push(table);
        sql.push(" JOIN dims d ON d.id = r.dims WHERE r.level = ")
            .push_bind(level);
        sql.push(" AND r.time >= ")
            .push_bind(span.from)
            .push(" AND r.time < ")
            .push_bind(span.to);
        sql.push(" AND d.mode = ").push_bind(self.mode.as_str());
        if table == "rollup_quantity r" {
            sql.push(" AND r.meter = ").push_bind(self.meter.clone());
        }
        for (dimension, value) in &self.filter {
            sql.push(" AND CAST(d.")
                .push(dimension.as_str())
                .push(" AS TEXT) = ")
                .push_bind(value.clone());
        }
        sql.push(" GROUP BY r.time, d.outcome").push(by);
        for dimension in &self.group_by {
            sql.push(", d.").push(dimension.as_str());
        }
        sql
    }

    fn rejections(&self, level: i64, span: Span) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new("SELECT time, account, consumer, subscription, api, operation, count");
        sql.push(" FROM rollup_rejected WHERE level = ").push_bind(level);
        sql.push(" AND time >= ")
            .push_bind(span.from)
            .push(" AND time < ")
            .push_bind(span.to);
        sql.push(" AND mode = ").push_bind(self.mode.as_str());
        for (dimension, value) in &self.filter {
            sql.push(" AND ")
                .push(dimension.as_str())
                .push(" = ")
                .push_bind(value.clone());
        }
        sql
    }

    fn row_time(&self, time: i64) -> Timestamp {
        let time = Timestamp::from_millis(time);
        match self.interval {
            Interval::Minute => Timestamp::from_millis(floor(time, MINUTE)),
            Interval::Hour => Timestamp::from_millis(floor(time, 3_600)),
            Interval::Day => Timestamp::from_millis(floor(time, 86_400)),
            Interval::Month => month_start(time),
            Interval::Whole => self.from,
        }
    }
}

fn month_start(time: Timestamp) -> Timestamp {
    let zoned = time.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    zoned
        .first_of_month()
        .and_then(|first| first.start_of_day())
        .map_or(time, |start| Timestamp::from_jiff(start.timestamp()))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// How every row of a roll-up begins, and the index of the column after it.
struct Head {
    time: i64,
    group: Vec<Option<String>>,
    outcome: Outcome,
    next: usize,
}

type Tx = Transaction<'static, Sqlite>;

impl Answer<'_> {
    async fn read_facts(&mut self, tx: &mut Tx, span: Span) -> Result<(), Error> {
        let mut sql = QueryBuilder::new("SELECT record FROM fact WHERE event_time >= ");
        sql.push_bind(span.from).push(" AND event_time < ").push_bind(span.to);
        push_fact_filter(&mut sql, self.query);
        for row in sql.build().fetch_all(&mut **tx).await? {
            self.add_fact(&crate::events::decode(row.try_get(0)?)?);
        }
        Ok(())
    }

    async fn read_rollups(&mut self, tx: &mut Tx, level: i64, span: Span) -> Result<(), Error> {
        for row in self
            .query
            .rollup("rollup r", level, span)
            .build()
            .fetch_all(&mut **tx)
            .await?
        {
            self.add_counts(&row)?;
        }
        for row in self
            .query
            .rollup("rollup_latency r", level, span)
            .build()
            .fetch_all(&mut **tx)
            .await?
        {
            self.add_latency(&row)?;
        }
        if self.query.meter == REQUESTS {
            return Ok(());
        }
        for row in self
            .query
            .rollup("rollup_quantity r", level, span)
            .build()
            .fetch_all(&mut **tx)
            .await?
        {
            self.add_quantity(&row)?;
        }
        Ok(())
    }

    /// Rejections know their minute alone: a minute belongs to the range that its start lies in.
    async fn read_rejections(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let query = self.query;
        if !query.filter.keys().all(|dimension| dimension.is_of_rejections()) {
            return Ok(());
        }
        let (from, to) = (ceil(query.from.as_millis(), MINUTE), ceil(query.to.as_millis(), MINUTE));
        for span in spans(from, to, query.interval) {
            let Some(level) = span.level else { continue };
            let rows = query.rejections(level, span).build().fetch_all(&mut **tx).await?;
            rows.iter().try_for_each(|row| self.add_rejected(row))?;
        }
        Ok(())
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

    fn head(&self, row: &SqliteRow) -> Result<Head, Error> {
        let mut group = Vec::with_capacity(self.query.group_by.len());
        for (index, dimension) in self.query.group_by.iter().enumerate() {
            group.push(if *dimension == Dimension::Status {
                Some(row.try_get::<i64, _>(index + 1)?.to_string())
            } else {
                row.try_get(index + 1)?
            });
        }
        let next = self.query.group_by.len() + 1;
        let key: String = row.try_get(next)?;
        let outcome = Outcome::from_class_key(&key).ok_or_else(|| Error::Corrupt(format!("outcome {key}")))?;
        Ok(Head {
            time: row.try_get(0)?,
            group,
            outcome,
            next: next + 1,
        })
    }

    fn add_counts(&mut self, row: &SqliteRow) -> Result<(), Error> {
        let Head {
            time,
            group,
            outcome,
            next,
        } = self.head(row)?;
        let requests = unsigned(row.try_get(next)?);
        let is_error = row.try_get::<i64, _>(next + 3)? >= 400;
        let by_request = self.query.meter == REQUESTS;
        let billed = (self.billable)(&outcome);
        let sums = self.row(time, group);
        sums.requests += requests;
        sums.errors += if is_error { requests } else { 0 };
        sums.bytes_in += unsigned(row.try_get(next + 1)?);
        sums.bytes_out += unsigned(row.try_get(next + 2)?);
        if by_request {
            sums.take(Quantity::from_units(requests), billed);
        }
        Ok(())
    }

    fn add_latency(&mut self, row: &SqliteRow) -> Result<(), Error> {
        let Head { time, group, next, .. } = self.head(row)?;
        let bucket = u16::try_from(row.try_get::<i64, _>(next)?).unwrap_or(u16::MAX);
        let count = unsigned(row.try_get(next + 1)?);
        self.row(time, group).latency.add(bucket, count);
        Ok(())
    }

    fn add_quantity(&mut self, row: &SqliteRow) -> Result<(), Error> {
        let Head {
            time,
            group,
            outcome,
            next,
        } = self.head(row)?;
        let quantity = Quantity::from_parts(row.try_get(next)?, row.try_get(next + 1)?);
        let billed = (self.billable)(&outcome);
        self.row(time, group).take(quantity, billed);
        Ok(())
    }

    fn add_rejected(&mut self, row: &SqliteRow) -> Result<(), Error> {
        let mut group = Vec::with_capacity(self.query.group_by.len());
        for dimension in &self.query.group_by {
            group.push(if dimension.is_of_rejections() {
                Some(row.try_get::<String, _>(dimension.as_str())?).filter(|value| !value.is_empty())
            } else {
                None
            });
        }
        let (time, count) = (row.try_get("time")?, unsigned(row.try_get("count")?));
        self.row(time, group).rejected += count;
        Ok(())
    }

    fn add_fact(&mut self, fact: &Fact) {
        if self
            .query
            .filter
            .iter()
            .any(|(dimension, value)| dimension.of(fact).as_ref() != Some(value))
        {
            return;
        }
        let group = self.query.group_by.iter().map(|dimension| dimension.of(fact)).collect();
        let billed = (self.billable)(&fact.outcome.class());
        let counts = fact.outcome.kind != Kind::Checkpoint;
        let quantity = if self.query.meter == REQUESTS {
            Quantity::from_units(u64::from(counts))
        } else {
            fact.quantities
                .iter()
                .filter(|value| value.meter == self.query.meter)
                .map(|value| value.quantity)
                .sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_is_cut_without_hole_or_overlap(from in 0_i64..400_000_000, length in 0_i64..400_000_000) {
            for interval in [Interval::Minute, Interval::Hour, Interval::Day, Interval::Whole] {
                let cut = spans(from, from + length, interval);
                let mut at = from;
                for span in &cut {
                    prop_assert_eq!(span.from, at);
                    if let Some(level) = span.level {
                        prop_assert_eq!(span.from % (level * 1_000), 0);
                        prop_assert_eq!(span.to % (level * 1_000), 0);
                    }
                    at = span.to;
                }
                prop_assert!(length == 0 || at == from + length);
            }
        }
    }
}
