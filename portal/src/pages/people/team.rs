//! `/app/team`: members, their roles, open invitations.

use askama::Template;
use axum::extract::State;
use domain::ids::{InvitationId, UserId};
use store::{AccountRole, Invitation, Page as Rows};

use crate::api::answer::Id;
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::pages::web::access::OWNERS;
use crate::pages::web::field::Choices;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::sides;
use crate::pages::web::{Asked, Form, Member, Page, Posted, Shell, page, see_other, unprocessable};
use crate::people::invitations;
use crate::people::require_verified;

/// Invitations that may be open at a time.
const MAX_OPEN: usize = 100;

struct Row {
    id: String,
    name: String,
    email: String,
    role: AccountRole,
    since: Moment,
    is_self: bool,
    form: Form,
}

struct Invited {
    id: String,
    email: String,
    role: String,
    until: Moment,
}

#[derive(Template)]
#[template(path = "people/team.html")]
struct Team {
    shell: Shell,
    form: Form,
    organisation: String,
    members: Vec<Row>,
    invited: Vec<Invited>,
    roles: Choices,
    may_change: bool,
    done: Option<&'static str>,
    zone: String,
}

/// Roles and what they may do.
pub(super) fn roles() -> Choices {
    [
        (AccountRole::Developer, "Developer: apps, keys, subscriptions"),
        (AccountRole::Billing, "Billing: invoices and payment"),
        (AccountRole::Viewer, "Viewer: reads only"),
        (AccountRole::Owner, "Owner: everything, and the team"),
    ]
    .into_iter()
    .map(|(role, text)| (role.as_str().to_owned(), text.to_owned()))
    .collect()
}

async fn open_invitations(app: &App, member: &Member) -> Result<Vec<Invitation>, Problem> {
    let scope = member.caller.scope();
    let now = app.clock.now();
    Ok(app
        .store
        .invitations(scope, Some(member.account), now, &Rows::first(Rows::MAX))
        .await?)
}

async fn team(app: &App, member: &Member, form: Form, done: Option<&'static str>) -> Result<Team, Problem> {
    let (visitor, me) = (&member.visitor, member.user()?.id);
    let zone = visitor.zone();
    let members = app
        .store
        .members(member.caller.scope(), member.account, &Rows::first(Rows::MAX))
        .await?;
    let may_change = member.is_one_of(OWNERS);
    let invited = if may_change {
        open_invitations(app, member).await?
    } else {
        Vec::new()
    };
    Ok(Team {
        shell: visitor.shell(app).await?.side(sides::app(member)),
        form,
        organisation: member.account_name.clone(),
        members: members
            .into_iter()
            .map(|one| Row {
                id: one.user_id.to_string(),
                is_self: one.user_id == me,
                since: show::day(one.created_at, zone),
                form: Form::with([("role", one.role.as_str())]),
                name: if one.name.is_empty() {
                    one.email.clone()
                } else {
                    one.name
                },
                email: one.email,
                role: one.role,
            })
            .collect(),
        invited: invited
            .into_iter()
            .map(|one| Invited {
                id: one.id.to_string(),
                role: one.roles.join(", "),
                until: show::moment(one.expires_at, zone),
                email: one.email,
            })
            .collect(),
        roles: roles(),
        may_change,
        done,
        zone: show::zone_name(zone),
    })
}

/// `GET /app/team`
pub(super) async fn show(State(app): State<App>, member: Member, asked: Asked) -> Page {
    let done = match asked.get("done") {
        Some("invited") => Some("The invitation is on its way by mail."),
        Some("withdrawn") => Some("The invitation was withdrawn; its link works no more."),
        Some("role") => Some("The role was changed."),
        Some("removed") => Some("The person is no member any more."),
        _ => None,
    };
    page(&team(&app, &member, Form::new(), done).await?)
}

