//! What a product manager does: products from documents, plans and their versions, approvals, guides.

use domain::ids::SubscriptionId;
use serde_json::json;
use store::StaffRole;

use crate::browser::Browser;
use crate::support::{Reply, Server, Tenant, petstore, text};

const DOCUMENT: &str = "openapi: 3.1.0\ninfo: {title: Bird watch, version: '2.1'}\nservers: [{url: 'http://127.0.0.1:9009/api'}]\npaths:\n  /birds:\n    get: {operationId: listBirds, summary: List birds, responses: {'200': {description: ok}}}\n  /birds/{id}:\n    get: {operationId: getBird, parameters: [{name: id, in: path, required: true}], responses: {'200': {description: ok}}}\n";

async fn manager(server: &Server) -> Browser {
    Browser::staff(server, &[StaffRole::ProductManager]).await
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// The fields of the form with this attribute as a browser would send them, without buttons and the token.
pub(crate) fn fields(html: &str, form: &str) -> Vec<(String, String)> {
    let start = html.find(form).unwrap_or_else(|| panic!("no {form} in {html}"));
    let html = &html[start..start + html[start..].find("</form>").unwrap()];
    let mut fields = Vec::new();
    for tag in html.split('<').skip(1) {
        let (head, body) = tag.split_once('>').unwrap_or((tag, ""));
        let name = attribute(head, "name").unwrap_or_default().to_owned();
        let value = attribute(head, "value").unwrap_or_default();
        let chosen =
            !(head.contains("type=\"radio\"") || head.contains("type=\"checkbox\"")) || head.contains(" checked");
        if head.starts_with("input") && chosen && name != "_csrf" {
            fields.push((name, unescaped(value)));
        } else if head.starts_with("textarea") {
            fields.push((name, unescaped(body.trim_start_matches('\n'))));
        } else if head.starts_with("select") {
            fields.push((name, String::from("\u{1}")));
        } else if head.starts_with("option") {
            let last = fields.last_mut().unwrap();
            if last.1 == "\u{1}" || head.contains(" selected") {
                last.1 = unescaped(value);
            }
        }
    }
    fields
}

/// Sends a form with some fields changed or added.
pub(crate) async fn send(
    browser: &mut Browser,
    path: &str,
    form: &[(String, String)],
    changed: &[(&str, &str)],
) -> Reply {
    let mut all: Vec<(&str, &str)> = form
        .iter()
        .filter(|(name, _)| changed.iter().all(|(other, _)| name != other))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    all.extend_from_slice(changed);
    browser.post(path, &all).await
}

#[track_caller]
pub(crate) fn location(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text);
    reply.header("location").unwrap()
}

#[tokio::test]
async fn an_empty_portal_says_what_to_do_next_on_every_page() {
    let server = Server::start().await;
    let mut browser = manager(&server).await;
    for (path, next) in [
        ("/manage", "href=\"/manage/products/new\""),
        ("/manage/products", "href=\"/manage/products/new\""),
        ("/manage/approvals", "Nobody waits"),
        ("/manage/adoption", "Nobody came in this range"),
        ("/manage/guides", "href=\"/manage/guides/new\""),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path} {}", page.text);
        assert!(page.text.contains(next), "{path}: {}", page.text);
        assert!(!page.text.contains("NaN") && !page.text.contains("null"), "{path}");
    }
}

#[tokio::test]
async fn a_malformed_document_gives_a_report_with_places_and_nothing_else() {
    let server = Server::start().await;
    let mut browser = manager(&server).await;
    browser.get("/manage/products/new").await;
    for (pasted, expected) in [
        ("", "Choose a file"),
        ("openapi: [", "cannot be published"),
        ("{\"openapi\": \"7.0\"}", "cannot be published"),
        ("openapi: 3.0.0\n\tpaths: {}\n", "1:10"),
        ("\u{0}\u{7}", "cannot be published"),
    ] {
        let reply = browser
            .post("/manage/products/new", &[("pasted", pasted), ("title", "My <title>")])
            .await;
        assert_eq!(reply.status, 422, "{pasted} {}", reply.text);
        assert!(reply.text.contains(expected), "{pasted}: {}", reply.text);
        assert!(
            reply.text.contains("value=\"My &lt;title&gt;\""),
            "what was typed stays"
        );
    }
    assert_eq!(server.get("/config").await.expect(200), json!({}));
}

