//! Bodies that are announced and not sent, answers that come early, pipelines, upgrades: whoever shares a connection to
//! the upstream gets his own answers and nothing else.

use std::time::Duration;

use crate::world::World;

const LONG: Duration = Duration::from_secs(8);
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

fn has(heard: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(heard).contains(text)
}

/// Ordinary requests get their own answers: the pooled connections are in step.
fn check_in_step(world: &World) {
    for number in 0..8 {
        let wire = world.get(&format!("/step/{number}"), "");
        assert!(has(&wire.heard, &format!("/step/{number}\r\n")), "{}", wire.text());
        assert_eq!(wire.statuses(), [200]);
    }
    let steps: Vec<_> = world
        .upstream
        .new_requests()
        .into_iter()
        .filter(|seen| seen.target.starts_with("/step/"))
        .collect();
    assert_eq!(steps.len(), 8);
}

#[test]
fn a_body_is_asked_for_only_when_somebody_wants_it() {
    let world = World::new();
    let mut wire = world.connect();
    wire.say(b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    wire.listen(LONG, |heard| has(heard, "100 Continue\r\n\r\n"));
    assert_eq!(wire.statuses(), [100]);
    wire.say(b"hello");
    wire.listen(LONG, |heard| has(heard, "x-target"));
    assert_eq!(wire.statuses(), [100, 200]);
    let seen = world.upstream.new_requests();
    assert_eq!((seen.len(), seen[0].body.as_slice()), (1, &b"hello"[..]));
    assert!(seen[0].values("expect").is_empty());
    // Refused before anybody wanted it: no interim answer, and what follows is never taken for a request.
    for expect in ["Expect: 100-continue\r\n", "Expect: 100-Continue\r\n", ""] {
        let mut wire = world.connect();
        wire.say(
            format!(
                "POST /vault HTTP/1.1\r\nHost: h\r\n{expect}Content-Length: {}\r\n\r\n",
                SMUGGLED.len()
            )
            .as_bytes(),
        );
        std::thread::sleep(Duration::from_millis(20));
        wire.say(SMUGGLED.as_bytes());
        wire.say(SMUGGLED.as_bytes());
        wire.listen(Duration::from_millis(500), |heard| has(heard, "x-target"));
        let expected: &[u16] = if expect.is_empty() { &[401, 200] } else { &[401] };
        assert_eq!(wire.statuses(), expected, "{expect}: {}", wire.text());
        assert_eq!(world.upstream.new_requests().len(), expected.len() - 1, "{expect}");
    }
    check_in_step(&world);
}

#[test]
fn an_answer_before_the_body_puts_nobody_out_of_step() {
    let world = World::new();
    let body = "x".repeat(64 << 10);
    for missing in [0, 1, 60 << 10] {
        for encoding in [
            format!("Content-Length: {}", body.len()),
            "Transfer-Encoding: chunked".to_owned(),
        ] {
            let mut wire = world.connect();
            wire.say(format!("POST /early HTTP/1.1\r\nHost: h\r\n{encoding}\r\n\r\n").as_bytes());
            let whole = if encoding.starts_with('T') {
                format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            } else {
                body.clone()
            };
            wire.say(&whole.as_bytes()[..whole.len() - missing]);
            wire.listen(LONG, |heard| has(heard, "x-target"));
            assert_eq!(
                wire.upstream_answers(),
                1,
                "{encoding}, {missing} missing: {}",
                wire.text()
            );
            // The client goes, or hides a request in what was missing.
            wire.say(SMUGGLED.as_bytes());
            wire.listen(Duration::from_millis(50), |_| false);
            drop(wire);
            check_in_step(&world);
        }
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_puts_nobody_out_of_step() {
    let world = World::new();
    for sent in ["", "par", "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"] {
        for head in [
            "Content-Length: 100\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n64\r\n",
        ] {
            let mut wire = world.connect();
            wire.say(format!("POST /x HTTP/1.1\r\nHost: h\r\n{head}{sent}").as_bytes());
            std::thread::sleep(Duration::from_millis(10));
            drop(wire);
            check_in_step(&world);
        }
    }
    assert!(
        !world
            .upstream
            .new_requests()
            .iter()
            .any(|seen| seen.target == "/smuggled")
    );
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let world = World::new();
    let mut wire = world.connect();
    let one = |number: usize| match number % 4 {
        0 => format!("POST /p/{number} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        1 => format!("POST /p/{number} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        2 => format!("GET /vault/{number} HTTP/1.1\r\nHost: h\r\n\r\n"),
        _ => format!("GET /p/{number} HTTP/1.1\r\nHost: h\r\n\r\n"),
    };
    let all: String = (0..200).map(one).collect();
    wire.say(all.as_bytes());
    wire.listen(LONG, |heard| {
        has(heard, "x-target: /p/199") || has(heard, "X-Target: /p/199")
    });
    let expected: Vec<u16> = (0..200).map(|number| if number % 4 == 2 { 401 } else { 200 }).collect();
    assert_eq!(wire.statuses(), expected);
    let text = wire.text().to_lowercase();
    let targets: Vec<usize> = text
        .match_indices("x-target: /p/")
        .map(|(at, _)| text[at + 13..].split('\r').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(targets, (0..200).filter(|number| number % 4 != 2).collect::<Vec<_>>());
    assert_eq!(world.upstream.new_requests().len(), 150);
}

#[test]
fn bytes_after_an_upgrade_are_never_forwarded_as_they_are() {
    let world = World::new();
    for upgrade in ["websocket", "h2c", "TLS/1.0", "foo"] {
        let mut wire = world.connect();
        let head = format!(
            "GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n\x01\x02raw-bytes-after-upgrade\r\n\r\n"
        );
        wire.say(head.as_bytes());
        assert!(wire.ends(LONG), "{}", wire.text());
        assert!(
            matches!(wire.statuses()[..], [200, 400] | [400]),
            "{upgrade}: {}",
            wire.text()
        );
        for seen in world.upstream.new_requests() {
            for name in ["upgrade", "connection", "http2-settings", "sec-websocket-key"] {
                assert!(seen.values(name).is_empty(), "{upgrade}: {seen:?}");
            }
        }
    }
    let raw = world.upstream.raw();
    assert!(!raw.windows(9).any(|window| window == b"raw-bytes"));
    check_in_step(&world);
}
