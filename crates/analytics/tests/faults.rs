//! What happens to insertions into ClickHouse, and that each ends with raw facts = roll-ups = what the ledger accepted.
//!
//! Each protection has a control run without it, in which the same fault must count something twice: a fault that harms
//! nobody proves nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/world.rs"]
mod world;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use analytics::testing::{Server, clickhouse, settings};
use analytics::{Analytics, Batch, Error, Settings, open};
use proxy::{Fault, Proxy};
use tokio::sync::Notify;
use world::{Chance, batches, stored, total};

/// The look and the token.
fn protected() -> Settings {
    settings()
}

/// Neither.
fn unprotected() -> Settings {
    Settings {
        blind: true,
        remembered: 0,
        ..settings()
    }
}

fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("faults_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn fresh(server: &Server, settings: &Settings) -> Analytics {
    open(&server.url(&name()), settings).await.unwrap()
}

/// As metering does: the same batch until it is in.
async fn until_in(analytics: &Analytics, batch: &Batch) -> u32 {
    for attempt in 1..200 {
        match analytics.insert(std::slice::from_ref(batch)).await {
            Ok(()) => return attempt,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the batch never got in");
}

async fn is_exact(analytics: &Analytics, batches: &[Batch]) -> bool {
    stored(analytics).await.is_ok_and(|stored| stored == total(batches))
}

#[tokio::test]
async fn a_batch_that_comes_again_adds_nothing_even_when_its_token_is_forgotten() {
    let Some(server) = clickhouse() else { return };
    let all = batches(&mut Chance(1), 1, 6, 200);
    // What protects, the insertions that the server remembers, whether it is exact.
    for (blind, remembered, exact) in [
        (false, 2, true),
        (false, 10_000, true),
        (true, 10_000, true),
        (true, 2, false),
        (true, 0, false),
    ] {
        let settings = Settings {
            blind,
            remembered,
            ..settings()
        };
        let analytics = fresh(server, &settings).await;
        analytics.insert(&all[..1]).await.unwrap();
        analytics.insert(&all[1..]).await.unwrap();
        analytics.insert(&all[..1]).await.unwrap();
        analytics.insert(&all[..2]).await.unwrap();
        assert_eq!(
            is_exact(&analytics, &all).await,
            exact,
            "blind {blind}, remembered {remembered}"
        );
    }
}

#[tokio::test]
async fn a_batch_is_one_part_of_the_table_that_decides() {
    let Some(server) = clickhouse() else { return };
    let database = name();
    let analytics = open(&server.url(&database), &protected()).await.unwrap();
    let all = batches(&mut Chance(2), 1, 3, 5_000);
    for batch in &all {
        analytics.insert(std::slice::from_ref(batch)).await.unwrap();
    }
    let sql =
        format!("SELECT max(max_block_number) FROM system.parts WHERE database = '{database}' AND table = 'rollup'");
    let client = ::clickhouse::Client::default().with_url(format!("http://127.0.0.1:{}", server.port()));
    assert_eq!(client.query(&sql).fetch_one::<i64>().await.unwrap(), 3);
    assert!(is_exact(&analytics, &all).await);
}

async fn with_lost_answer(server: &Server, settings: &Settings) -> bool {
    let proxy = Proxy::before(server.port()).await;
    let analytics = open(&server.url_at(proxy.port, &name()), settings).await.unwrap();
    let all = batches(&mut Chance(3), 1, 4, 120);
    for batch in &all {
        proxy.meet("rollup", Fault::AnswerLost);
        assert_eq!(until_in(&analytics, batch).await, 2);
    }
    assert_eq!(proxy.happened.load(Ordering::SeqCst), 4);
    is_exact(&analytics, &all).await
}

#[tokio::test]
async fn an_insertion_whose_answer_is_lost_counts_once() {
    let Some(server) = clickhouse() else { return };
    assert!(with_lost_answer(server, &protected()).await);
    assert!(
        !with_lost_answer(server, &unprotected()).await,
        "the control run was exact"
    );
}

async fn with_late_arrival(server: &Server, settings: &Settings) -> bool {
    let proxy = Proxy::before(server.port()).await;
    let analytics = open(&server.url_at(proxy.port, &name()), settings).await.unwrap();
    let all = batches(&mut Chance(4), 1, 2, 120);
    for batch in &all {
        let go = Arc::new(Notify::new());
        proxy.meet("rollup", Fault::Late(go.clone()));
        assert_eq!(until_in(&analytics, batch).await, 2);
        go.notify_one();
        proxy.arrived.notified().await;
    }
    is_exact(&analytics, &all).await
}

#[tokio::test]
async fn an_insertion_that_arrives_after_its_repetition_counts_once() {
    let Some(server) = clickhouse() else { return };
    assert!(with_late_arrival(server, &protected()).await);
    // The look cannot see what is still under way: here it is the token that protects.
    let forgetful = Settings {
        remembered: 0,
        ..settings()
    };
    assert!(
        !with_late_arrival(server, &forgetful).await,
        "the control run was exact"
    );
}

#[tokio::test]
async fn facts_without_their_roll_ups_are_made_good_by_whoever_comes_next() {
    let Some(server) = clickhouse() else { return };
    let proxy = Proxy::before(server.port()).await;
    let database = name();
    let analytics = open(&server.url_at(proxy.port, &database), &protected()).await.unwrap();
    let all = batches(&mut Chance(5), 1, 3, 150);
    analytics.insert(&all[..2]).await.unwrap();
    proxy.meet("rollup", Fault::Refused);
    assert!(analytics.insert(&all[2..]).await.unwrap_err().is_retryable());
    // The control: in this state raw facts and roll-ups do differ.
    assert!(!is_exact(&analytics, &all).await);
    let next = open(&server.url(&database), &protected()).await.unwrap();
    next.insert(&all[2..]).await.unwrap();
    assert!(is_exact(&next, &all).await);
}

async fn killed_before_its_answer(server: &Arc<Server>, settings: &Settings) -> bool {
    let proxy = Proxy::before(server.port()).await;
    let analytics = open(&server.url_at(proxy.port, &name()), settings).await.unwrap();
    let all = batches(&mut Chance(6), 1, 3, 150);
    for batch in &all {
        proxy.meet("rollup", Fault::KilledAfter(server.clone()));
        assert!(until_in(&analytics, batch).await >= 2);
    }
    assert_eq!(proxy.happened.load(Ordering::SeqCst), 3);
    is_exact(&analytics, &all).await
}

async fn killed_at_random(server: &Arc<Server>, seed: u64) {
    let analytics = fresh(server, &protected()).await;
    let all = batches(&mut Chance(seed), 1, 30, 60);
    let done = Arc::new(AtomicBool::new(false));
    let killer = {
        let (server, done, mut chance) = (server.clone(), done.clone(), Chance(seed));
        std::thread::spawn(move || {
            let mut kills = 0;
            // A few: on a busy machine insertions must get in between them.
            while !done.load(Ordering::SeqCst) && kills < 6 {
                std::thread::sleep(Duration::from_millis(300 + chance.below(900)));
                server.kill_and_start();
                kills += 1;
            }
            kills
        })
    };
    let mut attempts = 0;
    for batch in &all {
        attempts += until_in(&analytics, batch).await;
    }
    done.store(true, Ordering::SeqCst);
    let kills = tokio::task::spawn_blocking(move || killer.join().unwrap())
        .await
        .unwrap();
    println!(
        "seed {seed}: {kills} kills, {attempts} attempts for {} batches",
        all.len()
    );
    assert!(kills >= 1);
    assert!(is_exact(&analytics, &all).await, "{:?}", stored(&analytics).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_insertions_loses_nothing_and_counts_nothing_twice() {
    let Some(server) = Server::start() else { return };
    let server = Arc::new(server);
    assert!(killed_before_its_answer(&server, &protected()).await);
    assert!(
        !killed_before_its_answer(&server, &unprotected()).await,
        "the control run was exact"
    );
    killed_at_random(&server, 20_261_121).await;
}

const URL: &str = "TOLLGATE_TEST_CHILD_URL";
const FROM: &str = "TOLLGATE_TEST_CHILD_FROM";
const BLIND: &str = "TOLLGATE_TEST_CHILD_BLIND";
const OF_CHILD: u64 = 16;

fn of_child() -> Vec<Batch> {
    batches(&mut Chance(7), 9, OF_CHILD, 50)
}

/// Not a test of its own: the process of metering that another test starts and kills. It says which batch is about to be
/// marked as done.
#[tokio::test]
async fn metering_as_a_process_of_its_own() {
    let Ok(url) = std::env::var(URL) else { return };
    let settings = if std::env::var(BLIND).is_ok() {
        unprotected()
    } else {
        protected()
    };
    let from: usize = std::env::var(FROM).unwrap().parse().unwrap();
    let analytics = open(&url, &settings).await.unwrap();
    for (number, batch) in of_child().iter().enumerate().skip(from) {
        analytics.insert(std::slice::from_ref(batch)).await.unwrap();
        println!("\nin {number}");
    }
}

/// Runs metering from a batch on and kills it when `stop` says so of the last batch that it named; how many were in.
fn run_child(url: &str, from: usize, blind: bool, stop: impl Fn(usize) -> bool) -> usize {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "metering_as_a_process_of_its_own", "--nocapture"])
        .env(URL, url)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if blind {
        command.env(BLIND, "1");
    }
    let mut child = command.spawn().unwrap();
    let mut reached = from;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(number) = line
            .unwrap()
            .strip_prefix("in ")
            .map(|text| text.parse::<usize>().unwrap())
        else {
            continue;
        };
        reached = number + 1;
        if stop(number) {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    reached
}

/// The ledger marks a batch done after it is in; what it noted before a kill comes again: here the last two.
async fn killed_and_continued(server: &Server, blind: bool) -> bool {
    let settings = if blind { unprotected() } else { protected() };
    let database = name();
    let url = server.url(&database);
    let analytics = open(&url, &settings).await.unwrap();
    let (mut from, mut runs) = (0, 0);
    let exact = tokio::task::spawn_blocking(move || {
        loop {
            let reached = run_child(&url, from, blind, |number| number == from + 4);
            runs += 1;
            if reached >= usize::try_from(OF_CHILD).unwrap() {
                return runs;
            }
            from = reached.saturating_sub(2);
        }
    });
    assert!(exact.await.unwrap() >= 4, "too few kills");
    is_exact(&analytics, &of_child()).await
}

#[tokio::test]
async fn metering_killed_before_it_marked_a_batch_done_repeats_it_without_harm() {
    let Some(server) = clickhouse() else { return };
    assert!(killed_and_continued(server, false).await);
    assert!(!killed_and_continued(server, true).await, "the control run was exact");
}

#[tokio::test]
async fn two_processes_that_insert_the_same_batches_at_once_count_them_once() {
    let Some(server) = clickhouse() else { return };
    for (settings, exact) in [(protected(), true), (unprotected(), false)] {
        let url = server.url(&name());
        let (one, two) = (
            open(&url, &settings).await.unwrap(),
            open(&url, &settings).await.unwrap(),
        );
        let all = batches(&mut Chance(8), 3, 12, 60);
        let insert = async |analytics: &Analytics| {
            for batch in &all {
                analytics.insert(std::slice::from_ref(batch)).await.unwrap();
            }
        };
        tokio::join!(insert(&one), insert(&two));
        assert_eq!(is_exact(&one, &all).await, exact);
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_no_reason_not_to_start_and_says_no_password() {
    let Some(server) = clickhouse() else { return };
    let proxy = Proxy::before(server.port()).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let analytics = open(&server.url_at(closed, "nobody"), &protected()).await.unwrap();
    let error = analytics.insert(&batches(&mut Chance(9), 1, 1, 20)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    for text in [format!("{error} {error:?}"), format!("{analytics:?}")] {
        assert!(!text.contains("not-shown"), "{text}");
    }
    let error = open("clickhouse+http://u:not-shown@127.0.0.1:1/a-b", &protected())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Url { .. }) && !error.to_string().contains("not-shown"));
    // It comes back: the same value works, and makes its tables then.
    let later = open(&server.url_at(proxy.port, &name()), &protected()).await.unwrap();
    later.insert(&batches(&mut Chance(9), 1, 1, 20)).await.unwrap();
}

#[tokio::test]
async fn a_question_beyond_its_limits_is_refused_by_name() {
    let Some(server) = clickhouse() else { return };
    let database = name();
    let all = batches(&mut Chance(10), 1, 1, 20_000);
    let analytics = open(&server.url(&database), &protected()).await.unwrap();
    analytics.insert(&all).await.unwrap();
    let poor = Settings {
        query_memory: 200_000,
        ..protected()
    };
    let poor = open(&server.url(&database), &poor).await.unwrap();
    let error = world::query(world::START, world::START + 86_400_000, analytics::Interval::Minute);
    let error = poor.usage(&error, &world::billable).await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { what: "memory" }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn the_server_deletes_facts_past_their_evidence_days_by_itself_and_a_purge_that_keeps_more_tells_it() {
    let Some(server) = clickhouse() else { return };
    let database = name();
    let short = Settings {
        evidence_days: 100,
        ..settings()
    };
    let analytics = open(&server.url(&database), &short).await.unwrap();
    let client = ::clickhouse::Client::default().with_url(format!("http://127.0.0.1:{}", server.port()));
    let ttl = async |days: &str| {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = '{database}' AND table IN ('fact', 'sample', 'rollup')
             AND position(create_table_query, 'toIntervalDay({days})') > 0"
        );
        client.query(&sql).fetch_one::<u64>().await.unwrap()
    };
    assert_eq!(ttl("100").await, 3);
    // The facts of this world are older than that.
    let all = batches(&mut Chance(11), 1, 1, 300);
    analytics.insert(&all).await.unwrap();
    client
        .query(&format!("OPTIMIZE TABLE {database}.fact FINAL"))
        .execute()
        .await
        .unwrap();
    let count = format!("SELECT count() FROM {database}.fact");
    assert_eq!(client.query(&count).fetch_one::<u64>().await.unwrap(), 0);
    // A year is in force somewhere: what a purge keeps, the server keeps.
    let days: i64 = client
        .query("SELECT toInt64(dateDiff('day', toDateTime(0), now()))")
        .fetch_one()
        .await
        .unwrap();
    let before = domain::clock::Timestamp::from_millis((days - 465) * 86_400_000);
    analytics.purge(before).await.unwrap();
    assert_eq!(ttl("466").await, 3);
}
