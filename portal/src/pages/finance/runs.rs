//! `/finance/runs`: billing runs: what was asked for, how far it is, whom it could not bill.

use askama::Template;
use axum::extract::State;
use domain::ids::{AccountId, RunId};
use store::billing::{BillingRun, RunScope};

use super::act::settled;
use super::names::Names;
use super::{may_change, shell, unbilled};
use crate::api::answer::Id;
use crate::api::billing::{NewRun, RunKind, start_run};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::once::{self, once};
use crate::pages::web::{Asked, Form, Html, Page, Posted, Shell, Staff, page, show, unprocessable};

const SIZE: u32 = 50;

#[derive(Template)]
#[template(path = "finance/runs.html")]
struct List {
    shell: Shell,
    rows: Vec<Row>,
    next: Option<String>,
    zone: String,
    may_change: bool,
}

struct Row {
    href: String,
    at: Html,
    what: String,
    state: &'static str,
    class: &'static str,
    accounts: String,
    made: String,
    failed: u32,
}

fn what(run: &BillingRun, account: Option<&str>) -> String {
    let what = match run.scope {
        RunScope::Due => "What is due",
        RunScope::Interim => "What is due and usage so far",
    };
    let whom = account.unwrap_or("all customers");
    let how = if run.finalize { "" } else { ", as drafts" };
    format!("{what}, {whom}{how}")
}

fn state(run: &BillingRun) -> (&'static str, &'static str) {
    match (run.state.as_str(), run.failed) {
        ("queued", _) => ("Waiting", ""),
        ("running", _) => ("Running", "busy"),
        (_, 0) => ("Done", "good"),
        _ => ("Done, with failures", "bad"),
    }
}

fn made(run: &BillingRun) -> String {
    let invoices = show::count(u64::from(run.invoices), "invoice", "invoices");
    if run.credit_notes == 0 {
        return invoices;
    }
    let notes = show::count(u64::from(run.credit_notes), "credit note", "credit notes");
    format!("{invoices}, {notes}")
}

/// `GET /finance/runs`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let mut rows = store::Page::first(SIZE);
    if let Some(after) = asked.parsed::<RunId>("after") {
        rows = rows.continued(after);
    }
    let runs = app.store.billing_runs(&rows).await?;
    let full = runs.len() >= usize::try_from(SIZE).unwrap_or(usize::MAX);
    let next = runs
        .last()
        .filter(|_| full)
        .map(|run| format!("/finance/runs?after={}", run.id));
    let mut names = Names::default();
    let mut list = Vec::with_capacity(runs.len());
    for run in &runs {
        let account = match run.account {
            Some(id) => Some(names.account(&app, id).await?),
            None => None,
        };
        let (state, class) = state(run);
        list.push(Row {
            href: format!("/finance/runs/{}", run.id),
            at: show::moment(run.requested_at, staff.visitor.zone()),
            what: what(run, account.as_deref()),
            state,
            class,
            accounts: format!(
                "{} of {}",
                show::number(run.done.into()),
                show::number(run.total.into())
            ),
            made: made(run),
            failed: run.failed,
        });
    }
    page(&List {
        shell: shell(&app, &staff).await?,
        rows: list,
        next,
        zone: show::zone_name(staff.visitor.zone()),
        may_change: may_change(&staff),
    })
}

#[derive(Template)]
#[template(path = "finance/run_new.html")]
struct New {
    shell: Shell,
    form: Form,
    kinds: Vec<(String, String)>,
    issue: Vec<(String, String)>,
    account: Option<(String, String)>,
    accounts: u64,
    unbilled: Html,
    once: Html,
}

fn choices(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(value, text)| ((*value).to_owned(), (*text).to_owned()))
        .collect()
}

