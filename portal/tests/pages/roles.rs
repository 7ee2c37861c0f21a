//! Every page as every kind of person. A page that has no row here fails the test.
//!
//! A row is (method, route, an address of it, whose it is). In the address, `CONSUMER`, `CREDENTIAL`, `SUBSCRIPTION`,
//! `ACCOUNT`, `MEMBER` and `INVITATION` stand for ids of the first tenant. What is [`Whose::Theirs`] must be 404 for the owner of another organisation.

use axum::http::Method;
use portal::{PageAccess, PageInfo, Section, page_routes};
use serde_json::json;
use store::{AccountRole, StaffRole};

use crate::browser::Browser;
use crate::support::{Reply, Server, Tenant, petstore, text};

/// Whose thing a page shows or changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nobody's in particular, or the visitor's own.
    Shared,
    /// The first tenant's.
    Theirs,
}

use Whose::{Shared, Theirs};

type Row = (&'static str, &'static str, &'static str, Whose);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // what everyone reads
    ("GET", "/", "/", Shared),
    ("GET", "/api/docs", "/api/docs", Shared),
    ("POST", "/theme", "/theme", Shared),
    ("GET", "/products", "/products?q=pet", Shared),
    ("GET", "/products/{product}", "/products/petstore", Shared),
    ("GET", "/products/{product}/subscribe", "/products/petstore/subscribe?plan=pro", Shared),
    ("GET", "/products/{product}/{api}/{version}/reference", "/products/petstore/petstore/1.0/reference", Shared),
    ("GET", "/products/{product}/{api}/{version}/reference.md", "/products/petstore/petstore/1.0/reference.md", Shared),
    ("GET", "/products/{product}/{api}/{version}/reference/{name}", "/products/petstore/petstore/1.0/reference/pets", Shared),
    ("GET", "/products/{product}/{api}/{version}/operations/{name}", "/products/petstore/petstore/1.0/operations/get-pets", Shared),
    ("GET", "/products/{product}/{api}/{version}/webhooks/{name}", "/products/petstore/petstore/1.0/webhooks/born", Shared),
    ("GET", "/products/{product}/{api}/{version}/try/{name}", "/products/petstore/petstore/1.0/try/get-pets", Shared),
    ("POST", "/products/{product}/{api}/{version}/try/{name}", "/products/petstore/petstore/1.0/try/get-pets", Shared),
    ("GET", "/products/{product}/{api}/{version}/schemas", "/products/petstore/petstore/1.0/schemas", Shared),
    ("GET", "/products/{product}/{api}/{version}/schemas/{name}", "/products/petstore/petstore/1.0/schemas/pet", Shared),
    ("GET", "/products/{product}/{api}/{version}/auth", "/products/petstore/petstore/1.0/auth", Shared),
    ("GET", "/products/{product}/{api}/{version}/auth.md", "/products/petstore/petstore/1.0/auth.md", Shared),
    ("GET", "/products/{product}/{api}/{version}/openapi.json", "/products/petstore/petstore/1.0/openapi.json", Shared),
    ("GET", "/products/{product}/{api}/{version}/openapi.yaml", "/products/petstore/petstore/1.0/openapi.yaml", Shared),
    ("GET", "/pricing", "/pricing?calls=10000", Shared),
    ("GET", "/search", "/search?q=pets", Shared),
    ("GET", "/docs", "/docs", Shared),
    ("GET", "/docs/{*path}", "/docs/start", Shared),
    ("GET", "/llms.txt", "/llms.txt", Shared),
    ("GET", "/llms-full.txt", "/llms-full.txt", Shared),
    ("GET", "/sitemap.xml", "/sitemap.xml", Shared),
    ("GET", "/robots.txt", "/robots.txt", Shared),
    // administration
    ("GET", "/admin", "/admin", Shared),
    ("GET", "/admin/consumers", "/admin/consumers?q=acme", Shared),
    ("GET", "/admin/consumers/{id}", "/admin/consumers/CONSUMER", Shared),
    ("GET", "/admin/consumers/{id}/suspend", "/admin/consumers/CONSUMER/suspend", Shared),
    ("POST", "/admin/consumers/{id}/suspend", "/admin/consumers/CONSUMER/suspend", Shared),
    ("POST", "/admin/consumers/{id}/resume", "/admin/consumers/CONSUMER/resume", Shared),
    ("GET", "/admin/organisations/{id}", "/admin/organisations/ACCOUNT", Shared),
    ("GET", "/admin/analytics", "/admin/analytics?by=operation&consumer=CONSUMER", Shared),
    ("GET", "/admin/analytics.csv", "/admin/analytics.csv", Shared),
    ("GET", "/admin/gateways", "/admin/gateways", Shared),
    ("GET", "/admin/users", "/admin/users", Shared),
    ("POST", "/admin/users", "/admin/users", Shared),
    ("GET", "/admin/users/{id}", "/admin/users/usr_0", Shared),
    ("POST", "/admin/users/{id}/roles", "/admin/users/usr_0/roles", Shared),
    ("POST", "/admin/users/{id}/disable", "/admin/users/usr_0/disable", Shared),
    ("GET", "/admin/audit", "/admin/audit?verify=1", Shared),
    ("GET", "/admin/audit.csv", "/admin/audit.csv", Shared),
    ("GET", "/admin/settings", "/admin/settings", Shared),
    ("POST", "/admin/settings", "/admin/settings", Shared),
    ("POST", "/admin/settings/mail", "/admin/settings/mail", Shared),
    // people and their ways in
    ("GET", "/signup", "/signup", Shared),
    ("POST", "/signup", "/signup", Shared),
    ("GET", "/verify", "/verify", Shared),
    ("POST", "/verify", "/verify", Shared),
    ("GET", "/verify/{secret}", "/verify/tgv_unknown", Shared),
    ("POST", "/verify/{secret}", "/verify/tgv_unknown", Shared),
    ("POST", "/verify/{secret}/again", "/verify/tgv_unknown/again", Shared),
    ("GET", "/login", "/login", Shared),
    ("POST", "/login", "/login", Shared),
    ("POST", "/logout", "/logout", Shared),
    ("GET", "/forgot", "/forgot", Shared),
    ("POST", "/forgot", "/forgot", Shared),
    ("GET", "/reset/{secret}", "/reset/tgr_unknown", Shared),
    ("POST", "/reset/{secret}", "/reset/tgr_unknown", Shared),
    ("GET", "/invite/{secret}", "/invite/tgi_unknown", Shared),
    ("POST", "/invite/{secret}", "/invite/tgi_unknown", Shared),
    ("GET", "/organisation/new", "/organisation/new", Shared),
    ("POST", "/organisation/new", "/organisation/new", Shared),
    ("POST", "/app/switch", "/app/switch", Shared),
    ("GET", "/app/team", "/app/team", Shared),
    ("POST", "/app/team/invitations", "/app/team/invitations", Shared),
    ("POST", "/app/team/invitations/{id}/withdraw", "/app/team/invitations/INVITATION/withdraw", Theirs),
    ("POST", "/app/team/invitations/{id}/again", "/app/team/invitations/INVITATION/again", Theirs),
    ("POST", "/app/team/{id}/role", "/app/team/MEMBER/role", Theirs),
    ("GET", "/app/team/{id}/remove", "/app/team/MEMBER/remove", Theirs),
    ("POST", "/app/team/{id}/remove", "/app/team/MEMBER/remove", Theirs),
    ("GET", "/app/team/leave", "/app/team/leave", Shared),
    ("POST", "/app/team/leave", "/app/team/leave", Shared),
    ("GET", "/app/settings", "/app/settings", Shared),
    ("POST", "/app/settings/profile", "/app/settings/profile", Shared),
    ("POST", "/app/settings/organisation", "/app/settings/organisation", Shared),
    ("GET", "/app/security", "/app/security", Shared),
    ("POST", "/app/security/password", "/app/security/password", Shared),
    ("POST", "/app/security/sessions/others", "/app/security/sessions/others", Shared),
    ("POST", "/app/security/sessions/{id}/end", "/app/security/sessions/unknown/end", Shared),
    // product managers
    ("GET", "/manage", "/manage", Shared),
    ("GET", "/manage/products", "/manage/products", Shared),
    ("GET", "/manage/products/new", "/manage/products/new", Shared),
    ("POST", "/manage/products/new", "/manage/products/new", Shared),
    ("GET", "/manage/products/new/{draft}", "/manage/products/new/0123456789abcdef01234567", Shared),
    ("POST", "/manage/products/new/{draft}", "/manage/products/new/0123456789abcdef01234567", Shared),
    ("GET", "/manage/products/{product}", "/manage/products/petstore", Shared),
    ("GET", "/manage/products/{product}/edit", "/manage/products/petstore/edit", Shared),
    ("POST", "/manage/products/{product}/edit", "/manage/products/petstore/edit", Shared),
    ("GET", "/manage/products/{product}/archive", "/manage/products/petstore/archive", Shared),
    ("POST", "/manage/products/{product}/archive", "/manage/products/petstore/archive", Shared),
    ("GET", "/manage/products/{product}/apis/{api}/document", "/manage/products/petstore/apis/petstore/document", Shared),
    ("POST", "/manage/products/{product}/apis/{api}/document", "/manage/products/petstore/apis/petstore/document", Shared),
    ("GET", "/manage/products/{product}/apis/{api}/document/{draft}", "/manage/products/petstore/apis/petstore/document/0123456789abcdef01234567", Shared),
    ("POST", "/manage/products/{product}/apis/{api}/document/{draft}", "/manage/products/petstore/apis/petstore/document/0123456789abcdef01234567", Shared),
    ("GET", "/manage/products/{product}/plans", "/manage/products/petstore/plans", Shared),
    ("GET", "/manage/products/{product}/plans/new", "/manage/products/petstore/plans/new", Shared),
    ("POST", "/manage/products/{product}/plans/new", "/manage/products/petstore/plans/new", Shared),
    ("GET", "/manage/products/{product}/plans/{plan}/edit", "/manage/products/petstore/plans/pro/edit", Shared),
    ("POST", "/manage/products/{product}/plans/{plan}/edit", "/manage/products/petstore/plans/pro/edit", Shared),
    ("GET", "/manage/products/{product}/plans/{plan}/publish", "/manage/products/petstore/plans/pro/publish", Shared),
    ("POST", "/manage/products/{product}/plans/{plan}/publish", "/manage/products/petstore/plans/pro/publish", Shared),
    ("GET", "/manage/products/{product}/plans/{plan}/versions", "/manage/products/petstore/plans/pro/versions", Shared),
    ("POST", "/manage/products/{product}/plans/{plan}/migrate", "/manage/products/petstore/plans/pro/migrate", Shared),
    ("GET", "/manage/products/{product}/plans/{plan}/archive", "/manage/products/petstore/plans/pro/archive", Shared),
    ("POST", "/manage/products/{product}/plans/{plan}/archive", "/manage/products/petstore/plans/pro/archive", Shared),
    ("GET", "/manage/approvals", "/manage/approvals", Shared),
    ("POST", "/manage/approvals", "/manage/approvals", Shared),
    ("GET", "/manage/adoption", "/manage/adoption", Shared),
    ("GET", "/manage/guides", "/manage/guides", Shared),
    ("GET", "/manage/guides/new", "/manage/guides/new", Shared),
    ("POST", "/manage/guides/new", "/manage/guides/new", Shared),
    ("GET", "/manage/guides/edit/{*path}", "/manage/guides/edit/start/first", Shared),
    ("POST", "/manage/guides/edit/{*path}", "/manage/guides/edit/start/first", Shared),
    ("GET", "/manage/guides/delete/{*path}", "/manage/guides/delete/start/first", Shared),
    ("POST", "/manage/guides/delete/{*path}", "/manage/guides/delete/start/first", Shared),
    // what members of an organisation do
    ("GET", "/app", "/app", Shared),
    ("GET", "/app/usage", "/app/usage?app=CONSUMER", Theirs),
    ("GET", "/app/usage.csv", "/app/usage.csv?app=CONSUMER", Theirs),
    ("GET", "/app/logs", "/app/logs?app=CONSUMER", Theirs),
    ("GET", "/app/logs/{request_id}", "/app/logs/none", Shared),
    ("GET", "/app/billing", "/app/billing", Shared),
    ("GET", "/app/billing/invoices/{id}", "/app/billing/invoices/none", Shared),
    ("GET", "/app/billing/invoices/{id}/lines/{n}", "/app/billing/invoices/none/lines/1", Shared),
    ("GET", "/app/apps", "/app/apps", Shared),
    ("POST", "/app/apps", "/app/apps", Shared),
    ("GET", "/app/apps/new", "/app/apps/new", Shared),
    ("GET", "/app/apps/{id}", "/app/apps/CONSUMER", Theirs),
    ("POST", "/app/apps/{id}", "/app/apps/CONSUMER", Theirs),
    ("GET", "/app/apps/{id}/delete", "/app/apps/CONSUMER/delete", Theirs),
    ("POST", "/app/apps/{id}/delete", "/app/apps/CONSUMER/delete", Theirs),
    ("GET", "/app/apps/{id}/keys", "/app/apps/CONSUMER/keys", Theirs),
    ("POST", "/app/apps/{id}/keys", "/app/apps/CONSUMER/keys", Theirs),
    ("GET", "/app/apps/{id}/keys/{cid}/rotate", "/app/apps/CONSUMER/keys/CREDENTIAL/rotate", Theirs),
    ("POST", "/app/apps/{id}/keys/{cid}/rotate", "/app/apps/CONSUMER/keys/CREDENTIAL/rotate", Theirs),
    ("GET", "/app/apps/{id}/keys/{cid}/revoke", "/app/apps/CONSUMER/keys/CREDENTIAL/revoke", Theirs),
    ("POST", "/app/apps/{id}/keys/{cid}/revoke", "/app/apps/CONSUMER/keys/CREDENTIAL/revoke", Theirs),
    ("GET", "/app/apps/{id}/subscriptions", "/app/apps/CONSUMER/subscriptions", Theirs),
    ("POST", "/app/apps/{id}/subscriptions", "/app/apps/CONSUMER/subscriptions", Theirs),
    ("GET", "/app/apps/{id}/subscriptions/new", "/app/apps/CONSUMER/subscriptions/new", Theirs),
    ("GET", "/app/apps/{id}/subscriptions/{cid}/change", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/change", Theirs),
    ("POST", "/app/apps/{id}/subscriptions/{cid}/change", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/change", Theirs),
    ("GET", "/app/apps/{id}/subscriptions/{cid}/cancel", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/cancel", Theirs),
    ("POST", "/app/apps/{id}/subscriptions/{cid}/cancel", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/cancel", Theirs),
    ("POST", "/app/apps/{id}/subscriptions/{cid}/uncancel", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/uncancel", Theirs),
    ("POST", "/app/apps/{id}/subscriptions/{cid}/withdraw", "/app/apps/CONSUMER/subscriptions/SUBSCRIPTION/withdraw", Theirs),
    // finance
    ("GET", "/finance", "/finance", Shared),
    ("GET", "/finance/unbilled", "/finance/unbilled", Shared),
    ("GET", "/finance/invoices", "/finance/invoices", Shared),
    ("GET", "/finance/invoices.csv", "/finance/invoices.csv", Shared),
    ("GET", "/finance/invoices/{id}", "/finance/invoices/inv_x", Shared),
    ("GET", "/finance/invoices/{id}/pdf", "/finance/invoices/inv_x/pdf", Shared),
    ("GET", "/finance/invoices/{id}/csv", "/finance/invoices/inv_x/csv", Shared),
    ("GET", "/finance/invoices/{id}/lines/{n}", "/finance/invoices/inv_x/lines/1", Shared),
    ("GET", "/finance/invoices/{id}/lines/{n}/csv", "/finance/invoices/inv_x/lines/1/csv", Shared),
    ("GET", "/finance/invoices/{id}/finalize", "/finance/invoices/inv_x/finalize", Shared),
    ("POST", "/finance/invoices/{id}/finalize", "/finance/invoices/inv_x/finalize", Shared),
    ("GET", "/finance/invoices/{id}/void", "/finance/invoices/inv_x/void", Shared),
    ("POST", "/finance/invoices/{id}/void", "/finance/invoices/inv_x/void", Shared),
    ("GET", "/finance/invoices/{id}/reissue", "/finance/invoices/inv_x/reissue", Shared),
    ("POST", "/finance/invoices/{id}/reissue", "/finance/invoices/inv_x/reissue", Shared),
    ("GET", "/finance/invoices/{id}/uncollectible", "/finance/invoices/inv_x/uncollectible", Shared),
    ("POST", "/finance/invoices/{id}/uncollectible", "/finance/invoices/inv_x/uncollectible", Shared),
    ("GET", "/finance/invoices/{id}/payment", "/finance/invoices/inv_x/payment", Shared),
    ("POST", "/finance/invoices/{id}/payment", "/finance/invoices/inv_x/payment", Shared),
    ("GET", "/finance/invoices/{id}/credit", "/finance/invoices/inv_x/credit", Shared),
    ("POST", "/finance/invoices/{id}/credit", "/finance/invoices/inv_x/credit", Shared),
    ("GET", "/finance/requests/{request_id}", "/finance/requests/none", Shared),
    ("GET", "/finance/customers", "/finance/customers", Shared),
    ("GET", "/finance/customers/{id}", "/finance/customers/ACCOUNT", Shared),
    ("GET", "/finance/revenue", "/finance/revenue", Shared),
    ("GET", "/finance/revenue.csv", "/finance/revenue.csv", Shared),
    ("GET", "/finance/reconciliation", "/finance/reconciliation", Shared),
    ("GET", "/finance/runs", "/finance/runs", Shared),
    ("GET", "/finance/runs/new", "/finance/runs/new", Shared),
    ("POST", "/finance/runs/new", "/finance/runs/new", Shared),
    ("GET", "/finance/runs/{id}", "/finance/runs/run_x", Shared),
    ("GET", "/finance/runs/{id}/progress", "/finance/runs/run_x/progress", Shared),
];

struct Cast {
    server: Server,
    tenant: Tenant,
    /// Name, browser, account role (of the first tenant), staff roles.
    people: Vec<(&'static str, Browser, Option<AccountRole>, Vec<StaffRole>)>,
    stranger: Browser,
    /// Id of the viewer.
    member: String,
    /// Id of an open invitation into the first tenant's account.
    invitation: String,
}

impl Cast {
    async fn meet() -> Self {
        let server = Server::start().await;
        let mut document = petstore();
        document["settings"] = json!({"branding": {"name": "Fernpost"}});
        server.apply(document).await.expect(200);
        let tenant = Tenant::new(&server, "acme").await;
        let other = Tenant::new(&server, "umbrella").await;
        let mut people = vec![("nobody", Browser::new(&server), None, Vec::new())];
        for (name, role) in [
            ("owner", AccountRole::Owner),
            ("developer", AccountRole::Developer),
            ("billing", AccountRole::Billing),
            ("viewer", AccountRole::Viewer),
        ] {
            let browser = Browser::member(&server, &tenant, role).await;
            people.push((name, browser, Some(role), Vec::new()));
        }
        for (name, role) in [
            ("admin", StaffRole::Admin),
            ("product manager", StaffRole::ProductManager),
            ("finance", StaffRole::Finance),
            ("support", StaffRole::Support),
        ] {
            let browser = Browser::staff(&server, &[role]).await;
            people.push((name, browser, None, vec![role]));
        }
        let stranger = Browser::member(&server, &other, AccountRole::Owner).await;
        let viewer = format!("viewer-{}@portal.test", tenant.account.to_lowercase());
        let member = server
            .store
            .user_by_email(&viewer)
            .await
            .unwrap()
            .unwrap()
            .id
            .to_string();
        let wish = json!({"email": "new@portal.test", "role": "viewer"});
        let made = server
            .post(&format!("/accounts/{}/invitations", tenant.account), wish)
            .await
            .expect(201);
        Self {
            server,
            tenant,
            people,
            stranger,
            member,
            invitation: text(&made, "id"),
        }
    }

    fn address(&self, pattern: &str) -> String {
        pattern
            .replace("CONSUMER", &self.tenant.consumer)
            .replace("CREDENTIAL", &self.tenant.credential)
            .replace("SUBSCRIPTION", &self.tenant.subscription)
            .replace("ACCOUNT", &self.tenant.account)
            .replace("MEMBER", &self.member)
            .replace("INVITATION", &self.invitation)
    }
}

fn row(page: &PageInfo) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == page.method && row.1 == page.path)
}

#[derive(Debug, PartialEq, Eq)]
enum Door {
    Open,
    LogIn,
    Elsewhere,
    Closed,
}

fn expected(access: PageAccess, role: Option<AccountRole>, staff: &[StaffRole], method: &str) -> Door {
    let method = method.parse::<Method>().unwrap();
    if role.is_none() && staff.is_empty() {
        return if access == PageAccess::Public {
            Door::Open
        } else {
            Door::LogIn
        };
    }
    match access {
        PageAccess::Public | PageAccess::SignedIn => Door::Open,
        PageAccess::Member(roles) => match role {
            None => Door::Elsewhere,
            Some(role) if roles.contains(&role) => Door::Open,
            Some(_) => Door::Closed,
        },
        PageAccess::Staff(section) if staff_may(section, staff, &method) => Door::Open,
        PageAccess::Staff(_) => Door::Closed,
    }
}

/// Written out once more, so that a change of the rule is noticed.
fn staff_may(section: Section, staff: &[StaffRole], method: &Method) -> bool {
    staff.iter().any(|role| match role {
        StaffRole::Admin => true,
        StaffRole::ProductManager => section == Section::Manage,
        StaffRole::Finance => section == Section::Finance,
        StaffRole::Support => method == Method::GET,
    })
}

/// What a form without a token tells: an open door asks for the token, a closed one does not get so far.
fn door(reply: &Reply, method: &str) -> Door {
    let to_log_in = reply.header("location").is_some_and(|to| to.starts_with("/login"));
    match reply.status {
        303 if to_log_in => Door::LogIn,
        303 if method == "POST" => Door::Elsewhere,
        403 if reply.text.contains("This form has expired") => Door::Open,
        403 => Door::Closed,
        200 | 303 | 404 | 410 | 422 => Door::Open,
        status => panic!("{status}: {}", reply.text),
    }
}

#[test]
fn every_page_has_a_row_and_every_row_a_page() {
    let pages = page_routes();
    let unlisted: Vec<_> = pages
        .iter()
        .filter(|page| row(page).is_none())
        .map(|page| format!("{} {}", page.method, page.path))
        .collect();
    assert!(unlisted.is_empty(), "pages without a row: {unlisted:#?}");
    for (method, path, ..) in ROWS {
        let known = pages.iter().any(|page| page.method == *method && page.path == *path);
        assert!(known, "no page is {method} {path}");
    }
}

#[tokio::test]
async fn every_page_opens_for_those_who_may_and_for_nobody_else() {
    let mut cast = Cast::meet().await;
    let mut wrong = Vec::new();
    let mut people = std::mem::take(&mut cast.people);
    for page in page_routes() {
        let Some((method, _, address, _)) = row(&page) else {
            continue;
        };
        let address = cast.address(address);
        for (name, browser, role, staff) in &mut people {
            let reply = match *method {
                "GET" => browser.get(&address).await,
                _ => browser.post_as_is(&address, &[], &[]).await,
            };
            let wanted = expected(page.access, *role, staff, method);
            let found = door(&reply, method);
            let fits = found == wanted || (wanted == Door::Elsewhere && reply.status == 303);
            if !fits {
                wrong.push(format!(
                    "{name}: {method} {address} is {found:?}, not {wanted:?} ({})",
                    reply.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_belongs_to_an_organisation_does_not_exist_for_another() {
    let mut cast = Cast::meet().await;
    let mut wrong = Vec::new();
    for (method, _, address, whose) in ROWS {
        if *whose == Shared {
            continue;
        }
        let address = cast.address(address);
        let reply = if *method == "GET" {
            cast.stranger.get(&address).await
        } else {
            cast.stranger.get("/").await;
            cast.stranger.post(&address, &[]).await
        };
        if reply.status != 404 {
            wrong.push(format!("{method} {address}: {}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "a stranger got {wrong:#?}");
    assert!(cast.server.running.addr.port() > 0);
}

#[test]
fn an_owned_row_says_so() {
    for (_, _, address, whose) in ROWS {
        let names_a_thing = ["CONSUMER", "CREDENTIAL", "SUBSCRIPTION"]
            .iter()
            .any(|id| address.contains(id));
        let is_staff = ["/manage", "/finance", "/admin"]
            .iter()
            .any(|section| address.starts_with(section));
        assert!(!names_a_thing || is_staff || *whose == Theirs, "{address}");
    }
}
