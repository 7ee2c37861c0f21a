//! Names of fields that fixed objects may have, over all versions; a name outside of them is most often a slip.

use serde_json::{Map, Value};

use super::Reader;
use crate::fault::Fault;
use crate::located::shorten;
use crate::pointer;

pub(super) struct Fields {
    what: &'static str,
    names: &'static [&'static str],
}

pub(super) const ROOT: &Fields = &Fields {
    what: "the document",
    names: &[
        "openapi",
        "swagger",
        "info",
        "servers",
        "paths",
        "webhooks",
        "components",
        "security",
        "tags",
        "externalDocs",
        "jsonSchemaDialect",
        "$self",
        "host",
        "basePath",
        "schemes",
        "consumes",
        "produces",
        "definitions",
        "parameters",
        "responses",
        "securityDefinitions",
    ],
};

pub(super) const INFO: &Fields = &Fields {
    what: "info",
    names: &[
        "title",
        "summary",
        "description",
        "termsOfService",
        "contact",
        "license",
        "version",
    ],
};

pub(super) const SERVER: &Fields = &Fields {
    what: "a server",
    names: &["url", "name", "description", "variables"],
};

pub(super) const TAG: &Fields = &Fields {
    what: "a tag",
    names: &["name", "summary", "description", "externalDocs", "parent", "kind"],
};

pub(super) const OPERATION: &Fields = &Fields {
    what: "an operation",
    names: &[
        "tags",
        "summary",
        "description",
        "externalDocs",
        "operationId",
        "parameters",
        "requestBody",
        "responses",
        "callbacks",
        "deprecated",
        "security",
        "servers",
        "consumes",
        "produces",
        "schemes",
    ],
};

pub(super) const PARAMETER: &Fields = &Fields {
    what: "a parameter",
    names: &[
        "name",
        "in",
        "description",
        "required",
        "deprecated",
        "allowEmptyValue",
        "style",
        "explode",
        "allowReserved",
        "schema",
        "example",
        "examples",
        "content",
        "$ref",
        "summary",
        "type",
        "format",
        "items",
        "collectionFormat",
        "default",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "enum",
        "multipleOf",
    ],
};

/// Fields of a path item beside its methods.
pub(super) const PATH_ITEM: &Fields = &Fields {
    what: "a path",
    names: &[
        "get",
        "put",
        "post",
        "delete",
        "options",
        "head",
        "patch",
        "trace",
        "query",
        "parameters",
        "servers",
        "summary",
        "description",
        "additionalOperations",
        "$ref",
    ],
};

impl Reader<'_> {
    /// Warns of each field outside of the table.
    pub(super) fn fields(&mut self, fields: &Fields, object: &Map<String, Value>, at: &str) {
        for name in object
            .keys()
            .filter(|name| !name.starts_with("x-") && !fields.names.contains(&name.as_str()))
        {
            let reason = format!("{} has no field {:?}", fields.what, shorten(name));
            let remedy = match nearest(name, fields.names) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "remove it, or let its name begin with x-".to_owned(),
            };
            self.faults
                .push(Fault::warning(pointer::join(at, name), reason, remedy));
        }
    }
}

/// The name that was most likely meant.
pub(super) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let scored = names.iter().map(|known| {
        (
            strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()),
            *known,
        )
    });
    let most = if name.chars().count() > 4 { 2 } else { 1 };
    scored
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, known)| known)
}
