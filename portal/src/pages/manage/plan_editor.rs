//! `/manage/products/{product}/plans/new` and `…/{plan}/edit`: the plan editor.
//!
//! Everything that is saved here is a draft, which nobody but staff sees; [`super::plan_publish`] makes a version of it. A
//! form carries what its writer has seen (`opened`): whoever saves over something else gets 409 with both texts.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::config::Plan;
use domain::limit::REQUESTS;
use serde_json::json;
use store::{Draft, NewDraft, ObjectKind};

use super::offer::{self, Offer, apply};
use super::plan_cells::{Cells, form};
use super::plan_preview::{Preview, previews};
use super::plan_rows::{LimitRow, PriceRow, Rows, UsageRow};
use super::plan_words::{Difference, difference, texts, written};
use super::{author, may_change, plan_form, plan_pointers, shell};
use crate::api::answer::PlanPath;
use crate::app::App;
use crate::configuration::Run;
use crate::http::problem::Problem;
use crate::pages::web::field::Choices;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Html, Posted, Shell, Staff, see_other, unprocessable, with_status};

/// The kind of drafts of plans.
pub(super) const KIND: &str = "plan";
const MOST_OPERATIONS: usize = 500;

/// The id of the draft of a plan.
pub(super) fn draft_id(product: &str, plan: &str) -> String {
    format!("plan/{product}/{plan}")
}

/// Product and plan of the id of a draft.
pub(super) fn of_id(id: &str) -> Option<(&str, &str)> {
    id.strip_prefix("plan/")?.split_once('/')
}

/// A plan as it is in force and as someone is changing it.
pub(super) struct Work {
    pub(super) offer: Offer,
    pub(super) name: String,
    /// The plan in force; `None` while it is not published.
    pub(super) live: Option<Plan>,
    /// The number of its newest version.
    pub(super) version: Option<i64>,
    pub(super) draft: Option<(Draft, Plan)>,
    revision: i64,
}

impl Work {
    /// The plan of a name, in force or a draft.
    pub(super) async fn find(app: &App, path: &PlanPath) -> Result<Self, Problem> {
        let work = Self::open(app, &path.product, &path.plan).await?;
        if work.live.is_none() && work.draft.is_none() {
            return Err(Problem::missing("plan"));
        }
        Ok(work)
    }

    async fn open(app: &App, product: &str, plan: &str) -> Result<Self, Problem> {
        let offer = Offer::named(app, product).await?;
        let (mut live, mut version, mut revision) = (None, None, 0);
        if let Some((object, body)) = offer.plan(plan) {
            let latest = app.store.latest_plan_version(crate::subscribing::id(object)?).await?;
            version = latest.map(|latest| latest.n);
            revision = object.updated_revision;
            live = Some(body.clone());
        }
        let draft = app.store.draft(&draft_id(product, plan)).await?;
        let draft = draft.and_then(|draft| {
            let plan: Plan = serde_json::from_value(draft.fields.clone()).ok()?;
            Some((draft, plan))
        });
        Ok(Self {
            offer,
            name: plan.to_owned(),
            live,
            version,
            draft,
            revision,
        })
    }

    /// What a form shows that it was made from.
    pub(super) fn opened(&self) -> String {
        let draft = self.draft.as_ref().map_or(0, |(draft, _)| draft.version);
        format!("{draft}.{}", self.revision)
    }

    /// The draft, else what is in force.
    pub(super) fn current(&self) -> Option<&Plan> {
        self.draft.as_ref().map(|(_, plan)| plan).or(self.live.as_ref())
    }

    async fn keep(&self, app: &App, staff: &Staff, plan: &Plan) -> Result<(), Problem> {
        let new = NewDraft {
            id: draft_id(&self.offer.product.name, &plan.name),
            kind: KIND.to_owned(),
            fields: json!(plan),
            body: None,
        };
        let seen = self.draft.as_ref().map_or(0, |(draft, _)| draft.version);
        app.store.put_draft(&new, seen, &author(staff), app.clock.now()).await?;
        Ok(())
    }
}

#[derive(Template)]
#[template(path = "manage/plan_editor.html")]
struct Editor {
    shell: Shell,
    may_change: bool,
    is_new: bool,
    saved: bool,
    product: String,
    product_title: String,
    title: String,
    action: String,
    version: Option<i64>,
    next: i64,
    draft: Option<(String, Moment)>,
    rows: Rows,
    form: Form,
    approvals: Choices,
    meters: Vec<String>,
    operations: Vec<String>,
    opened: String,
    previews: Vec<Preview>,
    theirs: Option<(String, Vec<Difference>)>,
    /// What customers would pay under either text.
    beside: Vec<Preview>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "a template passes references")]
