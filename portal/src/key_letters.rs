//! Mails about keys, to every member of the organisation: one that is new, replaced or revoked, and one that is still used
//! shortly before it ends.
//!
//! Invariants: no mail holds a key, only what lists show of it; whoever makes, replaces or revokes a key does not wait for
//! mails and does not fail with them. Keys of the try-it form are nobody's news.

use std::collections::BTreeMap;

use analytics::{Dimension, Interval, UsageQuery};
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::limit::REQUESTS;
use jiff::tz::TimeZone;
use store::{Actor, Claim, Credential, Ending, IdempotencyKey, Page, Scope};

use crate::api::caller::Caller;
use crate::api::usage::billed;
use crate::app::App;
use crate::http::problem::Problem;
use crate::letters::{self, Letter};
use crate::pages::web::show;

/// So long before a replaced key ends its last users are told.
const WARNING_MS: i64 = 3_600_000;
/// Uses that are older say nothing about who would be cut off.
const LOOK_BACK_MS: i64 = 86_400_000;
const DAY_MS: i64 = 86_400_000;

/// What has happened to a key.
#[derive(Debug)]
pub(crate) enum News {
    /// It was made.
    Made(Credential),
    /// The first was replaced by the second.
    Rotated(Box<Credential>, Credential),
    /// It was revoked.
    Revoked(Credential),
}

/// Tells the members, in a task of its own.
pub(crate) fn tell(app: &App, caller: &Caller, news: News) {
    let (app, actor) = (app.clone(), caller.actor());
    tokio::spawn(async move {
        if let Err(problem) = told(&app, &actor, news).await {
            tracing::warn!(status = problem.status().as_u16(), "a mail about a key was not written");
        }
    });
}

async fn told(app: &App, actor: &Actor, news: News) -> Result<(), Problem> {
    let who = name(app, actor).await?;
    let key = match &news {
        News::Made(key) | News::Rotated(_, key) | News::Revoked(key) => key.clone(),
    };
    let about = About::of(app, &key).await?;
    let letter = match &news {
        News::Made(key) => made(&about, key, &who),
        News::Rotated(before, after) => rotated(&about, (before, after), &who),
        News::Revoked(key) => revoked(&about, key, &who),
    };
    post(app, key.account_id, letter).await
}

async fn post(app: &App, account: AccountId, letter: Letter) -> Result<(), Problem> {
    let mut page = Page::bulk();
    loop {
        let members = app.store.members(Scope::All, account, &page).await?;
        for member in &members {
            letters::post(app, &member.email, letter.clone()).await;
        }
        match members.last() {
            Some(last) if members.len() >= usize::try_from(page.limit()).unwrap_or(usize::MAX) => {
                page = Page::bulk().continued(last.user_id);
            }
            _ => return Ok(()),
        }
    }
}

/// Who acted, as people know them.
async fn name(app: &App, actor: &Actor) -> Result<String, Problem> {
    let user = match (actor.kind.as_str(), actor.id.parse()) {
        ("user", Ok(id)) => app.store.user(id).await?,
        _ => None,
    };
    Ok(user.map_or_else(
        || "a program with an API token".to_owned(),
        |user| if user.name.is_empty() { user.email } else { user.name },
    ))
}

/// What letters about a key have in common.
struct About {
    /// Name of the app.
    app: String,
    zone: TimeZone,
    link: String,
}

impl About {
    async fn of(app: &App, key: &Credential) -> Result<Self, Problem> {
        let consumer = app.store.consumer(Scope::All, key.consumer_id).await?;
        let account = app.store.account(Scope::All, key.account_id).await?;
        let zone = account.and_then(|account| TimeZone::get(&account.fields.timezone).ok());
        Ok(Self {
            app: consumer.map(|consumer| consumer.name).unwrap_or_default(),
            zone: zone.unwrap_or(TimeZone::UTC),
            link: app.links.page(&format!("/app/apps/{}/keys", key.consumer_id)),
        })
    }

    fn at(&self, at: Timestamp) -> String {
        format!(
            "{} ({})",
            show::moment_text(at, &self.zone),
            show::zone_name(&self.zone)
        )
    }

    fn letter(&self, kind: &'static str, subject: String, text: Vec<String>, facts: Vec<(&str, String)>) -> Letter {
        let app = [("App".to_owned(), self.app.clone())];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value));
        Letter {
            kind,
            preview: text.first().cloned().unwrap_or_default(),
            subject,
            text,
            facts: app.into_iter().chain(facts).collect(),
            action: Some(("See the keys".to_owned(), self.link.clone())),
            after: Vec::new(),
            why: "You are a member of the organisation that this app belongs to.".to_owned(),
        }
    }
}

