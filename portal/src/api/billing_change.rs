//! What a change of plan comes to in money, for its preview, and how subscriptions stand in money now.

use domain::billable::Policy;
use domain::charge::{Basis, Charge, Contract, Terms, Use};
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::{AccountId, SubscriptionId};
use domain::key::Mode;
use domain::money::Currency;
use serde::Serialize;
use store::{PlanVersion, Subscription};
use utoipa::ToSchema;

use super::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;

/// Recurring amounts that are due within so long are looked for: a bit more than a year.
const AHEAD_MS: i64 = 400 * 86_400_000;

/// What a change of plan comes to. Amounts are minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeMoney {
    pub(crate) currency: &'static str,
    /// What returns of an amount that was paid in advance; never above zero.
    pub(crate) credit: i64,
    /// What is charged in advance at the change.
    pub(crate) charge: i64,
    /// Both together: due then, or a credit where it is below zero.
    pub(crate) net: i64,
    /// What the usage of the running period costs so far without the change.
    pub(crate) usage_before: i64,
    /// What the same usage costs with it.
    pub(crate) usage_after: i64,
}

/// What putting a subscription on a version at an instant comes to; `None` before it is active.
pub(crate) async fn change_money(
    app: &App,
    subscription: &Subscription,
    to: (&PlanVersion, Timestamp),
) -> Result<Option<ChangeMoney>, Problem> {
    let (version, at) = to;
    let Some(bill) = app.store.account_bill(subscription.account_id).await? else {
        return Ok(None);
    };
    let Some(contract) = bill
        .contracts
        .iter()
        .find(|contract| contract.subscription == subscription.id)
    else {
        return Ok(None);
    };
    let wanted = bill.account.fields.currency.parse().unwrap_or_default();
    let plan: Plan = serde_json::from_value(version.body.clone()).map_err(unreadable)?;
    let terms = Terms::of(&plan, wanted).map_err(unreadable)?;
    let currency = terms.currency.code();
    let changed = contract.changed(version.id, terms, at);
    fresh(app).await?;
    let proration = bill.proration(contract);
    let period = contract.schedule.period_at(app.clock.now()).map_err(unreadable)?;
    let since = contract
        .recurring_since(at)
        .map_err(unreadable)?
        .min(changed.recurring_since(at).map_err(unreadable)?);
    let due = changed.recurring_charges(&proration, since, at).map_err(unreadable)?;
    let sum = |basis: Basis| {
        due.iter()
            .filter(|one| one.due == at && one.basis == basis)
            .map(|one| one.minor)
            .sum::<i64>()
    };
    let used = used(app, contract, period.start).await?;
    let usage = |contract: &Contract| {
        contract
            .usage_charges(&period, &used, Policy::V1, &proration)
            .map_err(unreadable)
    };
    let (credit, charge) = (sum(Basis::Return), sum(Basis::Advance));
    Ok(Some(ChangeMoney {
        currency,
        credit,
        charge,
        net: credit.saturating_add(charge),
        usage_before: total(&usage(contract)?),
        usage_after: total(&usage(&changed)?),
    }))
}

fn total(charges: &[Charge]) -> i64 {
    charges.iter().fold(0, |sum, charge| sum.saturating_add(charge.minor))
}

async fn used(app: &App, contract: &Contract, period_start: Timestamp) -> Result<Vec<Use>, Problem> {
    let totals = app
        .store
        .period_totals(contract.subscription, period_start, Mode::Live)
        .await?
        .totals;
    let parts = totals.into_iter().map(|total| Use {
        stamped: total.segment,
        plan_version: total.plan_version,
        meter: total.meter,
        operation: String::new(),
        outcome: total.outcome,
        quantity: total.quantity,
    });
    Ok(parts.collect())
}

fn unreadable(error: impl std::error::Error) -> Problem {
    tracing::error!(%error, "a change of plan cannot be priced");
    Problem::internal()
}

/// How a subscription in force stands in its running period. Amounts are minor units.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) subscription: SubscriptionId,
    pub(crate) currency: Currency,
    /// What the usage of the period costs so far.
    pub(crate) usage: i64,
    /// When that becomes due.
    pub(crate) period_end: Timestamp,
    /// The next recurring amount and when it is due.
    pub(crate) next: Option<(Timestamp, i64)>,
}

/// How an account's subscriptions in force stand. Ask for fresh usage before.
pub(crate) async fn running(app: &App, account: AccountId) -> Result<Vec<Running>, Problem> {
    let Some(bill) = app.store.account_bill(account).await? else {
        return Ok(Vec::new());
    };
    let now = app.clock.now();
    let mut found = Vec::new();
    for contract in bill.contracts.iter().filter(|one| one.ended_at.is_none()) {
        let Some(stretch) = contract.stretches.last() else {
            continue;
        };
        let proration = bill.proration(contract);
        let period = contract.schedule.period_at(now).map_err(unreadable)?;
        let used = used(app, contract, period.start).await?;
        let usage = contract
            .usage_charges(&period, &used, Policy::V1, &proration)
            .map_err(unreadable)?;
        let later = contract
            .recurring_charges(&proration, now, now.plus_millis(AHEAD_MS))
            .map_err(unreadable)?;
        let later = later.iter().filter(|charge| charge.due > now);
        let due = later.clone().map(|charge| charge.due).min();
        let sum = |at: Timestamp| {
            later
                .clone()
                .filter(|charge| charge.due == at)
                .map(|charge| charge.minor)
                .sum()
        };
        found.push(Running {
            subscription: contract.subscription,
            currency: stretch.terms.currency,
            usage: total(&usage),
            period_end: period.end,
            next: due.map(|at| (at, sum(at))),
        });
    }
    Ok(found)
}
