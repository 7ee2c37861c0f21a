//! The thread that is a member of the consumer group: it fetches what the ledger says, and no sooner.
//!
//! When the group gives it partitions it asks, through [`Shared`], where the ledger stands with them, and begins to fetch
//! when it is told. What is fetched and not yet taken is bounded: beyond that, partitions pause.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::Settings;
use super::context::{self, Trouble};
use super::wire::{self, Message, Unread};
use crate::source::End;

/// What may be fetched and not yet taken.
const AHEAD: usize = 16 << 20;
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(50);
/// How long brokers may take to say where a partition ends.
const ASK: Duration = Duration::from_secs(2);
/// How often the ends are looked at for the lag.
const MEASURE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A message that was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) bytes: usize,
    /// Its content, or why it cannot be read and what it is.
    pub(super) content: Result<Message, (Unread, Vec<u8>)>,
}

impl Fetched {
    pub(super) fn records(&self) -> u64 {
        match &self.content {
            Ok(Message {
                content: wire::Content::Records(batch),
                ..
            }) => batch.len() as u64,
            _ => 0,
        }
    }
}

/// What passes between the thread and the source.
#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Fetched>,
    pub(super) bytes: usize,
    /// Partitions that were given to this member and wait for their position.
    pub(super) asked: Vec<u32>,
    /// Partitions that are no longer this member's.
    pub(super) revoked: Vec<u32>,
    /// Positions, as the ledger has them.
    pub(super) granted: BTreeMap<u32, u64>,
    /// What the ledger has committed since.
    pub(super) hints: BTreeMap<u32, u64>,
    pub(super) looks: Vec<oneshot::Sender<Vec<End>>>,
    /// Where partitions end, as the client last heard with what it fetched.
    highs: BTreeMap<u32, u64>,
    /// A broker was connected when the client last counted itself.
    connected: bool,
    /// Messages behind what was fetched, at the last look.
    pub(super) unfetched: u64,
}

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    pub(super) stop: AtomicBool,
    /// Leave the group and come back.
    pub(super) rejoin: AtomicBool,
    pub(super) trouble: Trouble,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
    }

    fn wake(&self) {
        for wake in self.wakes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }

    fn ends(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.rejoin.load(Ordering::Acquire)
    }
}

/// What librdkafka calls back.
struct Member {
    shared: Arc<Shared>,
    topic: String,
    /// Given by the group, and fetched when all of them have a position.
    waiting: Mutex<BTreeSet<u32>>,
    closing: AtomicBool,
}

impl Member {
    fn waiting(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<u32> {
        let ours = list.elements_for_topic(&self.topic).into_iter();
        ours.filter_map(|one| u32::try_from(one.partition()).ok()).collect()
    }

    fn given(&self, partitions: &[u32]) {
        self.waiting().extend(partitions);
        self.shared.state().asked.extend(partitions);
        self.shared.wake();
    }

    fn revoked(&self, partitions: &[u32]) {
        self.waiting().retain(|one| !partitions.contains(one));
        let mut state = self.shared.state();
        state.asked.retain(|one| !partitions.contains(one));
        state.granted.retain(|one, _| !partitions.contains(one));
        state.hints.retain(|one, _| !partitions.contains(one));
        state.queue.retain(|one| !partitions.contains(&one.partition));
        state.bytes = state.queue.iter().map(|one| one.bytes).sum();
        state.revoked.extend(partitions);
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        context::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.trouble.note(&format!("{error}: {reason}"));
    }

    /// What the client knows without asking: a question of ours would wait behind its fetches, once for each partition.
    fn stats(&self, statistics: Statistics) {
        let connected = statistics
            .brokers
            .values()
            .any(|one| one.nodeid >= 0 && one.state == "UP");
        let partitions = statistics
            .topics
            .get(&self.topic)
            .into_iter()
            .flat_map(|topic| &topic.partitions);
        let highs = partitions.filter_map(|(&partition, about)| {
            Some((u32::try_from(partition).ok()?, u64::try_from(about.hi_offset).ok()?))
        });
        let mut state = self.shared.state();
        state.highs.extend(highs);
        state.connected = connected;
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = self.partitions(list);
        let done = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                if partitions.is_empty() || self.closing.load(Ordering::Acquire) {
                    consumer.incremental_assign(&TopicPartitionList::new())
                } else {
                    tracing::info!(topic = self.topic, ?partitions, "partitions given");
                    self.given(&partitions);
                    Ok(())
                }
            }
            _ => {
                tracing::info!(topic = self.topic, ?partitions, "partitions taken");
                self.revoked(&partitions);
                unassign(consumer, list)
            }
        };
        if let Err(error) = done {
            self.shared.trouble.note(&error.to_string());
            self.shared.rejoin.store(true, Ordering::Release);
        }
    }
}

