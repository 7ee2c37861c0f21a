//! `/app/logs/{request_id}`: why one request ended as it did, in words.

use askama::Template;
use axum::extract::{Path, State};

use super::{consumers, shell};
use crate::api::requests;
use crate::app::App;
use crate::pages::money::story::StoryView;
use crate::pages::web::{self, Html, Member, Shell, show};

#[derive(Template)]
#[template(path = "app/story.html")]
struct Page {
    shell: Shell,
    id: String,
    zone: String,
    story: Html,
}

/// `GET /app/logs/{request_id}`
pub(crate) async fn show(State(app): State<App>, member: Member, Path(id): Path<String>) -> web::Page {
    let story = requests::story(&app, &member.caller, &id).await?;
    let own = consumers(&app, &member).await?;
    let zone = member.visitor.zone();
    let page_of = |id| {
        let own = own.iter().find(|consumer| consumer.id == id);
        own.map(|consumer| format!("/app/apps/{}", consumer.id))
    };
    web::page(&Page {
        shell: shell(&app, &member).await?,
        id,
        zone: show::zone_name(zone),
        story: StoryView::of(&app, story, zone, page_of).await?.html(),
    })
}
