//! `/organisation/new` for people who belong to none, and `/app/switch` for those who belong to several.

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use domain::ids::AccountId;
use domain::subscription::Origin;
use store::{AccountFields, AccountRole, Actor};

use super::signup;
use crate::api::answer;
use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;
use crate::pages::web::cookie::Cookie;
use crate::pages::web::{Form, Page, Posted, Shell, Visitor, page, see_other, unprocessable};
use crate::people::require_verified;

pub(super) const YEAR: u32 = 31_536_000;

#[derive(Template)]
#[template(path = "people/organisation_new.html")]
struct New {
    shell: Shell,
    form: Form,
}

/// `GET /organisation/new`
pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Page {
    signup::require_open(&app).await?;
    page(&New {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
    })
}

/// `POST /organisation/new`
pub(super) async fn make(State(app): State<App>, visitor: Visitor, posted: Posted) -> Page {
    signup::require_open(&app).await?;
    let user = &visitor.person().ok_or_else(Problem::internal)?.user;
    require_verified(user)?;
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "", posted.get("name"));
    if !faults.is_empty() {
        let mut form = Form::typed(&posted);
        form.fault("name", "Write the name of your organisation: 200 characters at most");
        let shell = visitor.shell(&app).await?;
        return unprocessable(&New { shell, form });
    }
    let fields = AccountFields {
        name: posted.get("name").to_owned(),
        email: Some(user.email.clone()),
        currency: configuration::settings(&app).await?.billing.currency,
        timezone: visitor.zone().iana_name().unwrap_or("UTC").to_owned(),
        country: None,
        address: None,
        tax_ids: Vec::new(),
        origin: Origin::Portal,
    };
    let mut tx = app.change(Actor::user(user.id), store::Scope::All).await?;
    let account = tx
        .create_account(AccountId::new(app.clock.now(), App::seed()), &fields)
        .await?;
    tx.set_member(account.id, user.id, AccountRole::Owner).await?;
    app.commit(tx).await?;
    chosen(&visitor, account.id)
}

/// `POST /app/switch`
pub(super) async fn switch(visitor: Visitor, posted: Posted) -> Page {
    let person = visitor.person().ok_or_else(Problem::internal)?;
    let wanted = posted.get("organisation").parse::<AccountId>().ok();
    let found = person.memberships.iter().find(|one| Some(one.account_id) == wanted);
    let membership = found.ok_or_else(|| Problem::missing("organisation of yours"))?;
    chosen(&visitor, membership.account_id)
}

/// To the dashboard of an organisation.
fn chosen(visitor: &Visitor, account: AccountId) -> Page {
    let mut response = see_other("/app")?;
    if let Some(cookie) = Cookie::Organisation.write(visitor.scheme(), &account.to_string(), YEAR) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
