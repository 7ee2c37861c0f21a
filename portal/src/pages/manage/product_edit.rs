//! `/manage/products/{product}/edit` and `…/archive`: how a product is presented, who sees it, where its requests go; and
//! its end.

use askama::Template;
use axum::extract::{Path, State};
use domain::config::{Api, Document, Product, Target};
use domain::subscription::Visibility;

use super::offer::{self, Offer, apply};
use super::shell;
use crate::app::App;
use crate::configuration::{self, Run};
use crate::http::problem::Problem;
use crate::pages::web::field::Choices;
use crate::pages::web::{self, Form, Posted, Shell, Staff, see_other, show, unprocessable, with_status};

#[derive(Template)]
#[template(path = "manage/product_edit.html")]
struct Edit {
    shell: Shell,
    form: Form,
    name: String,
    title: String,
    visibilities: Choices,
    apis: Vec<(String, String)>,
    opened: String,
    theirs: Option<Vec<(&'static str, String, String)>>,
}

/// Who sees a product, as a choice.
pub(super) fn visibilities() -> Choices {
    [
        ("public", "Public: everyone sees it"),
        ("unlisted", "Unlisted: whoever has the address"),
        ("private", "Private: the organisations named below"),
    ]
    .map(|(value, text)| (value.to_owned(), text.to_owned()))
    .to_vec()
}

/// `GET /manage/products/{product}/edit`
pub(super) async fn form(State(app): State<App>, staff: Staff, Path(name): Path<String>) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let mut values = stored(&offer.product);
    for (_, api) in offer::apis(&app, &offer.product).await? {
        values.push((targets_field(&api.name), targets_text(&api)));
    }
    web::page(&edit(&app, &staff, &offer, Form::with(values)).await?)
}

fn stored(product: &Product) -> Vec<(String, String)> {
    [
        ("title", product.title.clone().unwrap_or_default()),
        ("description", product.description.clone().unwrap_or_default()),
        ("visibility", product.visibility.as_str().to_owned()),
        ("audience", product.audience.join("\n")),
        ("priority", product.priority.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn targets_field(api: &str) -> String {
    format!("targets-{api}")
}

/// A target a line: the address, and its weight where it is not the usual one.
fn targets_text(api: &Api) -> String {
    let line = |target: &Target| {
        if target.weight == 100 {
            target.url.clone()
        } else {
            format!("{} {}", target.url, target.weight)
        }
    };
    api.upstream.targets.iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn edit(app: &App, staff: &Staff, offer: &Offer, form: Form) -> Result<Edit, Problem> {
    let apis = offer
        .product
        .apis
        .iter()
        .map(|api| (targets_field(api), format!("Upstream of {api}")));
    Ok(Edit {
        shell: shell(app, staff).await?,
        form,
        name: offer.product.name.clone(),
        title: offer.title().to_owned(),
        visibilities: visibilities(),
        apis: apis.collect(),
        opened: offer.object.updated_revision.to_string(),
        theirs: None,
    })
}

/// `POST /manage/products/{product}/edit`
pub(super) async fn save(State(app): State<App>, staff: Staff, Path(name): Path<String>, posted: Posted) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let mut form = Form::typed(&posted);
    if posted.get("opened") != offer.object.updated_revision.to_string() {
        let mut page = edit(&app, &staff, &offer, form).await?;
        page.theirs = Some(both(&offer.product, &posted));
        return with_status(axum::http::StatusCode::CONFLICT, &page);
    }
    let product = wanted(&offer, &posted, &mut form);
    let apis = wanted_apis(&app, &offer.product, &posted, &mut form).await?;
    if form.is_fine() {
        let document = Document {
            apis,
            ..offer::products(product)
        };
        match apply(&app, &staff, document, Run::Real).await {
            Ok(_) => return see_other(&format!("/manage/products/{name}?saved=1")),
            Err(problem) if problem.status().is_client_error() => take(&mut form, &problem, &offer.product),
            Err(problem) => return Err(problem),
        }
    }
    unprocessable(&edit(&app, &staff, &offer, form).await?)
}

/// What stands there now and what was typed, where they differ.
fn both(product: &Product, posted: &Posted) -> Vec<(&'static str, String, String)> {
    let labels = ["Title", "Description", "Visibility", "Audience", "Priority"];
    let pairs = stored(product).into_iter().zip(labels);
    pairs
        .map(|((field, theirs), label)| (label, theirs, posted.get(&field).to_owned()))
        .filter(|(_, theirs, yours)| theirs.trim() != yours)
        .collect()
}

fn wanted(offer: &Offer, posted: &Posted, form: &mut Form) -> Product {
    let visibility = Visibility::from_word(posted.get("visibility")).unwrap_or(offer.product.visibility);
    let priority = posted.get("priority").parse().unwrap_or_else(|_| {
        form.fault("priority", "Write a whole number such as 100; the lowest wins.");
        offer.product.priority
    });
    let audience = posted
        .get("audience")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    Product {
        title: posted.given("title").map(str::to_owned),
        description: posted.given("description").map(str::to_owned),
        visibility,
        audience: audience.map(str::to_owned).collect(),
        priority,
        ..offer.whole()
    }
}

/// The APIs whose targets were changed.
async fn wanted_apis(app: &App, product: &Product, posted: &Posted, form: &mut Form) -> Result<Vec<Api>, Problem> {
    let mut changed = Vec::new();
    for name in &product.apis {
        let field = targets_field(name);
        if !posted.has(&field) {
            continue;
        }
        let api = offer::api(app, name).await?;
        let Some(targets) = targets(posted.get(&field)) else {
            form.fault(
                &field,
                "Write one address a line; a number after it is its share of the traffic.",
            );
            continue;
        };
        if targets != api.upstream.targets {
            let mut api = api;
            api.upstream.targets = targets;
            changed.push(api);
        }
    }
    Ok(changed)
}

/// The targets of a text, a line each.
fn targets(text: &str) -> Option<Vec<Target>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let url = words.next()?.to_owned();
            let weight = match words.next() {
                None => 100,
                Some(weight) => weight.parse().ok()?,
            };
            words.next().is_none().then_some(Target { url, weight })
        })
        .collect()
}

