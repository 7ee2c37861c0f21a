//! Names instead of ids: of organisations, apps, plans and of whoever did something. Each is looked up once a page.

use std::collections::HashMap;

use domain::ids::{AccountId, ConsumerId, PlanVersionId, ProductId, UserId};

use crate::app::App;
use crate::http::problem::Problem;

/// Names that were looked up.
#[derive(Debug, Default)]
pub(super) struct Names {
    accounts: HashMap<AccountId, String>,
    consumers: HashMap<ConsumerId, String>,
    plans: HashMap<PlanVersionId, PlanName>,
}

/// A plan with its product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlanName {
    pub(super) product: String,
    pub(super) plan: String,
}

impl Names {
    /// The name of an organisation, deleted or not.
    pub(super) async fn account(&mut self, app: &App, id: AccountId) -> Result<String, Problem> {
        if let Some(name) = self.accounts.get(&id) {
            return Ok(name.clone());
        }
        let account = app.store.account(store::Scope::All, id).await?;
        let name = account.map_or_else(|| id.to_string(), |account| account.fields.name);
        self.accounts.insert(id, name.clone());
        Ok(name)
    }

    /// The name of an app.
    pub(super) async fn consumer(&mut self, app: &App, id: ConsumerId) -> Result<String, Problem> {
        if let Some(name) = self.consumers.get(&id) {
            return Ok(name.clone());
        }
        let consumer = app.store.consumer(store::Scope::All, id).await?;
        let name = consumer.map_or_else(|| id.to_string(), |consumer| consumer.name);
        self.consumers.insert(id, name.clone());
        Ok(name)
    }

    /// The titles of the plan of a version and of its product.
    pub(super) async fn plan(&mut self, app: &App, id: PlanVersionId) -> Result<PlanName, Problem> {
        if let Some(name) = self.plans.get(&id) {
            return Ok(name.clone());
        }
        let version = app.store.plan_version(id).await?;
        let plan = match &version {
            Some(version) => app.store.object(&version.plan_id.to_string()).await?,
            None => None,
        };
        let product = match &plan {
            Some(plan) => app.store.object(&plan.fields.parent).await?,
            None => None,
        };
        let name = PlanName {
            product: product.as_ref().map_or_else(|| "Unknown product".to_owned(), titled),
            plan: plan.as_ref().map_or_else(|| id.to_string(), titled),
        };
        self.plans.insert(id, name.clone());
        Ok(name)
    }
}

/// The title of a product.
pub(super) async fn product(app: &App, id: ProductId) -> Result<String, Problem> {
    let object = app.store.object(&id.to_string()).await?;
    Ok(object.as_ref().map_or_else(|| id.to_string(), titled))
}

/// The title of an object, or else its name.
fn titled(object: &store::Object) -> String {
    let title = object.fields.body.get("title").and_then(|title| title.as_str());
    title.unwrap_or(&object.fields.name).to_owned()
}

/// Who did something, as `kind:id` of the books.
pub(super) async fn actor(app: &App, actor: &str) -> Result<String, Problem> {
    let (kind, id) = actor.split_once(':').unwrap_or(("", actor));
    Ok(match kind {
        "user" => {
            let user = match id.parse::<UserId>() {
                Ok(id) => app.store.user(id).await?,
                Err(_) => None,
            };
            user.map_or_else(
                || "someone who is gone".to_owned(),
                |user| {
                    if user.name.trim().is_empty() {
                        user.email
                    } else {
                        user.name
                    }
                },
            )
        }
        "token" => "a program, through the Admin API".to_owned(),
        "system" => "the billing run".to_owned(),
        _ => actor.to_owned(),
    })
}
