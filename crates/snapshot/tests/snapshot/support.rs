//! Rows for tests.

use domain::clock::Timestamp;
use domain::config::Api;
use domain::cycle::CycleRecord;
use domain::ids::{AccountId, ApiId, ConsumerId, CredentialId, PlanId, PlanVersionId, ProductId, SubscriptionId};
use domain::key::{KeyHash, Mode, hash};
use domain::period::{Anchor, Every, Schedule, Zone};
use domain::sealed::MasterKey;
use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use snapshot::source::{
    ApiRecord, Change, ConsumerRecord, KeyRecord, OperationRecord, PlanVersionRecord, PricedMeter, ProductRecord,
    SubscriptionRecord,
};
use snapshot::{Error, Snapshot, compile};

pub(crate) fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

pub(crate) fn scratch(changes: impl IntoIterator<Item = Change>) -> Result<Snapshot, Error> {
    compile(None, changes, 1, &master())
}

pub(crate) fn spec(json: &str) -> Api {
    serde_json::from_str(json).unwrap()
}

/// An API with its operations written `KEY METHOD PATH`.
pub(crate) fn api(id: u128, place: &str, operations: &[&str]) -> ApiRecord {
    let spec = spec(&format!(
        r#"{{"name":"api{id}","upstream":{{"targets":[{{"url":"http://127.0.0.1:9001"}}]}}{}{place}}}"#,
        if place.is_empty() { "" } else { "," }
    ));
    let operations = operations
        .iter()
        .map(|text| {
            let mut parts = text.splitn(3, ' ').map(str::to_owned);
            let mut next = || parts.next().unwrap();
            OperationRecord {
                key: next(),
                method: next(),
                path_key: next(),
            }
        })
        .collect();
    ApiRecord {
        id: ApiId::from_bits(id),
        spec,
        operations,
        upstream_auth: None,
    }
}

pub(crate) fn upsert_api(record: ApiRecord) -> Change {
    Change::UpsertApi(Box::new(record))
}

pub(crate) fn product(id: u128, apis: &[u128], priority: i32) -> ProductRecord {
    let apis = apis.iter().map(|api| ApiId::from_bits(*api)).collect();
    ProductRecord {
        id: ProductId::from_bits(id),
        name: format!("product{id}"),
        apis,
        priority,
    }
}

pub(crate) fn plan(id: u128, product: u128, limits: &str, priced: &[(&str, Option<u64>)]) -> PlanVersionRecord {
    PlanVersionRecord {
        id: PlanVersionId::from_bits(id),
        plan: PlanId::from_bits(id),
        product: ProductId::from_bits(product),
        name: format!("plan{id}"),
        version: 1,
        limits: serde_json::from_str(limits).unwrap(),
        priced: priced
            .iter()
            .map(|(meter, included)| PricedMeter {
                meter: (*meter).to_owned(),
                included: *included,
            })
            .collect(),
    }
}

pub(crate) fn subscription(id: u128, plan: u128, status: SubscriptionStatus, created_ms: i64) -> SubscriptionRecord {
    let created_at = Timestamp::from_millis(created_ms);
    SubscriptionRecord {
        id: SubscriptionId::from_bits(id),
        plan_version: PlanVersionId::from_bits(plan),
        segment: 0,
        status,
        grace_until: None,
        cycle: CycleRecord {
            schedule: Schedule::new(Anchor::at(created_at, Zone::UTC), Every::MONTH),
            fixed: Vec::new(),
        },
        created_at,
    }
}

pub(crate) fn consumer(id: u128, subscriptions: Vec<SubscriptionRecord>) -> ConsumerRecord {
    ConsumerRecord {
        id: ConsumerId::from_bits(id),
        name: format!("consumer{id}"),
        account: AccountId::from_bits(id),
        status: ConsumerStatus::Active,
        subscriptions,
    }
}

pub(crate) fn key_hash(secret: u128) -> KeyHash {
    hash(&secret.to_le_bytes())
}

pub(crate) fn key(id: u128, secret: u128, consumer: u128) -> KeyRecord {
    KeyRecord {
        id: CredentialId::from_bits(id),
        hash: key_hash(secret),
        mode: Mode::Live,
        consumer: ConsumerId::from_bits(consumer),
        products: Vec::new(),
        expires_at: None,
        revoked: false,
    }
}
