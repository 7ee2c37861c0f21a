//! Partitions of a log: claimed in the ledger, moved with the totals, given up when the ledger says so.
//!
//! Whoever claimed a partition last may move its position; the group of the log only proposes. A reader that was paused
//! through a rebalance finds another epoch and changes nothing.

use std::collections::HashMap;

use domain::usage::ProducerId;
use store::ledger::{LogBatch, LogMove, LogSpan};
use usage_source::{End, UsageSource};

use super::{Error, Pump, id};
use crate::fold::Folded;

#[derive(Debug, Clone, Copy)]
struct Position {
    next_offset: u64,
    epoch: i64,
}

/// The partitions of this task.
#[derive(Debug, Default)]
pub(super) struct Held {
    positions: HashMap<u32, Position>,
    /// Given by the log and not claimed yet.
    given: Vec<u32>,
}

impl Held {
    /// Their numbers.
    pub(super) fn parts(&self) -> Vec<u32> {
        self.positions.keys().copied().collect()
    }

    /// What was committed.
    pub(super) fn moved(&mut self, log: Option<&LogBatch>) {
        for LogMove { span, owner_epoch } in log.iter().flat_map(|log| &log.moves) {
            let position = Position {
                next_offset: span.to,
                epoch: *owner_epoch,
            };
            self.positions.insert(span.part, position);
        }
    }
}

impl<S: UsageSource> Pump<S> {
    /// Claims what the log gave to this reader. The producers in it were counted by another until now, and so may be batches
    /// that analytics still lacks.
    pub(super) async fn take_partitions(&mut self) -> Result<(), Error> {
        self.hear_changes();
        let given = std::mem::take(&mut self.partitions.given);
        let Some(log) = self.source.log().map(str::to_owned).filter(|_| !given.is_empty()) else {
            return Ok(());
        };
        let claimed = self
            .store
            .claim_positions(&log, &given, &self.owner, self.clock.now())
            .await;
        // Whatever happens, what was asked for is answered: an error begins anew, with a new claim.
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                for partition in given {
                    self.source.give_up(partition);
                }
                return Err(error.into());
            }
        };
        self.load_producers().await?;
        for row in claimed {
            tracing::info!(
                log,
                partition = row.part,
                offset = row.next_offset,
                epoch = row.owner_epoch,
                "partition claimed"
            );
            let position = Position {
                next_offset: row.next_offset,
                epoch: row.owner_epoch,
            };
            self.partitions.positions.insert(row.part, position);
            self.source.begin(row.part, row.next_offset);
        }
        self.behind = true;
        Ok(())
    }

    fn hear_changes(&mut self) {
        let changes = self.source.changes();
        for partition in changes.taken {
            self.partitions.positions.remove(&partition);
            self.partitions.given.retain(|given| *given != partition);
        }
        for partition in changes.given {
            self.partitions.positions.remove(&partition);
            self.partitions.given.push(partition);
        }
    }

    /// Reads where the ledger stands with the partitions of this task; those that are another's by now are given up.
    pub(super) async fn load_partitions(&mut self) -> Result<(), Error> {
        let Some(log) = self.source.log().map(str::to_owned) else {
            return Ok(());
        };
        self.hear_changes();
        let rows = self.store.usage_positions(&log).await?;
        let held = std::mem::take(&mut self.partitions.positions);
        for (part, position) in held {
            let row = rows.iter().find(|row| row.part == part);
            match row.filter(|row| row.owner_epoch == position.epoch) {
                Some(row) => {
                    let position = Position {
                        next_offset: row.next_offset,
                        ..position
                    };
                    self.partitions.positions.insert(part, position);
                    self.source.begin(part, row.next_offset);
                }
                None => {
                    tracing::warn!(log, partition = part, "partition is counted by another process");
                    self.source.give_up(part);
                }
            }
        }
        Ok(())
    }

    /// Adds to a fold what it moves of the log.
    pub(super) fn add_log(&self, folded: &mut Folded) {
        let Some(log) = self.source.log() else { return };
        let spans = self.source.spans();
        let moves = spans.iter().filter_map(|span| {
            let position = self.partitions.positions.get(&span.partition)?;
            Some(LogMove {
                span: LogSpan {
                    part: span.partition,
                    from: position.next_offset,
                    to: span.to,
                },
                owner_epoch: position.epoch,
            })
        });
        let part_of = |producer: ProducerId| Some((producer, self.source.partition_of(super::source_id(producer))?));
        let producers = folded.ledger.producers.iter().map(|one| one.claim.producer);
        let batch = LogBatch {
            log: log.to_owned(),
            moves: moves.collect(),
            parts: producers.filter_map(part_of).collect(),
            unattributed: std::mem::take(&mut folded.unattributed),
        };
        folded.ledger.log = Some(batch).filter(|batch| !batch.moves.is_empty());
    }

    /// Tells whether an end of the source is counted: of a log by anybody, of segments by this task.
    pub(super) async fn counted(&self) -> Result<impl Fn(&End) -> bool, Error> {
        let positions: HashMap<u32, u64> = match self.source.log() {
            None => HashMap::new(),
            Some(log) => {
                let rows = self.store.usage_positions(log).await?;
                rows.into_iter().map(|row| (row.part, row.next_offset)).collect()
            }
        };
        let places = &self.places;
        Ok(move |end: &End| match end {
            End::Records(position) => {
                let place = places.get(&id(position.producer));
                position.next_seq == 0 || place.is_some_and(|place| place.next_seq >= position.next_seq)
            }
            End::Offset { partition, offset } => {
                *offset == 0 || positions.get(partition).is_some_and(|counted| counted >= offset)
            }
        })
    }
}
