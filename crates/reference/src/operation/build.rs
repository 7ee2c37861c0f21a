//! Operations out of the document.

use std::collections::HashSet;

use description::openapi;
use description::openapi::references::{follow, lookup};
use description::pointer;
use serde_json::Value;

use super::media::{self, body_view};
use super::security::external;
use super::{CallbackView, ExternalLink, LinkView, OperationLink, OperationView, ResponseView, parameters};
use crate::entry::{Entry, Kind};
use crate::groups::tag_title;
use crate::html::clip;
use crate::prose::{self, Place};
use crate::reference::{Reference, Server};
use crate::schema::{Direction, Trees};

/// Callbacks of one operation that are shown.
const MOST_CALLBACKS: usize = 20;
/// Tags that are shown.
const MOST_TAGS: usize = 20;

impl Reference {
    /// The page of the operation with this name in addresses.
    #[must_use]
    pub fn operation(&self, slug: &str) -> Option<OperationView> {
        self.entry(slug).map(|entry| self.view(entry))
    }

    /// The page of the webhook with this name in addresses.
    #[must_use]
    pub fn webhook(&self, slug: &str) -> Option<OperationView> {
        self.webhook_entry(slug).map(|entry| self.view(entry))
    }

    /// The page of an entry.
    #[must_use]
    pub fn view(&self, entry: &Entry) -> OperationView {
        static NOTHING: Value = Value::Null;
        let operation = lookup(&self.document, &entry.pointer).unwrap_or(&NOTHING);
        let mut trees = Trees::new(self);
        let responses = responses(operation);
        let body = media::request(self, entry, operation);
        if body.is_none() && operation.get("requestBody").is_some() {
            trees.broken.push("the body of the request cannot be read".to_owned());
        }
        trees.direction = match entry.kind {
            Kind::Operation => Direction::Request,
            Kind::Webhook => Direction::Both,
        };
        let share = responses.len().min(self.limits.parts) + usize::from(body.is_some());
        let parameters = parameters::views(&mut trees, entry, share);
        let body = body.map(|body| body_view(&mut trees, body, share.saturating_sub(1)));
        let responses_more = responses.len().saturating_sub(self.limits.parts);
        trees.direction = Direction::Response;
        let responses = self.responses(&mut trees, operation, &responses);
        let callbacks = self.callbacks(&mut trees, operation);
        let (previous, next) = self.neighbours(entry);
        let text = operation.get("description");
        let summary = operation.get("summary").and_then(Value::as_str).map(str::trim);
        let prose = text.filter(|text| text.as_str().map(str::trim) != summary);
        let group = self.groups().get(entry.group).filter(|_| entry.kind == Kind::Operation);
        let mut notes = std::mem::take(&mut trees.broken);
        let mut seen = HashSet::new();
        notes.retain(|note| seen.insert(note.clone()));
        OperationView {
            kind: entry.kind,
            slug: entry.slug.clone(),
            method: entry.method.clone(),
            path: entry.path.clone(),
            title: entry.title.clone(),
            operation_id: entry.operation_id.clone(),
            key: entry.key.clone(),
            deprecated: entry.deprecated,
            prose: self.prose(prose, Place::Page(2)),
            prose_text: Self::description_text(operation),
            tags: entry
                .tags
                .iter()
                .take(MOST_TAGS)
                .map(|tag| tag_title(&self.document, tag))
                .collect(),
            group: group.map(|group| (group.slug.clone(), group.title.clone())),
            previous: previous.map(link),
            next: next.map(link),
            auth: self.auth(&entry.security),
            parameters,
            body,
            responses,
            responses_more,
            servers: self.own_servers(entry, operation),
            external_docs: docs(operation),
            callbacks,
            notes,
        }
    }

