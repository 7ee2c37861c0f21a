//! A subscription as pages show it.

use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::ConsumerId;
use domain::subscription::SubscriptionStatus;
use jiff::tz::TimeZone;
use store::{Page as StorePage, Subscription, SubscriptionFilter};

use super::bars::Bar;
use crate::api::subscriptions::used;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{Html, Member, escape, show};
use crate::subscribing;

/// A state: colour class and words.
pub(crate) struct State {
    pub(crate) class: &'static str,
    pub(crate) words: String,
}

/// A subscription with names in the place of ids.
pub(crate) struct Held {
    pub(crate) id: String,
    pub(crate) consumer: ConsumerId,
    /// Name of the product, for links.
    pub(crate) product_name: String,
    pub(crate) product: String,
    pub(crate) plan: String,
    /// Name of the plan, for forms.
    pub(crate) plan_name: String,
    pub(crate) state: State,
    /// `21 Nov 2026 to 21 Dec 2026`, or nothing.
    pub(crate) period: Html,
    /// What waits, or why it is as it is; empty when there is nothing to say.
    pub(crate) note: Html,
    pub(crate) bars: Vec<Bar>,
    pub(crate) is_live: bool,
    pub(crate) is_pending: bool,
    pub(crate) is_ending: bool,
    pub(crate) subscription: Subscription,
}

/// The organisation's subscriptions, of one app where it is given, newest first; ended ones too.
pub(crate) async fn subscriptions(
    app: &App,
    member: &Member,
    consumer: Option<ConsumerId>,
) -> Result<Vec<Subscription>, Problem> {
    let filter = SubscriptionFilter {
        account: Some(member.account),
        consumer,
        ..SubscriptionFilter::default()
    };
    let page = StorePage::first(StorePage::MAX);
    let mut found = app.store.subscriptions(member.caller.scope(), &filter, &page).await?;
    found.sort_by_key(|one| (!one.status.is_live(), std::cmp::Reverse(one.id)));
    Ok(found)
}

/// Title and name of a thing that is configured.
async fn named(app: &App, id: &str) -> Result<(String, String), Problem> {
    let Some(object) = app.store.object(id).await? else {
        return Ok((show::NOTHING.to_owned(), String::new()));
    };
    let title = object.fields.body.get("title").and_then(|title| title.as_str());
    let name = object.fields.name.clone();
    Ok((title.map_or_else(|| name.clone(), str::to_owned), name))
}

/// A subscription with its names and bars. Ask for fresh usage before.
pub(crate) async fn held(app: &App, member: &Member, subscription: Subscription) -> Result<Held, Problem> {
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let (product, product_name) = named(app, &subscription.product_id.to_string()).await?;
    let (plan, plan_name) = named(app, &subscription.plan_id.to_string()).await?;
    let pending = match &subscription.pending_change {
        Some(change) => Some((named(app, &change.plan_id.to_string()).await?.0, change.at)),
        None => None,
    };
    let is_live = subscription.status.is_live();
    let quotas = used(app, &subscription).await?;
    let period = subscribing::period_at(&subscription, now).filter(|_| is_live);
    Ok(Held {
        id: subscription.id.to_string(),
        consumer: subscription.consumer_id,
        product_name,
        product,
        plan,
        plan_name,
        state: state(&subscription, zone),
        period: period.map_or_else(
            || Html(show::NOTHING.to_owned()),
            |period| {
                let (start, end) = (show::day(period.start, zone), show::day(period.end, zone));
                Html(format!("{start} to {end}"))
            },
        ),
        note: note(&subscription, pending, zone),
        bars: quotas.iter().map(|one| Bar::new(one, now, zone)).collect(),
        is_live,
        is_pending: is_pending(subscription.status),
        is_ending: subscription.cancel_at.is_some(),
        subscription,
    })
}

/// Whether it was never in force yet.
pub(crate) const fn is_pending(status: SubscriptionStatus) -> bool {
    matches!(
        status,
        SubscriptionStatus::PendingApproval | SubscriptionStatus::PendingPayment
    )
}

/// The plan version in force as it was published.
pub(crate) async fn plan_in_force(app: &App, subscription: &Subscription) -> Result<Option<Plan>, Problem> {
    let version = app.store.plan_version(subscription.plan_version_id).await?;
    Ok(version.and_then(|version| serde_json::from_value(version.body).ok()))
}

fn state(one: &Subscription, zone: &TimeZone) -> State {
    let day = |at: Option<Timestamp>| at.map_or_else(|| show::NOTHING.to_owned(), |at| show::day_text(at, zone));
    let (class, words) = match one.status {
        SubscriptionStatus::PendingApproval => ("busy", "Waits for approval".to_owned()),
        SubscriptionStatus::PendingPayment => ("warn", "Waits for payment".to_owned()),
        SubscriptionStatus::Active | SubscriptionStatus::Trialing if one.cancel_at.is_some() => {
            ("warn", format!("Ends {}", day(one.cancel_at)))
        }
        SubscriptionStatus::Trialing => ("good", "In trial".to_owned()),
        SubscriptionStatus::Active => ("good", "Active".to_owned()),
        SubscriptionStatus::PastDue => ("bad", "Payment overdue".to_owned()),
        SubscriptionStatus::Paused => ("warn", "Paused".to_owned()),
        SubscriptionStatus::Cancelled => ("", format!("Ended {}", day(one.ended_at))),
        SubscriptionStatus::Rejected => ("bad", format!("Rejected {}", day(one.ended_at))),
    };
    State { class, words }
}

fn note(one: &Subscription, pending: Option<(String, Timestamp)>, zone: &TimeZone) -> Html {
    let mut words = Vec::new();
    match one.status {
        SubscriptionStatus::PendingApproval => words.push(format!(
            "Asked for on {}. The provider decides; the keys of this app open it from then on, and nothing is charged before.",
            show::day(one.created_at, zone)
        )),
        SubscriptionStatus::Rejected => words.extend(one.status_reason.as_deref().map(escape)),
        SubscriptionStatus::PastDue => words.push("The gateway refuses calls when the grace is over. Pay the open invoice.".to_owned()),
        SubscriptionStatus::Paused => words.push("The gateway refuses calls until it is resumed.".to_owned()),
        _ => {}
    }
    if let Some((plan, at)) = pending {
        words.push(format!("Changes to {} on {}.", escape(&plan), show::moment(at, zone)));
    }
    if let Some(at) = one.cancel_at.filter(|_| one.status.is_live()) {
        words.push(format!(
            "Works until {}. The last invoice follows with the usage until then.",
            show::moment(at, zone)
        ));
    }
    Html(words.join(" "))
}
