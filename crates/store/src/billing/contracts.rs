//! What billing needs of the control database: accounts that may owe something, and what each has agreed to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::charge::{CREDIT_PRORATED, Contract, Proration, Stretch, Terms};
use domain::config::{BillingSettings, Plan, Settings};
use domain::ids::{AccountId, PlanVersionId};
use domain::invoice::Party;
use domain::money::Currency;
use domain::period::{Anchor, Schedule};

use super::unbillable;
use crate::{Account, Error, ObjectKind, Result, Segment, Store, Subscription, Tx, args};

/// An account and everything that decides what it owes.
#[derive(Debug, Clone)]
pub struct AccountBill {
    /// The account.
    pub account: Account,
    /// Its subscriptions that were activated, ended ones too.
    pub contracts: Vec<Contract>,
    /// The deployment's settings of billing.
    pub settings: BillingSettings,
    /// Who issues its documents.
    pub seller: Party,
}

impl AccountBill {
    /// How parts of a contract's periods are measured.
    pub fn proration(&self, contract: &Contract) -> Proration {
        Proration {
            unit: self.settings.proration,
            zone: contract.schedule.anchor().zone.clone(),
        }
    }

    pub(super) fn customer(&self) -> Party {
        let fields = &self.account.fields;
        Party {
            name: fields.name.clone(),
            email: fields.email.clone(),
            address: fields.address.clone(),
            country: fields.country.clone(),
            tax_ids: fields.tax_ids.clone(),
        }
    }
}

const OWING: &str = "SELECT DISTINCT account_id FROM subscriptions
    WHERE activated_at IS NOT NULL AND ($1 IS NULL OR account_id > $1) ORDER BY account_id LIMIT $2";
const ACTIVATED: &str = "SELECT * FROM subscriptions WHERE account_id = $1 AND activated_at IS NOT NULL ORDER BY id";
const SEGMENTS: &str = "SELECT g.* FROM sub_segments g JOIN subscriptions s ON s.id = g.subscription_id
    WHERE s.account_id = $1 ORDER BY g.subscription_id, g.n";
const VERSIONS: &str =
    "SELECT DISTINCT v.id, v.body_json FROM plan_versions v JOIN sub_segments g ON g.plan_version_id = v.id
    JOIN subscriptions s ON s.id = g.subscription_id WHERE s.account_id = $1";

impl Store {
    /// Accounts that have or had a subscription in force, by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn owing_accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<AccountId>> {
        let rows = self.control.rows(OWING, args![after, limit]).await?;
        rows.iter().map(|row| row.get("account_id")).collect()
    }

    /// The account with everything that decides what it owes.
    ///
    /// # Errors
    /// [`Error::State`] when a plan version or a schedule cannot be read.
    pub async fn account_bill(&self, id: AccountId) -> Result<Option<AccountBill>> {
        let mut tx = self.control.read().await?;
        let account: Option<Account> = tx.one("SELECT * FROM accounts WHERE id = $1", args![id]).await?;
        let Some(account) = account else { return Ok(None) };
        let settings = settings(&mut tx).await?;
        let subscriptions: Vec<Subscription> = tx.all(ACTIVATED, args![id]).await?;
        let mut segments: HashMap<_, Vec<Segment>> = HashMap::new();
        for segment in tx.all::<Segment>(SEGMENTS, args![id]).await? {
            segments.entry(segment.subscription_id).or_default().push(segment);
        }
        let wanted = account.fields.currency.parse().unwrap_or_default();
        let versions = versions(&mut tx, id, wanted).await?;
        let unit_labels = unit_labels(&mut tx).await?;
        tx.rollback().await?;
        let mut contracts = Vec::with_capacity(subscriptions.len());
        for subscription in &subscriptions {
            let own = segments.remove(&subscription.id).unwrap_or_default();
            contracts.push(contract(subscription, &own, &versions, &unit_labels)?);
        }
        Ok(Some(AccountBill {
            account,
            contracts,
            seller: seller(&settings),
            settings: settings.billing,
        }))
    }

    /// The deployment's settings; the defaults before any were set.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn typed_settings(&self) -> Result<Settings> {
        let mut tx = self.control.read().await?;
        let settings = settings(&mut tx).await?;
        tx.rollback().await?;
        Ok(settings)
    }
}

async fn settings(tx: &mut Tx) -> Result<Settings> {
    let text: Option<String> = tx.scalar("SELECT settings_json FROM instance", args![]).await?;
    let parsed = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(parsed
        .map_err(|error| Error::decode("settings_json", error))?
        .unwrap_or_default())
}

/// The legal identity; the name of the portal where there is no legal one.
fn seller(settings: &Settings) -> Party {
    let text = |name: &str| Some(settings.legal.get(name)?.as_str()?.to_owned());
    let ids = settings.legal.get("tax_ids").and_then(|ids| ids.as_array());
    Party {
        name: settings.seller_name().to_owned(),
        email: text("email"),
        address: text("address"),
        country: text("country"),
        tax_ids: ids
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect(),
    }
}

struct Version {
    title: String,
    terms: Arc<Terms>,
}

async fn versions(tx: &mut Tx, account: AccountId, wanted: Currency) -> Result<HashMap<PlanVersionId, Version>> {
    let mut versions = HashMap::new();
    for row in tx.rows(VERSIONS, args![account]).await? {
        let plan: Plan = row.json("body_json")?;
        let terms = Terms::of(&plan, wanted).map_err(unbillable)?;
        let version = Version {
            title: plan.title.unwrap_or(plan.name),
            terms: Arc::new(terms),
        };
        versions.insert(row.get("id")?, version);
    }
    Ok(versions)
}

async fn unit_labels(tx: &mut Tx) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT name, body_json FROM objects WHERE kind = $1 AND archived_at IS NULL";
    let mut labels = BTreeMap::new();
    for row in tx.rows(sql, args![ObjectKind::Meter.as_str()]).await? {
        let body: serde_json::Value = row.get("body_json")?;
        if let Some(unit) = body.get("unit").and_then(|unit| unit.as_str()) {
            labels.insert(row.get("name")?, unit.to_owned());
        }
    }
    Ok(labels)
}

fn contract(
    subscription: &Subscription,
    segments: &[Segment],
    versions: &HashMap<PlanVersionId, Version>,
    unit_labels: &BTreeMap<String, String>,
) -> Result<Contract> {
    let unreadable = || Error::State(format!("the periods of {} cannot be read", subscription.id));
    let local = subscription.anchor_local.as_deref().ok_or_else(unreadable)?;
    let anchor = Anchor {
        local: local.parse().map_err(|_| unreadable())?,
        zone: subscription.zone.parse().map_err(|_| unreadable())?,
    };
    let every = subscription.every.parse().map_err(|_| unreadable())?;
    let stretches = segments.iter().map(|segment| {
        let version = versions.get(&segment.plan_version_id).ok_or_else(unreadable)?;
        Ok(Stretch {
            n: u32::try_from(segment.n).map_err(|_| unreadable())?,
            plan_version: segment.plan_version_id,
            title: version.title.clone(),
            from: segment.from,
            to: segment.to,
            terms: Arc::clone(&version.terms),
        })
    });
    let reason = subscription.status_reason.as_deref().unwrap_or_default();
    Ok(Contract {
        subscription: subscription.id,
        schedule: Schedule::new(anchor, every),
        activated_at: subscription.activated_at.ok_or_else(unreadable)?,
        ended_at: subscription.ended_at,
        credit_at_end: reason.ends_with(CREDIT_PRORATED),
        stretches: stretches.collect::<Result<_>>()?,
        unit_labels: unit_labels.clone(),
    })
}
