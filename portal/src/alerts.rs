//! Mails about quotas that run out, to owners and developers, once for each threshold and period; and the clock of those
//! about keys that end.
//!
//! Every few seconds the subscriptions with traffic since the last look are looked at, after a start all of them. The
//! ledger says what is used, a row of the store that the mail was sent: a crash between row and mail loses the mail, never
//! doubles it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use analytics::{Dimension, Interval, UsageQuery};
use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::{Percent, REQUESTS};
use domain::quantity::Quantity;
use jiff::tz::TimeZone;
use store::{AccountRole, Page, QuotaAlert, Scope, Subscription};
use tokio::sync::watch;

use crate::api::subscriptions::{Used, used};
use crate::api::usage::billed;
use crate::app::App;
use crate::http::problem::Problem;
use crate::key_letters;
use crate::letters::{self, Letter};
use crate::pages::web::show;

const EVERY: Duration = Duration::from_secs(3);
/// Every so many looks keys that end soon are looked at too.
const KEYS_EVERY: u32 = 3;
/// What analytics may lag behind.
const MARGIN_MS: i64 = 180_000;

/// Looks until it is told to stop.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let (mut last, mut looks) = (None, 0_u32);
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = app.clock.now();
        match look(&app, last, now).await {
            Ok(()) => last = Some(now),
            Err(problem) => tracing::warn!(status = problem.status().as_u16(), "quotas are looked at again later"),
        }
        if looks.is_multiple_of(KEYS_EVERY)
            && let Err(problem) = key_letters::look(&app, now).await
        {
            tracing::warn!(
                status = problem.status().as_u16(),
                "keys that end are looked at again later"
            );
        }
        looks = looks.wrapping_add(1);
    }
}

async fn look(app: &App, last: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    let busy = match last {
        Some(last) => Some(busy(app, last, now).await?),
        None => None,
    };
    let mut page = Page::bulk();
    loop {
        let found = app.store.live_subscriptions(&page).await?;
        for one in &found {
            if busy.as_ref().is_none_or(|busy| busy.contains(&one.id.to_string())) {
                check(app, one, now).await?;
            }
        }
        match found.last() {
            Some(end) if found.len() >= usize::try_from(page.limit()).unwrap_or(usize::MAX) => {
                page = Page::bulk().continued(end.id);
            }
            _ => return Ok(()),
        }
    }
}

/// Subscriptions with traffic since the last look.
async fn busy(app: &App, last: Timestamp, now: Timestamp) -> Result<BTreeSet<String>, Problem> {
    let query = UsageQuery {
        from: last.plus_millis(-MARGIN_MS),
        to: now.plus_millis(1),
        interval: Interval::Whole,
        group_by: vec![Dimension::Subscription],
        filter: BTreeMap::new(),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    };
    let rows = app.analytics.usage(&query, &billed).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| row.group.into_iter().next().flatten())
        .collect())
}

/// The thresholds of a quota that its use has reached, in basis points, lowest first.
fn reached(one: &Used) -> Vec<u32> {
    let Some(max) = one.quota.max.filter(|max| *max > 0) else {
        return Vec::new();
    };
    let max = Quantity::from_units(max).nanos();
    let is_reached = |points: &u32| one.used.nanos().saturating_mul(10_000) >= max.saturating_mul(i128::from(*points));
    let mut points: Vec<u32> = one.quota.alerts.iter().copied().filter(is_reached).collect();
    points.sort_unstable();
    points.dedup();
    points
}

async fn check(app: &App, subscription: &Subscription, now: Timestamp) -> Result<(), Problem> {
    for one in used(app, subscription).await? {
        for threshold in reached(&one) {
            let alert = QuotaAlert {
                subscription: subscription.id,
                meter: one.quota.meter.clone(),
                threshold,
                period_start: one.period.start,
            };
            if app.store.claim_quota_alert(&alert, now).await? {
                tell(app, subscription, (&one, threshold)).await?;
            }
        }
    }
    Ok(())
}

