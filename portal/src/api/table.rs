//! The one table of the Admin API: method, path, what a caller needs, handler, documentation.

use super::endpoint::{Endpoint, account, delete, deployment, gateway, get, patch, post, put};
use super::scope::Access::{Read, Write};
use super::scope::Area::{
    Accounts, Audit, Billing, Config, Consumers, Credentials, Invoices, Subscriptions, Usage, Users,
};
use super::{
    accounts, audit_events, billing, billing_preview, config, consumers, credentials, feed, gateways, invoices,
    invoices_evidence, invoices_money, members, plans, products, reconciliation, requests, revenue, subscriptions,
    test_clock, tokens, transitions, usage, usage_events, users,
};

/// Every route below `/api/v1`.
#[rustfmt::skip]
pub(crate) fn table() -> Vec<Endpoint> {
    [configuration(), people(), customers(), moves(), used(), money()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn configuration() -> Vec<Endpoint> {
    vec![
        put("/config", deployment(Config, Write), config::put, config::put_doc()).max_body(config::MAX_BODY),
        get("/config", deployment(Config, Read), config::show, config::show_doc()),
        get("/config/revisions", deployment(Config, Read), config::revisions, config::revisions_doc()),
        post("/config/rollback", deployment(Config, Write), config::rollback, config::rollback_doc()),
        get("/apis", deployment(Config, Read), products::apis, products::apis_doc()),
        get("/products", account(Config, Read), products::list, products::list_doc()),
        get("/plans/{product}/{plan}/versions", deployment(Config, Read), plans::versions, plans::versions_doc()),
        post("/plans/{product}/{plan}/publish", deployment(Config, Write), plans::publish, plans::publish_doc()),
        post("/plans/{product}/{plan}/archive", deployment(Config, Write), plans::archive, plans::archive_doc()),
        post("/plans/{product}/{plan}/migrate", deployment(Config, Write), plans::migrate, plans::migrate_doc()),
        get("/gateways", deployment(Config, Read), gateways::list, gateways::list_doc()),
        put("/gateways/{id}", gateway(), gateways::report, gateways::report_doc()),
        delete("/gateways/{id}", deployment(Config, Write), gateways::forget, gateways::forget_doc()),
        get("/feed", gateway(), feed::show, feed::show_doc()),
        get("/feed/use", gateway(), feed::used, feed::used_doc()),
        get("/audit-events", account(Audit, Read), audit_events::list, audit_events::list_doc()),
        post("/test-clock/advance", deployment(Billing, Write), test_clock::advance, test_clock::advance_doc()),
    ]
}

#[rustfmt::skip]
fn people() -> Vec<Endpoint> {
    vec![
        post("/tokens", account(Users, Write), tokens::create, tokens::create_doc()),
        get("/tokens", account(Users, Read), tokens::list, tokens::list_doc()),
        delete("/tokens/{id}", account(Users, Write), tokens::delete, tokens::delete_doc()),
        post("/users", deployment(Users, Write), users::invite, users::invite_doc()),
        get("/users", deployment(Users, Read), users::list, users::list_doc()),
        patch("/users/{id}", deployment(Users, Write), users::change, users::change_doc()),
        delete("/users/{id}", deployment(Users, Write), users::delete, users::delete_doc()),
        post("/accounts", deployment(Accounts, Write), accounts::create, accounts::create_doc()),
        get("/accounts", account(Accounts, Read), accounts::list, accounts::list_doc()),
        get("/accounts/{id}", account(Accounts, Read), accounts::show, accounts::show_doc()),
        patch("/accounts/{id}", account(Accounts, Write), accounts::change, accounts::change_doc()),
        delete("/accounts/{id}", account(Accounts, Write), accounts::delete, accounts::delete_doc()),
        get("/accounts/{id}/members", account(Accounts, Read), members::list, members::list_doc()),
        patch("/accounts/{id}/members/{cid}", account(Accounts, Write), members::change, members::change_doc()),
        delete("/accounts/{id}/members/{cid}", account(Accounts, Write), members::delete, members::delete_doc()),
        post("/accounts/{id}/invitations", account(Accounts, Write), members::invite, members::invite_doc()),
        get("/accounts/{id}/invitations", account(Accounts, Read), members::invitations, members::invitations_doc()),
    ]
}

#[rustfmt::skip]
fn customers() -> Vec<Endpoint> {
    vec![
        post("/consumers", account(Consumers, Write), consumers::create, consumers::create_doc()),
        get("/consumers", account(Consumers, Read), consumers::list, consumers::list_doc()),
        get("/consumers/{id}", account(Consumers, Read), consumers::show, consumers::show_doc()),
        post("/consumers/{id}/suspend", account(Consumers, Write), consumers::suspend, consumers::suspend_doc()),
        post("/consumers/{id}/resume", account(Consumers, Write), consumers::resume, consumers::resume_doc()),
        delete("/consumers/{id}", account(Consumers, Write), consumers::delete, consumers::delete_doc()),
        post("/consumers/{id}/credentials", account(Credentials, Write), credentials::create, credentials::create_doc()),
        get("/consumers/{id}/credentials", account(Credentials, Read), credentials::list, credentials::list_doc()),
        post("/consumers/{id}/credentials/{cid}/rotate", account(Credentials, Write), credentials::rotate, credentials::rotate_doc()),
        delete("/consumers/{id}/credentials/{cid}", account(Credentials, Write), credentials::delete, credentials::delete_doc()),
    ]
}

#[rustfmt::skip]
fn moves() -> Vec<Endpoint> {
    vec![
        post("/subscriptions", account(Subscriptions, Write), subscriptions::create, subscriptions::create_doc()),
        get("/subscriptions", account(Subscriptions, Read), subscriptions::list, subscriptions::list_doc()),
        get("/subscriptions/{id}", account(Subscriptions, Read), subscriptions::show, subscriptions::show_doc()),
        post("/subscriptions/{id}/approve", account(Subscriptions, Write), transitions::approve, transitions::approve_doc()),
        post("/subscriptions/{id}/reject", account(Subscriptions, Write), transitions::reject, transitions::reject_doc()),
        post("/subscriptions/{id}/pause", account(Subscriptions, Write), transitions::pause, transitions::pause_doc()),
        post("/subscriptions/{id}/resume", account(Subscriptions, Write), transitions::resume, transitions::resume_doc()),
        post("/subscriptions/{id}/cancel", account(Subscriptions, Write), transitions::cancel, transitions::cancel_doc()),
        post("/subscriptions/{id}/uncancel", account(Subscriptions, Write), transitions::uncancel, transitions::uncancel_doc()),
        post("/subscriptions/{id}/change", account(Subscriptions, Write), transitions::change, transitions::change_doc()),
        post("/subscriptions/{id}/change/preview", account(Subscriptions, Write), transitions::preview, transitions::preview_doc()),
    ]
}

#[rustfmt::skip]
fn used() -> Vec<Endpoint> {
    vec![
        get("/usage", account(Usage, Read), usage::show, usage::show_doc()),
        get("/usage/events", account(Usage, Read), usage_events::list, usage_events::list_doc()),
        get("/requests/{request_id}", account(Usage, Read), requests::show, requests::show_doc()),
    ]
}

#[rustfmt::skip]
fn money() -> Vec<Endpoint> {
    vec![
        get("/invoices", account(Invoices, Read), invoices::list, invoices::list_doc()),
        get("/invoices/{id}", account(Invoices, Read), invoices::show, invoices::show_doc()),
        get("/invoices/{id}/lines/{n}/usage", account(Invoices, Read), invoices_evidence::list, invoices_evidence::list_doc()),
        post("/invoices/{id}/finalize", deployment(Invoices, Write), invoices_money::finalize, invoices_money::finalize_doc()),
        post("/invoices/{id}/void", deployment(Invoices, Write), invoices_money::void, invoices_money::void_doc()),
        post("/invoices/{id}/reissue", deployment(Invoices, Write), invoices_money::reissue, invoices_money::reissue_doc()),
        post("/invoices/{id}/payments", deployment(Invoices, Write), invoices_money::pay, invoices_money::pay_doc()),
        post("/invoices/{id}/credit-notes", deployment(Invoices, Write), invoices_money::credit, invoices_money::credit_doc()),
        post("/invoices/{id}/uncollectible", deployment(Invoices, Write), invoices_money::give_up, invoices_money::give_up_doc()),
        get("/accounts/{id}/balance", account(Invoices, Read), billing::balance, billing::balance_doc()),
        post("/billing/run", deployment(Billing, Write), billing::run, billing::run_doc()),
        get("/billing/runs/{id}", deployment(Billing, Read), billing::show_run, billing::show_run_doc()),
        post("/billing/preview", deployment(Billing, Read), billing_preview::preview, billing_preview::preview_doc()),
        post("/billing/rate", deployment(Billing, Read), billing::rate, billing::rate_doc()),
        get("/revenue", deployment(Billing, Read), revenue::show, revenue::show_doc()),
        get("/reconciliation", deployment(Billing, Read), reconciliation::show, reconciliation::show_doc()),
    ]
}
