//! Both engines give the same answers to every question, whatever came in and in whatever order.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/world.rs"]
mod world;

use analytics::testing::{Engines, clickhouse};
use analytics::{Analytics, Batch, Cursor, Dimension, Evidence, Interval, RecentFilter, StoredFact, UsageQuery};
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, SubscriptionId};
use domain::key::Mode;
use world::{Chance, DAY, START, batches, billable, everything, query};

const INTERVALS: [Interval; 5] = [
    Interval::Minute,
    Interval::Hour,
    Interval::Day,
    Interval::Month,
    Interval::Whole,
];

struct Pair {
    embedded: Analytics,
    clickhouse: Analytics,
    /// The file is in a directory that goes with it.
    _files: Engines,
}

/// `None` where ClickHouse is not installed; the suite is named as skipped then.
async fn pair(directory: tempfile::TempDir) -> Option<Pair> {
    let server = clickhouse()?;
    let files = Engines::Files(directory);
    Some(Pair {
        embedded: files.make().await,
        clickhouse: Engines::Databases(server).make().await,
        _files: files,
    })
}

impl Pair {
    async fn insert(&self, batches: &[Batch]) {
        self.embedded.insert(batches).await.unwrap();
        self.clickhouse.insert(batches).await.unwrap();
    }

    async fn same_usage(&self, query: &UsageQuery) -> usize {
        let embedded = self.embedded.usage(query, &billable).await.unwrap();
        let clickhouse = self.clickhouse.usage(query, &billable).await.unwrap();
        assert_eq!(embedded, clickhouse, "{query:?}");
        embedded.len()
    }
}

fn ranges(chance: &mut Chance) -> Vec<(i64, i64)> {
    let mut any = || START + i64::try_from(chance.below(3 * 86_400_000)).unwrap();
    let (a, b, c) = (any(), any(), any());
    vec![
        (START, START + 3 * DAY),
        (a.min(b), a.max(b)),
        (c, c + 30_000),
        (START + DAY, START + 2 * DAY),
    ]
}

async fn usage_is_the_same(pair: &Pair, chance: &mut Chance) {
    let mut rows = 0;
    for (from, to) in ranges(chance) {
        for interval in INTERVALS {
            let mut plain = query(from, to, interval);
            plain.meter = chance.of(&["requests", "tokens", "images", "none"]).to_owned();
            rows += pair.same_usage(&plain).await;
        }
        for dimension in Dimension::ALL {
            let mut grouped = query(from, to, chance.of(&INTERVALS));
            grouped.meter = chance.of(&["requests", "tokens"]).to_owned();
            grouped.group_by = vec![*dimension, chance.of(Dimension::ALL)];
            grouped.group_by.dedup();
            rows += pair.same_usage(&grouped).await;
        }
    }
    assert!(rows > 1_000, "{rows} rows are no comparison");
}

async fn filters_are_the_same(pair: &Pair, chance: &mut Chance) {
    let values = [
        (Dimension::Account, AccountId::from_bits(1).to_string()),
        (Dimension::Consumer, ConsumerId::from_bits(2).to_string()),
        (Dimension::Subscription, SubscriptionId::from_bits(5).to_string()),
        (Dimension::Credential, "none' OR 1=1 --".to_owned()),
        (Dimension::Api, "pets".to_owned()),
        (Dimension::Operation, "op1".to_owned()),
        (Dimension::Method, "POST".to_owned()),
        (Dimension::Plan, "p/pro's \"best\\".to_owned()),
        (Dimension::Plan, "p/größer?".to_owned()),
        (Dimension::Status, "404".to_owned()),
        (Dimension::Account, String::new()),
        (Dimension::Api, String::new()),
    ];
    for (dimension, value) in &values {
        let ranges = ranges(chance);
        let (from, to) = chance.of(&ranges);
        for (from, to) in [(START, START + 3 * DAY), (from, to)] {
            let mut one = query(from, to, chance.of(&INTERVALS));
            one.filter.insert(*dimension, value.clone());
            one.filter.extend(if chance.below(3) == 0 {
                Some((Dimension::Operation, "op2".to_owned()))
            } else {
                None
            });
            one.group_by = vec![chance.of(Dimension::ALL)];
            pair.same_usage(&one).await;
        }
    }
}

async fn walk(analytics: &Analytics, filter: &analytics::EventFilter) -> Vec<StoredFact> {
    let (mut facts, mut after): (Vec<StoredFact>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = analytics.events(filter, after, 83).await.unwrap();
        facts.extend(page.items);
        after = page.next;
        if after.is_none() {
            return facts;
        }
    }
}

/// Lists, counts and single facts; how many facts there are.
async fn facts_are_the_same(pair: &Pair) -> usize {
    let mut facts = 0;
    for mode in [Mode::Live, Mode::Test] {
        let all = everything(mode);
        let some = analytics::EventFilter {
            from: Timestamp::from_millis(START + DAY / 3),
            account: Some(AccountId::from_bits(1)),
            ..all.clone()
        };
        let one = analytics::EventFilter {
            consumer: Some(ConsumerId::from_bits(0)),
            subscription: Some(SubscriptionId::from_bits(1)),
            ..all.clone()
        };
        for filter in [all, some, one] {
            let embedded = walk(&pair.embedded, &filter).await;
            assert_eq!(embedded, walk(&pair.clickhouse, &filter).await, "{filter:?}");
            let counts = pair.embedded.raw_count(&filter, &billable).await.unwrap();
            assert_eq!(counts, pair.clickhouse.raw_count(&filter, &billable).await.unwrap());
            assert_eq!(counts.facts, embedded.len() as u64);
            facts = facts.max(embedded.len());
            for fact in embedded.iter().step_by(211) {
                let id = &fact.fact.request_id;
                let found = pair.embedded.request(id).await.unwrap();
                assert!(found.contains(fact));
                assert_eq!(found, pair.clickhouse.request(id).await.unwrap());
                let found = pair.clickhouse.fact(fact.producer, fact.seq).await.unwrap();
                assert_eq!(found.as_ref(), Some(fact));
            }
        }
    }
    facts
}

