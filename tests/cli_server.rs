//! `apply`, `diff`, `export` and `why` against a server that answers what the test says.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

struct Seen {
    line: String,
    authorization: String,
    body: Vec<u8>,
}

/// Answers one request and tells what it was.
fn server(status: u16, answer: &Value) -> (String, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let body = answer.to_string();
    let handle = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let seen = read(&stream);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        (&stream).write_all(format!("{head}{body}").as_bytes()).unwrap();
        seen
    });
    (address, handle)
}

fn read(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (mut length, mut authorization, mut chunked) = (0_usize, String::new(), false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => value.clone_into(&mut authorization),
            "transfer-encoding" => chunked = true,
            _ => {}
        }
    }
    assert!(!chunked, "a body of known length needs no chunks");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Seen {
        line: line.trim_end().to_owned(),
        authorization,
        body,
    }
}

fn run(folder: &Path, server: &str, input: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("TOLLGATE_SERVER", server)
        .env("TOLLGATE_TOKEN", "tgt_secret")
        .env("PETSTORE_SECRET", "hush-hush")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const FILE: &str = "\
meters:
  - { name: tokens, aggregate: sum, value: { response_json: /n } }
apis:
  - name: petstore
    base_path: /petstore
    upstream:
      targets: [{ url: http://127.0.0.1:9001 }]
      auth: { header: X-Secret, value_env: PETSTORE_SECRET }
";

fn change() -> Value {
    json!({"revision": 7, "dry_run": false, "changed": true, "items": [
        {"kind": "api", "name": "petstore", "action": "update", "subscribers_affected": 2,
         "before": {"base_path": "/old"}, "after": {"base_path": "/petstore"}}
    ]})
}

#[test]
fn apply_sends_the_document_with_its_secrets_and_tells_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), FILE).unwrap();
    let (address, handle) = server(200, &change());
    let (code, out, err) = run(folder.path(), &address, "", &["apply", "-f", "a.yaml", "--prune"]);
    let seen = handle.join().unwrap();
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "update api petstore (2 live subscriptions)\n1 change made (revision 7)\n"
    );
    assert_eq!(seen.line, "PUT /api/v1/config?dry_run=false&prune=true HTTP/1.1");
    assert_eq!(seen.authorization, "Bearer tgt_secret");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        body["apis"][0]["upstream"]["auth"],
        json!({"header": "X-Secret", "value_env": "PETSTORE_SECRET", "value": "hush-hush"})
    );
}

#[test]
fn diff_exits_with_2_when_there_are_changes_and_with_0_when_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let (address, handle) = server(200, &change());
    let (code, out, _) = run(folder.path(), &address, FILE, &["diff", "-f", "-"]);
    assert_eq!(
        handle.join().unwrap().line,
        "PUT /api/v1/config?dry_run=true&prune=false HTTP/1.1"
    );
    assert_eq!(code, 2);
    assert_eq!(
        out,
        "update api petstore (2 live subscriptions)\n  base_path: \"/old\" -> \"/petstore\"\n1 change, 2 live subscriptions \
         affected, 0 plans with another price\n"
    );
    let (address, _) = server(
        200,
        &json!({"revision": 7, "dry_run": true, "changed": false, "items": []}),
    );
    let (code, out, _) = run(folder.path(), &address, FILE, &["diff", "-f", "-"]);
    assert_eq!((code, out.as_str()), (0, "no differences\n"));
}

#[test]
fn what_the_server_refuses_is_shown_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), FILE).unwrap();
    let problem = json!({"type": "https://tollgate.dev/problems/request-invalid", "title": "The request is not valid", "status": 400,
        "errors": [{"pointer": "/apis/0/base_path", "detail": "the API `old` has the same place; write another"}]});
    let (address, _) = server(400, &problem);
    let (code, out, err) = run(folder.path(), &address, "", &["apply", "-f", "a.yaml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "a.yaml:5:5: error: the API `old` has the same place; write another\nthe server refuses (400 The request is not \
         valid); nothing was changed\n"
    );
}

#[test]
fn files_with_errors_never_reach_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(folder.path(), "http://127.0.0.1:1", "apis: 5\n", &["apply", "-f", "-"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "<stdin>:1:1: error: `apis` is a list; begin each entry with `- `\n1 error; nothing was changed\n"
    );
}

