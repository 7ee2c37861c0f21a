//! What limits had used before this process started, from the ledger: counters begin there, so that a restart gives
//! nobody a second quota. Pure.

use std::collections::HashMap;

use counters::Baseline;
use domain::billable::{Policy, billable};
use domain::clock::Timestamp;
use domain::enforce::{EnforcedLimit, EnforcedRule, Window};
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::Outcome;
use snapshot::{CompiledSubscription, Snapshot};
use store::ledger::WindowUse;

/// The billed part of a row: the same policy that returns reservations at the gateway.
fn billed(row: &WindowUse) -> Quantity {
    let share = Outcome::from_class_key(&row.outcome).map(|outcome| billable(Policy::V1, &outcome));
    share.map_or(Quantity::ZERO, |share| share.of(row.quantity))
}

/// The baselines of every subscription that the snapshot holds.
pub(crate) fn baselines(snapshot: &Snapshot, uses: &[WindowUse], now: Timestamp) -> Vec<Baseline> {
    let mut by_subscription: HashMap<(SubscriptionId, Mode), Vec<&WindowUse>> = HashMap::new();
    for row in uses {
        by_subscription
            .entry((row.subscription, row.mode))
            .or_default()
            .push(row);
    }
    let mut found = Vec::new();
    for subscription in snapshot.consumers().flat_map(|consumer| consumer.subscriptions.iter()) {
        for mode in [Mode::Live, Mode::Test] {
            if let Some(rows) = by_subscription.get(&(subscription.id, mode)) {
                found.extend(of_subscription(subscription, mode, rows, now));
            }
        }
    }
    found
}

fn of_subscription(
    subscription: &CompiledSubscription,
    mode: Mode,
    rows: &[&WindowUse],
    now: Timestamp,
) -> Vec<Baseline> {
    let limits = subscription.plan.limits.iter().enumerate();
    limits
        .filter_map(|(index, limit)| {
            let (window, used) = used(subscription, (index, limit), rows, now)?;
            Some(Baseline {
                subscription: subscription.id,
                mode,
                key: limit.key.clone(),
                window,
                used,
            })
        })
        .collect()
}

/// What was used of one limit in its window that holds an instant, `rows` being of one mode.
pub(crate) fn used_by_limit(
    subscription: &CompiledSubscription,
    key: &str,
    rows: &[&WindowUse],
    at: Timestamp,
) -> Option<(Window, Quantity)> {
    let mut limits = subscription.plan.limits.iter().enumerate();
    let limit = limits.find(|(_, limit)| *limit.key == *key)?;
    used(subscription, limit, rows, at)
}

fn used(
    subscription: &CompiledSubscription,
    (index, limit): (usize, &EnforcedLimit),
    rows: &[&WindowUse],
    now: Timestamp,
) -> Option<(Window, Quantity)> {
    match &limit.rule {
        EnforcedRule::Quota { meter, .. } => {
            let window = subscription.cycle.window(now);
            let inside = rows
                .iter()
                .filter(|row| row.period_start == window.start && row.meter == **meter);
            Some((window, inside.map(|row| billed(row)).sum()))
        }
        EnforcedRule::Calendar { unit, .. } => {
            let window = unit.window(now);
            let applies = |row: &&&WindowUse| {
                let limits = subscription.plan.limits_of(&row.operation);
                limits.applies.iter().any(|applying| usize::from(*applying) == index)
            };
            let inside = rows
                .iter()
                .filter(|row| window.contains(row.bucket) && row.meter == REQUESTS)
                .filter(applies);
            Some((window, inside.map(|row| billed(row)).sum()))
        }
        EnforcedRule::Bucket { .. } | EnforcedRule::Fixed { .. } | EnforcedRule::Concurrency { .. } => None,
    }
}

/// The earliest instant whose use matters to a counter now: the start of the UTC month.
pub(crate) fn calendar_since(now: Timestamp) -> Timestamp {
    domain::enforce::CalendarUnit::Month.window(now).start
}

/// The earliest start of a usage period that is in force now.
pub(crate) fn periods_since(snapshot: &Snapshot, now: Timestamp) -> Timestamp {
    let subscriptions = snapshot.consumers().flat_map(|consumer| consumer.subscriptions.iter());
    subscriptions
        .map(|subscription| subscription.cycle.window(now).start)
        .min()
        .unwrap_or(now)
}
