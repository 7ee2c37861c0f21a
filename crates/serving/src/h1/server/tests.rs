use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response as HttpResponse, StatusCode};
use tokio::time::sleep;

use crate::body::{Body, BodyError};
use crate::limits::{Deadlines, Limits, Settings};
use crate::service::{Completion, Request, Response};
use crate::testing::{Handler, fed, run, serve, serve_with};

mod deadlines;

fn text(body: &'static str) -> Response {
    HttpResponse::new(Body::full(body))
}

/// Answers with the method, the target and the length of the body.
async fn describe(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match body.collect(1 << 20).await {
        Ok(body) => {
            let line = format!("{} {} {}", parts.method, parts.uri, body.len());
            HttpResponse::new(Body::full(line))
        }
        Err(error) => {
            let mut response = text("bad body");
            let status = error
                .problem()
                .map_or(StatusCode::BAD_GATEWAY, crate::problem::ProblemKind::status);
            *response.status_mut() = status;
            response
        }
    }
}

fn limits(limits: Limits) -> Settings {
    Settings {
        limits,
        ..Settings::default()
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK_A: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nGET /a 0";

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        let post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        client.send([GET, post, "\r\n", GET].concat()).await;
        let second = OK_A.replace('8', "9").replace("GET /a 0", "POST /b 3");
        assert_eq!(client.receive().await, [OK_A, &second, OK_A].concat());
        assert_eq!(*service.completions.borrow(), [Completion::Sent; 3]);
        client.send(GET).await;
        assert_eq!(client.receive().await, OK_A);
    });
}

#[test]
fn a_body_of_unknown_length_is_chunked_and_each_frame_leaves_at_once() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let mut client = serve(&service);
        client.send(GET).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(client.receive().await, head);
        feed.send(Ok(Bytes::from_static(b"hello"))).unwrap();
        assert_eq!(client.receive().await, "5\r\nhello\r\n");
        feed.send(Ok(Bytes::new())).unwrap();
        feed.send(Ok(Bytes::from(vec![b'x'; 5000]))).unwrap();
        let large = format!("1388\r\n{}\r\n", "x".repeat(5000));
        assert_eq!(client.receive().await, large);
        assert!(service.completions.borrow().is_empty());
        drop(feed);
        assert_eq!(client.receive().await, "0\r\n\r\n");
        assert_eq!(*service.completions.borrow(), [Completion::Sent]);
        assert!(!client.is_closed().await);
    });
}

#[test]
fn the_last_bytes_wait_for_the_body_to_say_that_they_are_the_last() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async {
                HttpResponse::builder()
                    .header("content-length", "6")
                    .body(body)
                    .unwrap()
            }
        });
        let mut client = serve(&service);
        client.send(GET).await;
        feed.send(Ok(Bytes::from_static(b"abc"))).unwrap();
        assert!(client.receive().await.ends_with("content-length: 6\r\n\r\nabc"));
        feed.send(Ok(Bytes::from_static(b"def"))).unwrap();
        assert_eq!(client.receive().await, "def");
        assert_eq!(*service.completions.borrow(), [Completion::Sent]);
    });
}

#[test]
fn the_head_of_a_response_without_body_waits_for_the_body_to_end() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        run(async {
            let (feed, body) = fed();
            let body = RefCell::new(Some(body));
            let service = Handler::new(move |_| {
                let body = body.borrow_mut().take().unwrap();
                let response = HttpResponse::builder().status(status).body(body);
                async { response.unwrap() }
            });
            let mut client = serve(&service);
            client.send(GET.replace("GET", method)).await;
            assert_eq!(client.receive().await, "");
            drop(feed);
            let answer = client.receive().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.ends_with("\r\n\r\n") && !answer.contains("chunked"), "{answer}");
        });
    }
}

#[test]
fn head_keeps_the_length_that_the_service_declared() {
    run(async {
        let service = Handler::new(|_| async {
            HttpResponse::builder()
                .header("content-length", "42")
                .body(Body::empty())
                .unwrap()
        });
        let mut client = serve(&service);
        client.send(GET.replace("GET", "HEAD")).await;
        assert_eq!(client.receive().await, "HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n");
    });
}

#[test]
fn http_1_0_closes_by_default_and_keeps_alive_when_asked() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = client.receive().await;
        assert!(
            answer.contains("connection: keep-alive\r\ncontent-length: 8"),
            "{answer}"
        );
        client.send("GET /a HTTP/1.0\r\n\r\n").await;
        let answer = client.rest().await;
        assert!(answer.contains("connection: close"), "{answer}");
    });
}

#[test]
fn http_1_0_gets_a_body_of_unknown_length_until_the_close() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let mut client = serve(&service);
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        feed.send(Ok(Bytes::from_static(b"one"))).unwrap();
        drop(feed);
        let answer = client.rest().await;
        assert_eq!(answer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none");
    });
}

