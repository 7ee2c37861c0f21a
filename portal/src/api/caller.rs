//! Who calls: a token, checked before any handler of a route that needs one runs.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ids::{AccountId, TokenId, UserId};
use store::{Actor, ControlTx, Membership};

use super::endpoint::Need;
use super::refusals::Refusal;
use super::scope::{self, Scope};
use crate::app::App;
use crate::http::listen::Peer;
use crate::http::problem::Problem;

/// Who stands behind a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A program with a token.
    Token(TokenId),
    /// A person at a page.
    User(UserId),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(id) => id.fmt(f),
            Self::User(id) => id.fmt(f),
        }
    }
}

/// A caller who may do what the route does: a token with its scope, or a person whom the page's access has let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) who: Who,
    /// The one account that it sees; all when `None`.
    pub(crate) account: Option<AccountId>,
    /// What it may do.
    pub(crate) scopes: BTreeSet<Scope>,
    /// The address that it calls from.
    pub(crate) address: Option<String>,
}

impl Caller {
    /// A member of an organisation at a page: sees that account alone.
    pub(crate) fn member(user: UserId, membership: &Membership, address: Option<&str>) -> Self {
        Self {
            who: Who::User(user),
            account: Some(membership.account_id),
            scopes: Scope::all(),
            address: address.map(str::to_owned),
        }
    }

    /// Someone of staff at a page: sees every account.
    pub(crate) fn staff(user: UserId, address: Option<&str>) -> Self {
        Self {
            who: Who::User(user),
            account: None,
            scopes: Scope::all(),
            address: address.map(str::to_owned),
        }
    }

    /// What it may see.
    pub(crate) fn scope(&self) -> store::Scope {
        self.account.map_or(store::Scope::All, store::Scope::Account)
    }

    /// How the audit log names it.
    pub(crate) fn actor(&self) -> Actor {
        let actor = match self.who {
            Who::Token(id) => Actor::token(id),
            Who::User(id) => Actor::user(id),
        };
        match &self.address {
            Some(address) => actor.from_address(address.clone()),
            None => actor,
        }
    }

    /// 403 for a token that is bound to an account: the decision is the provider's. Ask after the thing was found, so that
    /// a foreign thing stays unknown.
    pub(crate) fn provider_only(&self) -> Result<(), Problem> {
        match self.account {
            None => Ok(()),
            Some(_) => Err(Problem::forbidden(
                "this is the provider's decision and the token is bound to an account",
            )),
        }
    }

    /// Begins a change as this caller, within what it may see.
    pub(crate) async fn change(&self, app: &App) -> Result<ControlTx, Problem> {
        app.change(self.actor(), self.scope()).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// A handler that asks for a caller on a route without one fails closed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Layer of each route: lets a request through when its token has what the route needs.
pub(crate) async fn authorize(State((app, need)): State<(App, Need)>, mut request: Request, next: Next) -> Response {
    let Some(wanted) = need.scope() else {
        return next.run(request).await;
    };
    let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_string());
    let caller = match identify(&app, request.headers(), address).await {
        Ok(caller) => caller,
        Err(problem) => {
            tracing::info!(
                path = request.uri().path(),
                status = problem.status().as_u16(),
                "a request without a valid token"
            );
            return problem.into_response();
        }
    };
    if let Err(problem) = permit(&caller, need, wanted) {
        let refusal = Refusal {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            scope: wanted,
        };
        app.refusals.note(&app, &caller, refusal).await;
        return problem.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn missing() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "missing-credentials", "A token is needed")
        .detail("send `Authorization: Bearer tgt_…`")
}

fn invalid() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-credentials",
        "The token is not valid",
    )
    .detail("the token is unknown, revoked or expired")
}

async fn identify(app: &App, headers: &HeaderMap, address: Option<String>) -> Result<Caller, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, secret) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    // The secret is looked up by its SHA-256: the time that a lookup takes tells nothing about the secret itself.
    let hash = domain::key::hash(secret.trim().as_bytes());
    let now = app.clock.now();
    let token = app.store.valid_token(hash, now).await?.ok_or_else(invalid)?;
    if token.last_used_at.is_none_or(|used| now.millis_since(used) >= 60_000) {
        let (store, id) = (app.store.clone(), token.id);
        tokio::spawn(async move { store.touch_token(id, now).await });
    }
    let scopes = token.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
    Ok(Caller {
        who: Who::Token(token.id),
        account: token.account_id,
        scopes,
        address,
    })
}

fn permit(caller: &Caller, need: Need, wanted: Scope) -> Result<(), Problem> {
    if !scope::covers(&caller.scopes, wanted) {
        return Err(Problem::forbidden(format!("the token lacks the scope `{wanted}`")));
    }
    if matches!(need, Need::Deployment(_)) && caller.account.is_some() {
        return Err(Problem::forbidden(
            "the token is bound to an account and this belongs to the deployment",
        ));
    }
    Ok(())
}
