//! `/finance/requests/{request_id}`: why a request was billed as it was.

use askama::Template;
use axum::extract::{Path, State};

use super::shell;
use crate::api::requests::story;
use crate::app::App;
use crate::pages::money::story::StoryView;
use crate::pages::web::{Html, Page, Shell, Staff, page};

#[derive(Template)]
#[template(path = "finance/request.html")]
struct Shown {
    shell: Shell,
    id: String,
    story: Html,
}

/// `GET /finance/requests/{request_id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Path(id): Path<String>) -> Page {
    let story = story(&app, &staff.caller, &id).await?;
    page(&Shown {
        shell: shell(&app, &staff).await?,
        story: StoryView::of(&app, story, staff.visitor.zone(), |_| None).await?.html(),
        id,
    })
}