#[test]
fn continue_is_sent_when_the_service_reads_and_only_then() {
    run(async {
        let service = Handler::new(describe);
        let head = "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        let mut client = serve(&service);
        client.send(head).await;
        assert_eq!(client.receive().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("ab").await;
        assert!(client.receive().await.ends_with("POST /c 2"));
        assert!(!client.is_closed().await);

        let service = Handler::new(|_| async { text("no") });
        let mut client = serve(&service);
        client.send(head).await;
        let answer = client.rest().await;
        let expected = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(answer, expected);
    });
}

#[test]
fn a_request_body_can_be_echoed_while_it_arrives() {
    run(async {
        let service = Handler::new(|request: Request| async { HttpResponse::new(request.into_body()) });
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        assert!(client.receive().await.ends_with("transfer-encoding: chunked\r\n\r\n"));
        for _ in 0..3 {
            client.send("3\r\nabc\r\n").await;
            assert_eq!(client.receive().await, "3\r\nabc\r\n");
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(client.receive().await, "0\r\n\r\n");
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
            .await;
        assert!(client.receive().await.ends_with("content-length: 2\r\n\r\nhi"));
    });
}

#[test]
fn a_body_read_in_another_task_arrives_there() {
    run(async {
        let got = Rc::new(RefCell::new(Vec::new()));
        let copy = Rc::clone(&got);
        let service = Handler::new(move |request: Request| {
            let got = Rc::clone(&copy);
            let reader = tokio::task::spawn_local(async move {
                let mut body = request.into_body();
                while let Ok(Some(data)) = body.next_data().await {
                    got.borrow_mut().extend_from_slice(&data);
                }
            });
            async {
                reader.await.unwrap();
                text("read")
            }
        });
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n")
            .await;
        for part in ["ab", "cd", "ef"] {
            client.send(part).await;
            sleep(Duration::from_millis(5)).await;
        }
        assert!(client.receive().await.ends_with("read"));
        assert_eq!(*got.borrow(), b"abcdef");
    });
}

/// Sets a flag when it is dropped.
struct Flag(Rc<Cell<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_client_that_leaves_drops_the_call() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let copy = Rc::clone(&dropped);
        let service = Handler::new(move |_| {
            let flag = Flag(Rc::clone(&copy));
            async move {
                let _flag = flag;
                std::future::pending().await
            }
        });
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        sleep(Duration::from_secs(100)).await;
        assert!(!dropped.get());
        drop(client);
        sleep(Duration::from_millis(1)).await;
        assert!(dropped.get());
        assert!(service.completions.borrow().is_empty());
    });
}

#[test]
fn a_client_that_leaves_drops_the_response_body() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let mut client = serve(&service);
        client.send(GET).await;
        client.receive().await;
        assert!(!feed.is_closed());
        drop(client);
        sleep(Duration::from_millis(1)).await;
        assert!(feed.is_closed());
        assert_eq!(*service.completions.borrow(), [Completion::Cut]);
    });
}

#[test]
fn a_response_body_that_fails_ends_the_connection_without_a_last_chunk() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let mut client = serve(&service);
        client.send(GET).await;
        feed.send(Ok(Bytes::from_static(b"part"))).unwrap();
        client.receive().await;
        feed.send(Err(BodyError::Incomplete)).unwrap();
        assert_eq!(client.rest().await, "");
        assert_eq!(*service.completions.borrow(), [Completion::Cut]);
    });
}

#[test]
fn a_body_shorter_or_longer_than_declared_ends_the_connection_short() {
    for (declared, sent) in [("9", "abc"), ("2", "abc")] {
        run(async {
            let service = Handler::new(move |_| async move {
                let (feed, body) = fed();
                feed.send(Ok(Bytes::from_static(sent.as_bytes()))).unwrap();
                HttpResponse::builder()
                    .header("content-length", declared)
                    .body(body)
                    .unwrap()
            });
            let mut client = serve(&service);
            client.send(GET).await;
            let answer = client.rest().await;
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            assert!(body.len() < declared.parse().unwrap(), "{answer}");
            assert_eq!(*service.completions.borrow(), [Completion::Cut]);
        });
    }
}

#[test]
fn an_early_answer_drains_a_little_and_closes_on_a_lot() {
    run(async {
        let service = Handler::new(|_| async { text("early") });
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
            .await;
        assert!(!client.receive().await.contains("close"));
        client.send(["01234", GET].concat()).await;
        assert!(client.receive().await.ends_with("early"));
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nxx")
            .await;
        assert!(client.receive().await.contains("connection: close"));
        // Whatever follows is the body, never a request.
        client.send(GET).await;
        assert_eq!(client.rest().await, "");
        assert_eq!(service.completions.borrow().len(), 3);
    });
}

