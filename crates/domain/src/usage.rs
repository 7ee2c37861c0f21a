//! What the gateway writes down of each request, and how it is laid out in the journal.
//!
//! Facts are immutable. They say what happened; whether that is billed is decided by a versioned policy
//! ([`crate::billable`]) each time a fact is counted against a quota or rated.

use crate::clock::Timestamp;
use crate::ids::{AccountId, ConsumerId, CredentialId, PlanVersionId, SubscriptionId};
use crate::key::Mode;
use crate::quantity::Quantity;

/// The layout of records that this version writes.
pub const RECORD_VERSION: u8 = 1;

/// The operation of a request that the API's document does not list.
pub const UNLISTED_OPERATION: &str = "unlisted";

/// Who made the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The upstream answered.
    Upstream,
    /// The gateway answered in its place (502, 503, 504).
    Gateway,
    /// The gateway's cache answered.
    Cache,
}

impl Source {
    /// The name in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
            Self::Cache => "cache",
        }
    }
}

/// What kind of fact this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request that came to its end.
    Request,
    /// A part of a long stream, settled before its end. The request itself is counted once, by its final fact.
    Checkpoint,
    /// A request that was open when its gateway ended; never billed.
    Interrupted,
}

impl Kind {
    /// The name in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Checkpoint => "checkpoint",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How a request ended: all that the billable policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Who made the answer.
    pub source: Source,
    /// The HTTP status; 499 when the client left before an answer.
    pub status: u16,
    /// The client left before the end of the answer.
    pub client_aborted: bool,
    /// The upstream's header had arrived.
    pub upstream_answered: bool,
    /// What kind of fact it is.
    pub kind: Kind,
}

impl Outcome {
    /// The outcome with its status cut to the class (200, 300, 400, 500): what the ledger adds up by. A billable policy
    /// sees no finer than this.
    #[must_use]
    pub const fn class(self) -> Self {
        Self {
            status: self.status / 100 * 100,
            ..self
        }
    }

    /// The class as a short stable text, such as `upstream/2xx` or `upstream/4xx/aborted`.
    pub fn class_key(self) -> String {
        let mut key = format!("{}/{}xx", self.source.as_str(), self.status / 100);
        for (flag, word) in [
            (self.client_aborted, "/aborted"),
            (!self.upstream_answered, "/unanswered"),
            (matches!(self.kind, Kind::Checkpoint), "/checkpoint"),
            (matches!(self.kind, Kind::Interrupted), "/interrupted"),
        ] {
            if flag {
                key.push_str(word);
            }
        }
        key
    }

    /// Reads a [`Outcome::class_key`] back.
    pub fn from_class_key(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let source = match parts.next()? {
            "upstream" => Source::Upstream,
            "gateway" => Source::Gateway,
            "cache" => Source::Cache,
            _ => return None,
        };
        let class: u16 = parts
            .next()?
            .strip_suffix("xx")?
            .parse()
            .ok()
            .filter(|class| *class < 10)?;
        let mut outcome = Self {
            source,
            status: class * 100,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        };
        for word in parts {
            match word {
                "aborted" => outcome.client_aborted = true,
                "unanswered" => outcome.upstream_answered = false,
                "checkpoint" => outcome.kind = Kind::Checkpoint,
                "interrupted" => outcome.kind = Kind::Interrupted,
                _ => return None,
            }
        }
        Some(outcome)
    }
}

/// The quantity that one meter took from one request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MeterValue {
    /// The meter's name.
    pub meter: String,
    /// How much.
    pub quantity: Quantity,
    /// The value was missing or unreadable and counts as zero.
    pub missing: bool,
}

/// A counter as the request found and left it, for `why`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LimitTouch {
    /// The limit's stable key within the plan, such as `requests/period`.
    pub limit: String,
    /// Used before the request was admitted.
    pub before: Quantity,
    /// Used after it was admitted (before an outcome that is not billed returned it).
    pub after: Quantity,
    /// The limit; `None` where overage has no end.
    pub max: Option<Quantity>,
}

