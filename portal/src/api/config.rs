//! `/config`: the whole configuration as one document, its revisions, and the way back to one of them.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::Document;
use domain::subscription::Origin;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::ConfigRevision;
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::caller::Caller;
use super::endpoint::Doc;
use super::scope::{self, Access, Area, Scope};
use crate::app::App;
use crate::configuration::change::Item;
use crate::configuration::current::Customers;
use crate::configuration::plan::Prune;
use crate::configuration::{self, Apply, Run};
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};

const TAG: &str = "configuration";
/// A whole configuration with its API descriptions.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;

/// A configuration: what the files of `tollgate apply` hold, as one JSON document.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConfigDocument(Document);

impl utoipa::PartialSchema for ConfigDocument {
    /// An object whose keys are those of the files; the reference of the files describes them.
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let list = |text: &str| {
            ObjectBuilder::new()
                .schema_type(Type::Array)
                .description(Some(text))
                .build()
        };
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(
                "A configuration: what the files of `tollgate apply` hold, as one JSON document.",
            ))
            .property("apis", list("APIs with their upstreams and descriptions."))
            .property("meters", list("Meters."))
            .property("products", list("Products with their plans."))
            .property("accounts", list("Accounts."))
            .property("consumers", list("Consumers with subscriptions and credentials."))
            .property("settings", ObjectBuilder::new().schema_type(Type::Object).build())
            .into()
    }
}

impl ToSchema for ConfigDocument {}

/// How to apply.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    /// `true` tells what would change and changes nothing.
    #[serde(default, deserialize_with = "from_text")]
    dry_run: Option<bool>,
    /// `true` takes away what came from files and is not in this document.
    #[serde(default, deserialize_with = "from_text")]
    prune: Option<bool>,
}

/// What an apply has changed, or would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applied {
    /// Revision in force.
    revision: i64,
    /// Whether nothing was written.
    dry_run: bool,
    /// Whether there is any change.
    changed: bool,
    /// The changes.
    items: Vec<Item>,
}

fn applied(outcome: configuration::Applied, run: Run) -> axum::response::Response {
    let body = Applied {
        revision: outcome.revision,
        dry_run: run == Run::Dry,
        changed: !outcome.changes.is_empty(),
        items: outcome.changes.items,
    };
    answer::json(StatusCode::OK, &body)
}

/// `PUT /config`
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    Query(how): Query<How>,
    Body(document): Body<ConfigDocument>,
) -> Answer {
    let run = if how.dry_run == Some(true) { Run::Dry } else { Run::Real };
    let prune = if how.prune == Some(true) {
        Prune::Files
    } else {
        Prune::Nothing
    };
    let document = document.0;
    may_touch_customers(&caller, &document)?;
    let wish = Apply {
        document,
        prune,
        run,
        origin: Origin::File,
    };
    Ok(applied(configuration::apply(&app, caller.actor(), wish).await?, run))
}

/// Whoever writes accounts, consumers, keys and subscriptions here needs the scopes for them as elsewhere.
fn may_touch_customers(caller: &Caller, document: &Document) -> Result<(), Problem> {
    let consumers = !document.consumers.is_empty();
    let credentials = document
        .consumers
        .iter()
        .any(|consumer| !consumer.credentials.is_empty());
    let subscriptions = document
        .consumers
        .iter()
        .any(|consumer| !consumer.subscriptions.is_empty());
    let touched = [
        (Area::Accounts, !document.accounts.is_empty()),
        (Area::Consumers, consumers),
        (Area::Credentials, credentials),
        (Area::Subscriptions, subscriptions),
    ];
    for (area, _) in touched.into_iter().filter(|(_, touched)| *touched) {
        let wanted = Scope::Area(area, Access::Write);
        if !scope::covers(&caller.scopes, wanted) {
            return Err(Problem::forbidden(format!(
                "the document needs the scope `{wanted}` as well"
            )));
        }
    }
    Ok(())
}