async fn form_page(app: &App, staff: &Staff, account: Option<AccountId>, form: Form) -> Result<New, Problem> {
    let name = match account {
        Some(id) => {
            let found = app.store.account(staff.caller.scope(), id).await?;
            Some(found.ok_or_else(|| Problem::missing("customer"))?.fields.name)
        }
        None => None,
    };
    let rows = match account {
        Some(id) => unbilled::row(app, staff, id).await?.into_iter().collect(),
        None => unbilled::rows(app, staff, None, 100).await?.0,
    };
    Ok(New {
        shell: shell(app, staff).await?,
        form,
        kinds: choices(&[
            ("due", "What is due: closed periods and amounts in advance"),
            ("interim", "Also the usage of running periods so far"),
        ]),
        issue: choices(&[
            ("issue", "Issue invoices at once"),
            ("draft", "Leave them as drafts for somebody to finalize"),
        ]),
        account: account.zip(name).map(|(id, name)| (id.to_string(), name)),
        accounts: rows.len() as u64,
        unbilled: super::amounts(&unbilled::sum(&rows)),
        once: once::field(),
    })
}

/// `GET /finance/runs/new`
pub(super) async fn new(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let account = asked.parsed("account");
    page(&form_page(&app, &staff, account, Form::new()).await?)
}

/// `POST /finance/runs/new`
pub(super) async fn start(State(app): State<App>, staff: Staff, posted: Posted) -> Page {
    let account: Option<AccountId> = match posted.given("account") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::missing("customer"))?),
    };
    let mut form = Form::typed(&posted);
    let work = Box::pin(async {
        let kind = match posted.get("kind") {
            "due" => RunKind::Due,
            "interim" => RunKind::Interim,
            _ => {
                form.fault("kind", "Choose what to bill");
                return Err(once::mend());
            }
        };
        let wanted = NewRun {
            account,
            kind,
            finalize: posted.get("issue") != "draft",
        };
        Ok(format!(
            "/finance/runs/{}",
            start_run(&app, &staff.caller, &wanted).await?
        ))
    });
    let done = once(&app, &staff.visitor, &posted, work).await;
    if let Some(response) = settled(done, &mut form)? {
        return Ok(response);
    }
    unprocessable(&form_page(&app, &staff, account, form).await?)
}

#[derive(Template)]
#[template(path = "finance/run.html")]
struct Shown {
    shell: Shell,
    what: String,
    at: Html,
    part: Html,
}

/// The part of the page that is read again while the run goes on.
#[derive(Template)]
#[template(path = "finance/run_progress.html")]
struct Progress {
    href: String,
    is_done: bool,
    state: &'static str,
    class: &'static str,
    done: u32,
    total: u32,
    failed: u32,
    made: String,
    finished: Html,
    bar: Html,
    failures: Vec<(String, String, String)>,
}

async fn run_of(app: &App, id: RunId) -> Result<BillingRun, Problem> {
    let run = app.store.billing_run(id).await?;
    run.ok_or_else(|| Problem::missing("billing run"))
}

async fn part(app: &App, staff: &Staff, run: &BillingRun) -> Result<Progress, Problem> {
    let mut names = Names::default();
    let mut failures = Vec::new();
    for failure in app.store.run_failures(run.id).await? {
        failures.push((
            names.account(app, failure.account).await?,
            format!("/finance/customers/{}", failure.account),
            failure.reason,
        ));
    }
    let (state, class) = state(run);
    let tried = u64::from(run.done) + u64::from(run.failed);
    Ok(Progress {
        href: format!("/finance/runs/{}", run.id),
        is_done: run.state == "done",
        state,
        class,
        done: run.done,
        total: run.total,
        failed: run.failed,
        made: made(run),
        finished: show::moment_or_nothing(run.finished_at, staff.visitor.zone()),
        bar: crate::pages::web::chart::meter(
            tried,
            u64::from(run.total).max(1),
            Some(u64::from(run.total)),
            &format!("{tried} of {} customers tried", run.total),
        ),
        failures,
    })
}

/// `GET /finance/runs/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<RunId>) -> Page {
    let run = run_of(&app, id).await?;
    let account = match run.account {
        Some(id) => Some(Names::default().account(&app, id).await?),
        None => None,
    };
    let part = part(&app, &staff, &run).await?;
    page(&Shown {
        shell: shell(&app, &staff).await?,
        what: what(&run, account.as_deref()),
        at: show::moment(run.requested_at, staff.visitor.zone()),
        part: Html(part.render().unwrap_or_default()),
    })
}

/// `GET /finance/runs/{id}/progress`
pub(super) async fn progress(State(app): State<App>, staff: Staff, Id(id): Id<RunId>) -> Page {
    let run = run_of(&app, id).await?;
    page(&part(&app, &staff, &run).await?)
}