/// Microseconds from the start of the request to the end of each step; 0 where a step did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Steps {
    /// Route found.
    pub routed_us: u32,
    /// Credential recognised.
    pub identified_us: u32,
    /// Limits checked and counted.
    pub admitted_us: u32,
    /// Connection to the upstream ready.
    pub connected_us: u32,
    /// Header of the upstream's answer received.
    pub answered_us: u32,
}

/// One request of an identified (or allowed anonymous) caller that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fact {
    /// The `X-Request-Id` of the answer.
    pub request_id: String,
    /// The instant of admission on the domain clock, which alone decides the period.
    pub admitted_at: Timestamp,
    /// Who pays; `None` for anonymous callers.
    pub account: Option<AccountId>,
    /// Which application called; `None` for anonymous callers.
    pub consumer: Option<ConsumerId>,
    /// With which credential; `None` for anonymous callers.
    pub credential: Option<CredentialId>,
    /// Which subscription admitted, counts and bills the request; `None` for anonymous callers.
    pub subscription: Option<SubscriptionId>,
    /// The plan version in force.
    pub plan_version: PlanVersionId,
    /// Start of the subscription's usage period that admission reserved from; `None` for anonymous callers. Ledger and
    /// rating take the period from here and never compute it again from the time.
    pub period_start: Option<Timestamp>,
    /// Ordinal of the subscription's segment (one for each plan change) in force at admission, from 0.
    pub segment: u32,
    /// Product name.
    pub product: String,
    /// Plan name.
    pub plan: String,
    /// API name.
    pub api: String,
    /// Operation key, or [`UNLISTED_OPERATION`].
    pub operation: String,
    /// HTTP method.
    pub method: String,
    /// Canonical path without query, cut to 256 bytes.
    pub path: String,
    /// Live or test.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Microseconds from the request's head to the end of the answer.
    pub latency_us: u64,
    /// Time per step.
    pub steps: Steps,
    /// What the meters took. The meter `requests` is implied (one for a billable request) and not listed.
    pub quantities: Vec<MeterValue>,
    /// Counters as the request found and left them.
    pub limits: Vec<LimitTouch>,
    /// The configuration revision that served it.
    pub revision: u64,
}

/// A request that has run for a second or more and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Open {
    /// The fact as far as it is known.
    pub so_far: Box<Fact>,
}

/// How often requests were refused before they were forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct RejectionCount {
    /// The problem's name, such as `rate-limited`.
    pub reason: String,
    /// API name; empty when no route was found.
    pub api: String,
    /// Operation key; empty when no route was found.
    pub operation: String,
    /// The subscription, when the caller was identified.
    pub subscription: Option<SubscriptionId>,
    /// The consumer, when the caller was identified.
    pub consumer: Option<ConsumerId>,
    /// The account, when the caller was identified.
    pub account: Option<AccountId>,
    /// Live or test.
    pub mode: Mode,
    /// The minute in which they were refused.
    pub minute: Timestamp,
    /// How many.
    pub count: u64,
}

/// One refused request, kept as a sample (at most 100 a second).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RejectionSample {
    /// The `X-Request-Id` of the answer.
    pub request_id: String,
    /// When it was refused.
    pub at: Timestamp,
    /// The HTTP status.
    pub status: u16,
    /// What it counts under; `count` is 1.
    pub of: RejectionCount,
    /// HTTP method.
    pub method: String,
    /// Canonical path without query, cut to 256 bytes.
    pub path: String,
    /// The configuration revision in force.
    pub revision: u64,
}

