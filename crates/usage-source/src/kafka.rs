//! Usage over Kafka: the gateway's shipper sends what its journal holds, metering reads it from the topic.
//!
//! # Invariants
//!
//! - All messages of a producer are in one partition, in order: the partition is chosen from its id when it is first sent
//!   and kept beside the journal, so that it stays when the topic grows.
//! - The journal frees what every in-sync replica has acknowledged, never earlier. Until then it grows, up to its bound.
//! - A message may come again (the shipper died between the acknowledgement and its note of it); the numbers of its
//!   records say so. Within one life of the shipper Kafka itself drops repetitions (idempotence).
//! - Which records are counted is decided by the ledger alone. The committed offset of the group is a hint for tools.
//!
//! Deliberately absent: transactions of Kafka (the ledger is not in Kafka), creation of partitions on a topic that exists,
//! and any decoding of records.
//!
//! The C library librdkafka does the protocol. It is built from source; TLS and SCRAM use the system's OpenSSL
//! (Debian: `libssl-dev` to build, `libssl3` to run).

mod consumer;
mod context;
mod positions;
mod settings;
mod shipper;
mod source;
mod topic;
pub(crate) mod wire;

use std::ops::Range;

use journal::{Batch, ProducerId};

pub use settings::{Mechanism, Options, Sasl, Settings, SettingsError, Tls};
pub use shipper::{Shipper, ShipperStatus};
pub use source::{KafkaSource, SourceStatus, Watch};
pub use topic::{Topic, TopicError, ensure_topic};

/// The records in a message, for tests that look at the topic itself.
#[cfg(feature = "testing")]
pub(crate) fn fetched(message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Batch> {
    match consumer::read(message).content {
        Ok(wire::Message {
            content: wire::Content::Records(batch),
            ..
        }) => Some(batch),
        _ => None,
    }
}

/// What a message turned out to hold that could not be read when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// Records.
    Records(Batch),
    /// Something that counts nothing: a producer's beginning or end, or a range that its journal could not read.
    Nothing {
        /// Whose.
        producer: ProducerId,
        /// The numbers that it speaks of.
        range: Range<u64>,
    },
}

/// Reads a message that was kept as [`crate::Refused::raw`] once more; the reason when it still cannot be read.
pub fn reread(raw: &[u8]) -> Result<Recovered, String> {
    let message = wire::read_kept(raw).map_err(|unread| unread.reason)?;
    let end = message.producer.next_seq;
    Ok(match message.content {
        wire::Content::Records(batch) => Recovered::Records(batch),
        wire::Content::Unreadable { from, to, .. } => Recovered::Nothing {
            producer: message.producer.producer,
            range: from..to,
        },
        wire::Content::Opened | wire::Content::Ended => Recovered::Nothing {
            producer: message.producer.producer,
            range: end..end,
        },
    })
}
