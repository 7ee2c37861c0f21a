//! Real documents through the portal: uploaded, published, read, every link followed.
//!
//! `TOLLGATE_OPENAPI_CORPUS` names a folder with an `INDEX.tsv`; without it these tests say that they are skipped. Times are
//! measured and printed, never asserted. What is sampled prints its seed; `TOLLGATE_TEST_SEED` repeats one, and
//! `TOLLGATE_CRAWL=all` follows every link.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::StaffRole;

use crate::browser::Browser;
use crate::manage::{fields, location, send};
use crate::support::{Reply, Server, petstore};

/// What browsers keep quick (elements), and the markup of a page at most.
const MOST_ELEMENTS: usize = 3_000;
const MOST_BYTES: usize = 150_000;

struct Row {
    tier: String,
    file: String,
    operations: usize,
}

fn corpus(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_OPENAPI_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped {test}: TOLLGATE_OPENAPI_CORPUS names no folder");
    }
    folder
}

fn index(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let rows = text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Row {
            tier: columns[0].to_owned(),
            file: columns[1].to_owned(),
            operations: columns[5].parse().unwrap_or(0),
        }
    });
    rows.collect()
}

fn bytes(folder: &Path, file: &str) -> Vec<u8> {
    let raw = std::fs::read(folder.join(file)).unwrap();
    if !file.ends_with(".gz") {
        return raw;
    }
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(raw.as_slice())
        .read_to_end(&mut out)
        .unwrap();
    out
}

/// Numbers that a seed gives: xorshift.
struct Chance(u64);