/// One record of a producer's journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Record {
    /// A request that ended (or a checkpoint of a long one).
    Fact(Box<Fact>),
    /// A request still running after a second.
    Open(Open),
    /// Every request admitted before `through` is settled, checkpointed or listed open.
    Alive {
        /// The watermark.
        through: Timestamp,
    },
    /// Refused requests since the last such record.
    Rejections(Vec<RejectionCount>),
    /// Single refused requests.
    RejectionSamples(Vec<RejectionSample>),
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("empty record")]
    Empty,
    /// Written by a later version of the gateway.
    #[error("record layout {0} is not known")]
    Version(u8),
    /// Not the layout that it says it is.
    #[error("malformed record: {0}")]
    Malformed(String),
}

impl Record {
    /// Appends the record's bytes to `out`.
    ///
    /// # Errors
    /// When a value cannot be laid out, which no value of these types is known to do.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        out.push(RECORD_VERSION);
        postcard::to_io(self, out)
            .map(drop)
            .map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Record::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
        if *version != RECORD_VERSION {
            return Err(DecodeError::Version(*version));
        }
        let (record, left) =
            postcard::take_from_bytes(rest).map_err(|error| DecodeError::Malformed(error.to_string()))?;
        if left.is_empty() {
            Ok(record)
        } else {
            Err(DecodeError::Malformed("trailing bytes".to_owned()))
        }
    }
}

/// The id of a producer: one worker of one boot of one gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ProducerId(pub u128);

impl std::fmt::Display for ProducerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::fmt::Debug for ProducerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ProducerId {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let sized = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = if sized {
            u128::from_str_radix(text, 16).ok()
        } else {
            None
        };
        bits.map(Self)
            .ok_or_else(|| DecodeError::Malformed("not 32 hexadecimal characters".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fact() -> Fact {
        Fact {
            request_id: "r-1".to_owned(),
            admitted_at: Timestamp::from_millis(1_793_000_000_000),
            account: Some(AccountId::from_bits(1)),
            consumer: Some(ConsumerId::from_bits(2)),
            credential: None,
            subscription: Some(SubscriptionId::from_bits(3)),
            plan_version: PlanVersionId::from_bits(4),
            period_start: Some(Timestamp::from_millis(1_792_000_000_000)),
            segment: 0,
            product: "petstore".to_owned(),
            plan: "pro".to_owned(),
            api: "petstore".to_owned(),
            operation: "getPet".to_owned(),
            method: "GET".to_owned(),
            path: "/petstore/pets/1".to_owned(),
            mode: Mode::Live,
            outcome: Outcome {
                source: Source::Upstream,
                status: 200,
                client_aborted: false,
                upstream_answered: true,
                kind: Kind::Request,
            },
            bytes_in: 0,
            bytes_out: 512,
            latency_us: 900,
            steps: Steps::default(),
            quantities: vec![MeterValue {
                meter: "tokens".to_owned(),
                quantity: Quantity::from_units(17),
                missing: false,
            }],
            limits: Vec::new(),
            revision: 3,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        Record::Fact(Box::new(fact())).encode(&mut bytes).unwrap();
        assert!(bytes.len() < 220, "{}", bytes.len());
        assert_eq!(Record::decode(&bytes).unwrap(), Record::Fact(Box::new(fact())));
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err());
        assert_eq!(Record::decode(&[9, 0]), Err(DecodeError::Version(9)));
    }

    #[test]
    fn the_class_of_an_outcome_reads_back() {
        for kind in [Kind::Request, Kind::Checkpoint, Kind::Interrupted] {
            for source in [Source::Upstream, Source::Gateway, Source::Cache] {
                for bits in 0..4_u8 {
                    let (client_aborted, upstream_answered) = (bits & 1 == 1, bits & 2 == 2);
                    let outcome = Outcome {
                        source,
                        status: 404,
                        client_aborted,
                        upstream_answered,
                        kind,
                    };
                    assert_eq!(Outcome::from_class_key(&outcome.class_key()), Some(outcome.class()));
                }
            }
        }
        assert_eq!(Outcome::from_class_key("upstream/abc"), None);
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Record::decode(&bytes);
        }
    }
}
