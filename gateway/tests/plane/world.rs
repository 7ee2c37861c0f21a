//! A gateway in this process before a real upstream: real sockets, a real journal, a snapshot made by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use counters::Counters;
use domain::clock::{Clock, Timestamp};
use domain::cycle::UsageCycle;
use domain::ids::{
    AccountId, ApiId, ConsumerId, CredentialId, MeterId, PlanId, PlanVersionId, ProductId, SubscriptionId,
};
use domain::key::{ApiKey, Mode};
use domain::sealed::MasterKey;
use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use domain::usage::{Fact, Record};
use gateway::{Gateway, Metrics, Parts, Running, Settings};
use journal::Journal;
use serde_json::{Value, json};
use snapshot::source::{
    AnonymousRecord, ApiRecord, Change, ConsumerRecord, KeyRecord, MeterRecord, OperationRecord, PlanVersionRecord,
    ProductRecord, SubscriptionRecord, upstream_auth_context,
};
use snapshot::{Feed, Publisher, Snapshot, compile};

use crate::client::{Conn, Reply};
use crate::upstream::Upstream;

pub(crate) const API: ApiId = ApiId::from_bits(1);
pub(crate) const PRODUCT: ProductId = ProductId::from_bits(2);
const PLAN: PlanVersionId = PlanVersionId::from_bits(3);
pub(crate) const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bits(7);
pub(crate) const CONSUMER: ConsumerId = ConsumerId::from_bits(6);

fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

/// The key of a number.
pub(crate) fn key(number: u8) -> ApiKey {
    ApiKey::new(if number >= 128 { Mode::Test } else { Mode::Live }, [number; 32])
}

/// What a test wants to be different.
pub(crate) struct Wish {
    pub(crate) limits: Value,
    pub(crate) api: Value,
    pub(crate) meters: Value,
    pub(crate) anonymous: bool,
    pub(crate) settings: fn(&mut Settings),
    pub(crate) journal: fn(&mut journal::Settings),
    pub(crate) counters: Counters,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            limits: json!([]),
            api: json!({}),
            meters: json!([]),
            anonymous: false,
            settings: |_| {},
            journal: |_| {},
            counters: Counters::default(),
        }
    }
}

pub(crate) struct World {
    pub(crate) upstream: Upstream,
    pub(crate) sandbox: Upstream,
    pub(crate) running: Running,
    pub(crate) journal: Arc<Journal>,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    current: std::sync::Mutex<Snapshot>,
    _dir: tempfile::TempDir,
}

