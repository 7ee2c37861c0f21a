//! `/invite/{secret}`: accepting an invitation into an organisation or to staff.
//!
//! Whoever opens the link has the mailbox, so a new person is verified at once. Someone who has an account logs in first:
//! the invitation is for the address that it was sent to.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use domain::ids::UserId;
use store::{Actor, Invitation, NewUser, Page as Rows, User};

use crate::api::answer;
use crate::app::App;
use crate::http::problem::Problem;
use crate::letters;
use crate::pages::web::cookie::Cookie;
use crate::pages::web::{
    Form, Page, Posted, Shell, Visitor, never_stored, page, see_other, unprocessable, with_status,
};
use crate::people::invitations::{self, Target};
use crate::people::{links, mails, password, sessions};

/// What whoever opens the link has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Accept: they are signed in with the address.
    Accept,
    /// Log in with the address.
    LogIn,
    /// Log out: they are signed in with another address.
    LogOut,
    /// Choose name and password.
    New,
}

#[derive(Template)]
#[template(path = "people/invite.html")]
struct Invite {
    shell: Shell,
    form: Form,
    step: Step,
    place: String,
    target: Target,
    email: String,
    secret: String,
}

#[derive(Template)]
#[template(path = "people/invite_gone.html")]
struct Gone {
    shell: Shell,
}

/// An invitation that is open, and the person with its address.
struct Open {
    invitation: Invitation,
    target: Target,
    known: Option<User>,
}

async fn open(app: &App, secret: &str) -> Result<Option<Open>, Problem> {
    let found = app.store.open_invitation(links::hash(secret), app.clock.now()).await?;
    let Some(invitation) = found else { return Ok(None) };
    let target = invitations::target(app, &invitation).await?;
    let known = app.store.user_by_email(&invitation.email).await?;
    if known.as_ref().is_some_and(|user| user.disabled_at.is_some()) {
        return Ok(None);
    }
    Ok(Some(Open {
        invitation,
        target,
        known,
    }))
}

impl Open {
    fn step(&self, visitor: &Visitor) -> Step {
        let known = self.known.as_ref();
        match visitor.person() {
            Some(person) if known.is_some_and(|user| user.id == person.user.id) => Step::Accept,
            Some(_) => Step::LogOut,
            None if known.is_some_and(|user| user.password_hash.is_some()) => Step::LogIn,
            None => Step::New,
        }
    }

    async fn page(self, app: &App, visitor: &Visitor, form: Form, secret: String) -> Result<Invite, Problem> {
        let mut form = form;
        if let Some(user) = &self.known {
            form.preset("name", user.name.clone());
        }
        Ok(Invite {
            step: self.step(visitor),
            shell: visitor.shell(app).await?,
            place: self
                .target
                .organisation
                .clone()
                .unwrap_or_else(|| "the staff".to_owned()),
            target: self.target,
            email: self.invitation.email,
            form,
            secret,
        })
    }
}

async fn gone(app: &App, visitor: &Visitor) -> Page {
    let shell = visitor.shell(app).await?;
    with_status(StatusCode::GONE, &Gone { shell }).map(never_stored)
}

/// `GET /invite/{secret}`
pub(super) async fn show(State(app): State<App>, visitor: Visitor, Path(secret): Path<String>) -> Page {
    match open(&app, &secret).await? {
        None => gone(&app, &visitor).await,
        Some(open) => page(&open.page(&app, &visitor, Form::new(), secret).await?).map(never_stored),
    }
}

