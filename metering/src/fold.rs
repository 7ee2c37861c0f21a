//! Records of producers, folded into one ledger batch and the batches for analytics. Pure.

use std::collections::BTreeMap;

use analytics::Batch;
use domain::clock::Timestamp;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, ProducerId, Record};
use store::ledger::{BucketKey, Claim, Ended, Gap, LedgerBatch, OpenRequest, Poison, ProducerBatch, Unattributed};
use usage_source::Refused;

const QUARTER_HOUR_MS: i64 = 900_000;

/// A record that came again: the ledger is past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) producer: ProducerId,
    pub(crate) seq: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What has been folded so far.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    totals: BTreeMap<BucketKey, (Quantity, u64)>,
    producers: BTreeMap<ProducerId, Part>,
    again: Vec<Again>,
    unattributed: Vec<Unattributed>,
    records: u64,
}

#[derive(Debug)]
struct Part {
    ledger: ProducerBatch,
    analytics: Batch,
}

/// A fold that is ready to be committed.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) ledger: LedgerBatch,
    /// One for each producer of the ledger batch, in its order; their commit is still to be filled in.
    pub(crate) analytics: Vec<Batch>,
    pub(crate) again: Vec<Again>,
    /// Messages of a log that cannot be read; the log's part of the ledger batch takes them up.
    pub(crate) unattributed: Vec<Unattributed>,
    pub(crate) records: u64,
}

impl Fold {
    fn part(&mut self, claim: Claim) -> &mut Part {
        self.producers.entry(claim.producer).or_insert_with(|| Part {
            ledger: ProducerBatch {
                claim,
                next_seq: claim.next_seq,
                alive_through: None,
                opened: BTreeMap::new(),
                closed: Vec::new(),
                gaps: Vec::new(),
                poison: Vec::new(),
                ended: None,
            },
            analytics: empty_batch(claim),
        })
    }

    /// Takes one record. One below the producer's position came again and is set aside.
    pub(crate) fn record(&mut self, claim: Claim, seq: u64, bytes: &[u8]) {
        let part = self.part(claim);
        if seq < part.ledger.next_seq {
            self.again.push(Again {
                producer: claim.producer,
                seq,
                bytes: bytes.to_vec(),
            });
            return;
        }
        if seq > part.ledger.next_seq {
            let gap = gap(claim.producer, part.ledger.next_seq, Some(seq), "missing", None);
            part.ledger.gaps.push(gap);
        }
        part.ledger.next_seq = seq + 1;
        self.records += 1;
        match Record::decode(bytes) {
            Ok(record) => self.accept(claim, seq, record, bytes),
            Err(error) => {
                let poison = Poison {
                    seq,
                    to_seq: None,
                    reason: error.to_string(),
                    raw: bytes.to_vec(),
                };
                self.part(claim).ledger.poison.push(poison);
            }
        }
    }

    fn accept(&mut self, claim: Claim, seq: u64, record: Record, bytes: &[u8]) {
        match record {
            Record::Fact(fact) => self.fact(claim, seq, *fact),
            Record::Open(open) => {
                let key = open_key(&open.so_far);
                self.part(claim).ledger.opened.insert(key, bytes.to_vec());
            }
            Record::Alive { through } => {
                let alive = &mut self.part(claim).ledger.alive_through;
                *alive = Some(alive.map_or(through, |before| before.max(through)));
            }
            Record::Rejections(counts) => self.part(claim).analytics.rejections.push((seq, counts)),
            Record::RejectionSamples(samples) => self.part(claim).analytics.samples.push((seq, samples)),
        }
    }

    fn fact(&mut self, claim: Claim, seq: u64, fact: Fact) {
        add_totals(&mut self.totals, &fact);
        let part = self.part(claim);
        if fact.outcome.kind == Kind::Request {
            let key = open_key(&fact);
            if part.ledger.opened.remove(&key).is_none() || fact.latency_us >= 1_000_000 {
                // Only a request that ran for a second was ever listed open.
                if fact.latency_us >= 1_000_000 {
                    part.ledger.closed.push(key);
                }
            }
        }
        part.analytics.facts.push((seq, fact));
    }

    /// Takes a range that cannot be read.
    pub(crate) fn unreadable(&mut self, claim: Claim, range: std::ops::Range<u64>, kind: &str) {
        let part = self.part(claim);
        part.ledger
            .gaps
            .push(gap(claim.producer, range.start, Some(range.end), kind, None));
        part.ledger.next_seq = range.end;
    }

