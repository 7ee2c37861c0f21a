//! `/signup`: an account of one's own, where sign-up is open.
//!
//! The answer is the same whether or not the address has an account: nobody is signed in here. Whoever has the mailbox gets
//! a link, or is told that there is an account already. The cookie that is set lets the same browser in when it opens the link.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse as _;
use domain::config::Signup;
use domain::ids::{AccountId, UserId};
use domain::subscription::Origin;
use store::{AccountFields, AccountRole, Actor, LinkPurpose, NewUser};

use crate::api::answer;
use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;
use crate::letters;
use crate::pages::web::cookie::Cookie;
use crate::pages::web::{Asked, Form, Page, Posted, Shell, Visitor, page, see_other, unprocessable};
use crate::people::throttle::{self, Try};
use crate::people::{links, mails, password};

/// No answer comes sooner, so that small differences of work do not show.
const FLOOR: Duration = Duration::from_millis(300);
const COOKIE_SECONDS: u32 = 2 * 86_400;

#[derive(Template)]
#[template(path = "people/signup.html")]
struct SignUp {
    shell: Shell,
    form: Form,
}

#[derive(Template)]
#[template(path = "people/sent.html")]
struct Sent {
    shell: Shell,
}

/// 403 unless sign-up is open.
pub(super) async fn require_open(app: &App) -> Result<(), Problem> {
    match configuration::settings(app).await?.signup {
        None | Some(Signup::Open) => Ok(()),
        Some(Signup::Invitation) => Err(Problem::forbidden(
            "sign-up is by invitation here: ask the provider, or an owner of your organisation, for one",
        )),
    }
}

/// `GET /signup`
pub(super) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    require_open(&app).await?;
    let shell = visitor.shell(&app).await?;
    if asked.get("sent").is_some() {
        return page(&Sent { shell });
    }
    if visitor.person().is_some() {
        return see_other("/app");
    }
    page(&SignUp {
        shell,
        form: Form::new(),
    })
}

/// What is wrong with the fields.
fn judge(posted: &Posted, form: &mut Form) {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "", posted.get("name"));
    if !faults.is_empty() {
        form.fault("name", "Write your name: 200 characters at most");
    }
    if mail::check_address(posted.get("email")).is_err() {
        form.fault("email", "Complete the address, as in ines@kestrel.example");
    }
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "", posted.given("organisation").unwrap_or("none"));
    if !faults.is_empty() {
        form.fault("organisation", "Make it shorter: 200 characters at most, on one line");
    }
    let known = [posted.get("email"), posted.get("name"), posted.get("organisation")];
    if let Some(fault) = password::fault(posted.raw("password"), &known) {
        form.fault("password", fault);
    }
}

/// `POST /signup`
pub(super) async fn send(State(app): State<App>, visitor: Visitor, posted: Posted) -> Page {
    require_open(&app).await?;
    let floor = tokio::time::Instant::now() + FLOOR;
    let mut form = Form::typed(&posted);
    judge(&posted, &mut form);
    let shell = visitor.shell(&app).await?;
    if !form.is_fine() {
        return unprocessable(&SignUp { shell, form });
    }
    if let Err(seconds) = throttle::count(&app, Try::SignUp, posted.get("email"), visitor.address()).await? {
        form.wrong(super::wait(seconds));
        return super::too_many(seconds, &SignUp { shell, form });
    }
    let hash = password::hash(posted.raw("password"))
        .await
        .map_err(|_| Problem::internal())?;
    let proof = match app.store.user_by_email(posted.get("email")).await? {
        None => welcome(&app, &visitor, &posted, hash).await?,
        Some(user) => remind(&app, &visitor, user.id, &user.email).await?,
    };
    tokio::time::sleep_until(floor).await;
    let mut response = see_other("/signup?sent=1")?.into_response();
    if let Some(cookie) = Cookie::SignUp.write(visitor.scheme(), &proof, COOKIE_SECONDS) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Makes person and organisation, mails the link, and answers with what the browser gets to hold.
async fn welcome(app: &App, visitor: &Visitor, posted: &Posted, hash: String) -> Result<String, Problem> {
    let now = app.clock.now();
    let (name, email) = (posted.get("name"), posted.get("email"));
    let id = UserId::new(now, App::seed());
    let fields = AccountFields {
        name: posted.given("organisation").unwrap_or(name).to_owned(),
        email: Some(email.to_owned()),
        currency: configuration::settings(app).await?.billing.currency,
        timezone: visitor.zone().iana_name().unwrap_or("UTC").to_owned(),
        country: None,
        address: None,
        tax_ids: Vec::new(),
        origin: Origin::Portal,
    };
    let actor = match visitor.address() {
        Some(address) => Actor::user(id).from_address(address),
        None => Actor::user(id),
    };
    let mut tx = app.change(actor, store::Scope::All).await?;
    let person = NewUser {
        id,
        email: email.to_owned(),
        name: name.to_owned(),
        password_hash: Some(hash),
        staff_roles: Vec::new(),
    };
    match tx.create_user(person).await {
        Ok(_) => {}
        // Sent twice at the same time: the other one was faster.
        Err(store::Error::Conflict { .. }) => return Ok(links::browser_proof(&id.to_string())),
        Err(error) => return Err(error.into()),
    }
    let account = tx.create_account(AccountId::new(now, App::seed()), &fields).await?;
    tx.set_member(account.id, id, AccountRole::Owner).await?;
    app.commit(tx).await?;
    let secret = links::make(app, id, LinkPurpose::VerifyEmail).await?;
    let url = app.links.page(&format!("/verify/{secret}"));
    letters::post(app, email, mails::verify(url)).await;
    Ok(links::browser_proof(&secret))
}

/// Tells someone who has an account that they have one. Writes as much as [`welcome`] does.
async fn remind(app: &App, visitor: &Visitor, user: UserId, email: &str) -> Result<String, Problem> {
    crate::people::sessions::note(app, visitor, user, "user.sign_up_again").await?;
    let secret = links::make(app, user, LinkPurpose::ResetPassword).await?;
    let url = app.links.page(&format!("/reset/{secret}"));
    letters::post(app, email, mails::already_registered(&app.links.page("/login"), url)).await;
    // A proof of a link that does not exist.
    Ok(links::browser_proof(&domain::key::secret("", domain::random::bytes())))
}
