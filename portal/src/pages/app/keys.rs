//! `/app/apps/{id}/keys`: the keys of an app, and a new one, which only the answer to its form shows.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::key::{ApiKey, Mode};
use domain::subscription::{ConsumerStatus, Origin};
use jiff::tz::TimeZone;
use store::{Consumer, Credential, Page as StorePage};

use super::uses::{self, KeyUse, LastUse};
use super::{Tabs, consumer, held, shell};
use crate::api::answer::Id;
use crate::api::credentials::{self, NewKey};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::pages::web::access::BUILDERS;
use crate::pages::web::once::{self, Turn};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Form, Html, Member, Posted, Shell};
use crate::people::{is_verified, require_verified};

#[derive(Template)]
#[template(path = "app/keys.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    zone: String,
    shown: Option<Shown>,
    /// What became of a form that was sent twice.
    notice: Option<&'static str>,
    rows: Vec<Row>,
    is_suspended: bool,
    may_build: bool,
    modes: Vec<(String, String)>,
    /// Products that a key can be limited to: name, title, whether it is ticked.
    products: Vec<(String, String, bool)>,
    form: Form,
    once: Html,
}

/// A key on the one page that has it.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) secret: String,
    /// What becomes of the key that it replaces.
    pub(crate) before: Html,
}

struct Row {
    id: String,
    anchor: String,
    name: String,
    /// The part of the key that lists may show.
    short: String,
    is_test: bool,
    products: String,
    created: Moment,
    /// The key that it replaced: anchor and name.
    replaces: Option<(String, String)>,
    last: Html,
    calls: String,
    ends: Html,
    state: held::State,
    is_over: bool,
    is_replaced: bool,
}

/// Whether a key still opens something.
pub(crate) fn works(key: &Credential, now: Timestamp) -> bool {
    let open = |end: Option<Timestamp>| end.is_none_or(|end| end > now);
    open(key.revoked_at) && open(key.expires_at)
}

/// The name of a key, or the part of it that may be shown.
pub(crate) fn name(key: &Credential) -> String {
    key.name.clone().unwrap_or_else(|| show::key(&key.prefix, &key.last4))
}

/// `GET /app/apps/{id}/keys`
pub(crate) async fn list(State(app): State<App>, member: Member, Id(id): Id<ConsumerId>) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    web::page(&gather(&app, &member, &consumer, Form::new()).await?)
}

/// The keys of an app, without those that the try-it form made for one call.
pub(crate) async fn lasting(app: &App, member: &Member, consumer: ConsumerId) -> Result<Vec<Credential>, Problem> {
    let over = (credentials::BRIEF_MS, member.visitor.now());
    let page = StorePage::first(StorePage::MAX);
    let scope = member.caller.scope();
    Ok(app.store.lasting_credentials(scope, consumer, over, &page).await?)
}

async fn gather(app: &App, member: &Member, consumer: &Consumer, form: Form) -> Result<Page, Problem> {
    fresh(app).await?;
    let keys = lasting(app, member, consumer.id).await?;
    let uses = uses::of_keys(app, member, consumer.id).await?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in &keys {
        let used = uses.get(&key.id).copied().unwrap_or_default();
        let heir = keys.iter().find(|one| one.rotated_from == Some(key.id));
        let since = match heir {
            Some(heir) => Some(uses::of_key_since(app, member, key, heir.created_at).await?),
            None => None,
        };
        rows.push(row(member, key, &keys, (used, since)));
    }
    rows.sort_by_key(|row| row.is_over);
    let mut products = Vec::new();
    for one in held::subscriptions(app, member, Some(consumer.id)).await? {
        if one.status.is_live() {
            let held = held::held(app, member, one).await?;
            let ticked = form.holds("products", &held.product_name);
            products.push((held.product_name, held.product, ticked));
        }
    }
    Ok(Page {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "keys"),
        zone: show::zone_name(member.visitor.zone()),
        shown: None,
        notice: None,
        rows,
        is_suspended: consumer.status == ConsumerStatus::Suspended,
        may_build: member.is_one_of(BUILDERS) && is_verified(member.user()?),
        modes: vec![
            ("live".to_owned(), "Live".to_owned()),
            ("test".to_owned(), "Test".to_owned()),
        ],
        products,
        form,
        once: once::field(),
    })
}

fn row(member: &Member, key: &Credential, all: &[Credential], (used, since): (KeyUse, Option<u64>)) -> Row {
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let before = all.iter().find(|one| Some(one.id) == key.rotated_from);
    Row {
        id: key.id.to_string(),
        anchor: format!("key-{}", key.id),
        name: key.name.clone().unwrap_or_else(|| "Without a name".to_owned()),
        short: show::key(&key.prefix, &key.last4),
        is_test: key.mode == Mode::Test,
        products: key.products.join(", "),
        created: show::day(key.created_at, zone),
        replaces: before.map(|one| (format!("key-{}", one.id), name(one))),
        last: last(used, now, zone),
        calls: match since {
            Some(calls) => format!(
                "{}<span class=\"sub\">{} since it was replaced</span>",
                show::number(used.day),
                show::number(calls)
            ),
            None => show::number(used.day),
        },
        ends: ends(key, zone),
        state: state(key, now, zone),
        is_over: !works(key, now),
        is_replaced: key.revoked_at.is_some_and(|at| at > now),
    }
}

