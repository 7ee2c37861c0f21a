//! People and their ways in: passwords, throttling, links that work once, sessions, mails about all of it. Pages and the
//! Admin API both stand on it.

pub(crate) mod invitations;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod mails;
pub(crate) mod password;
pub(crate) mod sessions;
pub(crate) mod throttle;

use axum::http::StatusCode;
use store::User;

use crate::http::problem::Problem;

/// Name of the problem of someone whose address is not confirmed.
pub(crate) const UNVERIFIED: &str = "address-not-confirmed";

/// Whether an address was shown to be theirs. Staff were let in by an administrator.
pub(crate) fn is_verified(user: &User) -> bool {
    user.verified_at.is_some() || !user.staff_roles.is_empty()
}

/// What makes keys or costs money needs a verified address.
///
/// # Errors
/// 403 that says what to do.
pub(crate) fn require_verified(user: &User) -> Result<(), Problem> {
    if is_verified(user) {
        return Ok(());
    }
    Err(
        Problem::new(StatusCode::FORBIDDEN, UNVERIFIED, "Confirm your mail address first")
            .detail("open the link that we sent you, or have another one sent from the page /verify"),
    )
}
