//! Who may count a partition: rebalances, and readers that were paused through one.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use journal::{Producer, Writer};
use tempfile::TempDir;
use usage_source::kafka::{KafkaSource, Settings};
use usage_source::testing::{Broker, unique_topic};
use usage_source::{Again, Changes, Delivery, Ends, Error, ProducerId, ReadAgain, Span, UsageSource};

use crate::world::{Books, Node, PATIENCE, write};

const ROOM: u64 = 512 << 20;
/// So many producers that every partition has some.
const WORKERS: u32 = 30;

/// Holds a reader between what it has read and its commit.
#[derive(Default)]
struct Gate {
    reached: AtomicBool,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        self.reached.store(true, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        let (open, _) = self.opened.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap();
        assert!(*open, "the gate stayed shut");
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A source whose reader stops at a gate before each commit; its membership in the group goes on.
struct Stalled {
    inner: KafkaSource,
    gate: Arc<Gate>,
}

impl UsageSource for Stalled {
    fn log(&self) -> Option<&str> {
        self.inner.log()
    }
    fn changes(&mut self) -> Changes {
        self.inner.changes()
    }
    fn begin(&mut self, partition: u32, offset: u64) {
        self.inner.begin(partition, offset);
    }
    fn give_up(&mut self, partition: u32) {
        self.inner.give_up(partition);
    }
    fn rewind(&mut self) {
        self.inner.rewind();
    }
    fn resume(&mut self, producer: ProducerId, next_seq: u64) {
        self.inner.resume(producer, next_seq);
    }
    fn next_batch(&mut self) -> Result<Option<Delivery>, Error> {
        self.inner.next_batch()
    }
    fn spans(&self) -> Vec<Span> {
        self.inner.spans()
    }
    fn partition_of(&self, producer: ProducerId) -> Option<u32> {
        self.inner.partition_of(producer)
    }
    fn committed(&mut self) {
        self.inner.committed();
    }
    fn producers(&self) -> Vec<Producer> {
        self.inner.producers()
    }
    fn ends(&mut self) -> Ends {
        self.inner.ends()
    }
    fn lag(&self, counted: &dyn Fn(ProducerId) -> u64) -> u64 {
        self.inner.lag(counted)
    }
    fn read_again(&self, again: Again) -> ReadAgain {
        self.inner.read_again(again)
    }
    fn secure(&self) -> Option<Box<dyn FnOnce() -> bool + Send>> {
        let gate = Arc::clone(&self.gate);
        Some(Box::new(move || {
            gate.pass();
            true
        }))
    }
    fn ack(&mut self, producer: ProducerId, next_seq: u64) -> Result<(), Error> {
        self.inner.ack(producer, next_seq)
    }
    fn arm(&self) {
        self.inner.arm();
    }
    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.inner.on_ready(wake);
    }
}

/// Many producers with some facts each, in the topic.
fn filled(settings: &Settings, dir: &TempDir) -> (Node, Vec<Writer>, u64) {
    let node = Node::start(dir.path(), settings, ROOM);
    let mut writers: Vec<Writer> = (0..WORKERS)
        .map(|worker| node.journal.writer(worker).unwrap())
        .collect();
    let mut written = 0;
    for (at, writer) in (0..).zip(&mut writers) {
        written += write(writer, at * 1_000..at * 1_000 + 50);
    }
    node.shipped();
    (node, writers, written)
}

/// A reader that has read everything and waits at the gate, while another one counts the partitions that it lost.
async fn overtaken(books: &Books, settings: &Settings) -> (Arc<Gate>, [crate::world::Meter; 2]) {
    let gate = Arc::new(Gate::default());
    let paused = books.meter(Stalled {
        inner: KafkaSource::open(settings.clone()).unwrap(),
        gate: Arc::clone(&gate),
    });
    books
        .until("the gate", async || gate.reached.load(Ordering::SeqCst))
        .await;
    assert_eq!(books.ledger().await, 0);
    let other = books.meter_topic(settings);
    books.until("the other's part", async || books.ledger().await > 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    (gate, [paused, other])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lost_its_partitions_before_its_commit_counts_nothing_of_them() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("overtaken"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let (node, writers, written) = filled(&settings, &dir);
    let (gate, meters) = overtaken(&books, &settings).await;
    let before = books.ledger().await;
    assert!(before < written, "the other one has all of it, so nobody was overtaken");
    gate.open();
    books.counted(written).await;
    assert_eq!(books.missing().await, 0);
    let rows = books.store.usage_positions(&settings.topic).await.unwrap();
    assert!(rows.iter().any(|row| row.owner_epoch > 1), "{rows:?}");
    drop((meters, writers, node));

    // The control: were positions and epochs not compared. They are set back to what the paused reader has read.
    let settings = broker.settings(&unique_topic("overtaken-control"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let (node, writers, written) = filled(&settings, &dir);
    let (gate, meters) = overtaken(&books, &settings).await;
    for statement in [
        "UPDATE usage_position SET next_offset = 0, owner_epoch = 1",
        "UPDATE producer SET next_seq = 0",
    ] {
        books.store.ledger.execute(statement, Vec::new()).await.unwrap();
    }
    gate.open();
    books
        .until("records that are counted twice", async || {
            books.ledger().await > written
        })
        .await;
    drop((meters, writers, node));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_share_the_partitions_and_those_of_one_that_goes_are_taken_over() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("shared"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let (node, mut writers, mut written) = filled(&settings, &dir);
    let sources: Vec<_> = (0..2).map(|_| KafkaSource::open(settings.clone()).unwrap()).collect();
    let watches: Vec<_> = sources.iter().map(KafkaSource::watch).collect();
    let mut meters: Vec<_> = sources.into_iter().map(|source| books.meter(source)).collect();
    books
        .until("a fair share", async || {
            let held: Vec<usize> = watches.iter().map(|watch| watch.status().partitions.len()).collect();
            held.iter().sum::<usize>() == 3 && !held.contains(&0)
        })
        .await;
    for (at, writer) in (0..).zip(&mut writers) {
        written += write(writer, at * 1_000 + 50..at * 1_000 + 100);
    }
    // Whoever is asked waits for what the other one counts, too.
    node.shipped();
    meters[0].metering.currency().caught_up().await.unwrap();
    assert_eq!(books.ledger().await, written);
    drop(meters.pop());
    for (at, writer) in (0..).zip(&mut writers) {
        written += write(writer, at * 1_000 + 100..at * 1_000 + 150);
    }
    books.counted(written).await;
    assert_eq!(
        (watches[0].status().partitions, books.missing().await),
        (vec![0, 1, 2], 0)
    );
    drop(node);
}

const CHILD: &str = "TOLLGATE_TEST_METERING";

#[expect(
    clippy::disallowed_methods,
    reason = "a process of a test is told by its environment what it is"
)]
fn told() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// A process of its own for the test below; alone it does nothing.
#[test]
#[ignore = "started as a process by another test"]
fn a_metering_process() {
    let Some(told) = told() else { return };
    let mut words = told.split('|');
    let (dir, port, topic) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let settings = usage_source::testing::settings(port.parse().unwrap(), topic);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = PathBuf::from(dir);
        let store = store::Store::open(&store::Location::Directory(dir.clone()))
            .await
            .unwrap();
        let analytics = analytics::Analytics::embedded(&dir.join("child.db")).await.unwrap();
        let _metering = metering::Metering::start(metering::Parts {
            store,
            analytics,
            source: KafkaSource::open(settings).unwrap(),
            clock: domain::clock::Clock::system(),
        });
        std::future::pending::<()>().await;
    });
}

struct Process(Child);

impl Process {
    fn start(books: &Books, port: &str, topic: &str) -> Self {
        let told = format!("{}|{port}|{topic}", books.dir.path().display());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owners::a_metering_process", "--ignored", "--nocapture"])
            .env(CHILD, told)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, signal: &str) {
        let command = format!("kill {signal} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.unwrap().success());
    }

    /// Stops it at a moment at which it does not hold the books: nobody could count then, and nobody doubles anything.
    async fn stop_between_commits(&self, books: &Books) {
        loop {
            self.signal("-STOP");
            let free = tokio::time::timeout(Duration::from_secs(2), books.store.ledger.write()).await;
            if let Ok(Ok(transaction)) = free {
                transaction.rollback().await.unwrap();
                return;
            }
            self.signal("-CONT");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_stopped_through_a_rebalance_and_goes_on_doubles_nothing() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("stopped"));
    let port = settings.brokers[0].rsplit(':').next().unwrap().to_owned();
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let (node, mut writers, mut written) = filled(&settings, &dir);
    let process = Process::start(&books, &port, &settings.topic);
    books
        .until("the process to count", async || books.ledger().await >= written)
        .await;
    let here = KafkaSource::open(settings.clone()).unwrap();
    let watch = here.watch();
    let meter = books.meter(here);
    books
        .until("a share here", async || !watch.status().partitions.is_empty())
        .await;
    let mut id = 50;
    for round in 0..3 {
        for step in 0..40 {
            for (at, writer) in (0..).zip(&mut writers) {
                written += write(writer, at * 1_000_000 + id..at * 1_000_000 + id + 1);
            }
            id += 1;
            if step == 10 {
                process.stop_between_commits(&books).await;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        books
            .until("the partitions to be taken over", async || {
                watch.status().partitions.len() == 3
            })
            .await;
        tokio::time::sleep(Duration::from_millis(200 * round)).await;
        process.signal("-CONT");
        books
            .until("the process to come back", async || watch.status().partitions.len() < 3)
            .await;
    }
    books.until("all of it", async || books.ledger().await >= written).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((books.ledger().await, books.missing().await), (written, 0));
    drop((process, meter, node));
}
