//! `/admin`: the provider's administrators see how things are, find any consumer, suspend and resume, and decide about
//! people and settings. Support reads the same pages.

mod analytics;
mod audit;
mod consumer;
mod consumers;
mod contrast;
mod figures;
mod gateways;
mod names;
mod organisation;
mod overview;
mod settings;
mod things;
mod users;

use super::web::access::Section;
use super::web::route::{get, post};
use super::web::{Access, PageRoute, Shell, Side, Staff};
use crate::app::App;
use crate::http::problem::Problem;

/// The pages of this section.
pub(crate) fn table() -> Vec<PageRoute> {
    let admin = Access::Staff(Section::Admin);
    vec![
        get("/admin", admin, overview::show),
        get("/admin/consumers", admin, consumers::list),
        get("/admin/consumers/{id}", admin, consumer::show),
        get("/admin/consumers/{id}/suspend", admin, consumer::ask_suspend),
        post("/admin/consumers/{id}/suspend", admin, consumer::suspend),
        post("/admin/consumers/{id}/resume", admin, consumer::resume),
        get("/admin/organisations/{id}", admin, organisation::show),
        get("/admin/analytics", admin, analytics::show),
        get("/admin/analytics.csv", admin, analytics::csv),
        get("/admin/gateways", admin, gateways::list),
        get("/admin/users", admin, users::list),
        post("/admin/users", admin, users::invite),
        get("/admin/users/{id}", admin, users::show),
        post("/admin/users/{id}/roles", admin, users::change),
        post("/admin/users/{id}/disable", admin, users::disable),
        get("/admin/audit", admin, audit::list),
        get("/admin/audit.csv", admin, audit::csv),
        get("/admin/settings", admin, settings::show),
        post("/admin/settings", admin, settings::save),
        post("/admin/settings/mail", admin, settings::try_mail),
    ]
}

/// The layout of a page of this section.
async fn shell(app: &App, staff: &Staff) -> Result<Shell, Problem> {
    let side = Side::new(
        "Admin",
        &[
            (
                None,
                &[
                    ("/admin", "Overview"),
                    ("/admin/consumers", "Consumers"),
                    ("/admin/analytics", "Analytics"),
                    ("/admin/gateways", "Gateways"),
                ],
            ),
            (
                Some("Control"),
                &[
                    ("/admin/users", "Users and roles"),
                    ("/admin/audit", "Audit log"),
                    ("/admin/settings", "Settings"),
                ],
            ),
        ],
    );
    Ok(staff.visitor.shell(app).await?.side(side))
}