    /// What an operation says about itself, without markup and not longer than search engines show.
    fn description_text(operation: &Value) -> String {
        let text = operation.get("description").or_else(|| operation.get("summary"));
        let text = text.and_then(Value::as_str).unwrap_or_default();
        let short = prose::plain_text(&clip(text, 2_000));
        clip(&short, 300)
    }

    fn own_servers(&self, entry: &Entry, operation: &Value) -> Vec<Server> {
        let above = entry
            .pointer
            .rsplit_once('/')
            .and_then(|(above, _)| lookup(&self.document, above));
        let list = operation
            .get("servers")
            .or_else(|| above.and_then(|item| item.get("servers")));
        list.map(|list| self.servers_of(Some(list))).unwrap_or_default()
    }

    fn responses<'r>(
        &'r self,
        trees: &mut Trees<'r>,
        operation: &'r Value,
        listed: &[(&'r String, &'r Value)],
    ) -> Vec<ResponseView> {
        let mut views = Vec::new();
        let shown = listed.iter().take(self.limits.parts);
        for (at, (status, value)) in shown.enumerate() {
            let response = match follow(&self.document, value, "") {
                Ok((response, _)) => response,
                Err(broken) => {
                    trees.broken.push(broken.to_string());
                    value
                }
            };
            let share = listed.len().saturating_sub(at + 1);
            let media = media::response(self, operation, response);
            let prefix = if at == 0 {
                "response".to_owned()
            } else {
                format!("response-{status}")
            };
            let text = response
                .get("description")
                .filter(|text| text.as_str().is_some_and(|text| !text.is_empty()));
            views.push(ResponseView {
                status: clip(status, 20),
                title: status_title(status),
                prose: self.prose(text.or_else(|| response.get("summary")), Place::Field),
                headers: parameters::headers(trees, response.get("headers"), share + 1),
                media: media::views(trees, media, &prefix, share),
                links: self.links(response),
            });
        }
        views
    }

    fn links(&self, response: &Value) -> Vec<LinkView> {
        let map = response.get("links").and_then(Value::as_object).into_iter().flatten();
        let view = |(name, value): (&String, &Value)| {
            let (value, _) = follow(&self.document, value, "").ok()?;
            let id = value.get("operationId").and_then(Value::as_str);
            let at = value
                .get("operationRef")
                .and_then(Value::as_str)
                .and_then(|text| self.resolve(text).ok());
            let found = self.entries().iter().find(|entry| {
                let by_id = id.is_some() && entry.operation_id.as_deref() == id;
                by_id || at.as_ref().is_some_and(|(_, pointer)| *pointer == entry.pointer)
            });
            Some(LinkView {
                name: clip(name, 200),
                prose: self.prose(value.get("description"), Place::Field),
                operation: found.map(link),
            })
        };
        map.take(self.limits.parts).filter_map(view).collect()
    }

    fn callbacks<'r>(&'r self, trees: &mut Trees<'r>, operation: &'r Value) -> Vec<CallbackView> {
        let map = operation
            .get("callbacks")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let mut views = Vec::new();
        for (name, value) in map.take(MOST_CALLBACKS) {
            let Ok((expressions, at)) = self.callback(value) else {
                trees
                    .broken
                    .push(format!("the callback {} leads nowhere", clip(name, 80)));
                continue;
            };
            for (expression, _) in expressions.as_object().into_iter().flatten().take(MOST_CALLBACKS) {
                let at = pointer::join(&at, expression);
                let (operations, _) = openapi::read_item(&self.document, expression, &at);
                let room = MOST_CALLBACKS.saturating_sub(views.len());
                let found = operations.iter().take(room);
                views.extend(found.filter_map(|found| self.callback_view(trees, name, expression, found)));
            }
        }
        views
    }

    /// A callback and its pointer: that of its own place is found again through the operation.
    fn callback<'r>(&'r self, value: &'r Value) -> Result<(&'r Value, String), ()> {
        if value.get("$ref").is_some() {
            return follow(&self.document, value, "").map_err(drop);
        }
        self.pointer_of(value).map(|at| (value, at)).ok_or(())
    }

    /// The pointer of a callback that stands in an operation.
    fn pointer_of(&self, wanted: &Value) -> Option<String> {
        self.entries().iter().find_map(|entry| {
            let base = pointer::join(&entry.pointer, "callbacks");
            let map = lookup(&self.document, &base)?.as_object()?;
            let (name, _) = map.iter().find(|(_, value)| std::ptr::eq(*value, wanted))?;
            Some(pointer::join(&base, name))
        })
    }

    fn callback_view<'r>(
        &'r self,
        trees: &mut Trees<'r>,
        name: &str,
        expression: &str,
        found: &openapi::Operation,
    ) -> Option<CallbackView> {
        let operation = lookup(&self.document, &found.pointer)?;
        let body = operation
            .get("requestBody")
            .and_then(|body| follow(&self.document, body, "").ok());
        trees.direction = Direction::Request;
        let body = body.map(|(body, _)| media::Body {
            required: body.get("required") == Some(&Value::Bool(true)),
            description: body.get("description"),
            media: media::content(self, body.get("content")),
        });
        let body = body.map(|body| body_view(trees, body, 2));
        trees.direction = Direction::Response;
        let listed = responses(operation);
        Some(CallbackView {
            name: clip(name, 200),
            expression: clip(expression, 500),
            method: found.method.clone(),
            title: clip(found.summary.as_deref().unwrap_or(name), 200),
            prose: self.prose(operation.get("description"), Place::Field),
            body,
            responses: self.responses(trees, operation, &listed),
        })
    }
}

