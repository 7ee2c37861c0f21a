//! Usage out of the server's roll-ups, and out of its facts where a range begins or ends inside a minute.

use ::clickhouse::Row;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use serde::Deserialize;

use super::ClickHouse;
use super::rows::{Blob, REFUSED, USE, bucket};
use super::sql::Sql;
use crate::answer::{Answer, Counts, Head, outcome};
use crate::error::Error;
use crate::events::decode;
use crate::usage::{Billable, Dimension, Interval, Span, UsageQuery, UsageRow};

#[derive(Debug, Row, Deserialize)]
struct Sums {
    at: i64,
    groups: Vec<String>,
    class: String,
    requests: u64,
    errors: u64,
    bytes_in: u64,
    bytes_out: u64,
    latency: (Vec<u16>, Vec<u64>),
    units: i64,
    nanos: i64,
}

#[derive(Debug, Row, Deserialize)]
struct Refused {
    at: i64,
    groups: Vec<String>,
    rejected: u64,
}

#[derive(Debug, Row, Deserialize)]
struct Record {
    record: Blob,
}

impl ClickHouse {
    pub(crate) async fn usage(&self, query: &UsageQuery, billable: Billable<'_>) -> Result<Vec<UsageRow>, Error> {
        let mut answer = Answer::new(query, billable);
        let spans = query.spans();
        let rolled: Vec<(i64, Span)> = spans.iter().filter_map(|span| Some((span.level?, *span))).collect();
        if !rolled.is_empty() {
            for sums in self.fetch(sums(query, &rolled)).await? {
                add_sums(&mut answer, sums)?;
            }
        }
        let edges: Vec<Span> = spans.into_iter().filter(|span| span.level.is_none()).collect();
        if !edges.is_empty() {
            for row in self.fetch::<Record>(facts(query, &edges)).await? {
                answer.add_fact(&decode(&row.record.0)?);
            }
        }
        let refused = query.spans_of_rejections();
        if !refused.is_empty() {
            for row in self.fetch::<Refused>(rejections(query, &refused)).await? {
                let group = |wanted: Dimension| {
                    let index = query.group_by.iter().position(|one| *one == wanted);
                    index
                        .and_then(|index| row.groups.get(index).cloned())
                        .unwrap_or_default()
                };
                answer.add_rejected(row.at, group, row.rejected);
            }
        }
        Ok(answer.into_rows())
    }
}

fn add_sums(answer: &mut Answer<'_>, sums: Sums) -> Result<(), Error> {
    let outcome = outcome(&sums.class)?;
    let values = answer.query.group_by.iter().zip(sums.groups);
    let group: Vec<Option<String>> = values
        .map(|(dimension, value)| Some(value).filter(|value| !(is_optional(*dimension) && value.is_empty())))
        .collect();
    let head = || Head {
        time: sums.at,
        group: group.clone(),
        outcome,
    };
    answer.add_counts(
        head(),
        Counts {
            requests: sums.requests,
            errors: sums.errors,
            bytes_in: sums.bytes_in,
            bytes_out: sums.bytes_out,
        },
    );
    answer.add_latency(head(), sums.latency.0.into_iter().zip(sums.latency.1));
    if answer.query.meter != REQUESTS {
        answer.add_quantity(head(), Quantity::from_parts(sums.units, sums.nanos));
    }
    Ok(())
}

/// Whether a fact may have none of it; a column is empty then.
const fn is_optional(dimension: Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Account | Dimension::Consumer | Dimension::Subscription | Dimension::Credential
    )
}

/// The column of a dimension as text.
fn column(dimension: Dimension) -> String {
    format!("toString({})", dimension.as_str())
}

/// The columns of a question's groups as one array. Where `fits` says no, the value is empty.
fn groups(query: &UsageQuery, fits: impl Fn(Dimension) -> bool) -> String {
    let columns = query.group_by.iter().map(|dimension| {
        if fits(*dimension) {
            column(*dimension)
        } else {
            "''".to_owned()
        }
    });
    let columns: Vec<String> = columns.collect();
    // An array without elements has no type of its own.
    format!("CAST([{}], 'Array(String)')", columns.join(", "))
}

