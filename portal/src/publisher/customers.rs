//! The part of a snapshot that customers make: consumers with their subscriptions, and keys.

use std::collections::{BTreeMap, HashMap};

use domain::clock::Timestamp;
use domain::cycle::CycleRecord;
use domain::ids::{ConsumerId, ProductId, SubscriptionId};
use domain::period::{Anchor, Schedule};
use snapshot::source::{Change, ConsumerRecord, KeyRecord, SubscriptionRecord};
use store::{Consumer, ControlTx, Credential, Page, Scope, Subscription, SubscriptionFilter};

use super::Touched;
use super::catalog::{Catalog, Error};
use crate::app::App;

/// Products by name.
pub(super) fn products(catalog: &Catalog) -> BTreeMap<String, ProductId> {
    let named = catalog.values().filter_map(|row| match row {
        Change::UpsertProduct(record) => Some((record.name.clone(), record.id)),
        _ => None,
    });
    named.collect()
}

/// The consumers and keys that were touched.
pub(super) async fn some(
    app: &App,
    tx: &mut ControlTx,
    touched: &Touched,
    catalog: &Catalog,
) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for id in &touched.consumers {
        let consumer = tx.consumer(*id).await?.filter(|consumer| consumer.deleted_at.is_none());
        changes.push(match consumer {
            None => Change::RemoveConsumer(*id),
            Some(consumer) => {
                let filter = SubscriptionFilter {
                    consumer: Some(*id),
                    ..SubscriptionFilter::default()
                };
                let subscriptions = tx.subscriptions(&filter, &Page::first(Page::MAX)).await?;
                let ordinals = tx.segment_ordinals(Some(*id)).await?;
                Change::UpsertConsumer(record(&consumer, &subscriptions, &ordinals)?)
            }
        });
    }
    let (products, now) = (products(catalog), app.clock.now());
    for id in &touched.credentials {
        let live = tx.credential(*id).await?.filter(|credential| is_live(credential, now));
        changes.push(live.map_or(Change::RemoveKey(*id), |credential| {
            Change::UpsertKey(key(&credential, &products))
        }));
    }
    Ok(changes)
}

/// All consumers and keys. The control transaction is held, so that the pages belong together.
pub(super) async fn all(app: &App, held: &mut ControlTx, catalog: &Catalog) -> Result<Vec<Change>, Error> {
    let mut subscriptions: HashMap<ConsumerId, Vec<Subscription>> = HashMap::new();
    let mut page = Page::first(Page::MAX);
    loop {
        let some = app.store.live_subscriptions(&page).await?;
        let Some(last) = some.last().map(|subscription| subscription.id) else {
            break;
        };
        for subscription in some {
            subscriptions
                .entry(subscription.consumer_id)
                .or_default()
                .push(subscription);
        }
        page = Page::first(Page::MAX).continued(last);
    }
    let ordinals = held.segment_ordinals(None).await?;
    let mut changes = Vec::new();
    let mut page = Page::first(Page::MAX);
    loop {
        let some = app.store.consumers(Scope::All, None, &page).await?;
        let Some(last) = some.last().map(|consumer| consumer.id) else {
            break;
        };
        for consumer in &some {
            let own = subscriptions.get(&consumer.id).map(Vec::as_slice).unwrap_or_default();
            changes.push(Change::UpsertConsumer(record(consumer, own, &ordinals)?));
        }
        page = Page::first(Page::MAX).continued(last);
    }
    let (products, now) = (products(catalog), app.clock.now());
    let mut page = Page::first(Page::MAX);
    loop {
        let some = app.store.live_credentials(now, &page).await?;
        let Some(last) = some.last().map(|credential| credential.id) else {
            return Ok(changes);
        };
        changes.extend(
            some.iter()
                .map(|credential| Change::UpsertKey(key(credential, &products))),
        );
        page = Page::first(Page::MAX).continued(last);
    }
}

/// Ordinals of segments by subscription.
type Ordinals = HashMap<SubscriptionId, u32>;

fn record(consumer: &Consumer, subscriptions: &[Subscription], ordinals: &Ordinals) -> Result<ConsumerRecord, Error> {
    let live = subscriptions
        .iter()
        .filter(|subscription| subscription.status.is_live());
    let subscriptions = live
        .map(|subscription| {
            Ok(SubscriptionRecord {
                id: subscription.id,
                plan_version: subscription.plan_version_id,
                segment: ordinals.get(&subscription.id).copied().unwrap_or(0),
                status: subscription.status,
                grace_until: subscription.grace_until,
                cycle: cycle(subscription).ok_or_else(|| Error::Unreadable(subscription.id.to_string()))?,
                created_at: subscription.created_at,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(ConsumerRecord {
        id: consumer.id,
        name: consumer.name.clone(),
        account: consumer.account_id,
        status: consumer.status,
        subscriptions,
    })
}

/// The periods of a subscription. One that was never activated is not served; its periods stand for nothing.
fn cycle(subscription: &Subscription) -> Option<CycleRecord> {
    let zone: domain::period::Zone = subscription.zone.parse().ok()?;
    let every = subscription.every.parse().ok()?;
    let anchor = match &subscription.anchor_local {
        Some(local) => Anchor {
            local: local.parse().ok()?,
            zone,
        },
        None => Anchor::at(subscription.created_at, zone),
    };
    Some(CycleRecord {
        schedule: Schedule::new(anchor, every),
        fixed: Vec::new(),
    })
}

fn is_live(credential: &Credential, now: Timestamp) -> bool {
    credential.revoked_at.is_none_or(|at| at > now)
}

fn key(credential: &Credential, products: &BTreeMap<String, ProductId>) -> KeyRecord {
    // A key for products that are gone opens nothing; an empty list would open everything.
    let none = ProductId::from_bits(0);
    let ends = [credential.expires_at, credential.revoked_at];
    KeyRecord {
        id: credential.id,
        hash: credential.hash,
        mode: credential.mode,
        consumer: credential.consumer_id,
        products: credential
            .products
            .iter()
            .map(|name| products.get(name).copied().unwrap_or(none))
            .collect(),
        expires_at: ends.into_iter().flatten().min(),
        revoked: false,
    }
}
