//! Configuration of the process: `tollgate.toml`, then `TOLLGATE_*` variables, then flags.
//!
//! A key that nobody knows is an error that names the nearest known one. Nothing else in the product reads the
//! environment.

mod keys;
mod mail;
mod show;
mod sources;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::Cidr;
use store::Location;
use usage_source::kafka;

pub(crate) use keys::nearest;
pub(crate) use show::{reference, show};
pub(crate) use sources::{Environment, Origin, Setting, gather};

/// Why a configuration does not stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: {message}")]
    Syntax { path: PathBuf, message: String },
    /// A key that nobody knows.
    #[error("{origin}: unknown key {key}{}", hint(nearest.as_deref()))]
    UnknownKey {
        origin: Origin,
        key: String,
        nearest: Option<String>,
    },
    /// A value of the wrong form.
    #[error("{origin}: {key}: {reason}")]
    Value {
        origin: Origin,
        key: &'static str,
        reason: String,
    },
    /// Keys that need each other.
    #[error("{0}")]
    Together(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!("; did you mean {nearest}?"))
        .unwrap_or_default()
}

/// A certificate chain and its key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What happens when the usage journal is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Shed,
    ServeUnmetered,
}

/// The effective configuration of this process.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) gateway_listen: SocketAddr,
    pub(crate) gateway_public_url: String,
    pub(crate) gateway_tls: Option<TlsFiles>,
    pub(crate) gateway_threads: usize,
    pub(crate) portal_listen: SocketAddr,
    pub(crate) portal_public_url: String,
    pub(crate) portal_tls: Option<TlsFiles>,
    pub(crate) ops_listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) store_url: Option<String>,
    /// The topic that usage travels over; `None` where metering reads the journal of its own process.
    pub(crate) usage_kafka: Option<kafka::Settings>,
    /// A ClickHouse server; `None` for a file in the data directory.
    pub(crate) analytics_url: Option<String>,
    pub(crate) analytics_cluster: Option<String>,
    /// Where gateways share quotas; `None` where each counts alone.
    pub(crate) counters_url: Option<String>,
    pub(crate) journal_max_bytes: u64,
    pub(crate) journal_when_full: WhenFull,
    pub(crate) log_format: telemetry::Format,
    pub(crate) log_filter: String,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) master_key_file: PathBuf,
    pub(crate) mail: ::mail::Settings,
    pub(crate) node: String,
    pub(crate) region: String,
    /// Where a gateway without the portal in its process gets its snapshot.
    pub(crate) control_url: Option<String>,
    pub(crate) control_token: String,
    pub(crate) control_ca: Option<PathBuf>,
    pub(crate) control_tls: Option<TlsFiles>,
    pub(crate) drain_timeout: Duration,
    /// Keys set to something that this version does not do; `serve` refuses them.
    pub(crate) not_built: Vec<String>,
}

/// Moves a port.
fn shifted(address: SocketAddr, offset: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().saturating_add(offset))
}

/// Keys that may only keep their default until their adapter is built.
const NOT_BUILT: &[(&str, &str)] = &[("telemetry.otlp_url", "exporting traces")];

