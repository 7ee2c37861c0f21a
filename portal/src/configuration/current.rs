//! The stored configuration as a list of things.
//!
//! It is read through the store while the caller holds the one control transaction, so it stays true until the commit.

use std::collections::BTreeMap;

use domain::config::{self, Api, ConsumerCredential, ConsumerSubscription, Settings};
use domain::ids::{AccountId, ApiId, ConsumerId};
use domain::sealed::{MasterKey, Sealed};
use domain::subscription::Origin;
use serde_json::Value as Json;
use store::{Account, Consumer, ControlTx, Object, ObjectKind, Page, Scope, Store, SubscriptionFilter};

use super::change::ThingKind;
use super::thing::{Held, Key, Stored, Thing, hash_name, split, thing, within};
use crate::http::problem::Problem;
use crate::subscribing;

/// Whether the things of customers are read as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Customers {
    /// They are.
    With,
    /// They are not.
    Without,
}

/// Where to read from.
pub(crate) struct Reader<'a> {
    pub(crate) store: &'a Store,
    pub(crate) master_key: &'a MasterKey,
}

impl Reader<'_> {
    /// The settings of the deployment.
    pub(crate) async fn settings(&self) -> Result<Settings, Problem> {
        let stored = self.store.instance().await?.map(|instance| instance.settings);
        Ok(stored
            .and_then(|settings| serde_json::from_value(settings).ok())
            .unwrap_or_default())
    }

    /// Everything in force.
    pub(crate) async fn read(&self, tx: &mut ControlTx, customers: Customers) -> Result<Stored, Problem> {
        let mut stored = Stored::new();
        let settings = self.settings().await?;
        if settings != Settings::default() {
            let held = Held {
                id: String::new(),
                origin: Origin::File,
                thing: thing(&settings, 0),
                subscribers: 0,
            };
            stored.insert((ThingKind::Settings, String::new()), held);
        }
        let objects = tx.objects(None).await?;
        let subscribers: BTreeMap<String, u64> = tx
            .plan_subscribers()
            .await?
            .into_iter()
            .map(|(plan, count)| (plan.to_string(), count))
            .collect();
        for object in &objects {
            let Some(key) = key(object, &objects) else { continue };
            stored.insert(key, self.held(object, (&objects, &subscribers)).await?);
        }
        if customers == Customers::With {
            self.customers(tx, &mut stored).await?;
        }
        Ok(stored)
    }

    async fn held(
        &self,
        object: &Object,
        (all, subscribers): (&[Object], &BTreeMap<String, u64>),
    ) -> Result<Held, Problem> {
        let count = |id: &str| subscribers.get(id).copied().unwrap_or(0);
        let subscribers = match object.fields.kind {
            ObjectKind::Plan => count(&object.id),
            ObjectKind::Product => all
                .iter()
                .filter(|plan| plan.fields.parent == object.id)
                .map(|plan| count(&plan.id))
                .sum(),
            ObjectKind::Api | ObjectKind::Meter => 0,
        };
        let description = match object.fields.document {
            Some(hash) => self
                .store
                .document(&hash)
                .await?
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            None => None,
        };
        let secret = match object.fields.kind {
            ObjectKind::Api => self.secret(subscribing::id(object)?).await?,
            ObjectKind::Meter | ObjectKind::Product | ObjectKind::Plan => None,
        };
        let thing = Thing {
            body: object.fields.body.clone(),
            description,
            secret,
            position: object.fields.position,
        };
        Ok(Held {
            id: object.id.clone(),
            origin: object.fields.origin,
            thing,
            subscribers,
        })
    }

    /// The value of an API's upstream header; `None` where there is none or where it does not open any more.
    async fn secret(&self, api: ApiId) -> Result<Option<String>, Problem> {
        let context = snapshot::source::upstream_auth_context(api);
        let Some(bytes) = self.store.secret(&context).await? else {
            return Ok(None);
        };
        let sealed: Option<Sealed> = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
        let opened = sealed.and_then(|sealed| self.master_key.open(&context, &sealed).ok());
        Ok(opened.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()))
    }

    async fn customers(&self, tx: &mut ControlTx, stored: &mut Stored) -> Result<(), Problem> {
        let mut accounts: BTreeMap<AccountId, String> = BTreeMap::new();
        let mut page = Page::first(Page::MAX);
        loop {
            let some = self.store.accounts(Scope::All, &page).await?;
            let Some(last) = some.last().map(|account| account.id) else {
                break;
            };
            for account in some {
                let name = account.fields.name.clone();
                if insert(stored, (ThingKind::Account, name.clone()), account_held(&account)) {
                    accounts.retain(|_, known| *known != name);
                    accounts.insert(account.id, name);
                }
            }
            page = Page::first(Page::MAX).continued(last);
        }
        let mut page = Page::first(Page::MAX);
        loop {
            let some = self.store.consumers(Scope::All, None, &page).await?;
            let Some(last) = some.last().map(|consumer| consumer.id) else {
                return Ok(());
            };
            for consumer in &some {
                if let Some(account) = accounts.get(&consumer.account_id) {
                    self.consumer(tx, stored, (account, consumer)).await?;
                }
            }
            page = Page::first(Page::MAX).continued(last);
        }
    }

    async fn consumer(
        &self,
        tx: &mut ControlTx,
        stored: &mut Stored,
        (account, consumer): (&str, &Consumer),
    ) -> Result<(), Problem> {
        let name = within(account, &consumer.name);
        let bare = config::Consumer {
            name: consumer.name.clone(),
            account: account.to_owned(),
            subscriptions: Vec::new(),
            credentials: Vec::new(),
        };
        let held = |id: String, origin, thing| Held {
            id,
            origin,
            thing,
            subscribers: 0,
        };
        if !insert(
            stored,
            (ThingKind::Consumer, name.clone()),
            held(consumer.id.to_string(), consumer.origin, thing(&bare, 0)),
        ) {
            return Ok(());
        }
        for credential in tx.credentials_of(consumer.id).await? {
            let key = (ThingKind::Credential, within(&name, &hash_name(credential.hash)));
            let body = ConsumerCredential {
                kind: config::AuthMethod::ApiKey,
                name: credential.name.clone(),
                secret_env: None,
                secret: None,
                hash: Some(credential.hash),
                mode: Some(credential.mode),
                expires_at: credential.expires_at,
                products: credential.products.clone(),
            };
            stored.insert(key, held(credential.id.to_string(), credential.origin, thing(&body, 0)));
        }
        self.subscriptions(tx, stored, (&name, consumer.id)).await
    }

    async fn subscriptions(
        &self,
        tx: &mut ControlTx,
        stored: &mut Stored,
        (name, consumer): (&str, ConsumerId),
    ) -> Result<(), Problem> {
        let filter = SubscriptionFilter {
            consumer: Some(consumer),
            ..SubscriptionFilter::default()
        };
        for subscription in tx.subscriptions(&filter, &Page::first(Page::MAX)).await? {
            if !subscription.status.is_live() {
                continue;
            }
            let product = tx.object(&subscription.product_id.to_string()).await?;
            let plan = tx.object(&subscription.plan_id.to_string()).await?;
            let (Some(product), Some(plan)) = (product, plan) else {
                continue;
            };
            let anchor = tx
                .anchor_choice(subscription.id)
                .await?
                .filter(|anchor| anchor != "start");
            let body = ConsumerSubscription {
                product: product.fields.name.clone(),
                plan: plan.fields.name,
                anchor,
            };
            let key = (ThingKind::Subscription, within(name, &product.fields.name));
            let (id, origin) = (subscription.id.to_string(), subscription.origin);
            stored.insert(
                key,
                Held {
                    id,
                    origin,
                    thing: thing(&body, 0),
                    subscribers: 1,
                },
            );
        }
        Ok(())
    }
}

