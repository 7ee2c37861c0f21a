//! `/manage/products/{product}/plans/{plan}/publish`: what publishing a draft does to subscribers, in number and in money,
//! and then doing it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use domain::config::Plan;
use domain::subscription::Migrate;

use super::effect::{Effect, effect};
use super::offer::apply;
use super::plan_editor::{Work, draft_id};
use super::plan_words::{Difference, difference, lines};
use super::{may_change, shell};
use crate::api::answer::PlanPath;
use crate::app::App;
use crate::configuration::Run;
use crate::configuration::write::version_body;
use crate::http::problem::Problem;
use crate::pages::web::{self, Form, Posted, Shell, Staff, see_other, with_status};

#[derive(Template)]
#[template(path = "manage/plan_publish.html")]
struct Page {
    shell: Shell,
    may_change: bool,
    form: Form,
    product: String,
    product_title: String,
    plan: String,
    title: String,
    version: Option<i64>,
    next: i64,
    /// Whether limits or prices differ: only then a version results.
    makes_version: bool,
    changes: Vec<Difference>,
    effect: Effect,
    opened: String,
}

/// `GET /manage/products/{product}/plans/{plan}/publish`
pub(super) async fn show(State(app): State<App>, staff: Staff, path: PlanPath) -> web::Page {
    let work = Work::find(&app, &path).await?;
    if work.draft.is_none() {
        return see_other(&format!("/manage/products/{}/plans/{}/edit", path.product, path.plan));
    }
    web::page(&page(&app, &staff, &work, Form::new()).await?)
}

async fn page(app: &App, staff: &Staff, work: &Work, form: Form) -> Result<Page, Problem> {
    let (_, wanted) = work.draft.as_ref().ok_or_else(|| Problem::missing("draft"))?;
    let makes_version = differs(work.live.as_ref(), wanted);
    let effect = match work.offer.plan(&work.name) {
        Some((object, _)) => effect(app, crate::subscribing::id(object)?, wanted).await?,
        None => Effect::default(),
    };
    let before = work.live.as_ref().map(lines).unwrap_or_default();
    Ok(Page {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        form,
        product: work.offer.product.name.clone(),
        product_title: work.offer.title().to_owned(),
        plan: work.name.clone(),
        title: super::products::plan_title(wanted).to_owned(),
        version: work.version,
        next: work.version.unwrap_or(0) + 1,
        makes_version,
        changes: difference(&before, &lines(wanted)),
        effect,
        opened: work.opened(),
    })
}

fn differs(live: Option<&Plan>, wanted: &Plan) -> bool {
    live.is_none_or(|live| version_body(live) != version_body(wanted))
}

/// `POST /manage/products/{product}/plans/{plan}/publish`
pub(super) async fn publish(State(app): State<App>, staff: Staff, path: PlanPath, posted: Posted) -> web::Page {
    let work = Work::find(&app, &path).await?;
    let mut form = Form::typed(&posted);
    let Some((_, draft)) = &work.draft else {
        return Err(Problem::conflict(
            "there is no draft of this plan any more: it was published or thrown away",
        ));
    };
    if posted.get("opened") != work.opened() {
        form.wrong("The plan or its draft has been changed since you opened this page. What you see now is how it stands: look at it again before you publish.");
        return with_status(StatusCode::CONFLICT, &page(&app, &staff, &work, form).await?);
    }
    let wanted = Plan {
        migrate: Migrate::from_word(posted.get("migrate")).unwrap_or(Migrate::Never),
        ..draft.clone()
    };
    let (document, _) = work.offer.with_plan(&wanted);
    match apply(&app, &staff, document, Run::Real).await {
        Ok(_) => {}
        Err(problem) if problem.status().is_client_error() => {
            form.take(&problem, &[]);
            return with_status(problem.status(), &page(&app, &staff, &work, form).await?);
        }
        Err(problem) => return Err(problem),
    }
    app.store.delete_draft(&draft_id(&path.product, &path.plan)).await?;
    see_other(&format!(
        "/manage/products/{}/plans/{}/versions?published=1",
        path.product, path.plan
    ))
}