#[tokio::test]
async fn a_document_becomes_a_product_after_its_report_was_seen() {
    let server = Server::start().await;
    let mut browser = manager(&server).await;
    browser.get("/manage/products/new").await;
    let reply = browser.post("/manage/products/new", &[("pasted", DOCUMENT)]).await;
    let review = location(&reply);
    assert_eq!(
        server.get("/config").await.expect(200),
        json!({}),
        "nothing is written before"
    );
    let page = browser.get(&review).await;
    for expected in [
        "/bird-watch/birds/{id}",
        "getBird",
        "Bird watch",
        "value=\"bird-watch\"",
    ] {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    assert!(
        browser.get("/manage").await.text.contains(&review),
        "the upload waits on the start page"
    );
    let form = fields(&browser.get(&review).await.text, "action=\"/manage/products/new/");
    let wrong = send(
        &mut browser,
        &review,
        &form,
        &[("name", "Bird Watch"), ("upstream", "nowhere")],
    )
    .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text.contains("id=\"name-error\"") && wrong.text.contains("value=\"Bird Watch\""),
        "{}",
        wrong.text
    );
    let saved = send(&mut browser, &review, &form, &[]).await;
    assert_eq!(location(&saved), "/manage/products/bird-watch?saved=1");
    let config = server.get("/config").await.expect(200);
    assert_eq!(
        config["apis"][0]["upstream"]["targets"][0]["url"],
        "http://127.0.0.1:9009/api"
    );
    assert_eq!(
        (&config["apis"][0]["version"], &config["products"][0]["title"]),
        (&json!("2.1"), &json!("Bird watch"))
    );
    assert_eq!(
        server.get("/products").await.expect(200)["items"][0]["origin"],
        "portal"
    );
    assert_eq!(browser.get(&review).await.status, 404, "the upload is finished");
    // The same once more: the name is taken.
    browser.get("/manage/products/new").await;
    let again = browser.post("/manage/products/new", &[("pasted", DOCUMENT)]).await;
    let page = browser.get(&location(&again)).await;
    assert!(page.text.contains("There is a product of this name"), "{}", page.text);
}

#[tokio::test]
async fn another_document_is_compared_with_the_one_in_force_before_it_is_published() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let mut browser = manager(&server).await;
    let at = "/manage/products/petstore/apis/petstore/document";
    browser.get(at).await;
    let review = location(&browser.post(at, &[("pasted", DOCUMENT)]).await);
    let page = browser.get(&review).await;
    for expected in ["GET /birds", "GET /pets", "Removed, breaking", "Added"] {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    assert_eq!(
        location(&browser.post(&review, &[]).await),
        "/manage/products/petstore?saved=1"
    );
    let config = server.get("/config").await.expect(200);
    assert_eq!(config["apis"][0]["openapi"]["info"]["title"], "Bird watch");
    assert_eq!(
        config["apis"][0]["upstream"]["auth"]["header"], "X-Gateway-Secret",
        "the upstream stays"
    );
    assert_eq!(
        config["products"][0]["plans"].as_array().unwrap().len(),
        3,
        "plans stay"
    );
}

#[tokio::test]
async fn a_product_is_edited_without_losing_its_plans_and_documents() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let mut browser = manager(&server).await;
    let at = "/manage/products/petstore/edit";
    let form = fields(&browser.get(at).await.text, &format!("action=\"{at}\""));
    let wrong = send(
        &mut browser,
        at,
        &form,
        &[("priority", "high"), ("targets-petstore", "ftp://x")],
    )
    .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text.contains("ftp://x") && wrong.text.contains("id=\"priority-error\""),
        "{}",
        wrong.text
    );
    let changed = [
        ("title", "Pets & <friends>"),
        ("targets-petstore", "http://127.0.0.1:9001\nhttp://127.0.0.1:9002 50"),
    ];
    let saved = send(&mut browser, at, &form, &changed).await;
    let page = browser.get(&location(&saved)).await;
    assert!(
        page.text.contains("Pets &#38; &#60;friends&#62;") || page.text.contains("Pets &amp; &lt;friends&gt;"),
        "{}",
        page.text
    );
    let config = server.get("/config").await.expect(200);
    assert_eq!(
        config["apis"][0]["upstream"]["targets"][1],
        json!({"url": "http://127.0.0.1:9002", "weight": 50})
    );
    assert_eq!(config["apis"][0]["openapi"]["info"]["title"], "Pets");
    assert_eq!(config["products"][0]["plans"].as_array().unwrap().len(), 3);
    // The form that was opened before the change is old now.
    let late = send(&mut browser, at, &form, &[("title", "Mine")]).await;
    assert_eq!(late.status, 409);
    assert!(
        late.text.contains("friends") && late.text.contains("value=\"Mine\""),
        "both texts are there"
    );
}

