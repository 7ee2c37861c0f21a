//! `/manage/products/{product}/plans/{plan}/versions`, `…/migrate`, `…/archive`: what was published, who has what, and the
//! end of a plan.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use domain::config::Plan;
use domain::ids::PlanVersionId;
use domain::subscription::Migrate;
use store::PlanVersion;

use super::effect::live;
use super::offer::Offer;
use super::plan_words::{Difference, difference, lines};
use super::product_edit::Live;
use super::{may_change, shell};
use crate::api::answer::PlanPath;
use crate::api::plans::move_subscribers;
use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;
use crate::pages::web::field::Choices;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Posted, Shell, Staff, see_other};

#[derive(Template)]
#[template(path = "manage/versions.html")]
struct Page {
    shell: Shell,
    may_change: bool,
    product: String,
    product_title: String,
    plan: String,
    title: String,
    notice: Option<&'static str>,
    moved: Option<String>,
    rows: Vec<Row>,
    newest: i64,
    behind: u64,
    moving: u64,
    form: Form,
    choices: Choices,
    compared: Option<(i64, i64)>,
    changes: Vec<Difference>,
}

struct Row {
    n: i64,
    published: Moment,
    subscribers: String,
    moving: String,
    hash: String,
}

/// `GET /manage/products/{product}/plans/{plan}/versions`
pub(super) async fn show(State(app): State<App>, staff: Staff, path: PlanPath, asked: Asked) -> web::Page {
    let offer = Offer::named(&app, &path.product).await?;
    let (object, plan) = offer.plan(&path.plan).ok_or_else(|| Problem::missing("plan"))?;
    let id = crate::subscribing::id(object)?;
    let versions = app.store.plan_versions(id).await?;
    let mut on: BTreeMap<PlanVersionId, u64> = BTreeMap::new();
    let mut moving: BTreeMap<PlanVersionId, u64> = BTreeMap::new();
    for one in live(&app, id).await? {
        *on.entry(one.plan_version_id).or_default() += 1;
        if let Some(change) = one
            .pending_change
            .filter(|change| change.plan_version_id != one.plan_version_id)
        {
            *moving.entry(change.plan_version_id).or_default() += 1;
        }
    }
    let newest = versions.first();
    let total: u64 = on.values().sum();
    let current = newest.map_or(0, |newest| on.get(&newest.id).copied().unwrap_or(0));
    let (pair, changes) = compared(&versions, &asked);
    let of = |counts: &BTreeMap<PlanVersionId, u64>, id| show::number(counts.get(&id).copied().unwrap_or(0));
    let page = Page {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        product_title: offer.title().to_owned(),
        title: super::products::plan_title(plan).to_owned(),
        notice: asked
            .get("published")
            .map(|_| "Published. The gateways take it over within a second."),
        moved: asked.get("moved").map(str::to_owned),
        newest: newest.map_or(0, |newest| newest.n),
        behind: total.saturating_sub(current),
        moving: newest.and_then(|newest| moving.get(&newest.id).copied()).unwrap_or(0),
        rows: versions
            .iter()
            .map(|version| Row {
                n: version.n,
                published: show::moment(version.published_at, staff.visitor.zone()),
                subscribers: of(&on, version.id),
                moving: of(&moving, version.id),
                hash: version.hash.chars().take(12).collect(),
            })
            .collect(),
        form: Form::with(pair.map_or_else(Vec::new, |(from, to)| {
            vec![("from".to_owned(), from.to_string()), ("to".to_owned(), to.to_string())]
        })),
        choices: versions
            .iter()
            .map(|version| (version.n.to_string(), format!("Version {}", version.n)))
            .collect(),
        compared: pair,
        changes,
        product: path.product,
        plan: path.plan,
    };
    web::page(&page)
}

/// The two versions that are asked for, else the newest one and the one before it, and how they differ.
fn compared(versions: &[PlanVersion], asked: &Asked) -> (Option<(i64, i64)>, Vec<Difference>) {
    let find = |n: i64| versions.iter().find(|version| version.n == n);
    let newest = versions.first().map_or(0, |version| version.n);
    let to = asked.parsed("to").unwrap_or(newest);
    let from = asked.parsed("from").unwrap_or_else(|| newest.saturating_sub(1));
    let (Some(old), Some(new)) = (find(from), find(to)) else {
        return (None, Vec::new());
    };
    let text = |version: &PlanVersion| {
        serde_json::from_value::<Plan>(version.body.clone()).map_or_else(|_| Vec::new(), |plan| lines(&plan))
    };
    (Some((from, to)), difference(&text(old), &text(new)))
}

/// `POST /manage/products/{product}/plans/{plan}/migrate`
pub(super) async fn migrate(State(app): State<App>, staff: Staff, path: PlanPath, posted: Posted) -> web::Page {
    let offer = Offer::named(&app, &path.product).await?;
    let (object, _) = offer.plan(&path.plan).ok_or_else(|| Problem::missing("plan"))?;
    let id = crate::subscribing::id(object)?;
    let how = Migrate::from_word(posted.get("migrate")).unwrap_or(Migrate::PeriodEnd);
    let (_, moved) = move_subscribers(&app, &staff.caller, id, how).await?;
    see_other(&format!(
        "/manage/products/{}/plans/{}/versions?moved={moved}",
        path.product, path.plan
    ))
}

#[derive(Template)]
#[template(path = "manage/plan_archive.html")]
struct Archive {
    shell: Shell,
    product: String,
    product_title: String,
    plan: String,
    title: String,
    live: Vec<Live>,
    total: usize,
    stays: String,
}

const SHOWN: usize = 50;

/// `GET /manage/products/{product}/plans/{plan}/archive`
pub(super) async fn confirm(State(app): State<App>, staff: Staff, path: PlanPath) -> web::Page {
    let offer = Offer::named(&app, &path.product).await?;
    let (_, plan) = offer.plan(&path.plan).ok_or_else(|| Problem::missing("plan"))?;
    let mut live = super::product_edit::live(&app, &offer, Some(&path.plan)).await?;
    let total = live.len();
    live.truncate(SHOWN);
    let page = Archive {
        shell: shell(&app, &staff).await?,
        product_title: offer.title().to_owned(),
        title: super::products::plan_title(plan).to_owned(),
        live,
        total,
        stays: super::product_edit::stays(total),
        product: path.product,
        plan: path.plan,
    };
    web::page(&page)
}

/// `POST /manage/products/{product}/plans/{plan}/archive`
pub(super) async fn archive(State(app): State<App>, staff: Staff, path: PlanPath, _: Posted) -> web::Page {
    let offer = Offer::named(&app, &path.product).await?;
    let (object, _) = offer.plan(&path.plan).ok_or_else(|| Problem::missing("plan"))?;
    configuration::archive(&app, staff.caller.actor(), &[object]).await?;
    app.store
        .delete_draft(&super::plan_editor::draft_id(&path.product, &path.plan))
        .await?;
    see_other(&format!("/manage/products/{}/plans", path.product))
}
