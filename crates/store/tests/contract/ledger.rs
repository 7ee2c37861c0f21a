use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::ProducerId;
use store::ledger::{
    AnalyticsBatch, BucketKey, Claim, Ended, Gap, LedgerBatch, OpenRequest, Poison, ProducerBatch, ProducerRow,
};
use store::testing::{START, on_both};
use store::{CounterNode, CounterRun, ProducerStand, Store};

const PRODUCER: ProducerId = ProducerId(7);

fn key(meter: &str, outcome: &str, minutes: i64) -> BucketKey {
    let bucket = START.plus_millis(minutes * 60_000).as_millis().div_euclid(900_000) * 900_000;
    BucketKey {
        subscription: SubscriptionId::from_bits(3),
        period_start: START,
        segment: 0,
        plan_version: PlanVersionId::from_bits(4),
        meter: meter.to_owned(),
        mode: Mode::Live,
        api: "a".to_owned(),
        operation: "op".to_owned(),
        outcome: outcome.to_owned(),
        bucket: Timestamp::from_millis(bucket),
    }
}

fn part(from: u64, to: u64) -> ProducerBatch {
    ProducerBatch {
        claim: Claim {
            producer: PRODUCER,
            next_seq: from,
            owner_epoch: 1,
        },
        next_seq: to,
        alive_through: None,
        opened: BTreeMap::new(),
        closed: Vec::new(),
        gaps: Vec::new(),
        poison: Vec::new(),
        ended: None,
    }
}

async fn register(store: &Store) {
    let row = ProducerRow {
        id: PRODUCER,
        node: "n".to_owned(),
        worker: 2,
        first_seen: START,
        next_seq: 0,
        alive_through: None,
        ended: None,
        owner_epoch: 1,
    };
    store.register_producer(&row).await.unwrap();
    store
        .register_producer(&ProducerRow { next_seq: 99, ..row })
        .await
        .unwrap();
}

fn batch(producer: ProducerBatch, totals: &[(BucketKey, Quantity, u64)]) -> LedgerBatch {
    let totals = totals
        .iter()
        .map(|(key, quantity, requests)| (key.clone(), (*quantity, *requests)))
        .collect();
    LedgerBatch {
        totals,
        producers: vec![producer],
        log: None,
    }
}

#[tokio::test]
async fn totals_add_up_and_a_stale_writer_changes_nothing() {
    on_both(async |store| {
        register(&store).await;
        let half = Quantity::from_nanos(1_500_000_000);
        let used = [
            (key("requests", "upstream/2xx", 1), Quantity::from_units(5), 5),
            (key("tokens", "upstream/2xx", 1), half, 1),
        ];
        assert_eq!(
            store.commit_usage(&batch(part(0, 5), &used), START).await.unwrap(),
            Some(1)
        );
        // The same range again: the position has moved, so that nothing is added.
        assert_eq!(
            store.commit_usage(&batch(part(0, 5), &used), START).await.unwrap(),
            None
        );
        let zombie = ProducerBatch {
            claim: Claim {
                owner_epoch: 9,
                ..part(5, 6).claim
            },
            ..part(5, 6)
        };
        assert_eq!(store.commit_usage(&batch(zombie, &used), START).await.unwrap(), None);
        assert_eq!(
            store.commit_usage(&batch(part(5, 10), &used), START).await.unwrap(),
            Some(2)
        );
        let period = store
            .period_totals(SubscriptionId::from_bits(3), START, Mode::Live)
            .await
            .unwrap();
        assert_eq!(period.ledger_commit, 2);
        let found: Vec<_> = period
            .totals
            .iter()
            .map(|total| (total.meter.as_str(), total.quantity, total.requests))
            .collect();
        assert_eq!(
            found,
            [
                ("requests", Quantity::from_units(10), 10),
                ("tokens", Quantity::from_units(3), 2)
            ]
        );
        assert!(
            store
                .period_totals(SubscriptionId::from_bits(3), START, Mode::Test)
                .await
                .unwrap()
                .totals
                .is_empty()
        );
        assert_eq!(
            store.periods_with_usage(SubscriptionId::from_bits(3)).await.unwrap(),
            [START]
        );
        assert_eq!(store.ledger_commit().await.unwrap(), 2);
        assert_eq!(store.producers().await.unwrap()[0].next_seq, 10);
    })
    .await;
}