fn take(form: &mut Form, problem: &Problem, product: &Product) {
    let mut any = false;
    for (pointer, text) in problem.places() {
        any = true;
        let field = match pointer.strip_prefix("/products/0/") {
            Some(rest) => rest.split('/').next().map(str::to_owned),
            None if pointer.starts_with("/apis/") => product.apis.first().map(|api| targets_field(api)),
            None => None,
        };
        match field {
            Some(field) => form.fault(&field, text),
            None => form.wrong(text),
        }
    }
    if !any {
        form.wrong(problem.detail_text().unwrap_or_else(|| problem.title()).to_owned());
    }
}

#[derive(Template)]
#[template(path = "manage/product_archive.html")]
struct Archive {
    shell: Shell,
    name: String,
    title: String,
    live: Vec<Live>,
    total: usize,
    stays: String,
}

/// A live subscription that would stay.
pub(super) struct Live {
    pub(super) account: String,
    pub(super) app: String,
    pub(super) plan: String,
}

const SHOWN: usize = 50;

/// `1 live subscription stays as it is`.
pub(super) fn stays(total: usize) -> String {
    match total {
        1 => "1 live subscription stays as it is".to_owned(),
        more => format!("{} live subscriptions stay as they are", show::number(more as u64)),
    }
}

/// The live subscriptions to a product, by the names of people: of one plan where it is named, else also of plans that
/// were archived before.
pub(super) async fn live(app: &App, offer: &Offer, only: Option<&str>) -> Result<Vec<Live>, Problem> {
    let mut live = Vec::new();
    for one in app
        .store
        .product_subscribers(crate::subscribing::id(&offer.object)?)
        .await?
    {
        let id = one.plan.to_string();
        let plan = match offer.plans.iter().find(|(object, _)| object.id == id) {
            Some((_, plan)) if only.is_none_or(|only| plan.name == only) => {
                super::products::plan_title(plan).to_owned()
            }
            None if only.is_none() => archived(app, &id).await?,
            Some(_) | None => continue,
        };
        live.push(Live {
            account: one.account,
            app: one.app,
            plan,
        });
    }
    Ok(live)
}

/// The title of a plan that is no longer on offer.
async fn archived(app: &App, id: &str) -> Result<String, Problem> {
    let Some(object) = app.store.object(id).await? else {
        return Ok(id.to_owned());
    };
    let plan: domain::config::Plan = crate::subscribing::body(&object)?;
    Ok(format!("{} (archived)", super::products::plan_title(&plan)))
}

/// `GET /manage/products/{product}/archive`
pub(super) async fn confirm(State(app): State<App>, staff: Staff, Path(name): Path<String>) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let mut live = live(&app, &offer, None).await?;
    let total = live.len();
    live.truncate(SHOWN);
    let page = Archive {
        shell: shell(&app, &staff).await?,
        title: offer.title().to_owned(),
        live,
        total,
        stays: stays(total),
        name,
    };
    web::page(&page)
}

/// `POST /manage/products/{product}/archive`
pub(super) async fn archive(State(app): State<App>, staff: Staff, Path(name): Path<String>, _: Posted) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let mut objects: Vec<&store::Object> = offer.plans.iter().map(|(plan, _)| plan).collect();
    objects.push(&offer.object);
    configuration::archive(&app, staff.caller.actor(), &objects).await?;
    see_other("/manage/products")
}
