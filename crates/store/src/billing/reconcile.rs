//! The numbers that a reconciliation compares: what the ledger counted, what was billed of it, and how far each
//! producer's records have come. Opinions on what is billable are the caller's.

use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::ProducerId;

use crate::{FromRow, Result, Row, Store, args};

/// Requests of one outcome in one usage period, as the ledger has them in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedPart {
    /// Who pays.
    pub subscription: SubscriptionId,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// [`domain::usage::Outcome::class_key`].
    pub outcome: String,
    /// How many.
    pub quantity: Quantity,
}

/// Requests that a document in force has billed of one usage period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledPart {
    /// Who pays.
    pub subscription: SubscriptionId,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// The invoice or credit note.
    pub document: String,
    /// How many.
    pub quantity: Quantity,
}

/// Everything that the ledger knows of the usage periods that have traffic in some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// What was counted.
    pub counted: Vec<BookedPart>,
    /// What was billed.
    pub billed: Vec<BilledPart>,
    /// What came too late and is not billed.
    pub written_off: Vec<BookedPart>,
    /// Periods that were closed: their usage is rated for good.
    pub closed: Vec<(SubscriptionId, Timestamp)>,
    /// Closed periods with late usage that the next invoice takes up.
    pub late: Vec<(SubscriptionId, Timestamp)>,
}

/// How far a producer's records have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalBook {
    /// The producer.
    pub producer: ProducerId,
    /// Records that the ledger took, by its notes for analytics.
    pub counted: u64,
    /// Of them, those that analytics has not stored yet.
    pub waiting: u64,
}

impl FromRow for BookedPart {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            period_start: row.get("period_start")?,
            outcome: row.get("outcome")?,
            quantity: Quantity::from_parts(row.get("units")?, row.get("nanos")?),
        })
    }
}

impl FromRow for BilledPart {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            period_start: row.get("period_start")?,
            document: row.get("document")?,
            quantity: Quantity::from_parts(row.get("units")?, row.get("nanos")?),
        })
    }
}

impl FromRow for JournalBook {
    fn from_row(row: &Row) -> Result<Self> {
        let count = |name: &str| Ok::<_, crate::Error>(u64::try_from(row.get::<i64>(name)?).unwrap_or(0));
        Ok(Self {
            producer: row.parse("producer")?,
            counted: count("counted")?,
            waiting: count("waiting")?,
        })
    }
}

/// Usage periods with traffic in the time.
macro_rules! periods {
    () => {
        "(SELECT subscription, period_start FROM usage_bucket
          WHERE bucket >= $1 AND bucket < $2 AND meter = $3 AND mode = 'live')"
    };
}

const COUNTED: &str = concat!(
    "SELECT subscription, period_start, outcome, CAST(SUM(units) AS BIGINT) AS units, CAST(SUM(nanos) AS BIGINT) AS nanos
     FROM usage_bucket WHERE meter = $3 AND mode = 'live' AND (subscription, period_start) IN ",
    periods!(),
    " GROUP BY subscription, period_start, outcome ORDER BY subscription, period_start, outcome"
);
const BILLED: &str = concat!(
    "SELECT c.subscription, c.period_start, c.document, CAST(SUM(c.quantity_units) AS BIGINT) AS units,
        CAST(SUM(c.quantity_nanos) AS BIGINT) AS nanos
     FROM charge_line c WHERE c.meter = $3 AND c.price LIKE 'usage/%'
        AND NOT EXISTS (SELECT 1 FROM invoice_event e WHERE e.invoice = c.document AND e.status = 'void')
        AND (c.subscription, c.period_start) IN ",
    periods!(),
    " GROUP BY c.subscription, c.period_start, c.document ORDER BY c.subscription, c.period_start, c.document"
);
const WRITTEN_OFF: &str = concat!(
    "SELECT subscription, period_start, outcome, units, nanos FROM written_off
     WHERE meter = $3 AND (subscription, period_start) IN ",
    periods!()
);
const CLOSED: &str = concat!(
    "SELECT subscription, period_start FROM rated_period WHERE (subscription, period_start) IN ",
    periods!()
);
const LATE: &str = concat!(
    "SELECT subscription, period_start FROM
        (SELECT subscription, period_start FROM late_usage WHERE meter = $3
         UNION SELECT subscription, period_start FROM pending_correction) y
     WHERE (subscription, period_start) IN ",
    periods!()
);
const JOURNAL: &str = "SELECT producer, CAST(SUM(next_seq - first_seq) AS BIGINT) AS counted,
        CAST(SUM(CASE WHEN done = $1 THEN 0 ELSE next_seq - first_seq END) AS BIGINT) AS waiting
    FROM analytics_batch GROUP BY producer ORDER BY producer";

fn key(row: &Row) -> Result<(SubscriptionId, Timestamp)> {
    Ok((row.get("subscription")?, row.get("period_start")?))
}

impl Store {
    /// The books of every usage period that has live requests from `from` up to but without `to`: each period in all.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn books(&self, from: Timestamp, to: Timestamp) -> Result<Books> {
        let mut tx = self.ledger.read().await?;
        let values = || args![from, to, REQUESTS];
        let books = Books {
            counted: tx.all(COUNTED, values()).await?,
            billed: tx.all(BILLED, values()).await?,
            written_off: tx.all(WRITTEN_OFF, values()).await?,
            closed: tx
                .rows(CLOSED, values())
                .await?
                .iter()
                .map(key)
                .collect::<Result<_>>()?,
            late: tx.rows(LATE, values()).await?.iter().map(key).collect::<Result<_>>()?,
        };
        tx.rollback().await?;
        Ok(books)
    }

    /// How far the records of each producer have come.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn journal_books(&self) -> Result<Vec<JournalBook>> {
        self.ledger.all(JOURNAL, args![true]).await
    }
}