fn responses(operation: &Value) -> Vec<(&String, &Value)> {
    let map = operation
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    map.filter(|(status, _)| !status.starts_with("x-")).collect()
}

pub(crate) fn link(entry: &Entry) -> OperationLink {
    OperationLink {
        slug: entry.slug.clone(),
        method: entry.method.clone(),
        title: entry.title.clone(),
    }
}

fn docs(operation: &Value) -> Option<ExternalLink> {
    let docs = operation.get("externalDocs")?;
    external(
        docs.get("url")?.as_str()?,
        docs.get("description").and_then(Value::as_str),
    )
}

/// The registered phrase of a status.
fn status_title(status: &str) -> &'static str {
    match status.to_ascii_uppercase().as_str() {
        "100" => "Continue",
        "101" => "Switching Protocols",
        "200" => "OK",
        "201" => "Created",
        "202" => "Accepted",
        "204" => "No Content",
        "206" => "Partial Content",
        "207" => "Multi-Status",
        "301" => "Moved Permanently",
        "302" => "Found",
        "303" => "See Other",
        "304" => "Not Modified",
        "307" => "Temporary Redirect",
        "308" => "Permanent Redirect",
        "400" => "Bad Request",
        "401" => "Unauthorized",
        "402" => "Payment Required",
        "403" => "Forbidden",
        "404" => "Not Found",
        "405" => "Method Not Allowed",
        "406" => "Not Acceptable",
        "409" => "Conflict",
        "410" => "Gone",
        "412" => "Precondition Failed",
        "413" => "Content Too Large",
        "415" => "Unsupported Media Type",
        "416" => "Range Not Satisfiable",
        "422" => "Unprocessable Content",
        "423" => "Locked",
        "424" => "Failed Dependency",
        "425" => "Too Early",
        "428" => "Precondition Required",
        "429" => "Too Many Requests",
        "500" => "Internal Server Error",
        "501" => "Not Implemented",
        "502" => "Bad Gateway",
        "503" => "Service Unavailable",
        "504" => "Gateway Timeout",
        "1XX" => "Informational",
        "2XX" => "Success",
        "3XX" => "Redirection",
        "4XX" => "Client error",
        "5XX" => "Server error",
        "DEFAULT" => "Any other status",
        _ => "",
    }
}
