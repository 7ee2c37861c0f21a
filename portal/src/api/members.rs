//! `/accounts/{id}/members` and `/accounts/{id}/invitations`: the people of an account.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, InvitationId, UserId};
use serde::{Deserialize, Serialize};
use store::{AccountRole, Invitation, Member, NewInvitation};
use utoipa::ToSchema;

use super::accounts::visible;
use super::answer::{self, Answer, Id, Ids};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::query::Query;

const TAG: &str = "accounts";

/// A member of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberBody {
    #[schema(value_type = String)]
    user_id: UserId,
    email: String,
    name: String,
    /// `owner`, `developer`, `billing` or `viewer`.
    #[schema(value_type = String)]
    role: AccountRole,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        let Member {
            user_id,
            email,
            name,
            role,
            created_at,
            ..
        } = member;
        Self {
            user_id,
            email,
            name,
            role,
            created_at,
        }
    }
}

/// `GET /accounts/{id}/members`
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Query(paging): Query<Paging>,
) -> Answer {
    let page = paging.page()?;
    visible(&app, &caller, id).await?;
    let items = app
        .store
        .members(caller.scope(), id, &page)
        .await?
        .into_iter()
        .map(MemberBody::from)
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |member| member.user_id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listMembers", "List the members of an account")
        .query::<Paging>()
        .answer::<Listed<MemberBody>>(200, "Members")
}

/// A new role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMember {
    /// `owner`, `developer`, `billing` or `viewer`.
    #[schema(value_type = String)]
    role: AccountRole,
}

/// `PATCH /accounts/{id}/members/{cid}`
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Ids(id, user): Ids<AccountId, UserId>,
    Body(wanted): Body<SetMember>,
) -> Answer {
    let mut tx = caller.change(&app).await?;
    if tx.member(id, user).await?.is_none() {
        return Err(crate::http::problem::Problem::missing("member"));
    }
    let member = tx.set_member(id, user, wanted.role).await?;
    app.commit(tx).await?;
    Ok(answer::json(StatusCode::OK, &MemberBody::from(member)))
}

/// Documentation of [`change`].
pub(crate) fn change_doc() -> Doc {
    Doc::new(TAG, "changeMember", "Change the role of a member")
        .body::<SetMember>()
        .answer::<MemberBody>(200, "The member")
}

/// `DELETE /accounts/{id}/members/{cid}`
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Ids(id, user): Ids<AccountId, UserId>) -> Answer {
    let mut tx = caller.change(&app).await?;
    tx.remove_member(id, user).await?;
    app.commit(tx).await?;
    Ok(answer::none())
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "removeMember", "Take a member out of an account")
        .text("The last owner cannot be taken out.")
        .empty(204, "The person is no member any more")
}

/// A person to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteMember {
    /// E-mail address.
    email: String,
    /// `owner`, `developer`, `billing` or `viewer`.
    #[schema(value_type = String)]
    role: AccountRole,
}

/// An invitation into an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationBody {
    #[schema(value_type = String)]
    id: InvitationId,
    email: String,
    roles: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// What the link carries: only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl InvitationBody {
    fn new(invitation: Invitation, secret: Option<String>) -> Self {
        let Invitation {
            id,
            email,
            roles,
            created_at,
            expires_at,
            ..
        } = invitation;
        Self {
            id,
            email,
            roles,
            created_at,
            expires_at,
            secret,
        }
    }
}

/// `POST /accounts/{id}/invitations`
pub(crate) async fn invite(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(wanted): Body<InviteMember>,
) -> Answer {
    let mut faults = Vec::new();
    answer::check_email(&mut faults, "/email", &wanted.email);
    answer::no_faults(faults)?;
    let mut tx = caller.change(&app).await?;
    let (new, secret) =
        crate::people::invitations::new(app.clock.now(), &wanted.email, vec![wanted.role.as_str().to_owned()]);
    let invitation = tx
        .create_invitation(&NewInvitation {
            account_id: Some(id),
            ..new.clone()
        })
        .await?;
    app.commit(tx).await?;
    crate::people::invitations::mail(&app, &invitation, &secret, None).await?;
    let body = InvitationBody::new(invitation, Some(secret));
    Ok(answer::secret(
        &new.id.to_string(),
        answer::json(StatusCode::CREATED, &body),
    ))
}

/// Documentation of [`invite`].
pub(crate) fn invite_doc() -> Doc {
    Doc::new(TAG, "inviteMember", "Invite a person into an account")
        .text("The link goes to the address by mail and works for seven days.")
        .body::<InviteMember>()
        .answer::<InvitationBody>(201, "The invitation with its secret")
}

/// `GET /accounts/{id}/invitations`
pub(crate) async fn invitations(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Query(paging): Query<Paging>,
) -> Answer {
    let page = paging.page()?;
    visible(&app, &caller, id).await?;
    let open = app
        .store
        .invitations(caller.scope(), Some(id), app.clock.now(), &page)
        .await?;
    let items = open
        .into_iter()
        .map(|invitation| InvitationBody::new(invitation, None))
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |invitation| invitation.id.to_string()),
    ))
}

/// Documentation of [`invitations`].
pub(crate) fn invitations_doc() -> Doc {
    Doc::new(TAG, "listInvitations", "List the open invitations of an account")
        .query::<Paging>()
        .answer::<Listed<InvitationBody>>(200, "Invitations, oldest first")
}
