//! What every analytics engine must do, run on each.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use analytics::testing::on_both;
use analytics::{
    Analytics, Batch, Dimension, Embedded, EventFilter, Evidence, Interval, RecentFilter, UsageQuery, UsageRow,
};
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, MeterValue, Outcome, ProducerId, RejectionCount, RejectionSample, Source, Steps};

const DAY: i64 = 86_400_000;
const START: i64 = 20_000 * DAY;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of a policy")]
fn billable(outcome: &Outcome) -> bool {
    outcome.source == Source::Upstream && outcome.status < 500
}

fn fact(id: u64, at: i64, status: u16) -> Fact {
    Fact {
        request_id: format!("r-{id}"),
        admitted_at: Timestamp::from_millis(at),
        account: Some(AccountId::from_bits(1)),
        consumer: Some(ConsumerId::from_bits(u128::from(id % 2))),
        credential: None,
        subscription: Some(SubscriptionId::from_bits(3)),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(START)),
        segment: 0,
        product: "p".to_owned(),
        plan: "pro".to_owned(),
        api: "a".to_owned(),
        operation: format!("op{}", id % 3),
        method: "GET".to_owned(),
        path: "/a".to_owned(),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 1,
        bytes_out: 10,
        latency_us: 1_000 + id,
        steps: Steps::default(),
        quantities: vec![MeterValue {
            meter: "tokens".to_owned(),
            quantity: Quantity::from_nanos(i128::from(id) * 500_000_000),
            missing: false,
        }],
        limits: Vec::new(),
        revision: 1,
    }
}

fn batch(commit: u64, first_seq: u64, facts: Vec<Fact>) -> Batch {
    Batch {
        ledger_commit: commit,
        producer: ProducerId(7),
        first_seq,
        next_seq: first_seq + facts.len() as u64,
        facts: (first_seq..).zip(facts).collect(),
        rejections: Vec::new(),
        samples: Vec::new(),
    }
}

fn query(from: i64, to: i64, interval: Interval) -> UsageQuery {
    UsageQuery {
        from: Timestamp::from_millis(from),
        to: Timestamp::from_millis(to),
        interval,
        group_by: Vec::new(),
        filter: BTreeMap::new(),
        mode: Mode::Live,
        meter: "requests".to_owned(),
    }
}

/// Facts spread over three days, at odd milliseconds, a fifth of them 503.
fn spread() -> Vec<Fact> {
    (0..600_u64)
        .map(|id| {
            let at = START + i64::try_from(id).unwrap() * (3 * DAY / 600) + 1;
            fact(id, at, if id % 5 == 0 { 503 } else { 200 })
        })
        .collect()
}

fn sums(rows: &[UsageRow]) -> (u64, u64, Quantity, u64) {
    (
        rows.iter().map(|row| row.requests).sum(),
        rows.iter().map(|row| row.errors).sum(),
        rows.iter().map(|row| row.billable).sum(),
        rows.iter().map(|row| row.latency.count()).sum(),
    )
}

