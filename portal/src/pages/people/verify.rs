//! `/verify`: shows that a mail address is theirs.
//!
//! The link alone verifies nothing: programs open links in mails, and a stranger can sign up with someone else's address.
//! It takes the link together with the browser that signed up, the session, or the password. Opening it again changes
//! nothing.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use store::{Actor, LinkPurpose, User};

use crate::app::App;
use crate::http::problem::Problem;
use crate::letters;
use crate::pages::web::cookie::Cookie;
use crate::pages::web::{
    Asked, Form, Page, Posted, Shell, Visitor, never_stored, page, see_other, unprocessable, with_status,
};
use crate::people::links::{self, Found};
use crate::people::throttle::{self, Try};
use crate::people::{is_verified, mails, password, sessions};

/// What the page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is theirs.
    Confirmed,
    /// The link has expired; another one can be sent.
    Expired,
    /// Another one was sent.
    Sent,
    /// Nobody knows the link.
    Unknown,
}

#[derive(Template)]
#[template(path = "people/verify.html")]
struct Told {
    shell: Shell,
    state: Outcome,
    secret: String,
}

#[derive(Template)]
#[template(path = "people/verify_password.html")]
struct Ask {
    shell: Shell,
    form: Form,
    email: String,
    secret: String,
}

#[derive(Template)]
#[template(path = "people/verify_waiting.html")]
struct Waiting {
    shell: Shell,
    form: Form,
    email: String,
    is_verified: bool,
    sent: bool,
    /// Whether something was refused for want of it.
    needed: bool,
}

async fn told(app: &App, visitor: &Visitor, state: Outcome, secret: String) -> Page {
    let shell = visitor.shell(app).await?;
    let status = match state {
        Outcome::Confirmed | Outcome::Sent => StatusCode::OK,
        Outcome::Expired | Outcome::Unknown => StatusCode::GONE,
    };
    with_status(status, &Told { shell, state, secret }).map(never_stored)
}

async fn user_of(app: &App, found: Found) -> Result<Option<User>, Problem> {
    match found {
        Found::Works(id) | Found::Expired(id) => {
            Ok(app.store.user(id).await?.filter(|user| user.disabled_at.is_none()))
        }
        Found::Unknown => Ok(None),
    }
}

/// Notes that the address is theirs.
async fn verified(app: &App, user: &User) -> Result<(), Problem> {
    if user.verified_at.is_some() {
        return Ok(());
    }
    let mut tx = app.change(Actor::user(user.id), store::Scope::All).await?;
    tx.verify_email(user.id).await?;
    app.commit(tx).await?;
    Ok(())
}

/// `GET /verify/{secret}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Page {
    let found = links::find(&app, &secret, LinkPurpose::VerifyEmail).await?;
    let Some(user) = user_of(&app, found).await? else {
        return told(&app, &visitor, Outcome::Unknown, secret).await;
    };
    if user.verified_at.is_some() {
        return told(&app, &visitor, Outcome::Confirmed, secret).await;
    }
    if matches!(found, Found::Expired(_)) {
        return told(&app, &visitor, Outcome::Expired, secret).await;
    }
    if visitor.person().is_some_and(|person| person.user.id == user.id) {
        verified(&app, &user).await?;
        return told(&app, &visitor, Outcome::Confirmed, secret).await;
    }
    let proof = Cookie::SignUp.read(&headers, visitor.scheme());
    if visitor.person().is_none() && proof.as_deref() == Some(links::browser_proof(&secret).as_str()) {
        verified(&app, &user).await?;
        return enter(&app, &visitor, &headers, &user).await;
    }
    page(&Ask {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        email: user.email,
        secret,
    })
    .map(never_stored)
}