impl Editor {
    fn cells(&self) -> Cells<'_> {
        Cells {
            form: &self.form,
            meters: &self.meters,
            action: &self.action,
        }
    }

    fn limit(&self, index: &usize, _: &LimitRow) -> Html {
        self.cells().limit(*index)
    }

    fn price(&self, index: &usize, row: &PriceRow) -> Html {
        self.cells().price(*index, row)
    }

    fn usage(&self, price: &usize, index: &usize, row: &UsageRow) -> Html {
        self.cells().usage(*price, *index, row)
    }

    fn tier(&self, price: &usize, usage: &usize, index: &usize, row: &UsageRow) -> Html {
        self.cells().tier((*price, *usage, *index), row)
    }
}

async fn editor(app: &App, staff: &Staff, work: &Work, rows: Rows) -> Result<Editor, Problem> {
    let product = work.offer.product.name.clone();
    let is_new = work.name.is_empty();
    let action = if is_new {
        format!("/manage/products/{product}/plans/new")
    } else {
        format!("/manage/products/{product}/plans/{}/edit", work.name)
    };
    let title = if is_new {
        "New plan".to_owned()
    } else {
        work.current()
            .map_or(work.name.as_str(), super::products::plan_title)
            .to_owned()
    };
    Ok(Editor {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        is_new,
        saved: false,
        product_title: work.offer.title().to_owned(),
        title,
        action,
        version: work.version,
        next: work.version.unwrap_or(0) + 1,
        draft: work
            .draft
            .as_ref()
            .map(|(draft, _)| (draft.author.clone(), show::ago(draft.updated_at, app.clock.now()))),
        form: form(&rows),
        rows,
        approvals: [("automatic", "At once"), ("manual", "After a manager's approval")]
            .map(|(value, text)| (value.to_owned(), text.to_owned()))
            .to_vec(),
        meters: meters(app).await?,
        operations: operations(app, &work.offer).await?,
        opened: work.opened(),
        previews: Vec::new(),
        theirs: None,
        beside: Vec::new(),
        product,
    })
}

async fn meters(app: &App) -> Result<Vec<String>, Problem> {
    let mut meters = vec![REQUESTS.to_owned()];
    for meter in app.store.objects(Some(ObjectKind::Meter)).await? {
        if meter.fields.name != REQUESTS {
            meters.push(meter.fields.name);
        }
    }
    Ok(meters)
}

/// Keys of operations to choose from; those of very large documents are typed.
async fn operations(app: &App, offer: &Offer) -> Result<Vec<String>, Problem> {
    let mut keys = Vec::new();
    for (object, _) in offer::apis(app, &offer.product).await? {
        let Some(hash) = object.fields.document else {
            continue;
        };
        let Some(bytes) = app.store.document(&hash).await?.filter(|bytes| bytes.len() < (2 << 20)) else {
            continue;
        };
        let Ok(root) = serde_json::from_slice(&bytes) else {
            continue;
        };
        keys.extend(
            description::openapi::read(&root)
                .operations
                .into_iter()
                .map(|one| one.key),
        );
    }
    keys.sort_unstable();
    keys.dedup();
    keys.truncate(MOST_OPERATIONS);
    Ok(keys)
}

/// `GET /manage/products/{product}/plans/new`
pub(super) async fn new(State(app): State<App>, staff: Staff, Path(product): Path<String>) -> web::Page {
    let work = Work::open(&app, &product, "").await?;
    let settings = crate::configuration::settings(&app).await?;
    let rows = Rows {
        approval: "automatic".to_owned(),
        limits: vec![LimitRow::fresh()],
        prices: vec![PriceRow {
            currency: settings.billing.currency,
            every: "month".to_owned(),
            term: "advance".to_owned(),
            period: "month".to_owned(),
            ..PriceRow::default()
        }],
        ..Rows::default()
    };
    web::page(&editor(&app, &staff, &work, rows).await?)
}

/// `POST /manage/products/{product}/plans/new`
pub(super) async fn create(
    State(app): State<App>,
    staff: Staff,
    Path(product): Path<String>,
    posted: Posted,
) -> web::Page {
    let name = posted.get("name").to_owned();
    let mut work = Work::open(&app, &product, "").await?;
    let wanted = if name.is_empty() || name.contains('/') {
        None
    } else {
        Some(Work::open(&app, &product, &name).await?)
    };
    let taken = wanted
        .as_ref()
        .is_some_and(|other| other.live.is_some() || other.draft.is_some());
    let reserved = name == "new";
    if let Some(other) = wanted.filter(|_| !taken && !reserved) {
        work.offer = other.offer;
    }
    let fault = match (taken, reserved) {
        (true, _) => Some("There is a plan or a draft of this name. Choose another name, or edit that one."),
        (_, true) => Some("This name is an address of its own here. Choose another one."),
        _ => None,
    };
    handle(&app, &staff, &work, (posted, fault)).await
}

