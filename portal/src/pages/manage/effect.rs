//! What another version of a plan does to those who are on it: what each would have paid for the use of their last whole
//! period, with the version that they have and with the other one. The same rating as `POST /billing/preview`; of a base
//! price that covers several periods its share counts.

use std::collections::BTreeMap;

use domain::charge::Terms;
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::{ConsumerId, PlanId, PlanVersionId};
use domain::money::Currency;
use store::{Page, Scope, Subscription, SubscriptionFilter};

use super::plan_preview::difference;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show;
use crate::pricing;
use crate::subscribing;

/// Subscribers whose money is computed; above that a page would take too long.
const MOST: usize = 2_000;
/// Rows that are shown, those with the largest change first.
const SHOWN: usize = 100;

/// What a version does.
#[derive(Default)]
pub(super) struct Effect {
    pub(super) subscribers: usize,
    /// Subscribers beyond the bound, which are in no sum.
    pub(super) left_out: usize,
    pub(super) waiting: usize,
    pub(super) more: usize,
    pub(super) less: usize,
    pub(super) same: usize,
    pub(super) sums: Vec<Sum>,
    pub(super) rows: Vec<EffectRow>,
}

/// The sums in one currency: two are never added.
pub(super) struct Sum {
    pub(super) currency: &'static str,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) change: String,
    pub(super) class: &'static str,
}

/// What it does to one subscriber.
pub(super) struct EffectRow {
    pub(super) account: String,
    pub(super) app: String,
    pub(super) version: String,
    pub(super) period: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) change: String,
    pub(super) class: &'static str,
    size: u64,
}

struct Look<'a> {
    app: &'a App,
    wanted: &'a Plan,
    names: BTreeMap<ConsumerId, (String, String)>,
    versions: BTreeMap<PlanVersionId, (i64, Plan)>,
    currencies: BTreeMap<domain::ids::AccountId, Currency>,
}

/// What the wanted plan does to the live subscribers of a plan.
pub(super) async fn effect(app: &App, plan: PlanId, wanted: &Plan) -> Result<Effect, Problem> {
    fresh(app).await?;
    let names = app.store.subscriber_names(plan).await?;
    let mut look = Look {
        app,
        wanted,
        names: names
            .into_iter()
            .map(|(consumer, app, account)| (consumer, (account, app)))
            .collect(),
        versions: BTreeMap::new(),
        currencies: BTreeMap::new(),
    };
    for version in app.store.plan_versions(plan).await? {
        if let Ok(body) = serde_json::from_value(version.body) {
            look.versions.insert(version.id, (version.n, body));
        }
    }
    let mut effect = Effect::default();
    let mut sums: BTreeMap<&'static str, (Currency, i64, i64)> = BTreeMap::new();
    for subscription in live(app, plan).await? {
        effect.subscribers += 1;
        if effect.subscribers > MOST {
            effect.left_out += 1;
            continue;
        }
        let Some((row, currency, before, after)) = look.one(&subscription).await? else {
            effect.waiting += 1;
            continue;
        };
        match after.cmp(&before) {
            std::cmp::Ordering::Greater => effect.more += 1,
            std::cmp::Ordering::Less => effect.less += 1,
            std::cmp::Ordering::Equal => effect.same += 1,
        }
        let sum = sums.entry(currency.code()).or_insert((currency, 0, 0));
        sum.1 = sum.1.saturating_add(before);
        sum.2 = sum.2.saturating_add(after);
        effect.rows.push(row);
    }
    effect
        .rows
        .sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.account.cmp(&b.account)));
    effect.rows.truncate(SHOWN);
    effect.sums = sums.into_values().map(Sum::of).collect();
    Ok(effect)
}

impl Sum {
    fn of((currency, before, after): (Currency, i64, i64)) -> Self {
        // Here the seller reads: what the customer pays more is a gain.
        let (change, class) = difference(after.saturating_sub(before), currency);
        Self {
            currency: currency.code(),
            before: show::minor(before, currency),
            after: show::minor(after, currency),
            change,
            class: match class {
                "gain" => "loss",
                "loss" => "gain",
                other => other,
            },
        }
    }
}

/// Every live subscription to a plan.
pub(super) async fn live(app: &App, plan: PlanId) -> Result<Vec<Subscription>, Problem> {
    let filter = SubscriptionFilter {
        plan: Some(plan),
        ..SubscriptionFilter::default()
    };
    let (mut all, mut page) = (Vec::new(), Page::first(Page::MAX));
    loop {
        let some = app.store.subscriptions(Scope::All, &filter, &page).await?;
        let Some(last) = some.last().map(|one| one.id) else {
            return Ok(all);
        };
        all.extend(some.into_iter().filter(|one| one.status.is_live()));
        page = Page::first(Page::MAX).continued(last);
    }
}

impl Look<'_> {
    /// `None` while no period of the subscription has begun.
    async fn one(&mut self, one: &Subscription) -> Result<Option<(EffectRow, Currency, i64, i64)>, Problem> {
        let Some((from, to)) = last_period(one, self.app.clock.now()) else {
            return Ok(None);
        };
        let wanted_in = self.currency(one.account_id).await?;
        let Some((n, held)) = self.versions.get(&one.plan_version_id) else {
            return Ok(None);
        };
        let unpriced = |error: domain::charge::TermsError| Problem::conflict(error.to_string());
        let old = Terms::of(held, wanted_in).map_err(unpriced)?;
        let new = Terms::of(self.wanted, wanted_in).map_err(unpriced)?;
        // A free version has no currency of its own.
        let currency = if held.price.is_none() {
            new.currency
        } else {
            old.currency
        };
        if self.wanted.price.is_some() && new.currency != currency {
            return Ok(None);
        }
        let used = self.app.store.past_use_of(one.id, from, to).await?;
        let total = |plan: &Plan, terms: &Terms| {
            pricing::lines_of_period(plan, terms, |term| pricing::billed_of(term, &used))
                .and_then(|lines| pricing::total(&lines))
                .map_err(|error| Problem::conflict(error.to_string()))
        };
        let (before, after) = (total(held, &old)?, total(self.wanted, &new)?);
        let (account, app) = self.names.get(&one.consumer_id).cloned().unwrap_or_default();
        let (change, class) = difference(after.saturating_sub(before), currency);
        let zone = jiff::tz::TimeZone::get(&one.zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let row = EffectRow {
            account,
            app,
            version: n.to_string(),
            period: format!("{} – {}", show::day_text(from, &zone), show::day_text(to, &zone)),
            before: show::minor(before, currency),
            after: show::minor(after, currency),
            change,
            class,
            size: after.abs_diff(before),
        };
        Ok(Some((row, currency, before, after)))
    }

    async fn currency(&mut self, account: domain::ids::AccountId) -> Result<Currency, Problem> {
        if let Some(known) = self.currencies.get(&account) {
            return Ok(*known);
        }
        let found = self.app.store.account(Scope::All, account).await?;
        let currency = found
            .and_then(|account| account.fields.currency.parse().ok())
            .unwrap_or_default();
        self.currencies.insert(account, currency);
        Ok(currency)
    }
}

/// The last whole period, or what has passed of the first one.
fn last_period(one: &Subscription, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let running = subscribing::period_at(one, now)?;
    let begun = one.activated_at?;
    let before = subscribing::period_at(one, running.start.plus_millis(-1)).filter(|before| before.end > begun);
    match before {
        Some(before) => Some((before.start, before.end)),
        None => Some((running.start, running.end)),
    }
}
