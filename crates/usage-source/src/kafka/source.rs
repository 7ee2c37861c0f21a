//! The usage topic as a source of usage.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use journal::{Producer, ProducerId};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::consumer::{self, Fetched, Shared};
use super::context::Plain;
use super::wire::{Content, Message, Unread};
use super::{Settings, TopicError};
use crate::Error;
use crate::source::{Again, Changes, Delivery, Ends, ReadAgain, Reason, Refused, Reread, Span, UsageSource};

/// Without a message for so long, reading again has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the source says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Partitions that this process counts.
    pub partitions: Vec<u32>,
    /// What ails it; positions stay where they are meanwhile.
    pub trouble: Option<String>,
}

/// Tells how a [`KafkaSource`] is while metering owns it.
#[derive(Clone)]
pub struct Watch(Arc<Shared>, Arc<std::sync::Mutex<Vec<u32>>>);

impl Watch {
    /// How it is.
    pub fn status(&self) -> SourceStatus {
        let partitions = self.1.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        SourceStatus {
            partitions: partitions.clone(),
            trouble: self.0.trouble.now(),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// A partition that is this reader's.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// What the ledger has.
    committed: u64,
    /// The offset after the last message that was delivered.
    next: u64,
}

/// A producer that was heard of.
#[derive(Debug)]
struct Known {
    about: Producer,
    partition: u32,
}

/// Reads the partitions that the group gives to this process. Owned by the one task that writes the ledger.
pub struct KafkaSource {
    settings: Settings,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    parts: BTreeMap<u32, Part>,
    held: Arc<std::sync::Mutex<Vec<u32>>>,
    next: HashMap<ProducerId, u64>,
    known: BTreeMap<ProducerId, Known>,
    /// Messages to be delivered before those that the thread has.
    ready: VecDeque<Fetched>,
    /// Messages that were delivered and are not committed.
    handed: VecDeque<Fetched>,
}

/// What a message leads to.
enum Unfolded {
    /// Something is missing in front of it; the message itself is due again.
    Hole(Delivery),
    /// What it delivers, if anything.
    Whole(Option<Delivery>),
}

impl KafkaSource {
    /// Joins the group. Kafka need not be there: the source waits for it.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (to_thread, told) = (Arc::clone(&shared), settings.clone());
        let thread = thread::Builder::new()
            .name("usage-fetch".to_owned())
            .spawn(move || consumer::run(&to_thread, &told))
            .map_err(Error::Thread)?;
        Ok(Self {
            settings,
            shared,
            thread: Some(thread),
            parts: BTreeMap::new(),
            held: Arc::default(),
            next: HashMap::new(),
            known: BTreeMap::new(),
            ready: VecDeque::new(),
            handed: VecDeque::new(),
        })
    }

    /// Tells how the source is, when metering owns it.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared), Arc::clone(&self.held))
    }

    fn show_parts(&self) {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *held = self.parts.keys().copied().collect();
    }

    fn drop_partition(&mut self, partition: u32) {
        self.parts.remove(&partition);
        self.ready.retain(|one| one.partition != partition);
        self.handed.retain(|one| one.partition != partition);
        self.known.retain(|_, known| known.partition != partition);
        self.show_parts();
    }

    fn pop(&mut self) -> Option<Fetched> {
        if let Some(fetched) = self.ready.pop_front() {
            return Some(fetched);
        }
        let mut state = self.shared.state();
        let fetched = state.queue.pop_front()?;
        state.bytes = state.bytes.saturating_sub(fetched.bytes);
        Some(fetched)
    }

    fn learn(&mut self, message: &Message, partition: u32) {
        let about = &message.producer;
        let known = self.known.entry(about.producer).or_insert_with(|| Known {
            about: about.clone(),
            partition,
        });
        known.partition = partition;
        if known.about.ending.is_none() {
            known.about = about.clone();
        }
    }

    fn unfold(&mut self, fetched: &Fetched) -> Unfolded {
        let (producer, range) = match &fetched.content {
            Ok(message) => {
                self.learn(message, fetched.partition);
                (message.producer.producer, due(message))
            }
            Err((unread, raw)) => {
                let range = unread.range.clone().filter(|range| !range.is_empty());
                let (Some(producer), Some(range)) = (unread.producer, range) else {
                    return Unfolded::Whole(Some(Delivery::Refused(refused(fetched, unread, raw, None))));
                };
                (producer, Some(range))
            }
        };
        let Some(range) = range else {
            return Unfolded::Whole(None);
        };
        let next = self.next.entry(producer).or_default();
        let expected = *next;
        if range.start > expected {
            *next = range.start;
            return Unfolded::Hole(Delivery::Unreadable {
                producer,
                from: expected,
                to: range.start,
                reason: Reason::Missing,
            });
        }
        *next = expected.max(range.end);
        Unfolded::Whole(deliver(fetched, range, expected))
    }
}

