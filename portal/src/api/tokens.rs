//! `/tokens`: tokens of the Admin API. The secret exists only in the answer that makes it.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::clock::Timestamp;
use domain::ids::{AccountId, TokenId};
use serde::{Deserialize, Serialize};
use store::NewToken;
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use super::scope::{self, Scope};
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::Query;

const TAG: &str = "tokens";

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// Name for people.
    name: String,
    /// The one account that it sees; all when absent.
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Scopes such as `consumers:read`; none that the caller does not have.
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    /// The end of its life.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenBody {
    #[schema(value_type = String)]
    id: TokenId,
    name: String,
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// The token itself: only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<store::Token> for TokenBody {
    fn from(token: store::Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            account_id: token.account_id,
            scopes: token.scopes,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            secret: None,
        }
    }
}

/// `POST /tokens`
pub(crate) async fn create(State(app): State<App>, caller: Caller, Body(wanted): Body<CreateToken>) -> Answer {
    check(&caller, &wanted, app.clock.now())?;
    let secret = domain::key::secret("tgt_", domain::random::bytes());
    let new = NewToken {
        id: TokenId::new(app.clock.now(), App::seed()),
        name: wanted.name,
        secret_hash: domain::key::hash(secret.as_bytes()),
        scopes: wanted.scopes.iter().map(Scope::to_string).collect(),
        account_id: wanted.account_id.or(caller.account),
        expires_at: wanted.expires_at,
    };
    let mut tx = caller.change(&app).await?;
    let token = tx.create_token(&new).await?;
    app.commit(tx).await?;
    let body = TokenBody {
        secret: Some(secret),
        ..token.into()
    };
    Ok(answer::secret(
        &new.id.to_string(),
        answer::json(StatusCode::CREATED, &body),
    ))
}

/// Documentation of [`create`].
pub(crate) fn create_doc() -> Doc {
    Doc::new(TAG, "createToken", "Make a token")
        .body::<CreateToken>()
        .answer::<TokenBody>(201, "The token with its secret")
}

fn check(caller: &Caller, wanted: &CreateToken, now: Timestamp) -> Result<(), Problem> {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "/name", &wanted.name);
    if wanted.scopes.is_empty() {
        faults.push(Fault::at("/scopes", "name at least one scope"));
    }
    if wanted.expires_at.is_some_and(|at| at <= now) {
        faults.push(Fault::at("/expires_at", "this time has passed"));
    }
    answer::no_faults(faults)?;
    match wanted
        .scopes
        .iter()
        .find(|scope| !scope::covers(&caller.scopes, **scope))
    {
        Some(scope) => Err(Problem::forbidden(format!(
            "a token cannot give the scope `{scope}`, which it does not have"
        ))),
        None => Ok(()),
    }
}

/// `GET /tokens`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let tokens = app.store.tokens(caller.scope(), &page).await?;
    let items = tokens.into_iter().map(TokenBody::from).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |token| token.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listTokens", "List tokens")
        .query::<Paging>()
        .answer::<Listed<TokenBody>>(200, "Tokens, oldest first")
}

/// `DELETE /tokens/{id}`
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Id(id): Id<TokenId>) -> Result<Response, Problem> {
    let mut tx = caller.change(&app).await?;
    tx.revoke_token(id).await?;
    app.commit(tx).await?;
    Ok(answer::none())
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "deleteToken", "Revoke a token").empty(204, "It works no more")
}
