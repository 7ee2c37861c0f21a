//! `GET …/try/{slug}`: the form, filled with what the document has as examples.

use askama::Template;
use axum::extract::{Path, State};
use domain::subscription::{Access, Grace};
use reference::operation::OperationView;
use reference::{Entry, samples};
use store::{AccountRole, Consumer, Page as Rows, SubscriptionFilter};

use super::client::Shown;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::address;
use crate::pages::reference::open::{Named, Nav, Opened, method_class};
use crate::pages::web::access::BUILDERS;
use crate::pages::web::field::Choices;
use crate::pages::web::{self, Form, Html, Shell, Visitor};

/// Parameters that the form has at most.
const MOST_PARAMETERS: usize = 60;
/// Values of a choice; more are typed.
const MOST_CHOICES: usize = 40;

/// How far the reader is from sending.
pub(super) enum Door {
    /// Not signed in; where to come back to.
    LogIn(String),
    /// No organisation.
    NoOrganisation,
    /// The role may not: organisation and role.
    Refused(String, String),
    /// No app has a subscription in force to the product.
    NoSubscription(String),
    /// The gateway is not known.
    NoGateway,
    /// May send with one of these apps.
    Open(Choices),
}

/// A parameter of the form.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) about: String,
    pub(super) required: bool,
    pub(super) choices: Choices,
    pub(super) value: String,
}

#[derive(Template)]
#[template(path = "reference/try.html")]
pub(super) struct Page {
    pub(super) shell: Shell,
    pub(super) nav: Nav,
    pub(super) opened: Opened,
    pub(super) view: OperationView,
    pub(super) door: Door,
    pub(super) form: Form,
    pub(super) inputs: Vec<Input>,
    pub(super) media: Choices,
    pub(super) has_body: bool,
    pub(super) path: String,
    pub(super) url: String,
    pub(super) result: Option<Shown>,
    pub(super) curl: Option<Html>,
}

impl Page {
    fn class(&self) -> &'static str {
        method_class(&self.view.method)
    }
}

/// `GET …/try/{slug}`
pub(in super::super) async fn show(State(app): State<App>, visitor: Visitor, Path(named): Path<Named>) -> web::Page {
    let opened = named.open(&app, &visitor).await?;
    if opened.reference.entry(&named.name).is_none() {
        let moved = opened.reference.entry_moved(&named.name);
        return opened.moved("try", moved.map(|entry| entry.slug.as_str()), false);
    }
    let entry = entry(&opened, &named)?;
    web::page(&page(&app, &visitor, opened, &entry).await?)
}

/// The operation of an address.
pub(super) fn entry(opened: &Opened, named: &Named) -> Result<Entry, Problem> {
    let found = opened.reference.entry(&named.name).cloned();
    found.ok_or_else(|| Problem::missing("operation"))
}

/// The page with the values that the document proposes.
pub(super) async fn page(app: &App, visitor: &Visitor, opened: Opened, entry: &Entry) -> Result<Page, Problem> {
    let view = opened.reference.view(entry);
    let inputs: Vec<Input> = view.parameters.iter().filter_map(input).take(MOST_PARAMETERS).collect();
    let media = opened.reference.media_types(entry);
    let mut form = Form::with(inputs.iter().map(|input| (input.name.clone(), input.value.clone())));
    form.preset("body", example_body(&view));
    if let Some(first) = media.first() {
        form.preset("media", first.clone());
    }
    let request = opened.reference.request(entry, &opened.inputs);
    Ok(Page {
        shell: visitor.shell(app).await?,
        nav: opened.nav(view.group.as_ref().map(|(slug, _)| slug.as_str())),
        door: door(app, visitor, &opened).await?,
        inputs,
        has_body: !media.is_empty(),
        media: media.into_iter().map(|media| (media.clone(), media)).collect(),
        form,
        path: format!("{}/try/{}", opened.base, address::segment(&entry.slug)),
        url: format!("{}{}", opened.base_url.as_deref().unwrap_or_default(), entry.path),
        result: None,
        curl: Some(samples::print(&request, samples::Language::Curl).html().into()),
        view,
        opened,
    })
}

