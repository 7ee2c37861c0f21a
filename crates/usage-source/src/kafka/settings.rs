//! Where the usage topic is and how to get in: `usage.url` and `usage.kafka.*`.

use std::fmt;
use std::path::PathBuf;

use rdkafka::ClientConfig;

/// How many partitions a topic gets that does not exist yet.
const PARTITIONS: u32 = 12;
/// The group that shares the partitions among metering processes.
const GROUP: &str = "tollgate-metering";

/// Verified TLS to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// File with the certificates of the authorities that brokers are verified by (PEM).
    pub ca: PathBuf,
    /// Certificate and key of this client (PEM), where brokers want them.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password as it is: over TLS alone is it secret.
    Plain,
    /// A proof that does not show the password.
    ScramSha256,
    /// As [`Self::ScramSha256`], with the longer hash.
    ScramSha512,
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name in the configuration and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Name and password for the brokers.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How they are shown.
    pub mechanism: Mechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// `usage.kafka.*` as configured; absent is `None`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `usage.kafka.tls.ca`.
    pub tls_ca: Option<PathBuf>,
    /// `usage.kafka.tls.cert`.
    pub tls_cert: Option<PathBuf>,
    /// `usage.kafka.tls.key`.
    pub tls_key: Option<PathBuf>,
    /// `usage.kafka.sasl.mechanism`.
    pub sasl_mechanism: Option<String>,
    /// `usage.kafka.sasl.user`.
    pub sasl_user: Option<String>,
    /// `usage.kafka.sasl.password`.
    pub sasl_password: Option<String>,
}

/// Everything that a client of the usage topic is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Brokers to begin with, each `host:port`.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// TLS; `None` is plain text.
    pub tls: Option<Tls>,
    /// A log-in; `None` is none.
    pub sasl: Option<Sasl>,
    /// The group of the metering processes that share the topic.
    pub group: String,
    /// Partitions of the topic, if it has to be made. One that exists keeps its own.
    pub partitions: u32,
    overrides: Vec<(String, String)>,
}

/// What is wrong with `usage.url` or `usage.kafka.*`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Another scheme.
    #[error("usage.url must begin with kafka://, such as kafka://broker-1:9092,broker-2:9092/usage")]
    Scheme,
    /// A name or password in the address.
    #[error("usage.url must hold no name and no password: use usage.kafka.sasl.user and usage.kafka.sasl.password")]
    Credentials,
    /// No broker, or one that is no `host:port`.
    #[error("usage.url: {0:?} is no broker; each is host:port, with commas between")]
    Broker(String),
    /// No topic, or none that Kafka takes.
    #[error(
        "usage.url: {0:?} is no topic; one follows the brokers, as in kafka://broker:9092/usage, of at most 249 letters, \
         digits, '.', '_' and '-'"
    )]
    Topic(String),
    /// One of a pair is missing.
    #[error("{0} is set, so {1} must be set too")]
    Missing(&'static str, &'static str),
    /// A mechanism that is not known.
    #[error("usage.kafka.sasl.mechanism: {0} is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")]
    Mechanism(String),
}

impl Settings {
    /// Reads `usage.url` (`kafka://host:port,…/topic`) and what stands beside it.
    pub fn parse(url: &str, options: &Options) -> Result<Self, SettingsError> {
        let rest = url.strip_prefix("kafka://").ok_or(SettingsError::Scheme)?;
        if rest.contains('@') {
            return Err(SettingsError::Credentials);
        }
        let (brokers, topic) = rest.split_once('/').unwrap_or((rest, ""));
        let brokers = brokers.split(',').map(broker).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            brokers,
            topic: topic_name(topic)?,
            tls: tls(options)?,
            sasl: sasl(options)?,
            group: GROUP.to_owned(),
            partitions: PARTITIONS,
            overrides: Vec::new(),
        })
    }

    /// The same settings with one property of librdkafka set otherwise. For tests, which switch a protection off or hurry.
    #[must_use]
    pub fn with_property(mut self, name: &str, value: &str) -> Self {
        self.overrides.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What every client of the brokers is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "tollgate")
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true")
            .set("security.protocol", self.protocol());
        if let Some(tls) = &self.tls {
            config.set("ssl.ca.location", tls.ca.to_string_lossy());
            if let Some((cert, key)) = &tls.client {
                config
                    .set("ssl.certificate.location", cert.to_string_lossy())
                    .set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(sasl) = &self.sasl {
            config
                .set("sasl.mechanism", sasl.mechanism.as_str())
                .set("sasl.username", &sasl.user)
                .set("sasl.password", &sasl.password);
        }
        config
    }

    const fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        }
    }

    /// What [`Self::with_property`] set otherwise, said last.
    pub(crate) fn overridden(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.overrides {
            config.set(name, value);
        }
        config
    }
}

fn broker(text: &str) -> Result<String, SettingsError> {
    let named = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
        let plain = !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if named {
        Ok(text.to_owned())
    } else {
        Err(SettingsError::Broker(text.to_owned()))
    }
}

