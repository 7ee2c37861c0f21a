//! The configuration: from a document to changes, and from changes to one transaction.
//!
//! Invariants: all of a document is written or nothing; the same document twice changes nothing and makes no revision; a
//! prune takes away only what came from files; secrets are sealed and never stand in a change, a revision or a log.

pub(crate) mod change;
pub(crate) mod current;
mod faults;
pub(crate) mod plan;
pub(crate) mod thing;
pub(crate) mod write;

use domain::config::{Document, Settings};
use domain::subscription::Origin;
use serde_json::Value as Json;
use store::{Actor, ControlTx, Scope};

use self::change::{Action, ChangeSet, ThingKind};
use self::current::{Customers, Reader, export};
use self::faults::Meeting;
use self::plan::Prune;
use self::thing::{Held, Stored, Wanted};
use self::write::Writer;
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::publisher::catalog::Error as CatalogError;

/// Revisions whose documents are kept.
const KEPT_REVISIONS: u32 = 200;

/// Whether the changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// They are.
    Real,
    /// They are only told.
    Dry,
}

/// One apply.
#[derive(Debug)]
pub(crate) struct Apply {
    pub(crate) document: Document,
    pub(crate) prune: Prune,
    pub(crate) run: Run,
    pub(crate) origin: Origin,
}

/// What an apply came to.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) changes: ChangeSet,
    /// The revision in force now.
    pub(crate) revision: i64,
}

/// Makes the configuration equal to a document, or tells what that would change.
///
/// # Errors
/// 400 with the places that are wrong; 409 where the state of a thing does not allow its change. Nothing is changed then.
pub(crate) async fn apply(app: &App, actor: Actor, wish: Apply) -> Result<Applied, Problem> {
    let sent = wish.document;
    let mut wanted = thing::flatten(&sent).map_err(|misfit| Problem::invalid(faults::of_misfit(&sent, misfit)))?;
    let mut tx = app.change(actor, Scope::All).await?;
    let reader = Reader {
        store: &app.store,
        master_key: &app.master_key,
    };
    let concerned = !sent.accounts.is_empty() || !sent.consumers.is_empty() || wish.prune == Prune::Files;
    let customers = if concerned { Customers::With } else { Customers::Without };
    let stored = reader.read(&mut tx, customers).await?;
    complete(&mut wanted, &stored, &reader.settings().await?);
    let changes = plan::plan(&stored, &wanted, wish.prune);
    let after = after(&stored, &wanted, &changes);
    let accounts = match customers {
        Customers::With => Vec::new(),
        Customers::Without => faults::audience(&mut tx, &after).await?,
    };
    let meeting = Meeting {
        sent,
        stored: stored.clone(),
        after,
        accounts,
    };
    crate::api::answer::no_faults(faults::find(meeting).await?)?;
    if wish.run == Run::Dry || changes.is_empty() {
        tx.rollback().await?;
        return Ok(Applied {
            changes,
            revision: app.store.revision().await?,
        });
    }
    write(app, &mut tx, (&stored, &wanted, &changes), wish.origin).await?;
    app.publisher.try_catalog(app, &mut tx).await.map_err(refused)?;
    keep(&mut tx).await?;
    let revision = app.commit(tx).await?;
    let revision = match revision {
        Some(revision) => revision,
        None => app.store.revision().await?,
    };
    Ok(Applied { changes, revision })
}

async fn write(
    app: &App,
    tx: &mut ControlTx,
    (stored, wanted, changes): (&Stored, &Wanted, &ChangeSet),
    origin: Origin,
) -> Result<(), Problem> {
    let mut writer = Writer {
        tx,
        master_key: &app.master_key,
        stored,
        wanted,
        origin,
    };
    for item in &changes.items {
        writer.write(item).await?;
    }
    Ok(())
}

/// Takes products or plans out of sale; their subscribers keep what they have.
///
/// # Errors
/// 400 where the gateways could not serve what is left; nothing is changed then.
pub(crate) async fn archive(app: &App, actor: Actor, objects: &[&store::Object]) -> Result<(), Problem> {
    let mut tx = app.change(actor, Scope::All).await?;
    for object in objects {
        tx.archive_object(&object.id).await?;
    }
    app.publisher.try_catalog(app, &mut tx).await.map_err(refused)?;
    app.commit(tx).await?;
    Ok(())
}

