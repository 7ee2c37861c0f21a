//! Facts, rejections and samples of every kind, by a chance that a seed decides.

use analytics::{Analytics, Batch, EventFilter, Interval, UsageQuery};
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, CredentialId, PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, MeterValue, Outcome, ProducerId, RejectionCount, RejectionSample, Source, Steps};

pub(crate) const DAY: i64 = 86_400_000;
pub(crate) const START: i64 = 20_000 * DAY;

/// Splitmix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_millis(START + i64::try_from(self.below(3 * 86_400_000)).unwrap())
    }
}

fn outcome(chance: &mut Chance) -> Outcome {
    Outcome {
        source: chance.of(&[Source::Upstream, Source::Upstream, Source::Gateway, Source::Cache]),
        status: chance.of(&[200, 200, 201, 304, 404, 499, 500, 503]),
        client_aborted: chance.one_in(9),
        upstream_answered: !chance.one_in(7),
        kind: chance.of(&[
            Kind::Request,
            Kind::Request,
            Kind::Request,
            Kind::Checkpoint,
            Kind::Interrupted,
        ]),
    }
}

pub(crate) fn fact(chance: &mut Chance, id: u64) -> Fact {
    let consumer = chance.below(4);
    let known = !chance.one_in(6);
    Fact {
        request_id: format!("r-{}", id - id % 17 / 16),
        admitted_at: chance.time(),
        account: known.then(|| AccountId::from_bits(u128::from(consumer / 2))),
        consumer: known.then(|| ConsumerId::from_bits(u128::from(consumer))),
        credential: (known && chance.one_in(2)).then(|| CredentialId::from_bits(u128::from(chance.below(9)))),
        subscription: known.then(|| SubscriptionId::from_bits(u128::from(consumer * 2 + chance.below(2)))),
        plan_version: PlanVersionId::from_bits(4),
        period_start: known.then(|| Timestamp::from_millis(START)),
        segment: u32::try_from(chance.below(2)).unwrap(),
        product: "p".to_owned(),
        plan: chance.of(&["free", "pro's \"best\\", "größer?"]).to_owned(),
        api: chance.of(&["pets", "maps"]).to_owned(),
        operation: format!("op{}", chance.below(3)),
        method: chance.of(&["GET", "POST"]).to_owned(),
        path: format!("/p/{}", chance.below(5)),
        mode: if chance.one_in(10) { Mode::Test } else { Mode::Live },
        outcome: outcome(chance),
        bytes_in: chance.below(1_000),
        bytes_out: chance.below(1_000_000),
        latency_us: chance.below(5_000_000),
        steps: Steps::default(),
        quantities: ["tokens", "images"]
            .into_iter()
            .take(usize::try_from(chance.below(3)).unwrap())
            .map(|meter| MeterValue {
                meter: meter.to_owned(),
                quantity: Quantity::from_nanos(i128::from(chance.below(7_000_000_000))),
                missing: false,
            })
            .collect(),
        limits: Vec::new(),
        revision: 1,
    }
}

fn rejection(chance: &mut Chance) -> RejectionCount {
    let known = chance.one_in(2);
    let routed = !chance.one_in(3);
    let minute = chance.time().as_millis();
    RejectionCount {
        reason: chance.of(&["rate-limited", "quota-exceeded"]).to_owned(),
        api: if routed { "pets".to_owned() } else { String::new() },
        operation: if routed { "op1".to_owned() } else { String::new() },
        subscription: known.then(|| SubscriptionId::from_bits(u128::from(chance.below(8)))),
        consumer: known.then(|| ConsumerId::from_bits(u128::from(chance.below(4)))),
        account: known.then(|| AccountId::from_bits(u128::from(chance.below(2)))),
        mode: Mode::Live,
        minute: Timestamp::from_millis(minute - minute.rem_euclid(60_000)),
        count: chance.below(50) + 1,
    }
}

