use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::body::Body;
use crate::service::{Request, Response};
use crate::testing::{Handler, run, serve};

/// A request that reached the service, with its whole body.
#[derive(Debug, PartialEq)]
struct Seen {
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

struct Outcome {
    seen: Vec<Seen>,
    answer: String,
    closed: bool,
}

/// Sends a case in pieces and waits until all is quiet.
async fn replay(pieces: &[&[u8]]) -> Outcome {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let copy = Rc::clone(&seen);
    let service = Handler::new(move |request: Request| {
        let seen = Rc::clone(&copy);
        async move {
            let (parts, body) = request.into_parts();
            match body.collect(1 << 20).await {
                Ok(body) => {
                    let target = parts.uri.to_string();
                    seen.borrow_mut().push(Seen {
                        target,
                        headers: parts.headers,
                        body: body.to_vec(),
                    });
                    Response::new(Body::empty())
                }
                Err(error) => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = error.problem().unwrap().status();
                    response
                }
            }
        }
    });
    let mut client = serve(&service);
    for piece in pieces {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    let answer = client.receive().await;
    let closed = client.is_closed().await;
    drop(client.stream);
    client.task.await.unwrap();
    let seen = seen.take();
    Outcome { seen, answer, closed }
}

fn check(case: &Case, outcome: &Outcome) {
    let name = &case.name;
    let seen: Vec<(&str, Vec<u8>)> = outcome
        .seen
        .iter()
        .map(|seen| (seen.target.as_str(), seen.body.clone()))
        .collect();
    assert_eq!(seen, case.reaches, "{name}");
    assert_eq!(outcome.closed, case.then == Then::Closed, "{name}: {}", outcome.answer);
    let ok = outcome.answer.matches("HTTP/1.1 200").count();
    assert_eq!(ok, case.reaches.len(), "{name}: {}", outcome.answer);
}

#[test]
fn every_case_reaches_the_service_as_it_may_and_no_further() {
    for case in cases() {
        run(async { check(&case, &replay(&[&case.wire]).await) });
    }
}

#[test]
fn every_case_has_the_same_outcome_byte_by_byte() {
    for case in cases().into_iter().filter(|case| case.wire.len() < 2000) {
        run(async {
            let pieces: Vec<&[u8]> = case.wire.chunks(1).collect();
            check(&case, &replay(&pieces).await);
        });
    }
}

#[test]
fn no_mutation_is_read_as_chunks_or_leaves_a_trace_of_one() {
    let mutations = mutations();
    assert!(mutations.len() > 3_400, "{}", mutations.len());
    let allowed = [
        "host",
        "user-agent",
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-%45ncoding",
        "x",
    ];
    let mut reached = 0;
    for case in mutations {
        let outcome = run(replay(&[&case.wire]));
        assert!(outcome.closed, "{}: {}", case.name, outcome.answer);
        assert!(outcome.seen.len() <= 1, "{}", case.name);
        for seen in outcome.seen {
            reached += 1;
            let length = seen.headers["content-length"].to_str().unwrap();
            assert_eq!(seen.body.len().to_string(), length, "{}", case.name);
            for name in seen.headers.keys() {
                assert!(allowed.contains(&name.as_str()), "{}: {name}", case.name);
            }
        }
    }
    // The control: some are harmless, so the rule above has been applied.
    assert!(reached > 0);
}

fn split<'a>(wire: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
    at.extend([0, wire.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect()
}

/// Pieces of requests, valid and not, that a random input is made of.
const PIECES: &[&[u8]] = &[
    b"GET /a HTTP/1.1\r\n",
    b"POST /b HTTP/1.1\r\n",
    b"POST /c HTTP/1.0\r\n",
    b"Host: h\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"X: y\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\0",
    b" ",
    b"\xff",
];

proptest! {
    #[test]
    fn any_splitting_of_a_case_has_the_same_outcome(
        index in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let cases = cases();
        let case = index.get(&cases);
        run(async { check(case, &replay(&split(&case.wire, &cuts)).await) });
    }

    #[test]
    fn any_input_at_all_has_one_outcome_and_at_most_one_answer_a_request(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let wire = pieces.concat();
        let whole = run(replay(&[&wire]));
        let parts = run(replay(&split(&wire, &cuts)));
        prop_assert_eq!(&whole.seen, &parts.seen);
        prop_assert_eq!(whole.closed, parts.closed);
        let answers = whole.answer.matches("HTTP/1.1 200").count();
        prop_assert_eq!(answers, whole.seen.len());
    }
}

/// The same cases through a parser that is lenient in public.
async fn replay_without_the_gate(wire: &[u8]) -> usize {
    let whole = Rc::new(Cell::new(0));
    let copy = Rc::clone(&whole);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let whole = Rc::clone(&copy);
        async move {
            let mut body = request.into_body();
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                frame?;
            }
            whole.set(whole.get() + 1);
            Ok::<_, hyper::Error>(http::Response::new(Body::empty()))
        }
    });
    let (mut near, far) = tokio::io::duplex(1 << 20);
    let io = hyper_util::rt::TokioIo::new(far);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    let task = tokio::task::spawn_local(connection);
    near.write_all(wire).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    task.abort();
    whole.get()
}

#[test]
fn without_the_gate_some_of_the_refused_cases_reach_a_service() {
    let refused = cases()
        .into_iter()
        .filter(|case| case.reaches.is_empty() && case.then == Then::Closed);
    let through = refused
        .filter(|case| run(replay_without_the_gate(&case.wire)) > 0)
        .count();
    assert!(through >= 10, "{through}");
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let cases = cases();
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() > 200, "{}", cases.len());
    let mutations = mutations();
    let names: HashSet<&str> = mutations.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), mutations.len());
}
