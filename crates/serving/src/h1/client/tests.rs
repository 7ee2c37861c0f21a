use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use super::*;
use crate::testing::{fed, run};

#[derive(Default)]
struct Pool(RefCell<Vec<Connection>>);

impl Home for Pool {
    fn give_back(&self, connection: Connection) {
        self.0.borrow_mut().push(connection);
    }
}

struct Upstream {
    stream: DuplexStream,
    pool: Rc<Pool>,
}

fn connect() -> (Connection, Upstream) {
    let (near, far) = tokio::io::duplex(1 << 20);
    (
        Connection::new(near),
        Upstream {
            stream: far,
            pool: Rc::default(),
        },
    )
}

impl Upstream {
    async fn receive(&mut self) -> String {
        let mut all = Vec::new();
        while let Ok(Ok(count)) = timeout(Duration::from_millis(1), self.stream.read_buf(&mut all)).await {
            if count == 0 {
                all.extend_from_slice(b"<end>");
                break;
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    fn home(&self) -> Rc<dyn Home> {
        Rc::clone(&self.pool) as Rc<dyn Home>
    }

    fn pooled(&self) -> usize {
        self.pool.0.borrow().len()
    }
}

fn request(method: &str, body: Body) -> Request {
    http::Request::builder()
        .method(method)
        .uri("/p?q")
        .header("host", "up")
        .body(body)
        .unwrap()
}

fn get() -> Request {
    request("GET", Body::empty())
}

/// Sends a GET, answers with `wire`, and reads the response to its end.
async fn exchange(wire: &str) -> (Result<Result<Bytes, BodyError>, ErrorKind>, usize) {
    let (connection, mut upstream) = connect();
    let home = Some(upstream.home());
    let sending = tokio::task::spawn_local(async move {
        match connection.send(get(), Timeouts::default(), home).await {
            Ok(response) => Ok(response.into_body().collect(1 << 20).await),
            Err(error) => Err(error.kind),
        }
    });
    upstream.receive().await;
    upstream.send(wire).await;
    sleep(Duration::from_millis(1)).await;
    upstream.stream.shutdown().await.unwrap();
    let pooled = upstream.pooled();
    (sending.await.unwrap(), pooled)
}

#[test]
fn a_request_is_written_in_origin_form_with_its_own_framing() {
    run(async {
        let cases = [
            (request("GET", Body::empty()), "GET /p?q HTTP/1.1\r\nhost: up\r\n\r\n"),
            (
                request("POST", Body::empty()),
                "POST /p?q HTTP/1.1\r\nhost: up\r\ncontent-length: 0\r\n\r\n",
            ),
            (
                request("PUT", Body::full("abc")),
                "PUT /p?q HTTP/1.1\r\nhost: up\r\ncontent-length: 3\r\n\r\nabc",
            ),
        ];
        for (mut request, expected) in cases {
            for name in [
                "connection",
                "transfer-encoding",
                "content-length",
                "te",
                "upgrade",
                "expect",
            ] {
                request.headers_mut().insert(name, http::HeaderValue::from_static("7"));
            }
            let (connection, mut upstream) = connect();
            let sending = connection.send(request, Timeouts::default(), None);
            let task = tokio::task::spawn_local(sending);
            assert_eq!(upstream.receive().await, expected);
            task.abort();
        }
    });
}

#[test]
fn a_connection_goes_home_after_each_kind_of_complete_response() {
    run(async {
        for (wire, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
                "abc",
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "",
            ),
        ] {
            let (result, pooled) = exchange(wire).await;
            assert_eq!(result.unwrap().unwrap(), body, "{wire:?}");
            assert_eq!(pooled, 1, "{wire:?}");
        }
    });
}

#[test]
fn a_connection_never_goes_home_when_anything_is_odd() {
    run(async {
        for (wire, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcX", "abc"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
                "abc",
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
            ("HTTP/1.1 200 OK\r\n\r\nabc", "abc"),
            ("HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n", ""),
            ("HTTP/1.1 204 N\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n0", ""),
        ] {
            let (result, pooled) = exchange(wire).await;
            assert_eq!(result.unwrap().unwrap(), body, "{wire:?}");
            assert_eq!(pooled, 0, "{wire:?}");
        }
    });
}

#[test]
fn a_response_cut_short_or_malformed_is_an_error_and_closes() {
    run(async {
        for wire in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        ] {
            let (result, pooled) = exchange(wire).await;
            assert!(result.unwrap().is_err(), "{wire:?}");
            assert_eq!(pooled, 0);
        }
        let (result, _) = exchange("HTTP/1.1 200 OK\r\nContent-Le").await;
        assert!(matches!(result, Err(ErrorKind::Cut(_))));
        let (result, _) = exchange("").await;
        assert!(matches!(result, Err(ErrorKind::Closed(_))));
        let (result, _) = exchange("HTTP/1.1 200 OK\nA: b\n\n").await;
        assert!(matches!(result, Err(ErrorKind::Invalid(Fault::LineEnd))));
        let (result, _) = exchange("HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
        assert!(matches!(result, Err(ErrorKind::Invalid(Fault::Status))));
    });
}

#[test]
fn one_connection_serves_one_exchange_after_another() {
    run(async {
        let (mut connection, mut upstream) = connect();
        for round in 1..=3 {
            let sending = connection.send(get(), Timeouts::default(), Some(upstream.home()));
            let task = tokio::task::spawn_local(sending);
            assert!(upstream.receive().await.starts_with("GET "));
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await;
            let response = task.await.unwrap().unwrap();
            assert_eq!(response.into_body().collect(9).await.unwrap(), "x");
            connection = upstream.pool.0.borrow_mut().pop().unwrap();
            assert_eq!(connection.exchanges(), round);
            assert!(connection.is_usable());
        }
        upstream.send("HTTP/1.1 408 Request Timeout\r\n\r\n").await;
        assert!(!connection.is_usable());
    });
}

#[test]
fn a_dead_connection_is_told_before_anything_is_sent_and_gives_the_request_back() {
    run(async {
        let (connection, upstream) = connect();
        drop(upstream);
        let sent = connection
            .send(request("POST", Body::full("abc")), Timeouts::default(), None)
            .await;
        let error = sent.unwrap_err();
        assert_eq!(error.retry(), Retry::Safe);
        let body = error.request.unwrap().into_body();
        assert_eq!(body.collect(9).await.unwrap(), "abc");
    });
}

#[test]
fn a_connection_that_ends_after_the_request_is_not_safe_to_retry() {
    run(async {
        let (connection, mut upstream) = connect();
        let task = tokio::task::spawn_local(connection.send(get(), Timeouts::default(), None));
        upstream.receive().await;
        drop(upstream);
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.retry(), Retry::IfIdempotent);
        assert!(error.request.is_some());
        assert_eq!(error.problem(), Some(ProblemKind::UpstreamUnreachable));
    });
}

#[test]
fn a_request_body_of_unknown_length_is_chunked_and_failure_leaves_it_open() {
    run(async {
        let (connection, mut upstream) = connect();
        let (feed, body) = fed();
        let sending = connection.send(request("POST", body), Timeouts::default(), Some(upstream.home()));
        let task = tokio::task::spawn_local(sending);
        assert!(upstream.receive().await.ends_with("transfer-encoding: chunked\r\n\r\n"));
        feed.send(Ok(Bytes::from_static(b"abc"))).unwrap();
        assert_eq!(upstream.receive().await, "3\r\nabc\r\n");
        feed.send(Err(BodyError::Incomplete)).unwrap();
        assert_eq!(upstream.receive().await, "<end>");
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error.kind, ErrorKind::RequestBody(BodyError::Incomplete)));
        assert_eq!((error.problem(), upstream.pooled()), (None, 0));
    });
}

