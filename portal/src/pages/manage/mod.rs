//! `/manage`: the product manager's section: products with their documents, plans with their versions, who waits for an
//! approval, how the portal is taken up, guides.
//!
//! Invariants: nothing is written past [`crate::configuration`], so that a page can write nothing that a file could not;
//! a draft is served to nobody; whoever saves over what they have not seen gets 409 with both texts. Deliberately absent:
//! deleting what customers have (it is archived), and money that was not rated by [`crate::pricing`].

mod adoption;
mod approvals;
mod compare;
mod document;
mod effect;
mod guides;
mod offer;
mod overview;
mod plan_cells;
mod plan_editor;
mod plan_form;
mod plan_pointers;
mod plan_preview;
mod plan_publish;
mod plan_rows;
mod plan_words;
mod plans;
mod product_edit;
mod product_new;
mod products;
mod report;
mod versions;

use domain::subscription::SubscriptionStatus;
use store::{Page, Scope, SubscriptionFilter};

use super::web::access::Section;
use super::web::route::{get, post};
use super::web::{Access, PageRoute, Shell, Side, Staff};
use crate::app::App;
use crate::http::problem::Problem;

const MANAGE: Access = Access::Staff(Section::Manage);
/// A document of 50 MB and what a form says beside it.
const UPLOAD: usize = 52 << 20;

/// The pages of this section.
#[rustfmt::skip]
pub(crate) fn table() -> Vec<PageRoute> {
    vec![
        get("/manage", MANAGE, overview::show),
        get("/manage/products", MANAGE, products::list),
        get("/manage/products/new", MANAGE, product_new::form),
        post("/manage/products/new", MANAGE, product_new::read).max_body(UPLOAD),
        get("/manage/products/new/{draft}", MANAGE, product_new::review),
        post("/manage/products/new/{draft}", MANAGE, product_new::save),
        get("/manage/products/{product}", MANAGE, products::show),
        get("/manage/products/{product}/edit", MANAGE, product_edit::form),
        post("/manage/products/{product}/edit", MANAGE, product_edit::save),
        get("/manage/products/{product}/archive", MANAGE, product_edit::confirm),
        post("/manage/products/{product}/archive", MANAGE, product_edit::archive),
        get("/manage/products/{product}/apis/{api}/document", MANAGE, document::form),
        post("/manage/products/{product}/apis/{api}/document", MANAGE, document::read).max_body(UPLOAD),
        get("/manage/products/{product}/apis/{api}/document/{draft}", MANAGE, document::review),
        post("/manage/products/{product}/apis/{api}/document/{draft}", MANAGE, document::publish),
        get("/manage/products/{product}/plans", MANAGE, plans::list),
        get("/manage/products/{product}/plans/new", MANAGE, plan_editor::new),
        post("/manage/products/{product}/plans/new", MANAGE, plan_editor::create),
        get("/manage/products/{product}/plans/{plan}/edit", MANAGE, plan_editor::edit),
        post("/manage/products/{product}/plans/{plan}/edit", MANAGE, plan_editor::change),
        get("/manage/products/{product}/plans/{plan}/publish", MANAGE, plan_publish::show),
        post("/manage/products/{product}/plans/{plan}/publish", MANAGE, plan_publish::publish),
        get("/manage/products/{product}/plans/{plan}/versions", MANAGE, versions::show),
        post("/manage/products/{product}/plans/{plan}/migrate", MANAGE, versions::migrate),
        get("/manage/products/{product}/plans/{plan}/archive", MANAGE, versions::confirm),
        post("/manage/products/{product}/plans/{plan}/archive", MANAGE, versions::archive),
        get("/manage/approvals", MANAGE, approvals::list),
        post("/manage/approvals", MANAGE, approvals::decide),
        get("/manage/adoption", MANAGE, adoption::show),
        get("/manage/guides", MANAGE, guides::list),
        get("/manage/guides/new", MANAGE, guides::new),
        post("/manage/guides/new", MANAGE, guides::create),
        get("/manage/guides/edit/{*path}", MANAGE, guides::edit),
        post("/manage/guides/edit/{*path}", MANAGE, guides::change),
        get("/manage/guides/delete/{*path}", MANAGE, guides::confirm),
        post("/manage/guides/delete/{*path}", MANAGE, guides::delete),
    ]
}

/// How many subscriptions wait for a decision, as far as a badge tells.
async fn waiting(app: &App) -> Result<u64, Problem> {
    let filter = SubscriptionFilter {
        status: Some(SubscriptionStatus::PendingApproval),
        ..SubscriptionFilter::default()
    };
    let some = app
        .store
        .subscriptions(Scope::All, &filter, &Page::first(Page::MAX))
        .await?;
    Ok(some.len() as u64)
}

/// The layout of this section.
async fn shell(app: &App, staff: &Staff) -> Result<Shell, Problem> {
    let side = Side::new(
        "Manage",
        &[
            (
                None,
                &[
                    ("/manage", "Overview"),
                    ("/manage/products", "Products"),
                    ("/manage/approvals", "Approvals"),
                    ("/manage/adoption", "Adoption"),
                ],
            ),
            (Some("Content"), &[("/manage/guides", "Guides")]),
        ],
    );
    let side = side.count("/manage/approvals", waiting(app).await?);
    Ok(staff.visitor.shell(app).await?.side(side))
}

/// Whether the visitor may change things here: support reads alone.
fn may_change(staff: &Staff) -> bool {
    staff.may_change(Section::Manage)
}

/// The name under which a person stands on drafts and guides.
fn author(staff: &Staff) -> String {
    staff.visitor.person().map_or_else(String::new, |person| {
        let name = person.user.name.trim();
        if name.is_empty() {
            person.user.email.clone()
        } else {
            name.to_owned()
        }
    })
}
