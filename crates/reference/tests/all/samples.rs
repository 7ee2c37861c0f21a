//! Samples, run against a server that tells what it got.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use reference::request::{Body, Content, Credential, Header, HeaderValue, Pair, Part};
use reference::samples::{Language, print};
use reference::{Inputs, Limits, Reference, Request};
use serde_json::{Value, json};

use crate::support::{corpus, load};

/// A request as it came over the wire.
#[derive(Debug)]
struct Got {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    let end = loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = bytes[..end].iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut got = Got {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    };
    if got.header("Expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if got.header("Transfer-Encoding").is_some() {
        while !got.body.ends_with(b"0\r\n\r\n") {
            let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
            got.body.extend_from_slice(&buffer[..read]);
        }
        got.body = unchunk(&got.body);
    } else {
        let length: usize = got
            .header("Content-Length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        while got.body.len() < length {
            let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
            got.body.extend_from_slice(&buffer[..read]);
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .ok()?;
    Some(got)
}

fn unchunk(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(end) = bytes[at..].windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + end]).unwrap(), 16).unwrap();
        at += end + 2;
        out.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
        if size == 0 {
            break;
        }
    }
    out
}

struct Server {
    base: String,
    got: Receiver<Got>,
}

fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (send, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            if let Some(got) = read(&mut stream)
                && send.send(got).is_err()
            {
                return;
            }
        }
    });
    Server { base, got }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' && at + 2 < bytes.len() {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (percent_decoded(name), percent_decoded(value)))
        .collect()
}

/// Parts of a multipart body: name, file name, content type, content.
fn parts(got: &Got) -> Vec<(String, Option<String>, Option<String>, String)> {
    let kind = got.header("Content-Type").unwrap();
    assert!(kind.starts_with("multipart/form-data"), "{kind}");
    let boundary = kind.split("boundary=").nth(1).unwrap().trim_matches('"');
    let text = String::from_utf8(got.body.clone()).unwrap();
    let mark = format!("--{boundary}");
    let pieces = text.split(&mark).filter(|piece| piece.starts_with("\r\n"));
    pieces
        .map(|piece| {
            let (head, content) = piece[2..].split_once("\r\n\r\n").unwrap();
            let quoted = |mark: &str| {
                head.split(mark)
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .map(str::to_owned)
            };
            let kind = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-type:")
                    .map(|kind| kind.trim().to_owned())
            });
            (
                quoted(" name=\"").unwrap(),
                quoted("filename=\""),
                kind,
                content.strip_suffix("\r\n").unwrap().to_owned(),
            )
        })
        .collect()
}

/// What came is what the request says.
fn check(request: &Request, got: &Got, of: &str) {
    assert_eq!(got.method, request.method, "{of}");
    let address = request.address();
    let rest = &address["http://".len()..];
    let wanted = &rest[rest.find('/').unwrap()..];
    let (path, query) = wanted.split_once('?').unwrap_or((wanted, ""));
    let (got_path, got_query) = got.target.split_once('?').unwrap_or((&got.target, ""));
    assert_eq!(percent_decoded(got_path), percent_decoded(path), "{of}");
    assert_eq!(pairs(got_query), pairs(query), "{of}");
    let listed: Vec<(String, String)> = request
        .query
        .iter()
        .map(|pair| (pair.name.clone(), pair.value.clone()))
        .collect();
    assert_eq!(pairs(got_query), listed, "{of}");
    for Header { name, value } in &request.all_headers() {
        let wanted = match value {
            HeaderValue::Text(text) => text.clone(),
            HeaderValue::Secret { prefix, .. } => format!("{prefix}tg_test_key"),
        };
        let received: String = got.header(name).unwrap_or_else(|| panic!("{of}: no {name}")).to_owned();
        let as_bytes: String = wanted.bytes().map(char::from).collect();
        let fits = received == as_bytes || name == "Content-Type" && received.starts_with(&wanted);
        assert!(fits, "{of}: {name}: {received:?} for {wanted:?}");
    }
    match &request.body {
        Body::None => assert!(got.body.is_empty(), "{of}"),
        Body::Json { value, .. } => assert_eq!(&serde_json::from_slice::<Value>(&got.body).unwrap(), value, "{of}"),
        Body::Form(fields) => assert_eq!(&pairs(std::str::from_utf8(&got.body).unwrap()), fields, "{of}"),
        Body::Raw { text, .. } => assert_eq!(std::str::from_utf8(&got.body).unwrap(), text, "{of}"),
        Body::File { .. } => assert_eq!(got.body, b"content of a file", "{of}"),
        Body::Multipart(wanted) => {
            let found = parts(got);
            assert_eq!(found.len(), wanted.len(), "{of}: {found:?}");
            for ((name, file, kind, content), part) in found.iter().zip(wanted) {
                assert_eq!(name, &part.name, "{of}");
                match &part.content {
                    // A browser's form gives typed text the name of a file.
                    Content::Text(text) => {
                        assert_eq!(content, text, "{of}");
                        assert!(file.is_none() || part.content_type.is_some(), "{of}");
                    }
                    Content::File(name) => {
                        assert_eq!(
                            (content.as_str(), file.as_deref()),
                            ("content of a file", Some(name.as_str())),
                            "{of}"
                        );
                    }
                }
                if let Some(wanted) = &part.content_type {
                    assert_eq!(kind.as_deref(), Some(wanted.as_str()), "{of}");
                }
            }
        }
    }
}

