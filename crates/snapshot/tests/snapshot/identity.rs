use domain::clock::Timestamp;
use domain::ids::{ApiId, ProductId};
use domain::subscription::{Access, SubscriptionStatus as Status};
use snapshot::source::Change;
use snapshot::{Identity, Snapshot};

use crate::support::{api, consumer, key, key_hash, plan, product, scratch, subscription, upsert_api};

fn base() -> Vec<Change> {
    vec![
        upsert_api(api(1, "", &["a GET /a"])),
        Change::UpsertProduct(product(1, &[1], 100)),
        Change::UpsertProduct(product(2, &[1], 50)),
        Change::UpsertProduct(product(3, &[], 1)),
        Change::UpsertPlanVersion(plan(1, 1, "[]", &[])),
        Change::UpsertPlanVersion(plan(2, 2, "[]", &[])),
        Change::UpsertPlanVersion(plan(3, 3, "[]", &[])),
    ]
}

fn with(changes: impl IntoIterator<Item = Change>) -> Snapshot {
    scratch(base().into_iter().chain(changes)).unwrap()
}

fn paying(snapshot: &Snapshot, pinned: &[u128]) -> Option<u128> {
    let pinned: Vec<ProductId> = pinned.iter().map(|id| ProductId::from_bits(*id)).collect();
    let consumer = snapshot.consumers().next().unwrap();
    consumer
        .paying(ApiId::from_bits(1), &pinned)
        .map(|subscription| subscription.id.bits())
}

#[test]
fn the_lowest_priority_pays_then_the_oldest_unless_the_key_pins_another() {
    let all = [(10, 1, 5), (11, 2, 9), (12, 2, 3), (13, 3, 1)];
    let rows = all
        .iter()
        .map(|(id, plan, created)| subscription(*id, *plan, Status::Active, *created))
        .collect();
    let snapshot = with([Change::UpsertConsumer(consumer(1, rows))]);
    assert_eq!(paying(&snapshot, &[]), Some(12));
    assert_eq!(paying(&snapshot, &[1]), Some(10));
    assert_eq!(paying(&snapshot, &[3]), None);
}

#[test]
fn a_dead_subscription_never_hides_one_in_force_yet_is_told_alone() {
    let rows = vec![
        subscription(10, 2, Status::Cancelled, 1),
        subscription(11, 1, Status::PastDue, 2),
    ];
    let snapshot = with([Change::UpsertConsumer(consumer(1, rows))]);
    assert_eq!(paying(&snapshot, &[]), Some(11));
    assert_eq!(paying(&snapshot, &[2]), Some(10));
}

#[test]
fn grace_ends_at_its_instant() {
    let mut row = subscription(10, 1, Status::PastDue, 1);
    row.grace_until = Some(Timestamp::from_millis(1_000));
    let snapshot = with([Change::UpsertConsumer(consumer(1, vec![row]))]);
    let subscription = &snapshot.consumers().next().unwrap().subscriptions[0];
    assert_eq!(subscription.access(Timestamp::from_millis(999)), Access::Served);
    assert_eq!(
        subscription.access(Timestamp::from_millis(1_000)),
        Access::PaymentRequired
    );
}

#[test]
fn keys_are_known_expired_or_unknown() {
    let mut expiring = key(2, 2, 1);
    expiring.expires_at = Some(Timestamp::from_millis(1_000));
    let mut revoked = key(3, 3, 1);
    revoked.revoked = true;
    let snapshot = with([
        Change::UpsertConsumer(consumer(1, Vec::new())),
        Change::UpsertKey(key(1, 1, 1)),
        Change::UpsertKey(expiring),
        Change::UpsertKey(revoked),
        Change::UpsertKey(key(4, 4, 9)),
    ]);
    let state = |secret, ms| match snapshot.identify(&key_hash(secret), Timestamp::from_millis(ms)) {
        Identity::Known { consumer, .. } => format!("known {}", consumer.name),
        Identity::Expired { .. } => "expired".to_owned(),
        Identity::Unknown => "unknown".to_owned(),
    };
    assert_eq!(state(1, 0), "known consumer1");
    assert_eq!(state(2, 999), "known consumer1");
    assert_eq!(state(2, 1_000), "expired");
    assert_eq!(state(3, 0), "unknown");
    assert_eq!(state(4, 0), "unknown");
    assert_eq!(state(5, 0), "unknown");
}
