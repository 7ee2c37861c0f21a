//! Prints what a large snapshot costs: compile time, memory, one changed key, route and key look-ups. Run with
//! `cargo run --release --example snapshot_figures`.

use std::hint::black_box;
use std::time::Instant;

use domain::clock::Timestamp;
use domain::config::Api;
use domain::cycle::CycleRecord;
use domain::ids::{AccountId, ApiId, ConsumerId, CredentialId, PlanId, PlanVersionId, ProductId, SubscriptionId};
use domain::key::{KeyHash, Mode, hash};
use domain::period::{Anchor, Every, Schedule, Zone};
use domain::sealed::MasterKey;
use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use snapshot::source::{
    ApiRecord, Change, ConsumerRecord, KeyRecord, OperationRecord, PlanVersionRecord, ProductRecord, SubscriptionRecord,
};
use snapshot::{Identity, Snapshot, compile};

const APIS: u128 = 100;
const OPERATIONS: usize = 100;
const CONSUMERS: u128 = 1_000;
const ROUNDS: u128 = 1_000_000;

fn api(id: u128) -> Result<Change, serde_json::Error> {
    let spec: Api = serde_json::from_str(&format!(
        r#"{{"name":"api{id}","base_path":"/api{id}","upstream":{{"targets":[{{"url":"http://127.0.0.1:9001"}}]}}}}"#
    ))?;
    let operations = (0..OPERATIONS)
        .map(|n| OperationRecord {
            key: format!("operation{n}"),
            method: "GET".to_owned(),
            path_key: format!("/things{n}/{{id}}/parts/{{part}}"),
        })
        .collect();
    Ok(Change::UpsertApi(Box::new(ApiRecord {
        id: ApiId::from_bits(id),
        spec,
        operations,
        upstream_auth: None,
    })))
}

fn product(id: u128) -> Result<[Change; 2], serde_json::Error> {
    let limits = r#"[{"requests":10,"per":"second"},{"requests":1000,"per":"period"},{"requests":5,"per":"second","operations":["operation1"]}]"#;
    Ok([
        Change::UpsertProduct(ProductRecord {
            id: ProductId::from_bits(id),
            name: format!("product{id}"),
            apis: vec![ApiId::from_bits(id)],
            priority: 100,
        }),
        Change::UpsertPlanVersion(PlanVersionRecord {
            id: PlanVersionId::from_bits(id),
            plan: PlanId::from_bits(id),
            product: ProductId::from_bits(id),
            name: "pro".to_owned(),
            version: 1,
            limits: serde_json::from_str(limits)?,
            priced: Vec::new(),
        }),
    ])
}

fn consumer(id: u128) -> Change {
    let subscriptions = (0..5)
        .map(|n| SubscriptionRecord {
            id: SubscriptionId::from_bits(id * 10 + n),
            plan_version: PlanVersionId::from_bits((id + n) % APIS),
            segment: 0,
            status: SubscriptionStatus::Active,
            grace_until: None,
            cycle: CycleRecord {
                schedule: Schedule::new(
                    Anchor::at(Timestamp::from_millis(1_793_000_000_000), Zone::UTC),
                    Every::MONTH,
                ),
                fixed: Vec::new(),
            },
            created_at: Timestamp::from_millis(1_793_000_000_000),
        })
        .collect();
    Change::UpsertConsumer(ConsumerRecord {
        id: ConsumerId::from_bits(id),
        name: format!("consumer{id}"),
        account: AccountId::from_bits(id),
        status: ConsumerStatus::Active,
        subscriptions,
    })
}

fn hash_of(n: u128) -> KeyHash {
    hash(&n.to_le_bytes())
}

fn key(n: u128) -> Change {
    Change::UpsertKey(KeyRecord {
        id: CredentialId::from_bits(n),
        hash: hash_of(n),
        mode: Mode::Live,
        consumer: ConsumerId::from_bits(n % CONSUMERS),
        products: Vec::new(),
        expires_at: None,
        revoked: false,
    })
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn look_ups(snapshot: &Snapshot) {
    let paths: Vec<String> = (0..1_000)
        .map(|n| format!("/api{}/things{}/17/parts/4", n % APIS, n % 97))
        .collect();
    let started = Instant::now();
    for path in paths.iter().cycle().take(1_000_000) {
        black_box(snapshot.routes().find("api.example.com", black_box(path), "GET"));
    }
    println!("route among 10,000: {} ns", started.elapsed().as_nanos() / ROUNDS);
    let hashes: Vec<KeyHash> = (0..100_000).map(|n| hash_of(n * 7 % 100_000)).collect();
    let started = Instant::now();
    let known = hashes
        .iter()
        .cycle()
        .take(1_000_000)
        .filter(|hash| matches!(snapshot.identify(hash, Timestamp::default()), Identity::Known { .. }))
        .count();
    println!(
        "key of {}: {} ns ({known} known)",
        snapshot.key_count(),
        started.elapsed().as_nanos() / ROUNDS
    );
}

fn one_key(snapshot: &Snapshot, master: &MasterKey) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    for n in 0..20 {
        black_box(compile(Some(snapshot), [key(10_000_000 + n)], 2, master)?);
    }
    println!(
        "one changed key of {}: {} us",
        snapshot.key_count(),
        started.elapsed().as_micros() / 20
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = MasterKey::new([0; 32]);
    let mut changes: Vec<Change> = (0..APIS).map(api).collect::<Result<_, _>>()?;
    for id in 0..APIS {
        changes.extend(product(id)?);
    }
    changes.extend((0..CONSUMERS).map(consumer));
    changes.extend((0..100_000).map(key));
    let (before, started) = (resident_kib(), Instant::now());
    let snapshot = compile(None, changes, 1, &master)?;
    println!(
        "compile 10,000 routes, 1,000 consumers, 100,000 keys: {} ms",
        started.elapsed().as_millis()
    );
    println!("resident: {} KiB with the rows, {} KiB before", resident_kib(), before);
    look_ups(&snapshot);
    one_key(&snapshot, &master)?;
    let started = Instant::now();
    black_box(compile(Some(&snapshot), product(5)?, 2, &master)?);
    println!("an unchanged product again: {} us", started.elapsed().as_micros());
    let million = compile(Some(&snapshot), (100_000..1_000_000).map(key), 3, &master)?;
    println!("resident with a million keys: {} KiB", resident_kib());
    one_key(&million, &master)
}
