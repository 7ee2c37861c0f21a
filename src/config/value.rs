//! Settings as typed values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::span::Span;
use gateway::Cidr;

use super::keys::{Kind, find};
use super::{Error, Origin, Setting, TlsFiles};

const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("", 1),
];

/// A number of bytes such as `8GiB`, `64 KiB` or `1000000`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = SIZES.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// Typed access to gathered settings.
pub(super) struct Values<'a>(pub(super) &'a BTreeMap<&'static str, Setting>);

impl Values<'_> {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |setting| setting.text.as_str())
    }

    pub(super) fn is_default(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(|setting| setting.origin == Origin::Default)
    }

    pub(super) fn wrong(&self, name: &'static str, reason: impl Into<String>) -> Error {
        let origin = self
            .0
            .get(name)
            .map_or(Origin::Default, |setting| setting.origin.clone());
        Error::Value {
            origin,
            key: name,
            reason: reason.into(),
        }
    }

    pub(super) fn address(&self, name: &'static str) -> Result<SocketAddr, Error> {
        let text = self.text(name);
        text.parse().map_err(|_| {
            self.wrong(
                name,
                format!("{text} is not an address and port such as 127.0.0.1:8080"),
            )
        })
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.text(name))).filter(|path| !path.as_os_str().is_empty())
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<usize>, Error> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<usize>().ok().filter(|number| (1..=1024).contains(number));
        number
            .map(Some)
            .ok_or_else(|| self.wrong(name, format!("{text} is not a whole number from 1 to 1024")))
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<u64, Error> {
        let text = self.text(name);
        bytes(text).ok_or_else(|| self.wrong(name, format!("{text} is not a size such as 8GiB or 500MB")))
    }

    pub(super) fn duration(&self, name: &'static str) -> Result<Duration, Error> {
        let text = self.text(name);
        text.parse::<Span>()
            .map(Span::to_duration)
            .map_err(|error| self.wrong(name, error.to_string()))
    }

    pub(super) fn word(&self, name: &'static str) -> Result<&str, Error> {
        let text = self.text(name);
        match find(name).map(|key| key.kind) {
            Some(Kind::Word(words)) if !words.contains(&text) => {
                Err(self.wrong(name, format!("{text} is not one of {}", words.join(", "))))
            }
            _ => Ok(text),
        }
    }

    pub(super) fn networks(&self, name: &'static str) -> Result<Vec<Cidr>, Error> {
        let parts = self
            .text(name)
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let network = |part: &str| {
            let wrong = |_| {
                self.wrong(
                    name,
                    format!("{part} is not a network such as 10.0.0.0/8 or an address"),
                )
            };
            part.parse().map_err(wrong)
        };
        parts.map(network).collect()
    }

    pub(super) fn tls(&self, cert: &'static str, key: &'static str) -> Result<Option<TlsFiles>, Error> {
        match (self.path(cert), self.path(key)) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
            (Some(_), None) => Err(Error::Together(format!(
                "{cert} is set and {key} is not: set both or neither"
            ))),
            (None, Some(_)) => Err(Error::Together(format!(
                "{key} is set and {cert} is not: set both or neither"
            ))),
        }
    }
}