async fn enter(app: &App, visitor: &Visitor, headers: &HeaderMap, user: &User) -> Page {
    let response = see_other("/app")?;
    let mut response = sessions::begin(app, (visitor, headers), user.id, response).await?;
    if let Some(cookie) = Cookie::SignUp.write(visitor.scheme(), "", 0) {
        response.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /verify/{secret}`: the link and the password.
pub(super) async fn confirm(
    State(app): State<App>,
    visitor: Visitor,
    Path(secret): Path<String>,
    headers: HeaderMap,
    posted: Posted,
) -> Page {
    let found = links::find(&app, &secret, LinkPurpose::VerifyEmail).await?;
    let (Some(user), Found::Works(_)) = (user_of(&app, found).await?, found) else {
        return see_other(&format!("/verify/{}", only_secret(&secret)));
    };
    let mut ask = Ask {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        email: user.email.clone(),
        secret,
    };
    let counted = match throttle::count(&app, Try::LogIn, &user.email, visitor.address()).await? {
        Ok(counted) => counted,
        Err(seconds) => {
            ask.form.wrong(super::wait(seconds));
            return super::too_many(seconds, &ask);
        }
    };
    let is_right = password::verify(posted.raw("password"), user.password_hash.as_deref()).await;
    if !is_right.map_err(|_| Problem::internal())? {
        ask.form.fault("password", "This is not the password of this account");
        return unprocessable(&ask);
    }
    counted.forgive(&app).await?;
    verified(&app, &user).await?;
    enter(&app, &visitor, &headers, &user).await
}

/// `POST /verify/{secret}/again`: whoever holds an expired link has the mailbox, so another one goes there.
pub(super) async fn renew(
    State(app): State<App>,
    visitor: Visitor,
    Path(secret): Path<String>,
    _posted: Posted,
) -> Page {
    let found = links::find(&app, &secret, LinkPurpose::VerifyEmail).await?;
    let Some(user) = user_of(&app, found).await? else {
        return told(&app, &visitor, Outcome::Unknown, secret).await;
    };
    if let Err(seconds) = throttle::count(&app, Try::Mail, &user.email, visitor.address()).await? {
        return Err(too_often(seconds));
    }
    mail_link(&app, &user).await?;
    told(&app, &visitor, Outcome::Sent, secret).await
}

async fn mail_link(app: &App, user: &User) -> Result<(), Problem> {
    let secret = links::make(app, user.id, LinkPurpose::VerifyEmail).await?;
    let url = app.links.page(&format!("/verify/{secret}"));
    letters::post(app, &user.email, mails::verify(url)).await;
    Ok(())
}

fn too_often(seconds: u64) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many tries").detail(super::wait(seconds))
}

/// `GET /verify`
pub(super) async fn waiting(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let shell = visitor.shell(&app).await?;
    let user = &visitor.person().ok_or_else(Problem::internal)?.user;
    page(&Waiting {
        shell,
        form: Form::new(),
        email: user.email.clone(),
        is_verified: is_verified(user),
        sent: asked.get("sent").is_some(),
        needed: false,
    })
}

/// What is shown in the place of something that needs a confirmed address: why, and a button for another link.
pub(crate) async fn unverified(app: &App, visitor: &Visitor) -> Page {
    let user = &visitor.person().ok_or_else(Problem::internal)?.user;
    let page = Waiting {
        shell: visitor.shell(app).await?,
        form: Form::new(),
        email: user.email.clone(),
        is_verified: false,
        sent: false,
        needed: true,
    };
    with_status(StatusCode::FORBIDDEN, &page)
}

/// `POST /verify`: sends the link again.
pub(super) async fn again(State(app): State<App>, visitor: Visitor, _posted: Posted) -> Page {
    let user = &visitor.person().ok_or_else(Problem::internal)?.user;
    if is_verified(user) {
        return see_other("/verify");
    }
    if let Err(seconds) = throttle::count(&app, Try::Mail, &user.email, visitor.address()).await? {
        let mut waiting = Waiting {
            shell: visitor.shell(&app).await?,
            form: Form::new(),
            email: user.email.clone(),
            is_verified: false,
            sent: false,
            needed: false,
        };
        waiting.form.wrong(super::wait(seconds));
        return super::too_many(seconds, &waiting);
    }
    mail_link(&app, user).await?;
    see_other("/verify?sent=1")
}

/// A secret as it may stand in a path.
fn only_secret(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .collect()
}