#[tokio::test]
async fn a_plan_is_written_row_by_row_without_script() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let mut browser = manager(&server).await;
    let at = "/manage/products/petstore/plans/new";
    let mut form = fields(&browser.get(at).await.text, "id=\"plan\"");
    for press in [
        [("add", "price-0-usage"), ("name", "tiered")],
        [("do", "preview"), ("price-0-usage-0-model", "graduated")],
        [("add", "price-0-usage-0-tier"), ("price-0-currency", "EUR")],
    ] {
        let page = send(&mut browser, at, &form, &press).await;
        assert_eq!(page.status, 200, "{}", page.text);
        form = fields(&page.text, "id=\"plan\"");
    }
    let tiers = [
        ("price-0-amount", "59.00"),
        ("price-0-usage-0-included", "100,000"),
        ("price-0-usage-0-tier-0-up_to", "400,000"),
        ("price-0-usage-0-tier-0-unit", "0.0007"),
        ("price-0-usage-0-tier-1-up_to", "900000"),
        ("price-0-usage-0-tier-1-unit", "0.0005"),
        ("price-0-usage-0-tier-2-unit", "0.0004"),
        ("limit-0-max", "50"),
    ];
    let preview: Vec<_> = tiers.into_iter().chain([("do", "preview")]).collect();
    let page = send(&mut browser, at, &form, &preview).await;
    for amount in ["€59.00", "€164.00", "<svg"] {
        assert!(page.text.contains(amount), "{amount}: {}", page.text);
    }
    let wrong: Vec<_> = tiers
        .into_iter()
        .filter(|(name, _)| *name != "price-0-usage-0-tier-1-up_to")
        .chain([("do", "save"), ("price-0-usage-0-tier-1-up_to", "300000")])
        .collect();
    let reply = send(&mut browser, at, &form, &wrong).await;
    assert_eq!(reply.status, 422);
    let input = reply.text.split("id=\"price-0-usage-0-tier-1-up_to\"").nth(1).unwrap();
    assert!(
        input.split('>').next().unwrap().contains("aria-invalid"),
        "the fault stands beside its input"
    );
    assert!(reply.text.contains("value=\"300000\""), "what was typed stays");
    let save: Vec<_> = tiers.into_iter().chain([("do", "save")]).collect();
    let saved = send(&mut browser, at, &form, &save).await;
    assert_eq!(location(&saved), "/manage/products/petstore/plans/tiered/edit?saved=1");
    let plans = server.get("/products").await.expect(200)["items"][0]["plans"].clone();
    assert_eq!(plans.as_array().unwrap().len(), 3, "a draft is served to nobody");
    assert!(browser.get("/manage").await.text.contains("tiered of Petstore"));
    let publish = "/manage/products/petstore/plans/tiered/publish";
    let form = fields(&browser.get(publish).await.text, &format!("action=\"{publish}\""));
    let done = send(&mut browser, publish, &form, &[]).await;
    assert_eq!(
        location(&done),
        "/manage/products/petstore/plans/tiered/versions?published=1"
    );
    let versions = server.get("/plans/petstore/tiered/versions").await.expect(200);
    let usage = &versions["items"][0]["content"]["price"]["usage"][0];
    assert_eq!(
        (&usage["included"], &usage["tiers"][2]),
        (&json!(100_000), &json!({"unit": "0.0004"}))
    );
    // What the editor showed is what rating says.
    let rated = server
        .post(
            "/billing/rate",
            json!({"currency": "EUR", "price": usage, "quantity": "250000"}),
        )
        .await
        .expect(200);
    assert_eq!(rated["amount"], 10_500);
}

