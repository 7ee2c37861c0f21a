//! `/finance/reconciliation`: each hop and its number, what differs first.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use jiff::civil::Date;

use super::names::Names;
use super::shell;
use crate::api::reconciliation::{DifferenceItem, PeriodItem, ProducerItem, Report, Which, reconcile};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::months::{Month, date, end_of, start_of};
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, page, show};

const MOST_CHOICES: u32 = 500;
const MOST_DAYS: i32 = 35;

#[derive(Template)]
#[template(path = "finance/reconciliation.html")]
struct Shown {
    shell: Shell,
    form: Form,
    accounts: Vec<(String, String)>,
    from: Html,
    to: Html,
    zone: String,
    is_equal: bool,
    hops: Vec<Hop>,
    places: Vec<Place>,
    last_run: Option<(Html, String, bool)>,
    rows: Vec<Row>,
    producers: Vec<Producer>,
    gaps: Vec<(String, String, String, Html)>,
    unreadable: Vec<(String, String, String, Html)>,
    conflicts: Option<String>,
    journal_counted: String,
    journal_waiting: String,
    /// Whether one customer is looked at: the journals hold those of all.
    is_of_one: bool,
}

struct Hop {
    name: &'static str,
    how: &'static str,
    requests: String,
    billable: String,
    difference: String,
    from: String,
    is_equal: bool,
}

/// Where hops differ.
struct Place {
    hop: &'static str,
    customer: String,
    href: String,
    from: Html,
    to: Html,
    ledger: String,
    found: String,
    records: Vec<String>,
}

struct Row {
    customer: String,
    href: String,
    period: Html,
    requests: String,
    billable: String,
    written_off: String,
    billed: String,
    difference: String,
    class: &'static str,
    words: &'static str,
    documents: Vec<(String, String)>,
}

struct Producer {
    node: String,
    worker: u32,
    id: String,
    state: &'static str,
    next: String,
    counted: String,
    waiting: String,
    difference: String,
    is_equal: bool,
    alive: Html,
}

fn wanted(asked: &Asked, now: Timestamp) -> (Which, Form) {
    let mut form = Form::new();
    let mut day = |name: &str, otherwise: Date| match asked.get(name).map(str::parse) {
        None => otherwise,
        Some(Ok(day)) => day,
        Some(Err(_)) => {
            form.fault(name, "Write a day such as 2026-11-21");
            otherwise
        }
    };
    let (mut from, to) = (day("from", Month::of(now).first_day()), day("to", date(now)));
    if from > to {
        form.fault("from", "Choose a day before the last one");
        from = to;
    }
    if (to - from).get_days() >= MOST_DAYS {
        form.fault("from", "Every request is counted one by one: choose at most 35 days");
        from = to;
    }
    let account: Option<AccountId> = asked.parsed("account");
    form.preset("from", from.to_string());
    form.preset("to", to.to_string());
    form.preset("account", account.map(|id| id.to_string()).unwrap_or_default());
    let which = Which {
        from: Some(start_of(from)),
        to: Some(end_of(to)),
        account,
    };
    (which, form)
}

/// `GET /finance/reconciliation`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let (which, form) = wanted(&asked, staff.visitor.now());
    let report = reconcile(&app, &staff.caller, &which).await?;
    let zone = staff.visitor.zone();
    let producers: Vec<Producer> = report.producers.iter().map(|one| producer(one, &staff)).collect();
    let waiting: u64 = report.producers.iter().map(|one| one.waiting).sum();
    let hops = hops(&report, waiting);
    let is_equal = hops.iter().all(|hop| hop.is_equal)
        && report.differences.is_empty()
        && report.periods.iter().all(|period| period.standing != "differs")
        && report.gaps.is_empty()
        && report.unreadable.is_empty();
    page(&Shown {
        accounts: accounts(&app).await?,
        from: show::day(report.from, zone),
        to: show::day(report.to.plus_millis(-1), zone),
        zone: show::zone_name(zone),
        is_equal,
        hops,
        places: differences(&app, &staff, &report.differences).await?,
        last_run: report.last_run.as_ref().map(|run| {
            let units = u64::try_from(run.discrepancy).unwrap_or(0);
            (
                show::moment(run.done_at, zone),
                show::count(units, "request", "requests"),
                units == 0,
            )
        }),
        rows: rows(&app, &staff, &report.periods).await?,
        journal_counted: show::number(report.producers.iter().map(|one| one.counted).sum()),
        journal_waiting: show::number(waiting),
        is_of_one: which.account.is_some(),
        producers,
        gaps: report
            .gaps
            .iter()
            .map(|gap| {
                let to = gap
                    .to_seq
                    .map_or_else(|| "unknown".to_owned(), |to| show::number(to.saturating_sub(1)));
                (
                    gap.producer.clone(),
                    format!("{} to {to}", show::number(gap.from_seq)),
                    gap.kind.replace('_', " "),
                    show::moment_or_nothing(gap.since, zone),
                )
            })
            .collect(),
        unreadable: report
            .unreadable
            .iter()
            .map(|one| {
                (
                    one.producer.clone(),
                    show::number(one.seq),
                    one.reason.clone(),
                    show::moment(one.found_at, zone),
                )
            })
            .collect(),
        conflicts: (report.conflicts > 0).then(|| show::number(report.conflicts)),
        form,
        shell: shell(&app, &staff).await?,
    })
}

