//! `/finance/customers`: who owes what, and one customer's money on one page.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use domain::ids::AccountId;
use domain::money::Currency;
use store::billing::{Balance, InvoiceSearch, InvoiceState};
use store::{Page as Rows, SubscriptionFilter};

use super::names::{Names, product};
use super::{add, amounts, invoices, link, shell, unbilled};
use crate::api::answer::Id;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::pager::Pager;
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, page, show};

const PATH: &str = "/finance/customers";
const NAMES: [&str; 2] = ["q", "show"];
const SIZE: u32 = 50;
const MOST_OVERDUE: u32 = 1_000;
const NEWEST: u32 = 20;

#[derive(Template)]
#[template(path = "finance/customers.html")]
struct List {
    shell: Shell,
    form: Form,
    tabs: Vec<(&'static str, String, bool)>,
    rows: Vec<Row>,
    pager: Pager,
    is_filtered: bool,
}

struct Row {
    name: String,
    href: String,
    email: String,
    country: String,
    owed: Html,
    credit: Html,
    overdue: Html,
    overdue_count: u64,
}

/// What is overdue of an account.
#[derive(Default)]
struct Overdue {
    count: u64,
    sums: Vec<(Currency, i64)>,
}

async fn overdue(app: &App, staff: &Staff) -> Result<HashMap<AccountId, Overdue>, Problem> {
    let search = InvoiceSearch {
        state: Some(InvoiceState::Overdue),
        ..InvoiceSearch::default()
    };
    let now = staff.visitor.now();
    let late = app
        .store
        .find_invoices(staff.caller.scope(), &search, (0, MOST_OVERDUE), now)
        .await?;
    let mut found: HashMap<AccountId, Overdue> = HashMap::new();
    for invoice in late {
        let one = found.entry(invoice.account_id).or_default();
        one.count += 1;
        add(&mut one.sums, invoice.currency, invoice.amount_due);
    }
    Ok(found)
}

fn part(balances: &[Balance], of: impl Fn(&Balance) -> i64) -> Html {
    let all: Vec<_> = balances
        .iter()
        .map(|balance| (balance.currency, of(balance)))
        .filter(|(_, minor)| *minor != 0)
        .collect();
    amounts(&all)
}

/// `GET /finance/customers`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let overdue = overdue(&app, &staff).await?;
    let mut balances: HashMap<AccountId, Vec<Balance>> = HashMap::new();
    for (account, balance) in app.store.all_balances().await? {
        balances.entry(account).or_default().push(balance);
    }
    let only_late = asked.get("show") == Some("overdue");
    let skip = (asked.page_number() - 1).saturating_mul(SIZE);
    let (accounts, total) = if only_late {
        let (all, _) = app.store.find_accounts(asked.get("q"), (0, 10_000)).await?;
        let late: Vec<_> = all
            .into_iter()
            .filter(|account| overdue.contains_key(&account.id))
            .collect();
        let total = late.len() as u64;
        let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        (late.into_iter().skip(at(skip)).take(at(SIZE)).collect(), total)
    } else {
        app.store.find_accounts(asked.get("q"), (skip, SIZE)).await?
    };
    let nothing = Overdue::default();
    let row = |account: &store::Account| {
        let own = balances.get(&account.id).map(Vec::as_slice).unwrap_or_default();
        let late = overdue.get(&account.id).unwrap_or(&nothing);
        Row {
            name: account.fields.name.clone(),
            href: format!("{PATH}/{}", account.id),
            email: account.fields.email.clone().unwrap_or_default(),
            country: account
                .fields
                .country
                .clone()
                .unwrap_or_else(|| show::NOTHING.to_owned()),
            owed: part(own, |balance| balance.receivable),
            credit: part(own, |balance| balance.credit),
            overdue: amounts(&late.sums),
            overdue_count: late.count,
        }
    };
    page(&List {
        form: Form::with(NAMES.map(|name| (name, asked.get(name).unwrap_or_default()))),
        tabs: vec![
            ("All", link(PATH, &asked, &NAMES, ("show", "")), !only_late),
            ("Overdue", link(PATH, &asked, &NAMES, ("show", "overdue")), only_late),
        ],
        rows: accounts.iter().map(row).collect(),
        pager: Pager::new(PATH, &asked, total, SIZE),
        is_filtered: only_late || asked.get("q").is_some(),
        shell: shell(&app, &staff).await?,
    })
}

