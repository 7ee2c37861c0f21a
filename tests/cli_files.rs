//! `lint` and `import` on files alone: what they say, and in which line and column.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in a folder with these variables and nothing on standard input.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// What lint says about one file; the last line with the counts is cut off.
fn lint(text: &str) -> (i32, String) {
    let folder = folder(&[("a.yaml", text)]);
    let run = run(folder.path(), &[], &["lint", "a.yaml"]);
    let lines: Vec<&str> = run.err.lines().collect();
    let counted = lines
        .last()
        .is_some_and(|line| line.ends_with("warning") || line.ends_with("warnings"));
    let kept = lines.len() - usize::from(counted && run.code != 0);
    (run.code, lines[..kept].join("\n"))
}

const PETSTORE: &str = "\
openapi: 3.0.3
info: {title: Petstore, version: '1.0'}
paths:
  /pets:
    get: {operationId: listPets, responses: {'200': {description: ok}}}
    post: {operationId: addPet, responses: {'200': {description: ok}}}
";

const API: &str = "\
apis:
  - name: petstore
    openapi: ./petstore.yaml
    base_path: /petstore
    upstream:
      targets: [{ url: http://127.0.0.1:9001 }]
";

const PRODUCT: &str = "\
products:
  - name: petstore
    apis: [petstore]
    plans:
      - name: free
        limits:
          - { requests: 5, per: second, operations: [listPets] }
---
settings: { signup: open }
";

#[test]
fn a_configuration_may_be_split_over_files_folders_and_documents() {
    let folder = folder(&[
        ("apis/api.yml", API),
        ("apis/petstore.yaml", PETSTORE),
        ("b.yaml", PRODUCT),
        (".hidden.yaml", "x: ["),
        ("c.json", "{\"meters\": []}"),
    ]);
    let run = run(folder.path(), &[], &["lint", "."]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(run.out, ". is fine: 1 API, 1 product, 1 plan\n");
}

#[test]
fn names_are_resolved_over_all_files() {
    let other = PRODUCT
        .replace("[listPets]", "[listPet]")
        .replace("apis: [petstore]", "apis: [petstor]");
    let wrong_api = folder(&[("a.yaml", API), ("petstore.yaml", PETSTORE), ("b.yaml", &other)]);
    let found = run(wrong_api.path(), &[], &["lint", "."]);
    assert_eq!(
        found.err,
        "./b.yaml:3:12: error: no API is called `petstor`; write `petstore`\n1 error, 0 warnings\n"
    );
    let other = PRODUCT.replace("[listPets]", "[listPet]");
    let wrong_operation = folder(&[("a.yaml", API), ("petstore.yaml", PETSTORE), ("b.yaml", &other)]);
    let found = run(wrong_operation.path(), &[], &["lint", "."]);
    assert_eq!(
        found.err,
        "./b.yaml:7:54: error: no API of the product has an operation `listPet`; write `listPets`\n1 error, 0 warnings\n"
    );
    assert_eq!(found.code, 1);
}

#[test]
fn text_that_is_no_document_is_shown_where_it_ends() {
    let (code, text) = lint("apis:\n  - name: [a\nproducts: []\n");
    assert_eq!(code, 1);
    assert!(text.starts_with("a.yaml:3:"), "{text}");
    assert!(text.contains(": error: "), "{text}");
    let folder = folder(&[("a.json", "{\"apis\": [}")]);
    let found = run(folder.path(), &[], &["lint", "a.json"]);
    assert!(found.err.starts_with("a.json:1:11: error: "), "{}", found.err);
}

#[test]
fn every_unknown_key_is_told_with_the_nearest_known_one() {
    let text = "\
apis:
  - name: a
    base_pth: /a
    upstream:
      targets:
        - { url: http://127.0.0.1:1, wieght: 5 }
product: []
zzz: 1
";
    assert_eq!(
        lint(text).1,
        "a.yaml:3:5: error: unknown key `base_pth`; did you mean `base_path`?\n\
         a.yaml:6:38: error: unknown key `wieght`; did you mean `weight`?\n\
         a.yaml:7:1: error: unknown key `product`; did you mean `products`?\n\
         a.yaml:8:1: error: unknown key `zzz`; remove it; known are apis, meters, products, accounts, consumers, \
         billable_policies, coupons, tax_rates, partners and settings"
    );
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let (code, text) = lint("apis: []\nmeters: []\napis: []\n");
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "a.yaml:3:1: error: the key \"apis\" stands here again, first at line 1, column 1; keep one of the two"
    );
}

#[test]
fn a_setting_that_stands_in_two_documents_is_an_error() {
    let (code, text) = lint("settings: { signup: open }\n---\nsettings:\n  signup: invitation\n");
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "a.yaml:4:3: error: the setting `signup` stands in another document already; keep one of the two"
    );
}

#[test]
fn amounts_are_decimals_in_quotes() {
    let text = "\
products:
  - name: p
    apis: []
    plans:
      - name: pro
        limits:
          - { requests: 10, per: period, overage: { allow: 15%, price: 0.002 } }
        price: { currency: USD, recurring: { amount: \"1\" } }
  - name: q
    apis: []
    plans:
      - name: pro
        price:
          currency: USD
          recurring: { amount: 49.00 }
";
    assert_eq!(
        lint(text).1,
        "a.yaml:7:65: error: an amount that is a number is not exact; write it in quotes: \"0.002\"\n\
         a.yaml:15:24: error: an amount that is a number is not exact; write it in quotes: \"49.00\""
    );
}

#[test]
fn wrong_types_words_and_missing_keys_are_told_in_plain_words() {
    let text = "\
apis:
  - name: a
  - name: [b]
    upstream: { targets: [] }
  - name: c
    unknown_operations: rejct
    upstream: { targets: [] }
  - name: d
    upstream: { targets: [], timeouts: { connect: 5 seconds } }
products: {}
";
    assert_eq!(
        lint(text).1,
        "a.yaml:2:5: error: the key `upstream` is missing; write upstream:\n\
         a.yaml:3:5: error: a list does not belong here; write a text\n\
         a.yaml:6:5: error: `rejct` is not known here; did you mean `reject`? known are `pass`, `reject`\n\
         a.yaml:9:42: error: not a duration; write a whole number and a unit such as 500ms, 30s, 5m, 1h or 14d\n\
         a.yaml:10:1: error: `products` is a list; begin each entry with `- `"
    );
}

#[test]
fn what_does_not_fit_together_is_found_where_it_stands() {
    let text = "\
products:
  - name: p
    apis: []
    plans:
      - name: pro
        limits:
          - { requests: 100, per: period }
        price:
          currency: USD
          usage:
            - { meter: requests, included: 500, model: unit, unit: \"0.01\" }
        trial: 14d
";
    assert_eq!(
        lint(text).1,
        "a.yaml:3:5: warning: a product without APIs opens nothing; name its APIs\n\
         a.yaml:11:34: error: the price includes 500 units and the quota stops at 100; raise `max` of the limit, lower \
         `included`, or allow overage\n\
         a.yaml:12:9: error: a trial is not supported yet; remove it"
    );
}

#[test]
fn secrets_come_from_variables_and_are_never_shown() {
    let key = "tg_live_0123456789";
    let text = "\
apis:
  - name: a
    upstream:
      targets: [{ url: http://127.0.0.1:1 }]
      auth: { header: X-Secret, value_env: PETSTORE_SECRET }
accounts: [{ name: acme }]
consumers:
  - name: c
    account: acme
    credentials: [{ type: api_key, secret_env: ACME_KEY }]
";
    let folder = folder(&[("a.yaml", text)]);
    let missing = run(folder.path(), &[], &["lint", "a.yaml"]);
    assert_eq!(
        missing.err,
        "a.yaml:5:33: error: the environment variable PETSTORE_SECRET is not set; set it for this command: export \
         PETSTORE_SECRET=…\n\
         a.yaml:10:36: error: the environment variable ACME_KEY is not set; set it for this command: export ACME_KEY=…\n\
         2 errors, 0 warnings\n"
    );
    let wrong = run(
        folder.path(),
        &[("PETSTORE_SECRET", "hush-hush"), ("ACME_KEY", key)],
        &["lint", "a.yaml"],
    );
    assert!(
        wrong.err.starts_with("a.yaml:10:36: error: the secret is not a key"),
        "{}",
        wrong.err
    );
    for secret in ["hush-hush", key] {
        assert!(
            !wrong.err.contains(secret) && !wrong.out.contains(secret),
            "{}{}",
            wrong.out,
            wrong.err
        );
    }
}

#[test]
fn faults_of_an_openapi_document_are_shown_in_its_own_file() {
    let twice = PETSTORE.replace("addPet", "listPets");
    let folder = folder(&[("a.yaml", API), ("petstore.yaml", &twice)]);
    let found = run(folder.path(), &[], &["lint", "a.yaml"]);
    assert_eq!(found.code, 0, "{}", found.err);
    assert!(found.err.starts_with("./petstore.yaml:6:"), "{}", found.err);
    assert!(found.err.contains(": warning: "), "{}", found.err);
    std::fs::write(folder.path().join("petstore.yaml"), "title: nothing\n").unwrap();
    let found = run(folder.path(), &[], &["lint", "a.yaml"]);
    assert_eq!(found.code, 1);
    assert!(found.err.starts_with("./petstore.yaml:1:1: error: "), "{}", found.err);
    std::fs::remove_file(folder.path().join("petstore.yaml")).unwrap();
    let found = run(folder.path(), &[], &["lint", "a.yaml"]);
    assert!(
        found
            .err
            .starts_with("a.yaml:3:5: error: the OpenAPI document ./petstore.yaml cannot be read"),
        "{}",
        found.err
    );
}

#[test]
fn parts_of_a_split_description_are_no_configuration() {
    let split = PETSTORE.replace(
        "    post: {operationId: addPet, responses: {'200': {description: ok}}}\n",
        "  /more:\n    $ref: './parts/more.yaml'\n",
    );
    let part = "get: {operationId: more, responses: {'200': {description: ok}}}\n";
    let limited = PRODUCT.replace("[listPets]", "[more]");
    let folder = folder(&[
        ("a.yaml", API),
        ("b.yaml", &limited),
        ("petstore.yaml", &split),
        ("parts/more.yaml", part),
    ]);
    let found = run(folder.path(), &[], &["lint", "."]);
    assert_eq!((found.code, found.err.as_str()), (0, ""));
}

#[test]
fn findings_can_be_read_by_scripts() {
    let folder = folder(&[("a.yaml", "apis: []\nprodukts: []\n")]);
    let found = run(folder.path(), &[], &["lint", "a.yaml", "--json"]);
    let report: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found.code, 1);
    assert_eq!(report["errors"], 1);
    let message = &report["messages"][0];
    assert_eq!(
        (&message["file"], &message["line"], &message["column"]),
        (&"a.yaml".into(), &2.into(), &1.into())
    );
    assert_eq!(message["remedy"], "did you mean `products`?");
}

#[test]
fn what_cannot_be_a_configuration_says_so() {
    let folder = folder(&[("petstore.yaml", PETSTORE), ("list.yaml", "- 1\n")]);
    let absent = run(folder.path(), &[], &["lint", "nowhere.yaml"]);
    assert!(
        absent.err.starts_with("nowhere.yaml: error: cannot be read: "),
        "{}",
        absent.err
    );
    let description = run(folder.path(), &[], &["lint", "petstore.yaml"]);
    assert!(
        description
            .err
            .contains("make one of it: tollgate import openapi petstore.yaml --upstream URL"),
        "{}",
        description.err
    );
    let list = run(folder.path(), &[], &["lint", "list.yaml"]);
    assert!(
        list.err.starts_with("list.yaml:1:1: error: a configuration is a map"),
        "{}",
        list.err
    );
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let empty = run(folder.path(), &[], &["lint", "empty"]);
    assert!(
        empty
            .err
            .starts_with("empty: error: no configuration is in this folder"),
        "{}",
        empty.err
    );
}

#[test]
fn an_imported_api_passes_lint() {
    let folder = folder(&[("petstore.yaml", PETSTORE)]);
    let imported = run(
        folder.path(),
        &[],
        &[
            "import",
            "openapi",
            "petstore.yaml",
            "--upstream",
            "http://127.0.0.1:9001",
        ],
    );
    assert_eq!((imported.code, imported.err.as_str()), (0, ""));
    assert_eq!(
        imported.out,
        "apis:\n  - name: petstore\n    version: \"1.0\"\n    openapi: petstore.yaml\n    base_path: /petstore\n    \
         upstream:\n      targets:\n        - url: \"http://127.0.0.1:9001\"\n    auth:\n      - api_key\n"
    );
    std::fs::write(folder.path().join("api.yaml"), &imported.out).unwrap();
    let checked = run(folder.path(), &[], &["lint", "."]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
}

#[test]
fn an_import_without_routes_fails_with_its_reasons() {
    let folder = folder(&[
        (
            "empty.yaml",
            "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}\n",
        ),
        ("torn.yaml", "a: [\n"),
    ]);
    let empty = run(
        folder.path(),
        &[],
        &["import", "openapi", "empty.yaml", "--upstream", "http://127.0.0.1:1"],
    );
    assert_eq!((empty.code, empty.out.as_str()), (1, ""));
    assert!(empty.err.ends_with("empty.yaml: no route results\n"), "{}", empty.err);
    let torn = run(
        folder.path(),
        &[],
        &["import", "openapi", "torn.yaml", "--upstream", "http://127.0.0.1:1"],
    );
    assert!(
        torn.code == 1 && torn.err.starts_with("torn.yaml:1:4: error: "),
        "{}",
        torn.err
    );
}
