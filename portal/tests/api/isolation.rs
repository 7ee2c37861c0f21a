//! Every route of the table: without a token, with too small a scope, with the token of a foreign account.

use std::collections::BTreeSet;

use domain::ids::{InvitationId, UserId};
use portal::{Need, Scope, routes};
use serde_json::{Value, json};

use crate::support::{Server, Tenant, petstore, text};

/// No request was ever made: the administrator does not find it either.
const NO_REQUEST: &str = "01981234-5678-7abc-8def-0123456789ab";

/// What the token of a foreign account gets.
#[derive(Clone, Copy, PartialEq)]
enum Foreign {
    /// 404, as for what does not exist.
    Missing,
    /// 200 with a list that holds nothing of the other account.
    Empty,
    /// 403: the route is the deployment's.
    Refused,
    /// It works, within its own account.
    Own,
}

use Foreign::{Empty, Missing, Own, Refused};

struct Row {
    route: (&'static str, &'static str),
    foreign: Foreign,
    body: Option<Value>,
}

fn row(method: &'static str, path: &'static str, foreign: Foreign, body: Value) -> Row {
    Row {
        route: (method, path),
        foreign,
        body: (!body.is_null()).then_some(body),
    }
}

/// One row for each route. `$` fields are filled in from the first tenant.
fn rows() -> Vec<Row> {
    let none = Value::Null;
    let reason = || json!({"reason": "test"});
    vec![
        row("PUT", "/config", Refused, json!({})),
        row("GET", "/config", Refused, none.clone()),
        row("GET", "/config/revisions", Refused, none.clone()),
        row("POST", "/config/rollback", Refused, json!({"revision": 1})),
        row("GET", "/apis", Refused, none.clone()),
        row("GET", "/products", Own, none.clone()),
        row("GET", "/plans/{product}/{plan}/versions", Refused, none.clone()),
        row("POST", "/plans/{product}/{plan}/publish", Refused, json!({})),
        row("POST", "/plans/{product}/{plan}/migrate", Refused, json!({"at": "now"})),
        row("GET", "/gateways", Refused, none.clone()),
        row(
            "PUT",
            "/gateways/{id}",
            Refused,
            json!({"version": "1", "revision": 0, "ready": true, "now": "2026-06-15T10:00:00Z", "started_at": "2026-06-15T10:00:00Z"}),
        ),
        row("DELETE", "/gateways/{id}", Refused, none.clone()),
        row("GET", "/feed", Refused, none.clone()),
        row("GET", "/feed/use", Refused, none.clone()),
        row("GET", "/reconciliation", Refused, none.clone()),
        row("GET", "/audit-events", Empty, none.clone()),
        row("GET", "/usage", Empty, none.clone()),
        row("GET", "/usage/events", Empty, none.clone()),
        row("GET", "/requests/{request_id}", Missing, none.clone()),
        row(
            "POST",
            "/test-clock/advance",
            Refused,
            json!({"to": "2026-06-15T10:00:01Z"}),
        ),
        row(
            "POST",
            "/tokens",
            Missing,
            json!({"name": "x", "scopes": ["usage:read"], "account_id": "$account"}),
        ),
        row("GET", "/tokens", Empty, none.clone()),
        row(
            "POST",
            "/users",
            Refused,
            json!({"email": "new@example.com", "roles": ["support"]}),
        ),
        row("GET", "/users", Refused, none.clone()),
        row("PATCH", "/users/{id}", Refused, json!({"roles": ["support"]})),
        row(
            "POST",
            "/accounts",
            Refused,
            json!({"name": "x", "email": "x@example.com"}),
        ),
        row("GET", "/accounts", Empty, none.clone()),
        row("GET", "/accounts/{id}", Missing, none.clone()),
        row("PATCH", "/accounts/{id}", Missing, json!({"name": "renamed"})),
        row("GET", "/accounts/{id}/members", Missing, none.clone()),
        row(
            "PATCH",
            "/accounts/{id}/members/{cid}",
            Missing,
            json!({"role": "owner"}),
        ),
        row(
            "POST",
            "/accounts/{id}/invitations",
            Missing,
            json!({"email": "y@example.com", "role": "viewer"}),
        ),
        row("GET", "/accounts/{id}/invitations", Missing, none.clone()),
        row(
            "POST",
            "/consumers",
            Missing,
            json!({"account_id": "$account", "name": "x"}),
        ),
        row("GET", "/consumers", Empty, none.clone()),
        row("GET", "/consumers/{id}", Missing, none.clone()),
        row("POST", "/consumers/{id}/suspend", Missing, reason()),
        row("POST", "/consumers/{id}/resume", Missing, none.clone()),
        row(
            "POST",
            "/consumers/{id}/credentials",
            Missing,
            json!({"type": "api_key"}),
        ),
        row("GET", "/consumers/{id}/credentials", Missing, none.clone()),
        row(
            "POST",
            "/consumers/{id}/credentials/{cid}/rotate",
            Missing,
            json!({"grace": "1h"}),
        ),
        row(
            "POST",
            "/subscriptions",
            Missing,
            json!({"consumer_id": "$consumer", "product": "petstore", "plan": "pro"}),
        ),
        row("GET", "/subscriptions", Empty, none.clone()),
        row("GET", "/subscriptions/{id}", Missing, none.clone()),
        row("POST", "/subscriptions/{id}/approve", Missing, none.clone()),
        row("POST", "/subscriptions/{id}/reject", Missing, reason()),
        row(
            "POST",
            "/subscriptions/{id}/change/preview",
            Missing,
            json!({"plan": "free"}),
        ),
        row("POST", "/subscriptions/{id}/change", Missing, json!({"plan": "free"})),
        row("POST", "/subscriptions/{id}/pause", Missing, none.clone()),
        row("POST", "/subscriptions/{id}/resume", Missing, none.clone()),
        row(
            "POST",
            "/subscriptions/{id}/cancel",
            Missing,
            json!({"at": "period_end"}),
        ),
        row("POST", "/subscriptions/{id}/uncancel", Missing, none.clone()),
        row("GET", "/invoices", Empty, none.clone()),
        row("GET", "/invoices/{id}", Missing, none.clone()),
        row("GET", "/invoices/{id}/lines/{n}/usage", Missing, none.clone()),
        row("POST", "/invoices/{id}/finalize", Refused, none.clone()),
        row("POST", "/invoices/{id}/uncollectible", Refused, reason()),
        row("POST", "/invoices/{id}/payments", Refused, json!({"amount": 100})),
        row(
            "POST",
            "/invoices/{id}/credit-notes",
            Refused,
            json!({"reason": "test", "lines": [{"line": 1, "amount": 10}]}),
        ),
        row("POST", "/invoices/{id}/void", Refused, reason()),
        row("POST", "/invoices/{id}/reissue", Refused, none.clone()),
        row("GET", "/accounts/{id}/balance", Missing, none.clone()),
        row("POST", "/billing/run", Refused, json!({})),
        row("GET", "/billing/runs/{id}", Refused, none.clone()),
        row(
            "POST",
            "/billing/preview",
            Refused,
            json!({"plan": "petstore/pro", "from": "2026-06-01T00:00:00Z", "to": "2026-06-15T00:00:00Z"}),
        ),
        row(
            "POST",
            "/billing/rate",
            Refused,
            json!({"currency": "USD", "price": {"model": "unit", "unit": "0.1"}, "quantity": "3"}),
        ),
        row("GET", "/revenue", Refused, none.clone()),
        // What takes things away comes last, so that the others find them.
        row("POST", "/plans/{product}/{plan}/archive", Refused, none.clone()),
        row("DELETE", "/consumers/{id}/credentials/{cid}", Missing, none.clone()),
        row("DELETE", "/consumers/{id}", Missing, none.clone()),
        row("DELETE", "/accounts/{id}/members/{cid}", Missing, none.clone()),
        row("DELETE", "/accounts/{id}", Missing, none.clone()),
        row("DELETE", "/tokens/{id}", Missing, none.clone()),
        row("DELETE", "/users/{id}", Refused, none),
    ]
}

