//! Beginning and ending sessions.
//!
//! Invariant: whoever logs in gets a new secret; what the browser held before works no more.

use axum::http::HeaderMap;
use axum::http::header::{SET_COOKIE, USER_AGENT};
use axum::response::Response;
use domain::ids::UserId;
use serde_json::json;
use store::{Actor, AuditEvent, Kind, NewSession};

use crate::app::App;
use crate::http::problem::{Problem, hex};
use crate::pages::web::Visitor;
use crate::pages::web::cookie::Cookie;
use crate::pages::web::visitor::{ABSOLUTE_MS, IDLE_MS};

const COOKIE_SECONDS: u32 = 14 * 86_400;
const MAX_AGENT: usize = 300;

/// Signs a person in: ends the browser's session if it has one, begins another and puts its cookie into the answer.
///
/// # Errors
/// When the store fails.
pub(crate) async fn begin(
    app: &App,
    (visitor, headers): (&Visitor, &HeaderMap),
    user: UserId,
    mut response: Response,
) -> Result<Response, Problem> {
    if let Some(person) = visitor.person() {
        app.store.end_session(person.session.secret_hash).await?;
    }
    let secret = domain::key::secret("tgs_", domain::random::bytes());
    let now = app.clock.now();
    let session = NewSession {
        secret_hash: domain::key::hash(secret.as_bytes()),
        user_id: user,
        csrf: hex(&domain::random::bytes::<16>()),
        address: visitor.address().map(str::to_owned),
        agent: agent(headers),
        expires_at: now.plus_millis(IDLE_MS.min(ABSOLUTE_MS)),
    };
    app.store.create_session(&session, now).await?;
    app.store.touch_login(user, now).await?;
    note(app, visitor, user, "user.log_in").await?;
    let cookies = [
        Cookie::Session.write(visitor.scheme(), &secret, COOKIE_SECONDS),
        Cookie::Form.write(visitor.scheme(), "", 0),
    ];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Ends the browser's session.
///
/// # Errors
/// When the store fails.
pub(crate) async fn end(app: &App, visitor: &Visitor, mut response: Response) -> Result<Response, Problem> {
    if let Some(person) = visitor.person() {
        app.store.end_session(person.session.secret_hash).await?;
        note(app, visitor, person.user.id, "user.log_out").await?;
    }
    for cookie in [Cookie::Session, Cookie::Organisation, Cookie::Form] {
        if let Some(value) = cookie.write(visitor.scheme(), "", 0) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// What people find on their security page.
///
/// # Errors
/// When the store fails.
pub(crate) async fn note(app: &App, visitor: &Visitor, user: UserId, action: &str) -> Result<(), Problem> {
    let actor = match visitor.address() {
        Some(address) => Actor::user(user).from_address(address),
        None => Actor::user(user),
    };
    let mut tx = app.store.change(actor, app.clock.now()).await?;
    tx.audit(AuditEvent {
        action: action.to_owned(),
        kind: Kind::User,
        target: user.to_string(),
        account: None,
        before: None,
        after: Some(json!({})),
    });
    tx.commit().await?;
    Ok(())
}

fn agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(MAX_AGENT).collect())
}
