//! `GET /pricing`: the plans of every product, with an estimate for a number of units.

use askama::Template;
use axum::extract::State;
use domain::config::Plan;

use super::address;
use super::compare::{self, Comparison, Estimated, Question, Sizes};
use super::offers::{self, Offer, Reader};
use crate::app::App;
use crate::pages::Section;
use crate::pages::web::{self, Asked, Shell, Visitor};

/// Products on the page; the others have their plans on their own pages.
const MOST: usize = 20;

#[derive(Template)]
#[template(path = "catalogue/pricing.html")]
struct Page<'a> {
    shell: Shell,
    priced: Vec<Priced<'a>>,
    question: Question,
    more: usize,
    may_manage: bool,
}

struct Priced<'a> {
    offer: &'a Offer,
    href: String,
    comparison: Comparison,
    estimated: Option<Estimated>,
    sizes: Sizes,
}

/// `GET /pricing`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let currency = compare::currency(&app, &visitor, &asked).await?;
    let offers: Vec<&Offer> = catalogue
        .listed(&reader)
        .filter(|offer| !offer.plans.is_empty())
        .collect();
    let plans: Vec<&Plan> = offers.iter().take(MOST).flat_map(|offer| &offer.plans).collect();
    let priced = offers.iter().take(MOST).map(|offer| Priced {
        offer,
        href: address::product(&offer.product.name),
        comparison: compare::comparison(offer, currency, &catalogue),
        estimated: compare::estimated(offer, &asked, currency, &catalogue),
        sizes: compare::sizes(offer, currency),
    });
    web::page(&Page {
        priced: priced.collect(),
        question: compare::question(&plans, &asked, currency, &catalogue),
        more: offers.len().saturating_sub(MOST),
        may_manage: visitor.reads(Section::Manage),
        shell: visitor.shell(&app).await?,
    })
}
