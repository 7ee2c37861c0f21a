//! `GET /products/{product}`: what it is, how to reach it, what it costs. The same as Markdown with `.md` at the end.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::money::Currency;
use domain::subscription::Visibility;

use super::compare::{self, Comparison, Estimated, Question, Sizes};
use super::offers::{self, Catalogue, Offer, OfferedApi};
use super::{address, curl, price, text};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Html, Shell, Visitor};

#[derive(Template)]
#[template(path = "catalogue/product.html")]
struct Page<'a> {
    shell: Shell,
    offer: &'a Offer,
    path: String,
    lede: String,
    prose: Html,
    apis: Vec<ApiFacts>,
    curl: Option<Html>,
    first_reference: Option<String>,
    comparison: Comparison,
    question: Question,
    estimated: Option<Estimated>,
    sizes: Sizes,
    changed: Moment,
    notice: Option<&'static str>,
    key_header: String,
}

/// An API of a product on its page.
pub(crate) struct ApiFacts {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) path: String,
    pub(crate) base_url: Option<String>,
    pub(crate) has_reference: bool,
    pub(crate) operations: Option<String>,
    pub(crate) has_sandbox: bool,
}

/// `GET /products/{product}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
    asked: Asked,
) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let reader = offers::Reader::of(&visitor);
    let (name, wants_text) = text::wanted(&name, &headers, |name| catalogue.open(name, &reader).is_some());
    let offer = catalogue
        .open(name, &reader)
        .ok_or_else(|| Problem::missing("product"))?;
    let currency = compare::currency(&app, &visitor, &asked).await?;
    if wants_text {
        return Ok(markdown(&app, offer, currency, &catalogue));
    }
    let plans: Vec<_> = offer.plans.iter().collect();
    let apis: Vec<ApiFacts> = offer.apis.iter().map(|api| facts(&app, offer, api)).collect();
    let location = offer.apis.first().map(|offered| offered.api.api_key.header.clone());
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        path: address::product(&offer.product.name),
        lede: offer.summary(),
        prose: rest_of_description(offer),
        curl: offer.apis.first().and_then(|offered| curl::line(&app, offered)),
        first_reference: apis
            .iter()
            .find(|api| api.has_reference)
            .map(|api| format!("{}/reference", api.path)),
        apis,
        comparison: compare::comparison(offer, currency, &catalogue),
        question: compare::question(&plans, &asked, currency, &catalogue),
        estimated: compare::estimated(offer, &asked, currency, &catalogue),
        sizes: compare::sizes(offer, currency),
        changed: show::day(offer.updated_at, visitor.zone()),
        notice: match offer.product.visibility {
            Visibility::Public => None,
            Visibility::Unlisted => Some("Only people who have this address find this product."),
            Visibility::Private => Some("Only the organisations that it was made for see this product."),
        },
        key_header: location.unwrap_or_else(|| "X-API-Key".to_owned()),
        offer,
    })
}

/// The description as it stands below the lede: whole, unless the lede says all of it.
fn rest_of_description(offer: &Offer) -> Html {
    let text = offer.product.description.as_deref().unwrap_or_default();
    let rendered = reference::prose::markdown(text, reference::prose::Place::Page(3), None);
    if reference::prose::plain_text(text) == offer.summary() {
        return Html::default();
    }
    rendered.into()
}

/// An API as the page shows it.
pub(crate) fn facts(app: &App, offer: &Offer, offered: &OfferedApi) -> ApiFacts {
    let reference = offered.document.and_then(|hash| app.reading.references.ready(hash));
    let title = offered.api.title.clone();
    let operations = reference.as_ref().map(|reference| reference.entries().len() as u64);
    ApiFacts {
        title: title
            .or_else(|| reference.as_ref().map(|reference| reference.title().to_owned()))
            .unwrap_or_else(|| offered.api.name.clone()),
        version: offered.api.version.clone(),
        path: address::api(&offer.product.name, &offered.api.name, &offered.api.version),
        base_url: curl::base_url(app, &offered.api),
        has_reference: offered.document.is_some(),
        operations: operations.map(|count| show::count(count, "operation", "operations")),
        has_sandbox: !offered.api.upstream.sandbox.is_empty(),
    }
}

fn markdown(app: &App, offer: &Offer, currency: Currency, catalogue: &Catalogue) -> Response {
    let mut out = format!("# {}\n\n", text::line(&offer.title));
    if let Some(description) = &offer.product.description {
        out.push_str(description.trim());
        out.push_str("\n\n");
    }
    out.push_str("## APIs\n\n");
    for api in offer.apis.iter().map(|api| facts(app, offer, api)) {
        out.push_str(&format!("- {} {}", text::line(&api.title), text::line(&api.version)));
        if let Some(url) = &api.base_url {
            out.push_str(&format!(", base URL `{url}`"));
        }
        if api.has_reference {
            let path = app.links.page(&api.path);
            out.push_str(&format!(
                ": [reference]({path}/reference.md), [OpenAPI]({path}/openapi.json)"
            ));
        }
        out.push('\n');
    }
    out.push_str(
        "\n## Authentication\n\nSend the key of an app as `Authorization: Bearer $TOLLGATE_KEY`.\n\n## Plans\n\n",
    );
    for plan in &offer.plans {
        out.push_str(&format!("### {}\n\n", text::line(&compare::title(plan))));
        for (head, cell) in price::rows(plan, currency, catalogue) {
            out.push_str(&format!("- {head}: {cell}\n"));
        }
        out.push('\n');
    }
    text::markdown(out)
}
