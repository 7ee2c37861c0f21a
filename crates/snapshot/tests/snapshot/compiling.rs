use domain::config::{Aggregate, Meter, MeterSource, MeterValueSource};
use domain::enforce::{EnforcedRule, QuotaOf};
use domain::ids::{ApiId, ConsumerId, CredentialId, MeterId, PlanVersionId, ProductId};
use domain::subscription::SubscriptionStatus as Status;
use proptest::prelude::*;
use snapshot::source::{AnonymousRecord, Change, MeterRecord, upstream_auth_context};
use snapshot::{Snapshot, compile};

use crate::support::{api, consumer, key, master, plan, product, scratch, spec, subscription, upsert_api};

fn meter(id: u128, pointer: &str) -> MeterRecord {
    let spec = Meter {
        name: format!("tokens{id}"),
        aggregate: Aggregate::Sum,
        value: Some(MeterValueSource::ResponseJson(pointer.to_owned())),
        filter: None,
        group_by: Vec::new(),
        source: MeterSource::Requests,
        event_type: None,
        unit: None,
    };
    MeterRecord {
        id: MeterId::from_bits(id),
        spec,
    }
}

const LIMITS: &str = r#"[{"requests":10,"per":"second","algorithm":"token_bucket","burst":20},
    {"requests":5,"per":"minute","operations":["search"]}, {"meter":"tokens1","per":"period"},
    {"requests":1000,"per":"period","overage":{"allow":"15%"}}, {"concurrency":3}]"#;

#[test]
fn limits_are_compiled_for_each_operation() {
    let snapshot = scratch([
        Change::UpsertProduct(product(1, &[], 1)),
        Change::UpsertPlanVersion(plan(1, 1, LIMITS, &[("tokens1", Some(77))])),
    ])
    .unwrap();
    let plan = snapshot.plan(PlanVersionId::from_bits(1)).unwrap();
    assert_eq!(*plan.limits_of("search").applies, [0, 1, 2, 3, 4]);
    assert_eq!(*plan.limits_of("other").applies, [0, 2, 3, 4]);
    assert_eq!(
        &*plan.limits_of("search").policy_header,
        r#""requests/second";q=20;w=2, "requests/minute@search";q=5;w=60, "tokens1/period";q=77, "requests/period";q=1150"#
    );
    let EnforcedRule::Quota { of, max, ceiling, .. } = plan.limits[2].rule else {
        panic!("not a quota")
    };
    assert_eq!((of, max, ceiling), (QuotaOf::Quantities, 77, Some(77)));
}

