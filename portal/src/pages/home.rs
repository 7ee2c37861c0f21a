//! `GET /`: what runs here, to see that it does.

use askama::Template;
use axum::extract::State;
use domain::config::{Plan, Product};
use domain::subscription::Visibility;
use store::ObjectKind;

use super::web::{self, Shell, Visitor};
use crate::app::App;
use crate::http::problem::Problem;
use crate::subscribing::body;

#[derive(Template)]
#[template(path = "pages/home.html")]
struct Page {
    shell: Shell,
    products: Vec<Shown>,
    state: &'static str,
    state_class: &'static str,
    revision: i64,
    published: i64,
    now: String,
}

struct Shown {
    title: String,
    summary: String,
    apis: Vec<String>,
    plans: Vec<ShownPlan>,
}

struct ShownPlan {
    title: String,
    price: String,
}

/// `GET /`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> web::Page {
    let shell = visitor.shell(&app).await?;
    web::page(&gather(&app, shell).await?)
}

async fn gather(app: &App, shell: Shell) -> Result<Page, Problem> {
    let objects = app.store.objects(None).await?;
    let mut products = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.fields.kind == ObjectKind::Product)
    {
        let product: Product = body(object)?;
        if product.visibility != Visibility::Public {
            continue;
        }
        let mut plans = Vec::new();
        for plan in objects
            .iter()
            .filter(|plan| plan.fields.kind == ObjectKind::Plan && plan.fields.parent == object.id)
        {
            let plan: Plan = body(plan)?;
            plans.push(ShownPlan {
                price: price(&plan),
                title: plan.title.unwrap_or(plan.name),
            });
        }
        let summary = product
            .description
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        products.push(Shown {
            title: product.title.unwrap_or(product.name),
            summary,
            apis: product.apis,
            plans,
        });
    }
    let (revision, published) = (app.store.revision().await?, app.publisher.published());
    let is_current = published >= revision;
    Ok(Page {
        shell,
        products,
        state: if is_current { "In order" } else { "Publishing a change" },
        state_class: if is_current { "good" } else { "busy" },
        revision,
        published,
        now: app.clock.now().to_string(),
    })
}

fn price(plan: &Plan) -> String {
    let Some(price) = &plan.price else {
        return "free".to_owned();
    };
    match &price.recurring {
        Some(recurring) => format!("{} {} every {}", recurring.amount, price.currency, recurring.every),
        None if price.usage.is_empty() => "free".to_owned(),
        None => format!("by use, in {}", price.currency),
    }
}
