//! `GET /api/docs`: the OpenAPI document of the Admin API as one readable page.

use askama::Template;
use axum::extract::State;
use serde_json::Value;

use super::web::{self, Html, Shell, Visitor, escape};
use crate::api::document::document;
use crate::app::App;

#[derive(Template)]
#[template(path = "pages/api_docs.html")]
struct Page {
    shell: Shell,
    title: String,
    about: Html,
    groups: Vec<Group>,
}

struct Group {
    name: String,
    anchor: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    summary: String,
    method: String,
    path: String,
    scope: String,
    text: Html,
    parameters: Vec<Parameter>,
    fields: Vec<Field>,
    answers: Vec<Answer>,
}

struct Parameter {
    name: String,
    place: String,
    text: Html,
}

struct Field {
    name: String,
    kind: String,
    required: bool,
    text: Html,
}

struct Answer {
    status: String,
    text: Html,
}

/// `GET /api/docs`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> web::Page {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let (title, about, groups) = read(&document);
    let shell = visitor.shell(&app).await?;
    web::page(&Page {
        shell,
        title,
        about,
        groups,
    })
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A text of the document with what stands between backticks as code.
fn prose(value: &Value, pointer: &str) -> Html {
    let text = text(value, pointer);
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    });
    Html(parts.collect())
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn map<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

fn read(document: &Value) -> (String, Html, Vec<Group>) {
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in map(document, "/paths") {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = text(operation, "/tags/0");
            let operation = read_operation(document, (path, method), operation);
            match groups.iter_mut().find(|group| group.name == tag) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group {
                    anchor: format!("group-{}", tag.replace(' ', "-")),
                    name: tag,
                    operations: vec![operation],
                }),
            }
        }
    }
    (
        text(document, "/info/title"),
        prose(document, "/info/description"),
        groups,
    )
}

fn read_operation(document: &Value, (path, method): (&str, &str), operation: &Value) -> Operation {
    let parameters = list(operation, "/parameters").map(|parameter| Parameter {
        name: text(parameter, "/name"),
        place: text(parameter, "/in"),
        text: prose(parameter, "/description"),
    });
    let answers = map(operation, "/responses").map(|(status, answer)| Answer {
        status: status.clone(),
        text: prose(answer, "/description"),
    });
    Operation {
        id: text(operation, "/operationId"),
        summary: text(operation, "/summary"),
        method: method.to_uppercase(),
        path: format!("/api/v1{path}"),
        scope: text(operation, "/security/0/token/0"),
        text: prose(operation, "/description"),
        parameters: parameters.collect(),
        fields: fields(document, operation),
        answers: answers.collect(),
    }
}

/// The fields of the body's schema, one level deep.
fn fields(document: &Value, operation: &Value) -> Vec<Field> {
    let reference = text(operation, "/requestBody/content/application~1json/schema/$ref");
    let Some(schema) = document
        .pointer(reference.trim_start_matches('#'))
        .filter(|_| !reference.is_empty())
    else {
        return Vec::new();
    };
    let required: Vec<&str> = list(schema, "/required").filter_map(Value::as_str).collect();
    let field = |(name, field): (&String, &Value)| Field {
        name: name.clone(),
        kind: kind(field),
        required: required.contains(&name.as_str()),
        text: prose(field, "/description"),
    };
    map(schema, "/properties").map(field).collect()
}

fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation() {
        let document = serde_json::to_value(document()).unwrap();
        let (_, _, groups) = read(&document);
        let operations: usize = groups.iter().map(|group| group.operations.len()).sum();
        assert_eq!(operations, crate::api::table::table().len());
    }
}