async fn tell(app: &App, subscription: &Subscription, (one, threshold): (&Used, u32)) -> Result<(), Problem> {
    let letter = letter(app, subscription, (one, threshold)).await?;
    let members = app
        .store
        .members(Scope::All, subscription.account_id, &Page::first(Page::MAX))
        .await?;
    for member in members {
        if matches!(member.role, AccountRole::Owner | AccountRole::Developer) {
            letters::post(app, &member.email, letter.clone()).await;
        }
    }
    Ok(())
}

async fn letter(app: &App, subscription: &Subscription, (one, threshold): (&Used, u32)) -> Result<Letter, Problem> {
    let named = |object: Option<store::Object>| {
        object.map_or_else(String::new, |object| {
            let title = object.fields.body.get("title").and_then(|title| title.as_str());
            title.map_or_else(|| object.fields.name.clone(), str::to_owned)
        })
    };
    let product = named(app.store.object(&subscription.product_id.to_string()).await?);
    let plan = named(app.store.object(&subscription.plan_id.to_string()).await?);
    let consumer = app.store.consumer(Scope::All, subscription.consumer_id).await?;
    let consumer = consumer.map(|consumer| consumer.name).unwrap_or_default();
    let zone = TimeZone::get(&subscription.zone).unwrap_or(TimeZone::UTC);
    let resets = show::day_text(one.period.end, &zone);
    let (share, meter) = (Percent(threshold), &one.quota.meter);
    let used = show::decimal(&one.used.to_string());
    let max = one.quota.max.map_or_else(String::new, show::number);
    let is_full = threshold >= 10_000;
    let next = match (is_full, one.quota.overage.is_some()) {
        (false, _) => {
            format!("When all of it is used, the plan decides whether more is served. It starts again on {resets}.")
        }
        (true, false) => format!("The gateway refuses further calls until {resets}."),
        (true, true) => format!("The plan serves more than the quota. It starts again on {resets}."),
    };
    let id: SubscriptionId = subscription.id;
    let link = app.links.page(&format!("/app/usage?app={}", subscription.consumer_id));
    let change = app.links.page(&format!(
        "/app/apps/{}/subscriptions/{id}/change",
        subscription.consumer_id
    ));
    Ok(Letter {
        kind: "quota",
        subject: format!("{share} of the quota of {meter} used: {consumer}"),
        preview: format!("{used} of {max} {meter} of {product}, {plan}"),
        text: vec![
            format!("{consumer} has used {used} of {max} {meter} of this period."),
            next,
        ],
        facts: vec![
            ("App".to_owned(), consumer.clone()),
            ("Product".to_owned(), product),
            ("Plan".to_owned(), plan),
            ("Used".to_owned(), format!("{used} of {max} {meter}")),
            ("Starts again".to_owned(), resets),
        ],
        action: Some(("See the usage".to_owned(), link)),
        after: vec![format!("A larger plan can be chosen here: {change}")],
        why: "You are an owner or developer of the organisation that this app belongs to.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::{LimitEntry, Rule};
    use domain::period::Period;

    fn use_of(used: u64) -> Used {
        let entry: LimitEntry = serde_json::from_value(serde_json::json!({"requests": 200, "per": "period"})).unwrap();
        let Rule::Quota(quota) = entry.understand().unwrap().rule else {
            panic!("no quota");
        };
        let at = Timestamp::from_millis;
        Used {
            quota,
            used: Quantity::from_units(used),
            period: Period {
                k: 0,
                start: at(0),
                end: at(1),
            },
        }
    }

    #[test]
    fn thresholds_are_reached_exactly() {
        assert_eq!(reached(&use_of(159)), Vec::<u32>::new());
        assert_eq!(reached(&use_of(160)), [8_000]);
        assert_eq!(reached(&use_of(199)), [8_000, 9_500]);
        assert_eq!(reached(&use_of(500)), [8_000, 9_500, 10_000]);
    }
}