async fn drill_downs_are_the_same(pair: &Pair, batches: &[Batch]) {
    let mut found = 0;
    for subscription in 0..8 {
        let evidence = Evidence {
            subscription: SubscriptionId::from_bits(subscription),
            period_start: Timestamp::from_millis(START),
            segment: if subscription % 2 == 0 { Some(0) } else { None },
            meter: if subscription % 3 == 0 { "tokens" } else { "requests" }.to_owned(),
            after_commit: 1,
            through_commit: 5,
        };
        let mut after = None;
        loop {
            let embedded = pair.embedded.evidence(&evidence, &billable, after, 20).await.unwrap();
            let clickhouse = pair.clickhouse.evidence(&evidence, &billable, after, 20).await.unwrap();
            assert_eq!(embedded, clickhouse);
            found += embedded.items.len();
            after = embedded.next;
            if after.is_none() {
                break;
            }
        }
    }
    assert!(found > 100, "{found}");
    for (status, path) in [(None, None), (Some((500, 599)), None), (None, Some("/3"))] {
        let filter = RecentFilter {
            consumers: (0..3).map(ConsumerId::from_bits).collect(),
            from: Timestamp::from_millis(START + 1_000),
            to: Timestamp::from_millis(START + 2 * DAY + 5),
            mode: Mode::Live,
            status,
            path: path.map(str::to_owned),
        };
        let mut before = None;
        loop {
            let embedded = pair.embedded.recent(&filter, before, 64).await.unwrap();
            assert_eq!(embedded, pair.clickhouse.recent(&filter, before, 64).await.unwrap());
            before = embedded.next;
            if before.is_none() {
                break;
            }
        }
    }
    let range = (Timestamp::from_millis(START), Timestamp::from_millis(START + 2 * DAY));
    for consumer in (0..4).map(ConsumerId::from_bits) {
        let embedded = pair.embedded.recent_rejections(consumer, range, 9).await.unwrap();
        assert_eq!(
            embedded,
            pair.clickhouse.recent_rejections(consumer, range, 9).await.unwrap()
        );
        assert!(!embedded.is_empty());
    }
    for (_, samples) in batches.iter().flat_map(|batch| &batch.samples).step_by(7) {
        let id = &samples[0].request_id;
        let embedded = pair.embedded.rejected_request(id).await.unwrap();
        assert_eq!(embedded, pair.clickhouse.rejected_request(id).await.unwrap());
        assert_eq!(embedded.len(), 1);
    }
}

/// Batches of a ledger that went back to an earlier commit: other bounds, other commits, what is in and what is new.
fn cut_anew(batches: &[Batch], every: usize) -> Vec<Batch> {
    let mut again = Vec::new();
    for pair in batches[1..].chunks(2) {
        let mut joined = pair[0].clone();
        for batch in &pair[1..] {
            joined.next_seq = batch.next_seq;
            joined.facts.extend(batch.facts.iter().cloned());
            joined.rejections.extend(batch.rejections.iter().cloned());
            joined.samples.extend(batch.samples.iter().cloned());
        }
        joined.ledger_commit = joined.ledger_commit.div_ceil(2) + 1;
        again.push(joined);
    }
    again.into_iter().step_by(every).collect()
}

#[tokio::test]
async fn both_engines_answer_every_question_alike() {
    let Some(pair) = pair(tempfile::tempdir().unwrap()).await else {
        return;
    };
    let seed = 20_261_121;
    println!("seed {seed}");
    let mut chance = Chance(seed);
    let first = batches(&mut chance, 1, 9, 150);
    let second = batches(&mut chance, 2, 6, 90);
    // One commit of several producers, a repetition, and a part that comes again with the rest.
    pair.insert(&[first[0].clone(), second[0].clone(), second[1].clone()])
        .await;
    pair.insert(&first[..4]).await;
    pair.insert(&second[1..]).await;
    usage_is_the_same(&pair, &mut chance).await;
    // The ledger is an older copy: it counts again, with other bounds and commits, and goes on.
    pair.insert(&cut_anew(&first, 1)).await;
    pair.insert(&cut_anew(&second, 2)).await;
    usage_is_the_same(&pair, &mut chance).await;
    filters_are_the_same(&pair, &mut chance).await;
    let before = facts_are_the_same(&pair).await;
    let all: Vec<Batch> = first.iter().chain(&second).cloned().collect();
    drill_downs_are_the_same(&pair, &all).await;
    for engine in [&pair.embedded, &pair.clickhouse] {
        assert_eq!(world::stored(engine).await.unwrap(), world::total(&all));
    }
    // Evidence of a day and a bit is over.
    let cut = Timestamp::from_millis(START + DAY + DAY / 3 + 77);
    assert!(pair.embedded.purge(cut).await.unwrap() > 0);
    assert!(pair.clickhouse.purge(cut).await.unwrap() > 0);
    assert!(facts_are_the_same(&pair).await < before);
    usage_is_the_same(&pair, &mut chance).await;
    assert_eq!(pair.clickhouse.purge(cut).await.unwrap(), 0);
}