#[tokio::test]
async fn a_replayed_batch_adds_nothing() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let batches = [batch(1, 0, spread())];
        analytics.insert(&batches).await.unwrap();
        let once = analytics
            .usage(&query(START, START + 3 * DAY, Interval::Day), &billable)
            .await
            .unwrap();
        analytics.insert(&batches).await.unwrap();
        let twice = analytics
            .usage(&query(START, START + 3 * DAY, Interval::Day), &billable)
            .await
            .unwrap();
        assert_eq!(once, twice);
        assert_eq!(sums(&once), (600, 120, Quantity::from_units(480), 600));
        assert_eq!(once.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn every_range_is_exact_to_the_millisecond_at_every_interval() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let facts = spread();
        analytics.insert(&[batch(1, 0, facts.clone())]).await.unwrap();
        for (from, to) in [
            (0, DAY),
            (1, DAY + 1),
            (2, 2 * DAY + 17),
            (DAY / 2 + 333, 2 * DAY + 59_999),
            (1, 2),
            (500, 500),
        ] {
            let (from, to) = (START + from, START + to);
            let inside = facts
                .iter()
                .filter(|fact| (from..to).contains(&fact.admitted_at.as_millis()));
            let expected = inside.clone().count() as u64;
            let billed = inside.filter(|fact| fact.outcome.status == 200).count() as u64;
            for interval in [
                Interval::Minute,
                Interval::Hour,
                Interval::Day,
                Interval::Month,
                Interval::Whole,
            ] {
                let rows = analytics.usage(&query(from, to, interval), &billable).await.unwrap();
                let (requests, _, billable, latencies) = sums(&rows);
                assert_eq!(
                    (requests, billable, latencies),
                    (expected, Quantity::from_units(billed), expected),
                    "{interval:?}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn groups_filters_and_meters_add_up_to_the_whole() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let facts = spread();
        analytics.insert(&[batch(1, 0, facts.clone())]).await.unwrap();
        let mut by_operation = query(START, START + 3 * DAY, Interval::Whole);
        by_operation.group_by = vec![Dimension::Operation, Dimension::Status];
        by_operation.meter = "tokens".to_owned();
        let rows = analytics.usage(&by_operation, &billable).await.unwrap();
        assert_eq!(rows.len(), 6);
        let all: Quantity = facts.iter().map(|fact| fact.quantities[0].quantity).sum();
        assert_eq!(rows.iter().map(|row| row.quantity).sum::<Quantity>(), all);
        for row in &rows {
            let is_error = row.group[1].as_deref() == Some("503");
            assert_eq!(row.errors, if is_error { row.requests } else { 0 });
            assert_eq!(row.billable, if is_error { Quantity::ZERO } else { row.quantity });
        }
        let mut one = query(START + 5, START + 2 * DAY + 7, Interval::Whole);
        one.filter
            .insert(Dimension::Consumer, ConsumerId::from_bits(1).to_string());
        one.filter.insert(Dimension::Status, "200".to_owned());
        let rows = analytics.usage(&one, &billable).await.unwrap();
        let expected = facts
            .iter()
            .filter(|fact| (START + 5..START + 2 * DAY + 7).contains(&fact.admitted_at.as_millis()))
            .filter(|fact| fact.consumer == Some(ConsumerId::from_bits(1)) && fact.outcome.status == 200)
            .count();
        assert_eq!(rows[0].requests, expected as u64);
    })
    .await;
}

#[tokio::test]
async fn percentiles_of_two_days_come_from_one_summed_histogram() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let latency = |id: u64| if id.is_multiple_of(20) { 500_000 } else { 10_000 };
        let facts = (0..100_u64).map(|id| {
            let mut fact = fact(id, START + i64::try_from(id).unwrap() * (2 * DAY / 100), 200);
            fact.latency_us = latency(id);
            fact
        });
        analytics.insert(&[batch(1, 0, facts.collect())]).await.unwrap();
        let rows = analytics
            .usage(&query(START, START + 2 * DAY, Interval::Whole), &billable)
            .await
            .unwrap();
        let (p50, p99) = (
            rows[0].latency.quantile(500).unwrap(),
            rows[0].latency.quantile(990).unwrap(),
        );
        assert!(p50.abs_diff(10_000) <= 200, "{p50}");
        assert!(p99.abs_diff(500_000) <= 10_000, "{p99}");
    })
    .await;
}

#[tokio::test]
async fn test_traffic_never_shows_among_live_traffic() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let mut test = fact(1, START, 200);
        test.mode = Mode::Test;
        analytics
            .insert(&[batch(1, 0, vec![test, fact(2, START, 200)])])
            .await
            .unwrap();
        let mut question = query(START, START + DAY, Interval::Whole);
        assert_eq!(analytics.usage(&question, &billable).await.unwrap()[0].requests, 1);
        question.mode = Mode::Test;
        assert_eq!(analytics.usage(&question, &billable).await.unwrap()[0].requests, 1);
    })
    .await;
}