fn topic_name(text: &str) -> Result<String, SettingsError> {
    let fits = (1..=249).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(SettingsError::Topic(text.to_owned()))
    }
}

fn tls(options: &Options) -> Result<Option<Tls>, SettingsError> {
    let client = match (&options.tls_cert, &options.tls_key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (Some(_), None) => return Err(SettingsError::Missing("usage.kafka.tls.cert", "usage.kafka.tls.key")),
        (None, Some(_)) => return Err(SettingsError::Missing("usage.kafka.tls.key", "usage.kafka.tls.cert")),
    };
    match (&options.tls_ca, client) {
        (Some(ca), client) => Ok(Some(Tls { ca: ca.clone(), client })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(SettingsError::Missing("usage.kafka.tls.cert", "usage.kafka.tls.ca")),
    }
}

fn sasl(options: &Options) -> Result<Option<Sasl>, SettingsError> {
    let Some(user) = &options.sasl_user else {
        return match (&options.sasl_password, &options.sasl_mechanism) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(SettingsError::Missing(
                "usage.kafka.sasl.password",
                "usage.kafka.sasl.user",
            )),
            (None, Some(_)) => Err(SettingsError::Missing(
                "usage.kafka.sasl.mechanism",
                "usage.kafka.sasl.user",
            )),
        };
    };
    let password = options.sasl_password.clone().ok_or(SettingsError::Missing(
        "usage.kafka.sasl.user",
        "usage.kafka.sasl.password",
    ))?;
    let word = options.sasl_mechanism.as_deref().ok_or(SettingsError::Missing(
        "usage.kafka.sasl.user",
        "usage.kafka.sasl.mechanism",
    ))?;
    let mechanism = Mechanism::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(word))
        .ok_or_else(|| SettingsError::Mechanism(word.to_owned()))?;
    Ok(Some(Sasl {
        mechanism,
        user: user.clone(),
        password,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Settings, SettingsError> {
        Settings::parse(url, &Options::default())
    }

    #[test]
    fn an_address_names_brokers_and_topic() {
        let settings = parse("kafka://a.example:9092,10.0.0.1:9093,[::1]:9094/usage.v1").unwrap();
        assert_eq!(settings.brokers, ["a.example:9092", "10.0.0.1:9093", "[::1]:9094"]);
        assert_eq!((settings.topic.as_str(), settings.partitions), ("usage.v1", 12));
        assert_eq!((settings.tls, settings.sasl), (None, None));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        let broker = |text: &str| Err(SettingsError::Broker(text.to_owned()));
        let topic = |text: &str| Err(SettingsError::Topic(text.to_owned()));
        for (url, wanted) in [
            ("redis://a:1/t", Err(SettingsError::Scheme)),
            ("kafka://u:p@a:1/t", Err(SettingsError::Credentials)),
            ("kafka://a/t", broker("a")),
            ("kafka://a:0/t", broker("a:0")),
            ("kafka://a:1,/t", broker("")),
            ("kafka:///t", broker("")),
            ("kafka://a:1", topic("")),
            ("kafka://a:1/", topic("")),
            ("kafka://a:1/t/u", topic("t/u")),
            ("kafka://a:1/t?x=1", topic("t?x=1")),
            ("kafka://a:1/..", topic("..")),
        ] {
            assert_eq!(parse(url), wanted, "{url}");
        }
    }

    #[test]
    fn half_of_a_pair_is_refused_with_the_other_half() {
        let none = Options::default();
        let path = || Some(PathBuf::from("/x.pem"));
        let text = |text: &str| Some(text.to_owned());
        for (options, missing) in [
            (
                Options {
                    tls_cert: path(),
                    ..none.clone()
                },
                "usage.kafka.tls.key",
            ),
            (
                Options {
                    tls_key: path(),
                    ..none.clone()
                },
                "usage.kafka.tls.cert",
            ),
            (
                Options {
                    tls_cert: path(),
                    tls_key: path(),
                    ..none.clone()
                },
                "usage.kafka.tls.ca",
            ),
            (
                Options {
                    sasl_user: text("u"),
                    ..none.clone()
                },
                "usage.kafka.sasl.password",
            ),
            (
                Options {
                    sasl_password: text("p"),
                    ..none.clone()
                },
                "usage.kafka.sasl.user",
            ),
            (
                Options {
                    sasl_user: text("u"),
                    sasl_password: text("p"),
                    ..none.clone()
                },
                "usage.kafka.sasl.mechanism",
            ),
        ] {
            let error = Settings::parse("kafka://a:1/t", &options).unwrap_err();
            assert!(
                matches!(error, SettingsError::Missing(_, named) if named == missing),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let options = Options {
            sasl_mechanism: Some("scram-sha-512".to_owned()),
            sasl_user: Some("tollgate".to_owned()),
            sasl_password: Some("hunter2".to_owned()),
            ..Options::default()
        };
        let settings = Settings::parse("kafka://a:1/t", &options).unwrap();
        assert_eq!(settings.sasl.as_ref().unwrap().mechanism, Mechanism::ScramSha512);
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.protocol(), "sasl_plaintext");
    }
}
