//! `/admin/audit`: who changed what, when and from where.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use store::{AuditFilter, AuditRecord, Kind, Page as Rows};

use super::things::{Things, told};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::field::Choices;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, download, escape, page};

const A_PAGE: u32 = 50;
const CSV_ROWS: u32 = 1_000;
const SHOWN_FIELDS: usize = 6;

/// A field before and after, as HTML.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) before: Html,
    pub(super) after: Html,
}

impl Field {
    /// Whether there was a value before.
    pub(super) fn was(&self) -> bool {
        self.before.0 != show::NOTHING
    }
}

/// A field as the event has it.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    name: String,
    before: Option<Json>,
    after: Option<Json>,
}

/// An event for people.
pub(super) struct Event {
    pub(super) at: Moment,
    pub(super) who: String,
    pub(super) address: String,
    pub(super) action: String,
    pub(super) target: Html,
    pub(super) fields: Vec<Field>,
    pub(super) more: usize,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Audit {
    shell: Shell,
    form: Form,
    kinds: Choices,
    events: Vec<Event>,
    next: Option<String>,
    csv: String,
    is_first: bool,
    zone: String,
    verified: Option<(bool, String)>,
}

/// One event as it is shown: the person by name, the change field by field.
pub(super) async fn event(
    app: &App,
    things: &mut Things,
    record: AuditRecord,
    zone: &TimeZone,
) -> Result<Event, Problem> {
    let who = things.names.actor(app, &record.actor.kind, &record.actor.id).await?;
    let changes = changes(record.before.as_ref(), record.after.as_ref());
    let more = changes.len().saturating_sub(SHOWN_FIELDS);
    let mut fields = Vec::new();
    for change in changes.into_iter().take(SHOWN_FIELDS) {
        fields.push(field(app, things, change, zone).await?);
    }
    let told = told(record.before.as_ref(), record.after.as_ref());
    let target = things.link(app, &record.target, told.as_deref()).await?;
    Ok(Event {
        at: show::exact(record.at, zone),
        who,
        address: record.actor.address.unwrap_or_else(|| show::NOTHING.to_owned()),
        action: words(&record.action),
        target,
        fields,
        more,
    })
}

/// `consumer.suspend` as `Consumer: suspend`.
fn words(action: &str) -> String {
    let (kind, verb) = action.split_once('.').unwrap_or((action, ""));
    let mut text = kind.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{text}: {}", verb.replace('_', " "))
}

fn changes(before: Option<&Json>, after: Option<&Json>) -> Vec<Change> {
    let empty = serde_json::Map::new();
    let old = before.and_then(Json::as_object).unwrap_or(&empty);
    let new = after.and_then(Json::as_object).unwrap_or(&empty);
    let is_noise = |name: &str| {
        matches!(
            name,
            "updated_at" | "id" | "created_at" | "account_id" | "updated_revision"
        )
    };
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    names
        .filter(|name| old.get(*name) != new.get(*name) && !is_noise(name))
        // What was empty and stays so is no change to anybody.
        .filter(|name| text(old.get(*name)) != text(new.get(*name)))
        .map(|name| Change {
            name: name.clone(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect()
}

/// A change for people: things by name, times in the reader's zone.
async fn field(app: &App, things: &mut Things, change: Change, zone: &TimeZone) -> Result<Field, Problem> {
    Ok(Field {
        name: change.name.trim_end_matches("_id").replace('_', " "),
        before: value(app, things, change.before.as_ref(), zone).await?,
        after: value(app, things, change.after.as_ref(), zone).await?,
    })
}

async fn value(app: &App, things: &mut Things, value: Option<&Json>, zone: &TimeZone) -> Result<Html, Problem> {
    if let Some(written) = value.and_then(Json::as_str) {
        if let Some(link) = things.known(app, written).await? {
            return Ok(link);
        }
        if let Some(at) = instant(written) {
            return Ok(show::moment(at, zone));
        }
        if let Some(at) = local(written) {
            return Ok(Html(escape(&at)));
        }
    }
    Ok(Html(escape(&text(value))))
}

/// A wall time without a zone, such as the anchor of periods: `21 Nov 2026, 09:14`.
fn local(text: &str) -> Option<String> {
    let at: jiff::civil::DateTime = text.parse().ok().filter(|_| text.as_bytes().get(10) == Some(&b'T'))?;
    Some(at.strftime("%-d %b %Y, %H:%M").to_string())
}

/// A text that is an instant of RFC 3339 and nothing else.
fn instant(text: &str) -> Option<Timestamp> {
    let is_one = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    is_one.then(|| text.parse().ok()).flatten()
}

fn text(value: Option<&Json>) -> String {
    let mut text = match value {
        None | Some(Json::Null) => return show::NOTHING.to_owned(),
        Some(Json::Array(items)) if items.is_empty() => return show::NOTHING.to_owned(),
        Some(Json::Array(items)) if items.iter().all(Json::is_string) => {
            let words: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            words.join(", ")
        }
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if let Some((at, _)) = text.char_indices().nth(120) {
        text.truncate(at);
        text.push('…');
    }
    text
}

fn filter(asked: &Asked) -> AuditFilter {
    AuditFilter {
        account: asked.parsed("account"),
        kind: asked.parsed::<Kind>("kind"),
        target: asked.get("target").map(str::to_owned),
        person: asked.parsed("person"),
    }
}

/// `GET /admin/audit`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let zone = staff.visitor.zone();
    let mut rows = Rows::first(A_PAGE);
    if let Some(after) = asked.get("after") {
        rows = rows.continued(after);
    }
    let records = app.store.audit_events(&filter(&asked), &rows).await?;
    let next = records
        .last()
        .filter(|_| records.len() == A_PAGE as usize)
        .map(|last| asked.with("after", &last.id.to_string()));
    let mut things = Things::default();
    let mut events = Vec::new();
    for record in records {
        events.push(event(&app, &mut things, record, zone).await?);
    }
    let verified = match asked.get("verify") {
        None => None,
        Some(_) => Some(verify(&app).await?),
    };
    let values = ["kind", "target", "account", "person"].map(|name| (name, asked.get(name).unwrap_or_default()));
    page(&Audit {
        shell: super::shell(&app, &staff).await?,
        form: Form::with(values),
        kinds: kinds(),
        events,
        next,
        csv: format!("/admin/audit.csv{}", asked.with("after", "")),
        is_first: asked.get("after").is_none(),
        zone: show::zone_name(zone),
        verified,
    })
}

fn kinds() -> Choices {
    let mut choices = vec![(String::new(), "Everything".to_owned())];
    choices.extend(Kind::all().map(|kind| {
        let name = kind.as_str();
        (name.to_owned(), name.replace('_', " "))
    }));
    choices
}

async fn verify(app: &App) -> Result<(bool, String), Problem> {
    let chain = app.store.verify_audit().await?;
    let count = show::number(u64::try_from(chain.verified).unwrap_or(0));
    Ok(match chain.broken_at {
        None => (
            true,
            format!("All {count} events are as they were written: each carries the hash of the one before."),
        ),
        Some(at) => (
            false,
            format!(
                "The chain breaks at event {at}: it or one before it was changed or removed after it was written. The {count} before it are whole."
            ),
        ),
    })
}

/// `GET /admin/audit.csv`
pub(super) async fn csv(State(app): State<App>, _: Staff, asked: Asked) -> Page {
    let records = app.store.audit_events(&filter(&asked), &Rows::first(CSV_ROWS)).await?;
    let mut text = String::from("time,actor_kind,actor,address,action,target,account,before,after,hash\r\n");
    for record in records {
        let json = |value: Option<Json>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            record.at.to_string(),
            record.actor.kind,
            record.actor.id,
            record.actor.address.unwrap_or_default(),
            record.action,
            record.target,
            record.account_id.map(|id| id.to_string()).unwrap_or_default(),
            json(record.before),
            json(record.after),
            record.hash,
        ];
        let cells: Vec<String> = cells.iter().map(|cell| documents::csv_cell(cell)).collect();
        let _ = write!(text, "{}\r\n", cells.join(","));
    }
    download("audit.csv", "text/csv; charset=utf-8", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_field_by_field_without_what_always_changes() {
        let before = json!({"name": "a", "status": "active", "updated_at": 1});
        let after = json!({"name": "a", "status": "suspended", "updated_at": 2, "suspended_reason": "abuse"});
        let found = changes(Some(&before), Some(&after));
        let names: Vec<_> = found.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["status", "suspended_reason"]);
        assert_eq!((&found[1].before, text(None).as_str()), (&None, show::NOTHING));
        assert!(instant("2026-11-21T08:14:05.000Z").is_some());
        assert_eq!(local("2026-11-21T09:14:05.123").as_deref(), Some("21 Nov 2026, 09:14"));
        assert!(local("2026-11-21").is_none() && local("a name").is_none());
        assert!(instant("2026-11-21").is_none() && instant("twenty characters Tis").is_none());
        assert_eq!(words("consumer.suspend"), "Consumer: suspend");
    }
}
