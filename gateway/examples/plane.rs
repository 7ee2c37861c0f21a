//! Serves one API in front of one upstream until standard input ends, for measuring the data plane alone.
//!
//! `cargo run --release -p tollgate-gateway --example plane -- LISTEN UPSTREAM_URL THREADS`; the key is printed.

use std::error::Error;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use counters::Counters;
use domain::clock::Clock;
use domain::cycle::UsageCycle;
use domain::ids::{AccountId, ApiId, ConsumerId, CredentialId, PlanId, PlanVersionId, ProductId};
use domain::key::{ApiKey, Mode};
use domain::sealed::MasterKey;
use domain::subscription::ConsumerStatus;
use gateway::{Gateway, Metrics, Parts, Settings};
use journal::Journal;
use serde_json::json;
use snapshot::source::{ApiRecord, Change, ConsumerRecord, KeyRecord, PlanVersionRecord, ProductRecord};
use snapshot::{Feed, compile};

fn changes(upstream: &str, key: &ApiKey) -> Result<Vec<Change>, serde_json::Error> {
    let (api, product, version) = (
        ApiId::from_bits(1),
        ProductId::from_bits(2),
        PlanVersionId::from_bits(3),
    );
    let consumer = ConsumerId::from_bits(6);
    let spec = json!({ "name": "measured", "base_path": "/", "upstream": { "targets": [{ "url": upstream }] } });
    let limits = json!([
        { "requests": 1_000_000, "per": "second", "algorithm": "token_bucket" },
        { "requests": 1_000_000_000, "per": "period" },
    ]);
    let subscription = json!({
        "id": "sub_00000000000000000000000007",
        "plan_version": version,
        "status": "active",
        "cycle": UsageCycle::utc_months().record(),
        "created_at": "2026-01-01T00:00:00Z",
    });
    Ok(vec![
        Change::UpsertApi(Box::new(ApiRecord {
            id: api,
            spec: serde_json::from_value(spec)?,
            operations: Vec::new(),
            upstream_auth: None,
        })),
        Change::UpsertProduct(ProductRecord {
            id: product,
            name: "measured".to_owned(),
            apis: vec![api],
            priority: 1,
        }),
        Change::UpsertPlanVersion(PlanVersionRecord {
            id: version,
            plan: PlanId::from_bits(4),
            product,
            name: "pro".to_owned(),
            version: 1,
            limits: serde_json::from_value(limits)?,
            priced: Vec::new(),
        }),
        Change::UpsertConsumer(ConsumerRecord {
            id: consumer,
            name: "measurer".to_owned(),
            account: AccountId::from_bits(5),
            status: ConsumerStatus::Active,
            subscriptions: vec![serde_json::from_value(subscription)?],
        }),
        Change::UpsertKey(KeyRecord {
            id: CredentialId::from_bits(8),
            hash: key.hash(),
            mode: Mode::Live,
            consumer,
            products: Vec::new(),
            expires_at: None,
            revoked: false,
        }),
    ])
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream), Some(threads)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("give LISTEN, UPSTREAM_URL and THREADS".into());
    };
    let key = ApiKey::new(Mode::Live, [1; 32]);
    let snapshot = compile(None, changes(&upstream, &key)?, 1, &MasterKey::new([0; 32]))?;
    let (_publisher, feed) = Feed::new(snapshot);
    let dir = tempfile::tempdir()?;
    let clock = Clock::system();
    let wall = clock.clone();
    let journal = Journal::open(journal::Settings::new(
        dir.path(),
        Arc::new(move || wall.now().as_millis()),
    )?)?;
    let journal = Arc::new(journal);
    let mut settings = Settings::new(listen.parse()?);
    settings.threads = threads.parse()?;
    let metrics = Metrics::default();
    let parts = Parts {
        feed,
        journal: Arc::clone(&journal),
        counters: Counters::default(),
        clock,
        metrics: metrics.clone(),
    };
    let running = Gateway::start(&settings, &parts)?;
    println!("{} {}", running.local_addr(), key.reveal());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    running.drain(Duration::from_secs(5));
    running.join();
    println!("{} facts", metrics.usage_events());
    journal.close()?;
    Ok(())
}