/// What the gateways could not serve is not committed.
pub(crate) fn refused(error: CatalogError) -> Problem {
    match error {
        CatalogError::Refused(error) => Problem::invalid(vec![Fault::at("", error.to_string())]),
        CatalogError::Store(error) => error.into(),
        error @ (CatalogError::Unreadable(_) | CatalogError::Thread(_)) => {
            tracing::error!(%error, "the configuration cannot be tried");
            Problem::internal()
        }
    }
}

/// Keeps the document of the new revision, read back from what was written.
async fn keep(tx: &mut ControlTx) -> Result<(), Problem> {
    let objects = tx.objects(None).await?;
    let document = document_of(tx, &objects).await?;
    let json = serde_json::to_value(document).map_err(|_| Problem::internal())?;
    tx.keep_config(&json, KEPT_REVISIONS).await?;
    Ok(())
}

/// What is in force as this transaction sees it. Documents and settings that it has just written are not yet visible to
/// other readers, so they are read through it.
async fn document_of(tx: &mut ControlTx, objects: &[store::Object]) -> Result<Document, Problem> {
    let mut stored = Stored::new();
    for object in objects {
        let Some(key) = current::key(object, objects) else {
            continue;
        };
        let description = match object.fields.document {
            Some(hash) => tx
                .document(&hash)
                .await?
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            None => None,
        };
        let thing = thing::Thing {
            body: object.fields.body.clone(),
            description,
            secret: None,
            position: object.fields.position,
        };
        stored.insert(
            key,
            Held {
                id: object.id.clone(),
                origin: object.fields.origin,
                thing,
                subscribers: 0,
            },
        );
    }
    let settings: Settings = tx
        .settings()
        .await?
        .and_then(|json| serde_json::from_value(json).ok())
        .unwrap_or_default();
    Ok(Document {
        settings,
        ..export(&stored)
    })
}

/// Fills in what an account leaves to the deployment: what it has already, else the defaults.
fn complete(wanted: &mut Wanted, stored: &Stored, settings: &Settings) {
    for (key, thing) in wanted.iter_mut().filter(|(key, _)| key.0 == ThingKind::Account) {
        let held = stored.get(key).map(|held| &held.thing.body);
        let defaults = [("currency", settings.billing.currency.as_str()), ("timezone", "UTC")];
        let Some(map) = thing.body.as_object_mut() else {
            continue;
        };
        for (field, default) in defaults {
            let value = held
                .and_then(|body| body.get(field))
                .cloned()
                .unwrap_or_else(|| Json::from(default));
            map.entry(field).or_insert(value);
        }
    }
}

/// What would be in force after the changes.
fn after(stored: &Stored, wanted: &Wanted, changes: &ChangeSet) -> Stored {
    let mut after = stored.clone();
    for item in changes
        .items
        .iter()
        .filter(|item| matches!(item.action, Action::Delete | Action::Archive))
    {
        after.remove(&(item.kind, item.key.clone()));
    }
    for (key, thing) in wanted {
        let held = Held {
            id: String::new(),
            origin: Origin::File,
            thing: thing.clone(),
            subscribers: 0,
        };
        after.insert(key.clone(), held);
    }
    after
}

/// The settings of the deployment.
pub(crate) async fn settings(app: &App) -> Result<Settings, Problem> {
    Reader {
        store: &app.store,
        master_key: &app.master_key,
    }
    .settings()
    .await
}

/// The configuration as a document that an apply accepts.
pub(crate) async fn exported(app: &App, actor: Actor, customers: Customers) -> Result<Document, Problem> {
    let mut tx = app.change(actor, Scope::All).await?;
    let stored = Reader {
        store: &app.store,
        master_key: &app.master_key,
    }
    .read(&mut tx, customers)
    .await?;
    tx.rollback().await?;
    Ok(export(&stored))
}