#[tokio::test]
async fn what_was_used_since_an_instant_keeps_its_quarter_of_an_hour() {
    on_both(async |store| {
        register(&store).await;
        let one = Quantity::from_units(1);
        let used = [0, 14, 15, 44, 60].map(|minutes| (key("requests", "upstream/2xx", minutes), one, 1));
        for (seq, row) in (0_u64..).zip(used) {
            store
                .commit_usage(&batch(part(seq, seq + 1), &[row]), START)
                .await
                .unwrap()
                .unwrap();
        }
        let since = |minutes: i64| START.plus_millis(minutes * 60_000);
        let all = store.used_since(since(0), since(1_000)).await.unwrap();
        assert_eq!(
            all.iter().map(|row| row.quantity).sum::<Quantity>(),
            Quantity::from_units(5)
        );
        let later = store.used_since(since(44), since(1_000)).await.unwrap();
        assert_eq!(
            later.iter().map(|row| row.quantity).sum::<Quantity>(),
            Quantity::from_units(2)
        );
        let by_period = store.used_since(since(1_000), START).await.unwrap();
        assert_eq!(by_period.len(), all.len());
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_shares_counters_is_open_until_the_ledger_has_all_that_it_wrote() {
    on_both(async |store| {
        let run = |fence: u64, producers: &[&str]| CounterRun {
            fence,
            producers: producers.iter().map(|id| (*id).to_owned()).collect(),
        };
        let id = PRODUCER.to_string();
        let node = |fence: u64, has_left: bool, runs: &[CounterRun]| CounterNode {
            node: "a".to_owned(),
            fence,
            has_left,
            runs: runs.to_vec(),
        };
        let (earlier, latest) = (run(5, &[&id]), run(9, &[]));
        let both = [earlier.clone(), latest.clone()];
        store.note_counter_node(&node(9, false, &both)).await.unwrap();
        // An earlier run that speaks late is not heard.
        store.note_counter_node(&node(5, true, &[])).await.unwrap();
        assert_eq!(store.counter_nodes().await.unwrap(), [node(9, false, &both)]);
        assert_eq!(store.producer_stands(&both).await.unwrap(), []);
        register(&store).await;
        assert_eq!(store.counter_nodes().await.unwrap(), [node(9, false, &both)]);
        let last = ProducerBatch {
            ended: Some(Ended::Interrupted),
            ..part(0, 3)
        };
        let used = (key("requests", "upstream/2xx", 0), Quantity::from_units(3), 3);
        store.commit_usage(&batch(last, &[used]), START).await.unwrap().unwrap();
        let stand = ProducerStand {
            id,
            next_seq: 3,
            ended: true,
        };
        assert_eq!(store.producer_stands(&both).await.unwrap(), [stand]);
        // Of the run that has ended everything is there; the latest goes on.
        assert_eq!(
            store.counter_nodes().await.unwrap(),
            [node(9, false, std::slice::from_ref(&latest))]
        );
        let mine = store.used_by(SubscriptionId::from_bits(3), START, START).await.unwrap();
        assert_eq!(mine.len(), 1);
        let other = store.used_by(SubscriptionId::from_bits(4), START, START).await.unwrap();
        assert!(other.is_empty());
        // One that left is waited for no longer than its last records.
        let unknown = run(9, &["000000000000000000000000000000ff"]);
        store
            .note_counter_node(&node(9, true, std::slice::from_ref(&unknown)))
            .await
            .unwrap();
        assert_eq!(store.counter_nodes().await.unwrap(), [node(9, true, &[unknown])]);
        store.note_counter_node(&node(9, true, &both)).await.unwrap();
        assert_eq!(store.counter_nodes().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn analytics_batches_stay_pending_until_they_are_done() {
    on_both(async |store| {
        register(&store).await;
        let commit = store
            .commit_usage(&batch(part(0, 4), &[]), START)
            .await
            .unwrap()
            .unwrap();
        let note = AnalyticsBatch {
            ledger_commit: commit,
            producer: PRODUCER,
            first_seq: 0,
            next_seq: 4,
            span: None,
        };
        assert_eq!(store.pending_analytics(10).await.unwrap(), [note]);
        store.analytics_done(&[(note, None)]).await.unwrap();
        assert!(store.pending_analytics(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn open_requests_of_a_producer_that_ended_are_interrupted() {
    on_both(async |store| {
        register(&store).await;
        let open = |id: &str| OpenRequest {
            request_id: id.to_owned(),
            admitted_at: START,
        };
        let opened = ["a", "b"]
            .map(|id| (open(id), id.as_bytes().to_vec()))
            .into_iter()
            .collect();
        store
            .commit_usage(&batch(ProducerBatch { opened, ..part(0, 2) }, &[]), START)
            .await
            .unwrap()
            .unwrap();
        let ending = ProducerBatch {
            closed: vec![open("a")],
            ended: Some(Ended::Interrupted),
            ..part(2, 3)
        };
        let commit = store.commit_usage(&batch(ending, &[]), START).await.unwrap().unwrap();
        let note = AnalyticsBatch {
            ledger_commit: commit,
            producer: PRODUCER,
            first_seq: 2,
            next_seq: 3,
            span: None,
        };
        let cut = store.interrupted(&note).await.unwrap();
        assert_eq!(cut.iter().map(|one| one.record.as_slice()).collect::<Vec<_>>(), [b"b"]);
        assert!(cut[0].seq > u64::from(u32::MAX));
        assert_eq!(store.producers().await.unwrap()[0].ended, Some(Ended::Interrupted));
    })
    .await;
}

#[tokio::test]
async fn a_period_waits_for_producers_that_have_not_passed_its_end() {
    on_both(async |store| {
        register(&store).await;
        let end = START.plus_millis(1_000);
        assert_eq!(store.producers_behind(end).await.unwrap().len(), 1);
        let alive = |seq, through| {
            batch(
                ProducerBatch {
                    alive_through: Some(through),
                    ..part(seq, seq + 1)
                },
                &[],
            )
        };
        store
            .commit_usage(&alive(0, START.plus_millis(999)), START)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(store.producers_behind(end).await.unwrap().len(), 1);
        store.commit_usage(&alive(1, end), START).await.unwrap().unwrap();
        assert!(store.producers_behind(end).await.unwrap().is_empty());
        assert!(store.producers_behind(START).await.unwrap().is_empty());
        let later = end.plus_millis(1);
        assert_eq!(store.producers_behind(later).await.unwrap().len(), 1);
        store
            .commit_usage(
                &batch(
                    ProducerBatch {
                        ended: Some(Ended::Orderly),
                        ..part(2, 2)
                    },
                    &[],
                ),
                START,
            )
            .await
            .unwrap()
            .unwrap();
        assert!(store.producers_behind(later).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn gaps_poison_and_conflicts_are_kept_once() {
    on_both(async |store| {
        register(&store).await;
        let gap = Gap {
            producer: PRODUCER,
            from_seq: 3,
            to_seq: None,
            kind: "power_loss".to_owned(),
            since: Some(START),
        };
        let poison = Poison {
            seq: 1,
            to_seq: None,
            reason: "malformed".to_owned(),
            raw: vec![9, 9],
        };
        let bad = ProducerBatch {
            gaps: vec![gap.clone(), gap.clone()],
            poison: vec![poison],
            ..part(0, 3)
        };
        store.commit_usage(&batch(bad, &[]), START).await.unwrap().unwrap();
        assert_eq!(store.gaps().await.unwrap(), [gap]);
        let quarantined = store.quarantined().await.unwrap();
        assert_eq!(
            (quarantined.len(), quarantined[0].seq, quarantined[0].reason.as_str()),
            (1, 1, "malformed")
        );
        for _ in 0..2 {
            store.note_conflict(PRODUCER, 1, ["aa", "bb"], START).await.unwrap();
        }
        assert_eq!(store.conflicts().await.unwrap(), 1);
    })
    .await;
}

async fn count_up_to_forty(store: Store) {
    loop {
        let next = store.producers().await.unwrap()[0].next_seq;
        if next >= 40 {
            return;
        }
        let used = [(key("requests", "upstream/2xx", 1), Quantity::from_units(1), 1)];
        store
            .commit_usage(&batch(part(next, next + 1), &used), START)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn concurrent_writers_of_one_producer_count_every_range_once() {
    on_both(async |store| {
        register(&store).await;
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let store = store.clone();
            tasks.push(tokio::spawn(count_up_to_forty(store)));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let period = store
            .period_totals(SubscriptionId::from_bits(3), START, Mode::Live)
            .await
            .unwrap();
        assert_eq!(period.totals[0].quantity, Quantity::from_units(40));
    })
    .await;
}
