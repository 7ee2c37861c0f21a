//! `…/auth`: how requests prove who sends them, and what the gateway answers when they do not.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use reference::operation::{SchemeKind, SchemeView};

use super::open::{Api, Nav, Opened};
use crate::app::App;
use crate::pages::catalogue::text;
use crate::pages::web::{self, Html, Shell, Visitor};

#[derive(Template)]
#[template(path = "reference/auth.html")]
struct Page {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    schemes: Vec<Scheme>,
}

struct Scheme {
    name: String,
    words: String,
    prose: Html,
    scopes: Vec<(String, String)>,
    urls: Vec<(String, String)>,
    deprecated: bool,
}

/// What the gateway itself answers: status, name, when.
pub(crate) const REFUSALS: &[(&str, &str, &str)] = &[
    (
        "401",
        "missing or invalid credentials",
        "The request has no key, or the key is unknown, expired or revoked.",
    ),
    ("402", "payment required", "A payment of the organisation is overdue."),
    (
        "403",
        "no subscription",
        "The app has no subscription in force to this product, or is suspended.",
    ),
    ("404", "no such route", "No API answers at this address."),
    (
        "429",
        "limit reached",
        "A rate limit or quota is used up; Retry-After says how many seconds to wait.",
    ),
    (
        "502, 504",
        "upstream",
        "The API behind the gateway did not answer, or not in time.",
    ),
];

/// `GET …/auth` and `…/auth.md`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(api): Path<Api>,
    headers: HeaderMap,
) -> web::Page {
    let opened = api.open(&app, &visitor).await?;
    let schemes: Vec<Scheme> = opened.reference.schemes().into_iter().map(scheme).collect();
    if text::accepts(&headers) || text::is_twin(visitor.path()) {
        return Ok(text::markdown(markdown(&opened, &schemes)));
    }
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        nav: opened.nav(None),
        schemes,
        opened,
    })
}

fn scheme(view: SchemeView) -> Scheme {
    let mut urls = Vec::new();
    if let SchemeKind::OAuth2 { flows } = &view.kind {
        for flow in flows {
            let named = flow
                .urls
                .iter()
                .map(|(what, url)| (format!("{}, {what}", flow.name), url.clone()));
            urls.extend(named);
        }
    }
    if let SchemeKind::OpenIdConnect { url: Some(url) } = &view.kind {
        urls.push(("configuration".to_owned(), url.url.clone()));
    }
    Scheme {
        name: view.name,
        words: view.words,
        prose: view.prose.into(),
        scopes: view
            .scopes
            .into_iter()
            .map(|scope| (scope.name, scope.meaning.unwrap_or_default()))
            .collect(),
        urls,
        deprecated: view.deprecated,
    }
}

fn markdown(opened: &Opened, schemes: &[Scheme]) -> String {
    let mut out = format!(
        "# Authentication\n\nSend the key of an app as `Authorization: Bearer $TOLLGATE_KEY` or in the header `{}`.\n\n## What the gateway answers\n\n",
        opened.key_header
    );
    for (status, name, when) in REFUSALS {
        out.push_str(&format!("- {status} {name}: {when}\n"));
    }
    if !schemes.is_empty() {
        out.push_str("\n## What the document says\n");
    }
    for scheme in schemes {
        out.push_str(&format!(
            "\n### {}\n\n{}\n",
            text::line(&scheme.name),
            text::line(&scheme.words)
        ));
        for (name, meaning) in &scheme.scopes {
            out.push_str(&format!("- {}: {}\n", text::line(name), text::line(meaning)));
        }
    }
    out
}
