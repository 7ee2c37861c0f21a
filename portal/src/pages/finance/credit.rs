//! `/finance/invoices/{id}/credit`: a credit note, line by line, never above what remains of a line.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceStatus, InvoiceView};
use domain::money::Money;

use super::act::settled;
use super::invoice::path;
use super::payment::amount;
use super::shell;
use crate::api::answer::Id;
use crate::api::invoices::{CreditLine, seen};
use crate::api::invoices_money::{NewCreditNoteBody, give_back};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::once::{self, once};
use crate::pages::web::{self, Form, Html, Page, Posted, Shell, Staff, show, unprocessable};

#[derive(Template)]
#[template(path = "finance/credit.html")]
struct Credit {
    shell: Shell,
    base: String,
    invoice: String,
    customer: String,
    effect: String,
    currency: &'static str,
    lines: Vec<Line>,
    form: Form,
    once: Html,
}

struct Line {
    /// Name of its field.
    field: String,
    description: String,
    charged: String,
    left: String,
    value: String,
    fault: Option<String>,
}

/// What remains of each line that is above zero.
fn remaining(view: &InvoiceView) -> BTreeMap<u32, i64> {
    let mut left: BTreeMap<u32, i64> = view.lines.iter().map(|line| (line.n, line.amount)).collect();
    for (line, amount) in view.credit_notes.iter().flat_map(|note| &note.lines) {
        if let Some(left) = left.get_mut(line) {
            *left = left.saturating_sub(*amount);
        }
    }
    left.retain(|_, left| *left > 0);
    left
}

fn field(n: u32) -> String {
    format!("line-{n}")
}

fn issued(view: &InvoiceView) -> Result<(), Problem> {
    if matches!(view.status, InvoiceStatus::Draft | InvoiceStatus::Void) {
        let word = documents::words::status(view.status).to_lowercase();
        return Err(Problem::conflict(format!("the invoice is {word}: nothing can go back")));
    }
    Ok(())
}

async fn shown(app: &App, staff: &Staff, view: &InvoiceView, form: Form) -> Result<Credit, Problem> {
    let left = remaining(view);
    let lines = view.lines.iter().filter_map(|line| {
        let left = *left.get(&line.n)?;
        let field = field(line.n);
        Some(Line {
            description: line.description.clone(),
            charged: show::minor(line.amount, view.currency),
            left: Money::new(left, view.currency).to_major_string(),
            value: form.value(&field).to_owned(),
            fault: form.fault_of(&field).map(str::to_owned),
            field,
        })
    });
    let due = show::minor(view.amount_due, view.currency);
    let effect = if view.amount_due > 0 {
        format!(
            "It first lowers the {due} that is due; the rest becomes credit of the account, which the next invoice takes."
        )
    } else {
        "Nothing is due any more, so all of it becomes credit of the account, which the next invoice takes.".to_owned()
    };
    Ok(Credit {
        shell: shell(app, staff).await?,
        base: path(view.id),
        invoice: documents::words::title(view),
        customer: view.customer.name.clone(),
        effect,
        currency: view.currency.code(),
        lines: lines.collect(),
        form,
        once: once::field(),
    })
}

/// `GET /finance/invoices/{id}/credit`
pub(super) async fn page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    issued(&view)?;
    web::page(&shown(&app, &staff, &view, Form::new()).await?)
}

/// What the form says, once it says nothing wrong.
fn read(view: &InvoiceView, posted: &Posted, form: &mut Form) -> Option<NewCreditNoteBody> {
    let mut lines = Vec::new();
    for (line, left) in remaining(view) {
        let name = field(line);
        let Some(text) = posted.given(&name) else { continue };
        match amount(text, view.currency) {
            Ok(minor) if minor <= left => lines.push(CreditLine { line, amount: minor }),
            Ok(_) => form.fault(
                &name,
                format!(
                    "{} is left of this line: write that or less",
                    show::minor(left, view.currency)
                ),
            ),
            Err(fault) => form.fault(&name, fault),
        }
    }
    if posted.get("reason").is_empty() {
        form.fault("reason", "Write why: it stands on the credit note");
    }
    if lines.is_empty() && form.is_fine() {
        form.wrong("Write an amount beside at least one line");
    }
    form.is_fine().then(|| NewCreditNoteBody {
        reason: posted.get("reason").to_owned(),
        lines,
    })
}

/// `POST /finance/invoices/{id}/credit`
pub(super) async fn issue(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    let mut form = Form::typed(&posted);
    let work = Box::pin(async {
        let wanted = read(&view, &posted, &mut form).ok_or_else(once::mend)?;
        give_back(&app, &staff.caller, id, wanted).await?;
        Ok(format!("{}?done=credited", path(id)))
    });
    let done = once(&app, &staff.visitor, &posted, work).await;
    if let Some(response) = settled(done, &mut form)? {
        return Ok(response);
    }
    unprocessable(&shown(&app, &staff, &view, form).await?)
}
