//! Names for the ids that figures and audit events carry. What is gone keeps its id.

use std::collections::BTreeMap;

use analytics::Dimension;
use store::{Page, Scope};

use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::operations::{Called, Operations};

/// Names by id; asks the store once for each.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<String, String>,
    operations: Operations,
}

impl Names {
    /// The name of a value of a dimension: of an id what people call it, of any other text itself.
    pub(super) async fn of(&mut self, app: &App, dimension: Dimension, value: &str) -> Result<String, Problem> {
        if let Some(known) = self.known.get(value) {
            return Ok(known.clone());
        }
        let found = match dimension {
            Dimension::Operation => Some(self.operations.called(app, None, value).await?.place),
            Dimension::Account => account(app, value).await?,
            Dimension::Consumer => consumer(app, value).await?,
            Dimension::Credential => credential(app, value).await?,
            Dimension::Subscription => subscription(app, value).await?,
            _ => None,
        };
        let name = found.unwrap_or_else(|| value.to_owned());
        self.known.insert(value.to_owned(), name.clone());
        Ok(name)
    }

    /// The name of whoever acted: a person by name or address, a token by its name.
    pub(super) async fn actor(&mut self, app: &App, kind: &str, id: &str) -> Result<String, Problem> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let name = match kind {
            "user" => match id.parse() {
                Ok(user) => app
                    .store
                    .user(user)
                    .await?
                    .map(|user| if user.name.is_empty() { user.email } else { user.name }),
                Err(_) => None,
            },
            "token" => token(app, id).await?,
            "system" => Some(format!("Tollgate ({id})")),
            _ => None,
        };
        let name = name.unwrap_or_else(|| format!("{kind} {id}"));
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }

    /// What an operation is called, of its API where that is known.
    pub(super) async fn operation(&mut self, app: &App, api: Option<&str>, key: &str) -> Result<Called, Problem> {
        self.operations.called(app, api, key).await
    }
}

/// A token that is not revoked by its name; any other has none to people.
async fn token(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let tokens = app.store.tokens(Scope::All, &Page::first(Page::MAX)).await?;
    let found = tokens.into_iter().find(|token| token.id.to_string() == id);
    Ok(Some(found.map_or_else(
        || "API token".to_owned(),
        |token| format!("API token {}", token.name),
    )))
}

async fn account(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let account = app.store.account(Scope::All, id).await?;
    Ok(account.map(|account| account.fields.name))
}

async fn consumer(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(app.store.consumer(Scope::All, id).await?.map(|consumer| consumer.name))
}

async fn credential(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let credential = app.store.credential(Scope::All, id).await?;
    Ok(credential.map(|one| {
        let key = crate::pages::web::show::key(&one.prefix, &one.last4);
        one.name.map_or_else(|| key.clone(), |name| format!("{name} ({key})"))
    }))
}

async fn subscription(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let Some(subscription) = app.store.subscription(Scope::All, id).await? else {
        return Ok(None);
    };
    let consumer = app.store.consumer(Scope::All, subscription.consumer_id).await?;
    let plan = app.store.object(&subscription.plan_id.to_string()).await?;
    let (consumer, plan) = (
        consumer.map(|consumer| consumer.name).unwrap_or_default(),
        plan.map(|plan| plan.fields.name).unwrap_or_default(),
    );
    Ok(Some(format!("{consumer} on {plan}")))
}