fn with_secret() -> snapshot::source::ApiRecord {
    let mut secret = api(2, r#""base_path":"/s""#, &[]);
    secret.spec = spec(
        r#"{"name":"s","base_path":"/s","upstream":{"targets":[{"url":"http://a"}],"auth":{"header":"X-S","value_env":"E"}}}"#,
    );
    secret
}

#[test]
fn a_bad_input_is_refused_by_name_and_the_old_snapshot_stays() {
    let good = scratch([
        upsert_api(api(1, "", &["a GET /a"])),
        Change::UpsertProduct(product(1, &[1], 1)),
    ])
    .unwrap();
    let before = good.checksum();
    let secret = with_secret();
    let mut moved = secret.clone();
    moved.upstream_auth = Some(master().seal("api/other", b"v", [0; 24]).unwrap());
    let paused = vec![subscription(5, 9, Status::Active, 1)];
    for (changes, message) in [
        (
            vec![upsert_api(api(2, "", &[]))],
            "api api2: api api1 has the same host and base path",
        ),
        (
            vec![upsert_api(api(2, r#""base_path":"/a/../b""#, &[]))],
            "api api2: base path \"/a/../b\" is not usable",
        ),
        (
            vec![upsert_api(api(2, r#""hosts":["a b"]"#, &[]))],
            "api api2: \"a b\" is not a host name",
        ),
        (
            vec![upsert_api(secret)],
            "api s: the value of its upstream header is missing",
        ),
        (
            vec![upsert_api(moved)],
            "api s: the value of its upstream header cannot be used",
        ),
        (
            vec![Change::RemoveApi(ApiId::from_bits(1))],
            "product product1: api api_00000000000000000000000001 is not there",
        ),
        (
            vec![Change::UpsertPlanVersion(plan(1, 8, "[]", &[]))],
            "plan plan1 (version 1",
        ),
        (
            vec![Change::UpsertPlanVersion(plan(1, 1, r#"[{"requests":5}]"#, &[]))],
            "limit 0: the window is missing",
        ),
        (
            vec![Change::UpsertPlanVersion(plan(
                1,
                1,
                r#"[{"meter":"t","per":"period"}]"#,
                &[],
            ))],
            "the quota of t has no maximum",
        ),
        (
            vec![Change::UpsertPlanVersion(plan(
                1,
                1,
                r#"[{"requests":5,"per":"day"},{"requests":6,"per":"day"}]"#,
                &[],
            ))],
            "two limits have the key requests/day",
        ),
        (
            vec![Change::UpsertConsumer(consumer(1, paused))],
            "subscription sub_00000000000000000000000005: plan version",
        ),
        (
            vec![Change::UpsertKey(key(1, 1, 1)), Change::UpsertKey(key(2, 1, 1))],
            "key cred_00000000000000000000000002: key",
        ),
        (
            vec![Change::UpsertMeter(meter(1, "usage"))],
            "meter tokens1: the value of a sum",
        ),
    ] {
        let error = compile(Some(&good), changes, 2, &master()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(good.checksum(), before);
}

#[test]
fn the_upstream_header_is_opened_and_never_shown() {
    let mut record = api(1, "", &[]);
    record.spec =
        spec(r#"{"name":"s","upstream":{"targets":[{"url":"http://a"}],"auth":{"header":"X-S","value_env":"E"}}}"#);
    record.upstream_auth = Some(
        master()
            .seal(&upstream_auth_context(record.id), b"hunter2", [0; 24])
            .unwrap(),
    );
    let snapshot = scratch([upsert_api(record)]).unwrap();
    let header = snapshot.routes().apis().next().unwrap().upstream_auth.as_ref().unwrap();
    assert_eq!((&*header.name, header.value.as_slice()), ("x-s", b"hunter2".as_slice()));
    assert!(!format!("{snapshot:?}").contains("hunter2"));
}

#[test]
fn a_meter_applies_to_the_apis_of_products_whose_plans_count_or_price_it() {
    let snapshot = scratch([
        upsert_api(api(1, r#""base_path":"/1""#, &[])),
        upsert_api(api(2, r#""base_path":"/2""#, &[])),
        Change::UpsertMeter(meter(1, "/a")),
        Change::UpsertMeter(meter(2, "/b")),
        Change::UpsertProduct(product(1, &[1], 1)),
        Change::UpsertPlanVersion(plan(1, 1, "[]", &[("tokens2", None), ("requests", None)])),
    ])
    .unwrap();
    let names = |id| {
        let api = snapshot.routes().api(ApiId::from_bits(id)).unwrap();
        api.meters
            .iter()
            .map(|meter| meter.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!((names(1), names(2)), (vec!["tokens2".to_owned()], vec![]));
}

#[test]
fn one_changed_key_copies_one_shard() {
    let keys = (0..20_000).map(|n| Change::UpsertKey(key(n, n, 1)));
    let first = scratch(keys).unwrap();
    let second = compile(Some(&first), [Change::UpsertKey(key(7, 1_000_000, 1))], 2, &master()).unwrap();
    let shared = second.shares_key_shards_with(&first);
    assert!((1_022..=1_023).contains(&shared), "{shared}");
    let third = compile(
        Some(&second),
        [Change::RemoveKey(CredentialId::from_bits(7))],
        3,
        &master(),
    )
    .unwrap();
    assert_eq!(third.shares_key_shards_with(&second), 1_023);
    assert_eq!(third.key_count(), 19_999);
}

/// A change of one of a few objects, so that they collide and refer to each other.
fn change() -> impl Strategy<Value = Change> {
    let id = || 1..5_u128;
    let places = [r#""base_path":"/a""#, r#""base_path":"/b""#, r#""base_path":"/c""#, ""];
    let limits = [
        "[]",
        LIMITS,
        r#"[{"requests":3,"per":"period"}]"#,
        r#"[{"requests":3}]"#,
    ];
    prop_oneof![
        (id(), 0..4_usize, 0..3_usize).prop_map(move |(id, place, n)| {
            upsert_api(api(id, places[place], &["a GET /a", "b GET /b/{x}", "c POST /c"][..n]))
        }),
        id().prop_map(|id| Change::RemoveApi(ApiId::from_bits(id))),
        (1..3_u128, 0..3_usize).prop_map(|(id, n)| Change::UpsertMeter(meter(id, ["/a", "/b", "bad"][n]))),
        (1..3_u128).prop_map(|id| Change::RemoveMeter(MeterId::from_bits(id))),
        (id(), proptest::collection::vec(id(), 0..3), 0..3)
            .prop_map(|(id, apis, priority)| { Change::UpsertProduct(product(id, &apis, priority)) }),
        id().prop_map(|id| Change::RemoveProduct(ProductId::from_bits(id))),
        (id(), id(), 0..4_usize, any::<bool>()).prop_map(move |(id, product, n, priced)| {
            let priced: &[(&str, Option<u64>)] = if priced {
                &[("tokens1", Some(5)), ("tokens2", None)]
            } else {
                &[]
            };
            Change::UpsertPlanVersion(plan(id, product, limits[n], priced))
        }),
        id().prop_map(|id| Change::RemovePlanVersion(PlanVersionId::from_bits(id))),
        (id(), id()).prop_map(|(api, plan)| Change::UpsertAnonymous(AnonymousRecord {
            api: ApiId::from_bits(api),
            plan_version: PlanVersionId::from_bits(plan),
            by: domain::config::AnonymousBy::Ip,
        })),
        id().prop_map(|id| Change::RemoveAnonymous(ApiId::from_bits(id))),
        (id(), proptest::collection::vec((id(), 0..8_usize, 0..4_i64), 0..3)).prop_map(|(id, rows)| {
            let rows = rows
                .iter()
                .zip(1..)
                .map(|((plan, status, created), n)| subscription(id * 10 + n, *plan, Status::ALL[*status], *created));
            Change::UpsertConsumer(consumer(id, rows.collect()))
        }),
        id().prop_map(|id| Change::RemoveConsumer(ConsumerId::from_bits(id))),
        (id(), id(), id(), any::<bool>()).prop_map(|(id, secret, consumer, revoked)| {
            let mut record = key(id, secret, consumer);
            record.revoked = revoked;
            Change::UpsertKey(record)
        }),
        id().prop_map(|id| Change::RemoveKey(CredentialId::from_bits(id))),
    ]
}

/// A state in which much is there already, so that most random changes are good ones.
fn seed() -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, place) in (1..5_u128).zip([r#""base_path":"/a""#, r#""base_path":"/b""#, r#""base_path":"/c""#, ""]) {
        changes.push(upsert_api(api(id, place, &["a GET /a"])));
        changes.push(Change::UpsertProduct(product(id, &[id], 1)));
        changes.push(Change::UpsertPlanVersion(plan(id, id, "[]", &[])));
        changes.push(Change::UpsertConsumer(consumer(
            id,
            vec![subscription(id * 10, id, Status::Active, 1)],
        )));
        changes.push(Change::UpsertKey(key(id, id + 100, id)));
    }
    changes
}

fn id_of(change: &Change) -> (u8, u128) {
    match change {
        Change::UpsertApi(record) => (0, record.id.bits()),
        Change::RemoveApi(id) => (0, id.bits()),
        Change::UpsertMeter(record) => (1, record.id.bits()),
        Change::RemoveMeter(id) => (1, id.bits()),
        Change::UpsertProduct(record) => (2, record.id.bits()),
        Change::RemoveProduct(id) => (2, id.bits()),
        Change::UpsertPlanVersion(record) => (3, record.id.bits()),
        Change::RemovePlanVersion(id) => (3, id.bits()),
        Change::UpsertAnonymous(record) => (4, record.api.bits()),
        Change::RemoveAnonymous(id) => (4, id.bits()),
        Change::UpsertConsumer(record) => (5, record.id.bits()),
        Change::RemoveConsumer(id) => (5, id.bits()),
        Change::UpsertKey(record) => (6, record.id.bits()),
        Change::RemoveKey(id) => (6, id.bits()),
    }
}

/// The state as rows: the last change of each object, in the order of ids.
fn state(history: &[Change]) -> Vec<Change> {
    let last: std::collections::BTreeMap<_, _> = history.iter().map(|change| (id_of(change), change.clone())).collect();
    last.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn compiling_step_by_step_gives_what_compiling_from_nothing_gives(
        batches in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..25),
    ) {
        let mut history = seed();
        let mut current: Snapshot = scratch(history.clone()).unwrap();
        for batch in batches {
            let mut next = history.clone();
            next.extend(batch.iter().cloned());
            let whole = scratch(state(&next));
            match compile(Some(&current), batch, 1, &master()) {
                Ok(step) => {
                    prop_assert_eq!(Some(step.checksum()), whole.as_ref().ok().map(Snapshot::checksum), "{:?}", whole);
                    (history, current) = (next, step);
                }
                // Of several faults another one may be told, but the input is refused either way.
                Err(error) => prop_assert!(whole.is_err(), "{}", error),
            }
        }
    }
}