/// The batches of a producer: `commits` of them, each of about `size` records of every kind, the first at `first`.
pub(crate) fn batches(chance: &mut Chance, producer: u128, commits: u64, size: u64) -> Vec<Batch> {
    let mut seq = chance.below(5);
    let mut batches = Vec::new();
    for commit in 1..=commits {
        let mut batch = Batch {
            ledger_commit: commit,
            producer: ProducerId(producer << 64 | 7),
            first_seq: seq,
            next_seq: seq + size,
            facts: Vec::new(),
            rejections: Vec::new(),
            samples: Vec::new(),
        };
        for number in seq..seq + size {
            let id = u64::try_from(producer).unwrap() * 1_000_000 + number;
            match chance.below(20) {
                // Marks of life, and records that the ledger did not accept.
                0 | 1 => {}
                2 => {
                    let counts = (0..=chance.below(3)).map(|_| rejection(chance)).collect();
                    batch.rejections.push((number, counts));
                }
                3 => {
                    let mut of = rejection(chance);
                    of.count = 1;
                    batch.samples.push((number, vec![sample(chance, id, of)]));
                }
                _ => batch.facts.push((number, fact(chance, id))),
            }
        }
        seq += size;
        batches.push(batch);
    }
    batches
}

fn sample(chance: &mut Chance, id: u64, of: RejectionCount) -> RejectionSample {
    RejectionSample {
        request_id: format!("r-{id}"),
        // No two at one instant: their order would be open.
        at: Timestamp::from_millis(of.minute.as_millis() + i64::try_from(id % 59_999).unwrap()),
        status: 429,
        of,
        method: "GET".to_owned(),
        path: format!("/p/{}", chance.below(5)),
        revision: 1,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of a policy")]
pub(crate) fn billable(outcome: &Outcome) -> bool {
    outcome.source != Source::Gateway && outcome.status < 500 && outcome.kind != Kind::Interrupted
}

pub(crate) fn query(from: i64, to: i64, interval: Interval) -> UsageQuery {
    UsageQuery {
        from: Timestamp::from_millis(from),
        to: Timestamp::from_millis(to),
        interval,
        group_by: Vec::new(),
        filter: std::collections::BTreeMap::new(),
        mode: Mode::Live,
        meter: "tokens".to_owned(),
    }
}

pub(crate) fn everything(mode: Mode) -> EventFilter {
    EventFilter {
        from: Timestamp::from_millis(START),
        to: Timestamp::from_millis(START + 3 * DAY),
        account: None,
        consumer: None,
        subscription: None,
        mode,
    }
}

/// What the ledger would say of batches, whatever happened to them on their way: live traffic only.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) facts: u64,
    pub(crate) requests: u64,
    pub(crate) tokens: Quantity,
    pub(crate) rejected: u64,
}

pub(crate) fn total(batches: &[Batch]) -> Total {
    let facts = batches.iter().flat_map(|batch| &batch.facts).map(|(_, fact)| fact);
    let live: Vec<&Fact> = facts.filter(|fact| fact.mode == Mode::Live).collect();
    let values = live.iter().flat_map(|fact| &fact.quantities);
    let counts = batches
        .iter()
        .flat_map(|batch| &batch.rejections)
        .flat_map(|(_, counts)| counts);
    Total {
        facts: live.len() as u64,
        requests: live.iter().filter(|fact| fact.outcome.kind != Kind::Checkpoint).count() as u64,
        tokens: values
            .filter(|value| value.meter == "tokens")
            .map(|value| value.quantity)
            .sum(),
        rejected: counts.map(|count| count.count).sum(),
    }
}

/// What raw facts and each level of the roll-ups say; an error names where they differ.
pub(crate) async fn stored(analytics: &Analytics) -> Result<Total, String> {
    let raw = analytics.raw_count(&everything(Mode::Live), &billable).await.unwrap();
    let mut totals = Vec::new();
    for interval in [Interval::Minute, Interval::Hour, Interval::Day] {
        let rows = analytics
            .usage(&query(START, START + 3 * DAY, interval), &billable)
            .await
            .unwrap();
        let requests = rows.iter().map(|row| row.requests).sum();
        let latencies: u64 = rows.iter().map(|row| row.latency.count()).sum();
        if latencies != requests {
            return Err(format!("{interval:?}: {requests} requests, {latencies} latencies"));
        }
        totals.push(Total {
            facts: raw.facts,
            requests,
            tokens: rows.iter().map(|row| row.quantity).sum(),
            rejected: rows.iter().map(|row| row.rejected).sum(),
        });
    }
    match totals.iter().all(|total| *total == totals[0]) {
        true => Ok(totals.remove(0)),
        false => Err(format!("{totals:?}")),
    }
}
