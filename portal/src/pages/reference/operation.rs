//! `…/operations/{slug}` and `…/webhooks/{name}`: one page for each.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use domain::config::Plan;
use reference::operation::OperationView;
use reference::{Entry, Kind};
use store::{Page as Rows, SubscriptionFilter};

use super::open::{Named, Nav, Opened, method_class};
use super::parts::{self, Part};
use super::rail::{self, Sample, Samples};
use super::tree::elements;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::{compare, price, text};
use crate::pages::web::{self, Asked, Html, Shell, Visitor};

#[derive(Template)]
#[template(path = "reference/operation.html")]
struct Page {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    view: OperationView,
    path: String,
    url: String,
    prose: Html,
    scopes: Vec<String>,
    parts: Vec<Part>,
    samples: Option<Samples>,
    answers: Vec<Sample>,
    limits: Option<String>,
}

impl Page {
    fn class(&self) -> &'static str {
        method_class(&self.view.method)
    }

    fn is_operation(&self) -> bool {
        self.view.kind == Kind::Operation
    }
}

/// `GET …/operations/{slug}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(named): Path<Named>,
    headers: HeaderMap,
    asked: Asked,
) -> web::Page {
    let opened = named.open(&app, &visitor).await?;
    let known = |slug: &str| opened.reference.entry(slug).is_some();
    let (slug, wants_text) = text::wanted(&named.name, &headers, known);
    let Some(entry) = opened.reference.entry(slug).cloned() else {
        let moved = opened.reference.entry_moved(slug).map(|entry| entry.slug.as_str());
        return opened.moved("operations", moved, text::is_twin(&named.name));
    };
    answer(&app, &visitor, opened, entry, (wants_text, asked.get("language"))).await
}

/// `GET …/webhooks/{name}`
pub(crate) async fn show_webhook(
    State(app): State<App>,
    visitor: Visitor,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> web::Page {
    let opened = named.open(&app, &visitor).await?;
    let known = |slug: &str| opened.reference.webhook_entry(slug).is_some();
    let (slug, wants_text) = text::wanted(&named.name, &headers, known);
    let Some(entry) = opened.reference.webhook_entry(slug).cloned() else {
        let moved = opened.reference.webhook_moved(slug).map(|entry| entry.slug.as_str());
        return opened.moved("webhooks", moved, text::is_twin(&named.name));
    };
    answer(&app, &visitor, opened, entry, (wants_text, None)).await
}

async fn answer(
    app: &App,
    visitor: &Visitor,
    opened: Opened,
    entry: Entry,
    (wants_text, language): (bool, Option<&str>),
) -> web::Page {
    if wants_text {
        let base = app.links.page(&opened.base);
        return Ok(text::markdown(opened.reference.operation_markdown(
            &entry,
            &base,
            &opened.inputs,
        )));
    }
    let limits = limits(app, visitor, &opened, &entry).await?;
    let shell = visitor.shell(app).await?;
    web::page(&page(shell, opened, &entry, (limits, language)))
}

fn page(shell: Shell, opened: Opened, entry: &Entry, (limits, language): (Option<String>, Option<&str>)) -> Page {
    let view = opened.reference.view(entry);
    let mut scopes: Vec<String> = view
        .auth
        .iter()
        .flatten()
        .flat_map(|used| &used.scopes)
        .map(|scope| scope.name.clone())
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.truncate(12);
    let path = match view.kind {
        Kind::Operation => opened.operation_path(&view.slug),
        Kind::Webhook => format!(
            "{}/webhooks/{}",
            opened.base,
            crate::pages::catalogue::address::segment(&view.slug)
        ),
    };
    let is_operation = view.kind == Kind::Operation;
    let request = is_operation.then(|| opened.reference.request(entry, &opened.inputs));
    let nav = opened.nav(view.group.as_ref().map(|(slug, _)| slug.as_str()));
    let samples = request.map(|request| rail::samples(&request, language));
    let answers = rail::answers(&view);
    let tabs = samples.iter().flat_map(|samples| &samples.tabs).chain(&answers);
    let others = tabs.map(|tab| elements(&tab.html.0) + 3).sum::<usize>() + elements(view.prose.as_str());
    Page {
        url: if is_operation {
            format!("{}{}", opened.base_url.as_deref().unwrap_or_default(), view.path)
        } else {
            view.path.clone()
        },
        prose: view.prose.clone().into(),
        parts: parts::parts(&view, &opened.base, nav.room(others)),
        nav,
        samples,
        answers,
        path,
        scopes,
        limits,
        shell,
        opened,
        view,
    }
}

/// What the reader's own plan allows, where an app of the current organisation has one.
async fn limits(app: &App, visitor: &Visitor, opened: &Opened, entry: &Entry) -> Result<Option<String>, Problem> {
    let Some(membership) = visitor.person().and_then(|person| person.membership.as_ref()) else {
        return Ok(None);
    };
    let filter = SubscriptionFilter {
        product: opened.product_id.parse().ok(),
        ..SubscriptionFilter::default()
    };
    let scope = store::Scope::Account(membership.account_id);
    let held = app.store.subscriptions(scope, &filter, &Rows::first(Rows::MAX)).await?;
    let Some(live) = held.into_iter().find(|one| one.status.is_live()) else {
        return Ok(None);
    };
    let Some(version) = app.store.plan_version(live.plan_version_id).await? else {
        return Ok(None);
    };
    let plan: Plan = serde_json::from_value(version.body).map_err(|_| Problem::internal())?;
    let Some(rates) = price::rates(&plan, &entry.key) else {
        return Ok(None);
    };
    Ok(Some(format!("Your plan, {}, allows {rates}.", compare::title(&plan))))
}