    /// The producer has ended and everything of it is folded.
    pub(crate) fn end(&mut self, claim: Claim, ended: Ended, lost: Option<Gap>) {
        let part = self.part(claim);
        part.ledger.ended = Some(ended);
        part.ledger.gaps.extend(lost);
    }

    /// Takes a message that cannot be read: the records that it holds are due and counted by nobody.
    pub(crate) fn refused(&mut self, claim: Claim, range: std::ops::Range<u64>, reason: String, raw: Vec<u8>) {
        let part = self.part(claim);
        let from = range.start.max(part.ledger.next_seq);
        if from >= range.end {
            return;
        }
        part.ledger.next_seq = range.end;
        part.ledger.poison.push(Poison {
            seq: from,
            to_seq: Some(range.end),
            reason,
            raw,
        });
    }

    /// Takes a message that cannot be read and does not tell whose records it holds.
    pub(crate) fn unattributed(&mut self, refused: Refused) {
        self.unattributed.push(Unattributed {
            part: refused.partition,
            offset: refused.offset,
            reason: refused.reason,
            raw: refused.raw,
        });
    }

    /// How many records are folded, those that came again too.
    pub(crate) fn taken(&self) -> u64 {
        self.records
            .saturating_add(u64::try_from(self.again.len()).unwrap_or(u64::MAX))
    }

    /// The position after what is folded of a producer.
    pub(crate) fn next_seq(&self, producer: ProducerId) -> Option<u64> {
        self.producers.get(&producer).map(|part| part.ledger.next_seq)
    }

    pub(crate) fn finish(self) -> Folded {
        let mut folded = Folded {
            again: self.again,
            unattributed: self.unattributed,
            records: self.records,
            ..Folded::default()
        };
        folded.ledger.totals = self.totals;
        for mut part in self.producers.into_values() {
            part.analytics.next_seq = part.ledger.next_seq;
            let moved = part.ledger.next_seq != part.ledger.claim.next_seq;
            if moved || part.ledger.ended.is_some() || !part.ledger.gaps.is_empty() {
                folded.ledger.producers.push(part.ledger);
                folded.analytics.push(part.analytics);
            }
        }
        folded
    }
}

pub(crate) fn empty_batch(claim: Claim) -> Batch {
    Batch {
        ledger_commit: 0,
        producer: claim.producer,
        first_seq: claim.next_seq,
        next_seq: claim.next_seq,
        facts: Vec::new(),
        rejections: Vec::new(),
        samples: Vec::new(),
    }
}

pub(crate) fn gap(
    producer: ProducerId,
    from_seq: u64,
    to_seq: Option<u64>,
    kind: &str,
    since: Option<Timestamp>,
) -> Gap {
    Gap {
        producer,
        from_seq,
        to_seq,
        kind: kind.to_owned(),
        since,
    }
}

fn open_key(fact: &Fact) -> OpenRequest {
    OpenRequest {
        request_id: fact.request_id.clone(),
        admitted_at: fact.admitted_at,
    }
}

/// Adds a fact to the totals. A checkpoint brings quantities alone: its request is counted once, by its final fact.
fn add_totals(totals: &mut BTreeMap<BucketKey, (Quantity, u64)>, fact: &Fact) {
    let (Some(subscription), Some(period_start)) = (fact.subscription, fact.period_start) else {
        return;
    };
    let key = |meter: &str| BucketKey {
        subscription,
        period_start,
        segment: fact.segment,
        plan_version: fact.plan_version,
        meter: meter.to_owned(),
        mode: fact.mode,
        api: fact.api.clone(),
        operation: fact.operation.clone(),
        outcome: fact.outcome.class_key(),
        bucket: Timestamp::from_millis(fact.admitted_at.as_millis().div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS),
    };
    let mut add = |meter: &str, quantity: Quantity, requests: u64| {
        let slot = totals.entry(key(meter)).or_default();
        *slot = (slot.0.saturating_add(quantity), slot.1 + requests);
    };
    if fact.outcome.kind != Kind::Checkpoint {
        add(REQUESTS, Quantity::from_units(1), 1);
    }
    for value in fact.quantities.iter().filter(|value| !value.quantity.is_zero()) {
        add(&value.meter, value.quantity, 1);
    }
}

#[cfg(test)]
mod tests;
