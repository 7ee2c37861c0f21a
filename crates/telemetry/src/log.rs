//! Logs of the process, with a filter that may change while it runs.

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::Format),
        }
    }
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither text nor json.
    #[error("write text or json")]
    Format,
    /// The filter does not parse.
    #[error("the log filter does not parse")]
    Filter(#[source] ParseError),
    /// Another subscriber is installed.
    #[error("logging is already set up in this process")]
    Twice(#[source] TryInitError),
    /// The subscriber is gone.
    #[error("the log filter can no longer be changed")]
    Gone(#[source] reload::Error),
}

/// The running log; its filter may be replaced.
#[derive(Debug)]
pub struct Logs(reload::Handle<EnvFilter, Registry>);

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder().parse(filter).map_err(Error::Filter)
}

impl Logs {
    /// Starts logging to standard error, for the whole process.
    ///
    /// # Errors
    /// When `filter` does not parse or logging has been set up before.
    pub fn start(format: Format, filter: &str) -> Result<Self, Error> {
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        match format {
            Format::Text => registry
                .with(lines.with_ansi(std::io::stderr().is_terminal()))
                .try_init(),
            Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        }
        .map_err(Error::Twice)?;
        Ok(Self(handle))
    }

    /// Replaces the filter.
    ///
    /// # Errors
    /// When `filter` does not parse.
    pub fn set_filter(&self, filter: &str) -> Result<(), Error> {
        self.0.reload(parse(filter)?).map_err(Error::Gone)
    }
}
