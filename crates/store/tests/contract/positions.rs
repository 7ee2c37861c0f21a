use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::ProducerId;
use store::Store;
use store::ledger::{
    AnalyticsBatch, BucketKey, Claim, Gap, LedgerBatch, LogBatch, LogMove, LogSpan, Poison, ProducerBatch, ProducerRow,
    QUARANTINE, Requeued, Unattributed,
};
use store::testing::{START, on_both};

const PRODUCER: ProducerId = ProducerId(7);
const LOG: &str = "usage";

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
}

fn key() -> BucketKey {
    BucketKey {
        subscription: SubscriptionId::from_bits(3),
        period_start: START,
        segment: 0,
        plan_version: PlanVersionId::from_bits(4),
        meter: "requests".to_owned(),
        mode: Mode::Live,
        api: "a".to_owned(),
        operation: "op".to_owned(),
        outcome: "upstream/2xx".to_owned(),
        bucket: Timestamp::from_millis(START.as_millis().div_euclid(900_000) * 900_000),
    }
}

fn producer(from: u64, to: u64) -> ProducerBatch {
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

/// Records `seqs`, out of the messages `from..to` of partition 2.
fn batch(seqs: (u64, u64), offsets: (u64, u64), owner_epoch: i64) -> LedgerBatch {
    let units = seqs.1 - seqs.0;
    let span = LogSpan {
        part: 2,
        from: offsets.0,
        to: offsets.1,
    };
    LedgerBatch {
        totals: BTreeMap::from([(key(), (Quantity::from_units(units), units))]),
        producers: vec![producer(seqs.0, seqs.1)],
        log: Some(LogBatch {
            log: LOG.to_owned(),
            moves: vec![LogMove { span, owner_epoch }],
            parts: BTreeMap::from([(PRODUCER, 2)]),
            unattributed: Vec::new(),
        }),
    }
}

async fn counted(store: &Store) -> u64 {
    let totals = store
        .period_totals(SubscriptionId::from_bits(3), START, Mode::Live)
        .await
        .unwrap();
    totals.totals.iter().map(|total| total.requests).sum()
}

#[tokio::test]
async fn a_claim_takes_a_partition_from_whoever_had_it_and_keeps_its_position() {
    on_both(async |store| {
        register(&store).await;
        let first = store.claim_positions(LOG, &[2, 3], "a", START).await.unwrap();
        let seen: Vec<_> = first
            .iter()
            .map(|row| (row.part, row.next_offset, row.owner_epoch))
            .collect();
        assert_eq!(seen, [(2, 0, 1), (3, 0, 1)]);
        store
            .commit_usage(&batch((0, 10), (0, 4), 1), START)
            .await
            .unwrap()
            .unwrap();
        let second = store.claim_positions(LOG, &[2], "b", START).await.unwrap();
        assert_eq!(
            (second[0].next_offset, second[0].owner_epoch, second[0].owner.as_str()),
            (4, 2, "b")
        );
        let all = store.usage_positions(LOG).await.unwrap();
        assert_eq!(all.iter().map(|row| row.owner_epoch).collect::<Vec<_>>(), [2, 1]);
        assert!(store.usage_positions("other").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_lost_a_partition_counts_nothing_although_the_producers_stand_where_it_left_them() {
    on_both(async |store| {
        register(&store).await;
        store.claim_positions(LOG, &[2], "a", START).await.unwrap();
        store.claim_positions(LOG, &[2], "b", START).await.unwrap();
        // The new owner has counted nothing yet: position and producer are what the old one read.
        let late = batch((0, 10), (0, 4), 1);
        assert_eq!(store.commit_usage(&late, START).await.unwrap(), None);
        assert_eq!(counted(&store).await, 0);
        assert!(store.pending_analytics(10).await.unwrap().is_empty());
        // With the epoch that it lacks it would have counted.
        assert!(
            store
                .commit_usage(&batch((0, 10), (0, 4), 2), START)
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(counted(&store).await, 10);
    })
    .await;
}

#[tokio::test]
async fn a_position_that_moved_refuses_a_second_writer_of_the_same_epoch() {
    on_both(async |store| {
        register(&store).await;
        store.claim_positions(LOG, &[2], "a", START).await.unwrap();
        store
            .commit_usage(&batch((0, 10), (0, 4), 1), START)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            store.commit_usage(&batch((0, 10), (0, 4), 1), START).await.unwrap(),
            None
        );
        assert_eq!(counted(&store).await, 10);
        // The control: were positions not compared, the same records would be counted twice.
        let unprotected = LedgerBatch {
            producers: Vec::new(),
            log: None,
            ..batch((0, 10), (0, 4), 1)
        };
        store.commit_usage(&unprotected, START).await.unwrap().unwrap();
        assert_eq!(counted(&store).await, 20);
    })
    .await;
}

#[tokio::test]
async fn what_analytics_lacks_is_told_by_place() {
    on_both(async |store| {
        register(&store).await;
        store.claim_positions(LOG, &[2], "a", START).await.unwrap();
        let commit = store
            .commit_usage(&batch((0, 10), (0, 4), 1), START)
            .await
            .unwrap()
            .unwrap();
        let noted = AnalyticsBatch {
            ledger_commit: commit,
            producer: PRODUCER,
            first_seq: 0,
            next_seq: 10,
            span: Some(LogSpan {
                part: 2,
                from: 0,
                to: 4,
            }),
        };
        assert_eq!(store.pending_analytics_of(Some((LOG, 2)), 10).await.unwrap(), [noted]);
        for other in [None, Some((LOG, 3)), Some(("other", 2)), Some((QUARANTINE, 0))] {
            assert!(
                store.pending_analytics_of(other, 10).await.unwrap().is_empty(),
                "{other:?}"
            );
        }
        store.analytics_done(&[(noted, None)]).await.unwrap();
        assert!(store.pending_analytics_of(Some((LOG, 2)), 10).await.unwrap().is_empty());
        let embedded = LedgerBatch {
            producers: vec![producer(10, 12)],
            ..LedgerBatch::default()
        };
        store.commit_usage(&embedded, START).await.unwrap().unwrap();
        assert_eq!(store.pending_analytics_of(None, 10).await.unwrap().len(), 1);
    })
    .await;
}

fn requeued(held: (ProducerId, u64), closes_gap: bool) -> Requeued {
    Requeued {
        held,
        producer: PRODUCER,
        from: 3,
        to: 6,
        closes_gap,
        totals: BTreeMap::from([(key(), (Quantity::from_units(3), 3))]),
        closed: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_in_the_quarantine_is_admitted_once() {
    on_both(async |store| {
        register(&store).await;
        let poison = Poison {
            seq: 3,
            to_seq: Some(6),
            reason: "the checksum does not fit".to_owned(),
            raw: vec![1, 2, 3],
        };
        let bad = LedgerBatch {
            producers: vec![ProducerBatch {
                poison: vec![poison],
                ..producer(0, 6)
            }],
            ..LedgerBatch::default()
        };
        store.commit_usage(&bad, START).await.unwrap().unwrap();
        let held = store.held(None, 10).await.unwrap();
        assert_eq!(
            (held.len(), held[0].seq, held[0].to_seq, held[0].raw.as_slice()),
            (1, 3, Some(6), &[1, 2, 3][..])
        );
        assert_eq!(store.quarantined().await.unwrap()[0].to_seq, Some(6));
        let note = store
            .requeue(&requeued((PRODUCER, 3), false), START)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(counted(&store).await, 3);
        assert_eq!(
            store.requeue(&requeued((PRODUCER, 3), false), START).await.unwrap(),
            None
        );
        assert_eq!(counted(&store).await, 3, "admitted twice");
        assert!(store.held(None, 10).await.unwrap().is_empty() && store.quarantined().await.unwrap().is_empty());
        let pending = store.pending_analytics_of(Some((QUARANTINE, 0)), 10).await.unwrap();
        assert_eq!(
            (pending[0].ledger_commit, pending[0].first_seq, pending[0].next_seq),
            (note.ledger_commit, 3, 6)
        );
        assert_eq!(store.requeued_in(note.ledger_commit).await.unwrap()[0].raw, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_message_of_nobody_is_admitted_only_into_the_gap_that_it_left() {
    on_both(async |store| {
        register(&store).await;
        store.claim_positions(LOG, &[2], "a", START).await.unwrap();
        let mut lost = batch((0, 3), (0, 4), 1);
        lost.log.as_mut().unwrap().unattributed.push(Unattributed {
            part: 2,
            offset: 3,
            reason: "the key is no producer id".to_owned(),
            raw: vec![9],
        });
        store.commit_usage(&lost, START).await.unwrap().unwrap();
        let held = store.held(None, 10).await.unwrap();
        let row = (held[0].producer, held[0].seq);
        assert_eq!(row, (ProducerId(0), (2 << 40) | 3));
        // What follows has not come yet, so nobody knows that something is missing.
        assert_eq!(store.requeue(&requeued(row, true), START).await.unwrap(), None);
        let mut following = batch((3, 9), (4, 6), 1);
        following.totals.clear();
        following.producers[0].gaps.push(Gap {
            producer: PRODUCER,
            from_seq: 3,
            to_seq: Some(6),
            kind: "missing".to_owned(),
            since: None,
        });
        store.commit_usage(&following, START).await.unwrap().unwrap();
        assert!(store.requeue(&requeued(row, true), START).await.unwrap().is_some());
        assert_eq!(counted(&store).await, 6);
        assert!(store.gaps().await.unwrap().is_empty(), "the gap is closed");
    })
    .await;
}
