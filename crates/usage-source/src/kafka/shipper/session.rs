//! One life of a Kafka producer: from the position that was acknowledged until it is stopped or a delivery fails.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use journal::{Producer, ProducerId};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::lanes::Sent;
use super::{Broken, Work};
use crate::kafka::context::{self, Trouble};
use crate::kafka::wire::{self, Encoded};
use crate::kafka::{Topic, wire::HEADER};
use crate::{Delivery, UsageSource as _};

/// What may be unacknowledged at once.
const WINDOW: usize = 8 << 20;
/// Whoever wrote the first record writes more: one message for all of them.
const BREATH: Duration = Duration::from_millis(20);
/// How long to wait for deliveries, and for records.
const POLL: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(200);
/// How often producers are looked for, positions noted and the rest measured.
const UPKEEP: Duration = Duration::from_millis(500);

/// What a delivery report is about.
struct Token {
    producer: ProducerId,
    sent: Sent,
    records: u64,
    bytes: usize,
}

struct Report {
    token: Token,
    result: Result<(), String>,
}

struct Reports {
    to: Sender<Report>,
    trouble: Trouble,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        context::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&format!("{error}: {reason}"));
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Token>;

    fn delivery(&self, result: &DeliveryResult<'_>, token: Box<Token>) {
        let result = result.as_ref().map(drop).map_err(|(error, _)| error.to_string());
        // Nobody listens when the session is over.
        let _ = self.to.send(Report { token: *token, result });
    }
}

pub(super) struct Session {
    producer: BaseProducer<Reports>,
    reports: Receiver<Report>,
    topic: Topic,
    /// Bytes that are not acknowledged.
    open: usize,
    upkeep: Option<Instant>,
}

impl Session {
    pub(super) fn open(work: &mut Work, topic: Topic) -> Result<Self, Broken> {
        let (to, reports) = mpsc::channel();
        let mut config = work.settings.client();
        config
            .set("enable.idempotence", "true")
            // A message that fails for good takes those behind it with it.
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // Kafka may be away for hours: the journal waits, and so does what is in flight.
            .set("message.timeout.ms", "0")
            .set("compression.codec", "zstd")
            .set("linger.ms", "5")
            .set("retry.backoff.ms", "100")
            .set("queue.buffering.max.kbytes", "65536");
        let context = Reports {
            to,
            trouble: work.shared.trouble.clone(),
        };
        let producer = work
            .settings
            .overridden(config)
            .create_with_context(context)
            .map_err(Broken::Client)?;
        let recovered = work.journal.recovered().iter();
        let first: BTreeMap<_, _> = recovered.map(|tail| (tail.producer, tail.first_seq)).collect();
        work.lanes.rewind(&mut work.segments, &first);
        Ok(Self {
            producer,
            reports,
            topic,
            open: 0,
            upkeep: None,
        })
    }

    pub(super) fn run(&mut self, work: &mut Work) -> Result<(), Broken> {
        loop {
            let armed = work.segments.armed();
            self.producer.poll(Duration::ZERO);
            self.take_reports(work)?;
            let more = self.send_records(work)?;
            let due = self.upkeep.is_none_or(|at| at.elapsed() >= UPKEEP);
            if due || work.shared.stopping() {
                self.announce(work)?;
                work.measure();
            }
            if due {
                work.lanes.note();
                self.upkeep = Some(Instant::now());
            }
            if work.shared.stopping() && self.may_end(work) {
                return Ok(());
            }
            if more {
                continue;
            }
            if self.open > 0 {
                self.producer.poll(POLL);
            } else if work.segments.wait(armed, IDLE) {
                std::thread::sleep(BREATH);
            }
        }
    }

    /// Whether a stopping shipper has nothing left to do, or no time.
    fn may_end(&self, work: &Work) -> bool {
        let left = work.lanes.unshipped(&work.journal) > 0;
        let ending = work.journal.producers().iter().any(|one| one.ending.is_some());
        if !left && !ending && self.open == 0 {
            work.shared.drained.store(true, std::sync::atomic::Ordering::Release);
            return true;
        }
        work.shared.must_end()
    }

