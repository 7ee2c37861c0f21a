//! `/app/logs/{request_id}`: why one request ended as it did, in words.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};

use super::{consumers, held, shell};
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
    let subscriptions = held::subscriptions(&app, &member, None).await?;
    let mut titles = HashMap::new();
    for one in &story.requests {
        let key = (one.event.product.clone(), one.event.plan.clone());
        let (product, plan) = held::titles(&app, &subscriptions, (&key.0, &key.1)).await?;
        titles.insert(key, format!("{product}, {plan}"));
    }
    let title_of = |product: &str, plan: &str| {
        let known = titles.get(&(product.to_owned(), plan.to_owned()));
        known.cloned().unwrap_or_else(|| format!("{product}, {plan}"))
    };
    web::page(&Page {
        shell: shell(&app, &member).await?,
        id,
        zone: show::zone_name(zone),
        story: StoryView::new(story, zone, page_of, title_of).html(),
    })
}
