//! `/finance/invoices`: all invoices, by state, customer, month and words.

use askama::Template;
use axum::extract::State;
use documents::Sheet;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::invoice::InvoiceStatus;
use domain::money::{Currency, Money};
use store::billing::{InvoiceSearch, InvoiceState, InvoiceSum, InvoiceSummary};

use super::names::Names;
use super::{add, amounts, link, may_change, shell};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::months::Month;
use crate::pages::money::pager::Pager;
use crate::pages::money::state::State as Standing;
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, download, page, show};

const PATH: &str = "/finance/invoices";
const NAMES: [&str; 4] = ["status", "account", "period", "q"];
const SIZE: u32 = 50;
const MONTHS: usize = 24;
const MOST_OF_A_FILE: u32 = 100_000;

#[derive(Template)]
#[template(path = "finance/invoices.html")]
struct List {
    shell: Shell,
    tabs: Vec<Tab>,
    form: Form,
    status: String,
    account: String,
    periods: Vec<(String, String)>,
    chips: Vec<(String, String)>,
    rows: Vec<Row>,
    sums: Vec<SumRow>,
    pager: Pager,
    csv: String,
    zone: String,
    next_run: Html,
    is_filtered: bool,
    may_change: bool,
}

struct Tab {
    name: &'static str,
    href: String,
    count: u64,
    is_current: bool,
}

/// An invoice of a list.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) customer: String,
    pub(super) customer_href: String,
    pub(super) state: Standing,
    pub(super) issued: Html,
    pub(super) due: Html,
    pub(super) total: String,
    pub(super) open: String,
}

struct SumRow {
    currency: &'static str,
    count: u64,
    total: String,
    open: String,
}

/// What the query asks for.
struct Wanted {
    search: InvoiceSearch,
    account_name: Option<String>,
    period: Option<Month>,
}

fn state_of(word: &str) -> Option<InvoiceState> {
    if word == "overdue" {
        return Some(InvoiceState::Overdue);
    }
    InvoiceStatus::from_word(word).map(InvoiceState::Status)
}

async fn wanted(app: &App, asked: &Asked) -> Result<Wanted, Problem> {
    let account: Option<AccountId> = asked.parsed("account");
    let account_name = match account {
        Some(id) => Some(Names::default().account(app, id).await?),
        None => None,
    };
    let period: Option<Month> = asked.parsed("period");
    let text = asked.get("q").map(|text| text.chars().take(100).collect::<String>());
    let named = match &text {
        Some(text) => app.store.find_accounts(Some(text), (0, 200)).await?.0,
        None => Vec::new(),
    };
    Ok(Wanted {
        search: InvoiceSearch {
            account,
            state: asked.get("status").and_then(state_of),
            from: period.map(Month::start),
            to: period.map(Month::end),
            text,
            named: named.iter().map(|account| account.id).collect(),
        },
        account_name,
        period,
    })
}

/// An invoice as a row.
pub(super) async fn row(app: &App, staff: &Staff, names: &mut Names, invoice: &InvoiceSummary) -> Result<Row, Problem> {
    let zone = staff.visitor.zone();
    let day = |at: Option<Timestamp>| at.map_or_else(|| Html(show::NOTHING.to_owned()), |at| show::day(at, zone));
    let counts = !matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Void);
    Ok(Row {
        href: format!("{PATH}/{}", invoice.id),
        number: invoice.number.clone().unwrap_or_else(|| "Draft".to_owned()),
        customer: names.account(app, invoice.account_id).await?,
        customer_href: format!("/finance/customers/{}", invoice.account_id),
        state: Standing::of_summary(invoice, staff.visitor.now()),
        issued: day(invoice.issued_at),
        due: day(invoice.due_at),
        total: show::minor(invoice.total, invoice.currency),
        open: if counts {
            show::minor(invoice.amount_due, invoice.currency)
        } else {
            show::NOTHING.to_owned()
        },
    })
}

