//! `/admin/consumers`: find any consumer by what one knows of it.

use askama::Template;
use axum::extract::State;
use store::Page as Rows;

use crate::app::App;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Asked, Page, Shell, Staff, page};

const A_PAGE: u32 = 50;
const ORGANISATIONS: u32 = 10;

struct Row {
    id: String,
    name: String,
    organisation: String,
    account: String,
    created: Moment,
    is_suspended: bool,
}

#[derive(Template)]
#[template(path = "admin/consumers.html")]
struct Consumers {
    shell: Shell,
    query: String,
    /// Those whose name holds what is looked for; they may have no consumer yet.
    organisations: Vec<(String, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

/// `GET /admin/consumers`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let query = asked.get("q").unwrap_or_default().to_owned();
    let mut rows = Rows::first(A_PAGE);
    if let Some(after) = asked.get("after") {
        rows = rows.continued(after);
    }
    let found = app.store.find_consumers(&query, &rows).await?;
    let next = found
        .last()
        .filter(|_| found.len() == A_PAGE as usize)
        .map(|last| asked.with("after", &last.consumer.id.to_string()));
    let organisations = match asked.get("q").filter(|_| asked.get("after").is_none()) {
        Some(words) => app.store.find_accounts(Some(words), (0, ORGANISATIONS)).await?.0,
        None => Vec::new(),
    };
    let zone = staff.visitor.zone();
    page(&Consumers {
        shell: super::shell(&app, &staff).await?,
        query,
        organisations: organisations
            .into_iter()
            .map(|account| (account.id.to_string(), account.fields.name))
            .collect(),
        is_first: asked.get("after").is_none(),
        rows: found
            .into_iter()
            .map(|one| Row {
                id: one.consumer.id.to_string(),
                name: one.consumer.name,
                organisation: one.account_name,
                account: one.consumer.account_id.to_string(),
                created: show::day(one.consumer.created_at, zone),
                is_suspended: one.consumer.suspended_reason.is_some(),
            })
            .collect(),
        next,
    })
}