/// `POST /app/team/invitations`
pub(super) async fn invite(State(app): State<App>, member: Member, posted: Posted) -> Page {
    require_verified(member.user()?)?;
    let mut form = Form::typed(&posted);
    let email = posted.get("email");
    if mail::check_address(email).is_err() {
        form.fault("email", "Complete the address, as in ines@kestrel.example");
    }
    let role = AccountRole::from_word(posted.given("role").unwrap_or("developer"));
    if role.is_none() {
        form.fault("role", "Choose a role of the list");
    }
    let open = open_invitations(&app, &member).await?;
    if open.len() >= MAX_OPEN {
        form.wrong(format!("{MAX_OPEN} invitations are open: withdraw some first."));
    }
    if is_member(&app, &member, email).await? {
        form.fault("email", "This person is a member already: change the role in the list");
    }
    let Some(role) = role.filter(|_| form.is_fine()) else {
        return unprocessable(&team(&app, &member, form, None).await?);
    };
    let same = open
        .iter()
        .filter(|one| one.email.eq_ignore_ascii_case(email))
        .map(|one| one.id);
    send(&app, &member, same.collect(), (email, role)).await?;
    see_other("/app/team?done=invited")
}

async fn is_member(app: &App, member: &Member, email: &str) -> Result<bool, Problem> {
    let Some(user) = app.store.user_by_email(email).await? else {
        return Ok(false);
    };
    let memberships = app.store.memberships(user.id).await?;
    Ok(memberships.iter().any(|one| one.account_id == member.account))
}

/// Makes an invitation in the place of older ones and mails it.
async fn send(
    app: &App,
    member: &Member,
    older: Vec<InvitationId>,
    (email, role): (&str, AccountRole),
) -> Result<(), Problem> {
    let (new, secret) = invitations::new(app.clock.now(), email, vec![role.as_str().to_owned()]);
    let mut tx = member.caller.change(app).await?;
    for id in older {
        tx.withdraw_invitation(id).await?;
    }
    let invitation = tx
        .create_invitation(&store::NewInvitation {
            account_id: Some(member.account),
            ..new
        })
        .await?;
    app.commit(tx).await?;
    let inviter = member.user()?.name.clone();
    invitations::mail(app, &invitation, &secret, Some(&inviter)).await
}

/// `POST /app/team/invitations/{id}/withdraw`
pub(super) async fn withdraw(
    State(app): State<App>,
    member: Member,
    Id(id): Id<InvitationId>,
    _posted: Posted,
) -> Page {
    let mut tx = member.caller.change(&app).await?;
    if !tx.withdraw_invitation(id).await? {
        return Err(Problem::missing("open invitation"));
    }
    app.commit(tx).await?;
    see_other("/app/team?done=withdrawn")
}

/// `POST /app/team/invitations/{id}/again`: another link, another week.
pub(super) async fn again(State(app): State<App>, member: Member, Id(id): Id<InvitationId>, _posted: Posted) -> Page {
    let open = open_invitations(&app, &member).await?;
    let old = open
        .into_iter()
        .find(|one| one.id == id)
        .ok_or_else(|| Problem::missing("open invitation"))?;
    let role = invitations::account_role(&old).ok_or_else(Problem::internal)?;
    send(&app, &member, vec![id], (&old.email, role)).await?;
    see_other("/app/team?done=invited")
}

/// `POST /app/team/{id}/role`
pub(super) async fn role(State(app): State<App>, member: Member, Id(id): Id<UserId>, posted: Posted) -> Page {
    let mut tx = member.caller.change(&app).await?;
    if tx.member(member.account, id).await?.is_none() {
        return Err(Problem::missing("member"));
    }
    let role = AccountRole::from_word(posted.get("role"))
        .ok_or_else(|| Problem::invalid(vec![Fault::at("/role", "choose a role of the list")]))?;
    match tx.set_member(member.account, id, role).await {
        Ok(_) => {
            app.commit(tx).await?;
            see_other("/app/team?done=role")
        }
        Err(store::Error::State(_)) => {
            tx.rollback().await?;
            let mut form = Form::new();
            form.wrong("An organisation keeps at least one owner. Make someone else an owner first.");
            unprocessable(&team(&app, &member, form, None).await?)
        }
        Err(error) => Err(error.into()),
    }
}
