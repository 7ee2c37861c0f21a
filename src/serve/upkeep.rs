//! What is done now and then: counters that nobody needs are forgotten, evidence past its time is deleted.

use std::time::{Duration, Instant};

use analytics::Analytics;
use counters::{Counters, Times};
use domain::clock::{Clock, Timestamp};
use domain::config::Settings;
use snapshot::{Feed, Snapshot};
use store::Store;

const SWEEP_EVERY: Duration = Duration::from_mins(1);
const PURGE_EVERY: Duration = Duration::from_hours(1);
const DAY_MS: i64 = 86_400_000;
/// Kept whatever the settings say: a line can be disputed so long after its period.
const LEAST_DAYS: i64 = 90;

/// Forgets idle counters until the task is dropped.
pub(super) async fn sweep(counters: Counters, clock: Clock) {
    let origin = Instant::now();
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let mono_ns = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (counters, times) = (
            counters.clone(),
            Times {
                mono_ns,
                wall: clock.now(),
            },
        );
        let swept = tokio::task::spawn_blocking(move || counters.sweep(times)).await;
        tracing::debug!(cells = swept.unwrap_or_default(), "idle counters forgotten");
    }
}

/// Deletes facts whose invoices are past their evidence days, until the task is dropped.
pub(super) async fn purge(store: Store, analytics: Analytics, feed: Feed, clock: Clock) {
    loop {
        tokio::time::sleep(PURGE_EVERY).await;
        let days = match store.instance().await {
            Ok(instance) => instance.and_then(|instance| evidence_days(instance.settings)),
            Err(error) => {
                tracing::warn!(%error, "settings cannot be read; nothing is deleted now");
                continue;
            }
        };
        let before = keep_from(&feed.current(), days.unwrap_or(LEAST_DAYS), clock.now());
        match analytics.purge(before).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, %before, "evidence past its time deleted"),
            Err(error) => tracing::warn!(%error, "evidence past its time could not be deleted"),
        }
    }
}

fn evidence_days(settings: serde_json::Value) -> Option<i64> {
    let settings: Settings = serde_json::from_value(settings).ok()?;
    Some(i64::from(settings.billing.evidence_days).max(LEAST_DAYS))
}

/// Facts from here on may stand behind an invoice that can still be disputed: the longest period in force and the
/// evidence days after it.
fn keep_from(snapshot: &Snapshot, days: i64, now: Timestamp) -> Timestamp {
    let subscriptions = snapshot.consumers().flat_map(|consumer| consumer.subscriptions.iter());
    let lengths = subscriptions.map(|subscription| {
        let window = subscription.cycle.window(now);
        window.end.millis_since(window.start)
    });
    let longest = lengths.max().unwrap_or(0).max(31 * DAY_MS);
    now.plus_millis(-longest).plus_millis(-(days * DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_and_the_evidence_days_are_always_kept() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let from = keep_from(&Snapshot::default(), 120, now);
        assert_eq!(now.millis_since(from), 151 * DAY_MS);
    }

    #[test]
    fn settings_cannot_shorten_evidence_below_what_can_be_disputed() {
        let settings = serde_json::json!({ "billing": { "evidence_days": 5 } });
        assert_eq!(evidence_days(settings), Some(90));
    }
}
