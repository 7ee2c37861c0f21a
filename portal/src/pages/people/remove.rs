//! `/app/team/{id}/remove` and `/app/team/leave`: out of an organisation, after a page that says what happens.

use askama::Template;
use axum::extract::State;
use domain::ids::UserId;

use crate::api::answer::Id;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::sides;
use crate::pages::web::{Form, Member, Page, Posted, Shell, page, see_other, unprocessable};

#[derive(Template)]
#[template(path = "people/remove.html")]
struct Remove {
    shell: Shell,
    form: Form,
    organisation: String,
    action: String,
    name: String,
    email: String,
    role: &'static str,
    is_self: bool,
}

/// The member with this id.
async fn find(app: &App, member: &Member, id: UserId) -> Result<store::Member, Problem> {
    let mut tx = member.caller.change(app).await?;
    let found = tx.member(member.account, id).await?;
    tx.rollback().await?;
    found.ok_or_else(|| Problem::missing("member"))
}

async fn ask(app: &App, member: &Member, found: store::Member, form: Form) -> Result<Remove, Problem> {
    let is_self = found.user_id == member.user()?.id;
    Ok(Remove {
        shell: member.visitor.shell(app).await?.side(sides::app(member)),
        form,
        organisation: member.account_name.clone(),
        action: if is_self {
            "/app/team/leave".to_owned()
        } else {
            format!("/app/team/{}/remove", found.user_id)
        },
        is_self,
        name: if found.name.is_empty() {
            found.email.clone()
        } else {
            found.name
        },
        email: found.email,
        role: found.role.as_str(),
    })
}

async fn take_out(app: &App, member: &Member, id: UserId) -> Page {
    let found = find(app, member, id).await?;
    let mut tx = member.caller.change(app).await?;
    match tx.remove_member(member.account, id).await {
        Ok(()) => {
            app.commit(tx).await?;
            let has_left = found.user_id == member.user()?.id;
            see_other(if has_left { "/app" } else { "/app/team?done=removed" })
        }
        Err(store::Error::State(_)) => {
            tx.rollback().await?;
            let mut form = Form::new();
            form.wrong("The last owner cannot leave. Make someone else an owner first.");
            unprocessable(&ask(app, member, found, form).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /app/team/{id}/remove`
pub(super) async fn show(State(app): State<App>, member: Member, Id(id): Id<UserId>) -> Page {
    let found = find(&app, &member, id).await?;
    page(&ask(&app, &member, found, Form::new()).await?)
}

/// `POST /app/team/{id}/remove`
pub(super) async fn remove(State(app): State<App>, member: Member, Id(id): Id<UserId>, _posted: Posted) -> Page {
    take_out(&app, &member, id).await
}

/// `GET /app/team/leave`
pub(super) async fn ask_to_leave(State(app): State<App>, member: Member) -> Page {
    let found = find(&app, &member, member.user()?.id).await?;
    page(&ask(&app, &member, found, Form::new()).await?)
}

/// `POST /app/team/leave`
pub(super) async fn leave(State(app): State<App>, member: Member, _posted: Posted) -> Page {
    let id = member.user()?.id;
    take_out(&app, &member, id).await
}
