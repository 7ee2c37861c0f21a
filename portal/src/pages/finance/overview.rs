//! `/finance`: what was earned, what is owed, what waits.

use askama::Template;
use axum::extract::State;
use domain::invoice::InvoiceStatus;
use domain::money::Currency;
use store::billing::{InvoiceSearch, InvoiceState};

use super::invoices::{self, Owed};
use super::revenue::{self, Earning};
use super::{add, amounts, may_change, shell, unbilled};
use crate::api::usage::fresh;
use crate::app::App;
use crate::pages::money::months::Month;
use crate::pages::web::{Html, Page, Shell, Staff, page, show};

const MONTHS: usize = 12;
const SHOWN: u32 = 10;
/// Customers whose unbilled use is added up here: each is rated anew.
const COUNTED: u64 = 1_000;

#[derive(Template)]
#[template(path = "finance/overview.html")]
struct Overview {
    shell: Shell,
    month: String,
    revenue: Html,
    owed: Owed,
    unbilled_sum: Html,
    /// How many customers are in the sum, where not all are.
    unbilled_part: Option<String>,
    next_run: Html,
    charts: Vec<Chart>,
    overdue: Vec<invoices::Row>,
    drafts: Vec<invoices::Row>,
    unbilled: Vec<unbilled::Row>,
    zone: String,
    may_change: bool,
    is_new: bool,
}

/// Revenue by month in one currency.
struct Chart {
    currency: &'static str,
    html: Option<Html>,
    rows: Vec<Earning>,
}

impl Chart {
    /// The months that the table shows.
    fn eventful(&self) -> impl Iterator<Item = &Earning> {
        revenue::eventful(&self.rows)
    }
}

/// `GET /finance`
pub(super) async fn show(State(app): State<App>, staff: Staff) -> Page {
    let (now, scope) = (staff.visitor.now(), staff.caller.scope());
    fresh(&app).await?;
    let sums = app.store.invoice_sums(scope, &InvoiceSearch::default(), now).await?;
    let of_state = |state| InvoiceSearch {
        state: Some(state),
        ..InvoiceSearch::default()
    };
    let late = of_state(InvoiceState::Overdue);
    let late = app.store.find_invoices(scope, &late, (0, SHOWN), now).await?;
    let drafts = of_state(InvoiceState::Status(InvoiceStatus::Draft));
    let drafts = app.store.find_invoices(scope, &drafts, (0, SHOWN), now).await?;
    let mut unbilled = unbilled::whole(&app, &staff, COUNTED).await?;
    unbilled.rows.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let month = Month::of(now);
    let (this_month, charts) = months(&app, now).await?;
    page(&Overview {
        month: month.name(),
        revenue: amounts(&this_month),
        owed: Owed::of(&sums),
        unbilled_sum: amounts(&unbilled.sums),
        unbilled_part: unbilled.is_part.then(|| show::number(unbilled.customers)),
        next_run: show::moment_or_nothing(unbilled.next, staff.visitor.zone()),
        charts,
        overdue: invoices::rows(&app, &staff, &late).await?,
        drafts: invoices::rows(&app, &staff, &drafts).await?,
        unbilled: unbilled.rows,
        zone: show::zone_name(staff.visitor.zone()),
        may_change: may_change(&staff),
        is_new: sums.is_empty(),
        shell: shell(&app, &staff).await?,
    })
}

/// Revenue of this month by currency, and by month in each currency.
async fn months(
    app: &App,
    now: domain::clock::Timestamp,
) -> Result<(Vec<(Currency, i64)>, Vec<Chart>), crate::http::problem::Problem> {
    let mut this_month = Vec::new();
    let mut by_currency: Vec<(Currency, Vec<Earning>)> = Vec::new();
    let months = Month::last(MONTHS, now);
    for (at, month) in months.iter().enumerate() {
        for earned in app.store.earned(month.start(), month.end()).await? {
            let place = match by_currency.iter().position(|(known, _)| *known == earned.currency) {
                Some(place) => place,
                None => {
                    let empty = months.iter().map(|month| Earning::empty(month.name(), month.short()));
                    by_currency.push((earned.currency, empty.collect()));
                    by_currency.len() - 1
                }
            };
            if let Some(row) = by_currency.get_mut(place).and_then(|(_, rows)| rows.get_mut(at)) {
                row.take(&earned);
            }
            if at + 1 == months.len() {
                add(&mut this_month, earned.currency, revenue::net(&earned));
            }
        }
    }
    let charts = by_currency.into_iter().map(|(currency, rows)| Chart {
        currency: currency.code(),
        html: revenue::chart(currency, &rows),
        rows: rows.into_iter().map(|row| row.written(currency)).collect(),
    });
    Ok((this_month, charts.collect()))
}
