//! `POST …/try/{slug}`: makes a key, sends the request, takes the key back, shows the answer.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::ids::{ConsumerId, CredentialId};
use domain::key::{ApiKey, Mode};
use domain::subscription::Origin;
use reference::{Entry, Inputs, Request, samples};
use store::AttemptLimit;

use super::client::{self, Answer};
use super::form::{self, Page};
use crate::api::caller::Caller;
use crate::api::credentials::{self, NewKey};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::reference::open::{Named, Opened};
use crate::pages::web::{self, Form, Member, Posted};
use crate::people::require_verified;

/// Requests of one person within [`WINDOW_MS`].
const MOST: u32 = 30;
const WINDOW_MS: i64 = 60_000;
/// How long a new key may take to reach the gateway.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TRIES: u32 = 10;
const TRY_EVERY: Duration = Duration::from_millis(200);

/// `POST …/try/{slug}`
pub(in super::super) async fn send(
    State(app): State<App>,
    member: Member,
    Path(named): Path<Named>,
    posted: Posted,
) -> web::Page {
    require_verified(member.user()?)?;
    let opened = named.open(&app, &member.visitor).await?;
    let entry = form::entry(&opened, &named)?;
    let consumer = chosen(&app, &member, &opened, &posted).await?;
    let mut page = form::page(&app, &member.visitor, opened, &entry).await?;
    page.form = Form::typed(&posted);
    check(&mut page, &posted);
    if !page.form.is_fine() {
        return web::unprocessable(&page);
    }
    if let Some(problem) = too_many(&app, &member).await? {
        return Err(problem);
    }
    let request = written(&page.opened, &entry, &posted);
    page.curl = Some(samples::print(&request, samples::Language::Curl).html().into());
    let gateway = app
        .links
        .gateway()
        .ok_or_else(|| Problem::conflict("the gateway is not known"))?
        .to_owned();
    let mode = if posted.get("mode") == "test" {
        Mode::Test
    } else {
        Mode::Live
    };
    let wanted = NewKey {
        name: Some("Try it".to_owned()),
        mode,
        expires_at: Some(app.clock.now().plus_millis(credentials::BRIEF_MS)),
        scopes: Vec::new(),
        products: vec![page.opened.product.clone()],
        origin: Origin::Portal,
    };
    // In a task of its own: the key is taken back also when the reader goes away.
    let caller = member.caller.clone();
    let work = tokio::spawn(async move { tried(&app, &caller, consumer, (wanted, gateway, request)).await });
    match work.await.map_err(|_| Problem::internal())?? {
        Ok(answer) => page.result = Some(answer.shown()),
        Err(error) => page.form.wrong(error.to_string()),
    }
    if page.form.is_fine() {
        web::page(&page).map(web::never_stored)
    } else {
        web::with_status(StatusCode::BAD_GATEWAY, &page).map(web::never_stored)
    }
}

/// The app that was chosen: one of the organisation whose calls are served.
async fn chosen(app: &App, member: &Member, opened: &Opened, posted: &Posted) -> Result<ConsumerId, Problem> {
    let wanted: ConsumerId = posted.get("app").parse().map_err(|_| Problem::missing("app"))?;
    let apps = form::apps(app, store::Scope::Account(member.account), opened).await?;
    let found = apps.iter().find(|one| one.id == wanted);
    found
        .map(|one| one.id)
        .ok_or_else(|| Problem::missing("app with a subscription to this product"))
}

fn check(page: &mut Page, posted: &Posted) {
    let missing: Vec<String> = page
        .inputs
        .iter()
        .filter(|input| input.required && posted.get(&input.name).is_empty())
        .map(|input| input.name.clone())
        .collect();
    for name in missing {
        page.form.fault(&name, "Write a value: the operation asks for one.");
    }
    let media = posted.get("media");
    let body = posted.get("body");
    let is_json = media.contains("json") || media.contains("form");
    if page.has_body
        && is_json
        && !body.is_empty()
        && let Err(error) = serde_json::from_str::<serde_json::Value>(body)
    {
        page.form.fault("body", format!("This is no JSON: {error}."));
    }
}

async fn too_many(app: &App, member: &Member) -> Result<Option<Problem>, Problem> {
    let now = app.clock.now();
    let limit = AttemptLimit {
        subject: domain::key::hash(member.user()?.id.to_string().as_bytes()),
        max: MOST,
        window_ms: WINDOW_MS,
    };
    let free_at = app.store.attempt("try", &[limit], now).await?;
    Ok(free_at.map(|at| {
        let seconds = at.millis_since(now).max(0) / 1_000 + 1;
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests from the console",
        )
        .detail(format!("Wait {seconds} s, or send them with a key of your own."))
    }))
}

/// The request that the form describes. It goes to the API at this gateway, whatever the document says of servers.
fn written(opened: &Opened, entry: &Entry, posted: &Posted) -> Request {
    let values = posted
        .fields()
        .filter_map(|(name, value)| Some((name.strip_prefix("p.")?.to_owned(), value.trim().to_owned())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let inputs = Inputs {
        values,
        media_type: posted.given("media").map(str::to_owned),
        body: Some(posted.raw("body").to_owned()).filter(|body| !body.trim().is_empty()),
        only_given: true,
        ..opened.inputs.clone()
    };
    opened.reference.request(entry, &inputs)
}

type Tried = Result<Answer, client::Error>;

async fn tried(
    app: &App,
    caller: &Caller,
    consumer: ConsumerId,
    (wanted, gateway, request): (NewKey, String, Request),
) -> Result<Tried, Problem> {
    let (credential, key) = credentials::make_quietly(app, caller, consumer, wanted).await?;
    let answer = called(app, &gateway, &request, &key).await;
    take_back(app, caller, consumer, credential.id).await;
    answer
}

async fn called(app: &App, gateway: &str, request: &Request, key: &ApiKey) -> Result<Tried, Problem> {
    let revision = app.store.revision().await?;
    let waited = async {
        while app.publisher.published() < revision {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // A gateway that has not heard of the key says so, and is asked again.
    let _ = tokio::time::timeout(PATIENCE, waited).await;
    for _ in 1..TRIES {
        match client::send(gateway, request, key.reveal()).await {
            Ok(answer) if answer.knows_no_key() => tokio::time::sleep(TRY_EVERY).await,
            other => return Ok(other),
        }
    }
    Ok(client::send(gateway, request, key.reveal()).await)
}

async fn take_back(app: &App, caller: &Caller, consumer: ConsumerId, id: CredentialId) {
    if let Err(problem) = credentials::revoke_quietly(app, caller, consumer, id).await {
        tracing::warn!(credential = %id, status = problem.status().as_u16(), "a key of the console ends by itself, not now");
    }
}
