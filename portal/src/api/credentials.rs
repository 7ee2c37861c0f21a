//! `/consumers/{id}/credentials`: API keys. The key exists only in the answer that makes it.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::AuthMethod;
use domain::ids::{ConsumerId, CredentialId};
use domain::key::{ApiKey, Mode};
use domain::span::Span;
use domain::subscription::Origin;
use serde::{Deserialize, Serialize};
use store::{Credential, NewCredential, ObjectKind};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id, Ids};
use super::caller::Caller;
use super::consumers::visible;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::Query;
use crate::key_letters::{self, News};

const TAG: &str = "credentials";
const MAX_GRACE_MS: u64 = 90 * 86_400_000;
/// Keys that live at most so long are made for one call: lists leave them out once they are over.
pub(crate) const BRIEF_MS: i64 = 5 * 60_000;

/// A credential to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCredential {
    /// `api_key`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: AuthMethod,
    /// Name for people.
    name: Option<String>,
    /// `live` or `test`; `live` unless given.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// The end of its life.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Scopes; all unless given.
    #[serde(default)]
    scopes: Vec<String>,
    /// Names of the products that it opens; all of the consumer's unless given.
    #[serde(default)]
    products: Vec<String>,
}

/// A credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialBody {
    #[schema(value_type = String)]
    id: CredentialId,
    #[schema(value_type = String)]
    consumer_id: ConsumerId,
    /// `api_key`.
    #[serde(rename = "type")]
    kind: &'static str,
    name: Option<String>,
    /// `live` or `test`.
    #[schema(value_type = String)]
    mode: Mode,
    /// The first characters of the key.
    prefix: String,
    /// The last characters of the key.
    last4: String,
    scopes: Vec<String>,
    products: Vec<String>,
    #[schema(value_type = Option<String>)]
    rotated_from: Option<CredentialId>,
    #[schema(value_type = String)]
    origin: Origin,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was, or after a rotation will be, revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// The key itself: only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<Credential> for CredentialBody {
    fn from(credential: Credential) -> Self {
        Self {
            id: credential.id,
            consumer_id: credential.consumer_id,
            kind: "api_key",
            name: credential.name,
            mode: credential.mode,
            prefix: credential.prefix,
            last4: credential.last4,
            scopes: credential.scopes,
            products: credential.products,
            rotated_from: credential.rotated_from,
            origin: credential.origin,
            created_at: credential.created_at,
            expires_at: credential.expires_at,
            revoked_at: credential.revoked_at,
            last_used_at: credential.last_used_at,
            secret: None,
        }
    }
}

/// What a new key shall be.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) name: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    /// Names of the products that it opens; all of the consumer's when empty.
    pub(crate) products: Vec<String>,
    pub(crate) origin: Origin,
}

/// Makes a key and tells the members of it: what is stored of it, and the key itself for the one answer that shows it.
pub(crate) async fn make(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    wanted: NewKey,
) -> Result<(Credential, ApiKey), Problem> {
    let (credential, key) = make_quietly(app, caller, consumer, wanted).await?;
    key_letters::tell(app, caller, News::Made(credential.clone()));
    Ok((credential, key))
}

/// Makes a key that lives for one call: nobody is told.
pub(crate) async fn make_quietly(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    wanted: NewKey,
) -> Result<(Credential, ApiKey), Problem> {
    visible(app, caller, consumer).await?;
    let now = app.clock.now();
    check(app, &wanted, now).await?;
    let (key, new) = generate(consumer, wanted, now);
    let mut tx = caller.change(app).await?;
    let credential = tx.create_credential(&new).await?;
    app.commit(tx).await?;
    Ok((credential, key))
}

/// A new key and what is stored of it.
fn generate(consumer: ConsumerId, wanted: NewKey, now: Timestamp) -> (ApiKey, NewCredential) {
    let key = ApiKey::new(wanted.mode, domain::random::bytes());
    let new = NewCredential {
        id: CredentialId::new(now, App::seed()),
        consumer_id: consumer,
        hash: key.hash(),
        prefix: key.prefix().to_owned(),
        last4: key.last4().to_owned(),
        mode: wanted.mode,
        name: wanted.name,
        scopes: wanted.scopes,
        products: wanted.products,
        expires_at: wanted.expires_at,
        origin: wanted.origin,
    };
    (key, new)
}

fn shown(credential: Credential, key: &ApiKey) -> axum::response::Response {
    let id = credential.id.to_string();
    let body = CredentialBody {
        secret: Some(key.reveal().to_owned()),
        ..credential.into()
    };
    answer::secret(&id, answer::json(StatusCode::CREATED, &body))
}

/// `POST /consumers/{id}/credentials`
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Id(consumer): Id<ConsumerId>,
    Body(wanted): Body<CreateCredential>,
) -> Answer {
    if wanted.kind != AuthMethod::ApiKey {
        return Err(Problem::invalid(vec![Fault::at(
            "/type",
            "not supported yet: write `api_key`",
        )]));
    }
    let new = NewKey {
        name: wanted.name,
        mode: wanted.mode.unwrap_or_default(),
        expires_at: wanted.expires_at,
        scopes: wanted.scopes,
        products: wanted.products,
        origin: Origin::Api,
    };
    let (credential, key) = make(&app, &caller, consumer, new).await?;
    Ok(shown(credential, &key))
}