/// Documentation of [`put`].
pub(crate) fn put_doc() -> Doc {
    Doc::new(TAG, "applyConfig", "Make the platform equal to a document")
        .text("All of it is written or nothing. The same document twice changes nothing.")
        .query::<How>()
        .body::<ConfigDocument>()
        .answer::<Applied>(200, "The changes")
}

/// What to export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct What {
    /// `true` adds accounts, consumers with their subscriptions, and credentials by their hashes.
    #[serde(default, deserialize_with = "from_text")]
    with_consumers: Option<bool>,
}

/// `GET /config`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Query(what): Query<What>) -> Answer {
    let customers = if what.with_consumers == Some(true) {
        Customers::With
    } else {
        Customers::Without
    };
    if customers == Customers::With {
        for area in [Area::Accounts, Area::Consumers, Area::Credentials, Area::Subscriptions] {
            let wanted = Scope::Area(area, Access::Read);
            if !scope::covers(&caller.scopes, wanted) {
                return Err(Problem::forbidden(format!(
                    "exporting consumers needs the scope `{wanted}` as well"
                )));
            }
        }
    }
    let document = configuration::exported(&app, caller.actor(), customers).await?;
    Ok(answer::json(StatusCode::OK, &document))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(
        TAG,
        "exportConfig",
        "Get the configuration as a document that an apply accepts",
    )
    .text("It holds hashes of credentials and never a secret.")
    .query::<What>()
    .answer::<ConfigDocument>(200, "The document")
}

/// A revision of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevisionBody {
    revision: i64,
    /// `token`, `user`, `file` or `system`.
    actor_kind: String,
    actor_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ConfigRevision> for RevisionBody {
    fn from(revision: ConfigRevision) -> Self {
        let ConfigRevision {
            revision,
            actor_kind,
            actor_id,
            created_at,
        } = revision;
        Self {
            revision,
            actor_kind,
            actor_id,
            created_at,
        }
    }
}

/// `GET /config/revisions`
pub(crate) async fn revisions(State(app): State<App>, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let items = app
        .store
        .config_revisions(&page)
        .await?
        .into_iter()
        .map(RevisionBody::from)
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |revision| revision.revision.to_string()),
    ))
}

/// Documentation of [`revisions`].
pub(crate) fn revisions_doc() -> Doc {
    Doc::new(
        TAG,
        "listConfigRevisions",
        "List the kept revisions of the configuration",
    )
    .query::<Paging>()
    .answer::<Listed<RevisionBody>>(200, "Revisions, newest first")
}

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollback {
    /// A kept revision.
    revision: i64,
}

/// `POST /config/rollback`
pub(crate) async fn rollback(State(app): State<App>, caller: Caller, Body(wanted): Body<Rollback>) -> Answer {
    let kept = app.store.config_document(wanted.revision).await?;
    let kept: Json = kept.ok_or_else(|| {
        Problem::invalid(vec![Fault::at(
            "/revision",
            "this revision is not kept: GET /config/revisions lists those that are",
        )])
    })?;
    let document: Document = serde_json::from_value(kept).map_err(|error| {
        tracing::error!(%error, revision = wanted.revision, "a kept revision cannot be read");
        Problem::internal()
    })?;
    let wish = Apply {
        document,
        prune: Prune::Configuration,
        run: Run::Real,
        origin: Origin::File,
    };
    Ok(applied(
        configuration::apply(&app, caller.actor(), wish).await?,
        Run::Real,
    ))
}

/// Documentation of [`rollback`].
pub(crate) fn rollback_doc() -> Doc {
    Doc::new(TAG, "rollbackConfig", "Go back to a revision of the configuration")
        .text("APIs, meters, products, plans and settings become what they were; what belongs to customers stays. A new revision results.")
        .body::<Rollback>()
        .answer::<Applied>(200, "The changes")
}