/// `POST /invite/{secret}`
pub(super) async fn accept(
    State(app): State<App>,
    visitor: Visitor,
    Path(secret): Path<String>,
    headers: HeaderMap,
    posted: Posted,
) -> Page {
    let Some(open) = open(&app, &secret).await? else {
        return gone(&app, &visitor).await;
    };
    match open.step(&visitor) {
        Step::LogIn | Step::LogOut => see_other(&format!("/login?next=/invite/{secret}")),
        Step::Accept => {
            let user = open.known.clone().ok_or_else(Problem::internal)?;
            joined(&app, &visitor, (&open, &secret), (user.id, None)).await?;
            Ok(arrive(&visitor, &open, see_other("/app")?))
        }
        Step::New => {
            let mut form = Form::typed(&posted);
            judge(&posted, &open.invitation.email, &mut form);
            if !form.is_fine() {
                return unprocessable(&open.page(&app, &visitor, form, secret).await?);
            }
            let hash = password::hash(posted.raw("password"))
                .await
                .map_err(|_| Problem::internal())?;
            let id = open
                .known
                .as_ref()
                .map_or_else(|| UserId::new(app.clock.now(), App::seed()), |user| user.id);
            let new = Some((posted.get("name").to_owned(), hash));
            joined(&app, &visitor, (&open, &secret), (id, new)).await?;
            let response = sessions::begin(&app, (&visitor, &headers), id, see_other("/app")?).await?;
            Ok(arrive(&visitor, &open, response))
        }
    }
}

fn judge(posted: &Posted, email: &str, form: &mut Form) {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "", posted.get("name"));
    if !faults.is_empty() {
        form.fault("name", "Write your name: 200 characters at most");
    }
    if let Some(fault) = password::fault(posted.raw("password"), &[email, posted.get("name")]) {
        form.fault("password", fault);
    }
}

/// The organisation that they have joined is the current one.
fn arrive(visitor: &Visitor, open: &Open, mut response: axum::response::Response) -> axum::response::Response {
    let cookie = open
        .invitation
        .account_id
        .and_then(|id| Cookie::Organisation.write(visitor.scheme(), &id.to_string(), super::organisation::YEAR));
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Uses the invitation up and gives what it promises, in one transaction.
async fn joined(
    app: &App,
    visitor: &Visitor,
    (open, secret): (&Open, &str),
    (id, new): (UserId, Option<(String, String)>),
) -> Result<(), Problem> {
    let actor = match visitor.address() {
        Some(address) => Actor::user(id).from_address(address),
        None => Actor::user(id),
    };
    let mut tx = app.change(actor, store::Scope::All).await?;
    let invitation = tx.accept_invitation(links::hash(secret)).await?;
    match (new, &open.known) {
        (Some((name, hash)), None) => {
            let person = NewUser {
                id,
                email: invitation.email.clone(),
                name,
                password_hash: Some(hash),
                staff_roles: Vec::new(),
            };
            tx.create_user(person).await?;
        }
        (Some((name, hash)), Some(_)) => {
            tx.set_user_name(id, &name).await?;
            tx.set_password(id, &hash).await?;
        }
        (None, _) => {}
    }
    tx.verify_email(id).await?;
    match invitation.account_id {
        Some(account) => {
            let role = invitations::account_role(&invitation).ok_or_else(Problem::internal)?;
            tx.set_member(account, id, role).await?;
        }
        // Staff have their roles since the invitation was made; an administrator may have changed them.
        None if open.known.is_some() => {}
        None => {
            tx.set_staff_roles(id, &invitations::staff_roles(&invitation)).await?;
        }
    }
    app.commit(tx).await?;
    tell_owners(app, &invitation, id).await
}

/// Mails the owners of the organisation.
async fn tell_owners(app: &App, invitation: &Invitation, id: UserId) -> Result<(), Problem> {
    let (Some(account), Some(user)) = (invitation.account_id, app.store.user(id).await?) else {
        return Ok(());
    };
    let target = invitations::target(app, invitation).await?;
    let place = target.organisation.unwrap_or_default();
    let members = app
        .store
        .members(store::Scope::Account(account), account, &Rows::default())
        .await?;
    let owners = members
        .into_iter()
        .filter(|member| member.role == store::AccountRole::Owner && member.user_id != id);
    for owner in owners {
        let letter = mails::member_joined(
            &place,
            (&user.name, &user.email),
            &target.roles,
            app.links.page("/app/team"),
        );
        letters::post(app, &owner.email, letter).await;
    }
    Ok(())
}