async fn accounts(app: &App) -> Result<Vec<(String, String)>, Problem> {
    let (found, _) = app.store.find_accounts(None, (0, MOST_CHOICES)).await?;
    let all = (String::new(), "All customers".to_owned());
    let own = found
        .into_iter()
        .map(|account| (account.id.to_string(), account.fields.name));
    Ok(std::iter::once(all).chain(own).collect())
}

fn hops(report: &Report, waiting: u64) -> Vec<Hop> {
    let words = |hop: &str| match hop {
        "ledger" => ("Ledger", "totals that quotas and invoices are made from"),
        "facts" => ("Raw facts", "requests in analytics, counted one by one"),
        _ => ("Roll-ups", "what usage pages and charts show"),
    };
    let hop = |one: &crate::api::reconciliation::Hop| {
        let (name, how) = words(one.hop);
        let from = match one.difference {
            0 => String::new(),
            below if below < 0 && waiting > 0 => {
                let waiting = show::count(waiting, "record", "records");
                format!("{waiting} of all customers together have not reached analytics yet")
            }
            below if below < 0 => "the evidence time of some requests is over, or analytics was lost".to_owned(),
            _ => "more than the ledger has: look at the gaps below".to_owned(),
        };
        Hop {
            name,
            how,
            requests: show::number(one.requests),
            billable: show::number(one.billable),
            difference: show::signed(one.difference),
            from,
            is_equal: one.difference == 0,
        }
    };
    report.hops.iter().map(hop).collect()
}

/// Class and words of a standing.
fn words(standing: &str) -> (&'static str, &'static str) {
    match standing {
        "differs" => (
            "bad",
            "Differs: an invoice of this period may be void without a reissue",
        ),
        "late" => ("busy", "Late usage, on the next invoice"),
        "partly_priced" => ("", "The plan prices some operations only"),
        "unpriced" => ("", "The plan has no price for requests"),
        "open" => ("", "Not billed yet: the period goes on or waits"),
        _ => ("good", "Equal"),
    }
}

async fn differences(app: &App, staff: &Staff, found: &[DifferenceItem]) -> Result<Vec<Place>, Problem> {
    let mut names = Names::default();
    let mut places = Vec::with_capacity(found.len());
    for one in found {
        let subscription = app
            .store
            .subscription(staff.caller.scope(), one.subscription_id)
            .await?;
        let account = subscription.map(|subscription| subscription.account_id);
        let records = one.batches.iter().map(|batch| {
            format!(
                "{} to {} of {}: {} of {} facts",
                show::number(batch.from_seq),
                show::number(batch.to_seq.saturating_sub(1)),
                batch.producer,
                show::number(batch.found),
                show::number(batch.handed)
            )
        });
        places.push(Place {
            hop: match one.hop {
                "facts" => "Raw facts",
                "hourly_rollups" => "Roll-ups of hours and minutes",
                _ => "Roll-ups",
            },
            customer: match account {
                Some(id) => names.account(app, id).await?,
                None => one.subscription_id.to_string(),
            },
            href: account.map_or_else(String::new, |id| format!("/finance/customers/{id}")),
            from: show::moment(one.from, staff.visitor.zone()),
            to: show::moment(one.to, staff.visitor.zone()),
            ledger: show::number(one.ledger),
            found: show::number(one.found),
            records: records.collect(),
        });
    }
    Ok(places)
}

async fn rows(app: &App, staff: &Staff, periods: &[PeriodItem]) -> Result<Vec<Row>, Problem> {
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(periods.len());
    for one in periods {
        let (class, words) = words(one.standing);
        let mut documents = Vec::new();
        for (n, document) in (1..).zip(one.documents.iter().filter(|document| document.starts_with("inv_"))) {
            documents.push((format!("Invoice {n}"), format!("/finance/invoices/{document}")));
        }
        rows.push(Row {
            customer: match one.account_id {
                Some(id) => names.account(app, id).await?,
                None => show::NOTHING.to_owned(),
            },
            href: one
                .account_id
                .map_or_else(String::new, |id| format!("/finance/customers/{id}")),
            period: show::day(one.period_start, staff.visitor.zone()),
            requests: show::number(one.requests),
            billable: show::number(one.billable),
            written_off: show::number(one.written_off),
            billed: show::number(one.billed),
            difference: show::signed(one.difference),
            class,
            words,
            documents,
        });
    }
    Ok(rows)
}

fn producer(one: &ProducerItem, staff: &Staff) -> Producer {
    let difference = i64::try_from(one.counted).unwrap_or(i64::MAX) - i64::try_from(one.next_seq).unwrap_or(i64::MAX);
    Producer {
        node: one.node.clone(),
        worker: one.worker,
        id: one.producer.clone(),
        state: match one.ended {
            None => "Running",
            Some("orderly") => "Ended in order",
            Some(_) => "Cut off",
        },
        next: show::number(one.next_seq),
        counted: show::number(one.counted),
        waiting: show::number(one.waiting),
        difference: show::signed(difference),
        is_equal: difference == 0,
        alive: show::moment_or_nothing(one.alive_through, staff.visitor.zone()),
    }
}
