use domain::ids::SubscriptionId;
use domain::subscription::{Origin, SubscriptionStatus as Status};
use store::testing::on_both;
use store::{Error, NewSubscription, Scope};

use crate::fixture::{PLAN, PRODUCT, VERSION, a_plan, account, at, change, consumer, two_accounts};

fn new(n: u128, owner: u128) -> NewSubscription {
    NewSubscription {
        id: SubscriptionId::from_bits(n),
        consumer_id: consumer(owner),
        product_id: PRODUCT,
        plan_id: PLAN,
        plan_version_id: VERSION,
        status: Status::PendingApproval,
        zone: "UTC".to_owned(),
        every: "month".to_owned(),
        origin: Origin::Api,
    }
}

#[tokio::test]
async fn live_subscriptions_are_counted_by_plan() {
    on_both(async |store| {
        two_accounts(&store).await;
        a_plan(&store).await;
        let mut tx = change(&store).await;
        assert_eq!(tx.plan_subscribers().await.unwrap(), []);
        tx.create_subscription(&new(1, 1)).await.unwrap();
        tx.create_subscription(&new(2, 2)).await.unwrap();
        assert_eq!(tx.plan_subscribers().await.unwrap(), [(PLAN, 2)]);
        tx.end_subscription(SubscriptionId::from_bits(2), Status::Rejected, None, at(1))
            .await
            .unwrap();
        assert_eq!(tx.plan_subscribers().await.unwrap(), [(PLAN, 1)]);
        let in_use = tx.plan_versions_in_use().await.unwrap();
        assert!(in_use.iter().any(|version| version.id == VERSION));
    })
    .await;
}

#[tokio::test]
async fn the_wish_for_an_anchor_is_kept_until_activation() {
    on_both(async |store| {
        two_accounts(&store).await;
        a_plan(&store).await;
        let mut tx = change(&store).await;
        let id = tx.create_subscription(&new(1, 1)).await.unwrap().id;
        assert_eq!(tx.anchor_choice(id).await.unwrap().as_deref(), Some("start"));
        tx.set_anchor_choice(id, "calendar").await.unwrap();
        assert_eq!(tx.anchor_choice(id).await.unwrap().as_deref(), Some("calendar"));
        tx.activate_subscription(id, Status::Active, "2026-01-01T00:00:00", at(0))
            .await
            .unwrap();
        assert!(matches!(tx.set_anchor_choice(id, "start").await, Err(Error::State(_))));
        tx.commit().await.unwrap();
        let mut foreign = change(&store).await.within(Scope::Account(account(2)));
        assert_eq!(foreign.anchor_choice(id).await.unwrap(), None);
        assert!(matches!(
            foreign.set_anchor_choice(id, "start").await,
            Err(Error::Missing(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn a_transaction_reads_the_documents_and_settings_that_it_has_written() {
    on_both(async |store| {
        store.ensure_instance("d", at(0)).await.unwrap();
        let mut tx = change(&store).await;
        let hash = tx.put_document(b"{}").await.unwrap();
        assert_eq!(tx.document(&hash).await.unwrap().as_deref(), Some(b"{}".as_slice()));
        assert!(tx.set_settings(&serde_json::json!({"signup": "open"})).await.unwrap());
        assert_eq!(
            tx.settings().await.unwrap(),
            Some(serde_json::json!({"signup": "open"}))
        );
        tx.rollback().await.unwrap();
        assert_eq!(store.document(&hash).await.unwrap(), None);
    })
    .await;
}