fn input(parameter: &reference::operation::ParameterView) -> Option<Input> {
    use description::openapi::Location;
    let place = match parameter.location {
        Location::Path => "path",
        Location::Query => "query",
        Location::QueryString => "querystring",
        Location::Header => "header",
        Location::Cookie => "cookie",
        Location::Body | Location::FormData => return None,
    };
    if parameter.location == Location::Header && super::client::is_ours(&parameter.name) {
        return None;
    }
    let node = &parameter.node;
    let example = parameter.examples.first().map(|example| example.text.clone());
    let proposed = node
        .example
        .clone()
        .or_else(|| node.constant.clone())
        .or_else(|| node.default.clone());
    let value = if parameter.required { example.or(proposed) } else { None };
    let mut choices: Choices = Vec::new();
    if !node.allowed.is_empty()
        && node.allowed.len() <= MOST_CHOICES
        && node.allowed_more == 0
        && !node.types.contains("array")
    {
        if !parameter.required {
            choices.push((String::new(), "not sent".to_owned()));
        }
        choices.extend(
            node.allowed
                .iter()
                .map(|allowed| (allowed.value.clone(), allowed.value.clone())),
        );
    }
    let value = value
        .or_else(|| choices.first().map(|(value, _)| value.clone()))
        .unwrap_or_default();
    Some(Input {
        name: format!("p.{place}.{}", parameter.name),
        label: parameter.name.clone(),
        about: format!("{place}, {}", node.summary()),
        required: parameter.required,
        choices,
        value: value.trim().to_owned(),
    })
}

/// The body that the form proposes: the first example of the document, or a generated one.
fn example_body(view: &OperationView) -> String {
    let examples = view
        .body
        .iter()
        .flat_map(|body| &body.media)
        .flat_map(|media| &media.examples);
    let first = examples.into_iter().find(|example| !example.text.is_empty());
    first.map_or_else(String::new, |example| match &example.value {
        Some(value) if example.is_cut => serde_json::to_string_pretty(value).unwrap_or_default(),
        _ => example.text.clone(),
    })
}

async fn door(app: &App, visitor: &Visitor, opened: &Opened) -> Result<Door, Problem> {
    let Some(person) = visitor.person() else {
        return Ok(Door::LogIn(address::query("next", visitor.path_and_query())));
    };
    let Some(membership) = &person.membership else {
        return Ok(Door::NoOrganisation);
    };
    if !may_send(membership.role) {
        return Ok(Door::Refused(
            membership.account_name.clone(),
            membership.role.as_str().to_owned(),
        ));
    }
    if app.links.gateway().is_none() {
        return Ok(Door::NoGateway);
    }
    let apps = apps(app, store::Scope::Account(membership.account_id), opened).await?;
    if apps.is_empty() {
        return Ok(Door::NoSubscription(format!("{}/subscribe", opened.product_path)));
    }
    Ok(Door::Open(
        apps.into_iter().map(|one| (one.id.to_string(), one.name)).collect(),
    ))
}

/// Whether a role may make keys.
pub(super) fn may_send(role: AccountRole) -> bool {
    BUILDERS.contains(&role)
}

/// The apps of an organisation whose calls to the product are served.
pub(super) async fn apps(app: &App, scope: store::Scope, opened: &Opened) -> Result<Vec<Consumer>, Problem> {
    let filter = SubscriptionFilter {
        product: opened.product_id.parse().ok(),
        ..SubscriptionFilter::default()
    };
    let held = app.store.subscriptions(scope, &filter, &Rows::first(Rows::MAX)).await?;
    let consumers = app
        .store
        .consumers(scope, scope.account(), &Rows::first(Rows::MAX))
        .await?;
    let now = app.clock.now();
    let is_served = |consumer: &Consumer| {
        held.iter().any(|one| {
            let grace = match one.grace_until {
                Some(until) if until > now => Grace::Running,
                _ => Grace::Over,
            };
            one.consumer_id == consumer.id && one.status.access(grace) == Access::Served
        })
    };
    Ok(consumers.into_iter().filter(is_served).collect())
}