#[tokio::test]
async fn the_second_of_two_managers_sees_both_texts_and_overwrites_nothing() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let mut first = manager(&server).await;
    let mut second = Browser::staff(&server, &[StaffRole::Admin]).await;
    let at = "/manage/products/petstore/plans/pro/edit";
    let one = fields(&first.get(at).await.text, "id=\"plan\"");
    let two = fields(&second.get(at).await.text, "id=\"plan\"");
    let cheap = [
        ("price-0-amount", "59.00"),
        ("description", "Cheap for all"),
        ("do", "save"),
    ];
    let saved = send(&mut first, at, &one, &cheap).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let dear = [
        ("price-0-amount", "69.00"),
        ("description", "For teams"),
        ("do", "save"),
    ];
    let late = send(&mut second, at, &two, &dear).await;
    assert_eq!(late.status, 409);
    for part in [
        "Description: Cheap for all",
        "Description: For teams",
        // What both come to for so many requests, and the preview of the form below.
        "<td class=\"num\">$59.00</td><td class=\"num\">$69.00</td><td class=\"num\"><span class=\"loss\">+$10.00</span></td>",
        "<td class=\"num\">$49.00</td><td class=\"num\">$69.00</td><td class=\"num\"><span class=\"loss\">+$20.00</span></td>",
    ] {
        assert!(late.text.contains(part), "{part} is not in {}", late.text);
    }
    // What cannot be read is said beside its field, with the texts that can.
    let odd = [
        ("price-0-amount", "69,00"),
        ("description", "For teams"),
        ("do", "save"),
    ];
    let odd = send(&mut second, at, &two, &odd).await;
    assert_eq!(odd.status, 409);
    assert!(
        odd.text.contains("Description: For teams") && odd.text.contains("aria-invalid=\"true\""),
        "{}",
        odd.text
    );
    assert!(
        late.text.contains("$59.00 every month") && late.text.contains("$69.00 every month"),
        "{}",
        late.text
    );
    let draft = first.get(at).await;
    assert!(draft.text.contains("value=\"59.00\"") && !draft.text.contains("value=\"69.00\""));
    // Having seen both, the second may go on.
    let again = fields(&late.text, "id=\"plan\"");
    let over = send(&mut second, at, &again, &[("do", "save")]).await;
    assert_eq!(over.status, 303, "{}", over.text);
    assert!(first.get(at).await.text.contains("value=\"69.00\""));
    // A page of publishing that was opened before is old as well.
    let publish = "/manage/products/petstore/plans/pro/publish";
    let form = fields(&first.get(publish).await.text, &format!("action=\"{publish}\""));
    let newer = fields(&second.get(at).await.text, "id=\"plan\"");
    send(&mut second, at, &newer, &[("price-0-amount", "99.00"), ("do", "save")]).await;
    assert_eq!(send(&mut first, publish, &form, &[]).await.status, 409);
    let versions = server.get("/plans/petstore/pro/versions").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn publishing_tells_what_each_subscriber_would_have_paid_and_moves_them_as_chosen() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    Tenant::new(&server, "umbrella").await;
    let mut browser = manager(&server).await;
    let at = "/manage/products/petstore/plans/pro";
    let form = fields(&browser.get(&format!("{at}/edit")).await.text, "id=\"plan\"");
    let changed = [("price-0-amount", "59.00"), ("do", "publish")];
    let reply = send(&mut browser, &format!("{at}/edit"), &form, &changed).await;
    assert_eq!(location(&reply), format!("{at}/publish"));
    let page = browser.get(&format!("{at}/publish")).await;
    for expected in ["acme", "umbrella", "+$10.00", "+$20.00", "Publish version 2", "$118.00"] {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    let form = fields(&page.text, &format!("action=\"{at}/publish\""));
    assert!(form.contains(&("migrate".to_owned(), "never".to_owned())), "{form:?}");
    location(&send(&mut browser, &format!("{at}/publish"), &form, &[]).await);
    let subscription = format!("/subscriptions/{}", tenant.subscription);
    assert_eq!(
        server.get(&subscription).await.expect(200)["plan_version"],
        1,
        "never means never"
    );
    let page = browser.get(&format!("{at}/versions")).await;
    assert!(page.text.contains("Move 2 subscribers to version 2"), "{}", page.text);
    assert!(
        page.text.contains("<del>$49.00 every month, in advance</del>"),
        "{}",
        page.text
    );
    let moved = browser.post(&format!("{at}/migrate"), &[("migrate", "now")]).await;
    assert_eq!(location(&moved), format!("{at}/versions?moved=2"));
    assert_eq!(server.get(&subscription).await.expect(200)["plan_version"], 2);
    let preview = server
        .post(
            "/billing/preview",
            json!({"plan": "petstore/pro", "from": "2026-06-15T00:00:00Z", "to": "2026-07-15T00:00:00Z"}),
        )
        .await
        .expect(200);
    assert_eq!(preview["currency"], "USD");
    // What the editor previewed is what customers are shown.
    let edit = browser.get(&format!("{at}/edit")).await;
    assert!(edit.text.contains("<td class=\"num\">$59.00</td>"), "{}", edit.text);
    let mut customer = Browser::new(&server);
    for path in ["/products/petstore", "/pricing?calls=1000"] {
        let page = customer.get(path).await;
        assert!(
            page.text.contains("$59.00") && !page.text.contains("$49.00"),
            "{path} {}",
            page.text
        );
    }
}