impl Config {
    /// Reads the gathered settings; `port_offset` moves the three listeners that keep their default.
    ///
    /// # Errors
    /// The first setting that does not stand.
    pub(crate) fn read(settings: &BTreeMap<&'static str, Setting>, port_offset: u16) -> Result<Self, Error> {
        let values = value::Values(settings);
        let listen = |name| {
            values.address(name).map(|address| {
                if values.is_default(name) {
                    shifted(address, port_offset)
                } else {
                    address
                }
            })
        };
        let (gateway_listen, portal_listen) = (listen("gateway.listen")?, listen("portal.listen")?);
        let gateway_tls = values.tls("gateway.tls.cert", "gateway.tls.key")?;
        let portal_tls = values.tls("portal.tls.cert", "portal.tls.key")?;
        let data_dir = PathBuf::from(values.text("data_dir"));
        let default_key = data_dir.join("master.key");
        let set = |name: &&(&str, &str)| !values.text(name.0).is_empty();
        let mut not_built: Vec<String> = NOT_BUILT
            .iter()
            .filter(set)
            .map(|(name, what)| format!("{name}: {what} is not supported yet"))
            .collect();
        if values.text("payments.provider") != "manual" {
            not_built.push("payments.provider: only manual is supported yet".to_owned());
        }
        let portal_public_url = public_url(values.text("portal.public_url"), portal_listen, portal_tls.as_ref());
        let mail = Self::mail(&values, &data_dir, &portal_public_url)?;
        Ok(Self {
            gateway_public_url: public_url(values.text("gateway.public_url"), gateway_listen, gateway_tls.as_ref()),
            gateway_listen,
            gateway_tls,
            gateway_threads: values.number("gateway.threads")?.unwrap_or_else(cores),
            portal_public_url,
            portal_listen,
            portal_tls,
            ops_listen: listen("ops.listen")?,
            store_url: Some(values.text("store.url").to_owned()).filter(|url| !url.is_empty()),
            usage_kafka: Self::usage_kafka(&values)?,
            analytics_url: Self::analytics_url(&values)?,
            analytics_cluster: Some(values.text("analytics.cluster").to_owned()).filter(|name| !name.is_empty()),
            counters_url: Self::counters_url(&values)?,
            journal_max_bytes: values.bytes("journal.max_bytes")?,
            journal_when_full: when_full(values.word("journal.when_full")?),
            log_format: values.word("log.format")?.parse().unwrap_or_default(),
            log_filter: values.text("log.filter").to_owned(),
            trusted_proxies: values.networks("trusted_proxies")?,
            master_key_file: values.path("secrets.master_key_file").unwrap_or(default_key),
            mail,
            node: Some(values.text("node").to_owned())
                .filter(|node| !node.is_empty())
                .unwrap_or_else(host_name),
            region: values.text("region").to_owned(),
            control_url: Some(values.text("control.url").to_owned()).filter(|url| !url.is_empty()),
            control_token: values.text("control.token").to_owned(),
            control_ca: values.path("control.tls.ca"),
            control_tls: values.tls("control.tls.cert", "control.tls.key")?,
            drain_timeout: values.duration("drain_timeout")?,
            data_dir,
            not_built,
        })
    }

    fn analytics_url(values: &value::Values<'_>) -> Result<Option<String>, Error> {
        let url = values.text("analytics.url");
        if url.is_empty() {
            return Ok(None);
        }
        analytics::Server::parse(url).map_err(|error| values.wrong("analytics.url", error.to_string()))?;
        Ok(Some(url.to_owned()))
    }

    fn counters_url(values: &value::Values<'_>) -> Result<Option<String>, Error> {
        let url = values.text("counters.url");
        if url.is_empty() {
            return Ok(None);
        }
        counters::shared::Redis::new(url).map_err(|error| values.wrong("counters.url", error.to_string()))?;
        Ok(Some(url.to_owned()))
    }

    fn usage_kafka(values: &value::Values<'_>) -> Result<Option<kafka::Settings>, Error> {
        let url = values.text("usage.url");
        if url.is_empty() {
            return Ok(None);
        }
        let text = |name| Some(values.text(name).to_owned()).filter(|text| !text.is_empty());
        let options = kafka::Options {
            tls_ca: values.path("usage.kafka.tls.ca"),
            tls_cert: values.path("usage.kafka.tls.cert"),
            tls_key: values.path("usage.kafka.tls.key"),
            sasl_mechanism: text("usage.kafka.sasl.mechanism"),
            sasl_user: text("usage.kafka.sasl.user"),
            sasl_password: text("usage.kafka.sasl.password"),
        };
        let settings = kafka::Settings::parse(url, &options);
        settings.map(Some).map_err(|error| Error::Together(error.to_string()))
    }

    /// Where the relational store is.
    pub(crate) fn store_location(&self) -> Location {
        match &self.store_url {
            Some(url) => Location::parse(url),
            None => Location::Directory(self.data_dir.clone()),
        }
    }

    /// Where the embedded deployment keeps `name`.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        Path::new(&self.data_dir).join(name)
    }
}

fn when_full(word: &str) -> WhenFull {
    if word == "shed" {
        WhenFull::Shed
    } else {
        WhenFull::ServeUnmetered
    }
}

fn public_url(set: &str, listen: SocketAddr, tls: Option<&TlsFiles>) -> String {
    if set.is_empty() {
        format!("{}://{listen}", if tls.is_some() { "https" } else { "http" })
    } else {
        set.trim_end_matches('/').to_owned()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
