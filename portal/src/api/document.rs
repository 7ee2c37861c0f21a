//! The OpenAPI 3.1 document of the Admin API, made from the table of routes.

use std::collections::BTreeMap;

use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Schema, ServerBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::table::table;
use crate::http::problem::ProblemBody;

const ABOUT: &str = "Everything that Tollgate keeps can be read and changed here. Requests and answers are JSON; errors are \
    `application/problem+json` (RFC 9457). Times are RFC 3339 in UTC. Lists take `limit` and `cursor`. Send the token as \
    `Authorization: Bearer tgt_…`; the scope that an operation needs stands beside it. A token that is bound to an account \
    sees that account alone.";

/// The document.
pub(crate) fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut tags: Vec<&'static str> = Vec::new();
    schemas.insert("Problem".to_owned(), ProblemBody::schema());
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    schemas.extend(nested);
    for endpoint in table() {
        let (path, tag) = (endpoint.path, endpoint.doc.tag());
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        let (method, operation, named) = endpoint.operation();
        schemas.extend(named);
        paths = paths.path(path, PathItem::new(method, operation));
    }
    let token = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("tgt_…")
            .build(),
    );
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", token)
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Tollgate Admin API")
                .version("1")
                .description(Some(ABOUT))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url("/api/v1").build()]))
        .tags(Some(
            tags.into_iter()
                .map(|tag| TagBuilder::new().name(tag).build())
                .collect::<Vec<_>>(),
        ))
        .paths(paths)
        .components(Some(components))
        .build()
}

/// The document as text, with a line end at its end.
pub fn openapi_document() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_an_id_of_its_own_and_every_reference_a_schema() {
        let ids: Vec<_> = table()
            .into_iter()
            .map(|endpoint| endpoint.operation().1.operation_id.unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        let text = openapi_document();
        assert!(text.contains("\"openapi\": \"3.1.0\""));
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name} is not defined"
            );
        }
    }
}
