//! `/finance/unbilled`: what customers have used that no invoice holds yet, computed like the next invoice.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::money::Currency;

use super::{amounts, may_change, shell};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{Asked, Html, Page, Shell, Staff, page, show};

const SIZE: u32 = 50;

#[derive(Template)]
#[template(path = "finance/unbilled.html")]
struct List {
    shell: Shell,
    rows: Vec<Row>,
    sum: Html,
    next: Option<String>,
    is_whole: bool,
    zone: String,
    now: Html,
    may_change: bool,
}

/// A customer with what is not billed yet.
pub(super) struct Row {
    pub(super) customer: String,
    pub(super) href: String,
    pub(super) lines: Vec<String>,
    pub(super) amounts: Html,
    pub(super) boundary: Html,
    pub(super) fault: Option<String>,
    pub(super) sums: Vec<(Currency, i64)>,
    pub(super) next: Option<Timestamp>,
}

/// The customers after one, with what each would be billed now; and where to go on.
pub(super) async fn rows(
    app: &App,
    staff: &Staff,
    after: Option<AccountId>,
    limit: u32,
) -> Result<(Vec<Row>, Option<AccountId>), Problem> {
    let ids = app.store.owing_accounts(after, limit).await?;
    let full = ids.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rows = Vec::with_capacity(ids.len());
    for id in &ids {
        rows.extend(row(app, staff, *id).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.sums.iter().map(|(_, minor)| *minor).max()));
    Ok((rows, ids.last().copied().filter(|_| full)))
}

/// One customer.
pub(super) async fn row(app: &App, staff: &Staff, id: AccountId) -> Result<Option<Row>, Problem> {
    let now = staff.visitor.now();
    let Some(bill) = app.store.account_bill(id).await? else {
        return Ok(None);
    };
    let next = bill.next_boundary(now);
    let (found, fault) = match app.store.unbilled(&bill, now).await {
        Ok(found) => (found, None),
        Err(store::Error::State(reason)) => (Vec::new(), Some(reason)),
        Err(error) => return Err(error.into()),
    };
    let lines = found
        .iter()
        .flat_map(|one| one.lines.iter().map(move |line| (one.currency, line)));
    let sums: Vec<_> = found.iter().map(|one| (one.currency, one.amount)).collect();
    Ok(Some(Row {
        customer: bill.account.fields.name.clone(),
        href: format!("/finance/customers/{id}"),
        lines: lines
            .map(|(currency, line)| {
                format!(
                    "{}: {} {}, {}",
                    line.description,
                    show::decimal(&line.quantity),
                    line.unit_label,
                    show::minor(line.amount, currency)
                )
            })
            .collect(),
        amounts: amounts(&sums),
        boundary: show::moment_or_nothing(next, staff.visitor.zone()),
        fault,
        sums,
        next,
    }))
}

/// The sums of rows, by currency.
pub(super) fn sum(rows: &[Row]) -> Vec<(Currency, i64)> {
    let mut all = Vec::new();
    for (currency, minor) in rows.iter().flat_map(|row| &row.sums) {
        super::add(&mut all, *currency, *minor);
    }
    all
}

/// `GET /finance/unbilled`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    fresh(&app).await?;
    let after: Option<AccountId> = asked.parsed("after");
    let (rows, next) = rows(&app, &staff, after, SIZE).await?;
    page(&List {
        shell: shell(&app, &staff).await?,
        sum: amounts(&sum(&rows)),
        is_whole: after.is_none() && next.is_none(),
        next: next.map(|id| format!("/finance/unbilled?after={id}")),
        zone: show::zone_name(staff.visitor.zone()),
        now: show::moment(staff.visitor.now(), staff.visitor.zone()),
        may_change: may_change(&staff),
        rows,
    })
}
