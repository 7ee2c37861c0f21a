//! What an operation is called: its method and path with its summary, in the place of the key that usage carries.
//!
//! A key means something within its API alone. What no document knows keeps its key.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use domain::usage::UNLISTED_OPERATION;
use reference::Reference;
use store::ObjectKind;

use super::catalogue::offers;
use crate::app::App;
use crate::http::problem::Problem;

/// What requests are called that no operation of a document fits.
const UNLISTED: &str = "Not in the document";

/// An operation as people read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// `GET /pets/{id}`.
    pub(crate) place: String,
    /// The summary; empty where there is none.
    pub(crate) summary: String,
}

impl Called {
    fn plain(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            summary: String::new(),
        }
    }
}

/// Names of operations; each document is asked for once a page.
#[derive(Default)]
pub(crate) struct Operations(HashMap<String, Option<Arc<Reference>>>);

impl Operations {
    /// What the operation with this key is called in its API; without an API in the first document that knows it.
    pub(crate) async fn called(&mut self, app: &App, api: Option<&str>, key: &str) -> Result<Called, Problem> {
        if key == UNLISTED_OPERATION {
            return Ok(Called::plain(UNLISTED));
        }
        let found = match api {
            Some(api) => self
                .reference(app, api)
                .await?
                .as_deref()
                .and_then(|one| called(one, key)),
            None => anywhere(app, key).await?,
        };
        Ok(found.unwrap_or_else(|| Called::plain(key)))
    }

    async fn reference(&mut self, app: &App, api: &str) -> Result<Option<Arc<Reference>>, Problem> {
        if let Some(known) = self.0.get(api) {
            return Ok(known.clone());
        }
        let object = app.store.object_named(ObjectKind::Api, "", api).await?;
        let found = match object.and_then(|object| object.fields.document) {
            None => None,
            Some(hash) => match app.reading.references.of(app, hash).await {
                Ok(reference) => Some(reference),
                Err(problem) if problem.status() == StatusCode::NOT_FOUND => None,
                Err(problem) => return Err(problem),
            },
        };
        self.0.insert(api.to_owned(), found.clone());
        Ok(found)
    }
}

/// In the documents in force that are built already: a page waits for no other.
async fn anywhere(app: &App, key: &str) -> Result<Option<Called>, Problem> {
    let documents = offers::catalogue(app).await?.documents();
    let built = documents
        .into_iter()
        .filter_map(|hash| app.reading.references.ready(hash));
    Ok(built.into_iter().find_map(|reference| called(&reference, key)))
}

fn called(reference: &Reference, key: &str) -> Option<Called> {
    let entry = reference.entry_by_key(key)?;
    Some(Called {
        place: format!("{} {}", entry.method, entry.path),
        summary: entry.summary.clone().unwrap_or_default(),
    })
}
