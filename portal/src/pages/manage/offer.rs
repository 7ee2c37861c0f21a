//! A product with its plans as they are in force, and the one way to write them.

use std::collections::BTreeMap;

use domain::config::{Api, Document, Plan, Product};
use domain::subscription::Origin;
use serde_json::Value as Json;
use store::{Object, ObjectKind};

use crate::app::App;
use crate::configuration::plan::Prune;
use crate::configuration::{self, Applied, Apply, Run};
use crate::http::problem::Problem;
use crate::pages::web::Staff;
use crate::subscribing::body;

/// A product and its plans in their order.
pub(super) struct Offer {
    pub(super) object: Object,
    pub(super) product: Product,
    pub(super) plans: Vec<(Object, Plan)>,
}

impl Offer {
    /// The product of a name.
    pub(super) async fn named(app: &App, name: &str) -> Result<Self, Problem> {
        let object = app
            .store
            .object_named(ObjectKind::Product, "", name)
            .await?
            .ok_or_else(|| Problem::missing("product"))?;
        let plans = app.store.objects(Some(ObjectKind::Plan)).await?;
        Self::of(object, &plans)
    }

    /// Every product, by title.
    pub(super) async fn all(app: &App) -> Result<Vec<Self>, Problem> {
        let objects = app.store.objects(None).await?;
        let products = objects.iter().filter(|one| one.fields.kind == ObjectKind::Product);
        let offers: Result<Vec<Self>, Problem> = products.map(|one| Self::of(one.clone(), &objects)).collect();
        let mut offers = offers?;
        offers.sort_by_key(|offer| offer.title().to_lowercase());
        Ok(offers)
    }

    fn of(object: Object, all: &[Object]) -> Result<Self, Problem> {
        let own = all
            .iter()
            .filter(|plan| plan.fields.kind == ObjectKind::Plan && plan.fields.parent == object.id);
        let plans: Result<Vec<_>, Problem> = own.map(|plan| Ok((plan.clone(), body(plan)?))).collect();
        let mut plans = plans?;
        plans.sort_by_key(|(plan, _)| plan.fields.position);
        Ok(Self {
            product: body(&object)?,
            object,
            plans,
        })
    }

    /// What people call it.
    pub(super) fn title(&self) -> &str {
        self.product.title.as_deref().unwrap_or(&self.product.name)
    }

    /// The plan of a name.
    pub(super) fn plan(&self, name: &str) -> Option<&(Object, Plan)> {
        self.plans.iter().find(|(_, plan)| plan.name == name)
    }

    /// The product with all its plans.
    pub(super) fn whole(&self) -> Product {
        Product {
            plans: self.plans.iter().map(|(_, plan)| plan.clone()).collect(),
            ..self.product.clone()
        }
    }

    /// The product with a plan in the place of the one of its name, or after the others; and where it stands.
    pub(super) fn with_plan(&self, wanted: &Plan) -> (Document, String) {
        let mut whole = self.whole();
        let place = whole.plans.iter().position(|plan| plan.name == wanted.name);
        let place = place.unwrap_or(whole.plans.len());
        match whole.plans.get_mut(place) {
            Some(plan) => *plan = wanted.clone(),
            None => whole.plans.push(wanted.clone()),
        }
        (products(whole), format!("/products/0/plans/{place}"))
    }
}

/// A document of one product.
pub(super) fn products(product: Product) -> Document {
    Document {
        products: vec![product],
        ..Document::default()
    }
}

/// Writes a document as this person, or tells what is wrong with it.
pub(super) async fn apply(app: &App, staff: &Staff, document: Document, run: Run) -> Result<Applied, Problem> {
    let wish = Apply {
        document,
        prune: Prune::Nothing,
        run,
        origin: Origin::Portal,
    };
    configuration::apply(app, staff.caller.actor(), wish).await
}

/// The API of a name, with its document inline: without it an apply would take the document away.
pub(super) async fn api(app: &App, name: &str) -> Result<Api, Problem> {
    let object = app
        .store
        .object_named(ObjectKind::Api, "", name)
        .await?
        .ok_or_else(|| Problem::missing("API"))?;
    let api: Api = body(&object)?;
    let openapi = match object.fields.document {
        Some(hash) => app.store.document(&hash).await?,
        None => None,
    };
    let openapi: Option<Json> = openapi.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(Api { openapi, ..api })
}

/// The APIs of a product, without their documents.
pub(super) async fn apis(app: &App, product: &Product) -> Result<Vec<(Object, Api)>, Problem> {
    let mut apis = Vec::new();
    for name in &product.apis {
        if let Some(object) = app.store.object_named(ObjectKind::Api, "", name).await? {
            let api = body(&object)?;
            apis.push((object, api));
        }
    }
    Ok(apis)
}

/// Live subscriptions by the id of their plan.
pub(super) async fn subscribers(app: &App, staff: &Staff) -> Result<BTreeMap<String, u64>, Problem> {
    let mut tx = staff.caller.change(app).await?;
    let found = tx.plan_subscribers().await?;
    tx.rollback().await?;
    Ok(found
        .into_iter()
        .map(|(plan, count)| (plan.to_string(), count))
        .collect())
}
