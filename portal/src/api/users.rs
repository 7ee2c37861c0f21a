//! `/users`: staff. Inviting makes the person and a link that works once; roles can be changed; disabling ends sessions.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{InvitationId, UserId};
use serde::{Deserialize, Serialize};
use store::{NewUser, StaffRole, User};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::Query;
use crate::people::invitations;

const TAG: &str = "users";

/// A person to invite to staff.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteUser {
    /// E-mail address.
    email: String,
    /// `admin`, `product_manager`, `finance` or `support`.
    #[schema(value_type = Vec<String>)]
    roles: Vec<StaffRole>,
    /// Name.
    #[serde(default)]
    name: String,
}

/// New roles.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeUser {
    /// All roles of the person; none takes the person out of staff.
    #[schema(value_type = Vec<String>)]
    roles: Vec<StaffRole>,
}

/// A member of staff.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<StaffRole>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_login_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_at: Option<Timestamp>,
    /// The invitation, in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<InvitationSecret>,
}

/// An invitation with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationSecret {
    #[schema(value_type = String)]
    pub(super) id: InvitationId,
    /// What the link carries; shown once.
    pub(super) secret: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires_at: Timestamp,
}

impl UserBody {
    fn new(user: User, invitation: Option<InvitationSecret>) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            roles: user.staff_roles,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            disabled_at: user.disabled_at,
            invitation,
        }
    }
}

/// `POST /users`
pub(crate) async fn invite(State(app): State<App>, caller: Caller, Body(wanted): Body<InviteUser>) -> Answer {
    let made = invited(&app, &caller, (&wanted.email, &wanted.name), wanted.roles).await?;
    let (user, shown) = made;
    let id = user.id.to_string();
    Ok(answer::secret(
        &id,
        answer::json(StatusCode::CREATED, &UserBody::new(user, Some(shown))),
    ))
}

/// Invites a person (address, name) to staff and mails the link.
pub(crate) async fn invited(
    app: &App,
    caller: &Caller,
    (email, name): (&str, &str),
    roles: Vec<StaffRole>,
) -> Result<(User, InvitationSecret), Problem> {
    let mut faults = Vec::new();
    answer::check_email(&mut faults, "/email", email);
    if roles.is_empty() {
        faults.push(Fault::at("/roles", "name at least one role"));
    }
    answer::no_faults(faults)?;
    let now = app.clock.now();
    let mut tx = caller.change(app).await?;
    if tx.user_by_email(email).await?.is_some() {
        return Err(Problem::conflict(
            "a person with this address exists: change their roles with PATCH /users/{id}",
        ));
    }
    let words = roles
        .iter()
        .filter_map(|role| Some(serde_json::to_value(role).ok()?.as_str()?.to_owned()))
        .collect();
    let (new, secret) = invitations::new(now, email, words);
    let person = NewUser {
        id: UserId::new(now, App::seed()),
        email: email.to_owned(),
        name: name.to_owned(),
        password_hash: None,
        staff_roles: roles,
    };
    let user = tx.create_user(person).await?;
    let invitation = tx.create_invitation(&new).await?;
    app.commit(tx).await?;
    invitations::mail(app, &invitation, &secret, None).await?;
    let shown = InvitationSecret {
        id: new.id,
        secret,
        expires_at: new.expires_at,
    };
    Ok((user, shown))
}

/// Documentation of [`invite`].
pub(crate) fn invite_doc() -> Doc {
    Doc::new(TAG, "inviteUser", "Invite a person to staff")
        .text("The link goes to the address by mail and works for seven days.")
        .body::<InviteUser>()
        .answer::<UserBody>(201, "The person with the invitation")
}

/// `GET /users`
pub(crate) async fn list(State(app): State<App>, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let items = app
        .store
        .staff(&page)
        .await?
        .into_iter()
        .map(|user| UserBody::new(user, None))
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |user| user.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listUsers", "List staff")
        .query::<Paging>()
        .answer::<Listed<UserBody>>(200, "People with a role, oldest first")
}

/// `PATCH /users/{id}`
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<UserId>,
    Body(wanted): Body<ChangeUser>,
) -> Answer {
    let mut tx = caller.change(&app).await?;
    let user = tx.set_staff_roles(id, &wanted.roles).await?;
    app.commit(tx).await?;
    Ok(answer::json(StatusCode::OK, &UserBody::new(user, None)))
}

/// Documentation of [`change`].
pub(crate) fn change_doc() -> Doc {
    Doc::new(TAG, "changeUser", "Change the roles of a person")
        .body::<ChangeUser>()
        .answer::<UserBody>(200, "The person")
}

/// `DELETE /users/{id}`
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Id(id): Id<UserId>) -> Answer {
    let mut tx = caller.change(&app).await?;
    tx.disable_user(id).await?;
    app.commit(tx).await?;
    Ok(answer::none())
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "disableUser", "Bar a person from signing in").empty(204, "The person is barred and signed out")
}