/// Gives those of `list` back that were fetched.
fn unassign(consumer: &BaseConsumer<Member>, list: &TopicPartitionList) -> KafkaResult<()> {
    let held = consumer.assignment()?;
    let mut back = TopicPartitionList::new();
    for one in list.elements() {
        if held.find_partition(one.topic(), one.partition()).is_some() {
            back.add_partition(one.topic(), one.partition());
        }
    }
    consumer.incremental_unassign(&back)
}

/// What the thread runs until it is stopped.
pub(super) fn run(shared: &Arc<Shared>, settings: &Settings) {
    let mut pause = FIRST_PAUSE;
    while !shared.stop.load(Ordering::Acquire) {
        shared.rejoin.store(false, Ordering::Release);
        let began = Instant::now();
        if let Err(error) = membership(shared, settings) {
            shared.trouble.note(&error.to_string());
        }
        if began.elapsed() > LAST_PAUSE * 2 {
            pause = FIRST_PAUSE;
        }
        let until = Instant::now() + pause;
        while Instant::now() < until && !shared.stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(20));
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

fn config(settings: &Settings) -> rdkafka::ClientConfig {
    let mut config = settings.client();
    config
        .set("group.id", &settings.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        // Where to begin is said for each partition; nothing is ever skipped because Kafka thinks so.
        .set("auto.offset.reset", "error")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000")
        .set("statistics.interval.ms", "2000")
        .set("queued.max.messages.kbytes", "16384");
    settings.overridden(config)
}

/// From joining the group to leaving it.
fn membership(shared: &Arc<Shared>, settings: &Settings) -> KafkaResult<()> {
    let member = Member {
        shared: Arc::clone(shared),
        topic: settings.topic.clone(),
        waiting: Mutex::default(),
        closing: AtomicBool::new(false),
    };
    let consumer: BaseConsumer<Member> = config(settings).create_with_context(member)?;
    consumer.subscribe(&[&settings.topic])?;
    let mut fetch = Fetch {
        consumer,
        shared,
        settings,
        paused: false,
        fetched: BTreeMap::new(),
        measured: None,
        withheld: false,
    };
    let outcome = fetch.run();
    let member = Arc::clone(fetch.consumer.context());
    member.closing.store(true, Ordering::Release);
    if !member.waiting().is_empty() {
        // The group waits for an answer before it lets go.
        let _ = fetch.consumer.incremental_assign(&TopicPartitionList::new());
    }
    drop(fetch);
    outcome
}

struct Fetch<'a> {
    consumer: BaseConsumer<Member>,
    shared: &'a Arc<Shared>,
    settings: &'a Settings,
    paused: bool,
    /// The offset after the last message that was fetched of each partition.
    fetched: BTreeMap<u32, u64>,
    measured: Option<Instant>,
    /// A partition is not fetched because it is not the one that the ledger counted.
    withheld: bool,
}

impl Fetch<'_> {
    fn run(&mut self) -> KafkaResult<()> {
        while !self.shared.ends() {
            self.answer_looks();
            self.begin_granted()?;
            self.hint();
            self.measure();
            self.pace()?;
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let fetched = read(&message);
                    self.shared.trouble.over();
                    self.fetched.insert(fetched.partition, fetched.offset + 1);
                    let mut state = self.shared.state();
                    state.bytes += fetched.bytes;
                    state.queue.push_back(fetched);
                    drop(state);
                    self.shared.wake();
                }
                Some(Err(error)) => self.judge(error)?,
            }
        }
        Ok(())
    }

    fn judge(&self, error: KafkaError) -> KafkaResult<()> {
        self.shared.trouble.note(&error.to_string());
        match error.rdkafka_error_code() {
            // What was to be fetched is gone: begin anew with what is left, and the ledger tells what is missing.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::Fatal) => {
                Err(error)
            }
            // The client goes on by itself.
            _ => Ok(()),
        }
    }

    /// Begins to fetch when every partition that was given has a position.
    fn begin_granted(&mut self) -> KafkaResult<()> {
        let member = Arc::clone(self.consumer.context());
        let positions = {
            let waiting = member.waiting();
            let mut state = self.shared.state();
            if waiting.is_empty() || !waiting.iter().all(|one| state.granted.contains_key(one)) {
                return Ok(());
            }
            std::mem::take(&mut state.granted)
        };
        let mut list = TopicPartitionList::new();
        for (&partition, &position) in &positions {
            if let Some(offset) = self.place(partition, position)? {
                let (number, start) = (
                    number(partition),
                    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)),
                );
                list.add_partition_offset(&self.settings.topic, number, start)?;
                self.fetched.insert(partition, offset);
            } else {
                self.withheld = true;
            }
        }
        member.waiting().clear();
        self.consumer.incremental_assign(&list)?;
        self.paused = false;
        Ok(())
    }

    /// Where fetching can begin; `None` when the topic is not the one that the ledger counted.
    fn place(&self, partition: u32, position: u64) -> KafkaResult<Option<u64>> {
        let (low, high) = self.watermarks(partition)?;
        if position > high {
            let topic = &self.settings.topic;
            self.shared.trouble.note(&format!(
                "partition {partition} of {topic} ends at {high}, but {position} of it are counted: the topic was made anew; \
                 give it another name in usage.url"
            ));
            return Ok(None);
        }
        if position < low {
            tracing::error!(partition, position, low, "messages expired before they were counted");
        }
        Ok(Some(position.max(low)))
    }

    fn watermarks(&self, partition: u32) -> KafkaResult<(u64, u64)> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.settings.topic, number(partition), ASK)?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// Tells whoever asked where the whole topic ends. Who gets no answer asks again.
    fn answer_looks(&self) {
        let looks = std::mem::take(&mut self.shared.state().looks);
        if looks.is_empty() {
            return;
        }
        match self.ends() {
            Ok(ends) => {
                for look in looks {
                    // Whoever asked may have gone.
                    let _ = look.send(ends.clone());
                }
                self.shared.wake();
            }
            Err(error) => self.shared.trouble.note(&error.to_string()),
        }
    }

    fn ends(&self) -> KafkaResult<Vec<End>> {
        let metadata = self.consumer.fetch_metadata(Some(&self.settings.topic), ASK)?;
        let all = metadata
            .topics()
            .iter()
            .flat_map(rdkafka::metadata::MetadataTopic::partitions);
        all.map(|one| {
            let partition = u32::try_from(one.id()).unwrap_or(0);
            let (_, offset) = self.watermarks(partition)?;
            Ok(End::Offset { partition, offset })
        })
        .collect()
    }

    /// Tells the group how far the ledger is, for tools that watch it.
    fn hint(&self) {
        for (partition, offset) in std::mem::take(&mut self.shared.state().hints) {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            if let Err(error) = self
                .consumer
                .store_offset(&self.settings.topic, number(partition), offset)
            {
                tracing::debug!(%error, partition, "committed offset not stored");
            }
        }
    }

    fn measure(&mut self) {
        if self.measured.is_some_and(|at| at.elapsed() < MEASURE) {
            return;
        }
        self.measured = Some(Instant::now());
        let held = self.consumer.assignment().unwrap_or_default();
        self.fetched
            .retain(|partition, _| held.find_partition(&self.settings.topic, number(*partition)).is_some());
        let mut state = self.shared.state();
        let behind = self.fetched.iter().map(|(partition, &next)| {
            let high = state.highs.get(partition).copied().unwrap_or(next);
            high.saturating_sub(next)
        });
        state.unfetched = behind.sum();
        let works = state.connected && !self.withheld;
        drop(state);
        if works {
            self.shared.trouble.over();
        }
    }

    /// Pauses while too much waits to be taken.
    fn pace(&mut self) -> KafkaResult<()> {
        let bytes = self.shared.state().bytes;
        if !self.paused && bytes > AHEAD {
            self.consumer.pause(&self.consumer.assignment()?)?;
            self.paused = true;
        } else if self.paused && bytes < AHEAD / 2 {
            self.consumer.resume(&self.consumer.assignment()?)?;
            self.paused = false;
        }
        Ok(())
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

pub(super) fn read(message: &BorrowedMessage<'_>) -> Fetched {
    let header = message
        .headers()
        .and_then(|headers| headers.iter().find(|one| one.key == wire::HEADER))
        .and_then(|header| header.value);
    let payload = message.payload().unwrap_or_default();
    let content = wire::read(message.key(), header, payload)
        .map_err(|unread| (unread, wire::keep(message.key(), header, payload)));
    Fetched {
        partition: u32::try_from(message.partition()).unwrap_or(0),
        offset: u64::try_from(message.offset()).unwrap_or(0),
        bytes: payload.len() + 64,
        content,
    }
}
