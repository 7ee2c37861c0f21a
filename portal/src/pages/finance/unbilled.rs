//! `/finance/unbilled`: what customers have used that no invoice holds yet, computed like the next invoice.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::money::Currency;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::billing::UnbilledLine;

use super::{amounts, may_change, shell};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{Asked, Html, Page, Shell, Staff, page, show};

const SIZE: u32 = 50;
/// Customers that are read together, and at the same time.
const BULK: u32 = 200;
const AT_ONCE: usize = 4;
/// Rows that a look at everyone keeps.
const KEPT: usize = 50;

#[derive(Template)]
#[template(path = "finance/unbilled.html")]
struct List {
    shell: Shell,
    rows: Vec<Row>,
    sum: Html,
    next: Option<String>,
    is_whole: bool,
    customers: String,
    /// Somebody has a subscription; without a row all of it is billed.
    has_customers: bool,
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
    let found: Vec<Option<Row>> = stream::iter(ids.clone())
        .map(|id| row(app, staff, id))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut rows: Vec<Row> = found.into_iter().flatten().collect();
    sort(&mut rows);
    Ok((rows, ids.last().copied().filter(|_| full)))
}

/// What is unbilled of customers in all.
pub(super) struct Whole {
    /// Customers who owe something, or cannot be billed; the largest sums first.
    pub(super) rows: Vec<Row>,
    pub(super) sums: Vec<(Currency, i64)>,
    pub(super) customers: u64,
    /// When the next usage period of anyone ends.
    pub(super) next: Option<Timestamp>,
    /// Whether there are more customers than were looked at.
    pub(super) is_part: bool,
}

/// Every customer, or the first `most` of them.
pub(super) async fn whole(app: &App, staff: &Staff, most: u64) -> Result<Whole, Problem> {
    let mut whole = Whole {
        rows: Vec::new(),
        sums: Vec::new(),
        customers: 0,
        next: None,
        is_part: false,
    };
    let mut after = None;
    loop {
        let (found, more) = rows(app, staff, after, BULK).await?;
        whole.customers += found.len() as u64;
        for (currency, minor) in sum(&found) {
            super::add(&mut whole.sums, currency, minor);
        }
        whole.next = found.iter().filter_map(|row| row.next).chain(whole.next).min();
        let owes = |row: &Row| row.fault.is_some() || row.sums.iter().any(|(_, minor)| *minor != 0);
        whole.rows.extend(found.into_iter().filter(owes));
        sort(&mut whole.rows);
        whole.rows.truncate(KEPT);
        after = more;
        whole.is_part = after.is_some();
        if after.is_none() || whole.customers >= most {
            return Ok(whole);
        }
    }
}

fn sort(rows: &mut [Row]) {
    rows.sort_by_key(|row| std::cmp::Reverse(row.sums.iter().map(|(_, minor)| *minor).max()));
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
                let amount = show::minor(line.amount, currency);
                format!("{}, {amount}", used(line))
            })
            .collect(),
        amounts: amounts(&sums),
        boundary: show::moment_or_nothing(next, staff.visitor.zone()),
        fault,
        sums,
        next,
    }))
}

/// `World Time, Pro: 46,550 tokens`: a description that ends with the unit does not say it twice.
fn used(line: &UnbilledLine) -> String {
    let counted = documents::words::counted(&line.quantity, &line.unit_label);
    let own = |word: &str| documents::words::plural(word) == documents::words::plural(&line.unit_label);
    match line.description.rsplit_once(": ") {
        Some((what, meter)) if own(meter) => format!("{what}: {counted}"),
        _ => format!("{}: {counted}", line.description),
    }
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
    if asked.get("show") == Some("all") {
        return everyone(&app, &staff).await;
    }
    let after: Option<AccountId> = asked.parsed("after");
    let (rows, next) = rows(&app, &staff, after, SIZE).await?;
    page(&List {
        shell: shell(&app, &staff).await?,
        sum: amounts(&sum(&rows)),
        is_whole: after.is_none() && next.is_none(),
        customers: show::count(rows.len() as u64, "customer", "customers"),
        has_customers: !rows.is_empty(),
        next: next.map(|id| format!("/finance/unbilled?after={id}")),
        zone: show::zone_name(staff.visitor.zone()),
        now: show::moment(staff.visitor.now(), staff.visitor.zone()),
        may_change: may_change(&staff),
        rows,
    })
}

/// The sum of all customers, and those who owe most.
async fn everyone(app: &App, staff: &Staff) -> Page {
    let whole = whole(app, staff, u64::MAX).await?;
    page(&List {
        shell: shell(app, staff).await?,
        sum: amounts(&whole.sums),
        is_whole: true,
        customers: show::count(whole.customers, "customer", "customers"),
        has_customers: whole.customers > 0,
        next: None,
        zone: show::zone_name(staff.visitor.zone()),
        now: show::moment(staff.visitor.now(), staff.visitor.zone()),
        may_change: may_change(staff),
        rows: whole.rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(description: &str, quantity: &str, unit: &str) -> UnbilledLine {
        UnbilledLine {
            subscription: domain::ids::SubscriptionId::from_bits(1),
            description: description.to_owned(),
            meter: None,
            quantity: quantity.to_owned(),
            unit_label: unit.to_owned(),
            amount: 1,
            from: Timestamp::from_millis(0),
            to: Timestamp::from_millis(1),
        }
    }

    #[test]
    fn a_meter_that_is_called_as_its_unit_is_said_once_and_in_the_plural() {
        let said = |description, quantity, unit| used(&line(description, quantity, unit));
        assert_eq!(
            said("World Time, Pro: tokens", "46550", "token"),
            "World Time, Pro: 46,550 tokens"
        );
        assert_eq!(said("Pro: requests", "1", "request"), "Pro: 1 request");
        assert_eq!(said("Pro: labels", "2", "print"), "Pro: labels: 2 prints");
        assert_eq!(
            said("Pro: tokens above the quota", "3.5", "token"),
            "Pro: tokens above the quota: 3.5 tokens"
        );
    }
}
