//! A form that is sent twice does its work once.
//!
//! A hidden field holds a random number of this very page. The first sending claims number and content, a second one is
//! told what became of the first. Another content under the same number is another form. Without the field nothing is
//! held back.

use std::future::Future;

use axum::http::StatusCode;
use domain::key::KeyHash;
use store::{Claim, IdempotencyKey};

use super::{Html, Posted, Visitor};
use crate::api::caller::Caller;
use crate::app::App;
use crate::http::problem::{Problem, hex};

const FIELD: &str = "_once";
const KEPT_MS: i64 = 24 * 3_600_000;
const DONE: u16 = 303;
const MEND: &str = "form-faults";

/// The hidden field of a form.
pub(crate) fn field() -> Html {
    let number = hex(&domain::random::bytes::<12>());
    Html(format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{number}\">"))
}

/// Whose turn it is.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The form was not sent before: do the work, then say so.
    First(Ticket),
    /// It was sent before and made the thing of this id.
    Again(String),
    /// It was sent before and is still being worked on, or was cut off.
    Running,
}

/// The right to do the work.
#[derive(Debug)]
pub(crate) struct Ticket(Option<IdempotencyKey>);

/// What the work of [`once`] returns when the form itself has faults, which it has noted there: nothing was done.
pub(crate) fn mend() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, MEND, "Something needs mending")
}

/// Whether the work returned [`mend`].
pub(crate) fn is_mend(problem: &Problem) -> bool {
    problem.name() == MEND
}

/// Does the work, which reads the form too, unless this form has done it; gives the path that the first one led to. What
/// failed frees the form, so that the mended one can be sent.
pub(crate) async fn once<F>(app: &App, visitor: &Visitor, form: &Posted, work: F) -> Result<String, Problem>
where
    F: Future<Output = Result<String, Problem>>,
{
    let Some(person) = visitor.person() else {
        return work.await;
    };
    match claim(app, person.user.id.to_string(), form, Content::Bound).await? {
        Turn::First(ticket) => ticket.done(app, work.await, Clone::clone).await,
        Turn::Again(path) => Ok(path),
        Turn::Running => Err(Problem::conflict(
            "this form was sent before, with other values or a moment ago: load the page again",
        )),
    }
}

/// Asks whether this form was sent before.
pub(crate) async fn turn(app: &App, caller: &Caller, form: &Posted) -> Result<Turn, Problem> {
    claim(app, caller.who.to_string(), form, Content::Free).await
}

/// Whether the number of a form is good for one content alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It is: where money moves.
    Bound,
    /// Another content is another form.
    Free,
}

async fn claim(app: &App, principal: String, form: &Posted, content_is: Content) -> Result<Turn, Problem> {
    let Some(number) = form.given(FIELD).filter(|number| number.len() <= 64) else {
        return Ok(Turn::First(Ticket(None)));
    };
    let content: String = form
        .fields()
        .map(|(name, value)| format!("{}:{name}={}:{value};", name.len(), value.len()))
        .collect();
    let hash: KeyHash = domain::key::hash(content.as_bytes());
    let key = IdempotencyKey {
        principal,
        key: match content_is {
            Content::Bound => format!("form {number}"),
            Content::Free => format!("form {number} {}", hash.to_hex()),
        },
        request_hash: hash.0,
    };
    let now = app.clock.now();
    Ok(
        match app.store.claim_idempotent(&key, now..now.plus_millis(KEPT_MS)).await? {
            Claim::First => Turn::First(Ticket(Some(key))),
            Claim::Answered { body, .. } => Turn::Again(body),
            Claim::Running | Claim::Mismatch => Turn::Running,
        },
    )
}

impl Ticket {
    /// Notes what was made, or gives the form back when nothing was.
    pub(crate) async fn done<T>(
        self,
        app: &App,
        result: Result<T, Problem>,
        id: impl FnOnce(&T) -> String,
    ) -> Result<T, Problem> {
        let Some(key) = self.0 else { return result };
        match &result {
            Ok(made) => app.store.finish_idempotent(&key, DONE, &id(made)).await?,
            Err(_) => app.store.release_idempotent(&key).await?,
        }
        result
    }
}