#[derive(Template)]
#[template(path = "finance/customer.html")]
struct Customer {
    shell: Shell,
    name: String,
    id: String,
    facts: Vec<(&'static str, String)>,
    owed: Html,
    overdue: Html,
    overdue_count: u64,
    credit: Html,
    unbilled: Option<unbilled::Row>,
    rows: Vec<invoices::Row>,
    subscriptions: Vec<Subscribed>,
    zone: String,
}

struct Subscribed {
    product: String,
    plan: String,
    app: String,
    status: String,
    since: Html,
    renews: Html,
}

/// `GET /finance/customers/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<AccountId>) -> Page {
    let scope = staff.caller.scope();
    let account = app.store.account(scope, id).await?;
    let account = account.ok_or_else(|| Problem::missing("customer"))?;
    fresh(&app).await?;
    let balances = app.store.balances(scope, id).await?;
    let search = InvoiceSearch {
        account: Some(id),
        ..InvoiceSearch::default()
    };
    let found = app
        .store
        .find_invoices(scope, &search, (0, NEWEST), staff.visitor.now())
        .await?;
    let mut overdue = overdue(&app, &staff).await?;
    let late = overdue.remove(&id).unwrap_or_default();
    page(&Customer {
        name: account.fields.name.clone(),
        id: id.to_string(),
        facts: facts(&app, &account).await?,
        owed: part(&balances, |balance| balance.receivable),
        overdue: amounts(&late.sums),
        overdue_count: late.count,
        credit: part(&balances, |balance| balance.credit),
        unbilled: unbilled::row(&app, &staff, id).await?,
        rows: invoices::rows(&app, &staff, &found).await?,
        subscriptions: subscriptions(&app, &staff, id).await?,
        zone: show::zone_name(staff.visitor.zone()),
        shell: shell(&app, &staff).await?,
    })
}

async fn facts(app: &App, account: &store::Account) -> Result<Vec<(&'static str, String)>, Problem> {
    let fields = &account.fields;
    let settings = app.store.typed_settings().await?.billing;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| show::NOTHING.to_owned());
    Ok(vec![
        ("Invoices go to", text(&fields.email)),
        ("Address", text(&fields.address).lines().collect::<Vec<_>>().join(", ")),
        ("Country", text(&fields.country)),
        (
            "Tax numbers",
            if fields.tax_ids.is_empty() {
                show::NOTHING.to_owned()
            } else {
                fields.tax_ids.join(", ")
            },
        ),
        ("Currency", fields.currency.clone()),
        (
            "Payment terms",
            format!("{} days after the date of the invoice", settings.payment_days),
        ),
        ("Time zone of periods", fields.timezone.clone()),
    ])
}

async fn subscriptions(app: &App, staff: &Staff, account: AccountId) -> Result<Vec<Subscribed>, Problem> {
    let filter = SubscriptionFilter {
        account: Some(account),
        ..SubscriptionFilter::default()
    };
    let found = app
        .store
        .subscriptions(staff.caller.scope(), &filter, &Rows::first(200))
        .await?;
    let bill = app.store.account_bill(account).await?;
    let (now, zone) = (staff.visitor.now(), staff.visitor.zone());
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(found.len());
    for one in found {
        let contract = bill
            .iter()
            .flat_map(|bill| &bill.contracts)
            .find(|contract| contract.subscription == one.id && one.ended_at.is_none());
        let renews = contract.and_then(|contract| Some(contract.schedule.period_at(now).ok()?.end));
        rows.push(Subscribed {
            product: product(app, one.product_id).await?,
            plan: names.plan(app, one.plan_version_id).await?.plan,
            app: names.consumer(app, one.consumer_id).await?,
            status: one.status.as_str().replace('_', " "),
            since: show::moment_or_nothing(one.activated_at, zone),
            renews: show::moment_or_nothing(renews, zone),
        });
    }
    Ok(rows)
}