/// What runs the samples that stand in a folder, one after the other, in one process where the language can: starting an
/// interpreter costs far more than a sample.
fn command(language: Language, files: &[String]) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let all = |start: &[&str]| {
        let mut line = words(start);
        line.extend(files.iter().cloned());
        vec![line]
    };
    let each = |start: &[&str]| {
        let line = |file: &String| {
            let mut line = words(start);
            line.push(file.clone());
            line
        };
        files.iter().map(line).collect()
    };
    match language {
        Language::Python => all(&[
            "python3",
            "-c",
            "import sys\nfor f in sys.argv[1:]:\n    exec(compile(open(f).read(), f, 'exec'), {'__name__': '__main__'})",
        ]),
        Language::JavaScript => all(&[
            "node",
            "--input-type=module",
            "-e",
            "for (const f of process.argv.slice(1)) await import(process.cwd() + '/' + f)",
            "--",
        ]),
        Language::Php => all(&[
            "php",
            "-r",
            "array_shift($argv); foreach ($argv as $f) { if ($f !== '--') (function () use ($f) { include $f; })(); }",
            "--",
        ]),
        Language::Ruby => all(&["ruby", "-e", "ARGV.each { |f| load f, true }"]),
        Language::Curl => each(&["sh"]),
        Language::Go => each(&["go", "run"]),
        Language::Java => each(&["java"]),
        Language::TypeScript | Language::CSharp | Language::Rust => Vec::new(),
    }
}

fn run(line: &[String], folder: &Path) -> std::process::Output {
    let mut process = Command::new(&line[0]);
    process
        .args(&line[1..])
        .current_dir(folder)
        .env("TOLLGATE_KEY", "tg_test_key")
        .env("NO_PROXY", "*");
    process
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("all_proxy")
        .env_remove("ALL_PROXY");
    process.output().unwrap()
}

fn has(language: Language) -> bool {
    let (program, check) = match language {
        Language::Python => ("python3", vec!["-c", "import requests"]),
        Language::JavaScript => ("node", vec!["-e", "fetch"]),
        Language::Go => ("go", vec!["version"]),
        Language::Java => ("java", vec!["-version"]),
        Language::Php => ("php", vec!["-r", "curl_init();"]),
        Language::Ruby => ("ruby", vec!["-v"]),
        Language::Curl => ("curl", vec!["--version"]),
        Language::TypeScript | Language::CSharp | Language::Rust => return false,
    };
    let has = Command::new(program)
        .args(check)
        .output()
        .is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped {}: no runtime", language.name());
    }
    has
}

/// The name of the file of a sample. Java wants that of its class; scripts are told apart by their number.
fn file_of(language: Language, at: usize) -> String {
    let end = match language {
        Language::Curl => "sh",
        Language::Python => "py",
        Language::JavaScript => "mjs",
        Language::Go => "go",
        Language::Java => return format!("sample_{at}/Example.java"),
        Language::Php => "php",
        Language::Ruby => "rb",
        Language::TypeScript | Language::CSharp | Language::Rust => "txt",
    };
    format!("sample_{at}.{end}")
}

