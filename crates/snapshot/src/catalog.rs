//! APIs, meters, products and plans, compiled together: they refer to each other and change rarely.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::ids::{ApiId, MeterId, PlanVersionId, ProductId};
use domain::sealed::MasterKey;

use crate::api::{CompiledApi, Surroundings};
use crate::error::{Error, Fault, Object};
use crate::meter::CompiledMeter;
use crate::plan::{CompiledAnonymous, CompiledPlan, CompiledProduct};
use crate::routes::{Route, segments, without_parameters};
use crate::source::{AnonymousRecord, ApiRecord, Change, MeterRecord, PlanVersionRecord, ProductRecord};

/// The rows of the catalog.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    apis: BTreeMap<ApiId, Arc<ApiRecord>>,
    meters: BTreeMap<MeterId, Arc<MeterRecord>>,
    products: BTreeMap<ProductId, Arc<ProductRecord>>,
    plans: BTreeMap<PlanVersionId, Arc<PlanVersionRecord>>,
    anonymous: BTreeMap<ApiId, Arc<AnonymousRecord>>,
}

/// Sets a row, keeping the known one where nothing differs, so that what was compiled from it can be shared.
fn upsert<K: Ord, R: PartialEq>(rows: &mut BTreeMap<K, Arc<R>>, id: K, record: R) {
    if rows.get(&id).is_none_or(|known| **known != record) {
        rows.insert(id, Arc::new(record));
    }
}

impl Rows {
    /// All rows as changes from nothing.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        let apis = self
            .apis
            .values()
            .map(|row| Change::UpsertApi(Box::new((**row).clone())));
        let meters = self.meters.values().map(|row| Change::UpsertMeter((**row).clone()));
        let products = self.products.values().map(|row| Change::UpsertProduct((**row).clone()));
        let plans = self
            .plans
            .values()
            .map(|row| Change::UpsertPlanVersion((**row).clone()));
        let anonymous = self
            .anonymous
            .values()
            .map(|row| Change::UpsertAnonymous((**row).clone()));
        apis.chain(meters).chain(products).chain(plans).chain(anonymous)
    }

    /// Takes up a change of the catalog; gives back one of consumers or keys.
    pub(crate) fn apply(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::UpsertApi(record) => upsert(&mut self.apis, record.id, *record),
            Change::RemoveApi(id) => drop(self.apis.remove(&id)),
            Change::UpsertMeter(record) => upsert(&mut self.meters, record.id, record),
            Change::RemoveMeter(id) => drop(self.meters.remove(&id)),
            Change::UpsertProduct(record) => upsert(&mut self.products, record.id, record),
            Change::RemoveProduct(id) => drop(self.products.remove(&id)),
            Change::UpsertPlanVersion(record) => upsert(&mut self.plans, record.id, record),
            Change::RemovePlanVersion(id) => drop(self.plans.remove(&id)),
            Change::UpsertAnonymous(record) => upsert(&mut self.anonymous, record.api, record),
            Change::RemoveAnonymous(id) => drop(self.anonymous.remove(&id)),
            Change::UpsertConsumer(_) | Change::RemoveConsumer(_) | Change::UpsertKey(_) | Change::RemoveKey(_) => {
                return Some(change);
            }
        }
        None
    }
}

/// APIs, meters, products and plans.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) rows: Rows,
    pub(crate) routes: Routes,
    pub(crate) plans: BTreeMap<PlanVersionId, Arc<CompiledPlan>>,
    products: BTreeMap<ProductId, Arc<CompiledProduct>>,
    meters: BTreeMap<MeterId, Arc<CompiledMeter>>,
}

fn missing(object: Object, kind: &'static str, name: impl std::fmt::Display) -> Error {
    Error {
        object,
        fault: Fault::Missing(Object::new(kind, name)),
    }
}

impl Catalog {
    pub(crate) fn compile(previous: &Self, rows: Rows, master: &MasterKey) -> Result<Self, Error> {
        let mut next = Self {
            rows,
            ..Self::default()
        };
        next.compile_meters(previous)?;
        next.compile_products(previous)?;
        next.compile_plans(previous)?;
        next.compile_apis(previous, master)?;
        Ok(next)
    }

    fn compile_meters(&mut self, previous: &Self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for (id, record) in &self.rows.meters {
            let object = || Object::new("meter", &record.spec.name);
            if !names.insert(&record.spec.name) {
                return Err(Error {
                    object: object(),
                    fault: Fault::Duplicate(object()),
                });
            }
            let compiled = CompiledMeter::new(record).map_err(|fault| Error {
                object: object(),
                fault,
            })?;
            let known = previous.meters.get(id).filter(|known| ***known == compiled);
            self.meters
                .insert(*id, known.map_or_else(|| Arc::new(compiled), Arc::clone));
        }
        Ok(())
    }