#[tokio::test]
async fn what_is_taken_out_of_sale_names_who_keeps_it() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut browser = manager(&server).await;
    let page = browser.get("/manage/products/petstore/plans/free/archive").await;
    assert!(page.text.contains("It has no live subscription"), "{}", page.text);
    // A plan that is gone from sale still has its subscriber when the product goes.
    for (path, plan) in [
        ("/manage/products/petstore/plans/pro/archive", ""),
        ("/manage/products/petstore/archive", "<td>pro (archived)</td>"),
    ] {
        let page = browser.get(path).await;
        for part in ["1 live subscription stays as it is", "acme", "backend", plan] {
            assert!(page.text.contains(part), "{path}: no {part} in {}", page.text);
        }
        assert_eq!(browser.post(path, &[]).await.status, 303);
    }
    let subscription = server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    assert_eq!(subscription["status"], "active");
    assert_eq!(server.get("/products").await.expect(200)["items"], json!([]));
    assert_eq!(browser.get("/manage/products/petstore").await.status, 404);
}

#[tokio::test]
async fn who_waits_is_approved_or_rejected_with_a_reason() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let mut waiting = Vec::new();
    for name in ["alpha", "beta", "gamma"] {
        let account = text(
            &server
                .post("/accounts", json!({"name": name, "email": "a@b.example"}))
                .await
                .expect(201),
            "id",
        );
        let wish = json!({"account_id": account, "name": "backend"});
        let consumer = text(&server.post("/consumers", wish).await.expect(201), "id");
        let wish = json!({"consumer_id": consumer, "product": "petstore", "plan": "gold"});
        waiting.push(text(&server.post("/subscriptions", wish).await.expect(201), "id"));
    }
    let mut browser = manager(&server).await;
    let page = browser.get("/manage/approvals").await;
    assert!(
        page.text.contains("alpha") && page.text.contains("Approvals <span class=\"count\">3</span>"),
        "{}",
        page.text
    );
    let [one, two, three] = [&waiting[0], &waiting[1], &waiting[2]];
    let none = browser.post("/manage/approvals", &[("do", "approve")]).await;
    assert_eq!(none.status, 422);
    let no_reason = browser
        .post("/manage/approvals", &[("do", "reject"), ("subscription", one)])
        .await;
    assert_eq!(no_reason.status, 422);
    assert!(
        no_reason.text.contains(&format!("value=\"{one}\" checked")),
        "the choice stays"
    );
    let both = [("do", "approve"), ("subscription", one.as_str()), ("subscription", two)];
    assert_eq!(
        location(&browser.post("/manage/approvals", &both).await),
        "/manage/approvals?approved=2"
    );
    let reject = [
        ("do", "reject"),
        ("subscription", three.as_str()),
        ("reason", "no contract"),
    ];
    assert_eq!(
        location(&browser.post("/manage/approvals", &reject).await),
        "/manage/approvals?rejected=1"
    );
    for (id, status) in [(one, "active"), (two, "active"), (three, "rejected")] {
        assert_eq!(
            server.get(&format!("/subscriptions/{id}")).await.expect(200)["status"],
            status
        );
    }
    let late = browser.post("/manage/approvals", &reject).await;
    assert_eq!(late.status, 409);
    let nobody = SubscriptionId::from_bits(7).to_string();
    let unknown = browser
        .post("/manage/approvals", &[("do", "approve"), ("subscription", &nobody)])
        .await;
    assert_eq!(unknown.status, 409);
}

