use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::usage::{MeterValue, Open, Outcome, Source, Steps};
use proptest::prelude::*;

use super::*;

fn claim(next_seq: u64) -> Claim {
    Claim {
        producer: ProducerId(1),
        next_seq,
        owner_epoch: 1,
    }
}

fn fact(id: u64) -> Fact {
    Fact {
        request_id: format!("r-{id}"),
        admitted_at: Timestamp::from_millis(1_800_000_000_000 + i64::try_from(id).unwrap() * 1_000),
        account: None,
        consumer: None,
        credential: None,
        subscription: Some(SubscriptionId::from_bits(u128::from(id % 3))),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(1_800_000_000_000)),
        segment: 0,
        product: "p".to_owned(),
        plan: "pro".to_owned(),
        api: "a".to_owned(),
        operation: "op".to_owned(),
        method: "GET".to_owned(),
        path: "/a".to_owned(),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status: 200,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 0,
        bytes_out: 0,
        latency_us: 500,
        steps: Steps::default(),
        quantities: vec![MeterValue {
            meter: "tokens".to_owned(),
            quantity: Quantity::from_units(id),
            missing: false,
        }],
        limits: Vec::new(),
        revision: 1,
    }
}

fn bytes(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out).unwrap();
    out
}

fn record(id: u64) -> Vec<u8> {
    bytes(&Record::Fact(Box::new(fact(id))))
}

fn sum(folded: &Folded, meter: &str) -> Quantity {
    folded
        .ledger
        .totals
        .iter()
        .filter(|(key, _)| key.meter == meter)
        .map(|(_, (quantity, _))| *quantity)
        .sum()
}

proptest! {
    /// The same records three times, in any pieces, count once.
    #[test]
    fn a_record_that_comes_again_counts_once(count in 1_u64..60, repeats in proptest::collection::vec((0_u64..60, 1_u64..20), 0..6)) {
        let mut fold = Fold::default();
        let mut sent = 0;
        for seq in 0..count {
            fold.record(claim(0), seq, &record(seq));
            for (from, length) in &repeats {
                for again in *from..(from + length).min(seq + 1) {
                    fold.record(claim(0), again, &record(again));
                    sent += 1;
                }
            }
        }
        let folded = fold.finish();
        prop_assert_eq!(sum(&folded, REQUESTS), Quantity::from_units(count));
        prop_assert_eq!(sum(&folded, "tokens"), (0..count).map(Quantity::from_units).sum());
        prop_assert_eq!(folded.again.len(), sent);
        prop_assert_eq!(folded.ledger.producers[0].next_seq, count);
        prop_assert_eq!(folded.analytics[0].facts.len() as u64, count);
        prop_assert!(folded.ledger.producers[0].gaps.is_empty());
    }

    #[test]
    fn a_hole_is_flagged_if_and_only_if_records_were_lost(present in proptest::collection::vec(any::<bool>(), 1..50)) {
        let mut fold = Fold::default();
        let mut kept = 0;
        for (seq, here) in (0_u64..).zip(&present) {
            if *here {
                fold.record(claim(0), seq, &record(seq));
                kept += 1;
            }
        }
        let folded = fold.finish();
        let last = present.iter().rposition(|here| *here);
        let lost = last.is_some_and(|last| present[..last].iter().any(|here| !here));
        let gaps = folded.ledger.producers.first().map_or(0, |producer| producer.gaps.len());
        prop_assert_eq!(gaps > 0, lost);
        prop_assert_eq!(sum(&folded, REQUESTS), Quantity::from_units(kept));
    }
}

#[test]
fn an_unreadable_record_is_set_aside_and_the_rest_goes_on() {
    let mut fold = Fold::default();
    fold.record(claim(0), 0, &record(0));
    fold.record(claim(0), 1, b"\x09nonsense");
    fold.record(claim(0), 2, &record(2));
    let folded = fold.finish();
    let producer = &folded.ledger.producers[0];
    assert_eq!(producer.poison.len(), 1);
    assert_eq!((producer.poison[0].seq, producer.next_seq), (1, 3));
    assert!(producer.gaps.is_empty());
    assert_eq!(sum(&folded, REQUESTS), Quantity::from_units(2));
}

#[test]
fn checkpoints_bring_quantities_and_their_request_counts_once() {
    let mut part = fact(5);
    part.outcome.kind = Kind::Checkpoint;
    let mut fold = Fold::default();
    fold.record(claim(0), 0, &bytes(&Record::Fact(Box::new(part))));
    fold.record(claim(0), 1, &record(7));
    let folded = fold.finish();
    assert_eq!(sum(&folded, REQUESTS), Quantity::from_units(1));
    assert_eq!(sum(&folded, "tokens"), Quantity::from_units(12));
}

#[test]
fn a_request_listed_open_is_closed_by_its_fact() {
    let open = |id| {
        bytes(&Record::Open(Open {
            so_far: Box::new(fact(id)),
        }))
    };
    let mut ended = fact(2);
    ended.latency_us = 3_000_000;
    let mut fold = Fold::default();
    fold.record(claim(0), 0, &open(1));
    fold.record(claim(0), 1, &open(2));
    fold.record(claim(0), 2, &bytes(&Record::Fact(Box::new(ended))));
    let folded = fold.finish();
    let producer = &folded.ledger.producers[0];
    assert_eq!(
        producer
            .opened
            .keys()
            .map(|open| open.request_id.as_str())
            .collect::<Vec<_>>(),
        ["r-1"]
    );
    assert_eq!(producer.closed[0].request_id, "r-2");
}

#[test]
fn traffic_without_a_subscription_makes_no_totals() {
    let mut anonymous = fact(1);
    anonymous.subscription = None;
    anonymous.period_start = None;
    let mut fold = Fold::default();
    fold.record(claim(0), 0, &bytes(&Record::Fact(Box::new(anonymous))));
    let folded = fold.finish();
    assert!(folded.ledger.totals.is_empty());
    assert_eq!(folded.analytics[0].facts.len(), 1);
}