#[test]
fn standard_input_may_be_an_export_whose_secret_only_the_server_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = FILE.replace("PETSTORE_SECRET", "UNKNOWN_SECRET");
    std::fs::write(folder.path().join("a.yaml"), &file).unwrap();
    let (code, _, err) = run(folder.path(), "http://127.0.0.1:1", "", &["apply", "-f", "a.yaml"]);
    assert_eq!(code, 1);
    assert!(
        err.starts_with("a.yaml:8:33: error: the environment variable UNKNOWN_SECRET is not set; set it"),
        "{err}"
    );
    let (address, handle) = server(
        200,
        &json!({"revision": 7, "dry_run": false, "changed": false, "items": []}),
    );
    let (code, _, err) = run(folder.path(), &address, &file, &["apply", "-f", "-"]);
    let body: Value = serde_json::from_slice(&handle.join().unwrap().body).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        err,
        "<stdin>:8:33: warning: the environment variable UNKNOWN_SECRET is not set; the server keeps the value that it \
         has\n"
    );
    assert_eq!(
        body["apis"][0]["upstream"]["auth"],
        json!({"header": "X-Secret", "value_env": "UNKNOWN_SECRET"})
    );
}

#[test]
fn an_export_is_yaml_that_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let document = json!({"meters": [{"name": "tokens", "aggregate": "sum", "value": {"response_json": "/n"}, "source": "requests"}]});
    let (address, handle) = server(200, &document);
    let (code, out, _) = run(folder.path(), &address, "", &["export", "--with-consumers"]);
    assert_eq!(
        handle.join().unwrap().line,
        "GET /api/v1/config?with_consumers=true HTTP/1.1"
    );
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "meters:\n  - name: tokens\n    aggregate: sum\n    value:\n      response_json: /n\n    source: requests\n"
    );
    std::fs::write(folder.path().join("export.yaml"), out).unwrap();
    let (address, handle) = server(
        200,
        &json!({"revision": 7, "dry_run": false, "changed": false, "items": []}),
    );
    let (code, out, err) = run(folder.path(), &address, "", &["apply", "-f", "export.yaml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "nothing to change: the platform equals the files (revision 7)\n");
    assert_eq!(
        serde_json::from_slice::<Value>(&handle.join().unwrap().body).unwrap(),
        document
    );
}

#[test]
fn why_knows_what_to_do_about_an_unknown_request() {
    let folder = tempfile::tempdir().unwrap();
    let problem = json!({"type": "https://tollgate.dev/problems/not-found", "title": "Not found", "status": 404});
    let (address, handle) = server(404, &problem);
    let (code, _, err) = run(folder.path(), &address, "", &["why", "abc-1"]);
    assert_eq!(handle.join().unwrap().line, "GET /api/v1/requests/abc-1 HTTP/1.1");
    assert_eq!(code, 1);
    assert!(err.starts_with("no request abc-1 is known\n"), "{err}");
    let (code, _, err) = run(folder.path(), &address, "", &["why", "../config"]);
    assert_eq!(code, 2);
    assert!(err.contains("is no request id"), "{err}");
}

#[test]
fn a_server_that_is_away_or_another_one_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = run(folder.path(), &format!("http://{closed}"), "", &["export"]);
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("cannot reach http://{closed}: ")), "{err}");
    assert!(err.contains("start the platform with `tollgate serve`"), "{err}");
    let (address, _) = server(
        404,
        &json!({"type": "https://tollgate.dev/problems/no-route", "title": "No route", "status": 404}),
    );
    let (_, _, err) = run(folder.path(), &address, "", &["export"]);
    assert!(err.contains("the address of the portal"), "{err}");
    let (address, _) = server(401, &json!({"type": "x", "title": "No valid token", "status": 401}));
    let (_, _, err) = run(folder.path(), &address, "", &["export"]);
    assert_eq!(
        err,
        "the server refuses (401 No valid token)\nthe token is unknown, revoked or expired: set TOLLGATE_TOKEN or --token to a valid one\n"
    );
    let (_, _, err) = run(folder.path(), "ftp://x", "", &["export"]);
    assert!(err.starts_with("ftp://x is not the address of a server"), "{err}");
}