#[tokio::test]
async fn rejections_are_counted_apart_and_found_by_their_request_id() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let of = RejectionCount {
            reason: "rate-limited".to_owned(),
            api: "a".to_owned(),
            operation: "op1".to_owned(),
            subscription: Some(SubscriptionId::from_bits(3)),
            consumer: Some(ConsumerId::from_bits(1)),
            account: Some(AccountId::from_bits(1)),
            mode: Mode::Live,
            minute: Timestamp::from_millis(START),
            count: 7,
        };
        let sample = RejectionSample {
            request_id: "refused".to_owned(),
            at: Timestamp::from_millis(START + 5),
            status: 429,
            of: RejectionCount { count: 1, ..of.clone() },
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            revision: 1,
        };
        let mut refused = batch(1, 0, vec![fact(1, START, 200)]);
        refused.rejections = vec![(1, vec![of])];
        refused.samples = vec![(2, vec![sample.clone()])];
        refused.next_seq = 3;
        analytics.insert(std::slice::from_ref(&refused)).await.unwrap();
        // They come again with other bounds, as after a restore of an older ledger.
        let again = Batch {
            ledger_commit: 2,
            first_seq: 1,
            next_seq: 5,
            facts: vec![(4, fact(2, START, 200))],
            ..refused
        };
        analytics.insert(&[again]).await.unwrap();
        let mut question = query(START, START + 60_000, Interval::Minute);
        question.group_by = vec![Dimension::Operation];
        let rows = analytics.usage(&question, &billable).await.unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.requests, row.rejected)).collect::<Vec<_>>(),
            [(1, 7), (1, 0)]
        );
        assert_eq!(analytics.rejected_request("refused").await.unwrap()[0].sample, sample);
        let range = |from, to| (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let own = ConsumerId::from_bits(1);
        let recent = analytics
            .recent_rejections(own, range(START, START + 6), 5)
            .await
            .unwrap();
        assert_eq!(recent[0].sample, sample);
        assert!(
            analytics
                .recent_rejections(own, range(START, START + 5), 5)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn records_that_are_in_are_passed_over_in_whatever_batch_they_come() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let facts = spread();
        let whole = query(START, START + 3 * DAY, Interval::Whole);
        let first = [
            batch(5, 0, facts[..200].to_vec()),
            batch(6, 200, facts[200..350].to_vec()),
        ];
        analytics.insert(&first).await.unwrap();
        // The ledger went back to record 100: one batch with a commit and a start of old, one that reaches beyond.
        let again = [
            batch(5, 100, facts[100..250].to_vec()),
            batch(6, 250, facts[250..].to_vec()),
        ];
        analytics.insert(&again).await.unwrap();
        let counted = analytics.usage(&whole, &billable).await.unwrap();
        let control = engines.make().await;
        control.insert(&[batch(5, 0, facts.clone())]).await.unwrap();
        assert_eq!(counted, control.usage(&whole, &billable).await.unwrap());
        // The commits are those of the ledger that holds now.
        let of = async |seq| analytics.fact(ProducerId(7), seq).await.unwrap().unwrap().ledger_commit;
        assert_eq!(
            [of(0).await, of(99).await, of(100).await, of(249).await, of(250).await],
            [5, 5, 5, 5, 6]
        );
    })
    .await;
}

#[tokio::test]
async fn pages_of_events_hold_every_fact_once() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        analytics.insert(&[batch(1, 0, spread())]).await.unwrap();
        let filter = EventFilter {
            from: Timestamp::from_millis(START),
            to: Timestamp::from_millis(START + 3 * DAY),
            account: None,
            consumer: Some(ConsumerId::from_bits(0)),
            subscription: None,
            mode: Mode::Live,
        };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = analytics.events(&filter, after, 37).await.unwrap();
            assert!(page.items.len() <= 37);
            seen.extend(page.items.into_iter().map(|stored| stored.fact.request_id));
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen.len(), 300);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 300);
    })
    .await;
}