/// Where two have one name, files mean the one that came from files, then the oldest.
fn insert(stored: &mut Stored, key: Key, held: Held) -> bool {
    let taken = stored
        .get(&key)
        .is_some_and(|known| known.origin == Origin::File || held.origin != Origin::File);
    if !taken {
        stored.insert(key, held);
    }
    !taken
}

fn account_held(account: &Account) -> Held {
    Held {
        id: account.id.to_string(),
        origin: account.fields.origin,
        thing: thing(&file_form(account), 0),
        subscribers: 0,
    }
}

/// An account as files write it.
pub(super) fn file_form(account: &Account) -> config::Account {
    let fields = &account.fields;
    config::Account {
        name: fields.name.clone(),
        email: fields.email.clone(),
        currency: Some(fields.currency.clone()),
        timezone: Some(fields.timezone.clone()),
        country: fields.country.clone(),
        address: fields.address.clone(),
        tax_ids: fields.tax_ids.clone(),
    }
}

pub(super) fn key(object: &Object, all: &[Object]) -> Option<Key> {
    let name = object.fields.name.clone();
    Some(match object.fields.kind {
        ObjectKind::Api => (ThingKind::Api, name),
        ObjectKind::Meter => (ThingKind::Meter, name),
        ObjectKind::Product => (ThingKind::Product, name),
        ObjectKind::Plan => {
            let product = all.iter().find(|product| product.id == object.fields.parent)?;
            (ThingKind::Plan, within(&product.fields.name, &name))
        }
    })
}

/// The stored things as one document that an apply accepts: hashes of credentials, no secret.
pub(crate) fn export(stored: &Stored) -> config::Document {
    let mut document = config::Document::default();
    let mut plans: BTreeMap<String, Vec<(u32, config::Plan)>> = BTreeMap::new();
    for ((kind, name), held) in stored {
        let body = held.thing.body.clone();
        match kind {
            ThingKind::Settings => document.settings = read(body).unwrap_or_default(),
            ThingKind::Meter => document.meters.extend(read(body)),
            ThingKind::Api => document.apis.extend(read(body).map(|api| Api {
                openapi: held.thing.description.clone(),
                ..api
            })),
            ThingKind::Product => document.products.extend(read(body)),
            ThingKind::Plan => {
                let product = split(name).map(|(product, _)| product.to_owned()).unwrap_or_default();
                plans
                    .entry(product)
                    .or_default()
                    .extend(read(body).map(|plan| (held.thing.position, plan)));
            }
            ThingKind::Account => document.accounts.extend(read(body)),
            ThingKind::Consumer => document.consumers.extend(read(body)),
            ThingKind::Credential => owner(&mut document, name, |consumer| consumer.credentials.extend(read(body))),
            ThingKind::Subscription => owner(&mut document, name, |consumer| {
                consumer.subscriptions.extend(read(body));
            }),
        }
    }
    for product in &mut document.products {
        let mut own = plans.remove(&product.name).unwrap_or_default();
        own.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.name.cmp(&right.name)));
        product.plans = own.into_iter().map(|(_, plan)| plan).collect();
    }
    document
}

fn read<T: serde::de::DeserializeOwned>(body: Json) -> Option<T> {
    serde_json::from_value(body)
        .inspect_err(|error| tracing::error!(%error, "a stored object cannot be read"))
        .ok()
}

fn owner(document: &mut config::Document, name: &str, change: impl FnOnce(&mut config::Consumer)) {
    let parent = split(name).map_or("", |(parent, _)| parent);
    let found = document
        .consumers
        .iter_mut()
        .find(|consumer| within(&consumer.account, &consumer.name) == parent);
    if let Some(consumer) = found {
        change(consumer);
    }
}
