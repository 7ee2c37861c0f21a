//! Usage of a period as it is rated, late usage, and what was billed of it before.

use std::collections::{BTreeMap, HashSet};

use domain::charge::Use;
use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::invoice::Billed;
use domain::money::Currency;
use domain::quantity::Quantity;

use crate::{AssertSqlSafe, Error, FromRow, Result, Row, Tx, Value, args};

/// Totals are kept for so long.
const BUCKET_MS: i64 = 900_000;

const USED: &str = "SELECT segment, plan_version, meter, operation, outcome, CAST(SUM(units) AS BIGINT) AS units,
        CAST(SUM(nanos) AS BIGINT) AS nanos
    FROM usage_bucket WHERE subscription = $1 AND period_start = $2 AND mode = 'live'
    GROUP BY segment, plan_version, meter, operation, outcome ORDER BY segment, plan_version, meter, operation, outcome";
const WRITTEN_OFF: &str = "SELECT segment, plan_version, meter, operation, outcome, units, nanos
    FROM written_off WHERE subscription = $1 AND period_start = $2";
const BILLED: &str =
    "SELECT c.price, c.segment, c.seq, c.currency, c.delta_minor, c.quantity_units, c.quantity_nanos, c.through_commit,
        EXISTS (SELECT 1 FROM invoice_event e WHERE e.invoice = c.document AND e.status = 'void') AS void
    FROM charge_line c WHERE c.subscription = $1 AND c.period_start = $2 ORDER BY c.seq";

/// Late usage, as the triggers noted it.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) id: i64,
    pub(super) subscription: SubscriptionId,
    pub(super) period_start: Timestamp,
    bucket: Timestamp,
    part: Use,
    requests: i64,
}

impl FromRow for Use {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            stamped: row.get("segment")?,
            plan_version: row.get("plan_version")?,
            meter: row.get("meter")?,
            operation: row.get("operation")?,
            outcome: row.get("outcome")?,
            quantity: Quantity::from_parts(row.get("units")?, row.get("nanos")?),
        })
    }
}

impl FromRow for Late {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            subscription: row.get("subscription")?,
            period_start: row.get("period_start")?,
            bucket: row.get("bucket")?,
            part: Use::from_row(row)?,
            requests: row.get("requests")?,
        })
    }
}

impl Late {
    /// Whether the whole of its quarter of an hour lies before `limit`.
    pub(super) fn is_before(&self, limit: Timestamp) -> bool {
        self.bucket.plus_millis(BUCKET_MS) <= limit
    }

    pub(super) fn of(&self, subscription: SubscriptionId, period_start: Timestamp) -> bool {
        self.subscription == subscription && self.period_start == period_start
    }
}

/// Late usage of these subscriptions.
pub(super) async fn late(tx: &mut Tx, subscriptions: &HashSet<SubscriptionId>) -> Result<Vec<Late>> {
    let mut found = Vec::new();
    for subscription in subscriptions {
        let sql = "SELECT * FROM late_usage WHERE subscription = $1 ORDER BY id";
        found.extend(tx.all::<Late>(sql, args![*subscription]).await?);
    }
    Ok(found)
}

/// Takes a late part off the queue; one that came too late is written off.
pub(super) async fn settle_late(tx: &mut Tx, late: &Late, too_late: bool, now: Timestamp) -> Result<()> {
    if too_late {
        let (units, nanos) = late.part.quantity.parts();
        tx.execute(
            "INSERT INTO written_off (subscription, period_start, segment, plan_version, meter, operation, outcome, bucket,
                 units, nanos, requests, found_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            args![
                late.subscription,
                late.period_start,
                late.part.stamped,
                late.part.plan_version,
                &late.part.meter,
                &late.part.operation,
                &late.part.outcome,
                late.bucket,
                units,
                nanos,
                late.requests,
                now
            ],
        )
        .await?;
    } else {
        tx.execute(
            "INSERT INTO pending_correction (subscription, period_start) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![late.subscription, late.period_start],
        )
        .await?;
    }
    tx.execute("DELETE FROM late_usage WHERE id = $1", args![late.id])
        .await
        .map(drop)
}

/// The usage of a period that may be billed: without what was written off, and without these late parts.
pub(super) async fn used<'a>(
    tx: &mut Tx,
    subscription: SubscriptionId,
    period_start: Timestamp,
    too_late: impl Iterator<Item = &'a Late>,
) -> Result<Vec<Use>> {
    let mut parts: Vec<Use> = tx.all(USED, args![subscription, period_start]).await?;
    let gone: Vec<Use> = tx.all(WRITTEN_OFF, args![subscription, period_start]).await?;
    let negated = |part: &Use| Use {
        quantity: Quantity::ZERO.saturating_sub(part.quantity),
        ..part.clone()
    };
    parts.extend(gone.iter().map(negated));
    parts.extend(too_late.map(|late| negated(&late.part)));
    Ok(parts)
}

/// What was billed of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) billed: Billed,
    pub(super) currency: Option<Currency>,
    pub(super) next_seq: i64,
    pub(super) through_commit: i64,
}

impl Default for Before {
    fn default() -> Self {
        Self {
            billed: Billed::default(),
            currency: None,
            next_seq: 1,
            through_commit: 0,
        }
    }
}

/// What was billed in a period, by price and segment.
pub(super) async fn billed(
    tx: &mut Tx,
    subscription: SubscriptionId,
    period_start: Timestamp,
) -> Result<BTreeMap<(String, u32), Before>> {
    let mut found: BTreeMap<(String, u32), Before> = BTreeMap::new();
    for row in tx.rows(BILLED, args![subscription, period_start]).await? {
        let before = found.entry((row.get("price")?, row.get("segment")?)).or_default();
        let void: bool = row.get("void")?;
        before.next_seq = row.get::<i64>("seq")? + 1;
        before.billed.held = void;
        if void {
            continue;
        }
        let quantity = Quantity::from_parts(row.get("quantity_units")?, row.get("quantity_nanos")?);
        before.billed.minor = before.billed.minor.saturating_add(row.get("delta_minor")?);
        before.billed.quantity = before.billed.quantity.saturating_add(quantity);
        before.billed.charges += 1;
        before.currency = Some(row.parse("currency")?);
        before.through_commit = before.through_commit.max(row.get("through_commit")?);
    }
    Ok(found)
}

/// Runs a statement once for each of some values.
pub(super) async fn for_each(tx: &mut Tx, sql: &'static str, values: impl Iterator<Item = Vec<Value>>) -> Result<()> {
    for values in values {
        tx.execute(AssertSqlSafe(sql), values).await?;
    }
    Ok(())
}

/// The number of the newest usage commit, which no usage commit overtakes while this transaction lasts.
pub(super) async fn hold_usage(tx: &mut Tx) -> Result<()> {
    tx.execute("UPDATE ledger_commit SET n = n WHERE id = 1", args![])
        .await
        .map(drop)
}

/// The number of the newest usage commit.
pub(super) async fn newest_commit(tx: &mut Tx) -> Result<i64> {
    tx.scalar("SELECT n FROM ledger_commit WHERE id = 1", args![])
        .await?
        .ok_or(Error::Missing("usage commit"))
}
