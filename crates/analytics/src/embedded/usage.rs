//! Usage out of the file's roll-ups, and out of its facts where a range begins or ends inside a minute.

use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use super::Embedded;
use crate::answer::{Answer, Counts, Head, outcome};
use crate::error::Error;
use crate::events::decode;
use crate::usage::{Billable, Dimension, Span, UsageQuery, UsageRow};

impl Embedded {
    pub(crate) async fn usage(&self, query: &UsageQuery, billable: Billable<'_>) -> Result<Vec<UsageRow>, Error> {
        let mut answer = Answer::new(query, billable);
        let mut tx = self.readers.begin().await?;
        for span in query.spans() {
            match span.level {
                None => read_facts(&mut answer, &mut tx, span).await?,
                Some(level) => read_rollups(&mut answer, &mut tx, level, span).await?,
            }
        }
        for (level, span) in query.spans_of_rejections() {
            let rows = rejections(query, level, span).build().fetch_all(&mut *tx).await?;
            rows.iter().try_for_each(|row| add_rejected(&mut answer, row))?;
        }
        Ok(answer.into_rows())
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

/// Sums of one roll-up table: time, groups in order, outcome, then the table's own columns.
fn rollup(query: &UsageQuery, table: &str, level: i64, span: Span) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT r.time");
    for dimension in &query.group_by {
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
    sql.push(" AND d.mode = ").push_bind(query.mode.as_str());
    if table == "rollup_quantity r" {
        sql.push(" AND r.meter = ").push_bind(query.meter.clone());
    }
    for (dimension, value) in &query.filter {
        sql.push(" AND CAST(d.")
            .push(dimension.as_str())
            .push(" AS TEXT) = ")
            .push_bind(value.clone());
    }
    sql.push(" GROUP BY r.time, d.outcome").push(by);
    for dimension in &query.group_by {
        sql.push(", d.").push(dimension.as_str());
    }
    sql
}

fn rejections(query: &UsageQuery, level: i64, span: Span) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT time, account, consumer, subscription, api, operation, count");
    sql.push(" FROM rollup_rejected WHERE level = ").push_bind(level);
    sql.push(" AND time >= ")
        .push_bind(span.from)
        .push(" AND time < ")
        .push_bind(span.to);
    sql.push(" AND mode = ").push_bind(query.mode.as_str());
    for (dimension, value) in &query.filter {
        sql.push(" AND ")
            .push(dimension.as_str())
            .push(" = ")
            .push_bind(value.clone());
    }
    sql
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

type Tx = Transaction<'static, Sqlite>;

async fn read_facts(answer: &mut Answer<'_>, tx: &mut Tx, span: Span) -> Result<(), Error> {
    let mut sql = QueryBuilder::new("SELECT record FROM fact WHERE event_time >= ");
    sql.push_bind(span.from).push(" AND event_time < ").push_bind(span.to);
    push_fact_filter(&mut sql, answer.query);
    for row in sql.build().fetch_all(&mut **tx).await? {
        answer.add_fact(&decode(row.try_get(0)?)?);
    }
    Ok(())
}

async fn read_rollups(answer: &mut Answer<'_>, tx: &mut Tx, level: i64, span: Span) -> Result<(), Error> {
    let query = answer.query;
    let mut sql = rollup(query, "rollup r", level, span);
    for row in sql.build().fetch_all(&mut **tx).await? {
        let (head, next) = head(query, &row)?;
        let requests = unsigned(row.try_get(next)?);
        let is_error = row.try_get::<i64, _>(next + 3)? >= 400;
        let counts = Counts {
            requests,
            errors: if is_error { requests } else { 0 },
            bytes_in: unsigned(row.try_get(next + 1)?),
            bytes_out: unsigned(row.try_get(next + 2)?),
        };
        answer.add_counts(head, counts);
    }
    let mut sql = rollup(query, "rollup_latency r", level, span);
    for row in sql.build().fetch_all(&mut **tx).await? {
        let (head, next) = head(query, &row)?;
        let bucket = u16::try_from(row.try_get::<i64, _>(next)?).unwrap_or(u16::MAX);
        answer.add_latency(head, [(bucket, unsigned(row.try_get(next + 1)?))]);
    }
    if query.meter == REQUESTS {
        return Ok(());
    }
    let mut sql = rollup(query, "rollup_quantity r", level, span);
    for row in sql.build().fetch_all(&mut **tx).await? {
        let (head, next) = head(query, &row)?;
        let quantity = Quantity::from_parts(row.try_get(next)?, row.try_get(next + 1)?);
        answer.add_quantity(head, quantity);
    }
    Ok(())
}

/// How every row of a roll-up begins, and the index of the column after it.
fn head(query: &UsageQuery, row: &SqliteRow) -> Result<(Head, usize), Error> {
    let mut group = Vec::with_capacity(query.group_by.len());
    for (index, dimension) in query.group_by.iter().enumerate() {
        group.push(if *dimension == Dimension::Status {
            Some(row.try_get::<i64, _>(index + 1)?.to_string())
        } else {
            row.try_get(index + 1)?
        });
    }
    let next = query.group_by.len() + 1;
    let head = Head {
        time: row.try_get(0)?,
        group,
        outcome: outcome(row.try_get(next)?)?,
    };
    Ok((head, next + 1))
}

fn add_rejected(answer: &mut Answer<'_>, row: &SqliteRow) -> Result<(), Error> {
    let mut values = Vec::new();
    for dimension in answer.query.group_by.iter().filter(|one| one.is_of_rejections()) {
        values.push((*dimension, row.try_get::<String, _>(dimension.as_str())?));
    }
    let group = |wanted: Dimension| {
        let found = values.iter().find(|(dimension, _)| *dimension == wanted);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    answer.add_rejected(row.try_get("time")?, group, unsigned(row.try_get("count")?));
    Ok(())
}
