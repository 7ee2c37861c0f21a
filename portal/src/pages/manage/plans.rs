//! `GET /manage/products/{product}/plans`: the plans of a product with their versions and subscribers.

use askama::Template;
use axum::extract::{Path, State};

use super::offer::Offer;
use super::products::{PlanRow, plan_rows};
use super::{may_change, shell};
use crate::app::App;
use crate::pages::web::{self, Shell, Staff};

#[derive(Template)]
#[template(path = "manage/plans.html")]
struct Page {
    shell: Shell,
    may_change: bool,
    name: String,
    title: String,
    plans: Vec<PlanRow>,
}

/// `GET /manage/products/{product}/plans`
pub(super) async fn list(State(app): State<App>, staff: Staff, Path(name): Path<String>) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let page = Page {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        title: offer.title().to_owned(),
        plans: plan_rows(&app, &staff, &offer).await?,
        name,
    };
    web::page(&page)
}