/// Invoices as rows.
pub(super) async fn rows(app: &App, staff: &Staff, invoices: &[InvoiceSummary]) -> Result<Vec<Row>, Problem> {
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(invoices.len());
    for invoice in invoices {
        rows.push(row(app, staff, &mut names, invoice).await?);
    }
    Ok(rows)
}

/// `GET /finance/invoices`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let now = staff.visitor.now();
    let wanted = wanted(&app, &asked).await?;
    let scope = staff.caller.scope();
    let sums = app.store.invoice_sums(scope, &wanted.search, now).await?;
    let of_state = |state: Option<InvoiceState>| {
        let held = sums
            .iter()
            .filter(move |sum| state.is_none_or(|state| state.holds(sum)));
        held.map(|sum| sum.count).sum::<u64>()
    };
    let skip = (asked.page_number() - 1).saturating_mul(SIZE);
    let found = app
        .store
        .find_invoices(scope, &wanted.search, (skip, SIZE), now)
        .await?;
    let total = of_state(wanted.search.state);
    page(&List {
        tabs: tabs(&asked, of_state),
        form: Form::with(NAMES.map(|name| (name, asked.get(name).unwrap_or_default()))),
        status: asked.get("status").unwrap_or_default().to_owned(),
        account: asked.get("account").unwrap_or_default().to_owned(),
        periods: periods(now),
        chips: chips(&asked, &wanted),
        rows: rows(&app, &staff, &found).await?,
        sums: sum_rows(&sums, wanted.search.state),
        pager: Pager::new(PATH, &asked, total, SIZE),
        csv: link("/finance/invoices.csv", &asked, &NAMES, ("", "")),
        zone: show::zone_name(staff.visitor.zone()),
        next_run: next_run(&app, &staff).await?,
        is_filtered: NAMES.iter().any(|name| asked.get(name).is_some()),
        may_change: may_change(&staff),
        shell: shell(&app, &staff).await?,
    })
}

fn tabs(asked: &Asked, count: impl Fn(Option<InvoiceState>) -> u64) -> Vec<Tab> {
    let all = [
        ("All", ""),
        ("Open", "open"),
        ("Overdue", "overdue"),
        ("Drafts", "draft"),
        ("Paid", "paid"),
        ("Uncollectible", "uncollectible"),
        ("Void", "void"),
    ];
    let current = asked.get("status").unwrap_or_default();
    let tab = |(name, word): (&'static str, &str)| Tab {
        name,
        href: link(PATH, asked, &NAMES, ("status", word)),
        count: count(state_of(word)),
        is_current: word == current,
    };
    all.into_iter().map(tab).collect()
}

fn periods(now: Timestamp) -> Vec<(String, String)> {
    let any = (String::new(), "Any".to_owned());
    let months = Month::last(MONTHS, now).into_iter().rev();
    std::iter::once(any)
        .chain(months.map(|month| (month.to_string(), month.name())))
        .collect()
}

/// What is set, each with the link that takes it away.
fn chips(asked: &Asked, wanted: &Wanted) -> Vec<(String, String)> {
    let mut chips = Vec::new();
    if let Some(name) = &wanted.account_name {
        chips.push((format!("Customer: {name}"), link(PATH, asked, &NAMES, ("account", ""))));
    }
    if let Some(month) = wanted.period {
        chips.push((
            format!("Period: {}", month.name()),
            link(PATH, asked, &NAMES, ("period", "")),
        ));
    }
    if let Some(text) = &wanted.search.text {
        chips.push((format!("Search: {text}"), link(PATH, asked, &NAMES, ("q", ""))));
    }
    chips
}