/// Documentation of [`create`].
pub(crate) fn create_doc() -> Doc {
    Doc::new(TAG, "createCredential", "Make an API key")
        .text("The key is in this answer alone. A replayed `Idempotency-Key` answers 409 `secret-already-shown` with the id.")
        .body::<CreateCredential>()
        .answer::<CredentialBody>(201, "The credential with its secret")
}

async fn check(app: &App, wanted: &NewKey, now: Timestamp) -> Result<(), Problem> {
    let mut faults = Vec::new();
    if let Some(name) = &wanted.name {
        answer::check_name(&mut faults, "/name", name);
    }
    if wanted.expires_at.is_some_and(|at| at <= now) {
        faults.push(Fault::at("/expires_at", "this time has passed"));
    }
    for (index, name) in wanted.products.iter().enumerate() {
        if app.store.object_named(ObjectKind::Product, "", name).await?.is_none() {
            faults.push(Fault::at(
                format!("/products/{index}"),
                format!("no product is called `{name}`"),
            ));
        }
    }
    answer::no_faults(faults)
}

/// `GET /consumers/{id}/credentials`
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(consumer): Id<ConsumerId>,
    Query(paging): Query<Paging>,
) -> Answer {
    let page = paging.page()?;
    visible(&app, &caller, consumer).await?;
    let credentials = app.store.credentials(caller.scope(), consumer, &page).await?;
    let items = credentials.into_iter().map(CredentialBody::from).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |credential| credential.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listCredentials", "List the credentials of a consumer")
        .query::<Paging>()
        .answer::<Listed<CredentialBody>>(200, "Credentials, revoked ones too, oldest first")
}

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    /// How long the old key still works, such as `24h`; not at all unless given, 90 days at most.
    #[schema(value_type = Option<String>)]
    grace: Option<Span>,
}

/// `POST /consumers/{id}/credentials/{cid}/rotate`
pub(crate) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Ids(consumer, old): Ids<ConsumerId, CredentialId>,
    Body(wanted): Body<Rotate>,
) -> Answer {
    let grace = wanted.grace.unwrap_or(Span::from_millis(0));
    let (credential, key) = replace(&app, &caller, (consumer, old), (grace, Origin::Api)).await?;
    Ok(shown(credential, &key))
}

/// Replaces a key by one that opens the same; the old one works until the grace is over.
pub(crate) async fn replace(
    app: &App,
    caller: &Caller,
    (consumer, old): (ConsumerId, CredentialId),
    (grace, origin): (Span, Origin),
) -> Result<(Credential, ApiKey), Problem> {
    if grace.as_millis() > MAX_GRACE_MS {
        return Err(Problem::invalid(vec![Fault::at("/grace", "write at most 90d")]));
    }
    let mut tx = caller.change(app).await?;
    let before = tx
        .credential(old)
        .await?
        .filter(|credential| credential.consumer_id == consumer);
    let mut before = before.ok_or_else(|| Problem::missing("credential"))?;
    let now = tx.now();
    let wanted = NewKey {
        name: before.name.clone(),
        mode: before.mode,
        expires_at: before.expires_at,
        scopes: before.scopes.clone(),
        products: before.products.clone(),
        origin,
    };
    let (key, new) = generate(consumer, wanted, now);
    let until = now.plus_millis(grace.as_millis_i64());
    let credential = tx.rotate_credential(old, &new, until).await?;
    app.commit(tx).await?;
    before.revoked_at = Some(until);
    key_letters::tell(app, caller, News::Rotated(Box::new(before), credential.clone()));
    Ok((credential, key))
}

/// Documentation of [`rotate`].
pub(crate) fn rotate_doc() -> Doc {
    Doc::new(TAG, "rotateCredential", "Replace an API key")
        .text("The new key opens what the old one does. The old one works until the grace is over.")
        .body::<Rotate>()
        .answer::<CredentialBody>(201, "The new credential with its secret")
}

/// `DELETE /consumers/{id}/credentials/{cid}`
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Ids(consumer, id): Ids<ConsumerId, CredentialId>,
) -> Answer {
    revoke(&app, &caller, consumer, id).await?;
    Ok(answer::none())
}

/// Revokes a key now, also one whose grace still runs, and tells the members of it.
pub(crate) async fn revoke(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    id: CredentialId,
) -> Result<Credential, Problem> {
    let (credential, was_open) = end(app, caller, consumer, id).await?;
    if was_open {
        key_letters::tell(app, caller, News::Revoked(credential.clone()));
    }
    Ok(credential)
}

/// Revokes a key of [`make_quietly`].
pub(crate) async fn revoke_quietly(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    id: CredentialId,
) -> Result<(), Problem> {
    end(app, caller, consumer, id).await.map(drop)
}

/// The key as it is revoked, and whether it was not before.
async fn end(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    id: CredentialId,
) -> Result<(Credential, bool), Problem> {
    let mut tx = caller.change(app).await?;
    let known = tx
        .credential(id)
        .await?
        .filter(|credential| credential.consumer_id == consumer);
    let known = known.ok_or_else(|| Problem::missing("credential"))?;
    let now = tx.now();
    let was_open = known.revoked_at.is_none_or(|at| at > now);
    let credential = tx.revoke_credential(id, now).await?;
    app.commit(tx).await?;
    Ok((credential, was_open))
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "deleteCredential", "Revoke an API key").empty(204, "The gateways refuse it now")
}