impl Chance {
    fn new(test: &str) -> Self {
        let told = std::env::var("TOLLGATE_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = told.unwrap_or_else(|| u64::from_le_bytes(domain::random::bytes::<8>()) | 1);
        println!("{test}: TOLLGATE_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }

    /// So many of a list, each as likely.
    fn some<T>(&mut self, mut from: Vec<T>, most: usize) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < most && !from.is_empty() {
            let at = self.below(from.len());
            taken.push(from.swap_remove(at));
        }
        taken
    }
}

fn elements(html: &str) -> usize {
    let pairs = html.as_bytes().windows(2);
    pairs
        .filter(|pair| pair[0] == b'<' && pair[1].is_ascii_alphabetic())
        .count()
}

/// Holds a page to its bounds; the number of its elements.
#[track_caller]
fn within_bounds(reply: &Reply, of: &str) -> usize {
    assert_eq!(reply.status, 200, "{of}: {}", reply.text);
    let count = elements(&reply.text);
    assert!(count <= MOST_ELEMENTS, "{of}: {count} elements");
    assert!(reply.text.len() <= MOST_BYTES, "{of}: {} bytes", reply.text.len());
    count
}

/// Addresses here that a page leads to.
fn links(page: &str, html: &str) -> Vec<String> {
    let here = page.split('?').next().unwrap_or(page);
    let hrefs = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    hrefs
        .map(|href| href.replace("&amp;", "&"))
        .map(|href| href.split('#').next().unwrap_or_default().to_owned())
        .filter_map(|href| match href.as_bytes() {
            [b'/', ..] => Some(href),
            [b'?', ..] => Some(format!("{here}{href}")),
            _ => None,
        })
        .collect()
}

/// Uploads a document and publishes it: the base of its reference, or the report of what is wrong with it.
async fn publish(browser: &mut Browser, document: &[u8], file: &str) -> Result<String, String> {
    browser.get("/manage/products/new").await;
    let name = [("name", "subject"), ("upstream", "http://127.0.0.1:9")];
    let reply = browser.upload("/manage/products/new", &name, (file, document)).await;
    assert!(reply.status < 500, "{file}: {}", reply.text);
    if reply.status == 422 {
        return Err(reply.text);
    }
    let review = location(&reply);
    let page = browser.get(&review).await;
    assert_eq!(page.status, 200, "{file}: {}", page.text);
    let form = fields(&page.text, "action=\"/manage/products/new/");
    let saved = send(browser, &review, &form, &[]).await;
    assert!(saved.status < 500, "{file}: {}", saved.text);
    if saved.status != 303 {
        return Err(saved.text);
    }
    let product = browser.get("/products/subject").await;
    assert_eq!(product.status, 200, "{file}");
    let base = links("/products/subject", &product.text)
        .into_iter()
        .find_map(|href| href.strip_suffix("/reference").map(str::to_owned));
    Ok(base.unwrap_or_else(|| panic!("{file}: no reference in {}", product.text)))
}

/// Whether a report names a fault with its line and, in what could be read, its pointer.
fn names_a_fault(report: &str) -> bool {
    let rows = report.split("<tr><td><span class=\"status ").skip(1);
    let place = |row: &str| -> Option<bool> {
        let line = row.split("<td class=\"nowrap\">").nth(1)?.split('<').next()?;
        let (line, column) = line.split_once(':')?;
        Some(line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok())
    };
    rows.filter(|row| place(row) == Some(true)).count() > 0
}

/// The pages of an API that a few clicks lead to, and what they took.
async fn read_some(server: &Server, base: &str, (row, chance): (&Row, &mut Chance)) -> String {
    let mut nobody = Browser::new(server);
    let start = Instant::now();
    let index = nobody.get(&format!("{base}/reference")).await;
    let first = start.elapsed();
    let mut most = within_bounds(&index, &format!("{} reference", row.file));
    let mut found = links(base, &index.text);
    let groups: Vec<String> = found
        .iter()
        .filter(|href| href.contains("/reference/"))
        .cloned()
        .collect();
    for group in chance.some(groups, 4) {
        found.extend(links(&group, &nobody.get(&group).await.text));
    }
    let schemas = nobody.get(&format!("{base}/schemas")).await;
    most = most.max(within_bounds(&schemas, &format!("{} schemas", row.file)));
    found.extend(links(base, &schemas.text));
    found.sort_unstable();
    found.dedup();
    let wanted = |href: &String| {
        ["/operations/", "/schemas/", "/webhooks/"]
            .iter()
            .any(|part| href.contains(part))
    };
    let pages = chance.some(found.into_iter().filter(wanted).collect(), 30);
    let mut times: Vec<Duration> = Vec::new();
    for page in pages {
        let start = Instant::now();
        let reply = nobody.get(&page).await;
        times.push(start.elapsed());
        most = most.max(within_bounds(&reply, &page));
    }
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len().saturating_sub(1) * share / 100)
            .copied()
            .unwrap_or_default()
    };
    format!(
        "index {first:.1?}, pages p50 {:.1?} and p99 {:.1?}, at most {most} elements",
        at(50),
        at(99)
    )
}

#[tokio::test]
async fn every_document_of_the_corpus_is_published_or_reported_with_its_places() {
    let Some(folder) = corpus("every_document_of_the_corpus_is_published_or_reported_with_its_places") else {
        return;
    };
    let mut chance = Chance::new("corpus");
    for row in index(&folder) {
        let server = Server::start().await;
        server.running.gateway_at("https://api.fernpost.example");
        let mut browser = Browser::staff(&server, &[StaffRole::ProductManager]).await;
        let document = bytes(&folder, &row.file);
        let start = Instant::now();
        let published = publish(&mut browser, &document, &row.file).await;
        let took = start.elapsed();
        match published {
            Ok(base) => {
                let read = read_some(&server, &base, (&row, &mut chance)).await;
                println!("{:>9.1?} to publish, {read}: {}", took, row.file);
                let routes = server.get("/apis").await.expect(200);
                assert_eq!(routes["items"].as_array().map(Vec::len), Some(1), "{}", row.file);
            }
            Err(report) => {
                assert_eq!(row.tier, "malformed", "{}: {report}", row.file);
                assert!(names_a_fault(&report), "{}: {report}", row.file);
                println!("{:>9.1?} to report: {}", took, row.file);
            }
        }
    }
}