/// An instant of the row that a roll-up's time belongs to, in milliseconds: the coarser, the fewer rows travel.
fn at(query: &UsageQuery) -> String {
    let whole = |seconds: i64| {
        let width = seconds * 1_000;
        format!("toUnixTimestamp64Milli(time) - positiveModulo(toUnixTimestamp64Milli(time), {width})")
    };
    match query.interval {
        Interval::Minute => whole(60),
        Interval::Hour => whole(3_600),
        Interval::Day => whole(86_400),
        Interval::Month => "toUnixTimestamp64Milli(toDateTime64(toStartOfMonth(time, 'UTC'), 3, 'UTC'))".to_owned(),
        Interval::Whole => format!("toInt64({})", query.from.as_millis()),
    }
}

fn push_rollup(sql: &mut Sql, kind: &str, query: &UsageQuery, spans: &[(i64, Span)]) {
    sql.push(" FROM rollup AS r WHERE kind = '").push(kind).push("' AND (0");
    for (level, span) in spans {
        // `to` is the start of an interval, so the last one within lies a millisecond before it.
        let (first, last) = (bucket(*level, span.from), bucket(*level, span.to - 1));
        sql.push(" OR level = ").number(*level);
        sql.push(" AND bucket >= ")
            .number(first)
            .push(" AND bucket <= ")
            .number(last);
        sql.push(" AND ").within("time", span.from, span.to);
    }
    sql.push(") AND mode = ").text(query.mode.as_str());
    push_filter(sql, query);
}

fn push_filter(sql: &mut Sql, query: &UsageQuery) {
    for (dimension, value) in &query.filter {
        let name = dimension.as_str();
        if *dimension == Dimension::Status {
            sql.push(" AND toString(status) = ").text(value.clone());
        } else {
            sql.push(" AND ").push(name).push(" = ").text(value.clone());
        }
    }
}

fn sums(query: &UsageQuery, spans: &[(i64, Span)]) -> Sql {
    let mut sql = Sql::new("SELECT ");
    sql.push(&at(query)).push(" AS at, ");
    sql.push(&groups(query, |_| true))
        .push(" AS groups, toString(outcome) AS class,");
    sql.push(
        " sum(r.requests) AS requests, sumIf(r.requests, status >= 400) AS errors,
         sum(r.bytes_in) AS bytes_in, sum(r.bytes_out) AS bytes_out, sumMap(r.latency) AS latency,",
    );
    if query.meter == REQUESTS {
        sql.push(" toInt64(0) AS units, toInt64(0) AS nanos");
    } else {
        sql.push(" sum(arraySum(arrayMap((m, v) -> if(m = ")
            .text(query.meter.clone());
        sql.push(", v, 0), r.quantities.1, r.quantities.2))) AS units,");
        sql.push(" sum(arraySum(arrayMap((m, v) -> if(m = ")
            .text(query.meter.clone());
        sql.push(", v, 0), r.quantities.1, r.quantities.3))) AS nanos");
    }
    push_rollup(&mut sql, USE, query, spans);
    for (dimension, value) in &query.filter {
        // What has none of it fits no value, not even an empty one.
        if is_optional(*dimension) && value.is_empty() {
            sql.push(" AND 0");
        }
    }
    sql.push(" GROUP BY at, groups, class");
    sql
}

fn rejections(query: &UsageQuery, spans: &[(i64, Span)]) -> Sql {
    let mut sql = Sql::new("SELECT ");
    sql.push(&at(query)).push(" AS at, ");
    sql.push(&groups(query, Dimension::is_of_rejections))
        .push(" AS groups, sum(r.rejected) AS rejected");
    push_rollup(&mut sql, REFUSED, query, spans);
    sql.push(" GROUP BY at, groups");
    sql
}

fn facts(query: &UsageQuery, spans: &[Span]) -> Sql {
    let mut sql = Sql::new("SELECT record FROM fact FINAL WHERE (0");
    for span in spans {
        sql.push(" OR ").within("event_time", span.from, span.to);
    }
    sql.push(") AND mode = ").text(query.mode.as_str());
    for (dimension, value) in &query.filter {
        // The other dimensions are looked at after decoding.
        if dimension.is_of_rejections() {
            sql.push(" AND ")
                .push(dimension.as_str())
                .push(" = ")
                .text(value.clone());
        }
    }
    sql
}
