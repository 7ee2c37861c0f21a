//! `/app/team/{id}/remove`: taking a member out, or leaving, after a page that says what happens.

use askama::Template;
use axum::extract::State;
use domain::ids::UserId;
use store::AccountRole;

use crate::api::answer::Id;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::OWNERS;
use crate::pages::web::sides;
use crate::pages::web::{Form, Member, Page, Posted, Shell, page, see_other, unprocessable};

#[derive(Template)]
#[template(path = "people/remove.html")]
struct Remove {
    shell: Shell,
    form: Form,
    organisation: String,
    id: String,
    name: String,
    email: String,
    role: &'static str,
    is_self: bool,
}

/// The person to take out: an owner takes anyone out, everyone else only themselves.
async fn find(app: &App, member: &Member, id: UserId) -> Result<store::Member, Problem> {
    let mut tx = member.caller.change(app).await?;
    let found = tx.member(member.account, id).await?;
    tx.rollback().await?;
    let found = found.ok_or_else(|| Problem::missing("member"))?;
    if found.user_id != member.user()?.id && !member.is_one_of(OWNERS) {
        return Err(Problem::forbidden("only an owner of the organisation takes others out"));
    }
    Ok(found)
}

async fn ask(app: &App, member: &Member, found: store::Member, form: Form) -> Result<Remove, Problem> {
    Ok(Remove {
        shell: member.visitor.shell(app).await?.side(sides::app(member)),
        form,
        organisation: member.account_name.clone(),
        id: found.user_id.to_string(),
        is_self: found.user_id == member.user()?.id,
        name: if found.name.is_empty() {
            found.email.clone()
        } else {
            found.name
        },
        email: found.email,
        role: found.role.as_str(),
    })
}

/// `GET /app/team/{id}/remove`
pub(super) async fn show(State(app): State<App>, member: Member, Id(id): Id<UserId>) -> Page {
    let found = find(&app, &member, id).await?;
    page(&ask(&app, &member, found, Form::new()).await?)
}

/// `POST /app/team/{id}/remove`
pub(super) async fn remove(State(app): State<App>, member: Member, Id(id): Id<UserId>, _posted: Posted) -> Page {
    let found = find(&app, &member, id).await?;
    let mut tx = member.caller.change(&app).await?;
    match tx.remove_member(member.account, id).await {
        Ok(()) => {
            app.commit(tx).await?;
            let left = found.user_id == member.user()?.id;
            see_other(if left { "/app" } else { "/app/team?done=removed" })
        }
        Err(store::Error::State(_)) => {
            tx.rollback().await?;
            let mut form = Form::new();
            form.wrong(match found.role {
                AccountRole::Owner => "The last owner cannot leave. Make someone else an owner first.",
                AccountRole::Developer | AccountRole::Billing | AccountRole::Viewer => "This member cannot leave now.",
            });
            unprocessable(&ask(&app, &member, found, form).await?)
        }
        Err(error) => Err(error.into()),
    }
}
