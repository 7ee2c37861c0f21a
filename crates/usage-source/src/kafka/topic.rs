//! The usage topic: looked at when a role starts, made when it does not exist.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::Settings;
use super::context::{Plain, Trouble};

/// How long a topic that was just made may take to be led.
const SETTLE: Duration = Duration::from_millis(100);

/// A topic that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its partitions.
    pub partitions: u32,
    /// The fewest replicas that one of them has.
    pub replicas: u32,
}

/// Why the topic cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The settings are not what librdkafka takes, such as a file of certificates that is not there.
    #[error("usage.kafka: {0}")]
    Settings(String),
    /// No broker answered. It may come back.
    #[error("no broker of {brokers} answers: {reason}")]
    Away {
        /// Those that were asked.
        brokers: String,
        /// What was heard last.
        reason: String,
    },
    /// The brokers refuse the client.
    #[error("the brokers refuse the log-in of usage.kafka.sasl.*: {0}")]
    LogIn(String),
    /// The client may not use or may not make the topic.
    #[error("topic {topic}: {action} is not allowed to this client; grant it, or make the topic by hand")]
    Forbidden {
        /// The topic.
        topic: String,
        /// What is not allowed.
        action: &'static str,
    },
    /// The topic could not be made.
    #[error("topic {topic} does not exist and cannot be made: {reason}")]
    NotMade {
        /// The topic.
        topic: String,
        /// What the brokers say.
        reason: String,
    },
}

impl TopicError {
    /// Whether it ends by itself when the brokers are back, without anybody changing a setting.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// Looks at the topic, and makes it when it does not exist. It blocks up to about `within`.
///
/// # Errors
/// [`TopicError`]; the gateway serves without Kafka when it [is away](TopicError::is_away), everything else wants somebody.
pub fn ensure_topic(settings: &Settings, within: Duration) -> Result<Topic, TopicError> {
    let deadline = Instant::now() + within;
    let trouble = Trouble::default();
    let mut config = settings.overridden(settings.client());
    config.remove("enable.idempotence");
    let client: BaseConsumer<Plain> = config
        .create_with_context(Plain(trouble.clone()))
        .map_err(|error| TopicError::Settings(error.to_string()))?;
    let mut made = false;
    loop {
        match look(&client, &settings.topic) {
            Ok(Some(topic)) => {
                if topic.replicas < 2 {
                    tracing::warn!(topic = settings.topic, "usage topic has no second replica");
                }
                return Ok(topic);
            }
            Ok(None) if !made => {
                make(settings, deadline.saturating_duration_since(Instant::now()))?;
                made = true;
            }
            Ok(None) => {}
            Err(error) => judge(settings, &trouble, &error, deadline)?,
        }
        // Serves what the client has to say of itself.
        let _ = client.poll(SETTLE);
        if Instant::now() >= deadline {
            return Err(away(settings, &trouble, "the topic is not led by any broker"));
        }
    }
}

fn away(settings: &Settings, trouble: &Trouble, otherwise: &str) -> TopicError {
    TopicError::Away {
        brokers: settings.brokers.join(","),
        reason: trouble.now().unwrap_or_else(|| otherwise.to_owned()),
    }
}

/// Ends the wait when it cannot help.
fn judge(settings: &Settings, trouble: &Trouble, error: &KafkaError, deadline: Instant) -> Result<(), TopicError> {
    let said = trouble.now().unwrap_or_default();
    let code = error.rdkafka_error_code();
    if code == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
        return Err(TopicError::Forbidden {
            topic: settings.topic.clone(),
            action: "describing it",
        });
    }
    let refused = [
        "SaslAuthenticationFailed",
        "Authentication failed",
        "authentication failed",
        "SASL authentication",
    ];
    if code == Some(RDKafkaErrorCode::Authentication) || refused.iter().any(|word| said.contains(word)) {
        return Err(TopicError::LogIn(said));
    }
    if Instant::now() >= deadline {
        return Err(away(settings, trouble, &error.to_string()));
    }
    Ok(())
}

/// The topic as the brokers know it; `None` when it does not exist or is not led yet.
fn look(client: &BaseConsumer<Plain>, name: &str) -> Result<Option<Topic>, KafkaError> {
    let metadata = client.fetch_metadata(Some(name), Duration::from_secs(1))?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(None);
    };
    match topic.error() {
        None => {}
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        ) => return Ok(None),
        Some(error) => return Err(KafkaError::MetadataFetch(error.into())),
    }
    let led = topic.partitions().iter().all(|one| one.leader() >= 0);
    let replicas = topic.partitions().iter().map(|one| one.replicas().len()).min();
    let found = Topic {
        partitions: u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX),
        replicas: u32::try_from(replicas.unwrap_or(0)).unwrap_or(u32::MAX),
    };
    Ok(Some(found).filter(|found| led && found.partitions > 0))
}

fn make(settings: &Settings, within: Duration) -> Result<(), TopicError> {
    let topic = &settings.topic;
    let refuse = |reason: String| TopicError::NotMade {
        topic: topic.clone(),
        reason,
    };
    let admin: AdminClient<Plain> = settings
        .client()
        .create_with_context(Plain::default())
        .map_err(|error| TopicError::Settings(error.to_string()))?;
    let partitions = i32::try_from(settings.partitions).unwrap_or(i32::MAX);
    // The brokers know best how many replicas a topic of theirs should have.
    let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let within = within.max(Duration::from_secs(1));
    let options = AdminOptions::new()
        .operation_timeout(Some(within))
        .request_timeout(Some(within));
    let made = block_on(admin.create_topics([&wanted], &options)).map_err(|error| refuse(error.to_string()))?;
    match made.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists)) | Ok(_)) | None => {
            tracing::info!(topic, partitions, "usage topic made");
            Ok(())
        }
        Some(Err((_, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed))) => {
            Err(TopicError::Forbidden {
                topic: topic.clone(),
                action: "making it",
            })
        }
        Some(Err((_, code))) => Err(refuse(code.to_string())),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, whether or not it belongs to a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
