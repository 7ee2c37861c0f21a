//! Plans and products, compiled.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use domain::config::AnonymousBy;
use domain::cycle::UsageCycle;
use domain::enforce::{CalendarUnit, EnforcedLimit, EnforcedRule, QuotaOf, Sharing};
use domain::ids::{ApiId, PlanId, PlanVersionId, ProductId};
use domain::limit::{Algorithm, Limit, Per, Quota, REQUESTS, Rule};

use crate::error::Fault;
use crate::source::{AnonymousRecord, PlanVersionRecord, PricedMeter, ProductRecord};

/// A product.
#[derive(Debug, PartialEq, Eq)]
pub struct CompiledProduct {
    /// Id.
    pub id: ProductId,
    /// Name.
    pub name: Arc<str>,
    /// Which product pays where several cover an operation: the lowest.
    pub priority: i32,
    /// Its APIs, sorted.
    apis: Box<[ApiId]>,
    pub(crate) record: Arc<ProductRecord>,
}

impl CompiledProduct {
    pub(crate) fn new(record: &Arc<ProductRecord>) -> Self {
        let apis: BTreeSet<ApiId> = record.apis.iter().copied().collect();
        Self {
            id: record.id,
            name: record.name.as_str().into(),
            priority: record.priority,
            apis: apis.into_iter().collect(),
            record: Arc::clone(record),
        }
    }

    /// Whether it covers an API.
    pub fn covers(&self, api: ApiId) -> bool {
        self.apis.binary_search(&api).is_ok()
    }
}

/// The limits that apply to one operation.
#[derive(Debug, PartialEq, Eq)]
pub struct OperationLimits {
    /// Indexes into [`CompiledPlan::limits`].
    pub applies: Box<[u16]>,
    /// The value of `RateLimit-Policy`; empty when no limit with an end applies.
    pub policy_header: Box<str>,
}

/// A version of a plan.
#[derive(Debug)]
pub struct CompiledPlan {
    /// Id of the version.
    pub version_id: PlanVersionId,
    /// Id of the plan.
    pub plan_id: PlanId,
    /// Its product.
    pub product: Arc<CompiledProduct>,
    /// Name of the plan.
    pub name: Arc<str>,
    /// Number of the version.
    pub version: u32,
    /// Limits, in the plan's order.
    pub limits: Box<[EnforcedLimit]>,
    /// Indexes of all limits, for views.
    pub all: Box<[u16]>,
    /// Meters that a quota or the price counts, without `requests`.
    pub(crate) meters: BTreeSet<Box<str>>,
    general: OperationLimits,
    /// Operations that a limit names.
    named: HashMap<Box<str>, OperationLimits>,
    pub(crate) record: Arc<PlanVersionRecord>,
}

impl CompiledPlan {
    pub(crate) fn new(record: &Arc<PlanVersionRecord>, product: &Arc<CompiledProduct>) -> Result<Self, Fault> {
        let understood = understand(record)?;
        let limits: Box<[EnforcedLimit]> = understood
            .iter()
            .map(|limit| enforced(limit, &record.priced))
            .collect::<Result<_, _>>()?;
        let all = (0..limits.len())
            .map(|at| u16::try_from(at).map_err(|_| Fault::TooMany))
            .collect::<Result<_, _>>()?;
        let names: BTreeSet<&str> = understood
            .iter()
            .flat_map(|limit| limit.operations.iter().map(String::as_str))
            .collect();
        Ok(Self {
            version_id: record.id,
            plan_id: record.plan,
            product: Arc::clone(product),
            name: record.name.as_str().into(),
            version: record.version,
            all,
            meters: meters(&limits, &record.priced),
            general: OperationLimits::new(&understood, &limits, None),
            named: names
                .into_iter()
                .map(|name| (name.into(), OperationLimits::new(&understood, &limits, Some(name))))
                .collect(),
            limits,
            record: Arc::clone(record),
        })
    }

    /// The limits of an operation, by its key.
    pub fn limits_of(&self, operation: &str) -> &OperationLimits {
        if self.named.is_empty() {
            return &self.general;
        }
        self.named.get(operation).unwrap_or(&self.general)
    }

    /// All that was computed, in one order.
    pub(crate) fn dump(&self) -> String {
        let mut named: Vec<_> = self.named.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        format!(
            "{:?} {:?} {:?} {:?} {named:?}",
            self.limits, self.meters, self.general, self.product.id
        )
    }
}

/// The plan of callers without a credential.
#[derive(Debug, Clone)]
pub struct CompiledAnonymous {
    /// The plan version in force.
    pub plan: Arc<CompiledPlan>,
    /// What one caller is.
    pub by: AnonymousBy,
    /// Their quotas follow UTC months.
    pub cycle: UsageCycle,
}

impl CompiledAnonymous {
    pub(crate) fn new(record: &AnonymousRecord, plan: &Arc<CompiledPlan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            by: record.by,
            cycle: UsageCycle::utc_months(),
        }
    }
}

fn understand(record: &PlanVersionRecord) -> Result<Vec<Limit>, Fault> {
    let mut keys = BTreeSet::new();
    let mut limits = Vec::with_capacity(record.limits.len());
    for (at, entry) in record.limits.iter().enumerate() {
        let limit = entry.understand().map_err(|fault| Fault::Limit { at, fault })?;
        if !keys.insert(limit.key.clone()) {
            return Err(Fault::SameLimit(limit.key));
        }
        limits.push(limit);
    }
    Ok(limits)
}

