//! What the ids of an audit event stand for: what people call the thing, and the page about it.
//!
//! An id is told by its prefix. What is gone is called as the event itself calls it, and else by its id.

use std::collections::BTreeMap;

use analytics::Dimension;
use domain::ids::{
    AccountId, ApiId, ConsumerId, CredentialId, InvoiceId, MeterId, PlanId, PlanVersionId, ProductId, SubscriptionId,
    UserId,
};
use serde_json::Value as Json;
use store::Scope;

use super::names::Names;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::address::segment;
use crate::pages::web::{Html, escape};

/// What an id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thing {
    name: String,
    /// The page about it.
    href: Option<String>,
}

/// Things by id; asks the store once for each.
#[derive(Default)]
pub(super) struct Things {
    pub(super) names: Names,
    known: BTreeMap<String, Option<Thing>>,
}

impl Things {
    /// The thing as a link with its name, the id on hover; `told` is the name that the event has for it.
    pub(super) async fn link(&mut self, app: &App, id: &str, told: Option<&str>) -> Result<Html, Problem> {
        let found = self.find(app, id).await?;
        let (name, href) = match (&found, told) {
            (Some(thing), _) => (thing.name.as_str(), thing.href.as_deref()),
            (None, Some(told)) => (told, None),
            (None, None) => return Ok(Html(format!("<span class=\"id\">{}</span>", escape(id)))),
        };
        let (name, id) = (escape(name), escape(id));
        Ok(Html(match href {
            Some(href) => format!("<a href=\"{}\" title=\"{id}\">{name}</a>", escape(href)),
            None => format!("<span title=\"{id}\">{name}</span>"),
        }))
    }

    /// The same, where a text is the id of a thing that is known.
    pub(super) async fn known(&mut self, app: &App, text: &str) -> Result<Option<Html>, Problem> {
        match self.find(app, text).await? {
            Some(_) => Ok(Some(self.link(app, text, None).await?)),
            None => Ok(None),
        }
    }

    async fn find(&mut self, app: &App, id: &str) -> Result<Option<Thing>, Problem> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let found = self.ask(app, id).await?;
        self.known.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    async fn ask(&mut self, app: &App, id: &str) -> Result<Option<Thing>, Problem> {
        let prefix = id.split_once('_').map_or("", |(prefix, _)| prefix);
        let dimension = match prefix {
            AccountId::PREFIX => Dimension::Account,
            ConsumerId::PREFIX => Dimension::Consumer,
            CredentialId::PREFIX => Dimension::Credential,
            SubscriptionId::PREFIX => Dimension::Subscription,
            UserId::PREFIX => return user(app, id).await,
            InvoiceId::PREFIX => return invoice(app, id).await,
            ApiId::PREFIX | MeterId::PREFIX | PlanId::PREFIX | ProductId::PREFIX => return object(app, id).await,
            PlanVersionId::PREFIX => return version(app, id).await,
            _ => return Ok(None),
        };
        let name = self.names.of(app, dimension, id).await?;
        // A name that is the id itself: there is no such thing any more.
        if name == id {
            return Ok(None);
        }
        let href = match dimension {
            Dimension::Account => Some(format!("/admin/organisations/{id}")),
            Dimension::Consumer => Some(format!("/admin/consumers/{id}")),
            Dimension::Credential => consumer_of_key(app, id).await?,
            _ => consumer_of_subscription(app, id).await?,
        };
        Ok(Some(Thing { name, href }))
    }
}

/// What an event calls the thing that it is about.
pub(super) fn told(before: Option<&Json>, after: Option<&Json>) -> Option<String> {
    let name = |body: &Json| {
        let names = ["title", "name", "number", "email"];
        let found = names.iter().find_map(|name| body.get(name)?.as_str());
        found.filter(|name| !name.is_empty()).map(str::to_owned)
    };
    after.and_then(name).or_else(|| before.and_then(name))
}

async fn consumer_of_key(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let key = app.store.credential(Scope::All, id).await?;
    Ok(key.map(|key| format!("/admin/consumers/{}", key.consumer_id)))
}

async fn consumer_of_subscription(app: &App, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let subscription = app.store.subscription(Scope::All, id).await?;
    Ok(subscription.map(|one| format!("/admin/consumers/{}", one.consumer_id)))
}

async fn user(app: &App, id: &str) -> Result<Option<Thing>, Problem> {
    let Ok(parsed) = id.parse::<UserId>() else {
        return Ok(None);
    };
    Ok(app.store.user(parsed).await?.map(|user| Thing {
        name: if user.name.trim().is_empty() {
            user.email
        } else {
            user.name
        },
        href: Some(format!("/admin/users/{id}")),
    }))
}

async fn invoice(app: &App, id: &str) -> Result<Option<Thing>, Problem> {
    let Ok(parsed) = id.parse::<InvoiceId>() else {
        return Ok(None);
    };
    let found = app.store.invoice(Scope::All, parsed, app.clock.now()).await?;
    Ok(found.map(|view| Thing {
        name: view
            .number
            .map_or_else(|| "A draft invoice".to_owned(), |number| format!("Invoice {number}")),
        href: Some(format!("/finance/invoices/{id}")),
    }))
}

async fn object(app: &App, id: &str) -> Result<Option<Thing>, Problem> {
    let Some(object) = app.store.object(id).await? else {
        return Ok(None);
    };
    let product = match object.fields.kind {
        store::ObjectKind::Plan => app.store.object(&object.fields.parent).await?,
        _ => None,
    };
    let title = |object: &store::Object| {
        let title = object.fields.body.get("title").and_then(|title| title.as_str());
        title.unwrap_or(&object.fields.name).to_owned()
    };
    let name = segment(&object.fields.name);
    Ok(Some(match (object.fields.kind, product) {
        (store::ObjectKind::Plan, Some(product)) => Thing {
            name: format!("{}, {}", title(&product), title(&object)),
            href: Some(format!(
                "/manage/products/{}/plans/{name}/versions",
                segment(&product.fields.name)
            )),
        },
        (store::ObjectKind::Product, _) => Thing {
            name: title(&object),
            href: Some(format!("/manage/products/{name}")),
        },
        _ => Thing {
            name: title(&object),
            href: None,
        },
    }))
}

async fn version(app: &App, id: &str) -> Result<Option<Thing>, Problem> {
    let Ok(parsed) = id.parse::<PlanVersionId>() else {
        return Ok(None);
    };
    let Some(version) = app.store.plan_version(parsed).await? else {
        return Ok(None);
    };
    let plan = object(app, &version.plan_id.to_string()).await?;
    Ok(plan.map(|plan| Thing {
        name: format!("{}, version {}", plan.name, version.n),
        href: plan.href,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_gone_is_called_as_the_event_calls_it() {
        let (before, after) = (
            json!({"name": "old", "id": "x"}),
            json!({"name": "new", "title": "New"}),
        );
        assert_eq!(told(Some(&before), Some(&after)).as_deref(), Some("New"));
        assert_eq!(told(Some(&before), None).as_deref(), Some("old"));
        assert_eq!(told(None, Some(&json!({"name": ""}))), None);
    }
}
