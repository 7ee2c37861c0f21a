//! `GET /products`: what the reader may use, to look through.

use askama::Template;
use axum::extract::State;
use domain::money::Currency;

use super::offers::{self, Catalogue, Offer, Reader};
use super::{address, compare, price};
use crate::app::App;
use crate::pages::Section;
use crate::pages::web::{self, Asked, Shell, Visitor, show};

const PER_PAGE: usize = 24;

/// A product as a card.
pub(crate) struct Card {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) facts: Vec<String>,
    pub(crate) is_private: bool,
}

impl Card {
    /// The card of a product.
    pub(crate) fn of(app: &App, offer: &Offer, currency: Currency, catalogue: &Catalogue) -> Self {
        let mut facts = Vec::new();
        if let [only] = offer.apis.as_slice() {
            facts.push(format!("v{}", only.api.version.trim_start_matches(['v', 'V'])));
        } else if !offer.apis.is_empty() {
            facts.push(show::count(offer.apis.len() as u64, "API", "APIs"));
        }
        let operations: Option<usize> = offer
            .apis
            .iter()
            .map(|offered| Some(app.reading.references.ready(offered.document?)?.entries().len()))
            .sum();
        if let Some(operations) = operations.filter(|count| *count > 0) {
            facts.push(show::count(operations as u64, "operation", "operations"));
        }
        facts.extend(cheapest(offer, currency, catalogue));
        Self {
            href: address::product(&offer.product.name),
            title: offer.title.clone(),
            summary: offer.summary(),
            facts,
            is_private: offer.product.visibility == domain::subscription::Visibility::Private,
        }
    }
}

/// What the cheapest plan costs.
fn cheapest(offer: &Offer, currency: Currency, catalogue: &Catalogue) -> Option<String> {
    let base = |plan: &&domain::config::Plan| {
        let terms = domain::charge::Terms::of(plan, currency).ok();
        let recurring = terms.as_ref().and_then(|terms| terms.recurring.as_ref());
        let is_priced = terms.as_ref().is_some_and(|terms| !terms.usage.is_empty());
        (
            recurring.map(|recurring| domain::money::Exact::from(recurring.amount)),
            is_priced,
        )
    };
    let plan = offer.plans.iter().min_by_key(base)?;
    let headline = price::headline(plan, currency, catalogue);
    Some(match (headline.as_str(), offer.plans.len()) {
        ("Free", _) => "Free plan".to_owned(),
        (_, 1) => headline,
        (text, _) if text.starts_with("from") => headline,
        _ => format!("from {headline}"),
    })
}

#[derive(Template)]
#[template(path = "catalogue/products.html")]
struct Page {
    shell: Shell,
    query: String,
    cards: Vec<Card>,
    total: usize,
    from: usize,
    to: usize,
    previous: Option<String>,
    next: Option<String>,
    nearest: Option<(String, String)>,
    may_manage: bool,
}

/// `GET /products`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let currency = compare::currency(&app, &visitor, &asked).await?;
    let query = asked.get("q").unwrap_or_default().to_owned();
    let found: Vec<&Offer> = catalogue
        .listed(&reader)
        .filter(|offer| matches_query(offer, &query))
        .collect();
    let page = usize::try_from(asked.page_number()).unwrap_or(1);
    let from = (page - 1).saturating_mul(PER_PAGE);
    let cards: Vec<Card> = found
        .iter()
        .skip(from)
        .take(PER_PAGE)
        .map(|offer| Card::of(&app, offer, currency, &catalogue))
        .collect();
    let to = from + cards.len();
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        nearest: nearest(&catalogue, &reader, &query).filter(|_| found.is_empty()),
        previous: (page > 1).then(|| asked.with("page", &(page - 1).to_string())),
        next: (to < found.len()).then(|| asked.with("page", &(page + 1).to_string())),
        total: found.len(),
        from: from + 1,
        to,
        cards,
        query,
        may_manage: visitor.reads(Section::Manage),
    })
}

/// Whether a product has every word of a query.
pub(crate) fn matches_query(offer: &Offer, query: &str) -> bool {
    let text = format!(
        "{} {} {}",
        offer.title,
        offer.product.name,
        offer.product.description.as_deref().unwrap_or_default()
    )
    .to_lowercase();
    query.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// The product whose name is nearest to what was asked for.
fn nearest(catalogue: &Catalogue, reader: &Reader, query: &str) -> Option<(String, String)> {
    let wanted = query.to_lowercase();
    let score = |offer: &&Offer| {
        [offer.title.to_lowercase(), offer.product.name.clone()]
            .iter()
            .map(|name| strsim::osa_distance(name, &wanted))
            .min()
            .unwrap_or(usize::MAX)
    };
    let offer = catalogue.listed(reader).min_by_key(score)?;
    let close = score(&offer) <= wanted.chars().count() / 3 + 1;
    (close && !wanted.is_empty()).then(|| (address::product(&offer.product.name), offer.title.clone()))
}