#[tokio::test]
async fn the_last_requests_of_several_consumers_come_newest_first_and_each_once() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let facts = spread();
        analytics.insert(&[batch(1, 0, facts.clone())]).await.unwrap();
        let mut filter = RecentFilter {
            consumers: vec![ConsumerId::from_bits(0), ConsumerId::from_bits(1)],
            from: Timestamp::from_millis(START),
            to: Timestamp::from_millis(START + 3 * DAY),
            mode: Mode::Live,
            status: None,
            path: None,
        };
        let wanted = |of: &dyn Fn(&Fact) -> bool| facts.iter().filter(|fact| of(fact)).count();
        for (status, path) in [(None, None), (Some((500, 599)), None), (None, Some("/"))] {
            filter.status = status;
            filter.path = path.map(str::to_owned);
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page = analytics.recent(&filter, before, 41).await.unwrap();
                assert!(page.items.len() <= 41);
                seen.extend(
                    page.items
                        .into_iter()
                        .map(|stored| (stored.fact.admitted_at, stored.fact.request_id)),
                );
                let Some(next) = page.next else { break };
                before = Some(next);
            }
            assert!(seen.is_sorted_by(|a, b| a.0 >= b.0));
            let of = |fact: &Fact| {
                let own = fact.consumer.is_some_and(|id| filter.consumers.contains(&id));
                own && status.is_none_or(|(least, most)| (least..=most).contains(&fact.outcome.status))
            };
            assert_eq!(seen.len(), wanted(&of));
            seen.dedup();
            assert_eq!(seen.len(), wanted(&of));
        }
        filter.path = Some("nowhere".to_owned());
        assert!(analytics.recent(&filter, None, 41).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_charge_opens_into_the_billed_requests_of_its_commits() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        let facts = spread();
        analytics
            .insert(&[batch(1, 0, facts[..400].to_vec()), batch(2, 400, facts[400..].to_vec())])
            .await
            .unwrap();
        let evidence = |after_commit, through_commit| Evidence {
            subscription: SubscriptionId::from_bits(3),
            period_start: Timestamp::from_millis(START),
            segment: Some(0),
            meter: "requests".to_owned(),
            after_commit,
            through_commit,
        };
        let mut counts = Vec::new();
        for evidence in [evidence(0, 1), evidence(1, 2), evidence(0, 2)] {
            let (mut count, mut after) = (0, None);
            loop {
                let page = analytics.evidence(&evidence, &billable, after, 50).await.unwrap();
                assert!(page.items.iter().all(|stored| stored.fact.outcome.status == 200));
                count += page.items.len();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            counts.push(count);
        }
        assert_eq!(counts, [320, 160, 480]);
    })
    .await;
}

#[tokio::test]
async fn purging_takes_old_facts_and_keeps_days() {
    on_both(async |engines| {
        let analytics = engines.make().await;
        analytics.insert(&[batch(1, 0, spread())]).await.unwrap();
        analytics.purge(Timestamp::from_millis(START + DAY)).await.unwrap();
        let rows = analytics
            .usage(&query(START, START + 3 * DAY, Interval::Day), &billable)
            .await
            .unwrap();
        assert_eq!(sums(&rows).0, 600);
        assert!(analytics.request("r-1").await.unwrap().is_empty());
        assert_eq!(analytics.request("r-599").await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_copy_answers_as_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let original = Embedded::open(&dir.path().join("analytics.db")).await.unwrap();
    let analytics = Analytics::from(original.clone());
    analytics.insert(&[batch(1, 0, spread())]).await.unwrap();
    let path = dir.path().join("copy.db");
    original.copy_to(&path).await.unwrap();
    let copy = Analytics::embedded(&path).await.unwrap();
    let question = query(START, START + 3 * DAY, Interval::Hour);
    assert_eq!(
        copy.usage(&question, &billable).await.unwrap(),
        analytics.usage(&question, &billable).await.unwrap()
    );
}