/// `GET /manage/products/{product}/plans/{plan}/edit`
pub(super) async fn edit(State(app): State<App>, staff: Staff, path: PlanPath, asked: Asked) -> web::Page {
    let work = Work::find(&app, &path).await?;
    let plan = work.current().cloned().ok_or_else(|| Problem::missing("plan"))?;
    let mut page = editor(&app, &staff, &work, Rows::of(&plan)).await?;
    page.previews = previews(&plan, work.live.as_ref());
    page.saved = asked.get("saved").is_some();
    web::page(&page)
}

/// `POST /manage/products/{product}/plans/{plan}/edit`
pub(super) async fn change(State(app): State<App>, staff: Staff, path: PlanPath, posted: Posted) -> web::Page {
    let work = Work::find(&app, &path).await?;
    if posted.get("do") == "discard" {
        return discard(&app, &work, &posted).await;
    }
    handle(&app, &staff, &work, (posted, None)).await
}

async fn discard(app: &App, work: &Work, posted: &Posted) -> web::Page {
    if posted.get("opened") != work.opened() {
        return Err(Problem::conflict(
            "the draft has been changed since you opened it, so it was not thrown away",
        ));
    }
    let product = &work.offer.product.name;
    app.store.delete_draft(&draft_id(product, &work.name)).await?;
    let back = if work.live.is_some() {
        format!("/manage/products/{product}/plans/{}/edit", work.name)
    } else {
        format!("/manage/products/{product}/plans")
    };
    see_other(&back)
}

async fn handle(app: &App, staff: &Staff, work: &Work, (posted, fault): (Posted, Option<&str>)) -> web::Page {
    let mut rows = Rows::posted(&posted);
    if !work.name.is_empty() {
        rows.name.clone_from(&work.name);
    }
    let (add, remove) = (posted.given("add"), posted.given("remove"));
    rows.press(add, remove);
    rows.complete();
    let wish = posted.get("do").to_owned();
    let saves = add.is_none() && remove.is_none() && wish != "preview";
    if saves && posted.get("opened") != work.opened() {
        return conflict(app, staff, work, rows).await;
    }
    let mut page = editor(app, staff, work, rows.clone()).await?;
    if let Some(fault) = fault.filter(|_| saves) {
        page.form.fault("name", fault);
    }
    let plan = match plan_form::plan(&rows) {
        Ok(plan) => Some(plan),
        Err(faults) => {
            for (name, text) in faults {
                place(&mut page.form, &name, &text);
            }
            None
        }
    };
    if let Some(plan) = &plan {
        check(app, staff, work, (plan, &mut page.form)).await?;
        page.previews = previews(plan, work.live.as_ref());
    }
    if !saves {
        return web::page(&page);
    }
    let Some(plan) = plan.filter(|_| page.form.is_fine()) else {
        return unprocessable(&page);
    };
    work.keep(app, staff, &plan).await?;
    let at = format!("/manage/products/{}/plans/{}", work.offer.product.name, plan.name);
    match wish.as_str() {
        "publish" => see_other(&format!("{at}/publish")),
        _ => see_other(&format!("{at}/edit?saved=1")),
    }
}

/// Tries the plan by the rules of every configuration; nothing is written.
async fn check(app: &App, staff: &Staff, work: &Work, (plan, form): (&Plan, &mut Form)) -> Result<(), Problem> {
    let (document, at) = work.offer.with_plan(plan);
    let Err(problem) = apply(app, staff, document, Run::Dry).await else {
        return Ok(());
    };
    if !problem.status().is_client_error() {
        return Err(problem);
    }
    let mut any = false;
    for (pointer, text) in problem.places() {
        any = true;
        let name = pointer.strip_prefix(at.as_str()).map(plan_pointers::field);
        place(form, name.as_deref().unwrap_or_default(), text);
    }
    if !any {
        form.wrong(problem.detail_text().unwrap_or_else(|| problem.title()));
    }
    Ok(())
}

fn place(form: &mut Form, name: &str, text: &str) {
    if name.is_empty() {
        form.wrong(text);
    } else {
        form.fault(name, text);
    }
}

/// 409: what stands there now beside what was typed, and the form once more, which would save over it.
async fn conflict(app: &App, staff: &Staff, work: &Work, rows: Rows) -> web::Page {
    let theirs = work.current().map(texts).unwrap_or_default();
    let plan = plan_form::plan(&rows);
    let yours = plan.as_ref().map_or_else(|_| written(&rows), texts);
    let who = match &work.draft {
        Some((draft, _)) => format!("{} has saved a draft of this plan since you opened it", draft.author),
        None => "This plan has been published anew since you opened it".to_owned(),
    };
    let mut page = editor(app, staff, work, rows).await?;
    page.theirs = Some((who, difference(&theirs, &yours)));
    match plan {
        Ok(plan) => {
            page.beside = previews(&plan, work.current());
            page.previews = previews(&plan, work.live.as_ref());
        }
        Err(faults) => {
            for (name, text) in faults {
                place(&mut page.form, &name, &text);
            }
        }
    }
    with_status(StatusCode::CONFLICT, &page)
}