#[tokio::test]
async fn what_is_malformed_is_named_with_pointer_and_line() {
    let Some(folder) = corpus("what_is_malformed_is_named_with_pointer_and_line") else {
        return;
    };
    let server = Server::start().await;
    let mut browser = Browser::staff(&server, &[StaffRole::ProductManager]).await;
    let mut silent = Vec::new();
    for row in index(&folder).iter().filter(|row| row.tier == "malformed") {
        browser.get("/manage/products/new").await;
        let document = bytes(&folder, &row.file);
        let reply = browser
            .upload("/manage/products/new", &[], (&row.file, &document))
            .await;
        let report = match reply.status {
            422 => reply.text,
            _ => browser.get(&location(&reply)).await.text,
        };
        if !names_a_fault(&report) {
            silent.push(row.file.clone());
        }
    }
    // Written numbers are read as they are written: nothing of this document is lost.
    silent.retain(|file| file != "readme-numeric-version.yaml");
    assert!(silent.is_empty(), "no fault is named for {silent:?}");
}

#[tokio::test]
async fn recursive_documents_link_back_and_stay_short() {
    let Some(folder) = corpus("recursive_documents_link_back_and_stay_short") else {
        return;
    };
    let mut circles = 0;
    for file in [
        "speakeasy-combinatorial.json",
        "readme-circular-slowdown.json",
        "figma-3.1.yaml",
        "pb33f-invalid-recursive.yaml",
    ] {
        let server = Server::start().await;
        let mut browser = Browser::staff(&server, &[StaffRole::ProductManager]).await;
        let base = publish(&mut browser, &bytes(&folder, file), file).await.unwrap();
        let mut nobody = Browser::new(&server);
        let index = nobody.get(&format!("{base}/reference")).await;
        let schemas = nobody.get(&format!("{base}/schemas")).await;
        let mut pages: BTreeSet<String> = links(&base, &index.text).into_iter().collect();
        pages.extend(links(&base, &schemas.text));
        pages.retain(|href| href.contains("/operations/") || href.contains("/schemas/"));
        for page in &pages {
            let reply = nobody.get(page).await;
            within_bounds(&reply, page);
            // Where something contains itself, the way on is a link.
            for (at, _) in reply.text.match_indices("; it contains itself") {
                assert!(reply.text[..at].ends_with("</a>"), "{page}: a circle without a link");
                circles += 1;
            }
        }
        assert!(!pages.is_empty(), "{file}");
    }
    assert!(circles > 0, "nothing contains itself");
}

/// Every page that links lead to, or as many as are sampled: those that do not answer 200.
async fn crawl(server: &Server, base: &str, (chance, most): (&mut Chance, usize)) -> (usize, Vec<String>) {
    let mut nobody = Browser::new(server);
    let mut seen: HashSet<String> = HashSet::new();
    let mut waiting: VecDeque<String> = VecDeque::from([format!("{base}/reference"), format!("{base}/schemas")]);
    let (mut looked, mut broken) = (0, Vec::new());
    while !waiting.is_empty() && looked < most {
        let at = chance.below(waiting.len());
        let page = waiting.swap_remove_back(at).unwrap();
        let reply = nobody.get(&page).await;
        looked += 1;
        if reply.status != 200 {
            broken.push(format!("{page}: {}", reply.status));
            continue;
        }
        if !reply
            .header("content-type")
            .is_some_and(|media| media.starts_with("text/html"))
        {
            continue;
        }
        for link in links(&page, &reply.text) {
            let own = link.starts_with(base);
            if own && seen.insert(link.clone()) {
                waiting.push_back(link);
            }
        }
    }
    (looked, broken)
}