#[test]
fn a_sized_request_body_that_ends_early_closes_short_of_its_length() {
    run(async {
        let (connection, mut upstream) = connect();
        let (feed, body) = crate::h1::request_body::channel(Some(5), None);
        let sending = connection.send(request("POST", Body::h1_request(body)), Timeouts::default(), None);
        let task = tokio::task::spawn_local(sending);
        assert!(upstream.receive().await.ends_with("content-length: 5\r\n\r\n"));
        drop(feed);
        assert_eq!(upstream.receive().await, "<end>");
        assert!(task.await.unwrap().is_err());
    });
}

#[test]
fn a_response_may_begin_and_end_while_the_request_is_still_sent() {
    run(async {
        let (connection, mut upstream) = connect();
        let (feed, body) = fed();
        let sending = connection.send(request("POST", body), Timeouts::default(), Some(upstream.home()));
        let task = tokio::task::spawn_local(sending);
        upstream.receive().await;
        upstream
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        let mut response = task.await.unwrap().unwrap().into_body();
        let reading = tokio::task::spawn_local(async move {
            let first = response.next_data().await;
            (first, response.next_data().await)
        });
        sleep(Duration::from_millis(1)).await;
        feed.send(Ok(Bytes::from_static(b"up"))).unwrap();
        assert_eq!(upstream.receive().await, "2\r\nup\r\n");
        upstream.send("4\r\ndown\r\n").await;
        sleep(Duration::from_millis(1)).await;
        drop(feed);
        assert_eq!(upstream.receive().await, "0\r\n\r\n");
        upstream.send("0\r\n\r\n").await;
        let (first, end) = reading.await.unwrap();
        assert_eq!(first.unwrap().unwrap(), "down");
        assert!(end.unwrap().is_none());
        assert_eq!(upstream.pooled(), 1);
    });
}

