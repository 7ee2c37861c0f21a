//! Admits what was in the quarantine and can be read by now: each record once.

use domain::clock::Timestamp;
use domain::usage::{ProducerId, Record};
use store::Store;
use store::ledger::{Claim, Held, Requeued};
use usage_source::kafka::{self, Recovered};

use crate::fold::Fold;

const ROWS: u32 = 100;

/// What became of the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequeueReport {
    /// Records that are counted now.
    pub admitted: u64,
    /// Rows that still cannot be read.
    pub unreadable: u64,
    /// Rows whose records are not known to be missing, or that were requeued by another meanwhile.
    pub refused: u64,
}

/// Reads everything in the quarantine once more and counts what can be read. A running metering service brings it to
/// analytics within seconds.
///
/// # Errors
/// When the ledger fails. What was admitted until then is admitted; the call can be repeated.
pub async fn requeue(store: &Store, now: Timestamp) -> Result<RequeueReport, store::Error> {
    let mut report = RequeueReport::default();
    let mut after = None;
    loop {
        let rows = store.held(after, ROWS).await?;
        let Some(last) = rows.last() else {
            return Ok(report);
        };
        after = Some((last.producer, last.seq));
        for row in &rows {
            let Some((requeued, records)) = readable(row) else {
                report.unreadable += 1;
                continue;
            };
            match store.requeue(&requeued, now).await? {
                Some(_) => report.admitted += records,
                None => report.refused += 1,
            }
        }
    }
}

/// What a row counts, and in how many records; `None` when one of them cannot be read.
fn readable(row: &Held) -> Option<(Requeued, u64)> {
    let held = (row.producer, row.seq);
    let Some(to_seq) = row.to_seq else {
        let mut fold = Counted::new(row.producer, row.seq);
        fold.take(row.seq, &row.raw)?;
        return Some(fold.finish(held, row.seq..row.seq + 1, false));
    };
    match kafka::reread(&row.raw).ok()? {
        Recovered::Nothing { producer, range } => {
            let producer = ProducerId(u128::from_be_bytes(producer.to_bytes()));
            Some(Counted::new(producer, range.start).finish(held, range, false))
        }
        Recovered::Records(batch) => {
            let producer = ProducerId(u128::from_be_bytes(batch.producer.to_bytes()));
            let attributed = producer == row.producer;
            let range = if attributed {
                row.seq..to_seq
            } else {
                // Nobody knew whose it was when it came, so its records are known as missing, if at all.
                batch.first_seq..batch.next_seq()
            };
            let mut fold = Counted::new(producer, range.start);
            for (seq, bytes) in batch.records().filter(|(seq, _)| range.contains(seq)) {
                fold.take(seq, bytes)?;
            }
            Some(fold.finish(held, range, !attributed))
        }
    }
}

struct Counted {
    fold: Fold,
    claim: Claim,
}

impl Counted {
    fn new(producer: ProducerId, next_seq: u64) -> Self {
        let claim = Claim {
            producer,
            next_seq,
            owner_epoch: 0,
        };
        Self {
            fold: Fold::default(),
            claim,
        }
    }

    fn take(&mut self, seq: u64, bytes: &[u8]) -> Option<()> {
        Record::decode(bytes).ok()?;
        self.fold.record(self.claim, seq, bytes);
        Some(())
    }

    fn finish(self, held: (ProducerId, u64), range: std::ops::Range<u64>, closes_gap: bool) -> (Requeued, u64) {
        let folded = self.fold.finish();
        let closed = folded.ledger.producers.into_iter().flat_map(|one| one.closed).collect();
        let requeued = Requeued {
            held,
            producer: self.claim.producer,
            from: range.start,
            to: range.end,
            closes_gap,
            totals: folded.ledger.totals,
            closed,
        };
        (requeued, folded.records)
    }
}
