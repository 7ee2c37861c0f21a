//! Rows that several tests start from. Ids are made from small numbers, so that failures read well.

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, CredentialId, PlanId, PlanVersionId, ProductId};
use domain::key::{KeyHash, Mode};
use domain::subscription::Origin;
use serde_json::json;
use store::testing::START;
use store::{AccountFields, Actor, ControlTx, NewConsumer, NewCredential, ObjectFields, ObjectKind, Store};

pub(crate) const PRODUCT: ProductId = ProductId::from_bits(100);
pub(crate) const PLAN: PlanId = PlanId::from_bits(200);
pub(crate) const VERSION: PlanVersionId = PlanVersionId::from_bits(300);
pub(crate) const BETTER: PlanVersionId = PlanVersionId::from_bits(301);

pub(crate) fn account(n: u128) -> AccountId {
    AccountId::from_bits(n)
}

pub(crate) fn consumer(n: u128) -> ConsumerId {
    ConsumerId::from_bits(n)
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    START.plus_millis(seconds * 1000)
}

pub(crate) async fn change(store: &Store) -> ControlTx {
    store.change(Actor::system("test"), START).await.unwrap()
}

pub(crate) fn account_fields(name: &str, origin: Origin) -> AccountFields {
    AccountFields {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        currency: "EUR".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        country: Some("DE".to_owned()),
        address: None,
        tax_ids: vec!["DE123".to_owned()],
        origin,
    }
}

pub(crate) fn object(kind: ObjectKind, parent: &str, name: &str) -> ObjectFields {
    ObjectFields {
        kind,
        parent: parent.to_owned(),
        name: name.to_owned(),
        position: 0,
        body: json!({"name": name, "z": 1, "a": [1, 2]}),
        document: None,
        origin: Origin::File,
    }
}

pub(crate) fn credential(n: u8, owner: ConsumerId) -> NewCredential {
    NewCredential {
        id: CredentialId::from_bits(u128::from(n)),
        consumer_id: owner,
        hash: KeyHash([n; 32]),
        prefix: "tg_live_abcd".to_owned(),
        last4: "wxyz".to_owned(),
        mode: Mode::Live,
        name: Some("backend".to_owned()),
        scopes: vec!["read".to_owned()],
        products: vec![],
        expires_at: None,
        origin: Origin::Api,
    }
}

/// Accounts 1 and 2, each with the consumer of its number.
pub(crate) async fn two_accounts(store: &Store) {
    let mut tx = change(store).await;
    for n in [1, 2] {
        tx.create_account(account(n), &account_fields(&format!("acc{n}"), Origin::Api))
            .await
            .unwrap();
        let new = NewConsumer {
            id: consumer(n),
            account_id: account(n),
            name: format!("app{n}"),
            origin: Origin::Portal,
        };
        tx.create_consumer(&new).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A product with a plan in two versions.
pub(crate) async fn a_plan(store: &Store) {
    let mut tx = change(store).await;
    let product = PRODUCT.to_string();
    tx.create_object(&product, &object(ObjectKind::Product, "", "petstore"))
        .await
        .unwrap();
    tx.create_object(&PLAN.to_string(), &object(ObjectKind::Plan, &product, "pro"))
        .await
        .unwrap();
    tx.publish_plan_version(VERSION, PLAN, &json!({"n": 1})).await.unwrap();
    tx.publish_plan_version(BETTER, PLAN, &json!({"n": 2})).await.unwrap();
    tx.commit().await.unwrap();
}
