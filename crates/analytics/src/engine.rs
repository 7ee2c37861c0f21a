//! The one type that callers hold, and which engine does what.

use std::path::Path;

use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::usage::ProducerId;

use crate::batch::Batch;
use crate::clickhouse::ClickHouse;
use crate::embedded::Embedded;
use crate::error::Error;
use crate::events::{BatchCounts, Cursor, EventFilter, Evidence, RawCounts, StoredFact, StoredSample};
use crate::recent::RecentFilter;
use crate::settings::{Server, Settings};
use crate::usage::{Billable, UsageQuery, UsageRow};

/// Facts, roll-ups and histograms, wherever they are kept. Clones share it.
#[derive(Debug, Clone)]
pub enum Analytics {
    /// In a SQLite file.
    Embedded(Embedded),
    /// On a ClickHouse server.
    ClickHouse(ClickHouse),
}

/// Opens what `location` names: `clickhouse+http(s)://user:password@host:port/database`, or the path of the embedded
/// file. Both are made when absent and brought to this version's layout. A server that is away is no error: that is done
/// at the first call that finds it.
///
/// # Errors
/// When the location is wrong, the file cannot be opened, the server refuses, or a later version wrote either.
pub async fn open(location: &str, settings: &Settings) -> Result<Analytics, Error> {
    if location.contains("://") {
        let server = Server::parse(location)?;
        return Ok(Analytics::ClickHouse(ClickHouse::open(server, settings).await?));
    }
    Analytics::embedded(Path::new(location)).await
}

impl From<Embedded> for Analytics {
    fn from(engine: Embedded) -> Self {
        Self::Embedded(engine)
    }
}

macro_rules! by_engine {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Self::Embedded($engine) => $call.await,
            Self::ClickHouse($engine) => $call.await,
        }
    };
}

impl Analytics {
    /// The embedded engine in the file at `path`.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn embedded(path: &Path) -> Result<Self, Error> {
        Ok(Self::Embedded(Embedded::open(path).await?))
    }

    /// Closes it.
    pub async fn close(&self) {
        match self {
            Self::Embedded(engine) => engine.close().await,
            // Its connections go with the last clone.
            Self::ClickHouse(_) => {}
        }
    }

    /// Inserts batches. Records that are in already are passed over, in whatever batch they came; facts that are in
    /// belong to the ledger commit of the batch from now on.
    ///
    /// # Errors
    /// When the engine fails. On the embedded one nothing is in then; on ClickHouse some batches may be, each whole or
    /// not at all. The same call again is right in either case.
    pub async fn insert(&self, batches: &[Batch]) -> Result<(), Error> {
        by_engine!(self, engine => engine.insert(batches))
    }

    /// Deletes facts and samples older than `before`, and minute roll-ups with them; hours and days stay. Inserts go on
    /// meanwhile. The number of rows deleted.
    ///
    /// # Errors
    /// When the engine fails; what was deleted stays deleted.
    pub async fn purge(&self, before: Timestamp) -> Result<u64, Error> {
        by_engine!(self, engine => engine.purge(before))
    }

    /// Usage by interval and group, in order of time and group.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn usage(&self, query: &UsageQuery, billable: Billable<'_>) -> Result<Vec<UsageRow>, Error> {
        by_engine!(self, engine => engine.usage(query, billable))
    }

    /// Counts the facts of a filter one by one, by who pays.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn raw_counts(&self, filter: &EventFilter, billable: Billable<'_>) -> Result<RawCounts, Error> {
        by_engine!(self, engine => engine.raw_counts(filter, billable))
    }

    /// Counts the facts from `from` up to but without `to`, by ledger commit and producer.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn facts_by_batch(&self, from: Timestamp, to: Timestamp) -> Result<BatchCounts, Error> {
        by_engine!(self, engine => engine.facts_by_batch(from, to))
    }

    /// Everything recorded of a request id: facts (several where a client used it more than once), oldest first.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn request(&self, request_id: &str) -> Result<Vec<StoredFact>, Error> {
        by_engine!(self, engine => engine.request(request_id))
    }

    /// The fact of a producer's record.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn fact(&self, producer: ProducerId, seq: u64) -> Result<Option<StoredFact>, Error> {
        by_engine!(self, engine => engine.fact(producer, seq))
    }

    /// Samples of rejections with a request id, oldest first.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn rejected_request(&self, request_id: &str) -> Result<Vec<StoredSample>, Error> {
        by_engine!(self, engine => engine.rejected_request(request_id))
    }

    /// Kept samples of rejected requests of a consumer, newest first; at most `limit`.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn recent_rejections(
        &self,
        consumer: ConsumerId,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<StoredSample>, Error> {
        by_engine!(self, engine => engine.recent_rejections(consumer, range, limit))
    }

    pub(crate) async fn events_after(
        &self,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        by_engine!(self, engine => engine.events_after(filter, after, limit))
    }

    pub(crate) async fn evidence_after(
        &self,
        evidence: &Evidence,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        by_engine!(self, engine => engine.evidence_after(evidence, after, limit))
    }

    pub(crate) async fn recent_of(
        &self,
        filter: &RecentFilter,
        consumer: ConsumerId,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        by_engine!(self, engine => engine.recent_of(filter, consumer, before, limit))
    }
}
