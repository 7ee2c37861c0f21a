//! People and their organisations: sign-up, log-in, links from mails, team, settings, security.
//!
//! Invariants: no answer tells a stranger whether an address has an account; whoever logs in gets a new session; a link is
//! worth nothing without its hash in the store; ids of other organisations are 404.

mod forgot;
mod invite;
mod login;
mod next;
mod organisation;
mod remove;
mod security;
mod settings;
mod signup;
mod team;
mod verify;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

pub(crate) use self::verify::unverified;
use super::web::access::{OWNERS, PAYERS, READERS};
use super::web::route::{get, post};
use super::web::{Access, Page, PageRoute, with_status};

/// The pages of this folder.
pub(crate) fn table() -> Vec<PageRoute> {
    let mut pages = vec![
        get("/signup", Access::Public, signup::show),
        post("/signup", Access::Public, signup::send),
        get("/verify", Access::SignedIn, verify::waiting),
        post("/verify", Access::SignedIn, verify::again),
        get("/verify/{secret}", Access::Public, verify::show),
        post("/verify/{secret}", Access::Public, verify::confirm),
        post("/verify/{secret}/again", Access::Public, verify::renew),
        get("/login", Access::Public, login::show),
        post("/login", Access::Public, login::send),
        post("/logout", Access::SignedIn, login::leave),
        get("/forgot", Access::Public, forgot::show),
        post("/forgot", Access::Public, forgot::send),
        get("/reset/{secret}", Access::Public, forgot::choose),
        post("/reset/{secret}", Access::Public, forgot::set),
        get("/invite/{secret}", Access::Public, invite::show),
        post("/invite/{secret}", Access::Public, invite::accept),
    ];
    pages.extend(signed_in());
    pages
}

fn signed_in() -> Vec<PageRoute> {
    let readers = Access::Member(READERS);
    let owners = Access::Member(OWNERS);
    vec![
        get("/organisation/new", Access::SignedIn, organisation::show),
        post("/organisation/new", Access::SignedIn, organisation::make),
        post("/app/switch", Access::SignedIn, organisation::switch),
        get("/app/team", readers, team::show),
        post("/app/team/invitations", owners, team::invite),
        post("/app/team/invitations/{id}/withdraw", owners, team::withdraw),
        post("/app/team/invitations/{id}/again", owners, team::again),
        post("/app/team/{id}/role", owners, team::role),
        get("/app/team/{id}/remove", owners, remove::show),
        post("/app/team/{id}/remove", owners, remove::remove),
        get("/app/team/leave", readers, remove::ask_to_leave),
        post("/app/team/leave", readers, remove::leave),
        get("/app/settings", readers, settings::show),
        post("/app/settings/profile", readers, settings::profile),
        post(
            "/app/settings/organisation",
            Access::Member(PAYERS),
            settings::organisation,
        ),
        get("/app/security", Access::SignedIn, security::show),
        post("/app/security/password", Access::SignedIn, security::password),
        post("/app/security/sessions/others", Access::SignedIn, security::end_others),
        post("/app/security/sessions/{id}/end", Access::SignedIn, security::end),
    ]
}

/// A form again after too many tries: 429 with the seconds to wait.
fn too_many(seconds: u64, template: &impl askama::Template) -> Page {
    let mut response: Response = with_status(StatusCode::TOO_MANY_REQUESTS, template)?;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// What a form says after too many tries.
fn wait(seconds: u64) -> String {
    format!(
        "Too many tries. Wait {}, then try again.",
        crate::people::throttle::wait_text(seconds)
    )
}