struct World {
    server: Server,
    first: Tenant,
    member: String,
    token_id: String,
    foreign: String,
    invoice: String,
    run: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        server.apply(petstore()).await.expect(200);
        let first = Tenant::new(&server, "first").await;
        let second = Tenant::new(&server, "second").await;
        let member = server
            .post("/users", json!({"email": "m@example.com", "roles": ["support"]}))
            .await
            .expect(201);
        let member = text(&member, "id");
        let mut tx = server
            .store
            .change(store::Actor::system("test"), server.clock.now())
            .await
            .unwrap();
        let user: UserId = member.parse().unwrap();
        tx.set_member(first.account.parse().unwrap(), user, store::AccountRole::Developer)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let wish = json!({"name": "own", "scopes": ["usage:read"], "account_id": first.account});
        let token_id = text(&server.post("/tokens", wish).await.expect(201), "id");
        let all: Vec<String> = Scope::all().iter().map(ToString::to_string).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let foreign = server.token(&all, Some(&second.account)).await;
        let invoice = crate::money::billed(&server, &first).await;
        let run = text(&server.post("/billing/run", json!({})).await.expect(202), "id");
        Self {
            server,
            first,
            member,
            token_id,
            foreign,
            invoice,
            run,
        }
    }

    fn path(&self, path: &str) -> String {
        let id = match path.split('/').nth(1).unwrap_or_default() {
            "accounts" => &self.first.account,
            "consumers" => &self.first.consumer,
            "subscriptions" => &self.first.subscription,
            "tokens" => &self.token_id,
            "invoices" => &self.invoice,
            "billing" => &self.run,
            _ => &self.member,
        };
        let cid = if path.starts_with("/accounts") {
            &self.member
        } else {
            &self.first.credential
        };
        path.replace("{id}", id)
            .replace("{cid}", cid)
            .replace("{n}", "1")
            .replace("{request_id}", NO_REQUEST)
            .replace("{product}", "petstore")
            .replace("{plan}", "pro")
    }

    fn body(&self, body: Option<&Value>) -> Option<Value> {
        let text = body?
            .to_string()
            .replace("$account", &self.first.account)
            .replace("$consumer", &self.first.consumer);
        serde_json::from_str(&text).ok()
    }
}

