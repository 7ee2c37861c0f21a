//! Whether a period's usage is complete, and what a document says when it is not.

use domain::clock::Timestamp;
use domain::config::BillingSettings;
use domain::usage::ProducerId;
use serde::{Deserialize, Serialize};

use crate::ledger::{Gap, ProducerRow};
use crate::{FromRow, Result, Row, Tx, args};

/// Producers and gaps at one instant of the ledger.
#[derive(Debug, Clone)]
pub(super) struct Watermarks {
    living: Vec<ProducerRow>,
    gaps: Vec<FoundGap>,
    unreadable: i64,
}

#[derive(Debug, Clone)]
struct FoundGap {
    gap: Gap,
    found_at: Timestamp,
}

impl FromRow for FoundGap {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            gap: Gap::from_row(row)?,
            found_at: row.get("found_at")?,
        })
    }
}

impl FoundGap {
    /// Whether records of the time from `start` to `end` may be missing. Where nobody knows since when, it may be any time
    /// before the gap was found.
    fn touches(&self, start: Timestamp, end: Timestamp) -> bool {
        match self.gap.since {
            Some(since) => since >= start && since < end,
            None => self.found_at >= start,
        }
    }
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
/// Gaps that a document spells out; its rating run has the others.
const GAPS_SPELLED: usize = 5;

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

    /// Whether usage from `start` to `end` is complete at `now`, or has been waited for long enough. A gap may still be
    /// filled: by a journal that comes back, or out of the quarantine.
    pub(super) fn closed(
        &self,
        (start, end): (Timestamp, Timestamp),
        now: Timestamp,
        settings: &BillingSettings,
    ) -> bool {
        let complete = self.behind(end).is_empty() && !self.gaps.iter().any(|gap| gap.touches(start, end));
        end <= now && (complete || end.plus_millis(settings.grace.as_millis_i64()) <= now)
    }

    /// What is missing of the time from `start` to `end`.
    pub(super) fn closing(&self, start: Timestamp, end: Timestamp) -> Closing {
        let touching = self.gaps.iter().filter(|gap| gap.touches(start, end));
        Closing {
            missing_producers: self.behind(end).iter().map(ToString::to_string).collect(),
            gaps: touching
                .take(GAPS_NAMED)
                .map(|found| &found.gap)
                .map(|gap| (gap.producer.to_string(), gap.from_seq, gap.kind.clone()))
                .collect(),
            unreadable_records: self.unreadable,
        }
    }
}

impl Closing {
    fn gaps_named(&self) -> String {
        let named = self.gaps.iter().take(GAPS_SPELLED);
        let mut names: Vec<String> = named
            .map(|(producer, from, kind)| format!("records of {producer} from {from} on ({})", kind.replace('_', " ")))
            .collect();
        if self.gaps.len() > GAPS_SPELLED {
            names.push(format!("{} more", self.gaps.len() - GAPS_SPELLED));
        }
        names.join(", ")
    }

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
                "{} gap(s) in the usage records of this time were known and are not billed: {}.",
                self.gaps.len(),
                self.gaps_named()
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