fn sum_rows(sums: &[InvoiceSum], state: Option<InvoiceState>) -> Vec<SumRow> {
    let mut by_currency: Vec<(Currency, u64, i64, i64)> = Vec::new();
    let counted = |sum: &&InvoiceSum| state.map_or(sum.status != InvoiceStatus::Void, |state| state.holds(sum));
    for sum in sums.iter().filter(counted) {
        match by_currency.iter_mut().find(|(known, ..)| *known == sum.currency) {
            Some((_, count, total, open)) => {
                *count += sum.count;
                *total = total.saturating_add(sum.total);
                *open = open.saturating_add(sum.amount_due);
            }
            None => by_currency.push((sum.currency, sum.count, sum.total, sum.amount_due)),
        }
    }
    let row = |(currency, count, total, open): (Currency, u64, i64, i64)| SumRow {
        currency: currency.code(),
        count,
        total: show::minor(total, currency),
        open: show::minor(open, currency),
    };
    by_currency.into_iter().map(row).collect()
}

/// The next end of a period among the first accounts: when the next invoices come.
pub(super) async fn next_run(app: &App, staff: &Staff) -> Result<Html, Problem> {
    let now = staff.visitor.now();
    let mut next: Option<Timestamp> = None;
    for id in app.store.owing_accounts(None, 100).await? {
        let bill = app.store.account_bill(id).await?;
        let boundary = bill.and_then(|bill| bill.next_boundary(now));
        next = match (next, boundary) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(show::moment_or_nothing(next, staff.visitor.zone()))
}

/// Unpaid and overdue amounts of all invoices, by currency, with how many are overdue.
pub(super) struct Owed {
    pub(super) unpaid: Html,
    pub(super) unpaid_count: u64,
    pub(super) overdue: Html,
    pub(super) overdue_count: u64,
    pub(super) drafts: Html,
    pub(super) draft_count: u64,
}

impl Owed {
    pub(super) fn of(sums: &[InvoiceSum]) -> Self {
        let (mut unpaid, mut overdue, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut unpaid_count, mut overdue_count, mut draft_count) = (0, 0, 0);
        for sum in sums {
            if sum.status == InvoiceStatus::Open {
                add(&mut unpaid, sum.currency, sum.amount_due);
                unpaid_count += sum.count;
            }
            if sum.overdue {
                add(&mut overdue, sum.currency, sum.amount_due);
                overdue_count += sum.count;
            }
            if sum.status == InvoiceStatus::Draft {
                add(&mut drafts, sum.currency, sum.total);
                draft_count += sum.count;
            }
        }
        Self {
            unpaid: amounts(&unpaid),
            unpaid_count,
            overdue: amounts(&overdue),
            overdue_count,
            drafts: amounts(&drafts),
            draft_count,
        }
    }
}

const COLUMNS: [&str; 13] = [
    "number",
    "invoice",
    "organisation",
    "account",
    "status",
    "overdue",
    "issued_at",
    "due_at",
    "currency",
    "total",
    "paid",
    "credited",
    "amount_due",
];

/// `GET /finance/invoices.csv`
pub(super) async fn csv(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let now = staff.visitor.now();
    let wanted = wanted(&app, &asked).await?;
    let found = app
        .store
        .find_invoices(staff.caller.scope(), &wanted.search, (0, MOST_OF_A_FILE), now)
        .await?;
    let mut names = Names::default();
    let mut sheet = Sheet::new(&COLUMNS);
    for invoice in &found {
        let major = |minor: i64| Money::new(minor, invoice.currency).to_major_string();
        sheet
            .text(invoice.number.as_deref().unwrap_or_default())
            .plain(invoice.id)
            .text(&names.account(&app, invoice.account_id).await?)
            .plain(invoice.account_id)
            .plain(invoice.status.as_str())
            .plain(invoice.overdue(now))
            .maybe(invoice.issued_at)
            .maybe(invoice.due_at)
            .plain(invoice.currency)
            .plain(major(invoice.total))
            .plain(major(invoice.paid))
            .plain(major(invoice.credited))
            .plain(major(invoice.amount_due))
            .end();
    }
    let name = wanted
        .period
        .map_or_else(|| "invoices.csv".to_owned(), |month| format!("invoices-{month}.csv"));
    download(&name, "text/csv; charset=utf-8", sheet.finish())
}