    fn take_reports(&mut self, work: &mut Work) -> Result<(), Broken> {
        while let Ok(Report { token, result }) = self.reports.try_recv() {
            self.open = self.open.saturating_sub(token.bytes);
            result.map_err(Broken::Delivery)?;
            work.shared.trouble.over();
            work.shared.count_shipped(token.records, token.bytes as u64);
            work.lanes.acknowledge(token.producer, token.sent, &mut work.segments)?;
        }
        Ok(())
    }

    /// Sends until the window is full or nothing is there. True when there may be more to send at once.
    fn send_records(&mut self, work: &mut Work) -> Result<bool, Broken> {
        let mut sent = false;
        while self.open < WINDOW {
            let Some(delivery) = work.segments.next_batch()? else {
                return Ok(false);
            };
            sent = true;
            match delivery {
                Delivery::Records(batch) => {
                    let about = self.begin(work, batch.producer, batch.first_seq)?;
                    let message = wire::records(&about, &batch);
                    let up_to = Sent::UpTo(batch.next_seq());
                    self.send(work, &message, (up_to, batch.len() as u64))?;
                }
                Delivery::Unreadable {
                    producer,
                    from,
                    to,
                    reason,
                } => {
                    let about = self.begin(work, producer, from)?;
                    let message = wire::unreadable(&about, from..to, reason);
                    self.send(work, &message, (Sent::UpTo(to), 0))?;
                }
                // Segments have no messages.
                Delivery::Refused(_) => {}
            }
        }
        Ok(sent && self.open < WINDOW)
    }

    /// What messages say of a producer; its first one says that it exists.
    fn begin(&mut self, work: &mut Work, producer: ProducerId, from: u64) -> Result<Producer, Broken> {
        if let Some(lane) = work.lanes.get(producer)
            && lane.opened
        {
            return Ok(lane.about.clone());
        }
        let known = work
            .journal
            .producers()
            .into_iter()
            .find(|one| one.producer == producer);
        let about = known.unwrap_or(Producer {
            producer,
            node: String::new(),
            worker: 0,
            created_ms: 0,
            next_seq: 0,
            ending: None,
            gap: None,
        });
        work.lanes.lane(&about, self.topic.partitions);
        self.send(work, &wire::opened(&about, from), (Sent::Opened, 0))?;
        Ok(about)
    }

    /// Tells of producers that have begun without a record, and of those that have ended.
    fn announce(&mut self, work: &mut Work) -> Result<(), Broken> {
        for producer in work.journal.producers() {
            let id = producer.producer;
            let lane = work.lanes.lane(&producer, self.topic.partitions);
            let (opened, end_sent, next) = (lane.opened, lane.end_sent, lane.next());
            if !opened {
                self.send(work, &wire::opened(&producer, next), (Sent::Opened, 0))?;
            }
            let complete = next >= producer.next_seq;
            if let Some(message) = wire::ended(&producer).filter(|_| complete && !end_sent) {
                self.send(work, &message, (Sent::Ended, 0))?;
                tracing::debug!(producer = %id, next_seq = producer.next_seq, "end of a producer sent");
            }
        }
        Ok(())
    }

    fn send(&mut self, work: &mut Work, message: &Encoded, (sent, records): (Sent, u64)) -> Result<(), Broken> {
        let producer = ProducerId::from_bytes(message.key);
        let Some(lane) = work.lanes.get(producer) else {
            return Ok(());
        };
        let bytes = message.payload.len();
        let token = Token {
            producer,
            sent,
            records,
            bytes,
        };
        let header = Header {
            key: HEADER,
            value: Some(&message.header[..]),
        };
        let record = BaseRecord::with_opaque_to(&work.settings.topic, Box::new(token))
            .partition(i32::try_from(lane.partition).unwrap_or(0))
            .key(&message.key[..])
            .payload(&message.payload[..])
            .headers(OwnedHeaders::new().insert(header));
        self.producer
            .send(record)
            .map_err(|(error, _)| Broken::Delivery(error.to_string()))?;
        self.open += bytes;
        lane.sent(sent);
        Ok(())
    }
}

impl Drop for Session {
    /// Nothing of this session may still be on its way when the next one begins.
    fn drop(&mut self) {
        self.producer
            .purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}
