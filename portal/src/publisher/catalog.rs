//! The part of a snapshot that the configuration makes: APIs, meters, products, plan versions, anonymous plans.
//!
//! It is read through a control transaction, so that an apply can try it before it commits.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use domain::config::{self, Api, Plan};
use domain::ids::{ApiId, ProductId};
use domain::sealed::Sealed;
use snapshot::source::{
    AnonymousRecord, ApiRecord, Change, MeterRecord, OperationRecord, PlanVersionRecord, ProductRecord, priced_meters,
    upstream_auth_context,
};
use store::{ControlTx, Object, ObjectKind, PlanVersion};

const MAX_CACHED: usize = 512;

/// Why the stored configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A stored object is not what its kind promises.
    #[error("the stored {0} cannot be read")]
    Unreadable(String),
    /// The snapshot refuses it.
    #[error(transparent)]
    Refused(#[from] snapshot::Error),
    /// A thread ended early.
    #[error("the compiling thread ended early")]
    Thread(#[from] tokio::task::JoinError),
}

/// Every row by a key of its own.
pub(crate) type Catalog = BTreeMap<String, Change>;

/// Operations of documents by the hash of the document: reading a large one takes a while.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<HashMap<[u8; 32], Arc<Vec<OperationRecord>>>>);

impl Operations {
    async fn of(&self, tx: &mut ControlTx, hash: [u8; 32]) -> Result<Arc<Vec<OperationRecord>>, Error> {
        if let Some(known) = self.lock().get(&hash) {
            return Ok(Arc::clone(known));
        }
        let bytes = tx.document(&hash).await?.unwrap_or_default();
        let read = Arc::new(tokio::task::spawn_blocking(move || operations(&bytes)).await?);
        let mut cache = self.lock();
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(hash, Arc::clone(&read));
        Ok(read)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Vec<OperationRecord>>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn operations(document: &[u8]) -> Vec<OperationRecord> {
    let root: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let described = description::openapi::read(&root).operations.into_iter();
    let routes = described.filter(|operation| operation.shares_route_of.is_none());
    routes
        .map(|operation| OperationRecord {
            key: operation.key,
            method: operation.method,
            path_key: operation.path_key,
        })
        .collect()
}

/// The rows of the configuration in force.
pub(crate) async fn catalog(tx: &mut ControlTx, cache: &Operations) -> Result<Catalog, Error> {
    let objects = tx.objects(None).await?;
    let mut rows = Catalog::new();
    let mut apis: HashMap<String, ApiId> = HashMap::new();
    let mut anonymous = Vec::new();
    for object in objects.iter().filter(|object| object.fields.kind == ObjectKind::Api) {
        let record = api(tx, cache, object).await?;
        apis.insert(record.spec.name.clone(), record.id);
        anonymous.extend(record.spec.anonymous.clone().map(|wanted| (record.id, wanted)));
        rows.insert(object.id.clone(), Change::UpsertApi(Box::new(record)));
    }
    for object in objects.iter().filter(|object| object.fields.kind == ObjectKind::Meter) {
        let record = MeterRecord {
            id: id(object)?,
            spec: body(object)?,
        };
        rows.insert(object.id.clone(), Change::UpsertMeter(record));
    }
    for object in objects
        .iter()
        .filter(|object| object.fields.kind == ObjectKind::Product)
    {
        rows.insert(object.id.clone(), Change::UpsertProduct(product(object, &apis)?));
    }
    for version in tx.plan_versions_in_use().await? {
        plan_version(tx, &version, (&mut rows, &apis)).await?;
    }
    for (api, wanted) in anonymous {
        if let Some(record) = anonymous_plan(&objects, api, &wanted, tx).await? {
            rows.insert(format!("anonymous {api}"), Change::UpsertAnonymous(record));
        }
    }
    Ok(rows)
}

async fn api(tx: &mut ControlTx, cache: &Operations, object: &Object) -> Result<ApiRecord, Error> {
    let id: ApiId = id(object)?;
    let spec: Api = body(object)?;
    let operations = match object.fields.document {
        Some(hash) => cache.of(tx, hash).await?.as_ref().clone(),
        None => Vec::new(),
    };
    let upstream_auth = match &spec.upstream.auth {
        Some(_) => sealed(tx, id).await?,
        None => None,
    };
    Ok(ApiRecord {
        id,
        spec,
        operations,
        upstream_auth,
    })
}

async fn sealed(tx: &mut ControlTx, api: ApiId) -> Result<Option<Sealed>, Error> {
    let bytes = tx.secret(&upstream_auth_context(api)).await?;
    Ok(bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok()))
}

fn product(object: &Object, apis: &HashMap<String, ApiId>) -> Result<ProductRecord, Error> {
    let spec: config::Product = body(object)?;
    let own = spec.apis.iter().filter_map(|name| apis.get(name).copied()).collect();
    Ok(ProductRecord {
        id: id(object)?,
        name: spec.name,
        apis: own,
        priority: spec.priority,
    })
}

/// Adds a version, and the product of an archived plan that still has subscribers.
async fn plan_version(
    tx: &mut ControlTx,
    version: &PlanVersion,
    (rows, apis): (&mut Catalog, &HashMap<String, ApiId>),
) -> Result<(), Error> {
    let Some(plan) = tx.object(&version.plan_id.to_string()).await? else {
        return Ok(());
    };
    let Some(parent) = tx.object(&plan.fields.parent).await? else {
        return Ok(());
    };
    if !rows.contains_key(&parent.id) {
        rows.insert(parent.id.clone(), Change::UpsertProduct(product(&parent, apis)?));
    }
    let body: Plan =
        serde_json::from_value(version.body.clone()).map_err(|_| Error::Unreadable(version.id.to_string()))?;
    let product: ProductId = id(&parent)?;
    let record = PlanVersionRecord {
        id: version.id,
        plan: version.plan_id,
        product,
        name: plan.fields.name,
        version: u32::try_from(version.n).unwrap_or(u32::MAX),
        limits: body.limits,
        priced: body.price.as_ref().map(priced_meters).unwrap_or_default(),
    };
    rows.insert(version.id.to_string(), Change::UpsertPlanVersion(record));
    Ok(())
}

async fn anonymous_plan(
    objects: &[Object],
    api: ApiId,
    wanted: &config::Anonymous,
    tx: &mut ControlTx,
) -> Result<Option<AnonymousRecord>, Error> {
    let named = |kind: ObjectKind, parent: &str, name: &str| {
        objects
            .iter()
            .find(|object| object.fields.kind == kind && object.fields.parent == parent && object.fields.name == name)
    };
    let plan = named(ObjectKind::Product, "", &wanted.product)
        .and_then(|product| named(ObjectKind::Plan, &product.id, &wanted.plan));
    let Some(plan) = plan else { return Ok(None) };
    let version = tx.latest_plan_version(id(plan)?).await?;
    Ok(version.map(|version| AnonymousRecord {
        api,
        plan_version: version.id,
        by: wanted.by,
    }))
}

fn id<T: std::str::FromStr>(object: &Object) -> Result<T, Error> {
    object.id.parse().map_err(|_| Error::Unreadable(object.id.clone()))
}

fn body<T: serde::de::DeserializeOwned>(object: &Object) -> Result<T, Error> {
    serde_json::from_value(object.fields.body.clone()).map_err(|_| Error::Unreadable(object.id.clone()))
}

/// The changes from one catalog to another.
pub(crate) fn difference(old: &Catalog, new: &Catalog) -> Vec<Change> {
    let changed = new
        .iter()
        .filter(|(key, row)| old.get(*key) != Some(row))
        .map(|(_, row)| row.clone());
    let gone = old
        .iter()
        .filter(|(key, _)| !new.contains_key(*key))
        .filter_map(|(_, row)| removal(row));
    changed.chain(gone).collect()
}

fn removal(row: &Change) -> Option<Change> {
    match row {
        Change::UpsertApi(record) => Some(Change::RemoveApi(record.id)),
        Change::UpsertMeter(record) => Some(Change::RemoveMeter(record.id)),
        Change::UpsertProduct(record) => Some(Change::RemoveProduct(record.id)),
        Change::UpsertPlanVersion(record) => Some(Change::RemovePlanVersion(record.id)),
        Change::UpsertAnonymous(record) => Some(Change::RemoveAnonymous(record.api)),
        _ => None,
    }
}
