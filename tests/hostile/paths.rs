//! Spellings of a protected path, with an open neighbour that takes every other path, on the same upstream.

use crate::world::World;

/// Spellings of `/vault/secret`, or of something that some server takes for it.
const SPELLINGS: &[&str] = &[
    "/vault/secret",
    "/./vault/secret",
    "/vault/./secret",
    "/vault/secret/.",
    "/x/../vault/secret",
    "/x/y/../../vault/secret",
    "/vault/../vault/secret",
    "/vault/x/../secret",
    "/../vault/secret",
    "/x/..;/vault/secret",
    "/x/..;a=b/vault/secret",
    "/.;/vault/secret",
    "//vault/secret",
    "///vault/secret",
    "/vault//secret",
    "//vault//secret",
    "/x//../vault/secret",
    "/%76ault/secret",
    "/%76%61%75%6c%74/secret",
    "/%76%61%75%6C%74/%73ecret",
    "/vault%2fsecret",
    "/vault%2Fsecret",
    "/%2fvault/secret",
    "/%2e/vault/secret",
    "/x/%2e%2e/vault/secret",
    "/x/%2E%2e/vault/secret",
    "/x/.%2e/vault/secret",
    "/x/%2e./vault/secret",
    "/x/%252e%252e/vault/secret",
    "/x/%25252e%25252e/vault/secret",
    "/x%2f..%2fvault/secret",
    "/x/..%2fvault/secret",
    "/x/..%252fvault/secret",
    "/vault%252fsecret",
    "/x/..%5cvault/secret",
    "/x\\..\\vault/secret",
    "/\\vault/secret",
    "\\vault\\secret",
    "/vault\\secret",
    "/vault%5csecret",
    "/vault%255csecret",
    "/vault;a=b/secret",
    "/vault;/secret",
    "/;/vault/secret",
    "/;a=b/vault/secret",
    "/vault;a=b;c=d/secret",
    "/vault%3ba=b/secret",
    "/vault/secret#x",
    "/x#/../vault/secret",
    "#/vault/secret",
    "/vault/secret?x=1",
    "/vault?/../x",
    "/vault/secret%3fx",
    "/vault/secret%23x",
    "/vault%00/secret",
    "/vault/secret%00",
    "/vault\0/secret",
    "/%00/../vault/secret",
    "/vault%0a/secret",
    "/vault%09/secret",
    "/%c0%afvault/secret",
    "/x/%c0%ae%c0%ae/vault/secret",
    "/x/%c0%2e%c0%2e/vault/secret",
    "/%e0%80%afvault/secret",
    "/%c1%b6ault/secret",
    "/%u0076ault/secret",
    "/vault%",
    "/vault%2",
    "/%7",
    "/vault/%2e%2e/vault/secret",
    "/x/...//vault/secret",
    "/vault /secret",
    "http://h/vault/secret",
    "http://h//vault/secret",
    "http://h/x/../vault/secret",
    "http://other.example/vault/secret",
    "HTTP://h/vault/secret",
    "http:/vault/secret",
    "https://h/vault/secret",
    "http://h:80@evil/vault/secret",
    "*",
    "vault/secret",
    "?/vault/secret",
    ":80/vault/secret",
];

/// The path as the most obliging server would read it: decoded to the end, backslashes turned, parameters cut off,
/// empty and dot segments resolved.
fn obliging(target: &str) -> String {
    let mut path: Vec<u8> = target.split(['?', '#']).next().unwrap_or_default().bytes().collect();
    loop {
        let next = decode(&path);
        if next == path {
            break;
        }
        path = next;
    }
    let text = String::from_utf8_lossy(&path).replace('\\', "/").replace('\0', "");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let escape = path
            .get(at + 1..at + 3)
            .and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        if let Some(byte) = escape.filter(|_| path[at] == b'%') {
            out.push(byte);
            at += 3;
        } else {
            out.push(path[at]);
            at += 1;
        }
    }
    out
}

fn is_vault(target: &str) -> bool {
    let path = obliging(target);
    path == "/vault" || path.starts_with("/vault/")
}

#[test]
fn the_obliging_reader_knows_a_protected_path_in_any_dress() {
    for target in [
        "/vault/secret",
        "/x/%252e%252e/vault",
        "//vault;a=b/secret",
        "/\\vault\\x",
        "/%2576ault/x",
        "/vault\0/x",
    ] {
        assert!(is_vault(target), "{target}");
    }
    for target in ["/", "/x", "/vaults", "/x/vault", "/vault/../x"] {
        assert!(!is_vault(target), "{target}");
    }
}

fn spellings_that_arrive(world: &World, fields: &str) -> Vec<String> {
    let mut arrived = Vec::new();
    for target in SPELLINGS {
        for (method, more) in [("GET", ""), ("POST", "Content-Length: 0\r\n"), ("OPTIONS", "")] {
            let wire = world.once(
                format!("{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}{fields}\r\n").as_bytes(),
            );
            let seen = world.upstream.new_requests();
            assert_eq!(
                wire.upstream_answers(),
                seen.len(),
                "{method} {target:?}: {}",
                wire.text()
            );
            assert!(wire.closed, "{method} {target:?}");
            let vault = seen.iter().filter(|request| is_vault(&request.target));
            arrived.extend(vault.map(|request| format!("{method} {target:?} arrived as {:?}", request.target)));
        }
    }
    arrived
}

