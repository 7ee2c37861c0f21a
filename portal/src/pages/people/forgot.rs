//! `/forgot` and `/reset/{secret}`: a new password by way of the mailbox.
//!
//! The answer is the same, in the same time, whether or not the address has an account: what differs happens after it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use store::{Actor, LinkPurpose, User};

use crate::app::App;
use crate::http::problem::Problem;
use crate::letters;
use crate::pages::web::{
    Asked, Form, Page, Posted, Shell, Visitor, never_stored, page, see_other, show, unprocessable, with_status,
};
use crate::people::links::{self, Found};
use crate::people::throttle::{self, Try};
use crate::people::{mails, password};

#[derive(Template)]
#[template(path = "people/forgot.html")]
struct Forgot {
    shell: Shell,
    form: Form,
    sent: bool,
}

#[derive(Template)]
#[template(path = "people/reset.html")]
struct Reset {
    shell: Shell,
    form: Form,
    secret: String,
    email: String,
}

#[derive(Template)]
#[template(path = "people/reset_gone.html")]
struct Gone {
    shell: Shell,
}

/// `GET /forgot`
pub(super) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    page(&Forgot {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        sent: asked.get("sent").is_some(),
    })
}

/// `POST /forgot`
pub(super) async fn send(State(app): State<App>, visitor: Visitor, posted: Posted) -> Page {
    let mut again = Forgot {
        shell: visitor.shell(&app).await?,
        form: Form::typed(&posted),
        sent: false,
    };
    let email = posted.get("email").to_owned();
    if mail::check_address(&email).is_err() {
        again
            .form
            .fault("email", "Complete the address, as in ines@kestrel.example");
        return unprocessable(&again);
    }
    if let Err(seconds) = throttle::count(&app, Try::Mail, &email, visitor.address()).await? {
        again.form.wrong(super::wait(seconds));
        return super::too_many(seconds, &again);
    }
    tokio::spawn(async move {
        if let Err(problem) = mail_link(&app, &email).await {
            tracing::error!(
                status = problem.status().as_u16(),
                "a link for a new password was not sent"
            );
        }
    });
    see_other("/forgot?sent=1")
}

/// Only who has a password can lose it: an invitation that was never accepted is no account.
async fn mail_link(app: &App, email: &str) -> Result<(), Problem> {
    let user = app.store.user_by_email(email).await?;
    let Some(user) = user.filter(|user| user.disabled_at.is_none() && user.password_hash.is_some()) else {
        return Ok(());
    };
    let secret = links::make(app, user.id, LinkPurpose::ResetPassword).await?;
    let url = app.links.page(&format!("/reset/{secret}"));
    letters::post(app, &user.email, mails::reset(url)).await;
    Ok(())
}

/// Whom the link is for, while it works.
async fn person(app: &App, secret: &str) -> Result<Option<User>, Problem> {
    match links::find(app, secret, LinkPurpose::ResetPassword).await? {
        Found::Works(id) => Ok(app.store.user(id).await?.filter(|user| user.disabled_at.is_none())),
        Found::Expired(_) | Found::Unknown => Ok(None),
    }
}

async fn gone(app: &App, visitor: &Visitor) -> Page {
    let shell = visitor.shell(app).await?;
    with_status(StatusCode::GONE, &Gone { shell }).map(never_stored)
}

/// `GET /reset/{secret}`
pub(super) async fn choose(State(app): State<App>, visitor: Visitor, Path(secret): Path<String>) -> Page {
    let Some(user) = person(&app, &secret).await? else {
        return gone(&app, &visitor).await;
    };
    page(&Reset {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        secret,
        email: user.email,
    })
    .map(never_stored)
}

/// `POST /reset/{secret}`
pub(super) async fn set(State(app): State<App>, visitor: Visitor, Path(secret): Path<String>, posted: Posted) -> Page {
    let Some(user) = person(&app, &secret).await? else {
        return gone(&app, &visitor).await;
    };
    let mut again = Reset {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        secret,
        email: user.email.clone(),
    };
    if let Some(fault) = password::fault(posted.raw("password"), &[&user.email, &user.name]) {
        again.form.fault("password", fault);
        return unprocessable(&again);
    }
    let hash = password::hash(posted.raw("password"))
        .await
        .map_err(|_| Problem::internal())?;
    let used = app
        .store
        .use_link(links::hash(&again.secret), LinkPurpose::ResetPassword, app.clock.now())
        .await?;
    if used != Some(user.id) {
        return gone(&app, &visitor).await;
    }
    let actor = match visitor.address() {
        Some(address) => Actor::user(user.id).from_address(address),
        None => Actor::user(user.id),
    };
    let mut tx = app.change(actor, store::Scope::All).await?;
    tx.set_password(user.id, &hash).await?;
    // The link came by mail, so the mailbox is theirs.
    tx.verify_email(user.id).await?;
    app.commit(tx).await?;
    changed(&app, &visitor, &user.email).await;
    see_other("/login?reset=1")
}

/// Tells by mail that the password is another one now.
pub(super) async fn changed(app: &App, visitor: &Visitor, email: &str) {
    let at = format!("{} UTC", show::moment_text(app.clock.now(), &jiff::tz::TimeZone::UTC));
    let letter = mails::password_changed(at, visitor.address(), &app.links.page("/forgot"));
    letters::post(app, email, letter).await;
}
