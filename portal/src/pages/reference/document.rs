//! `…/openapi.json` and `…/openapi.yaml`: the document of an API, for tools. Its servers are this deployment's gateway, so
//! that what is made from it calls where keys are valid.

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use serde_json::{Value, json};

use super::open::{Api, Opened};
use super::yaml;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::text;
use crate::pages::web::{self, Visitor};

#[derive(Clone, Copy)]
enum Form {
    Json,
    Yaml,
}

/// `GET …/openapi.json`
pub(crate) async fn json(State(app): State<App>, visitor: Visitor, Path(api): Path<Api>) -> web::Page {
    let opened = api.open(&app, &visitor).await?;
    let body = written(&app, &opened, Form::Json).await?;
    let mut response = text::respond("application/json", body);
    let name = HeaderValue::from_static("inline; filename=\"openapi.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// `GET …/openapi.yaml`
pub(crate) async fn yaml(State(app): State<App>, visitor: Visitor, Path(api): Path<Api>) -> web::Page {
    let opened = api.open(&app, &visitor).await?;
    let body = written(&app, &opened, Form::Yaml).await?;
    let mut response = text::respond("application/yaml", body);
    let name = HeaderValue::from_static("inline; filename=\"openapi.yaml\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

async fn written(app: &App, opened: &Opened, form: Form) -> Result<String, Problem> {
    // Whole documents take memory: few at a time.
    let _turn = app.reading.writers.acquire().await.map_err(|_| Problem::internal())?;
    let bytes = app.store.document(&opened.document).await?;
    let bytes = bytes.ok_or_else(|| Problem::missing("document"))?;
    let base_url = opened.base_url.clone();
    let written = tokio::task::spawn_blocking(move || {
        let mut document: Value = serde_json::from_slice(&bytes).ok()?;
        if let Some(url) = base_url {
            serve_from(&mut document, &url);
        }
        Some(match form {
            Form::Json => serde_json::to_string_pretty(&document).ok()?,
            Form::Yaml => yaml::written(&document),
        })
    });
    let written = written.await.map_err(|_| Problem::internal())?;
    written.ok_or_else(Problem::internal)
}

/// Makes the gateway the server of a document.
fn serve_from(document: &mut Value, url: &str) {
    let Some(fields) = document.as_object_mut() else {
        return;
    };
    if !fields.contains_key("swagger") {
        fields.insert("servers".to_owned(), json!([{ "url": url }]));
        return;
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    fields.insert("schemes".to_owned(), json!([scheme]));
    fields.insert("host".to_owned(), json!(host));
    fields.insert("basePath".to_owned(), json!(if path.is_empty() { "/" } else { path }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_led_to_the_gateway() {
        let mut document = json!({"openapi": "3.1.0", "servers": [{"url": "https://internal.example"}]});
        serve_from(&mut document, "https://api.example/pets");
        assert_eq!(document["servers"], json!([{"url": "https://api.example/pets"}]));
        let mut old = json!({"swagger": "2.0", "host": "internal.example"});
        serve_from(&mut old, "http://127.0.0.1:8080/pets");
        assert_eq!(
            (&old["schemes"][0], &old["host"], &old["basePath"]),
            (&json!("http"), &json!("127.0.0.1:8080"), &json!("/pets"))
        );
    }
}
