//! The changes of an apply, written into one control transaction.

use domain::config::{self, ConsumerCredential, ConsumerSubscription, Plan, Settings};
use domain::ids::{
    AccountId, ApiId, ConsumerId, CredentialId, MeterId, PlanId, PlanVersionId, ProductId, SubscriptionId,
};
use domain::key::KeyHash;
use domain::sealed::MasterKey;
use domain::subscription::{Migrate, Origin, SubscriptionStatus};
use serde_json::Value as Json;
use store::{AccountFields, ControlTx, NewConsumer, NewCredential, ObjectFields, ObjectKind, Page, SubscriptionFilter};

use super::change::{Action, Item, ThingKind};
use super::thing::{Held, Key, Stored, Thing, Wanted, split};
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::subscribing::{self, Wish};

/// One apply.
pub(crate) struct Writer<'a> {
    pub(crate) tx: &'a mut ControlTx,
    pub(crate) master_key: &'a MasterKey,
    pub(crate) stored: &'a Stored,
    pub(crate) wanted: &'a Wanted,
    pub(crate) origin: Origin,
}

impl Writer<'_> {
    /// Writes one change.
    pub(crate) async fn write(&mut self, item: &Item) -> Result<(), Problem> {
        let key = (item.kind, item.key.clone());
        let (stored, wanted) = (self.stored, self.wanted);
        let result = match (item.action, wanted.get(&key)) {
            (Action::Create | Action::Update, Some(thing)) => self.put(&key, thing, stored.get(&key)).await,
            (Action::Delete | Action::Archive, _) => match stored.get(&key) {
                Some(held) => self.remove(&key, held).await,
                None => Ok(()),
            },
            (Action::Create | Action::Update, None) => Ok(()),
        };
        result.map_err(|problem| named(problem, item))
    }

    async fn put(&mut self, key: &Key, thing: &Thing, held: Option<&Held>) -> Result<(), Problem> {
        match key.0 {
            ThingKind::Settings => {
                let _: Settings = read(&thing.body)?;
                self.tx.set_settings(&thing.body).await?;
                Ok(())
            }
            ThingKind::Meter | ThingKind::Api | ThingKind::Product => self.put_object(key, thing, held).await.map(drop),
            ThingKind::Plan => self.put_plan(key, thing, held).await,
            ThingKind::Account => self.put_account(thing, held).await,
            ThingKind::Consumer => self.put_consumer(key, held).await,
            ThingKind::Credential => self.put_credential(key, thing, held).await,
            ThingKind::Subscription => self.put_subscription(key, thing, held).await,
        }
    }

    async fn put_object(&mut self, key: &Key, thing: &Thing, held: Option<&Held>) -> Result<String, Problem> {
        let (kind, parent) = match key.0 {
            ThingKind::Meter => (ObjectKind::Meter, String::new()),
            ThingKind::Api => (ObjectKind::Api, String::new()),
            ThingKind::Plan => (ObjectKind::Plan, self.product_of(&key.1).await?),
            _ => (ObjectKind::Product, String::new()),
        };
        let document = match &thing.description {
            Some(description) => Some(self.tx.put_document(description.to_string().as_bytes()).await?),
            None => None,
        };
        let fields = ObjectFields {
            kind,
            parent,
            name: split(&key.1).map_or(key.1.as_str(), |(_, name)| name).to_owned(),
            position: thing.position,
            body: thing.body.clone(),
            document,
            origin: self.origin,
        };
        let id = match held {
            Some(held) => held.id.clone(),
            None => new_id(kind, self.tx),
        };
        match held {
            Some(_) => {
                self.tx.update_object(&id, &fields).await?;
            }
            None => drop(self.tx.create_object(&id, &fields).await?),
        }
        if let Some(secret) = thing
            .secret
            .as_ref()
            .filter(|secret| held.is_none_or(|held| held.thing.secret.as_ref() != Some(*secret)))
        {
            self.seal(&id, secret).await?;
        }
        Ok(id)
    }

    async fn seal(&mut self, api: &str, secret: &str) -> Result<(), Problem> {
        let api: ApiId = api.parse().map_err(|_| Problem::internal())?;
        let context = snapshot::source::upstream_auth_context(api);
        let sealed = self
            .master_key
            .seal(&context, secret.as_bytes(), domain::random::bytes())
            .map_err(|_| Problem::internal())?;
        self.tx.put_secret(&context, sealed.to_string().as_bytes()).await?;
        Ok(())
    }

    async fn product_of(&mut self, plan: &str) -> Result<String, Problem> {
        let name = split(plan).map_or("", |(product, _)| product);
        let product = self.tx.object_named(ObjectKind::Product, "", name).await?;
        product
            .map(|product| product.id)
            .ok_or_else(|| Problem::missing("product"))
    }

    async fn put_plan(&mut self, key: &Key, thing: &Thing, held: Option<&Held>) -> Result<(), Problem> {
        let id = self.put_object(key, thing, held).await?;
        let plan_id: PlanId = id.parse().map_err(|_| Problem::internal())?;
        let plan: Plan = read(&thing.body)?;
        let before = self.tx.latest_plan_version(plan_id).await?;
        let version = PlanVersionId::new(self.tx.now(), App::seed());
        let published = self
            .tx
            .publish_plan_version(version, plan_id, &version_body(&plan))
            .await?;
        if before.is_some_and(|before| before.id != published.id) {
            migrate(self.tx, plan_id, published.id, plan.migrate).await?;
        }
        Ok(())
    }

    async fn put_account(&mut self, thing: &Thing, held: Option<&Held>) -> Result<(), Problem> {
        let account: config::Account = read(&thing.body)?;
        let fields = AccountFields {
            name: account.name,
            email: account.email,
            currency: account.currency.unwrap_or_default(),
            timezone: account.timezone.unwrap_or_default(),
            country: account.country,
            address: account.address,
            tax_ids: account.tax_ids,
            origin: self.origin,
        };
        match held {
            Some(held) => drop(self.tx.update_account(parse(&held.id)?, &fields).await?),
            None => drop(
                self.tx
                    .create_account(AccountId::new(self.tx.now(), App::seed()), &fields)
                    .await?,
            ),
        }
        Ok(())
    }

    async fn put_consumer(&mut self, key: &Key, held: Option<&Held>) -> Result<(), Problem> {
        let Some((account, name)) = split(&key.1).filter(|_| held.is_none()) else {
            return Ok(());
        };
        let account_id = match self.stored.get(&(ThingKind::Account, account.to_owned())) {
            Some(held) => parse(&held.id)?,
            None => self
                .tx
                .file_account(account)
                .await?
                .map(|account| account.id)
                .ok_or_else(|| Problem::missing("account"))?,
        };
        let id = ConsumerId::new(self.tx.now(), App::seed());
        self.tx
            .create_consumer(&NewConsumer {
                id,
                account_id,
                name: name.to_owned(),
                origin: self.origin,
            })
            .await?;
        Ok(())
    }

    /// The id of the consumer that a credential or subscription belongs to.
    async fn consumer_of(&mut self, key: &Key) -> Result<ConsumerId, Problem> {
        let consumer = split(&key.1).map_or("", |(consumer, _)| consumer);
        if let Some(held) = self.stored.get(&(ThingKind::Consumer, consumer.to_owned())) {
            return parse(&held.id);
        }
        let (account, name) = split(consumer).unwrap_or_default();
        let account_id = match self.stored.get(&(ThingKind::Account, account.to_owned())) {
            Some(held) => parse(&held.id)?,
            None => self
                .tx
                .file_account(account)
                .await?
                .map(|account| account.id)
                .ok_or_else(|| Problem::missing("account"))?,
        };
        let found = self.tx.file_consumer(account_id, name).await?;
        found
            .map(|consumer| consumer.id)
            .ok_or_else(|| Problem::missing("consumer"))
    }

    async fn put_credential(&mut self, key: &Key, thing: &Thing, held: Option<&Held>) -> Result<(), Problem> {
        if held.is_some() {
            return Err(Problem::conflict(
                "not supported yet: a credential cannot be changed; write another one and remove this",
            ));
        }
        let wanted: ConsumerCredential = read(&thing.body)?;
        let hash: KeyHash = wanted.hash.ok_or_else(Problem::internal)?;
        let mode = wanted.mode.unwrap_or_default();
        let new = NewCredential {
            id: CredentialId::new(self.tx.now(), App::seed()),
            consumer_id: self.consumer_of(key).await?,
            hash,
            // Only the hash is known: the prefix that all keys of this mode share is what can be shown.
            prefix: format!("tg_{}_", mode.as_str()),
            last4: String::new(),
            mode,
            name: wanted.name,
            scopes: Vec::new(),
            products: wanted.products,
            expires_at: wanted.expires_at,
            origin: self.origin,
        };
        self.tx
            .create_credential(&new)
            .await
            .map(drop)
            .map_err(|error| match error.conflict() {
                Some(_) => {
                    Problem::conflict("this key is in use elsewhere or was revoked; a revoked key never comes back")
                }
                None => error.into(),
            })
    }

    async fn put_subscription(&mut self, key: &Key, thing: &Thing, held: Option<&Held>) -> Result<(), Problem> {
        let wanted: ConsumerSubscription = read(&thing.body)?;
        let (product, plan) = subscribing::named_plan(self.tx, &wanted.product, &wanted.plan).await?;
        let (Some(product), Some(plan)) = (product, plan) else {
            return Err(Problem::missing("plan"));
        };
        let Some(held) = held else {
            let anchor = wanted.anchor.as_deref().unwrap_or("start").parse().map_err(
                |error: domain::period::ParseAnchorError| Problem::invalid(vec![Fault::at("", error.to_string())]),
            )?;
            let consumer = self.consumer_of(key).await?;
            return subscribing::subscribe(
                self.tx,
                Wish {
                    consumer,
                    product,
                    plan,
                    anchor,
                    origin: self.origin,
                },
            )
            .await
            .map(drop);
        };
        let version = self.tx.latest_plan_version(subscribing::id(&plan)?).await?;
        let version = version.ok_or_else(|| Problem::conflict("the plan is not published"))?;
        let change = subscribing::change(&plan, version.id, self.tx.now())?;
        self.tx.change_plan(parse(&held.id)?, change).await?;
        Ok(())
    }

    async fn remove(&mut self, key: &Key, held: &Held) -> Result<(), Problem> {
        let now = self.tx.now();
        match key.0 {
            ThingKind::Settings => {}
            ThingKind::Meter | ThingKind::Api | ThingKind::Product | ThingKind::Plan => {
                self.tx.archive_object(&held.id).await?;
            }
            ThingKind::Account => self.tx.delete_account(parse(&held.id)?).await?,
            ThingKind::Consumer => self.tx.delete_consumer(parse(&held.id)?).await?,
            ThingKind::Credential => drop(self.tx.revoke_credential(parse(&held.id)?, now).await?),
            ThingKind::Subscription => {
                let id: SubscriptionId = parse(&held.id)?;
                self.tx
                    .end_subscription(id, SubscriptionStatus::Cancelled, Some("removed from the files"), now)
                    .await?;
            }
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &Json) -> Result<T, Problem> {
    serde_json::from_value(body.clone()).map_err(|error| Problem::invalid(vec![Fault::at("", error.to_string())]))
}

fn parse<T: std::str::FromStr>(id: &str) -> Result<T, Problem> {
    id.parse().map_err(|_| Problem::internal())
}

fn new_id(kind: ObjectKind, tx: &ControlTx) -> String {
    let (now, seed) = (tx.now(), App::seed());
    match kind {
        ObjectKind::Api => ApiId::new(now, seed).to_string(),
        ObjectKind::Meter => MeterId::new(now, seed).to_string(),
        ObjectKind::Product => ProductId::new(now, seed).to_string(),
        ObjectKind::Plan => PlanId::new(now, seed).to_string(),
    }
}

/// Says which thing could not be written.
fn named(problem: Problem, item: &Item) -> Problem {
    let detail = problem.detail_text().unwrap_or("it cannot be written").to_owned();
    problem.detail(format!("{:?} `{}`: {detail}", item.kind, item.name))
}

/// What of a plan makes a version: limits and prices, not how it is presented or sold. Reads as [`Plan`].
pub(crate) fn version_body(plan: &Plan) -> Json {
    let mut body = serde_json::to_value(plan).unwrap_or_default();
    if let Some(map) = body.as_object_mut() {
        for presentation in ["title", "description", "approval", "migrate"] {
            map.remove(presentation);
        }
    }
    body
}

/// Puts the live subscribers of a plan on another version of it, or plans to.
pub(crate) async fn migrate(
    tx: &mut ControlTx,
    plan: PlanId,
    version: PlanVersionId,
    how: Migrate,
) -> Result<u64, Problem> {
    if how == Migrate::Never {
        return Ok(0);
    }
    let (now, mut moved, mut page) = (tx.now(), 0, Page::first(Page::MAX));
    loop {
        let filter = SubscriptionFilter {
            plan: Some(plan),
            ..SubscriptionFilter::default()
        };
        let some = tx.subscriptions(&filter, &page).await?;
        let Some(last) = some.last().map(|subscription| subscription.id) else {
            return Ok(moved);
        };
        for subscription in some
            .into_iter()
            .filter(|one| one.status.is_live() && one.plan_version_id != version)
        {
            let end = subscribing::period_at(&subscription, now)
                .map(|period| period.end)
                .filter(|_| how == Migrate::PeriodEnd);
            let change = store::PendingChange {
                plan_id: plan,
                plan_version_id: version,
                at: end.unwrap_or(now),
            };
            match end {
                Some(_) => drop(tx.schedule_change(subscription.id, Some(change)).await?),
                None => drop(tx.change_plan(subscription.id, change).await?),
            }
            moved += 1;
        }
        page = Page::first(Page::MAX).continued(last);
    }
}