    fn compile_products(&mut self, previous: &Self) -> Result<(), Error> {
        for (id, record) in &self.rows.products {
            if let Some(api) = record.apis.iter().find(|api| !self.rows.apis.contains_key(api)) {
                return Err(missing(Object::new("product", &record.name), "api", api));
            }
            let known = previous
                .products
                .get(id)
                .filter(|known| Arc::ptr_eq(&known.record, record));
            self.products.insert(
                *id,
                known.map_or_else(|| Arc::new(CompiledProduct::new(record)), Arc::clone),
            );
        }
        Ok(())
    }

    fn compile_plans(&mut self, previous: &Self) -> Result<(), Error> {
        for (id, record) in &self.rows.plans {
            let object = || {
                Object::new(
                    "plan",
                    format_args!("{} (version {}, {id})", record.name, record.version),
                )
            };
            let product = self.products.get(&record.product);
            let product = product.ok_or_else(|| missing(object(), "product", record.product))?;
            let same =
                |known: &&Arc<CompiledPlan>| Arc::ptr_eq(&known.record, record) && Arc::ptr_eq(&known.product, product);
            let plan = match previous.plans.get(id).filter(same) {
                Some(known) => Arc::clone(known),
                None => Arc::new(CompiledPlan::new(record, product).map_err(|fault| Error {
                    object: object(),
                    fault,
                })?),
            };
            self.plans.insert(*id, plan);
        }
        Ok(())
    }

    fn compile_apis(&mut self, previous: &Self, master: &MasterKey) -> Result<(), Error> {
        if let Some(orphan) = self.rows.anonymous.keys().find(|api| !self.rows.apis.contains_key(api)) {
            return Err(missing(Object::new("anonymous plan", orphan), "api", orphan));
        }
        let wanted = self.wanted_meters();
        let mut routes = Routes::default();
        for (id, record) in &self.rows.apis {
            let meters = wanted.get(id).map(|names| self.meters_named(names)).unwrap_or_default();
            let around = Surroundings {
                anonymous: self.anonymous_of(*id)?,
                meters,
            };
            let object = || Object::new("api", &record.spec.name);
            let api = match previous
                .routes
                .apis
                .get(id)
                .filter(|known| known.is_from(record, &around))
            {
                Some(known) => Arc::clone(known),
                None => Arc::new(CompiledApi::new(record, around, master).map_err(|fault| Error {
                    object: object(),
                    fault,
                })?),
            };
            routes.place(&api)?;
            routes.apis.insert(*id, api);
        }
        self.routes = routes;
        Ok(())
    }

    fn anonymous_of(&self, api: ApiId) -> Result<Option<CompiledAnonymous>, Error> {
        let Some(record) = self.rows.anonymous.get(&api) else {
            return Ok(None);
        };
        let plan = self.plans.get(&record.plan_version);
        let plan =
            plan.ok_or_else(|| missing(Object::new("anonymous plan", api), "plan version", record.plan_version))?;
        Ok(Some(CompiledAnonymous::new(record, plan)))
    }

    /// The names of the meters that plans count or price, by API.
    fn wanted_meters(&self) -> HashMap<ApiId, BTreeSet<&str>> {
        let mut by_product: HashMap<ProductId, BTreeSet<&str>> = HashMap::new();
        for plan in self.plans.values() {
            by_product
                .entry(plan.product.id)
                .or_default()
                .extend(plan.meters.iter().map(|meter| &**meter));
        }
        let mut by_api: HashMap<ApiId, BTreeSet<&str>> = HashMap::new();
        for (product, meters) in by_product {
            for api in self
                .rows
                .products
                .get(&product)
                .map(|record| record.apis.as_slice())
                .unwrap_or_default()
            {
                by_api.entry(*api).or_default().extend(&meters);
            }
        }
        by_api
    }

    fn meters_named(&self, names: &BTreeSet<&str>) -> Box<[Arc<CompiledMeter>]> {
        self.meters
            .values()
            .filter(|meter| names.contains(&*meter.name))
            .map(Arc::clone)
            .collect()
    }

