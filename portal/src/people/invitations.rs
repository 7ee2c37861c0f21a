//! Inviting people: the secret of the link, what is stored of it, and the mail that carries it.

use domain::clock::Timestamp;
use domain::ids::InvitationId;
use store::{AccountRole, Invitation, NewInvitation, StaffRole};

use super::mails;
use crate::app::App;
use crate::http::problem::Problem;
use crate::letters;
use crate::pages::web::access::role_name;

/// How long an invitation can be accepted.
pub(crate) const LIVES_MS: i64 = 7 * 86_400_000;

/// A secret for a link, and what is stored of the invitation. Without an account it invites to staff.
pub(crate) fn new(now: Timestamp, email: &str, roles: Vec<String>) -> (NewInvitation, String) {
    let secret = domain::key::secret("tgi_", domain::random::bytes());
    let new = NewInvitation {
        id: InvitationId::new(now, App::seed()),
        account_id: None,
        email: email.trim().to_owned(),
        roles,
        secret_hash: domain::key::hash(secret.as_bytes()),
        expires_at: now.plus_millis(LIVES_MS),
    };
    (new, secret)
}

/// What an invitation leads into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name of the organisation; `None` for staff.
    pub(crate) organisation: Option<String>,
    /// The roles for people.
    pub(crate) roles: String,
}

/// What this invitation leads into.
///
/// # Errors
/// When the store fails.
pub(crate) async fn target(app: &App, invitation: &Invitation) -> Result<Target, Problem> {
    let organisation = match invitation.account_id {
        None => None,
        Some(id) => app
            .store
            .account(store::Scope::All, id)
            .await?
            .map(|account| account.fields.name),
    };
    let roles = match invitation.account_id {
        Some(_) => invitation.roles.join(" and "),
        None => staff_roles(invitation)
            .into_iter()
            .map(role_name)
            .collect::<Vec<_>>()
            .join(" and "),
    };
    Ok(Target { organisation, roles })
}

/// The staff roles that an invitation gives.
pub(crate) fn staff_roles(invitation: &Invitation) -> Vec<StaffRole> {
    let role = |name: &String| serde_json::from_value(serde_json::Value::from(name.as_str())).ok();
    invitation.roles.iter().filter_map(role).collect()
}

/// The role in the organisation that an invitation gives.
pub(crate) fn account_role(invitation: &Invitation) -> Option<AccountRole> {
    invitation.roles.first().and_then(|name| AccountRole::from_word(name))
}

/// Mails the link.
///
/// # Errors
/// When the store fails; a mail that cannot be sent is the mailer's matter.
pub(crate) async fn mail(
    app: &App,
    invitation: &Invitation,
    secret: &str,
    inviter: Option<&str>,
) -> Result<(), Problem> {
    let target = target(app, invitation).await?;
    let url = app.links.page(&format!("/invite/{secret}"));
    let letter = mails::invitation(&target, inviter, url);
    letters::post(app, &invitation.email, letter).await;
    Ok(())
}
