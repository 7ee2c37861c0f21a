use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use http::HeaderMap;

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
                    seen.borrow_mut().push(Seen { target, headers: parts.headers, body: body.to_vec() });
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
    let seen = seen.take();
    Outcome { seen, answer, closed }
}

fn check(case: &Case, outcome: &Outcome) {
    let name = &case.name;
    let seen: Vec<(&str, Vec<u8>)> =
        outcome.seen.iter().map(|seen| (seen.target.as_str(), seen.body.clone())).collect();
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
    let allowed = ["host", "user-agent", "content-type", "content-length", "content-encoding", "transfer-%45ncoding", "x"];
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
