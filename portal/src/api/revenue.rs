//! `/revenue`: what was earned, from the ledger of money.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::billing::TAG;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};

const MONTH_MS: i64 = 30 * 86_400_000;

/// Which time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// First instant (RFC 3339); 30 days before `to` unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// First instant after the time; now unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// Revenue in one currency. Amounts are minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevenueItem {
    currency: &'static str,
    /// Net amounts of issued invoices.
    invoiced: i64,
    /// Net amounts of credit notes and of invoices made void.
    returned: i64,
    /// Payments that came in.
    collected: i64,
    /// What open invoices ask for at the end of the time.
    outstanding: i64,
}

/// Revenue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Revenue)]
pub(crate) struct RevenueBody {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    items: Vec<RevenueItem>,
    /// Requests that came too late to be billed, since ever.
    written_off: u64,
}

/// `GET /revenue`
pub(crate) async fn show(State(app): State<App>, Query(which): Query<Which>) -> Answer {
    let to = which.to.unwrap_or_else(|| app.clock.now().plus_millis(1));
    let from = which.from.unwrap_or_else(|| to.plus_millis(-MONTH_MS));
    if from > to {
        return Err(Problem::invalid(vec![Fault::parameter("from", "`from` is after `to`")]));
    }
    let rows = app.store.revenue(from, to).await?;
    let items = rows.iter().map(|row| RevenueItem {
        currency: row.currency.code(),
        invoiced: row.invoiced,
        returned: row.returned,
        collected: row.collected,
        outstanding: row.outstanding,
    });
    let body = RevenueBody {
        from,
        to,
        items: items.collect(),
        written_off: app.store.written_off().await?,
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getRevenue", "Show revenue")
        .query::<Which>()
        .answer::<RevenueBody>(200, "By currency")
}