/// Addresses of the operations that the pages of groups list, each page of each.
async fn listed(server: &Server, base: &str) -> BTreeSet<String> {
    let mut nobody = Browser::new(server);
    let mut operations = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![format!("{base}/reference")];
    while let Some(page) = waiting.pop() {
        let reply = nobody.get(&page).await;
        assert_eq!(reply.status, 200, "{page}");
        for link in links(&page, &reply.text) {
            if link.contains("/operations/") && !link.ends_with(".md") {
                operations.insert(link);
            } else if link.contains("/reference/") && !link.ends_with(".md") && seen.insert(link.clone()) {
                waiting.push(link);
            }
        }
    }
    operations
}

#[tokio::test]
async fn every_link_of_large_references_leads_somewhere() {
    let Some(folder) = corpus("every_link_of_large_references_leads_somewhere") else {
        return;
    };
    let mut chance = Chance::new("crawl");
    let most = if std::env::var("TOLLGATE_CRAWL").is_ok_and(|how| how == "all") {
        usize::MAX
    } else {
        700
    };
    let rows = index(&folder);
    for file in ["stripe-2025-10.json", "github-api.json.gz"] {
        let server = Server::start().await;
        server.running.gateway_at("https://api.fernpost.example");
        let mut browser = Browser::staff(&server, &[StaffRole::ProductManager]).await;
        let base = publish(&mut browser, &bytes(&folder, file), file).await.unwrap();
        let wanted = rows.iter().find(|row| row.file == file).unwrap().operations;
        // From the index to a group to an operation: two clicks, and no two share an address.
        assert_eq!(listed(&server, &base).await.len(), wanted, "{file}");
        let start = Instant::now();
        let (looked, broken) = crawl(&server, &base, (&mut chance, most)).await;
        println!("{looked} pages in {:.1?}: {file}", start.elapsed());
        assert!(broken.is_empty(), "{file}: {broken:#?}");
    }
}

