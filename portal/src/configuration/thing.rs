//! A configuration as a flat list of named things, so that two of them can be compared with one rule.
//!
//! Invariant: the body of a thing holds no secret and no API description; those stand beside it, so that bodies may be
//! shown, logged and kept.

use std::collections::BTreeMap;
use std::fmt;

use domain::config::{Api, Consumer, ConsumerCredential, ConsumerSubscription, Document, Product, Settings};
use domain::subscription::Origin;
use serde_json::Value as Json;

use super::change::ThingKind;

/// Kind and name. The name of a thing within another is both names with [`WITHIN`] between them, which no name holds.
pub(crate) type Key = (ThingKind, String);

/// Stands between the name of an owner and the name of what it owns.
pub(crate) const WITHIN: char = '\u{1f}';

/// The name of a thing within another.
pub(crate) fn within(owner: &str, name: &str) -> String {
    format!("{owner}{WITHIN}{name}")
}

/// The name of the owner and the name within it.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(WITHIN)
}

/// A thing as it is wanted.
#[derive(Clone, PartialEq)]
pub(crate) struct Thing {
    /// The thing as JSON, as the type of `domain::config` writes it, without what stands elsewhere in this list.
    pub(crate) body: Json,
    /// The API description.
    pub(crate) description: Option<Json>,
    /// The value of the upstream's secret.
    pub(crate) secret: Option<String>,
    /// Place among its siblings, where the order is shown to people.
    pub(crate) position: u32,
}

impl fmt::Debug for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thing")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A thing as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    /// Its id.
    pub(crate) id: String,
    /// Who owns it.
    pub(crate) origin: Origin,
    /// What it is.
    pub(crate) thing: Thing,
    /// Live subscriptions to it.
    pub(crate) subscribers: u64,
}

/// A configuration as it is wanted.
pub(crate) type Wanted = BTreeMap<Key, Thing>;
/// A configuration as it is stored.
pub(crate) type Stored = BTreeMap<Key, Held>;

/// What was wrong with a document before it could be compared: the pointer to the place and a message.
pub(crate) type Misfit = (String, String);

/// The things of a document.
///
/// # Errors
/// A thing that stands twice.
pub(crate) fn flatten(document: &Document) -> Result<Wanted, Misfit> {
    let mut flat = Flat(Wanted::new());
    if document.settings != Settings::default() {
        flat.add(
            (ThingKind::Settings, String::new()),
            thing(&document.settings, 0),
            "/settings",
        )?;
    }
    for (index, meter) in document.meters.iter().enumerate() {
        flat.add(
            (ThingKind::Meter, meter.name.clone()),
            thing(meter, 0),
            &format!("/meters/{index}"),
        )?;
    }
    for (index, api) in document.apis.iter().enumerate() {
        flat.add(
            (ThingKind::Api, api.name.clone()),
            api_thing(api.clone()),
            &format!("/apis/{index}"),
        )?;
    }
    for (index, product) in document.products.iter().enumerate() {
        flat.product(product, &format!("/products/{index}"))?;
    }
    for (index, account) in document.accounts.iter().enumerate() {
        flat.add(
            (ThingKind::Account, account.name.clone()),
            thing(account, 0),
            &format!("/accounts/{index}"),
        )?;
    }
    for (index, consumer) in document.consumers.iter().enumerate() {
        flat.consumer(consumer, &format!("/consumers/{index}"))?;
    }
    Ok(flat.0)
}

struct Flat(Wanted);

impl Flat {
    fn add(&mut self, key: Key, thing: Thing, pointer: &str) -> Result<(), Misfit> {
        let name = key.1.replace(WITHIN, "/");
        match self.0.insert(key, thing) {
            None => Ok(()),
            Some(_) => Err((
                pointer.to_owned(),
                format!("`{name}` stands twice: give each a name of its own"),
            )),
        }
    }