#[test]
fn no_spelling_of_a_protected_path_arrives_without_a_subscription_to_it() {
    let world = World::new();
    let (outsider, insider) = (world.subscriber("open"), world.subscriber("vault"));
    for fields in [String::new(), format!("X-API-Key: {}\r\n", outsider.key)] {
        let arrived = spellings_that_arrive(&world, &fields);
        assert!(
            arrived.is_empty(),
            "{} with {fields:?}:\n{}",
            arrived.len(),
            arrived.join("\n")
        );
    }
    // With a subscription the plain spellings arrive: it was the authorisation that held the others back.
    let arrived = spellings_that_arrive(&world, &format!("Authorization: Bearer {}\r\n", insider.key));
    for plain in [
        "\"/vault/secret\"",
        "\"/%76ault/secret\"",
        "\"/vault/secret?x=1\"",
        "\"http://h/vault/secret\"",
    ] {
        assert!(
            arrived.iter().any(|line| line.starts_with(&format!("GET {plain} "))),
            "{plain}: {arrived:?}"
        );
    }
    // The neighbour is open.
    assert_eq!(world.get("/x", "").upstream_answers(), 1);
    assert_eq!(
        world.get("/x", &format!("X-API-Key: {}\r\n", insider.key)).statuses(),
        [403]
    );
}

#[test]
fn what_arrives_is_what_was_matched_in_one_spelling() {
    let world = World::new();
    for (sent, expected) in [
        ("/a%2Db?x=%2f", "/a-b?x=%2f"),
        ("/%7euser", "/~user"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a/b/", "/a/b/"),
        ("/[x]", "/%5Bx%5D"),
        ("http://h/a?b", "/a?b"),
    ] {
        world.get(sent, "");
        let seen = world.upstream.new_requests();
        assert_eq!(
            seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(),
            [expected],
            "{sent}"
        );
    }
}

#[test]
fn the_control_plane_is_not_behind_the_gateway() {
    let world = World::new();
    let admin = format!("Authorization: Bearer {}\r\n", crate::support::platform::ADMIN_TOKEN);
    let (portal, ops) = (world.platform.portal(), world.platform.ops());
    let hosts = [
        "h".to_owned(),
        portal.to_string(),
        ops.to_string(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "[::1]:8081".to_owned(),
    ];
    let paths = [
        "/api/v1/config",
        "/api/v1/tokens",
        "/api/v1/accounts",
        "/metrics",
        "/healthz",
        "/readyz",
        "/login",
        "/admin",
        "//api/v1/config",
        "/%61pi/v1/config",
        "/x/../api/v1/config",
        "/api%2fv1/config",
    ];
    for host in &hosts {
        for path in paths {
            let forms = [
                format!("GET {path}"),
                format!("GET http://{host}{path}"),
                format!("POST {path}"),
            ];
            for form in forms {
                let length = if form.starts_with("POST") {
                    "Content-Length: 0\r\n"
                } else {
                    ""
                };
                let wire = world.once(
                    format!("{form} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}{admin}\r\n").as_bytes(),
                );
                // The admin token is no key: a wrong credential, whatever the path, and nothing of it goes upstream.
                assert!(
                    matches!(wire.statuses()[..], [400 | 401]),
                    "{form} at {host}: {}",
                    wire.text()
                );
            }
            // Without the token only the open API is there: its upstream answers, nobody else.
            let wire =
                world.once(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
            assert!(
                wire.upstream_answers() == 1 || wire.statuses() == [400],
                "{path} at {host}: {}",
                wire.text()
            );
        }
        let wire = world.once(format!("CONNECT {portal} HTTP/1.1\r\nHost: {host}\r\n{admin}\r\n").as_bytes());
        assert!(matches!(wire.statuses()[..], [400 | 405]), "{}", wire.text());
    }
    for seen in world.upstream.new_requests() {
        assert!(seen.values("authorization").is_empty(), "{seen:?}");
    }
}

#[test]
fn the_gateways_own_paths_never_go_upstream() {
    let world = World::new();
    for path in [
        "/.tollgate",
        "/.tollgate/",
        "/.tollgate/x",
        "/%2etollgate/x",
        "/.tollgat%65/x",
        "//.tollgate/x",
        "/.tollgate//x",
        "/x/../.tollgate/x",
        "/.tollgate/../x",
        "/.tollgate%2fx",
        "/.tollgate;a/x",
    ] {
        let wire = world.get(path, "");
        assert!(
            matches!(wire.statuses()[..], [400 | 404]) || path.contains(';'),
            "{path}: {}",
            wire.text()
        );
    }
    assert!(
        world
            .upstream
            .new_requests()
            .iter()
            .all(|seen| seen.target == "/.tollgate;a/x")
    );
}