#[tokio::test]
async fn a_comparison_lists_every_operation_that_changed_and_none_else() {
    let Some(folder) = corpus("a_comparison_lists_every_operation_that_changed_and_none_else") else {
        return;
    };
    let mut chance = Chance::new("compare");
    let before: Value = serde_json::from_slice(&bytes(&folder, "stripe-2025-10.json")).unwrap();
    let mut after = before.clone();
    let paths: Vec<String> = before["paths"].as_object().unwrap().keys().cloned().collect();
    let mut wanted = BTreeSet::new();
    for (at, path) in chance.some(paths, 12).into_iter().enumerate() {
        let item = &mut after["paths"][&path];
        let method = item
            .as_object()
            .unwrap()
            .keys()
            .find(|key| ["get", "post", "delete"].contains(&key.as_str()));
        let Some(method) = method.cloned() else { continue };
        wanted.insert(format!("{} {path}", method.to_uppercase()));
        match at % 3 {
            0 => drop(item.as_object_mut().unwrap().remove(&method)),
            1 => {
                let added = json!({"name": "brand_new", "in": "query", "required": true, "schema": {"type": "string"}});
                let list = item[&method]
                    .as_object_mut()
                    .unwrap()
                    .entry("parameters")
                    .or_insert(json!([]));
                list.as_array_mut().unwrap().push(added);
            }
            _ => item[&method]["deprecated"] = json!(true),
        }
    }
    after["paths"]["/v1/brand_new"] =
        json!({"get": {"operationId": "BrandNew", "responses": {"200": {"description": "ok"}}}});
    wanted.insert("GET /v1/brand_new".to_owned());
    let server = Server::start().await;
    let mut config = petstore();
    config["apis"][0]["openapi"] = before;
    server.apply(config).await.expect(200);
    let mut browser = Browser::staff(&server, &[StaffRole::ProductManager]).await;
    let at = "/manage/products/petstore/apis/petstore/document";
    browser.get(at).await;
    let start = Instant::now();
    let reply = browser
        .upload(at, &[], ("stripe.json", after.to_string().as_bytes()))
        .await;
    let page = browser.get(&location(&reply)).await;
    println!("{:.1?} to compare", start.elapsed());
    let table = page
        .text
        .split("<caption>What changes</caption>")
        .nth(1)
        .unwrap_or_else(|| panic!("{}", page.text));
    let table = table.split("</table>").next().unwrap();
    let rows = table
        .split("<tr>")
        .skip(2)
        .map(|row| row.split("</td><td>").nth(1).unwrap().to_owned());
    let found: BTreeSet<String> = rows
        .map(|row| row.replace("&#123;", "{").replace("&#125;", "}"))
        .collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_name_of_before_leads_to_where_the_operation_is_now() {
    let server = Server::start().await;
    let mut document = petstore();
    document["apis"][0]["openapi"]["components"] = json!({"schemas": {"Pet": {"type": "object"}}});
    server.apply(document.clone()).await.expect(200);
    let base = "/products/petstore/petstore/1.0";
    let mut nobody = Browser::new(&server);
    assert_eq!(nobody.get(&format!("{base}/operations/get-pets-id")).await.status, 200);
    let paths = document["apis"][0]["openapi"]["paths"].as_object_mut().unwrap();
    let item = paths.remove("/pets/{id}").unwrap();
    paths.insert("/pets/{petName}".to_owned(), item);
    server.apply(document).await.expect(200);
    for (old, new) in [
        ("operations/get-pets-id", "operations/get-pets-petname"),
        ("operations/get-pets-id.md", "operations/get-pets-petname.md"),
        ("operations/getPet", "operations/get-pets-petname"),
        ("try/get-pets-id", "try/get-pets-petname"),
        ("schemas/pet", "schemas/Pet"),
    ] {
        let reply = nobody.get(&format!("{base}/{old}")).await;
        assert_eq!(
            reply.header("location"),
            Some(format!("{base}/{new}")),
            "{old}: {}",
            reply.status
        );
        assert_eq!(nobody.get(&format!("{base}/{new}")).await.status, 200, "{new}");
    }
    for gone in ["operations/get-dogs-id", "schemas/Dog", "operations/delete-pets-id"] {
        assert_eq!(nobody.get(&format!("{base}/{gone}")).await.status, 404, "{gone}");
    }
}

#[tokio::test]
async fn a_schema_of_thousands_of_fields_stays_within_what_browsers_keep_quick() {
    let server = Server::start().await;
    let wide = |count: usize| -> Value {
        let fields = (0..count).map(|n| {
            let about = json!({"type": "string", "description": format!("*Field* `{n}` of [many](https://x.example)"),
                "enum": ["a", "b", "c", "d"], "default": "a", "example": "b"});
            (format!("field_{n}"), about)
        });
        json!({"type": "object", "properties": fields.collect::<serde_json::Map<_, _>>()})
    };
    let mut document = petstore();
    let openapi = &mut document["apis"][0]["openapi"];
    openapi["components"] = json!({"schemas": {"Wide": wide(2_000)}});
    let of = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    let wide_link = json!({"$ref": "#/components/schemas/Wide"});
    let parameters: Vec<Value> = (0..150)
        .map(|n| json!({"name": format!("p{n}"), "in": "query", "schema": {"type": "string", "enum": ["a", "b", "c"]}}))
        .collect();
    openapi["paths"]["/pets"]["post"] = json!({"parameters": parameters, "requestBody": of(wide_link.clone()),
        "responses": {"200": {"description": "ok", "content": of(wide_link)["content"]}}});
    server.apply(document).await.expect(200);
    let base = "/products/petstore/petstore/1.0";
    let mut nobody = Browser::new(&server);
    for page in ["operations/post-pets", "schemas/Wide"] {
        let reply = nobody.get(&format!("{base}/{page}")).await;
        within_bounds(&reply, page);
        assert!(
            reply.text.contains("field_0") && reply.text.contains("not shown here"),
            "{page}"
        );
    }
    let page = nobody.get(&format!("{base}/operations/post-pets")).await.text;
    for part in ["id=\"query\"", "id=\"body\"", "id=\"responses\"", "schemas/Wide"] {
        assert!(page.contains(part), "every part has some room: {part}");
    }
}
