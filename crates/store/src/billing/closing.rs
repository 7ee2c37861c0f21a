//! Whether a period's usage is complete, and what a document says when it is not.

use domain::clock::Timestamp;
use domain::config::BillingSettings;
use domain::usage::ProducerId;
use serde::{Deserialize, Serialize};

use crate::ledger::{Gap, ProducerRow};
use crate::{Result, Tx, args};

/// Producers and gaps at one instant of the ledger.
#[derive(Debug, Clone)]
pub(super) struct Watermarks {
    living: Vec<ProducerRow>,
    gaps: Vec<Gap>,
    unreadable: i64,
}

/// What was missing when a period was closed; kept with its rating run and its invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Closing {
    /// Producers that had not passed the end.
    pub(super) missing_producers: Vec<String>,
    /// Gaps that were known: producer, first number, kind.
    pub(super) gaps: Vec<(String, u64, String)>,
    /// Records that could not be read.
    pub(super) unreadable_records: i64,
}

const GAPS_NAMED: usize = 100;

impl Watermarks {
    pub(super) async fn read(tx: &mut Tx) -> Result<Self> {
        let living = tx
            .all(
                "SELECT * FROM producer WHERE ended IS NULL ORDER BY first_seen, id",
                args![],
            )
            .await?;
        let gaps = tx
            .all(
                "SELECT * FROM usage_gap ORDER BY found_at DESC, producer, from_seq",
                args![],
            )
            .await?;
        let unreadable: Option<i64> = tx
            .scalar("SELECT COUNT(*) FROM quarantine WHERE requeued_at IS NULL", args![])
            .await?;
        Ok(Self {
            living,
            gaps,
            unreadable: unreadable.unwrap_or(0),
        })
    }

    /// Producers that began before `end` and have not passed it.
    pub(super) fn behind(&self, end: Timestamp) -> Vec<ProducerId> {
        let behind = self
            .living
            .iter()
            .filter(|producer| producer.first_seen < end && producer.alive_through.is_none_or(|through| through < end));
        behind.map(|producer| producer.id).collect()
    }

    /// Whether usage up to `end` is complete at `now`, or has been waited for long enough.
    pub(super) fn closed(&self, end: Timestamp, now: Timestamp, settings: &BillingSettings) -> bool {
        end <= now && (self.behind(end).is_empty() || end.plus_millis(settings.grace.as_millis_i64()) <= now)
    }

    /// What is missing of the time from `start` to `end`.
    pub(super) fn closing(&self, start: Timestamp, end: Timestamp) -> Closing {
        let touching = self
            .gaps
            .iter()
            .filter(|gap| gap.since.is_none_or(|since| since >= start && since < end));
        Closing {
            missing_producers: self.behind(end).iter().map(ToString::to_string).collect(),
            gaps: touching
                .take(GAPS_NAMED)
                .map(|gap| (gap.producer.to_string(), gap.from_seq, gap.kind.clone()))
                .collect(),
            unreadable_records: self.unreadable,
        }
    }
}

impl Closing {
    /// What the reader of an invoice must know.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.missing_producers.is_empty() {
            notes.push(format!(
                "{} gateway worker(s) had not reported the end of the period; usage that they still hold is billed later.",
                self.missing_producers.len()
            ));
        }
        if !self.gaps.is_empty() {
            notes.push(format!(
                "{} gap(s) in the usage records of this time were known and are not billed.",
                self.gaps.len()
            ));
        }
        if self.unreadable_records > 0 {
            notes.push(format!(
                "{} usage record(s) could not be read and are not billed.",
                self.unreadable_records
            ));
        }
        notes
    }
}
