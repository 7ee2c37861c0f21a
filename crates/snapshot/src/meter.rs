//! Meters as the gateway reads them from answers. The meter `requests` is implied and never listed.

use std::collections::HashSet;
use std::sync::Arc;

use domain::config::{Aggregate, MeterValueSource};

use crate::error::Fault;
use crate::source::MeterRecord;

/// Where a meter's quantity comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// One for each answer that the meter takes.
    One,
    /// The number in this header of the answer.
    Header(Box<str>),
    /// The number at this place of the answer's JSON body: the unescaped tokens of a JSON pointer (RFC 6901).
    Json(Box<[Box<str>]>),
}

/// A meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledMeter {
    /// Name.
    pub name: Arc<str>,
    /// Where its quantity comes from.
    pub reading: Reading,
    /// Statuses from, to; empty takes all.
    statuses: Box<[(u16, u16)]>,
    /// Operation keys; empty takes all.
    operations: HashSet<Box<str>>,
}

impl CompiledMeter {
    pub(crate) fn new(record: &MeterRecord) -> Result<Self, Fault> {
        let spec = &record.spec;
        let reading = match (spec.aggregate, &spec.value) {
            (Aggregate::Count, _) => Reading::One,
            (_, Some(MeterValueSource::ResponseHeader(name))) if crate::api::is_token(name) => {
                Reading::Header(name.to_ascii_lowercase().into())
            }
            (_, Some(MeterValueSource::ResponseHeader(name))) => return Err(Fault::Header(name.clone())),
            (_, Some(MeterValueSource::ResponseJson(pointer))) => Reading::Json(tokens(pointer)?),
            (_, None) => return Err(Fault::MeterValue),
        };
        let filter = spec.filter.clone().unwrap_or_default();
        Ok(Self {
            name: spec.name.as_str().into(),
            reading,
            statuses: filter
                .status
                .iter()
                .map(|text| statuses(text))
                .collect::<Result<_, _>>()?,
            operations: filter.operations.into_iter().map(Into::into).collect(),
        })
    }

    /// Whether the meter looks at answers of an operation at all.
    pub fn takes_operation(&self, operation: &str) -> bool {
        self.operations.is_empty() || self.operations.contains(operation)
    }

    /// Whether the meter looks at an answer with this status.
    pub fn takes_status(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

fn tokens(pointer: &str) -> Result<Box<[Box<str>]>, Fault> {
    let rest = pointer.strip_prefix('/').ok_or(Fault::MeterValue)?;
    Ok(rest
        .split('/')
        .map(|token| token.replace("~1", "/").replace("~0", "~").into())
        .collect())
}

fn statuses(text: &str) -> Result<(u16, u16), Fault> {
    let wrong = || Fault::Status(text.to_owned());
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().map_err(|_| wrong())?;
        return if (1..=5).contains(&class) {
            Ok((class * 100, class * 100 + 99))
        } else {
            Err(wrong())
        };
    }
    let status: u16 = text.parse().map_err(|_| wrong())?;
    if (100..=599).contains(&status) {
        Ok((status, status))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_single_or_classes() {
        assert_eq!(statuses("2xx"), Ok((200, 299)));
        assert_eq!(statuses("404"), Ok((404, 404)));
        for text in ["", "xx", "6xx", "20", "2x", "abc", "9999999"] {
            assert!(statuses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_pointers_are_unescaped() {
        let read: Vec<_> = tokens("/usage/a~1b~01")
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(read, ["usage", "a/b~1"]);
        assert!(tokens("usage").is_err());
    }
}
