//! `/app/settings`: one's own name, and what stands on the invoices of the organisation.

use askama::Template;
use axum::extract::State;
use jiff::tz::TimeZone;
use store::billing::InvoiceFilter;
use store::{Account, AccountFields, Page as Rows};

use crate::api::{accounts, answer};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::PAYERS;
use crate::pages::web::field::Choices;
use crate::pages::web::sides;
use crate::pages::web::{Asked, Form, Member, Page, Posted, Shell, page, see_other, unprocessable};

#[derive(Template)]
#[template(path = "people/settings.html")]
struct Settings {
    shell: Shell,
    profile: Form,
    organisation: Form,
    email: String,
    zones: Choices,
    may_change: bool,
    /// Money has been counted in it: it stays.
    currency_is_fixed: bool,
    done: Option<&'static str>,
    id: String,
}

/// Zones that people live in.
fn zones() -> Choices {
    let mut names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .filter(|name| {
            name == "UTC" || (name.contains('/') && !name.starts_with("Etc/") && !name.starts_with("posix/"))
        })
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| (name.clone(), name.replace('_', " ")))
        .collect()
}

async fn account(app: &App, member: &Member) -> Result<Account, Problem> {
    let account = app.store.account(member.caller.scope(), member.account).await?;
    account.ok_or_else(|| Problem::missing("organisation"))
}

async fn currency_is_fixed(app: &App, member: &Member) -> Result<bool, Problem> {
    let filter = InvoiceFilter {
        account: Some(member.account),
        status: None,
    };
    let invoices = app
        .store
        .invoices(member.caller.scope(), filter, &Rows::first(1))
        .await?;
    Ok(!invoices.is_empty() || !app.store.subscription_ids(member.account).await?.is_empty())
}

fn stored(fields: &AccountFields) -> Form {
    Form::with([
        ("name", fields.name.clone()),
        ("email", fields.email.clone().unwrap_or_default()),
        ("timezone", fields.timezone.clone()),
        ("country", fields.country.clone().unwrap_or_default()),
        ("address", fields.address.clone().unwrap_or_default()),
        ("tax_ids", fields.tax_ids.join("\n")),
        ("currency", fields.currency.clone()),
    ])
}

/// Both forms; one of them as it was typed.
#[derive(Default)]
struct Typed {
    profile: Option<Form>,
    organisation: Option<Form>,
    done: Option<&'static str>,
}

async fn settings(app: &App, member: &Member, typed: Typed) -> Result<Settings, Problem> {
    let user = member.user()?;
    let account = account(app, member).await?;
    let mut zones = zones();
    if !zones.iter().any(|(name, _)| *name == account.fields.timezone) {
        zones.insert(0, (account.fields.timezone.clone(), account.fields.timezone.clone()));
    }
    Ok(Settings {
        shell: member.visitor.shell(app).await?.side(sides::app(member)),
        profile: typed
            .profile
            .unwrap_or_else(|| Form::with([("person", user.name.clone())])),
        organisation: typed.organisation.unwrap_or_else(|| stored(&account.fields)),
        email: user.email.clone(),
        zones,
        may_change: member.is_one_of(PAYERS),
        currency_is_fixed: currency_is_fixed(app, member).await?,
        done: typed.done,
        id: member.account.to_string(),
    })
}

/// `GET /app/settings`
pub(super) async fn show(State(app): State<App>, member: Member, asked: Asked) -> Page {
    let done = match asked.get("done") {
        Some("profile") => Some("Your name was changed."),
        Some("organisation") => Some("The organisation was changed."),
        _ => None,
    };
    let typed = Typed {
        done,
        ..Typed::default()
    };
    page(&settings(&app, &member, typed).await?)
}

/// `POST /app/settings/profile`
pub(super) async fn profile(State(app): State<App>, member: Member, posted: Posted) -> Page {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "", posted.get("person"));
    if !faults.is_empty() {
        let mut form = Form::typed(&posted);
        form.fault("person", "Write your name: 200 characters at most");
        let typed = Typed {
            profile: Some(form),
            ..Typed::default()
        };
        return unprocessable(&settings(&app, &member, typed).await?);
    }
    let mut tx = member.caller.change(&app).await?;
    tx.set_user_name(member.user()?.id, posted.get("person")).await?;
    app.commit(tx).await?;
    see_other("/app/settings?done=profile")
}

/// `POST /app/settings/organisation`
pub(super) async fn organisation(State(app): State<App>, member: Member, posted: Posted) -> Page {
    let was = account(&app, &member).await?.fields;
    let given = |name: &str| posted.given(name).map(str::to_owned);
    let is_fixed = currency_is_fixed(&app, &member).await?;
    let wanted = AccountFields {
        name: posted.get("name").to_owned(),
        email: given("email"),
        currency: given("currency")
            .filter(|_| !is_fixed)
            .map_or_else(|| was.currency.clone(), |code| code.to_uppercase()),
        timezone: given("timezone").unwrap_or_else(|| was.timezone.clone()),
        country: given("country").map(|code| code.to_uppercase()),
        address: given("address"),
        tax_ids: posted
            .get("tax_ids")
            .lines()
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect(),
        origin: was.origin,
    };
    let mut form = Form::typed(&posted);
    if let Err(problem) = answer::no_faults(accounts::faults(&wanted)) {
        form.take(&problem, &[]);
    }
    if wanted.address.as_ref().is_some_and(|text| text.chars().count() > 1_000) {
        form.fault("address", "Make it shorter: 1,000 characters at most");
    }
    if wanted.tax_ids.len() > 10 || wanted.tax_ids.iter().any(|id| id.chars().count() > 50) {
        form.fault("tax_ids", "Write ten numbers at most, each of 50 characters at most");
    }
    if TimeZone::get(&wanted.timezone).is_err() {
        form.fault("timezone", "Choose a time zone of the list");
    }
    if !form.is_fine() {
        let typed = Typed {
            organisation: Some(form),
            ..Typed::default()
        };
        return unprocessable(&settings(&app, &member, typed).await?);
    }
    let mut tx = member.caller.change(&app).await?;
    tx.update_account(member.account, &wanted).await?;
    app.commit(tx).await?;
    see_other("/app/settings?done=organisation")
}
