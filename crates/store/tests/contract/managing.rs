use domain::ids::{SubscriptionId, UserId};
use domain::subscription::{Origin, SubscriptionStatus as Status};
use serde_json::json;
use store::testing::{START, on_both};
use store::{Arrival, Error, NewDraft, NewSubscription, NewUser, StaffRole};

use crate::fixture::{PLAN, PRODUCT, VERSION, a_plan, account, at, change, consumer, two_accounts};

const DAY: i64 = 86_400;

fn draft(id: &str, price: &str) -> NewDraft {
    NewDraft {
        id: id.to_owned(),
        kind: "plan".to_owned(),
        fields: json!({ "price": price }),
        body: None,
    }
}

#[tokio::test]
async fn a_draft_is_saved_only_over_what_its_writer_has_seen() {
    on_both(async |store| {
        let made = store.put_draft(&draft("a", "1"), 0, "Ann", at(0)).await.unwrap();
        assert_eq!((made.version, made.author.as_str()), (1, "Ann"));
        let late = store.put_draft(&draft("a", "9"), 0, "Bob", at(1)).await.unwrap_err();
        assert!(matches!(late, Error::State(text) if text.contains("Ann")));
        let uploaded = NewDraft {
            body: Some(vec![0, 255, 7]),
            ..draft("a", "2")
        };
        let changed = store.put_draft(&uploaded, 1, "Bob", at(2)).await.unwrap();
        assert_eq!(
            (changed.version, changed.created_at, changed.updated_at),
            (2, at(0), at(2))
        );
        assert_eq!(store.draft("a").await.unwrap(), Some(changed));
        assert_eq!(store.draft_body("a").await.unwrap(), Some(vec![0, 255, 7]));
        store.put_draft(&draft("b", "3"), 0, "Ann", at(9)).await.unwrap();
        assert_eq!(store.draft_body("b").await.unwrap(), None);
        let ids = async |kind: &str| -> Vec<String> {
            let all = store.drafts(kind).await.unwrap();
            all.into_iter().map(|draft| draft.id).collect()
        };
        assert_eq!(ids("plan").await, ["b", "a"]);
        assert!(ids("upload").await.is_empty());
        assert_eq!(store.prune_drafts("plan", at(9)).await.unwrap(), 1);
        store.delete_draft("b").await.unwrap();
        assert!(ids("plan").await.is_empty());
        assert_eq!(store.revision().await.unwrap(), 0, "gateways serve no drafts");
    })
    .await;
}

#[tokio::test]
async fn arrivals_are_counted_by_utc_day_without_staff() {
    on_both(async |store| {
        two_accounts(&store).await;
        for (n, roles, seconds) in [(1, vec![], 0), (2, vec![], DAY), (3, vec![StaffRole::Admin], 0)] {
            let mut tx = store.change(store::Actor::system("test"), at(seconds)).await.unwrap();
            tx.create_user(NewUser {
                id: UserId::from_bits(n),
                email: format!("{n}@example.com"),
                name: "Ann".to_owned(),
                password_hash: None,
                staff_roles: roles,
            })
            .await
            .unwrap();
            tx.commit().await.unwrap();
        }
        let counts = async |who| -> Vec<u64> {
            let days = store.arrivals(who, START, at(10 * DAY)).await.unwrap();
            assert!(days.iter().all(|day| day.day.as_millis() % (DAY * 1_000) == 0));
            days.into_iter().map(|day| day.count).collect()
        };
        assert_eq!(counts(Arrival::Person).await, [1, 1]);
        assert_eq!(counts(Arrival::Account).await, [2]);
        assert_eq!(counts(Arrival::Consumer).await, [2]);
        assert_eq!(store.population().await.unwrap(), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn newcomers_and_the_names_of_subscribers_are_those_of_live_subscriptions() {
    on_both(async |store| {
        two_accounts(&store).await;
        a_plan(&store).await;
        let id = SubscriptionId::from_bits(1);
        let mut tx = change(&store).await;
        tx.create_subscription(&NewSubscription {
            id,
            consumer_id: consumer(1),
            product_id: PRODUCT,
            plan_id: PLAN,
            plan_version_id: VERSION,
            status: Status::PendingApproval,
            zone: "UTC".to_owned(),
            every: "month".to_owned(),
            origin: Origin::Api,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let new = store.newcomers(START, at(1)).await.unwrap();
        assert_eq!((new.len(), new[0].subscription, new[0].account), (1, id, account(1)));
        assert!(store.newcomers(at(1), at(2)).await.unwrap().is_empty());
        let names = store.subscriber_names(PLAN).await.unwrap();
        assert_eq!(names, [(consumer(1), "app1".to_owned(), "acc1".to_owned())]);
        let of_product = store.product_subscribers(PRODUCT).await.unwrap();
        assert_eq!(
            (
                of_product.len(),
                of_product[0].plan,
                of_product[0].app.as_str(),
                of_product[0].account.as_str()
            ),
            (1, PLAN, "app1", "acc1")
        );
        assert_eq!(store.first_uses(START).await.unwrap(), []);
        assert_eq!(store.past_use_of(id, START, at(9)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_node_is_known_by_what_it_said_last() {
    on_both(async |store| {
        let node = |name: &str, revision: i64, seconds: i64| store::Node {
            node: name.to_owned(),
            region: "eu".to_owned(),
            version: "1".to_owned(),
            revision,
            ready: true,
            waiting_records: 3,
            clock_offset_ms: -4,
            started_at: at(0),
            seen_at: at(seconds),
        };
        store.note_node(&node("b", 1, 1)).await.unwrap();
        store.note_node(&node("a", 1, 1)).await.unwrap();
        store.note_node(&node("b", 2, 5)).await.unwrap();
        assert_eq!(store.nodes(at(0)).await.unwrap(), [node("a", 1, 1), node("b", 2, 5)]);
        assert_eq!(store.nodes(at(2)).await.unwrap(), [node("b", 2, 5)]);
        assert_eq!(store.prune_nodes(at(2)).await.unwrap(), 1);
        assert_eq!(store.nodes(at(0)).await.unwrap(), [node("b", 2, 5)]);
    })
    .await;
}

#[tokio::test]
async fn the_test_clock_is_what_was_set_last() {
    on_both(async |store| {
        assert_eq!(store.test_clock().await.unwrap(), None);
        for frozen_at in [None, Some(at(7))] {
            let reading = domain::clock::Reading {
                offset_ms: 5,
                frozen_at,
            };
            store.set_test_clock(reading).await.unwrap();
            assert_eq!(store.test_clock().await.unwrap(), Some(reading));
        }
    })
    .await;
}

#[tokio::test]
async fn a_commit_hints_to_other_processes_where_the_database_can() {
    on_both(async |store| {
        let mut hints = store.hints();
        let listening =
            tokio::spawn(async move { tokio::time::timeout(std::time::Duration::from_secs(2), hints.next()).await });
        // Listening takes a moment; a hint before it is missed, as it may be.
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let mut tx = change(&store).await;
            tx.changed(store::Kind::Api, "x");
            tx.commit().await.unwrap();
        }
        let heard = listening.await.unwrap();
        assert_eq!(heard.is_ok(), store.control.dialect() == store::Dialect::Postgres);
    })
    .await;
}
