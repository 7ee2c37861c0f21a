//! What of a batch is in already, in whatever batch it came.
//!
//! A record is in when a note of its producer covers its number. The notes came with the sums in one block, so there is no
//! record in the sums without a note, nor the other way round.

use std::collections::BTreeMap;
use std::ops::Range;

use ::clickhouse::Row;
use domain::usage::ProducerId;
use serde::Deserialize;

use super::ClickHouse;
use super::rows::BATCH;
use super::sql::Sql;
use crate::batch::Batch;
use crate::error::Error;

/// Producers asked for in one question.
const AT_ONCE: usize = 200;

#[derive(Debug, Row, Deserialize)]
struct Note {
    producer: u128,
    first_seq: u64,
    next_seq: u64,
}

/// Runs of record numbers by producer and first number. They do not meet: a record is in once.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<(ProducerId, u64), u64>);

impl Known {
    /// Whether a record is in.
    pub(super) fn holds(&self, producer: ProducerId, seq: u64) -> bool {
        let below = self.0.range((producer, 0)..=(producer, seq));
        below.last().is_some_and(|(_, end)| seq < *end)
    }
}

/// The numbers of the records that a batch brings, in order.
pub(super) fn numbers(batch: &Batch) -> Vec<u64> {
    let facts = batch.facts.iter().map(|(seq, _)| *seq);
    let rejections = batch.rejections.iter().map(|(seq, _)| *seq);
    let samples = batch.samples.iter().map(|(seq, _)| *seq);
    let mut numbers: Vec<u64> = facts.chain(rejections).chain(samples).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Numbers in order as runs without holes.
pub(super) fn runs(numbers: &[u64]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == *number => run.end = number + 1,
            _ => runs.push(*number..number + 1),
        }
    }
    runs
}

/// Where to look for a batch's records: in its range, and at those that stand where their request was listed, which may be
/// far below.
fn asked(batch: &Batch) -> Vec<Range<u64>> {
    let range = batch.first_seq..batch.next_seq;
    let outside: Vec<u64> = numbers(batch).into_iter().filter(|seq| !range.contains(seq)).collect();
    let mut asked = runs(&outside);
    asked.push(range);
    asked
}

impl ClickHouse {
    /// What of these batches is in.
    pub(super) async fn known(&self, batches: &[&Batch]) -> Result<Known, Error> {
        let mut known = Known::default();
        for batches in batches.chunks(AT_ONCE) {
            let mut sql = Sql::new(format!(
                "SELECT DISTINCT producer, first_seq, next_seq FROM rollup
                 WHERE kind = '{BATCH}' AND level = 0 AND bucket = 0 AND (0"
            ));
            for batch in batches {
                for run in asked(batch) {
                    sql.push(" OR producer = ").producer(batch.producer);
                    sql.push(" AND first_seq < ").number(run.end);
                    sql.push(" AND next_seq > ").number(run.start);
                }
            }
            sql.push(")");
            let client = self.consistent();
            let notes: Vec<Note> = self.fetch_from(&client, sql).await?;
            let runs = notes.into_iter();
            known
                .0
                .extend(runs.map(|note| ((ProducerId(note.producer), note.first_seq), note.next_seq)));
        }
        Ok(known)
    }

    /// A client that sees everything that was acknowledged, on whatever replica.
    fn consistent(&self) -> ::clickhouse::Client {
        if self.settings.cluster.is_some() {
            self.writes.clone().with_setting("select_sequential_consistency", "1")
        } else {
            (*self.writes).clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_the_run_that_holds_it() {
        let (one, two) = (ProducerId(1), ProducerId(2));
        let known = Known([((one, 5), 9), ((one, 20), 21), ((two, 0), 3)].into_iter().collect());
        let held: Vec<u64> = (0..30).filter(|seq| known.holds(one, *seq)).collect();
        assert_eq!(held, [5, 6, 7, 8, 20]);
        assert!(known.holds(two, 2) && !known.holds(two, 5) && !known.holds(ProducerId(0), 5));
    }

    #[test]
    fn numbers_become_runs() {
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
        assert!(runs(&[]).is_empty());
    }
}
