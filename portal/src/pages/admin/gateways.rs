//! `/admin/gateways`: the nodes, what each serves, and whether it is well.

use askama::Template;
use axum::extract::State;
use store::Node;

use crate::api::gateways;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Page, Shell, Staff, page};

/// A node that has said nothing for so long is silent.
const SILENT_MS: i64 = 30_000;

struct Row {
    node: String,
    region: String,
    revision: i64,
    lag: i64,
    seen: Moment,
    state: &'static str,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "admin/gateways.html")]
struct Gateways {
    shell: Shell,
    rows: Vec<Row>,
    newest: i64,
    url: String,
}

/// The nodes, as `GET /gateways` lists them.
pub(super) async fn nodes(app: &App) -> Result<Vec<Node>, Problem> {
    gateways::all(app).await
}

/// `GET /admin/gateways`
pub(super) async fn list(State(app): State<App>, staff: Staff) -> Page {
    let newest = app.store.revision().await?;
    let now = app.clock.now();
    let row = |node: Node| {
        let lag = newest.saturating_sub(node.revision).max(0);
        let (state, class) = if now.millis_since(node.seen_at) > SILENT_MS {
            ("Silent", "bad")
        } else if !node.ready {
            ("Not ready", "bad")
        } else if lag > 0 {
            ("Catching up", "busy")
        } else {
            ("Serving the newest", "good")
        };
        Row {
            node: node.node,
            region: if node.region.is_empty() {
                show::NOTHING.to_owned()
            } else {
                node.region
            },
            revision: node.revision,
            lag,
            seen: show::ago(node.seen_at, now),
            state,
            class,
        }
    };
    let rows = nodes(&app).await?.into_iter().map(row).collect();
    page(&Gateways {
        shell: super::shell(&app, &staff).await?,
        rows,
        newest,
        url: app.links.gateway().unwrap_or_default().to_owned(),
    })
}