/// The numbers that must be due when a message comes; `None` when it may come at any time.
fn due(message: &Message) -> Option<Range<u64>> {
    match &message.content {
        Content::Opened => None,
        Content::Records(batch) => Some(batch.first_seq..batch.next_seq()),
        Content::Unreadable { from, to, .. } => Some(*from..*to),
        Content::Ended => Some(message.producer.next_seq..message.producer.next_seq),
    }
}

/// What a message delivers whose range begins at or below the number that is due.
fn deliver(fetched: &Fetched, range: Range<u64>, expected: u64) -> Option<Delivery> {
    let rest = expected..range.end;
    match &fetched.content {
        // Records that came before are told from new ones by their numbers.
        Ok(message) => match &message.content {
            Content::Records(batch) => Some(Delivery::Records(batch.clone())),
            Content::Unreadable { reason, .. } if !rest.is_empty() => Some(Delivery::Unreadable {
                producer: message.producer.producer,
                from: rest.start,
                to: rest.end,
                reason: *reason,
            }),
            Content::Opened | Content::Unreadable { .. } | Content::Ended => None,
        },
        // One that came before was counted, or refused, when it was due.
        Err((unread, raw)) => (!rest.is_empty()).then(|| Delivery::Refused(refused(fetched, unread, raw, Some(rest)))),
    }
}

fn refused(fetched: &Fetched, unread: &Unread, raw: &[u8], range: Option<Range<u64>>) -> Refused {
    Refused {
        partition: fetched.partition,
        offset: fetched.offset,
        producer: unread.producer,
        range,
        reason: unread.reason.clone(),
        raw: raw.to_vec(),
    }
}

impl UsageSource for KafkaSource {
    fn log(&self) -> Option<&str> {
        Some(&self.settings.topic)
    }

    fn changes(&mut self) -> Changes {
        let changes = {
            let mut state = self.shared.state();
            Changes {
                taken: std::mem::take(&mut state.revoked),
                given: std::mem::take(&mut state.asked),
            }
        };
        for &partition in changes.taken.iter().chain(&changes.given) {
            self.drop_partition(partition);
        }
        changes
    }

    fn begin(&mut self, partition: u32, offset: u64) {
        let part = Part {
            committed: offset,
            next: offset,
        };
        if self.parts.insert(partition, part).is_none() {
            self.shared.state().granted.insert(partition, offset);
        } else {
            self.ready
                .retain(|one| one.partition != partition || one.offset >= offset);
        }
        self.show_parts();
    }

    fn give_up(&mut self, partition: u32) {
        self.drop_partition(partition);
        self.shared.rejoin.store(true, Ordering::Release);
    }

    fn rewind(&mut self) {
        while let Some(fetched) = self.handed.pop_back() {
            self.ready.push_front(fetched);
        }
        self.next.clear();
        // What ended is told again by the message that comes again.
        self.known.retain(|_, known| known.about.ending.is_none());
    }

    fn resume(&mut self, producer: ProducerId, next_seq: u64) {
        self.next.insert(producer, next_seq);
    }

    fn next_batch(&mut self) -> Result<Option<Delivery>, Error> {
        while let Some(fetched) = self.pop() {
            let begun = self.parts.get(&fetched.partition);
            if begun.is_none_or(|part| fetched.offset < part.next) {
                continue;
            }
            let delivery = match self.unfold(&fetched) {
                Unfolded::Hole(hole) => {
                    // A commit may come between the hole and the message.
                    self.ready.push_front(fetched);
                    return Ok(Some(hole));
                }
                Unfolded::Whole(delivery) => delivery,
            };
            if let Some(part) = self.parts.get_mut(&fetched.partition) {
                part.next = fetched.offset + 1;
            }
            self.handed.push_back(fetched);
            if delivery.is_some() {
                return Ok(delivery);
            }
        }
        Ok(None)
    }

    fn spans(&self) -> Vec<Span> {
        let moved = self.parts.iter().filter(|(_, part)| part.next > part.committed);
        moved
            .map(|(&partition, part)| Span {
                partition,
                from: part.committed,
                to: part.next,
            })
            .collect()
    }

    fn partition_of(&self, producer: ProducerId) -> Option<u32> {
        self.known.get(&producer).map(|known| known.partition)
    }

