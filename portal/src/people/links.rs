//! Links in mails: made, and recognised when they come back. Only hashes are stored.

use domain::clock::Timestamp;
use domain::ids::UserId;
use domain::key::KeyHash;
use store::{Link, LinkPurpose};

use crate::app::App;
use crate::http::problem::Problem;

/// A verification link works for two days.
const VERIFY_MS: i64 = 2 * 86_400_000;
/// A link that sets a new password works for an hour.
const RESET_MS: i64 = 3_600_000;

/// Secrets in links have so many characters at most; longer ones are looked up nowhere.
const MAX_SECRET: usize = 100;

/// A link for a person; earlier ones of the same purpose end. Answers with its secret.
///
/// # Errors
/// When the store fails.
pub(crate) async fn make(app: &App, user: UserId, purpose: LinkPurpose) -> Result<String, Problem> {
    let (prefix, lives) = match purpose {
        LinkPurpose::VerifyEmail => ("tgv_", VERIFY_MS),
        LinkPurpose::ResetPassword => ("tgr_", RESET_MS),
    };
    let secret = domain::key::secret(prefix, domain::random::bytes());
    let now = app.clock.now();
    app.store
        .create_link(hash(&secret), user, purpose, now..now.plus_millis(lives))
        .await?;
    Ok(secret)
}

/// What a link is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It works.
    Works(UserId),
    /// It worked until a moment ago.
    Expired(UserId),
    /// Nobody made it, or it was used or replaced.
    Unknown,
}

/// Looks a secret up.
///
/// # Errors
/// When the store fails.
pub(crate) async fn find(app: &App, secret: &str, purpose: LinkPurpose) -> Result<Found, Problem> {
    if secret.len() > MAX_SECRET {
        return Ok(Found::Unknown);
    }
    let link = app.store.link(hash(secret), purpose).await?;
    Ok(state(link, app.clock.now()))
}

fn state(link: Option<Link>, now: Timestamp) -> Found {
    match link {
        None => Found::Unknown,
        Some(link) if link.expires_at <= now => Found::Expired(link.user_id),
        Some(link) => Found::Works(link.user_id),
    }
}

/// Under which a secret is stored.
pub(crate) fn hash(secret: &str) -> KeyHash {
    domain::key::hash(secret.as_bytes())
}

/// What the browser that signed up holds: it shows together with the link in the mail that whoever opens the link is who
/// chose the password.
pub(crate) fn browser_proof(secret: &str) -> String {
    domain::key::hash(format!("browser {secret}").as_bytes()).to_hex()
}