/// Sends what a language can send, unless it has no runtime here.
fn try_out(language: Language, wanted: impl Fn(&Server) -> Vec<(String, Request)>) {
    if has(language) {
        let server = server();
        execute(&wanted(&server), &server, language);
    }
}

fn execute(requests: &[(String, Request)], server: &Server, language: Language) {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (at, (_, request)) in requests.iter().enumerate() {
        let mut sent = vec!["file.bin".to_owned()];
        if let Body::Multipart(parts) = &request.body {
            sent.extend(parts.iter().filter_map(|part| match &part.content {
                Content::File(name) => Some(name.clone()),
                Content::Text(_) => None,
            }));
        }
        for file in sent {
            std::fs::write(folder.path().join(file), "content of a file").unwrap();
        }
        let file = file_of(language, at);
        let path = folder.path().join(&file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, print(request, language).text).unwrap();
        files.push(file);
    }
    let mut errors = String::new();
    let mut failed = false;
    for line in command(language, &files) {
        let output = run(&line, folder.path());
        failed |= !output.status.success();
        errors.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    // Each sample has sent one request, in their order.
    for (name, request) in requests {
        let of = format!("{} {name}\n{}", language.name(), print(request, language).text);
        let got = server.got.recv_timeout(Duration::from_secs(5));
        let got = got.unwrap_or_else(|_| panic!("{of}\n{errors}"));
        check(request, &got, &of);
    }
    assert!(!failed, "{}: {errors}", language.name());
}

/// Requests of operations of the corpus: a name, the file, and which operations.
fn real(server: &Server) -> Vec<(String, Request)> {
    let Some(folder) = corpus("samples of real documents") else {
        return Vec::new();
    };
    type Wanted = fn(&Request) -> bool;
    let table: [(&str, usize, Wanted); 4] = [
        ("readme-parameters-style-3.1.json", 40, |_| true),
        ("twilio-api-v2010.json", 3, |request| {
            matches!(request.body, Body::Form(_))
        }),
        ("openai.yaml", 3, |request| matches!(request.body, Body::Multipart(_))),
        ("stripe-2025-10.json", 4, |request| {
            request.query.iter().any(|pair| pair.name.contains('['))
                || matches!(&request.body, Body::Form(fields) if fields.iter().any(|field| field.0.contains('[')))
        }),
    ];
    // Read once, however many languages are tried.
    static READ: OnceLock<Vec<Reference>> = OnceLock::new();
    let read = READ.get_or_init(|| {
        let build = |(file, ..): &(&str, usize, Wanted)| {
            Reference::build(load(&folder, file).unwrap(), Limits::default()).unwrap()
        };
        table.iter().map(build).collect()
    });
    let mut requests = Vec::new();
    for ((file, most, wanted), reference) in table.into_iter().zip(read) {
        let inputs = Inputs::sample(&format!("{}/base", server.base));
        let made = reference
            .entries()
            .iter()
            .map(|entry| (format!("{file} {}", entry.slug), reference.request(entry, &inputs)));
        let found: Vec<_> = made.filter(|(_, request)| wanted(request)).take(most).collect();
        assert!(found.len() >= most.min(3), "{file}: {}", found.len());
        requests.extend(found);
    }
    requests
}

fn made(server: &Server) -> Vec<(String, Request)> {
    let odd = "a'b\"c\\d$HOME`id`#{x}${y}\n\t</s>é漢🙂%s @x;y=z";
    let base = Request {
        method: "POST".to_owned(),
        url: format!("{}/it%27s;a=1/%24HOME", server.base),
        query: vec![Pair {
            name: "q[a]".to_owned(),
            value: "a b&c='".to_owned(),
            encoded: "q%5Ba%5D=a%20b%26c%3D%27".to_owned(),
        }],
        headers: vec![
            Header {
                name: "X-API-Key".to_owned(),
                value: HeaderValue::Secret {
                    prefix: String::new(),
                    variable: "TOLLGATE_KEY".to_owned(),
                },
            },
            Header {
                name: "X-Odd".to_owned(),
                value: HeaderValue::Text("a'b\"c\\ $HOME #{x} `id`".to_owned()),
            },
        ],
        cookies: vec![Pair {
            name: "c".to_owned(),
            value: "d".to_owned(),
            encoded: "c=d".to_owned(),
        }],
        body: Body::None,
    };
    let text = |name: &str, text: &str, kind: Option<&str>| Part {
        name: name.to_owned(),
        content_type: kind.map(str::to_owned),
        content: Content::Text(text.to_owned()),
    };
    let file = Part {
        name: "file".to_owned(),
        content_type: Some("image/png".to_owned()),
        content: Content::File("file.bin".to_owned()),
    };
    let bodies = [
        Body::Json {
            content_type: "application/json".to_owned(),
            value: json!({"odd": odd, "l": [1, 2.5, true, null, {}], odd: [[]], "deep": {"a": {"b": ["some longer text", "some longer text", "some longer text"]}}}),
        },
        Body::Form(vec![
            ("a[b]".to_owned(), odd.to_owned()),
            ("a[b]".to_owned(), "2".to_owned()),
            ("e".to_owned(), String::new()),
        ]),
        Body::Multipart(vec![
            text("t", "it's \"so\" @x", None),
            text("j", "{\"a\":\"b;c\"}", Some("application/json")),
            file,
        ]),
        Body::Raw {
            content_type: "text/plain".to_owned(),
            text: odd.to_owned(),
        },
        Body::File {
            content_type: "application/octet-stream".to_owned(),
            name: "file.bin".to_owned(),
        },
    ];
    let mut requests: Vec<(String, Request)> = bodies
        .into_iter()
        .enumerate()
        .map(|(at, body)| (format!("made {at}"), Request { body, ..base.clone() }))
        .collect();
    requests.push((
        "made delete".to_owned(),
        Request {
            method: "DELETE".to_owned(),
            ..base
        },
    ));
    requests
}

/// Every request that a language can send: fetch sends no body with GET, which some operations of the corpus want.
fn possible(server: &Server) -> Vec<(String, Request)> {
    let all = made(server).into_iter().chain(real(server));
    all.filter(|(_, request)| request.method != "GET" || request.body == Body::None)
        .collect()
}

#[test]
fn the_curl_sample_sends_what_the_request_says() {
    try_out(Language::Curl, |server| {
        made(server).into_iter().chain(real(server)).collect()
    });
}

#[test]
fn the_python_sample_sends_what_the_request_says() {
    try_out(Language::Python, possible);
}

#[test]
fn the_javascript_sample_sends_what_the_request_says() {
    try_out(Language::JavaScript, possible);
}

#[test]
fn samples_of_php_and_ruby_send_what_the_request_says() {
    try_out(Language::Php, possible);
    try_out(Language::Ruby, possible);
}

#[test]
fn the_go_sample_sends_what_the_request_says() {
    try_out(Language::Go, made);
}

#[test]
fn the_java_sample_sends_what_the_request_says() {
    try_out(Language::Java, made);
}

#[test]
fn a_console_sends_what_was_typed_and_nothing_else() {
    let document = json!({"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "paths": {"/a/{id}": {"post": {
        "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "f", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
            {"name": "l", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "string"}}},
            {"name": "unused", "in": "query", "example": "x", "schema": {"type": "string"}},
            {"name": "X-One", "in": "header", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}, "responses": {}}}}});
    let reference = Reference::build(std::sync::Arc::new(document), Limits::default()).unwrap();
    let values = [
        ("path.id", "a/b c"),
        ("query.f", "{\"x\": {\"y\": 1}}"),
        ("query.l", "a,b&c"),
        ("header.X-One", "v\r\nEvil: 1"),
    ];
    let inputs = Inputs {
        base: Some("https://gw.example/api/".to_owned()),
        credential: Some(Credential::default()),
        values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: Some("{\"k\": 1}".to_owned()),
        only_given: true,
        ..Inputs::default()
    };
    let request = reference.request(&reference.entries()[0], &inputs);
    assert_eq!(
        request.address(),
        "https://gw.example/api/a/a%2Fb%20c?f%5Bx%5D%5By%5D=1&l=a,b%26c"
    );
    assert_eq!(request.headers[1].value, HeaderValue::Text("v  Evil: 1".to_owned()));
    assert_eq!(
        request.body,
        Body::Json {
            content_type: "application/json".to_owned(),
            value: json!({"k": 1})
        }
    );
}
