use domain::ids::{PlanVersionId, SubscriptionId};
use domain::subscription::{Origin, SubscriptionStatus as Status};
use store::testing::{START, on_both};
use store::{Error, NewSubscription, Page, PendingChange, QuotaAlert, Scope, Store, SubscriptionFilter, args};

use crate::fixture::{BETTER, PLAN, PRODUCT, VERSION, a_plan, account, at, change, consumer, two_accounts};

const ONE: SubscriptionId = SubscriptionId::from_bits(1);

fn new(n: u128, owner: u128) -> NewSubscription {
    NewSubscription {
        id: SubscriptionId::from_bits(n),
        consumer_id: consumer(owner),
        product_id: PRODUCT,
        plan_id: PLAN,
        plan_version_id: VERSION,
        status: Status::PendingPayment,
        zone: "America/New_York".to_owned(),
        every: "month".to_owned(),
        origin: Origin::Portal,
    }
}

fn to_better(seconds: i64) -> PendingChange {
    PendingChange {
        plan_id: PLAN,
        plan_version_id: BETTER,
        at: at(seconds),
    }
}

async fn active(store: &Store) {
    two_accounts(store).await;
    a_plan(store).await;
    let mut tx = change(store).await;
    tx.create_subscription(&new(1, 1)).await.unwrap();
    tx.activate_subscription(ONE, Status::Active, "2026-01-01T00:00:00", at(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn one_consumer_has_one_live_subscription_of_a_product() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        let error = tx.create_subscription(&new(2, 1)).await.unwrap_err();
        assert_eq!(error.conflict(), Some("subscriptions(consumer_id,product_id)"));
        tx.rollback().await.unwrap();
        let mut tx = change(&store).await;
        tx.create_subscription(&new(3, 2)).await.unwrap();
        tx.end_subscription(ONE, Status::Cancelled, Some("bye"), at(9))
            .await
            .unwrap();
        tx.create_subscription(&new(2, 1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.live_subscriptions(&Page::bulk()).await.unwrap().len(), 2);
        let ended = store.subscription(Scope::All, ONE).await.unwrap().unwrap();
        assert_eq!(
            (ended.status, ended.ended_at, ended.status_reason.as_deref()),
            (Status::Cancelled, Some(at(9)), Some("bye"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_change_of_plan_closes_a_segment_and_opens_the_next() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        let changed = tx.change_plan(ONE, to_better(50)).await.unwrap();
        assert_eq!(changed.plan_version_id, BETTER);
        let back = PendingChange {
            plan_id: PLAN,
            plan_version_id: VERSION,
            at: at(40),
        };
        assert!(
            matches!(tx.change_plan(ONE, back).await, Err(Error::State(_))),
            "it would end before it begins"
        );
        tx.end_subscription(ONE, Status::Cancelled, None, at(90)).await.unwrap();
        assert_eq!(tx.segments(ONE).await.unwrap().len(), 2);
        tx.commit().await.unwrap();
        let segments = store.segments(Scope::All, ONE).await.unwrap();
        let seen: Vec<_> = segments
            .iter()
            .map(|segment| (segment.n, segment.plan_version_id, segment.from, segment.to))
            .collect();
        assert_eq!(
            seen,
            [(1, VERSION, at(0), Some(at(50))), (2, BETTER, at(50), Some(at(90)))]
        );
        assert_eq!(store.segments(Scope::Account(account(2)), ONE).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_segment_is_closed_once_and_never_changes_otherwise() {
    on_both(async |store| {
        active(&store).await;
        let refused = |statement: &'static str| {
            let store = store.clone();
            async move {
                let error = store.control.execute(statement, args![]).await.unwrap_err();
                assert!(
                    matches!(&error, Error::Immutable { reason, .. } if reason == "sub_segments is append-only"),
                    "{statement}: {error:?}"
                );
            }
        };
        refused("UPDATE sub_segments SET from_at = 0").await;
        refused("UPDATE sub_segments SET from_at = 0, to_at = 5").await;
        refused("DELETE FROM sub_segments").await;
        store
            .control
            .execute("UPDATE sub_segments SET to_at = from_at + 1", args![])
            .await
            .unwrap();
        refused("UPDATE sub_segments SET to_at = from_at + 2").await;
        refused("UPDATE sub_segments SET to_at = NULL").await;
        let second = "INSERT INTO sub_segments (subscription_id, n, plan_version_id, from_at) VALUES ($1, $2, $3, 0)";
        store.control.execute(second, args![ONE, 2, BETTER]).await.unwrap();
        let error = store.control.execute(second, args![ONE, 3, BETTER]).await.unwrap_err();
        assert_eq!(
            error.conflict(),
            Some("sub_segments(subscription_id)"),
            "only one segment is open"
        );
    })
    .await;
}

#[tokio::test]
async fn a_subscription_is_activated_once_and_moves_only_from_the_expected_state() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        let again = tx
            .activate_subscription(ONE, Status::Active, "2026-02-01T00:00:00", at(5))
            .await;
        assert!(matches!(again, Err(Error::State(_))));
        let paused = tx
            .set_subscription_status(ONE, Status::Active, Status::Paused, Some("holiday"))
            .await
            .unwrap();
        assert_eq!(
            (paused.status, paused.status_reason.as_deref()),
            (Status::Paused, Some("holiday"))
        );
        let stale = tx
            .set_subscription_status(ONE, Status::Active, Status::PastDue, None)
            .await
            .unwrap_err();
        assert_eq!(stale.to_string(), "the subscription is paused, no longer active");
        let ending = tx
            .set_subscription_status(ONE, Status::Paused, Status::Cancelled, None)
            .await;
        assert!(matches!(ending, Err(Error::State(_))), "ending has a method of its own");
        assert!(matches!(
            tx.end_subscription(ONE, Status::Active, None, at(5)).await,
            Err(Error::State(_))
        ));
        assert_eq!(tx.set_grace(ONE, Some(at(70))).await.unwrap().grace_until, Some(at(70)));
        tx.end_subscription(ONE, Status::Cancelled, None, at(80)).await.unwrap();
        assert!(matches!(
            tx.end_subscription(ONE, Status::Cancelled, None, at(80)).await,
            Err(Error::State(_))
        ));
        assert!(matches!(tx.schedule_cancel(ONE, None).await, Err(Error::State(_))));
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_scheduled_becomes_due_and_can_be_taken_back() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        tx.create_subscription(&new(2, 2)).await.unwrap();
        assert_eq!(
            tx.change_plan(SubscriptionId::from_bits(2), to_better(1))
                .await
                .unwrap()
                .plan_version_id,
            BETTER
        );
        assert_eq!(
            tx.segments(SubscriptionId::from_bits(2)).await.unwrap(),
            [],
            "before activation there is no timeline"
        );
        tx.schedule_cancel(SubscriptionId::from_bits(2), Some(at(20)))
            .await
            .unwrap();
        assert_eq!(
            tx.schedule_change(ONE, Some(to_better(10)))
                .await
                .unwrap()
                .pending_change,
            Some(to_better(10))
        );
        tx.commit().await.unwrap();
        let due = async |seconds| store.due_subscriptions(at(seconds), 10).await.unwrap().len();
        assert_eq!((due(9).await, due(10).await, due(20).await), (0, 1, 2));
        let mut tx = change(&store).await;
        assert_eq!(
            tx.schedule_cancel(SubscriptionId::from_bits(2), None)
                .await
                .unwrap()
                .cancel_at,
            None
        );
        assert_eq!(tx.schedule_change(ONE, None).await.unwrap().pending_change, None);
        tx.schedule_change(ONE, Some(to_better(10))).await.unwrap();
        assert_eq!(
            tx.change_plan(ONE, to_better(10)).await.unwrap().pending_change,
            None,
            "a change replaces the one that waited"
        );
        tx.commit().await.unwrap();
        assert_eq!(due(99).await, 0);
    })
    .await;
}

#[tokio::test]
async fn subscriptions_are_listed_by_filter_page_and_scope() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        tx.create_subscription(&new(2, 2)).await.unwrap();
        assert_eq!(
            tx.subscriptions(&SubscriptionFilter::default(), &Page::default())
                .await
                .unwrap()
                .len(),
            2
        );
        tx.commit().await.unwrap();
        let ids = async |scope, filter: SubscriptionFilter, page: Page| {
            store
                .subscriptions(scope, &filter, &page)
                .await
                .unwrap()
                .into_iter()
                .map(|one| one.id.bits())
                .collect::<Vec<_>>()
        };
        let any = SubscriptionFilter::default();
        assert_eq!(ids(Scope::All, any, Page::first(1)).await, [1]);
        assert_eq!(ids(Scope::All, any, Page::first(1).continued(ONE)).await, [2]);
        assert_eq!(ids(Scope::Account(account(2)), any, Page::default()).await, [2]);
        let foreign = SubscriptionFilter {
            account: Some(account(1)),
            ..any
        };
        assert!(
            ids(Scope::Account(account(2)), foreign, Page::default())
                .await
                .is_empty()
        );
        assert_eq!(
            ids(
                Scope::All,
                SubscriptionFilter {
                    status: Some(Status::PendingPayment),
                    ..any
                },
                Page::default()
            )
            .await,
            [2]
        );
        assert_eq!(
            ids(
                Scope::All,
                SubscriptionFilter {
                    consumer: Some(consumer(1)),
                    ..any
                },
                Page::default()
            )
            .await,
            [1]
        );
        let both = SubscriptionFilter {
            product: Some(PRODUCT),
            plan: Some(PLAN),
            ..any
        };
        assert_eq!(ids(Scope::All, both, Page::default()).await, [1, 2]);
        assert_eq!(store.subscription(Scope::Account(account(2)), ONE).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn foreign_subscriptions_do_not_exist_for_a_bounded_caller() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await.within(Scope::Account(account(2)));
        let missing = |result: store::Result<store::Subscription>| {
            assert!(matches!(result, Err(Error::Missing(_))), "{result:?}");
        };
        missing(tx.create_subscription(&new(5, 1)).await);
        missing(tx.activate_subscription(ONE, Status::Active, "x", START).await);
        missing(
            tx.set_subscription_status(ONE, Status::Active, Status::Paused, None)
                .await,
        );
        missing(tx.set_grace(ONE, None).await);
        missing(tx.end_subscription(ONE, Status::Cancelled, None, START).await);
        missing(tx.schedule_cancel(ONE, None).await);
        missing(tx.schedule_change(ONE, None).await);
        missing(tx.change_plan(ONE, to_better(1)).await);
        assert_eq!(tx.segments(ONE).await.unwrap(), []);
        assert_eq!(tx.commit().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_account_with_live_subscriptions_keeps_its_consumer() {
    on_both(async |store| {
        active(&store).await;
        let mut tx = change(&store).await;
        assert!(matches!(tx.delete_consumer(consumer(1)).await, Err(Error::State(_))));
        tx.rollback().await.unwrap();
        assert_eq!(
            store.plan_versions_in_use().await.unwrap().len(),
            2,
            "an old version with a subscriber is in use"
        );
        let unknown = NewSubscription {
            plan_version_id: PlanVersionId::from_bits(77),
            ..new(9, 2)
        };
        let mut tx = change(&store).await;
        assert!(matches!(
            tx.create_subscription(&unknown).await,
            Err(Error::Reference(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn an_alert_of_a_quota_is_sent_once_for_each_threshold_and_period() {
    on_both(async |store| {
        active(&store).await;
        let alert = QuotaAlert {
            subscription: ONE,
            meter: "requests".to_owned(),
            threshold: 8_000,
            period_start: at(0),
        };
        let others = [
            QuotaAlert {
                threshold: 9_500,
                ..alert.clone()
            },
            QuotaAlert {
                period_start: at(9),
                ..alert.clone()
            },
            QuotaAlert {
                meter: "tokens".to_owned(),
                ..alert.clone()
            },
        ];
        for alert in others.iter().chain([&alert]) {
            assert!(store.claim_quota_alert(alert, at(1)).await.unwrap(), "{alert:?}");
            assert!(!store.claim_quota_alert(alert, at(2)).await.unwrap(), "{alert:?}");
        }
    })
    .await;
}