#[tokio::test]
async fn adoption_counts_who_came_and_what_they_did_not_find() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    Tenant::new(&server, "acme").await;
    let now = server.clock.now();
    for found in [0, 0] {
        server.store.record_search("web<hooks>", found, now).await.unwrap();
    }
    let mut browser = manager(&server).await;
    let page = browser.get("/manage/adoption").await;
    assert!(
        page.text.contains("15 Jun 2026") && page.text.contains("1 organisations"),
        "{}",
        page.text
    );
    assert!(page.text.contains("hooks") && !page.text.contains("web<hooks>"));
    let past = browser.get("/manage/adoption?from=2020-01-01&to=2020-02-01").await;
    assert!(past.status == 200 && past.text.contains("Nobody came in this range"));
    for odd in ["?from=x&to=y", "?from=9999-12-31&to=0001-01-01", "?from=-9999-01-01"] {
        assert_eq!(
            browser.get(&format!("/manage/adoption{odd}")).await.status,
            200,
            "{odd}"
        );
    }
}

#[tokio::test]
async fn a_guide_is_written_previewed_published_and_deleted() {
    let server = Server::start().await;
    let mut browser = manager(&server).await;
    browser.get("/manage/guides/new").await;
    let typed = [
        ("title", "First call"),
        ("path", "start/first-call"),
        ("position", "1"),
        ("body", "## Hello\n\n<script>alert(1)</script>\n\n**there**"),
    ];
    let preview: Vec<_> = typed.into_iter().chain([("do", "preview")]).collect();
    let page = browser.post("/manage/guides/new", &preview).await;
    let shown = page.text.split("id=\"preview\"").nth(1).unwrap();
    assert!(
        page.status == 200 && shown.contains("<strong>there</strong>") && !shown.contains("<script>alert"),
        "{shown}"
    );
    let bad: Vec<_> = typed
        .into_iter()
        .filter(|(name, _)| *name != "path")
        .chain([("path", "../Etc"), ("do", "publish")])
        .collect();
    assert_eq!(browser.post("/manage/guides/new", &bad).await.status, 422);
    let publish: Vec<_> = typed.into_iter().chain([("do", "publish")]).collect();
    let edit = location(&browser.post("/manage/guides/new", &publish).await);
    assert_eq!(edit, "/manage/guides/edit/start/first-call?saved=1");
    let form = fields(&browser.get(&edit).await.text, "id=\"guide\"");
    let at = "/manage/guides/edit/start/first-call";
    let unpublished = send(&mut browser, at, &form, &[("do", "unpublish")]).await;
    assert_eq!(unpublished.status, 303, "{}", unpublished.text);
    assert!(
        !server
            .store
            .guide("start/first-call")
            .await
            .unwrap()
            .unwrap()
            .fields
            .published
    );
    let late = send(&mut browser, at, &form, &[("do", "save"), ("body", "mine")]).await;
    assert_eq!(late.status, 409);
    assert!(late.text.contains("## Hello") && late.text.contains("mine"));
    let confirm = "/manage/guides/delete/start/first-call";
    let form = fields(&browser.get(confirm).await.text, &format!("action=\"{confirm}\""));
    assert_eq!(
        location(&send(&mut browser, confirm, &form, &[]).await),
        "/manage/guides?deleted=1"
    );
    assert_eq!(browser.get(at).await.status, 404);
}