#[test]
fn chunks_that_turn_bad_under_way_fail_the_body_and_close() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        client.send("3\r\nabc\r\n").await;
        sleep(Duration::from_millis(1)).await;
        client.send(["zz\r\n", GET].concat()).await;
        let answer = client.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"),
            "{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    });
}

#[test]
fn chunks_that_come_bad_with_the_head_never_reach_the_service() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n")
            .await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("problems/request-invalid"), "{answer}");
        assert!(service.completions.borrow().is_empty());
    });
}

#[test]
fn sizes_beyond_the_limits_have_their_own_answers() {
    let refused = |wire: String, limits_: Limits, status: &'static str| {
        run(async {
            let service = Handler::new(describe);
            let mut client = serve_with(&service, limits(limits_));
            client.send(wire).await;
            let answer = client.rest().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        });
    };
    let host = "Host: h\r\n";
    refused(
        format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(9000)),
        Limits::default(),
        "414",
    );
    refused(format!("GET /{}", "a".repeat(9000)), Limits::default(), "414");
    let large = format!("GET / HTTP/1.1\r\n{host}A: {}\r\n\r\n", "a".repeat(17_000));
    refused(large, Limits::default(), "431");
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(101));
    refused(many, Limits::default(), "431");
    let small = Limits {
        body_bytes: Some(4),
        ..Limits::default()
    };
    let post = format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\n");
    refused(post, small.clone(), "413");
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(format!("{chunked}5\r\nabcde\r\n0\r\n\r\n"), small.clone(), "413");
    refused(format!("{chunked}3\r\nabc\r\n3\r\n"), small.clone(), "408");
}

#[test]
fn a_chunked_body_over_the_limit_fails_while_it_is_read() {
    run(async {
        let service = Handler::new(describe);
        let small = Limits {
            body_bytes: Some(4),
            ..Limits::default()
        };
        let mut client = serve_with(&service, limits(small));
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            .await;
        sleep(Duration::from_millis(1)).await;
        client.send("3\r\ndef\r\n0\r\n\r\n").await;
        assert!(client.receive().await.starts_with("HTTP/1.1 413 "));
    });
}

#[test]
fn a_drain_closes_idle_connections_and_lets_running_requests_finish() {
    run(async {
        let service = Handler::new(|_| async {
            sleep(Duration::from_secs(5)).await;
            text("done")
        });
        let mut idle = serve(&service);
        idle.send(GET).await;
        sleep(Duration::from_secs(6)).await;
        idle.receive().await;
        let mut busy = serve(&service);
        busy.send(GET).await;
        let mut fresh = serve(&service);
        sleep(Duration::from_secs(1)).await;
        for client in [&idle, &busy, &fresh] {
            client.cue.start();
        }
        assert!(idle.is_closed().await);
        fresh.send(GET).await;
        assert!(fresh.rest().await.contains("connection: close"));
        let answer = busy.rest().await;
        assert!(
            answer.contains("connection: close") && answer.ends_with("done"),
            "{answer}"
        );
    });
}

#[test]
fn a_connection_ends_after_its_number_of_requests_or_its_age() {
    run(async {
        let service = Handler::new(describe);
        let few = limits(Limits {
            requests_per_connection: 2,
            ..Limits::default()
        });
        let mut client = serve_with(&service, few);
        client.send([GET, GET, GET].concat()).await;
        let answer = client.rest().await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
        assert_eq!(answer.matches("connection: close").count(), 1);
        let deadlines = Deadlines {
            connection_age: Duration::from_secs(9),
            ..Deadlines::default()
        };
        let mut client = serve_with(
            &service,
            Settings {
                deadlines,
                ..Settings::default()
            },
        );
        client.send(GET).await;
        assert!(!client.receive().await.contains("close"));
        sleep(Duration::from_secs(10)).await;
        client.send(GET).await;
        assert!(client.rest().await.contains("connection: close"));
    });
}

#[test]
fn hop_by_hop_fields_stop_here_in_both_directions() {
    run(async {
        let names = Rc::new(RefCell::new(Vec::new()));
        let copy = Rc::clone(&names);
        let service = Handler::new(move |request: Request| {
            copy.borrow_mut()
                .extend(request.headers().keys().map(ToString::to_string));
            async {
                HttpResponse::builder()
                    .header("connection", "x-a")
                    .header("keep-alive", "timeout=5")
                    .header("transfer-encoding", "chunked")
                    .header("upgrade", "h2c")
                    .header("x-b", "1")
                    .body(Body::empty())
                    .unwrap()
            }
        });
        let mut client = serve(&service);
        let fields = "Connection: upgrade, x-hop\r\nUpgrade: websocket\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-End: 1\r\n";
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await;
        assert_eq!(
            client.receive().await,
            "HTTP/1.1 200 OK\r\nx-b: 1\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(*names.borrow(), ["host", "x-end"]);
    });
}
