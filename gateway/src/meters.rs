//! What meters take from an answer.
//!
//! A count is one for each request that its filter lets through. A sum is a number in a header field of the answer, or
//! in its JSON body, which is read while it streams past. A number that is missing or cannot be read exactly counts as
//! zero and says so; it is never guessed. Compressed bodies are not opened: the upstream is asked not to compress where
//! a meter wants to read ([`Rules::reads_body`]), and an answer that is compressed all the same has no value.

use std::rc::Rc;
use std::sync::Arc;

use domain::quantity::Quantity;
use domain::usage::MeterValue;
use http::header::{self, HeaderMap};
use snapshot::CompiledMeter;

use crate::json_pointer::{Pointer, Scanner};

/// The meters that look at one operation.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    meters: Vec<Arc<CompiledMeter>>,
    pointers: Vec<Pointer>,
}

impl Rules {
    /// Those among `meters` that look at the operation of this key.
    pub(crate) fn new(meters: &[Arc<CompiledMeter>], operation: &str) -> Self {
        let meters: Vec<_> = meters
            .iter()
            .filter(|meter| meter.takes_operation(operation))
            .cloned()
            .collect();
        let pointers = meters.iter().filter_map(|meter| match &meter.reading {
            snapshot::Reading::Json(tokens) => Some(Pointer::new(tokens.iter().map(|token| token.as_bytes()))),
            snapshot::Reading::One | snapshot::Reading::Header(_) => None,
        });
        Self {
            pointers: pointers.collect(),
            meters,
        }
    }

    /// Whether a meter looks into the body of the answer.
    pub(crate) const fn reads_body(&self) -> bool {
        !self.pointers.is_empty()
    }

    /// At most so many bytes of a record are taken up by the values.
    pub(crate) fn record_bytes(&self) -> usize {
        self.meters.iter().map(|meter| meter.name.len() + 24).sum()
    }
}

/// The meters of one answer.
#[derive(Debug)]
pub(crate) struct Reading {
    rules: Rc<Rules>,
    headers: Vec<Option<Quantity>>,
    scanner: Option<Box<Scanner>>,
}

impl Reading {
    /// Begins with nothing known.
    pub(crate) const fn new(rules: Rc<Rules>) -> Self {
        Self {
            rules,
            headers: Vec::new(),
            scanner: None,
        }
    }

    /// Takes what stands in the head of the answer.
    pub(crate) fn head(&mut self, headers: &HeaderMap) {
        let value = |meter: &Arc<CompiledMeter>| match &meter.reading {
            snapshot::Reading::One => Some(Quantity::from_units(1)),
            snapshot::Reading::Header(name) => only_value(headers, name),
            snapshot::Reading::Json(_) => None,
        };
        self.headers = self.rules.meters.iter().map(value).collect();
        let plain = headers
            .get(header::CONTENT_ENCODING)
            .is_none_or(|coding| coding == "identity");
        if plain && self.rules.reads_body() {
            self.scanner = Some(Box::new(Scanner::new(self.rules.pointers.iter().cloned())));
        }
    }

    /// Reads a piece of the body.
    pub(crate) fn body(&mut self, chunk: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.feed(chunk);
        }
    }

    /// The values of an answer with this status that came to its end.
    pub(crate) fn finish(&mut self, status: u16) -> Vec<MeterValue> {
        let mut found = self
            .scanner
            .take()
            .map(|scanner| scanner.finish())
            .unwrap_or_default()
            .into_iter();
        let mut values = Vec::new();
        for (index, meter) in self.rules.meters.iter().enumerate() {
            let value = match &meter.reading {
                snapshot::Reading::Json(_) => found.next().flatten(),
                snapshot::Reading::One | snapshot::Reading::Header(_) => self.headers.get(index).copied().flatten(),
            };
            if meter.takes_status(status) {
                values.push(MeterValue {
                    meter: meter.name.to_string(),
                    quantity: value.unwrap_or_default(),
                    missing: value.is_none(),
                });
            }
        }
        values
    }
}

/// A field that occurs twice says nothing.
fn only_value(headers: &HeaderMap, name: &str) -> Option<Quantity> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.trim().parse().ok()
}