fn last(used: KeyUse, now: Timestamp, zone: &TimeZone) -> Html {
    match used.last {
        None => Html("<span class=\"soft\">not in 90 days</span>".to_owned()),
        Some(LastUse::Minute(at)) if now.millis_since(at) < 120_000 => Html("in the last minutes".to_owned()),
        Some(LastUse::Minute(at)) => show::ago(at, now),
        Some(LastUse::Day(at)) => show::day(at, zone),
    }
}

fn ends(key: &Credential, zone: &TimeZone) -> Html {
    let end = match (key.revoked_at, key.expires_at) {
        (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
        (revoked, expires) => revoked.or(expires),
    };
    end.map_or_else(|| Html("never".to_owned()), |at| show::moment(at, zone))
}

fn state(key: &Credential, now: Timestamp, zone: &TimeZone) -> held::State {
    let (class, words) = match (key.revoked_at, key.expires_at) {
        (Some(at), _) if at <= now => ("", format!("Revoked {}", show::day_text(at, zone))),
        (_, Some(at)) if at <= now => ("", format!("Expired {}", show::day_text(at, zone))),
        (Some(at), _) => {
            let left = show::span_text(at.millis_since(now).unsigned_abs());
            ("warn", format!("Replaced, ends in {left}"))
        }
        (None, Some(at)) if at.millis_since(now) < 14 * uses::DAY_MS => {
            let left = show::span_text(at.millis_since(now).unsigned_abs());
            ("warn", format!("Expires in {left}"))
        }
        _ => ("good", "Active".to_owned()),
    };
    held::State { class, words }
}

/// The list of keys with a new one on top. Nothing may keep this answer.
pub(crate) async fn reveal(
    app: &App,
    member: &Member,
    consumer: &Consumer,
    (credential, key): (&Credential, &ApiKey),
    before: Html,
) -> Result<Response, Problem> {
    let shown = Shown {
        name: name(credential),
        secret: key.reveal().to_owned(),
        before,
    };
    let page = Page {
        shown: Some(shown),
        ..gather(app, member, consumer, Form::new()).await?
    };
    web::page(&page).map(web::never_stored)
}

/// The list of keys for a form that was sent twice.
pub(crate) async fn sent_twice(app: &App, member: &Member, consumer: &Consumer) -> web::Page {
    let page = Page {
        notice: Some(
            "One key was made. It was in the answer to the first sending alone: if you did not get to see it, rotate that key.",
        ),
        ..gather(app, member, consumer, Form::new()).await?
    };
    web::with_status(StatusCode::CONFLICT, &page)
}

/// `POST /app/apps/{id}/keys`
pub(crate) async fn create(
    State(app): State<App>,
    member: Member,
    Id(id): Id<ConsumerId>,
    posted: Posted,
) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    require_verified(member.user()?)?;
    let wanted = match wanted(&posted, member.visitor.zone()) {
        Ok(wanted) => wanted,
        Err(problem) => return refused(&app, &member, &consumer, (&posted, &problem)).await,
    };
    let ticket = match once::turn(&app, &member.caller, &posted).await? {
        Turn::First(ticket) => ticket,
        Turn::Again(_) | Turn::Running => return sent_twice(&app, &member, &consumer).await,
    };
    let made = credentials::make(&app, &member.caller, id, wanted).await;
    match ticket
        .done(&app, made, |(credential, _)| credential.id.to_string())
        .await
    {
        Ok((credential, key)) => reveal(&app, &member, &consumer, (&credential, &key), Html::default()).await,
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => refused(&app, &member, &consumer, (&posted, &problem)).await,
    }
}

async fn refused(app: &App, member: &Member, consumer: &Consumer, (posted, problem): (&Posted, &Problem)) -> web::Page {
    let mut form = Form::typed(posted);
    form.preset("name", "");
    form.preset("expires_at", "");
    form.take(problem, &[]);
    web::unprocessable(&gather(app, member, consumer, form).await?)
}

/// What the form asks for. An empty field is its default.
fn wanted(posted: &Posted, zone: &TimeZone) -> Result<NewKey, Problem> {
    let mode = match posted.get("mode") {
        "" | "live" => Mode::Live,
        "test" => Mode::Test,
        _ => return Err(Problem::invalid(vec![Fault::at("/mode", "Choose live or test")])),
    };
    let expires_at = posted.given("expires_at").map(|text| end_of(text, zone)).transpose()?;
    Ok(NewKey {
        name: posted.given("name").map(str::to_owned),
        mode,
        expires_at,
        scopes: Vec::new(),
        products: posted.all("products").map(str::to_owned).collect(),
        origin: Origin::Portal,
    })
}

/// The end of a day in the reader's zone, or an instant of RFC 3339.
fn end_of(text: &str, zone: &TimeZone) -> Result<Timestamp, Problem> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let end = text
        .parse::<jiff::civil::Date>()
        .and_then(jiff::civil::Date::tomorrow)
        .and_then(|day| day.to_zoned(zone.clone()));
    end.map(|end| Timestamp::from_jiff(end.timestamp()))
        .map_err(|_| Problem::invalid(vec![Fault::at("/expires_at", "Write a day such as 2027-12-31")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_works_through_its_last_day_where_the_reader_is() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let end = end_of("2026-11-30", &zone).unwrap();
        assert_eq!(end.to_string(), "2026-11-30T23:00:00.000Z");
        assert_eq!(
            end_of("2026-11-30T10:00:00Z", &zone).unwrap().to_string(),
            "2026-11-30T10:00:00.000Z"
        );
        assert!(end_of("30.11.2026", &zone).is_err() && end_of("9999-12-31", &zone).is_err());
    }
}
