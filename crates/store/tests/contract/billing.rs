//! The methods of billing that are not documents: runs, late usage, transitions, past traffic. Documents are tested
//! where they are made.

use domain::clock::Timestamp;
use domain::ids::{RunId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::subscription::{Origin, SubscriptionStatus};
use store::billing::{NewBillingRun, RunScope};
use store::ledger::{BucketKey, LedgerBatch};
use store::testing::on_both;
use store::{NewSubscription, PendingChange, Scope, Store, args};

use crate::fixture::{BETTER, PLAN, PRODUCT, VERSION, a_plan, account, at, change, consumer, two_accounts};

const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bits(900);

async fn subscribed(store: &Store) {
    two_accounts(store).await;
    a_plan(store).await;
    let mut tx = change(store).await;
    let new = NewSubscription {
        id: SUBSCRIPTION,
        consumer_id: consumer(1),
        product_id: PRODUCT,
        plan_id: PLAN,
        plan_version_id: VERSION,
        status: SubscriptionStatus::PendingApproval,
        zone: "UTC".to_owned(),
        every: "month".to_owned(),
        origin: Origin::Api,
    };
    tx.create_subscription(&new).await.unwrap();
    tx.activate_subscription(SUBSCRIPTION, SubscriptionStatus::Active, "2026-01-01T00:00:00", at(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn usage(quantity: u64, mode: Mode) -> LedgerBatch {
    let key = BucketKey {
        subscription: SUBSCRIPTION,
        period_start: at(0),
        segment: 0,
        plan_version: VERSION,
        meter: "requests".to_owned(),
        mode,
        api: "petstore".to_owned(),
        operation: "getPet".to_owned(),
        outcome: "upstream/2xx".to_owned(),
        bucket: at(900),
    };
    let mut batch = LedgerBatch::default();
    batch.totals.insert(key, (Quantity::from_units(quantity), quantity));
    batch
}

#[tokio::test]
async fn a_run_is_claimed_once_until_its_lease_ends() {
    on_both(async |store| {
        let new = |n, account| NewBillingRun {
            id: RunId::from_bits(n),
            scope: RunScope::Interim,
            account,
            finalize: false,
            own_until: None,
        };
        store
            .enqueue_billing_run(&new(1, Some(account(1))), at(0))
            .await
            .unwrap();
        store.enqueue_billing_run(&new(2, None), at(1)).await.unwrap();
        let mut first = store.claim_billing_run(at(60), at(2)).await.unwrap().unwrap();
        assert_eq!(
            (first.id, first.account, first.finalize),
            (RunId::from_bits(1), Some(account(1)), false)
        );
        let second = store.claim_billing_run(at(60), at(2)).await.unwrap().unwrap();
        assert_eq!((second.id, second.scope), (RunId::from_bits(2), RunScope::Interim));
        assert!(store.claim_billing_run(at(60), at(2)).await.unwrap().is_none());
        assert!(!store.billing_run_waits(at(2)).await.unwrap());
        (first.total, first.done) = (3, 2);
        store.billing_run_progress(&first, at(120)).await.unwrap();
        assert!(
            store.billing_run_waits(at(61)).await.unwrap(),
            "the second one's worker is gone"
        );
        assert_eq!(
            store.claim_billing_run(at(200), at(61)).await.unwrap().unwrap().id,
            second.id
        );
        first.done = 3;
        store.finish_billing_run(&first, at(70)).await.unwrap();
        store.billing_run_progress(&second, at(500)).await.unwrap();
        let seen = store.billing_run(first.id).await.unwrap().unwrap();
        assert_eq!(
            (seen.state.as_str(), seen.done, seen.total, seen.finished_at),
            ("done", 3, 3, Some(at(70)))
        );
        assert!(store.billing_run(RunId::from_bits(9)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn usage_is_late_only_in_periods_that_were_rated() {
    on_both(async |store| {
        subscribed(&store).await;
        let late = async || -> Vec<(i64, i64)> {
            let sql = "SELECT units, requests FROM late_usage ORDER BY id";
            let rows = store.ledger.rows(sql, args![]).await.unwrap();
            rows.iter()
                .map(|row| (row.get("units").unwrap(), row.get("requests").unwrap()))
                .collect()
        };
        store.commit_usage(&usage(5, Mode::Live), at(1_000)).await.unwrap();
        assert_eq!(late().await, []);
        let sql = "INSERT INTO rated_period (subscription, period_start, period_end) VALUES ($1, $2, $3)";
        store
            .ledger
            .execute(sql, args![SUBSCRIPTION, at(0), at(9_000)])
            .await
            .unwrap();
        store.commit_usage(&usage(3, Mode::Live), at(1_000)).await.unwrap();
        store.commit_usage(&usage(7, Mode::Test), at(1_000)).await.unwrap();
        let mut other = usage(2, Mode::Live);
        other.totals = other
            .totals
            .into_iter()
            .map(|(mut key, total)| {
                key.bucket = at(1_800);
                (key, total)
            })
            .collect();
        store.commit_usage(&other, at(1_000)).await.unwrap();
        assert_eq!(late().await, [(3, 3), (2, 2)]);
        let past = store.past_use(at(900), at(1_800)).await.unwrap();
        assert_eq!(
            past.iter().map(|part| part.quantity).collect::<Vec<_>>(),
            [Quantity::from_units(8)]
        );
        let own = past.first().map(|part| part.subscription).unwrap();
        assert_eq!(store.past_use_of(own, at(900), at(1_800)).await.unwrap(), past);
        let first = store.first_uses(at(0)).await.unwrap();
        assert!(first.iter().any(|(id, _)| *id == own), "{first:?}");
        assert_eq!(store.written_off().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn transitions_are_carried_out_exactly_at_their_instants() {
    on_both(async |store| {
        subscribed(&store).await;
        let mut tx = change(&store).await;
        let pending = PendingChange {
            plan_id: PLAN,
            plan_version_id: BETTER,
            at: at(1_000),
        };
        tx.schedule_change(SUBSCRIPTION, Some(pending)).await.unwrap();
        tx.schedule_cancel(SUBSCRIPTION, Some(at(2_000))).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.carry_out_transitions(at(999)).await.unwrap(), 0);
        assert_eq!(store.carry_out_transitions(at(5_000)).await.unwrap(), 1);
        assert_eq!(store.carry_out_transitions(at(5_000)).await.unwrap(), 0);
        let segments = store.segments(Scope::All, SUBSCRIPTION).await.unwrap();
        let ends: Vec<(Timestamp, Option<Timestamp>)> =
            segments.iter().map(|segment| (segment.from, segment.to)).collect();
        assert_eq!(ends, [(at(0), Some(at(1_000))), (at(1_000), Some(at(2_000)))]);
        let ended = store.subscription(Scope::All, SUBSCRIPTION).await.unwrap().unwrap();
        assert_eq!(
            (ended.status, ended.ended_at),
            (SubscriptionStatus::Cancelled, Some(at(2_000)))
        );
        assert_eq!(store.owing_accounts(None, 10).await.unwrap(), [account(1)]);
        assert!(store.owing_accounts(Some(account(1)), 10).await.unwrap().is_empty());
        assert!(
            store
                .subscription_ids(account(1))
                .await
                .unwrap()
                .contains(&SUBSCRIPTION)
        );
        assert!(store.account_bill(account(9)).await.unwrap().is_none());
        assert_eq!(store.typed_settings().await.unwrap().billing.number_prefix, "INV-");
    })
    .await;
}