pub(crate) fn world(wish: &Wish) -> World {
    let (upstream, sandbox) = (Upstream::start(), Upstream::start());
    let snapshot = compile(None, changes(wish, &upstream, &sandbox), 1, &master()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let wall = clock.clone();
    let mut journal_settings =
        journal::Settings::new(dir.path().join("journal"), Arc::new(move || wall.now().as_millis())).unwrap();
    journal_settings.segment_bytes = 1 << 20;
    (wish.journal)(&mut journal_settings);
    let journal = Arc::new(Journal::open(journal_settings).unwrap());
    let (publisher, feed): (Publisher, Feed) = Feed::new(snapshot.clone());
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap());
    settings.threads = 2;
    (wish.settings)(&mut settings);
    let metrics = Metrics::default();
    let parts = Parts {
        feed,
        journal: Arc::clone(&journal),
        counters: wish.counters.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
    };
    let running = Gateway::start(&settings, &parts).unwrap();
    World {
        upstream,
        sandbox,
        running,
        journal,
        publisher,
        metrics,
        clock,
        current: std::sync::Mutex::new(snapshot),
        _dir: dir,
    }
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn api(wish: &Wish, upstream: &Upstream, sandbox: &Upstream) -> ApiRecord {
    let mut spec = json!({
        "name": "petstore",
        "base_path": "/petstore",
        "upstream": {
            "targets": [{ "url": format!("{}/v1", upstream.url()) }],
            "sandbox": [{ "url": sandbox.url() }],
            "timeouts": { "connect": "500ms", "response": "2s" },
            "auth": { "header": "X-Gateway-Secret", "value_env": "SECRET" },
        },
        "api_key": { "header": "X-API-Key", "query": "api_key" },
    });
    merge(&mut spec, &wish.api);
    let operation = |key: &str, method: &str, path: &str| OperationRecord {
        key: key.to_owned(),
        method: method.to_owned(),
        path_key: path.to_owned(),
    };
    ApiRecord {
        id: API,
        spec: serde_json::from_value(spec).unwrap(),
        operations: vec![
            operation("getPet", "GET", "/pets/{id}"),
            operation("search", "GET", "/search"),
            operation("tokens", "GET", "/tokens/{n}"),
        ],
        upstream_auth: master().seal(&upstream_auth_context(API), b"s3cret", [9; 24]).ok(),
    }
}

pub(crate) fn plan(limits: &Value) -> PlanVersionRecord {
    PlanVersionRecord {
        id: PLAN,
        plan: PlanId::from_bits(4),
        product: PRODUCT,
        name: "pro".to_owned(),
        version: 1,
        limits: serde_json::from_value(limits.clone()).unwrap(),
        priced: Vec::new(),
    }
}

pub(crate) fn subscription(status: SubscriptionStatus) -> SubscriptionRecord {
    let anchor: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    serde_json::from_value(json!({
        "id": SUBSCRIPTION,
        "plan_version": PLAN,
        "status": status,
        "cycle": UsageCycle::utc_months().record(),
        "created_at": anchor,
    }))
    .unwrap()
}

pub(crate) fn consumer(number: u128, status: ConsumerStatus, subscriptions: Vec<SubscriptionRecord>) -> ConsumerRecord {
    ConsumerRecord {
        id: ConsumerId::from_bits(number),
        name: format!("acme-{number}"),
        account: AccountId::from_bits(5),
        status,
        subscriptions,
    }
}

/// Key `number` belongs to the consumer.
pub(crate) fn key_record(number: u8, consumer: u128) -> KeyRecord {
    KeyRecord {
        id: CredentialId::from_bits(u128::from(number)),
        hash: key(number).hash(),
        mode: key(number).mode(),
        consumer: ConsumerId::from_bits(consumer),
        products: Vec::new(),
        expires_at: None,
        revoked: false,
    }
}

fn changes(wish: &Wish, upstream: &Upstream, sandbox: &Upstream) -> Vec<Change> {
    let mut changes = vec![
        Change::UpsertApi(Box::new(api(wish, upstream, sandbox))),
        Change::UpsertProduct(ProductRecord {
            id: PRODUCT,
            name: "petstore".to_owned(),
            apis: vec![API],
            priority: 100,
        }),
        Change::UpsertPlanVersion(plan(&wish.limits)),
        Change::UpsertConsumer(consumer(
            6,
            ConsumerStatus::Active,
            vec![subscription(SubscriptionStatus::Active)],
        )),
        Change::UpsertKey(key_record(1, 6)),
        Change::UpsertKey(key_record(129, 6)),
    ];
    if wish.anonymous {
        changes.push(Change::UpsertAnonymous(AnonymousRecord {
            api: API,
            plan_version: PLAN,
            by: domain::config::AnonymousBy::Ip,
        }));
    }
    let meters = wish
        .meters
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(number, spec)| {
            let id = MeterId::from_bits(number as u128 + 1);
            Change::UpsertMeter(MeterRecord {
                id,
                spec: serde_json::from_value(spec.clone()).unwrap(),
            })
        });
    changes.extend(meters);
    changes
}

impl World {
    /// Publishes changes as the next revision.
    pub(crate) fn change(&self, changes: impl IntoIterator<Item = Change>) {
        let mut current = self.current.lock().unwrap();
        *current = compile(Some(&current), changes, current.revision() + 1, &master()).unwrap();
        self.publisher.publish(current.clone());
    }

    pub(crate) fn connect(&self) -> Conn {
        Conn::open(self.running.local_addr())
    }

    /// One request on a connection of its own, with key 1.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[("X-API-Key", key(1).reveal())])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect().get(path, headers)
    }

    /// All records that are in the journal now.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut reader = self.journal.reader();
        let mut records = Vec::new();
        for producer in self.journal.producers() {
            let mut next = 0;
            while let Some(batch) = reader.read_from(producer.producer, next, 1 << 20).unwrap() {
                records.extend(batch.records().map(|(_, payload)| Record::decode(payload).unwrap()));
                next = batch.next_seq();
            }
        }
        records
    }

    /// All facts of requests that are in the journal now.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let facts = self.records().into_iter().filter_map(|record| match record {
            Record::Fact(fact) => Some(*fact),
            _ => None,
        });
        facts.collect()
    }

    /// The fact of an answer, which must be there by now.
    pub(crate) fn fact_of(&self, reply: &Reply) -> Fact {
        let id = reply.header("x-request-id").expect("no request id");
        let mut facts = self.facts().into_iter().filter(|fact| fact.request_id == id);
        let fact = facts.next().unwrap_or_else(|| panic!("no fact of {reply:?}"));
        assert!(facts.next().is_none(), "two facts of {id}");
        fact
    }

    /// What `/.tollgate/usage` says of the first subscription's limit.
    pub(crate) fn used(&self, limit: &str) -> Value {
        let usage = self.get("/.tollgate/usage");
        assert_eq!(usage.status, 200, "{usage:?}");
        let usage = usage.json();
        let limits = usage["subscriptions"][0]["limits"].as_array().unwrap();
        limits
            .iter()
            .find(|known| known["limit"] == limit)
            .unwrap_or_else(|| panic!("{usage}"))["used"]
            .clone()
    }
}

/// Waits until something holds; fails after five seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(5), "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
    started.elapsed()
}
