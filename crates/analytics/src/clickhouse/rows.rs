//! Rows as they travel. Names and order are those of the tables.

use ::clickhouse::Row;
use domain::usage::{Fact, ProducerId, RejectionCount, RejectionSample};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::events::{StoredFact, StoredSample};
use crate::events::{decode, decode_sample, encode, encode_sample};
use crate::sums::{Dims, Sums};

/// Bytes in a column of type String.
#[derive(Debug, Clone, Default)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// The period of a fact that belongs to none.
const NO_PERIOD: i64 = i64::MIN;

#[derive(Debug, Row, Serialize)]
pub(super) struct FactRow {
    producer: u128,
    seq: u64,
    ledger_commit: u64,
    event_time: i64,
    request_id: String,
    account: String,
    consumer: String,
    subscription: String,
    period_start: i64,
    api: String,
    operation: String,
    mode: &'static str,
    status: u16,
    outcome: String,
    record: Blob,
}

fn text(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

impl FactRow {
    pub(super) fn new(producer: ProducerId, seq: u64, ledger_commit: u64, fact: &Fact) -> Result<Self, Error> {
        Ok(Self {
            producer: producer.0,
            seq,
            ledger_commit,
            event_time: fact.admitted_at.as_millis(),
            request_id: fact.request_id.clone(),
            account: text(fact.account),
            consumer: text(fact.consumer),
            subscription: text(fact.subscription),
            period_start: fact.period_start.map_or(NO_PERIOD, domain::clock::Timestamp::as_millis),
            api: fact.api.clone(),
            operation: fact.operation.clone(),
            mode: fact.mode.as_str(),
            status: fact.outcome.status,
            outcome: fact.outcome.class_key(),
            record: Blob(encode(fact)?),
        })
    }
}

/// What reading a fact brings back.
#[derive(Debug, Row, Deserialize)]
pub(super) struct FactRead {
    producer: u128,
    seq: u64,
    ledger_commit: u64,
    record: Blob,
}

pub(super) const FACT_COLUMNS: &str = "SELECT producer, seq, ledger_commit, record FROM fact FINAL WHERE ";

impl FactRead {
    pub(super) fn stored(self) -> Result<StoredFact, Error> {
        Ok(StoredFact {
            producer: ProducerId(self.producer),
            seq: self.seq,
            ledger_commit: self.ledger_commit,
            fact: decode(&self.record.0)?,
        })
    }
}

#[derive(Debug, Row, Serialize)]
pub(super) struct SampleRow {
    producer: u128,
    seq: u64,
    position: u32,
    at: i64,
    request_id: String,
    consumer: String,
    record: String,
}

impl SampleRow {
    pub(super) fn new(producer: ProducerId, at: (u64, u32), sample: &RejectionSample) -> Result<Self, Error> {
        Ok(Self {
            producer: producer.0,
            seq: at.0,
            position: at.1,
            at: sample.at.as_millis(),
            request_id: sample.request_id.clone(),
            consumer: text(sample.of.consumer),
            record: encode_sample(sample)?,
        })
    }
}

#[derive(Debug, Row, Deserialize)]
pub(super) struct SampleRead {
    producer: u128,
    seq: u64,
    record: String,
}

pub(super) const SAMPLE_COLUMNS: &str = "SELECT producer, seq, record FROM sample FINAL WHERE ";

impl SampleRead {
    pub(super) fn stored(self) -> Result<StoredSample, Error> {
        Ok(StoredSample {
            producer: ProducerId(self.producer),
            seq: self.seq,
            sample: decode_sample(&self.record)?,
        })
    }
}

/// Sums of facts.
pub(super) const USE: &str = "use";
/// Counts of rejections.
pub(super) const REFUSED: &str = "refused";
/// Records that are in.
pub(super) const BATCH: &str = "batch";

/// Intervals of a level in one bucket of the key.
const INTERVALS: i64 = 1_440;

/// The bucket of an instant in milliseconds.
pub(super) fn bucket(level: i64, millis: i64) -> i32 {
    let bucket = millis.div_euclid(level.max(1) * INTERVALS * 1_000);
    i32::try_from(bucket).unwrap_or(if bucket < 0 { i32::MIN } else { i32::MAX })
}

#[derive(Debug, Clone, Default, Row, Serialize)]
pub(super) struct RollupRow {
    kind: &'static str,
    level: u32,
    bucket: i32,
    producer: u128,
    first_seq: u64,
    next_seq: u64,
    account: String,
    consumer: String,
    time: i64,
    subscription: String,
    credential: String,
    api: String,
    operation: String,
    method: String,
    plan: String,
    status: u16,
    mode: &'static str,
    outcome: String,
    reason: String,
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
    rejected: u64,
    latency: (Vec<u16>, Vec<u64>),
    quantities: (Vec<String>, Vec<i64>, Vec<i64>),
}

impl RollupRow {
    fn at(kind: &'static str, level: i64, time: i64) -> Self {
        Self {
            kind,
            level: u32::try_from(level).unwrap_or(0),
            bucket: bucket(level, time),
            time,
            ..Self::default()
        }
    }

    pub(super) fn of_use(level: i64, time: i64, dims: Dims, sums: Sums) -> Self {
        let mut quantities = (Vec::new(), Vec::new(), Vec::new());
        for (meter, quantity) in sums.quantities {
            let (units, nanos) = quantity.parts();
            quantities.0.push(meter);
            quantities.1.push(units);
            quantities.2.push(nanos);
        }
        Self {
            account: dims.account.unwrap_or_default(),
            consumer: dims.consumer.unwrap_or_default(),
            subscription: dims.subscription.unwrap_or_default(),
            credential: dims.credential.unwrap_or_default(),
            api: dims.api,
            operation: dims.operation,
            method: dims.method,
            plan: dims.plan,
            status: dims.status,
            mode: dims.mode,
            outcome: dims.outcome,
            requests: sums.requests,
            bytes_in: sums.bytes_in,
            bytes_out: sums.bytes_out,
            latency: sums.latency.iter().unzip(),
            quantities,
            ..Self::at(USE, level, time)
        }
    }

    pub(super) fn of_rejections(level: i64, time: i64, of: &RejectionCount) -> Self {
        Self {
            account: text(of.account),
            consumer: text(of.consumer),
            subscription: text(of.subscription),
            api: of.api.clone(),
            operation: of.operation.clone(),
            mode: of.mode.as_str(),
            reason: of.reason.clone(),
            rejected: of.count,
            ..Self::at(REFUSED, level, time)
        }
    }

    /// Notes that records are in; kept until `newest` is past its time.
    pub(super) fn of_batch(producer: ProducerId, records: std::ops::Range<u64>, newest: i64) -> Self {
        Self {
            kind: BATCH,
            producer: producer.0,
            first_seq: records.start,
            next_seq: records.end,
            time: newest,
            ..Self::default()
        }
    }
}
