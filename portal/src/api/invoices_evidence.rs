//! `/invoices/{id}/lines/{n}/usage`: the single requests behind a line.

use analytics::{Evidence, StoredFact};
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use domain::ids::InvoiceId;
use domain::usage::Fact;
use serde::Deserialize;
use store::billing::LineEvidence;
use utoipa::IntoParams;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use super::invoices::TAG;
use super::usage::{billed, fresh};
use super::usage_events::{EventBody, after, page_size};
use crate::app::App;
use crate::http::cursor::Listed;
use crate::http::problem::Problem;
use crate::http::query::{Query, from_text};

const QUARTER_HOUR_MS: i64 = 900_000;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(deserialize_with = "from_text")]
    pub(crate) limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

/// `GET /invoices/{id}/lines/{n}/usage`
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    path: RawPathParams,
    Query(which): Query<Which>,
) -> Answer {
    let n = path
        .iter()
        .find(|(name, _)| *name == "n")
        .and_then(|(_, value)| value.parse().ok());
    let n = n.ok_or_else(|| Problem::missing("line of the invoice"))?;
    let page = behind(&app, &caller, (id, n), which).await?;
    let body = Listed {
        items: page.items.into_iter().map(EventBody::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// The single requests behind a line of an invoice; none behind a recurring amount.
pub(crate) async fn behind(
    app: &App,
    caller: &Caller,
    (id, n): (InvoiceId, u32),
    which: Which,
) -> Result<analytics::Page<StoredFact>, Problem> {
    let line = app.store.line_evidence(caller.scope(), id, n).await?;
    let (limit, cursor) = (page_size(which.limit)?, after(which.cursor.as_deref())?);
    let Some(meter) = line.meter.clone() else {
        return Ok(analytics::Page {
            items: Vec::new(),
            next: None,
        });
    };
    fresh(app).await?;
    let evidence = Evidence {
        subscription: line.subscription,
        period_start: line.period_start,
        segment: (line.segments > 1).then(|| line.segment.saturating_sub(1)),
        meter,
        after_commit: line.after_commit,
        through_commit: line.through_commit,
    };
    let page = app.analytics.evidence(&evidence, &billed, cursor, limit).await?;
    let items = page
        .items
        .into_iter()
        .filter(|stored| stands_behind(&line, &stored.fact));
    Ok(analytics::Page {
        items: items.collect(),
        next: page.next,
    })
}

/// A late line leaves out what came too late; a price of some operations leaves out the others.
fn stands_behind(line: &LineEvidence, fact: &Fact) -> bool {
    let quarter = fact
        .admitted_at
        .as_millis()
        .div_euclid(QUARTER_HOUR_MS)
        .saturating_add(1)
        .saturating_mul(QUARTER_HOUR_MS);
    let in_time = line.late_before.is_none_or(|limit| quarter > limit.as_millis());
    let operations = line.price.split_once('@').map(|(_, names)| names);
    in_time && operations.is_none_or(|names| names.split(',').any(|name| name == fact.operation))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listInvoiceLineUsage", "List the single requests behind a line")
        .text("In order of time. For a line of the meter `requests` there are as many as its quantity. Recurring amounts have none.")
        .query::<Which>()
        .answer::<Listed<EventBody>>(200, "Requests")
}