    fn product(&mut self, product: &Product, pointer: &str) -> Result<(), Misfit> {
        let bare = Product {
            plans: Vec::new(),
            ..product.clone()
        };
        self.add((ThingKind::Product, product.name.clone()), thing(&bare, 0), pointer)?;
        for (index, plan) in product.plans.iter().enumerate() {
            let position = u32::try_from(index).unwrap_or(u32::MAX);
            let key = (ThingKind::Plan, within(&product.name, &plan.name));
            self.add(key, thing(plan, position), &format!("{pointer}/plans/{index}"))?;
        }
        Ok(())
    }

    fn consumer(&mut self, consumer: &Consumer, pointer: &str) -> Result<(), Misfit> {
        let name = within(&consumer.account, &consumer.name);
        let bare = Consumer {
            subscriptions: Vec::new(),
            credentials: Vec::new(),
            ..consumer.clone()
        };
        self.add((ThingKind::Consumer, name.clone()), thing(&bare, 0), pointer)?;
        for (index, credential) in consumer.credentials.iter().enumerate() {
            let at = format!("{pointer}/credentials/{index}");
            let (key, thing) = credential_thing(&name, credential.clone()).map_err(|reason| (at.clone(), reason))?;
            self.add(key, thing, &at)?;
        }
        for (index, subscription) in consumer.subscriptions.iter().enumerate() {
            let key = (ThingKind::Subscription, within(&name, &subscription.product));
            self.add(
                key,
                subscription_thing(subscription),
                &format!("{pointer}/subscriptions/{index}"),
            )?;
        }
        Ok(())
    }
}

/// Any part of a document as a thing.
pub(crate) fn thing(part: &impl serde::Serialize, position: u32) -> Thing {
    Thing {
        body: serde_json::to_value(part).unwrap_or_default(),
        description: None,
        secret: None,
        position,
    }
}

/// An API, its description and its secret apart.
pub(crate) fn api_thing(mut api: Api) -> Thing {
    let description = api.openapi.take();
    let secret = api.upstream.auth.as_mut().and_then(|auth| auth.value.take());
    Thing {
        description,
        secret,
        ..thing(&api, 0)
    }
}

/// A credential by its hash. The secret itself goes no further.
fn credential_thing(consumer: &str, mut credential: ConsumerCredential) -> Result<(Key, Thing), String> {
    if let Some(secret) = credential.secret.take() {
        let key = domain::key::ApiKey::parse(&secret)
            .ok_or("the secret is not a key of Tollgate: make one with `POST /consumers/{id}/credentials`")?;
        if credential.mode.is_some_and(|mode| mode != key.mode()) {
            return Err("the mode is not the one in the key".to_owned());
        }
        credential.mode = Some(key.mode());
        credential.hash = Some(key.hash());
    }
    credential.secret_env = None;
    let hash = credential.hash.ok_or("a credential needs a secret or its hash")?;
    credential.mode = Some(credential.mode.unwrap_or_default());
    Ok((
        (ThingKind::Credential, within(consumer, &hash_name(hash))),
        thing(&credential, 0),
    ))
}

/// How a credential of a document is named, where its key or hash is one.
pub(crate) fn name_of(credential: &ConsumerCredential) -> Option<String> {
    let key = credential.secret.as_deref().and_then(domain::key::ApiKey::parse);
    key.map(|key| key.hash()).or(credential.hash).map(hash_name)
}

/// How a credential is named: by the start of the hash, which tells nothing about the key.
pub(crate) fn hash_name(hash: domain::key::KeyHash) -> String {
    hash.to_hex().chars().take(16).collect()
}

/// A subscription; an anchor of `start` is the default and is not written.
pub(crate) fn subscription_thing(subscription: &ConsumerSubscription) -> Thing {
    let anchor = subscription.anchor.clone().filter(|anchor| anchor != "start");
    thing(
        &ConsumerSubscription {
            anchor,
            ..subscription.clone()
        },
        0,
    )
}