/// The name of a key, or what lists show of it.
fn title(key: &Credential) -> String {
    key.name.clone().unwrap_or_else(|| short(key))
}

fn short(key: &Credential) -> String {
    show::key(&key.prefix, &key.last4)
}

fn made(about: &About, key: &Credential, who: &str) -> Letter {
    let ends = key.expires_at.map_or_else(|| "never".to_owned(), |at| about.at(at));
    let letter = about.letter(
        "key-made",
        format!("New key for {}: {}", about.app, title(key)),
        vec![format!("{who} has made a key for {}.", about.app)],
        vec![
            ("Key", short(key)),
            ("Mode", key.mode.as_str().to_owned()),
            ("Made", about.at(key.created_at)),
            ("Ends", ends),
        ],
    );
    Letter {
        after: vec!["If nobody of you wanted it, revoke it.".to_owned()],
        ..letter
    }
}

fn rotated(about: &About, (before, after): (&Credential, &Credential), who: &str) -> Letter {
    let until = before.revoked_at.unwrap_or(after.created_at);
    let overlaps = until > after.created_at;
    let ends = if overlaps {
        format!(
            "The old key, {}, works until {}. Put the new one in its place before that.",
            short(before),
            about.at(until)
        )
    } else {
        format!("The old key, {}, works no more.", short(before))
    };
    about.letter(
        "key-rotated",
        format!("Key replaced for {}: {}", about.app, title(before)),
        vec![format!("{who} has replaced a key of {}.", about.app), ends],
        vec![
            ("New key", short(after)),
            ("Old key", short(before)),
            ("Old key ends", about.at(until)),
        ],
    )
}

fn revoked(about: &About, key: &Credential, who: &str) -> Letter {
    about.letter(
        "key-revoked",
        format!("Key revoked for {}: {}", about.app, title(key)),
        vec![
            format!("{who} has revoked a key of {}.", about.app),
            "The gateway refuses it from now on.".to_owned(),
        ],
        vec![
            ("Key", short(key)),
            ("Revoked", about.at(key.revoked_at.unwrap_or(key.created_at))),
        ],
    )
}

/// Warns about replaced keys that end soon and are used still, once for each.
pub(crate) async fn look(app: &App, now: Timestamp) -> Result<(), Problem> {
    for ending in app.store.ending_credentials(now, now.plus_millis(WARNING_MS)).await? {
        let calls = calls(app, &ending, now).await?;
        if calls > 0 && is_first(app, &ending.credential, now).await? {
            warn(app, &ending.credential, calls).await?;
        }
    }
    Ok(())
}

/// Calls with the old key since there is a new one, within the last day.
async fn calls(app: &App, ending: &Ending, now: Timestamp) -> Result<u64, Problem> {
    let query = UsageQuery {
        from: ending.replaced_at.max(now.plus_millis(-LOOK_BACK_MS)),
        to: now.plus_millis(1),
        interval: Interval::Whole,
        group_by: Vec::new(),
        filter: BTreeMap::from([(Dimension::Credential, ending.credential.id.to_string())]),
        mode: ending.credential.mode,
        meter: REQUESTS.to_owned(),
    };
    let rows = app.analytics.usage(&query, &billed).await?;
    Ok(rows.iter().map(|row| row.requests).sum())
}

/// Whether nobody was warned yet of the end of this key.
async fn is_first(app: &App, key: &Credential, now: Timestamp) -> Result<bool, Problem> {
    let claim = IdempotencyKey {
        principal: "system alerts".to_owned(),
        key: format!("key ends {}", key.id),
        request_hash: [0; 32],
    };
    let claimed = app
        .store
        .claim_idempotent(&claim, now..now.plus_millis(2 * DAY_MS))
        .await?;
    Ok(claimed == Claim::First)
}

async fn warn(app: &App, key: &Credential, calls: u64) -> Result<(), Problem> {
    let about = About::of(app, key).await?;
    let until = about.at(key.revoked_at.unwrap_or(key.created_at));
    let calls = show::count(calls, "call", "calls");
    let letter = about.letter(
        "key-ends",
        format!("The old key of {} is still used: {}", about.app, title(key)),
        vec![
            format!(
                "A key of {} was replaced and ends at {until}. Whoever still sends it is refused from then on.",
                about.app
            ),
            format!("It was used for {calls} since it was replaced, in the last 24 hours at most."),
        ],
        vec![("Old key", short(key)), ("Ends", until)],
    );
    post(app, key.account_id, letter).await
}
