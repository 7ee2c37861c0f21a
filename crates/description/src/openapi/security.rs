//! What operations ask of their callers.

use serde_json::{Map, Value};

use super::operations::FLAT_COST;
use super::{Reader, SecurityUse, Version};
use crate::fault::Fault;
use crate::located::shorten;
use crate::pointer;

impl<'a> Reader<'a> {
    /// Alternatives of an operation, or else of the document.
    pub(super) fn security(&mut self, object: &'a Map<String, Value>, at: &str) -> Vec<Vec<SecurityUse>> {
        let (value, at) = match object.get("security") {
            Some(value) => (value, pointer::join(at, "security")),
            None => match self.root.get("security") {
                Some(value) => (value, "/security".to_owned()),
                None => return Vec::new(),
            },
        };
        let Some(items) = value.as_array() else {
            self.faults.push(Fault::warning(
                at,
                "security is not a list",
                "write security as a list of maps",
            ));
            return Vec::new();
        };
        let mut alternatives = Vec::new();
        for (index, object) in items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| Some((index, item.as_object()?)))
        {
            let place = format!("{at}/{index}");
            let size = object
                .iter()
                .map(|(scheme, scopes)| FLAT_COST + scheme.len() + text_length(scopes))
                .sum();
            if !self.spend(size, &place) {
                break;
            }
            alternatives.push(self.alternative(object, &place));
        }
        alternatives
    }

    fn alternative(&mut self, object: &'a Map<String, Value>, at: &str) -> Vec<SecurityUse> {
        let schemes = match self.version {
            Version::V2 => self.root.get("securityDefinitions"),
            Version::Unknown | Version::V3_0 | Version::V3_1 | Version::V3_2 => self
                .root
                .get("components")
                .and_then(|components| components.get("securitySchemes")),
        };
        let mut uses = Vec::with_capacity(object.len());
        for (scheme, scopes) in object {
            if schemes.is_none_or(|schemes| schemes.get(scheme).is_none()) {
                let reason = format!("the security scheme {:?} is not defined", shorten(scheme));
                let fault = Fault::warning(pointer::join(at, scheme), reason, "define it, or correct its name");
                // The document's own requirement is read once for each operation.
                if !at.starts_with("/security") || self.operations.is_empty() {
                    self.faults.push(fault);
                }
            }
            let scopes = super::list(Some(scopes))
                .iter()
                .filter_map(|scope| scope.as_str().map(str::to_owned));
            uses.push(SecurityUse {
                scheme: scheme.clone(),
                scopes: scopes.collect(),
            });
        }
        uses
    }
}

fn text_length(scopes: &Value) -> usize {
    super::list(Some(scopes))
        .iter()
        .map(|scope| FLAT_COST / 8 + scope.as_str().map_or(0, str::len))
        .sum()
}