#[test]
fn an_early_response_to_an_unfinished_request_ends_the_connection() {
    run(async {
        let (connection, mut upstream) = connect();
        let (feed, body) = fed();
        let sending = connection.send(request("POST", body), Timeouts::default(), Some(upstream.home()));
        let task = tokio::task::spawn_local(sending);
        upstream.receive().await;
        upstream
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await;
        let response = task.await.unwrap().unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.into_body().collect(9).await.unwrap(), "no");
        assert_eq!(upstream.pooled(), 0);
        assert!(feed.is_closed());
    });
}

#[test]
fn dropping_the_response_body_closes_the_connection() {
    run(async {
        let (connection, mut upstream) = connect();
        let task = tokio::task::spawn_local(connection.send(get(), Timeouts::default(), Some(upstream.home())));
        upstream.receive().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await;
        let mut body = task.await.unwrap().unwrap().into_body();
        assert_eq!(body.next_data().await.unwrap().unwrap(), "abc");
        drop(body);
        assert_eq!(upstream.receive().await, "<end>");
        assert_eq!(upstream.pooled(), 0);
    });
}

#[test]
fn waiting_for_an_upstream_has_an_end() {
    run(async {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            response: 3 * second,
            body_idle: 2 * second,
            write_stall: second,
        };
        let (connection, upstream) = connect();
        let before = Instant::now();
        let error = connection.send(get(), timeouts, None).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Timeout));
        assert_eq!(before.elapsed().as_secs(), 3);
        drop(upstream);

        let (connection, mut upstream) = connect();
        upstream.stream.write_all(b"").await.unwrap();
        let task = tokio::task::spawn_local(connection.send(get(), timeouts, None));
        upstream.receive().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await;
        let before = Instant::now();
        let body = task.await.unwrap().unwrap().into_body();
        assert!(matches!(body.collect(99).await, Err(BodyError::Timeout)));
        assert_eq!(before.elapsed().as_secs(), 2);

        let (near, _far) = tokio::io::duplex(16);
        let before = Instant::now();
        let sent = Connection::new(near).send(request("POST", Body::full(vec![0; 9999])), timeouts, None);
        assert!(matches!(sent.await.unwrap_err().kind, ErrorKind::Timeout));
        assert_eq!(before.elapsed().as_secs(), 1);
    });
}

#[test]
fn requests_that_http_1_1_cannot_say_are_not_sent() {
    run(async {
        let bad = [
            http::Request::builder().uri("/").body(Body::empty()).unwrap(),
            http::Request::builder()
                .method("CONNECT")
                .uri("/")
                .header("host", "h")
                .body(Body::empty())
                .unwrap(),
            http::Request::builder()
                .uri("/")
                .header("host", "a")
                .header("host", "b")
                .body(Body::empty())
                .unwrap(),
            http::Request::builder()
                .uri("*")
                .header("host", "h")
                .body(Body::empty())
                .unwrap(),
        ];
        for request in bad {
            let (connection, mut upstream) = connect();
            let error = connection.send(request, Timeouts::default(), None).await.unwrap_err();
            assert!(matches!(error.kind, ErrorKind::Unsendable(_)));
            assert_eq!(upstream.receive().await, "<end>");
        }
    });
}
