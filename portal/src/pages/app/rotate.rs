//! Another key in the place of one, with an overlap, and the end of a key.

use askama::Template;
use axum::extract::State;
use domain::ids::{ConsumerId, CredentialId};
use domain::span::Span;
use domain::subscription::Origin;
use store::{Consumer, Credential};

use super::uses::{self, LastUse};
use super::{Tabs, consumer, keys, shell};
use crate::api::answer::Ids;
use crate::api::credentials;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::once::{self, Turn};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Form, Html, Member, Posted, Shell, escape};
use crate::people::require_verified;

/// Value, words, and how long it is.
const CHOICES: [(&str, &str, u64); 5] = [
    ("0s", "Not at all", 0),
    ("1h", "1 hour", 3_600_000),
    ("24h", "24 hours", 86_400_000),
    ("7d", "7 days", 7 * 86_400_000),
    ("30d", "30 days", 30 * 86_400_000),
];
const USUAL: &str = "24h";

#[derive(Template)]
#[template(path = "app/key_rotate.html")]
struct RotatePage {
    shell: Shell,
    tabs: Tabs,
    id: String,
    name: String,
    short: String,
    calls: String,
    choices: Vec<Choice>,
    form: Form,
    once: Html,
}

struct Choice {
    value: &'static str,
    words: &'static str,
    until: Option<Moment>,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "app/key_revoke.html")]
struct RevokePage {
    shell: Shell,
    tabs: Tabs,
    id: String,
    name: String,
    short: String,
    calls: u64,
    calls_text: String,
    last: Option<Moment>,
    form: Form,
    label: String,
}

/// The app and its key, both the organisation's own. A key that is over is none.
async fn found(
    app: &App,
    member: &Member,
    (id, key): (ConsumerId, CredentialId),
) -> Result<(Consumer, Credential), Problem> {
    let consumer = consumer(app, member, id).await?;
    let key = app
        .store
        .credential(member.caller.scope(), key)
        .await?
        .filter(|key| key.consumer_id == id)
        .ok_or_else(|| Problem::missing("key"))?;
    Ok((consumer, key))
}

/// `GET /app/apps/{id}/keys/{cid}/rotate`
pub(crate) async fn ask(
    State(app): State<App>,
    member: Member,
    Ids(id, key): Ids<ConsumerId, CredentialId>,
) -> web::Page {
    let (consumer, key) = found(&app, &member, (id, key)).await?;
    if key.revoked_at.is_some() {
        return web::see_other(&format!("/app/apps/{id}/keys"));
    }
    let form = Form::with([("grace", USUAL)]);
    web::page(&gather(&app, &member, (&consumer, &key), form).await?)
}

async fn gather(
    app: &App,
    member: &Member,
    (consumer, key): (&Consumer, &Credential),
    form: Form,
) -> Result<RotatePage, Problem> {
    fresh(app).await?;
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let calls = uses::of_key_since(app, member, key, now.plus_millis(-uses::DAY_MS)).await?;
    let choice = |(value, words, millis): (&'static str, &'static str, u64)| Choice {
        value,
        words,
        until: (millis > 0).then(|| show::moment(now.plus_millis(i64::try_from(millis).unwrap_or(0)), zone)),
        is_chosen: form.value("grace") == value,
    };
    Ok(RotatePage {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "keys"),
        id: key.id.to_string(),
        name: keys::name(key),
        short: show::key(&key.prefix, &key.last4),
        calls: show::count(calls, "call", "calls"),
        choices: CHOICES.into_iter().map(choice).collect(),
        form,
        once: once::field(),
    })
}

/// `POST /app/apps/{id}/keys/{cid}/rotate`
pub(crate) async fn carry_out(
    State(app): State<App>,
    member: Member,
    Ids(id, old): Ids<ConsumerId, CredentialId>,
    posted: Posted,
) -> web::Page {
    let (consumer, before) = found(&app, &member, (id, old)).await?;
    require_verified(member.user()?)?;
    let wanted = posted.given("grace").unwrap_or(USUAL);
    let known = CHOICES.iter().find(|(value, _, _)| *value == wanted);
    let Some((_, _, millis)) = known else {
        let mut form = Form::typed(&posted);
        form.fault("grace", "Choose how long the old key goes on working");
        return web::unprocessable(&gather(&app, &member, (&consumer, &before), form).await?);
    };
    let ticket = match once::turn(&app, &member.caller, &posted).await? {
        Turn::First(ticket) => ticket,
        Turn::Again(_) | Turn::Running => return keys::sent_twice(&app, &member, &consumer).await,
    };
    let grace = (Span::from_millis(*millis), Origin::Portal);
    let made = credentials::replace(&app, &member.caller, (id, old), grace).await;
    let made = ticket
        .done(&app, made, |(credential, _)| credential.id.to_string())
        .await?;
    let until = made.0.created_at.plus_millis(i64::try_from(*millis).unwrap_or(0));
    let ends = if *millis == 0 {
        "which no gateway takes any more after a second".to_owned()
    } else {
        format!("which works until {}", show::moment(until, member.visitor.zone()))
    };
    let words = Html(format!("It replaces {}, {ends}.", escape(&keys::name(&before))));
    keys::reveal(&app, &member, &consumer, (&made.0, &made.1), words).await
}

/// `GET /app/apps/{id}/keys/{cid}/revoke`
pub(crate) async fn ask_to_revoke(
    State(app): State<App>,
    member: Member,
    Ids(id, key): Ids<ConsumerId, CredentialId>,
) -> web::Page {
    let (consumer, key) = found(&app, &member, (id, key)).await?;
    if key.revoked_at.is_some_and(|at| at <= member.visitor.now()) {
        return web::see_other(&format!("/app/apps/{id}/keys"));
    }
    web::page(&revoking(&app, &member, (&consumer, &key), Form::new()).await?)
}

/// What is typed to revoke a key: its name, or its first characters where it has none.
fn word(key: &Credential) -> String {
    let name = key.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    name.unwrap_or(&key.prefix).to_owned()
}

async fn revoking(
    app: &App,
    member: &Member,
    (consumer, key): (&Consumer, &Credential),
    form: Form,
) -> Result<RevokePage, Problem> {
    fresh(app).await?;
    let used = uses::of_keys(app, member, consumer.id).await?;
    let used = used.get(&key.id).copied().unwrap_or_default();
    let last = match used.last {
        Some(LastUse::Minute(at)) => Some(show::ago(at, member.visitor.now())),
        Some(LastUse::Day(_)) | None => None,
    };
    Ok(RevokePage {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "keys"),
        id: key.id.to_string(),
        name: keys::name(key),
        short: show::key(&key.prefix, &key.last4),
        calls: used.day,
        calls_text: show::count(used.day, "call", "calls"),
        last,
        form,
        label: format!("Type {} to confirm", word(key)),
    })
}

/// `POST /app/apps/{id}/keys/{cid}/revoke`
pub(crate) async fn revoke(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, CredentialId>,
    posted: Posted,
) -> web::Page {
    let (consumer, key) = found(&app, &member, (id, cid)).await?;
    let typed = posted.get("confirm");
    if typed != word(&key) && typed != key.prefix {
        let mut form = Form::typed(&posted);
        form.preset("confirm", "");
        form.fault("confirm", format!("Type it as it is: {}", word(&key)));
        return web::unprocessable(&revoking(&app, &member, (&consumer, &key), form).await?);
    }
    credentials::revoke(&app, &member.caller, id, cid).await?;
    web::see_other(&format!("/app/apps/{id}/keys"))
}