    /// All that was computed, one text an object.
    pub(crate) fn dump(&self) -> impl Iterator<Item = String> {
        let rows = &self.rows;
        let apis = rows.apis.iter().map(|(id, row)| {
            let compiled = self.routes.apis.get(id).map(|api| api.dump());
            format!("api {} {compiled:?}", serde_json::to_string(&**row).unwrap_or_default())
        });
        let plans = rows.plans.iter().map(|(id, row)| {
            let compiled = self.plans.get(id).map(|plan| plan.dump());
            format!(
                "plan {} {compiled:?}",
                serde_json::to_string(&**row).unwrap_or_default()
            )
        });
        let meters = rows.meters.values().map(|row| format!("meter {row:?}"));
        let products = rows.products.values().map(|row| format!("product {row:?}"));
        let anonymous = rows.anonymous.values().map(|row| format!("anonymous {row:?}"));
        apis.chain(plans).chain(meters).chain(products).chain(anonymous)
    }
}

#[derive(Debug, Default)]
struct Base {
    below: HashMap<Box<str>, Base>,
    api: Option<Arc<CompiledApi>>,
}

impl Base {
    /// The API with the longest base path, and the segments of that.
    fn longest(&self, segments: &[Cow<'_, str>]) -> Option<(&Arc<CompiledApi>, usize)> {
        let mut best = self.api.as_ref().map(|api| (api, 0));
        let mut node = self;
        for (depth, segment) in (1..).zip(segments) {
            let Some(next) = node.below.get(&**segment) else { break };
            node = next;
            best = node.api.as_ref().map(|api| (api, depth)).or(best);
        }
        best
    }
}

/// Finds APIs and operations.
#[derive(Debug, Default)]
pub struct Routes {
    hosts: HashMap<Box<str>, Base>,
    any: Base,
    pub(crate) apis: BTreeMap<ApiId, Arc<CompiledApi>>,
}

impl Routes {
    /// Where a request goes: an API of its host before one of any host, then the longest base path, then the operation.
    /// Nowhere, if the path without its `;` parameters would lead to a longer base path.
    ///
    /// `host` is as in the request, with or without a port, empty where there is none; `path` is canonical
    /// ([`domain::path::canonical`]); `method` is as in the request.
    pub fn find<'a, 'p>(&'a self, host: &str, path: &'p str, method: &str) -> Route<'a, 'p> {
        let segments = segments(path);
        let owner = self.owner(host, &segments);
        // A server that takes `;` parameters off would serve `/vault;x/` from below `/vault`: such a spelling must not
        // lead past that API to another.
        if let Some(bare) = without_parameters(&segments)
            && let Some((meant, depth)) = self.owner(host, &bare)
            && owner.is_none_or(|(_, at)| at < depth)
        {
            return Route::NoRoute { api: Some(meant) };
        }
        match owner {
            Some((api, _)) => api.route(path, &segments, method),
            None => Route::NoRoute { api: None },
        }
    }

    fn owner(&self, host: &str, segments: &[Cow<'_, str>]) -> Option<(&Arc<CompiledApi>, usize)> {
        let named = if self.hosts.is_empty() {
            None
        } else {
            self.base_of(host)
        };
        named
            .and_then(|base| base.longest(segments))
            .or_else(|| self.any.longest(segments))
    }

    /// All APIs, by id.
    pub fn apis(&self) -> impl Iterator<Item = &Arc<CompiledApi>> {
        self.apis.values()
    }

    /// An API by its id.
    pub fn api(&self, id: ApiId) -> Option<&Arc<CompiledApi>> {
        self.apis.get(&id)
    }

    fn base_of(&self, host: &str) -> Option<&Base> {
        let name = host_without_port(host);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.hosts.get(name.to_ascii_lowercase().as_str())
        } else {
            self.hosts.get(name)
        }
    }

    fn place(&mut self, api: &Arc<CompiledApi>) -> Result<(), Error> {
        if api.hosts.is_empty() {
            return put(&mut self.any, api);
        }
        let mut hosts = api.hosts.to_vec();
        hosts.sort();
        hosts.dedup();
        hosts
            .into_iter()
            .try_for_each(|host| put(self.hosts.entry(host).or_default(), api))
    }
}

fn put(root: &mut Base, api: &Arc<CompiledApi>) -> Result<(), Error> {
    let node = segments(&api.base_path)
        .iter()
        .fold(root, |node, segment| node.below.entry((&**segment).into()).or_default());
    if let Some(other) = &node.api {
        let fault = Fault::SamePlace(other.name.to_string());
        return Err(Error {
            object: Object::new("api", &api.name),
            fault,
        });
    }
    node.api = Some(Arc::clone(api));
    Ok(())
}

/// A host without port and without the dot of a full name.
fn host_without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}
