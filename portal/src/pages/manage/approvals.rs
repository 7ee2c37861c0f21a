//! `/manage/approvals`: who waits for a subscription, and the decision, for one or for many.

use askama::Template;
use axum::extract::State;
use domain::ids::SubscriptionId;
use domain::subscription::SubscriptionStatus;
use store::{Scope, Subscription, SubscriptionFilter};

use super::{may_change, shell};
use crate::api::transitions::{approved, rejected};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Posted, Shell, Staff, see_other, unprocessable};

const SHOWN: u32 = 200;

#[derive(Template)]
#[template(path = "manage/approvals.html")]
struct Page {
    shell: Shell,
    may_change: bool,
    form: Form,
    rows: Vec<Row>,
    done: Option<String>,
}

struct Row {
    id: String,
    account: String,
    app: String,
    product: String,
    plan: String,
    price: String,
    waits: Moment,
    chosen: bool,
}

/// `GET /manage/approvals`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> web::Page {
    let mut page = page(&app, &staff, Form::new()).await?;
    let approved: Option<u64> = asked.parsed("approved");
    let rejected: Option<u64> = asked.parsed("rejected");
    page.done = match (approved, rejected) {
        (Some(count), _) => Some(format!(
            "{} approved. The gateways serve them within a second.",
            show::count(count, "subscription", "subscriptions")
        )),
        (_, Some(count)) => Some(format!(
            "{} rejected.",
            show::count(count, "subscription", "subscriptions")
        )),
        _ => None,
    };
    web::page(&page)
}

async fn page(app: &App, staff: &Staff, form: Form) -> Result<Page, Problem> {
    let filter = SubscriptionFilter {
        status: Some(SubscriptionStatus::PendingApproval),
        ..SubscriptionFilter::default()
    };
    let waiting = app
        .store
        .subscriptions(Scope::All, &filter, &store::Page::first(SHOWN))
        .await?;
    let mut rows = Vec::with_capacity(waiting.len());
    for one in waiting {
        rows.push(row(app, &one, &form).await?);
    }
    Ok(Page {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        form,
        rows,
        done: None,
    })
}

async fn row(app: &App, one: &Subscription, form: &Form) -> Result<Row, Problem> {
    let account = app.store.account(Scope::All, one.account_id).await?;
    let consumer = app.store.consumer(Scope::All, one.consumer_id).await?;
    let product = app.store.object(&one.product_id.to_string()).await?;
    let plan = app.store.object(&one.plan_id.to_string()).await?;
    let title = |object: Option<&store::Object>| {
        object.map_or_else(String::new, |object| {
            let title = object.fields.body.get("title").and_then(|title| title.as_str());
            title.unwrap_or(&object.fields.name).to_owned()
        })
    };
    let body: Option<domain::config::Plan> = plan.as_ref().and_then(|plan| crate::subscribing::body(plan).ok());
    let id = one.id.to_string();
    Ok(Row {
        account: account.map_or_else(String::new, |account| account.fields.name),
        app: consumer.map_or_else(String::new, |consumer| consumer.name),
        product: title(product.as_ref()),
        plan: title(plan.as_ref()),
        price: body.map_or_else(String::new, |plan| super::plan_words::price_words(&plan)),
        waits: show::ago(one.created_at, app.clock.now()),
        chosen: form.holds("subscription", &id),
        id,
    })
}

/// `POST /manage/approvals`
pub(super) async fn decide(State(app): State<App>, staff: Staff, posted: Posted) -> web::Page {
    let mut form = Form::typed(&posted);
    let ids: Vec<SubscriptionId> = posted.all("subscription").filter_map(|id| id.parse().ok()).collect();
    let rejects = posted.get("do") == "reject";
    if ids.is_empty() {
        form.wrong("Tick at least one row.");
    }
    if rejects && posted.get("reason").is_empty() {
        form.fault(
            "reason",
            "Write why: the organisation reads it beside the subscription.",
        );
    }
    if !form.is_fine() {
        return unprocessable(&page(&app, &staff, form).await?);
    }
    let mut done = 0_u64;
    for id in ids {
        let result = if rejects {
            rejected(&app, &staff.caller, id, posted.get("reason")).await
        } else {
            approved(&app, &staff.caller, id).await
        };
        match result {
            Ok(_) => done += 1,
            Err(problem) if problem.status().is_client_error() => {
                form.wrong(format!(
                    "One was left as it is: {}.",
                    problem.detail_text().unwrap_or_else(|| problem.title())
                ));
            }
            Err(problem) => return Err(problem),
        }
    }
    if !form.is_fine() {
        let mut page = page(&app, &staff, form).await?;
        page.done = Some(format!("{done} decided."));
        return web::with_status(axum::http::StatusCode::CONFLICT, &page);
    }
    let verb = if rejects { "rejected" } else { "approved" };
    see_other(&format!("/manage/approvals?{verb}={done}"))
}
