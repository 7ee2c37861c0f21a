//! Steps of an invoice that need a reason at most: finalize, void, reissue, mark uncollectible. Each has a page that says
//! what will happen before it does.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceStatus, InvoiceView};

use super::invoice::path;
use super::shell;
use crate::api::answer::Id;
use crate::api::invoices::seen;
use crate::api::invoices_money::{bill_again, issue, make_void, mark_uncollectible};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::once::{self, once};
use crate::pages::web::{Form, Html, Page, Posted, Shell, Staff, page, see_other, show, unprocessable};

#[derive(Template)]
#[template(path = "finance/act.html")]
struct Act {
    shell: Shell,
    base: String,
    invoice: String,
    words: Words,
    form: Form,
    once: Html,
}

/// What a page of a step says.
struct Words {
    title: &'static str,
    button: &'static str,
    class: &'static str,
    path: &'static str,
    reason: Reason,
    effects: Vec<String>,
}

/// Whether the step asks why.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    None,
    Optional,
    Required,
}

/// A step.
#[derive(Clone, Copy)]
enum Step {
    Finalize,
    Void,
    Reissue,
    GiveUp,
}

impl Words {
    fn asks(&self) -> bool {
        self.reason != Reason::None
    }

    fn is_required(&self) -> bool {
        self.reason == Reason::Required
    }
}

impl Step {
    /// 409 where the invoice does not stand so that this can be done.
    fn allowed(self, view: &InvoiceView) -> Result<(), Problem> {
        let fits = match self {
            Self::Finalize => view.status == InvoiceStatus::Draft,
            Self::Void => view.status != InvoiceStatus::Void,
            Self::Reissue => view.status == InvoiceStatus::Void,
            Self::GiveUp => view.status == InvoiceStatus::Open,
        };
        if fits {
            return Ok(());
        }
        let word = documents::words::status(view.status).to_lowercase();
        Err(Problem::conflict(format!(
            "the invoice is {word}: this step is not possible any more"
        )))
    }

    fn words(self, view: &InvoiceView) -> Words {
        let name = &view.customer.name;
        let amount = show::minor(view.total, view.currency);
        let due = show::minor(view.amount_due, view.currency);
        match self {
            Self::Finalize => Words {
                title: "Finalize this draft",
                button: "Finalize invoice",
                class: "primary",
                path: "finalize",
                reason: Reason::Optional,
                effects: vec![
                    format!("It gets the next number and {name} owes {amount}."),
                    "Credit of the account is taken first.".to_owned(),
                    "It never changes after that: money goes back by a credit note alone.".to_owned(),
                ],
            },
            Self::Void => Words {
                title: "Make this invoice void",
                button: "Make void",
                class: "danger",
                path: "void",
                reason: Reason::Required,
                effects: vec![
                    format!("It does not count any more: {name} owes {due} less."),
                    "It keeps its number and stays in the books with the reason, which stands on the document.".to_owned(),
                    "What it charged is not billed again by itself. Reissue it afterwards to bill it again.".to_owned(),
                ],
            },
            Self::Reissue => Words {
                title: "Bill again what this void invoice had charged",
                button: "Reissue",
                class: "primary",
                path: "reissue",
                reason: Reason::None,
                effects: vec![
                    "A new invoice with a number of its own is issued at once, with today's name, address and tax numbers of the customer.".to_owned(),
                    "Usage that came in since is rated with it, so that the amount may differ.".to_owned(),
                    "It can be done once: what is billed again cannot be billed a third time.".to_owned(),
                ],
            },
            Self::GiveUp => Words {
                title: "Mark this invoice uncollectible",
                button: "Mark uncollectible",
                class: "danger",
                path: "uncollectible",
                reason: Reason::Required,
                effects: vec![
                    format!("Nobody expects the {due} of {name} any more; it leaves the lists of what is unpaid and overdue."),
                    "It stays owed: a payment that comes in later can still be recorded.".to_owned(),
                    "This cannot be taken back.".to_owned(),
                ],
            },
        }
    }

    async fn take(self, app: &App, staff: &Staff, id: InvoiceId, reason: &str) -> Result<String, Problem> {
        let caller = &staff.caller;
        let (id, done) = match self {
            Self::Finalize => {
                let remark = Some(reason).filter(|reason| !reason.is_empty());
                (issue(app, caller, id, remark).await?.id, "finalized")
            }
            Self::Void => (make_void(app, caller, id, reason).await?.id, "void"),
            Self::Reissue => (bill_again(app, caller, id).await?.id, "reissued"),
            Self::GiveUp => (mark_uncollectible(app, caller, id, reason).await?.id, "given-up"),
        };
        Ok(format!("{}?done={done}", path(id)))
    }
}

async fn asked(app: &App, staff: &Staff, id: InvoiceId, step: Step) -> Page {
    let view = seen(app, &staff.caller, id).await?;
    step.allowed(&view)?;
    page(&shown(app, staff, &view, (step, Form::new())).await?)
}

async fn shown(app: &App, staff: &Staff, view: &InvoiceView, (step, form): (Step, Form)) -> Result<Act, Problem> {
    Ok(Act {
        shell: shell(app, staff).await?,
        base: path(view.id),
        invoice: documents::words::title(view),
        words: step.words(view),
        form,
        once: once::field(),
    })
}

async fn done(app: &App, staff: &Staff, (id, step): (InvoiceId, Step), posted: &Posted) -> Page {
    let view = seen(app, &staff.caller, id).await?;
    let mut form = Form::typed(posted);
    let work = Box::pin(async {
        let reason = posted.get("reason");
        if step.words(&view).is_required() && reason.is_empty() {
            form.fault("reason", "Write why: it stays with the invoice");
            return Err(once::mend());
        }
        step.take(app, staff, id, reason).await
    });
    let done = once(app, &staff.visitor, posted, work).await;
    if let Some(response) = settled(done, &mut form)? {
        return Ok(response);
    }
    unprocessable(&shown(app, staff, &view, (step, form)).await?)
}

/// Where the work led; `None` when the form has something to mend, which it then says.
pub(super) fn settled(done: Result<String, Problem>, form: &mut Form) -> Result<Option<Response>, Problem> {
    match done {
        Ok(path) => see_other(&path).map(Some),
        Err(problem) if once::is_mend(&problem) => Ok(None),
        Err(problem) if matches!(problem.status().as_u16(), 400 | 409 | 422) => {
            form.take(&problem, &[]);
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

/// `GET /finance/invoices/{id}/finalize`
pub(super) async fn finalize_page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    asked(&app, &staff, id, Step::Finalize).await
}

/// `POST /finance/invoices/{id}/finalize`
pub(super) async fn finalize(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    done(&app, &staff, (id, Step::Finalize), &posted).await
}

/// `GET /finance/invoices/{id}/void`
pub(super) async fn void_page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    asked(&app, &staff, id, Step::Void).await
}

/// `POST /finance/invoices/{id}/void`
pub(super) async fn void(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    done(&app, &staff, (id, Step::Void), &posted).await
}

/// `GET /finance/invoices/{id}/reissue`
pub(super) async fn reissue_page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    asked(&app, &staff, id, Step::Reissue).await
}

/// `POST /finance/invoices/{id}/reissue`
pub(super) async fn reissue(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    done(&app, &staff, (id, Step::Reissue), &posted).await
}

/// `GET /finance/invoices/{id}/uncollectible`
pub(super) async fn give_up_page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    asked(&app, &staff, id, Step::GiveUp).await
}

/// `POST /finance/invoices/{id}/uncollectible`
pub(super) async fn give_up(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    done(&app, &staff, (id, Step::GiveUp), &posted).await
}
