//! Calls of apps and keys, from the queries of `GET /usage`.

use std::collections::{BTreeMap, HashMap};

use analytics::{Dimension, Interval, UsageQuery, UsageRow};
use domain::clock::Timestamp;
use domain::ids::{ConsumerId, CredentialId};
use domain::key::Mode;
use domain::limit::REQUESTS;

use crate::api::usage::billed;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::Member;

pub(crate) const DAY_MS: i64 = 86_400_000;
/// Older uses of a key are "long ago".
const LOOK_BACK_DAYS: i64 = 90;

/// A question about this organisation's usage.
pub(crate) fn question(member: &Member, from: Timestamp, to: Timestamp) -> UsageQuery {
    UsageQuery {
        from,
        to,
        interval: Interval::Whole,
        group_by: Vec::new(),
        filter: BTreeMap::from([(Dimension::Account, member.account.to_string())]),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    }
}

/// Its answer. Ask for fresh usage before.
pub(crate) async fn rows(app: &App, question: &UsageQuery) -> Result<Vec<UsageRow>, Problem> {
    Ok(app.analytics.usage(question, &billed).await?)
}

/// What became of calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) rejected: u64,
}

/// Calls of the organisation since an instant.
pub(crate) async fn since(app: &App, member: &Member, from: Timestamp) -> Result<Calls, Problem> {
    let question = question(member, from, member.visitor.now().plus_millis(1));
    let mut calls = Calls::default();
    for row in rows(app, &question).await? {
        calls.requests = calls.requests.saturating_add(row.requests);
        calls.errors = calls.errors.saturating_add(row.errors);
        calls.rejected = calls.rejected.saturating_add(row.rejected);
    }
    Ok(calls)
}

/// Calls of each app on each of the last seven times 24 hours, oldest first.
pub(crate) async fn week(app: &App, member: &Member) -> Result<HashMap<String, [u64; 7]>, Problem> {
    let now = member.visitor.now().plus_millis(1);
    let mut found: HashMap<String, [u64; 7]> = HashMap::new();
    let start = now.plus_millis(-7 * DAY_MS);
    let mut question = question(member, start, now);
    question.interval = Interval::Hour;
    question.group_by = vec![Dimension::Consumer];
    for row in rows(app, &question).await? {
        let Some(consumer) = row.group.first().cloned().flatten() else {
            continue;
        };
        let day = row.time.millis_since(start).max(0) / DAY_MS;
        let day = usize::try_from(day).unwrap_or(0);
        if let Some(count) = found.entry(consumer).or_default().get_mut(day) {
            *count = count.saturating_add(row.requests);
        }
    }
    Ok(found)
}

/// Use of a key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyUse {
    /// Calls in the last 24 hours.
    pub(crate) day: u64,
    /// The minute, or the day, of the last call; `None` where there was none in 90 days.
    pub(crate) last: Option<LastUse>,
}

/// When a key was used last, as exactly as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LastUse {
    /// On this UTC day.
    Day(Timestamp),
    /// In this minute.
    Minute(Timestamp),
}

/// Use of the keys of an app.
pub(crate) async fn of_keys(
    app: &App,
    member: &Member,
    consumer: ConsumerId,
) -> Result<HashMap<CredentialId, KeyUse>, Problem> {
    let now = member.visitor.now().plus_millis(1);
    let mut found: HashMap<CredentialId, KeyUse> = HashMap::new();
    for mode in [Mode::Live, Mode::Test] {
        for (days, interval) in [(1, Interval::Minute), (LOOK_BACK_DAYS, Interval::Day)] {
            let mut question = question(member, now.plus_millis(-days * DAY_MS), now);
            question.filter.insert(Dimension::Consumer, consumer.to_string());
            question.group_by = vec![Dimension::Credential];
            (question.interval, question.mode) = (interval, mode);
            for row in rows(app, &question).await?.iter().filter(|row| row.requests > 0) {
                let id = row.group.first().and_then(|id| id.as_deref()?.parse().ok());
                let Some(id) = id else { continue };
                note(found.entry(id).or_default(), row, interval);
            }
        }
    }
    Ok(found)
}

fn note(known: &mut KeyUse, row: &UsageRow, interval: Interval) {
    let last = if interval == Interval::Minute {
        known.day = known.day.saturating_add(row.requests);
        LastUse::Minute(row.time)
    } else {
        LastUse::Day(row.time)
    };
    known.last = known.last.max(Some(last));
}

/// Calls with a key since an instant.
pub(crate) async fn of_key_since(
    app: &App,
    member: &Member,
    key: &store::Credential,
    from: Timestamp,
) -> Result<u64, Problem> {
    let mut question = question(member, from, member.visitor.now().plus_millis(1));
    question.filter.insert(Dimension::Credential, key.id.to_string());
    question.mode = key.mode;
    Ok(rows(app, &question).await?.iter().map(|row| row.requests).sum())
}