#[test]
fn every_route_has_a_row() {
    let listed: BTreeSet<(String, String)> = routes().into_iter().map(|route| (route.method, route.path)).collect();
    let known: BTreeSet<(String, String)> = rows()
        .iter()
        .map(|row| (row.route.0.to_owned(), row.route.1.to_owned()))
        .collect();
    assert_eq!(
        listed.difference(&known).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "routes without a row"
    );
    assert_eq!(
        known.difference(&listed).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "rows without a route"
    );
    assert!(routes().iter().all(|route| route.need != Need::Nothing));
}

#[tokio::test]
async fn a_request_without_a_valid_token_is_401() {
    let world = World::new().await;
    for Row {
        route: (method, path),
        body,
        ..
    } in rows()
    {
        let request = format!("{method} /api/v1{}", world.path(path));
        let body = world.body(body.as_ref()).map(|body| body.to_string());
        let bare = world.server.send(None, &request, &[], body.as_deref()).await;
        assert_eq!(
            (bare.status, bare.problem().as_str()),
            (401, "missing-credentials"),
            "{request}"
        );
        assert!(bare.header("www-authenticate").is_some());
        let wrong = world
            .server
            .send(Some("tgt_wrong"), &request, &[], body.as_deref())
            .await;
        assert_eq!(
            (wrong.status, wrong.problem().as_str()),
            (401, "invalid-credentials"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_403_and_the_audit_log_tells() {
    let world = World::new().await;
    for route in routes() {
        let wanted = route.need.scope().unwrap();
        // Whatever covers the wanted scope is left out, all else is there.
        let covering = wanted.to_string().replace(":read", ":write");
        let granted: Vec<String> = Scope::all().iter().map(ToString::to_string).collect();
        let granted: Vec<&str> = granted
            .iter()
            .map(String::as_str)
            .filter(|scope| *scope != wanted.to_string() && *scope != covering)
            .collect();
        let small = world.server.token(&granted, None).await;
        let row = rows()
            .into_iter()
            .find(|row| row.route == (route.method.as_str(), route.path.as_str()))
            .unwrap();
        let reply = world
            .server
            .call(
                &small,
                (&route.method, &world.path(&route.path)),
                world.body(row.body.as_ref()),
            )
            .await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (403, "forbidden"),
            "{} {}",
            route.method,
            route.path
        );
    }
    let events = world
        .server
        .get("/audit-events?kind=token&limit=1000")
        .await
        .expect(200);
    let refused = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["action"] == "token.refused")
        .count();
    assert_eq!(refused, routes().len());
}

/// All that the first account has, to see that a stranger changed none of it.
async fn everything(world: &World) -> Vec<Value> {
    let first = &world.first;
    let paths = [
        format!("/accounts/{}", first.account),
        format!("/accounts/{}/members", first.account),
        format!("/accounts/{}/invitations", first.account),
        format!("/consumers?account={}", first.account),
        format!("/consumers/{}/credentials", first.consumer),
        format!("/subscriptions?account={}", first.account),
        format!("/invoices?account={}", first.account),
        format!("/accounts/{}/balance", first.account),
    ];
    let mut found = Vec::new();
    for path in paths {
        found.push(world.server.get(&path).await.expect(200));
    }
    found
}

#[tokio::test]
async fn the_token_of_a_foreign_account_finds_and_changes_nothing() {
    let world = World::new().await;
    let before = everything(&world).await;
    for Row {
        route: (method, path),
        foreign,
        body,
    } in rows()
    {
        let reply = world
            .server
            .call(&world.foreign, (method, &world.path(path)), world.body(body.as_ref()))
            .await;
        let told = format!("{method} {path}: {} {}", reply.status, reply.text);
        match foreign {
            Missing => assert_eq!((reply.status, reply.problem().as_str()), (404, "not-found"), "{told}"),
            Refused => assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden"), "{told}"),
            Empty | Own => assert_eq!(reply.status, 200, "{told}"),
        }
        let ids = [
            &world.first.account,
            &world.first.consumer,
            &world.first.credential,
            &world.first.subscription,
            &world.invoice,
        ];
        assert!(
            foreign == Own || !ids.iter().any(|id| reply.text.contains(*id)),
            "{told}"
        );
    }
    assert_eq!(everything(&world).await, before);
}

/// The control: what a stranger does not find is there for the administrator.
#[tokio::test]
async fn the_administrator_finds_what_the_stranger_does_not() {
    let world = World::new().await;
    for Row {
        route: (method, path),
        body,
        ..
    } in rows()
    {
        let path = world.path(path);
        if method == "DELETE" && path == format!("/consumers/{}", world.first.consumer) {
            let cancel = format!("/subscriptions/{}/cancel", world.first.subscription);
            // It may have ended in an earlier row.
            world.server.post(&cancel, json!({"at": "now"})).await;
        }
        if method == "DELETE" && path == format!("/accounts/{}", world.first.account) {
            let consumers = world
                .server
                .get(&format!("/consumers?account={}", world.first.account))
                .await
                .expect(200);
            for consumer in consumers["items"].as_array().unwrap() {
                world
                    .server
                    .call(
                        &world.server.admin,
                        ("DELETE", &format!("/consumers/{}", text(consumer, "id"))),
                        None,
                    )
                    .await;
            }
        }
        let reply = world
            .server
            .call(&world.server.admin, (method, &path), world.body(body.as_ref()))
            .await;
        let refused = [401, 403, 404, 500].contains(&reply.status) || reply.status == 400 && path != "/config/rollback";
        assert!(
            !refused || path.contains(&world.token_id) || path.contains(NO_REQUEST),
            "{method} {path}: {} {}",
            reply.status,
            reply.text
        );
    }
}

#[tokio::test]
async fn a_bound_token_makes_tokens_of_its_own_account_and_scopes_alone() {
    let world = World::new().await;
    let small = world.server.token(&["users:write", "usage:read"], None).await;
    let more = json!({"name": "x", "scopes": ["config:write"]});
    assert_eq!(
        world.server.call(&small, ("POST", "/tokens"), Some(more)).await.status,
        403
    );
    let own = json!({"name": "x", "scopes": ["usage:read"]});
    let made = world
        .server
        .call(&world.foreign, ("POST", "/tokens"), Some(own))
        .await
        .expect(201);
    assert!(made["account_id"].is_string());
    assert!(text(&made, "id").parse::<InvitationId>().is_err());
}