const SECOND_NS: u64 = 1_000_000_000;

fn enforced(limit: &Limit, priced: &[PricedMeter]) -> Result<EnforcedLimit, Fault> {
    let rule = match &limit.rule {
        Rule::Rate {
            requests,
            per,
            algorithm,
            burst,
        } => rate(*requests, *per, *algorithm, *burst),
        Rule::Quota(quota) => quota_rule(quota, priced)?,
        Rule::Concurrency { max } => EnforcedRule::Concurrency { max: *max },
    };
    Ok(EnforcedLimit {
        key: limit.key.as_str().into(),
        rule,
    })
}

fn rate(requests: u64, per: Per, algorithm: Algorithm, burst: u64) -> EnforcedRule {
    let window_ns = match per {
        Per::Second => SECOND_NS,
        Per::Minute => 60 * SECOND_NS,
        Per::Hour => 3_600 * SECOND_NS,
        Per::Day => {
            return EnforcedRule::Calendar {
                requests,
                unit: CalendarUnit::Day,
            };
        }
        // A rate per period does not exist: `understand` reads it as a quota.
        Per::Month | Per::Period => {
            return EnforcedRule::Calendar {
                requests,
                unit: CalendarUnit::Month,
            };
        }
    };
    match algorithm {
        Algorithm::FixedWindow => EnforcedRule::Fixed { requests, window_ns },
        Algorithm::TokenBucket => EnforcedRule::Bucket {
            requests,
            window_ns,
            burst,
        },
    }
}

fn quota_rule(quota: &Quota, priced: &[PricedMeter]) -> Result<EnforcedRule, Fault> {
    let included = || {
        priced
            .iter()
            .find(|priced| priced.meter == quota.meter)
            .and_then(|priced| priced.included)
    };
    let max = quota
        .max
        .or_else(included)
        .ok_or_else(|| Fault::NoMaximum(quota.meter.clone()))?;
    Ok(EnforcedRule::Quota {
        meter: quota.meter.as_str().into(),
        of: if quota.meter == REQUESTS {
            QuotaOf::Requests
        } else {
            QuotaOf::Quantities
        },
        max,
        ceiling: quota.ceiling(max),
        sharing: Sharing {
            precision: quota.precision,
            when_unavailable: quota.when_unavailable,
        },
    })
}

fn meters(limits: &[EnforcedLimit], priced: &[PricedMeter]) -> BTreeSet<Box<str>> {
    let counted = limits.iter().filter_map(|limit| match &limit.rule {
        EnforcedRule::Quota { meter, .. } => Some(&**meter),
        EnforcedRule::Bucket { .. }
        | EnforcedRule::Fixed { .. }
        | EnforcedRule::Calendar { .. }
        | EnforcedRule::Concurrency { .. } => None,
    });
    let priced = priced.iter().map(|priced| priced.meter.as_str());
    counted
        .chain(priced)
        .filter(|meter| *meter != REQUESTS)
        .map(Into::into)
        .collect()
}

impl OperationLimits {
    fn new(understood: &[Limit], limits: &[EnforcedLimit], operation: Option<&str>) -> Self {
        let covers = |limit: &Limit| {
            limit.operations.is_empty()
                || operation.is_some_and(|name| limit.operations.iter().any(|known| known == name))
        };
        let applies: Box<[u16]> = understood
            .iter()
            .enumerate()
            .filter(|(_, limit)| covers(limit))
            .filter_map(|(at, _)| u16::try_from(at).ok())
            .collect();
        let policies: Vec<String> = applies
            .iter()
            .filter_map(|at| limits.get(usize::from(*at)))
            .filter_map(policy_of)
            .collect();
        Self {
            policy_header: policies.join(", ").into(),
            applies,
        }
    }
}

/// One policy of `RateLimit-Policy` (IETF draft): its name, quota and window in seconds where that never varies.
fn policy_of(limit: &EnforcedLimit) -> Option<String> {
    let (quota, window) = match limit.rule {
        EnforcedRule::Bucket {
            requests,
            window_ns,
            burst,
        } => {
            let fill = u128::from(window_ns) * u128::from(burst) / u128::from(requests.max(1));
            (burst, Some(fill.div_ceil(u128::from(SECOND_NS))))
        }
        EnforcedRule::Fixed { requests, window_ns } => (requests, Some(u128::from(window_ns / SECOND_NS))),
        EnforcedRule::Calendar {
            requests,
            unit: CalendarUnit::Day,
        } => (requests, Some(86_400)),
        EnforcedRule::Calendar {
            requests,
            unit: CalendarUnit::Month,
        } => (requests, None),
        EnforcedRule::Quota {
            ceiling: Some(ceiling), ..
        } => (ceiling, None),
        EnforcedRule::Quota { ceiling: None, .. } | EnforcedRule::Concurrency { .. } => return None,
    };
    let mut text = format!("\"{}\";q={quota}", printable(&limit.key));
    if let Some(window) = window {
        // Writing to a string cannot fail.
        let _ = write!(text, ";w={window}");
    }
    Some(text)
}

/// A limit's key as the string of a structured field (RFC 9651): whatever that cannot hold becomes `_`.
pub(crate) fn printable(key: &str) -> String {
    key.chars()
        .map(|letter| {
            if matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\') {
                letter
            } else {
                '_'
            }
        })
        .collect()
}
