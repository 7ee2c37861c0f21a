//! `/login` and `/logout`.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;

use super::next;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{Asked, Form, Page, Posted, Shell, Visitor, page, see_other, unprocessable};
use crate::people::throttle::{self, Try};
use crate::people::{password, sessions};

#[derive(Template)]
#[template(path = "people/login.html")]
struct LogIn {
    shell: Shell,
    form: Form,
    next: String,
    /// A password has just been set.
    reset: bool,
}

/// `GET /login`
pub(super) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let next = asked.get("next").and_then(next::safe).unwrap_or_default();
    if visitor.person().is_some() {
        return see_other(if next.is_empty() { "/app" } else { next });
    }
    page(&LogIn {
        shell: visitor.shell(&app).await?,
        form: Form::new(),
        next: next.to_owned(),
        reset: asked.get("reset").is_some(),
    })
}

/// `POST /login`
pub(super) async fn send(State(app): State<App>, visitor: Visitor, headers: HeaderMap, posted: Posted) -> Page {
    let next = next::safe(posted.get("next")).unwrap_or_default();
    let mut again = LogIn {
        shell: visitor.shell(&app).await?,
        form: Form::typed(&posted),
        next: next.to_owned(),
        reset: false,
    };
    let email = posted.get("email");
    if email.is_empty() {
        again.form.fault("email", "Write your mail address");
    }
    if posted.raw("password").is_empty() {
        again.form.fault("password", "Write your password");
    }
    if !again.form.is_fine() {
        return unprocessable(&again);
    }
    let counted = match throttle::count(&app, Try::LogIn, email, visitor.address()).await? {
        Ok(counted) => counted,
        Err(seconds) => {
            again.form.wrong(super::wait(seconds));
            return super::too_many(seconds, &again);
        }
    };
    let user = app.store.user_by_email(email).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let is_right = password::verify(posted.raw("password"), hash)
        .await
        .map_err(|_| Problem::internal())?;
    let Some(user) = user.filter(|user| is_right && user.disabled_at.is_none()) else {
        tracing::info!(address = visitor.address().unwrap_or_default(), "a log-in failed");
        again
            .form
            .wrong("Address or password is wrong. Look at both, or set a new password.");
        return unprocessable(&again);
    };
    counted.forgive(&app).await?;
    let response = see_other(if next.is_empty() { "/app" } else { next })?;
    sessions::begin(&app, (&visitor, &headers), user.id, response).await
}

/// `POST /logout`
pub(super) async fn leave(State(app): State<App>, visitor: Visitor, _posted: Posted) -> Page {
    let response = see_other("/")?;
    sessions::end(&app, &visitor, response).await
}