    fn committed(&mut self) {
        self.handed.clear();
        let mut state = self.shared.state();
        for (&partition, part) in &mut self.parts {
            part.committed = part.next;
            state.hints.insert(partition, part.next);
        }
    }

    fn producers(&self) -> Vec<Producer> {
        self.known.values().map(|known| known.about.clone()).collect()
    }

    /// The ends of the whole topic, whoever reads it.
    fn ends(&mut self) -> Ends {
        let (look, answer) = oneshot::channel();
        self.shared.state().looks.push(look);
        Ends::Asked(answer)
    }

    /// What was fetched is counted exactly; messages that were not fetched are taken to hold as many records each.
    fn lag(&self, _counted: &dyn Fn(ProducerId) -> u64) -> u64 {
        let state = self.shared.state();
        let waiting = || self.ready.iter().chain(&state.queue);
        let records: u64 = waiting().map(Fetched::records).sum();
        let messages = u64::try_from(waiting().count()).unwrap_or(u64::MAX);
        let each = records.checked_div(messages).unwrap_or(1).max(1);
        records.saturating_add(state.unfetched.saturating_mul(each))
    }

    fn read_again(&self, again: Again) -> ReadAgain {
        let settings = self.settings.clone();
        Box::new(move || reread(&settings, again))
    }

    fn secure(&self) -> Option<Box<dyn FnOnce() -> bool + Send>> {
        None
    }

    fn ack(&mut self, producer: ProducerId, next_seq: u64) -> Result<(), Error> {
        let ended = self
            .known
            .get(&producer)
            .is_some_and(|known| known.about.ending.is_some() && known.about.next_seq <= next_seq);
        if ended {
            self.known.remove(&producer);
        }
        Ok(())
    }

    fn arm(&self) {}

    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.shared.on_ready(wake);
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that fetches usage ended by a panic");
        }
    }
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("topic", &self.settings.topic)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

/// Reads a stretch of a partition once more, with a client of its own that is no member of the group.
fn reread(settings: &Settings, again: Again) -> Result<Reread, Error> {
    let Some(span) = again.span.filter(|span| span.from < span.to) else {
        return Ok(Reread {
            lost: (again.from < again.to).then_some(again.from),
            ..Reread::default()
        });
    };
    let away = |error: KafkaError| {
        Error::Topic(TopicError::Away {
            brokers: settings.brokers.join(","),
            reason: error.to_string(),
        })
    };
    let mut config = settings.overridden(settings.client());
    config
        .set("group.id", format!("{}-again", settings.group))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error");
    let consumer: BaseConsumer<Plain> = config.create_with_context(Plain::default()).map_err(away)?;
    let partition = i32::try_from(span.partition).unwrap_or(i32::MAX);
    let (low, high) = consumer
        .fetch_watermarks(&settings.topic, partition, PATIENCE)
        .map_err(away)?;
    let low = u64::try_from(low).unwrap_or(0);
    let high = u64::try_from(high).unwrap_or(0);
    let start = span.from.max(low);
    let mut found = BTreeMap::new();
    if start < span.to.min(high) {
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(start).unwrap_or(i64::MAX));
        list.add_partition_offset(&settings.topic, partition, offset)
            .map_err(away)?;
        consumer.assign(&list).map_err(away)?;
        collect(&consumer, again, span, &mut found).map_err(away)?;
    }
    let gone = low > span.from || high < span.to;
    let last = found.last_key_value().map_or(again.from, |(seq, _)| seq + 1);
    Ok(Reread {
        lost: (gone && last < again.to).then_some(last),
        records: found.into_iter().collect(),
    })
}

fn collect(
    consumer: &BaseConsumer<Plain>,
    again: Again,
    span: Span,
    found: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<(), KafkaError> {
    let mut heard = Instant::now();
    while heard.elapsed() < PATIENCE {
        let fetched = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => consumer::read(&message),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(transient) => continue,
            Some(Err(error)) => return Err(error),
        };
        heard = Instant::now();
        if fetched.offset >= span.to {
            return Ok(());
        }
        if let Ok(Message {
            content: Content::Records(batch),
            ..
        }) = &fetched.content
            && batch.producer == again.producer
        {
            let wanted = batch.records().filter(|(seq, _)| (again.from..again.to).contains(seq));
            for (seq, payload) in wanted {
                // What came first was counted.
                found.entry(seq).or_insert_with(|| payload.to_vec());
            }
        }
        if fetched.offset + 1 >= span.to {
            return Ok(());
        }
    }
    Err(KafkaError::NoMessageReceived)
}

/// Whether the client gets over it by itself.
const fn transient(code: rdkafka::error::RDKafkaErrorCode) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::Resolve
    )
}
