use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::Response as HttpResponse;
use hyper::client::conn::http2::{SendRequest, handshake};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use super::*;
use crate::body::BodyError;
use crate::limits::Limits;
use crate::service::{Completion, Request};
use crate::testing::{Handler, fed, info, run};

fn serve_with(service: &Rc<Handler>, settings: Settings) -> (DuplexStream, Rc<Cue>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let cue = Rc::new(Cue::default());
    let info = info(Protocol::Http2);
    let connection = Connection::new(far, Rc::clone(service), info, Rc::new(settings), Instant::now());
    tokio::task::spawn_local(connection.with_cue(Rc::clone(&cue)).run());
    (near, cue)
}

async fn client(service: &Rc<Handler>, settings: Settings) -> (SendRequest<Body>, Rc<Cue>) {
    let (near, cue) = serve_with(service, settings);
    let (sender, connection) = handshake(LocalExecutor, TokioIo::new(near)).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    (sender, cue)
}

async fn describe(request: Request) -> crate::service::Response {
    let (parts, body) = request.into_parts();
    let host = parts.headers["host"].to_str().unwrap().to_owned();
    match body.collect(1 << 20).await {
        Ok(body) => {
            let line = format!("{} {} {host} {}", parts.method, parts.uri, body.len());
            HttpResponse::new(Body::full(line))
        }
        Err(error) => {
            let status = error.problem().map_or(502, |kind| kind.status().as_u16());
            HttpResponse::builder().status(status).body(Body::empty()).unwrap()
        }
    }
}

fn request(uri: &str, body: Body) -> http::Request<Body> {
    http::Request::builder().method("POST").uri(uri).body(body).unwrap()
}

async fn text(response: http::Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut all = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        all.extend_from_slice(frame.data_ref().unwrap());
    }
    (status, String::from_utf8(all).unwrap())
}

#[test]
fn a_request_looks_to_the_service_as_on_http_1() {
    run(async {
        let service = Handler::new(describe);
        let (mut sender, _) = client(&service, Settings::default()).await;
        let sent = request("https://a.example:8443/x?y", Body::full("abc"));
        let answer = text(sender.send_request(sent).await.unwrap()).await;
        assert_eq!(answer, (200, "POST /x?y a.example:8443 3".to_owned()));
        assert_eq!(*service.completions.borrow(), [Completion::Sent]);
    });
}

#[test]
fn requests_and_responses_stream_in_both_directions() {
    run(async {
        let service = Handler::new(|request: Request| async { HttpResponse::new(request.into_body()) });
        let (mut sender, _) = client(&service, Settings::default()).await;
        let (feed, body) = fed();
        let response = sender.send_request(request("http://h/", body)).await.unwrap();
        let mut echo = response.into_body();
        for word in ["one", "two"] {
            feed.send(Ok(word.into())).unwrap();
            let frame = poll_fn(|cx| Pin::new(&mut echo).poll_frame(cx)).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), word);
        }
        drop(feed);
        let end = poll_fn(|cx| Pin::new(&mut echo).poll_frame(cx)).await;
        assert!(end.is_none_or(|frame| frame.unwrap().into_data().unwrap().is_empty()));
    });
}

#[test]
fn a_failing_response_body_resets_its_stream() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let (mut sender, _) = client(&service, Settings::default()).await;
        let response = sender.send_request(request("http://h/", Body::empty())).await.unwrap();
        let mut body = response.into_body();
        feed.send(Err(BodyError::Incomplete)).unwrap();
        assert!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().is_err());
        assert_eq!(*service.completions.borrow(), [Completion::Cut]);
    });
}

#[test]
fn a_client_that_resets_a_stream_drops_the_call() {
    run(async {
        let (feed, body) = fed();
        let body = RefCell::new(Some(body));
        let service = Handler::new(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { HttpResponse::new(body) }
        });
        let (mut sender, _) = client(&service, Settings::default()).await;
        let response = sender.send_request(request("http://h/", Body::empty())).await.unwrap();
        drop(response);
        sleep(Duration::from_millis(5)).await;
        assert!(feed.is_closed());
    });
}

#[test]
fn a_drain_lets_streams_finish_and_takes_no_new_ones() {
    run(async {
        let service = Handler::new(|_| async {
            sleep(Duration::from_secs(3)).await;
            HttpResponse::new(Body::full("done"))
        });
        let (mut sender, cue) = client(&service, Settings::default()).await;
        let running = sender.send_request(request("http://h/", Body::empty()));
        let running = tokio::task::spawn_local(running);
        sleep(Duration::from_secs(1)).await;
        cue.start();
        sleep(Duration::from_millis(100)).await;
        assert!(sender.send_request(request("http://h/", Body::empty())).await.is_err());
        let answer = text(running.await.unwrap().unwrap()).await;
        assert_eq!(answer, (200, "done".to_owned()));
    });
}

#[test]
fn limits_answer_with_their_problems() {
    run(async {
        let service = Handler::new(describe);
        let limits = Limits {
            body_bytes: Some(4),
            ..Limits::default()
        };
        let (mut sender, _) = client(
            &service,
            Settings {
                limits,
                ..Settings::default()
            },
        )
        .await;
        let large = sender
            .send_request(request("http://h/", Body::full("abcde")))
            .await
            .unwrap();
        assert_eq!(large.status(), 413);
        let (feed, body) = fed();
        feed.send(Ok("abcde".into())).unwrap();
        let large = sender.send_request(request("http://h/", body)).await.unwrap();
        assert_eq!(large.status(), 413);
        let long = format!("http://h/{}", "a".repeat(9000));
        let long = sender.send_request(request(&long, Body::empty())).await.unwrap();
        assert_eq!(long.status(), 414);
    });
}

#[test]
fn a_request_body_below_the_minimum_rate_times_out() {
    run(async {
        let service = Handler::new(describe);
        let (mut sender, _) = client(&service, Settings::default()).await;
        let (feed, body) = fed();
        let before = Instant::now();
        let response = tokio::task::spawn_local(sender.send_request(request("http://h/", body)));
        for _ in 0..14 {
            let _ = feed.send(Ok("x".into()));
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(response.await.unwrap().unwrap().status(), 408);
        assert!(before.elapsed().as_secs() <= 16);
    });
}

// From here on the client is made of bytes.

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Literal fields without indexing, new names, no Huffman coding (RFC 7541).
fn fields(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text);
        }
    }
    block
}

fn opening() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[])].concat()
}

const PSEUDO: [(&[u8], &[u8]); 4] = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/a"),
    (b":authority", b"h"),
];

/// Sends one request of raw fields and says how many reached the service whole.
fn reached(list: &[(&[u8], &[u8])], data: &[u8]) -> usize {
    run(async {
        let count = Rc::new(RefCell::new(0));
        let copy = Rc::clone(&count);
        let service = Handler::new(move |request: Request| {
            let count = Rc::clone(&copy);
            async move {
                if request.into_body().collect(99).await.is_ok() {
                    *count.borrow_mut() += 1;
                }
                HttpResponse::new(Body::empty())
            }
        });
        let (mut stream, _) = serve_with(&service, Settings::default());
        stream.write_all(&opening()).await.unwrap();
        stream.write_all(&frame(1, 4, 1, &fields(list))).await.unwrap();
        let _ = stream.write_all(&frame(0, 1, 1, data)).await;
        sleep(Duration::from_millis(5)).await;
        *count.borrow()
    })
}

#[test]
fn the_control_request_of_raw_fields_reaches_the_service() {
    assert_eq!(reached(&PSEUDO, b"abc"), 1);
    let length: (&[u8], &[u8]) = (b"content-length", b"3");
    assert_eq!(reached(&[&PSEUDO[..], &[length]].concat(), b"abc"), 1);
}

#[test]
fn fields_that_http_1_would_read_differently_never_reach_the_service() {
    let bad: &[(&[u8], &[u8])] = &[
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"keep-alive", b"1"),
        (b"upgrade", b"h2c"),
        (b"proxy-connection", b"close"),
        (b"te", b"chunked"),
        (b"content-length", b"5"),
        (b"content-length", b"+3"),
        (b"content-length", b"3, 3"),
        (b"content-length", b""),
        (b"transfer_encoding", b"chunked"),
        (b"Transfer-Encoding", b"chunked"),
        (b"transfer-encoding: chunked\r\nx", b"y"),
        (b"transfer-encoding chunked ", b"chunked"),
        (b"x:y", b"z"),
        (b"x y", b"z"),
        (b"", b"z"),
        (b":transfer-encoding", b"chunked"),
        (b":path", b"/b"),
        (b"x", b"a\r\nTransfer-Encoding: chunked"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"a\0b"),
        (b"x", b"\ta\t"),
        (b"x", b" a"),
        (b"x", b"a "),
        (b"host", b"evil"),
        (b"host", b"h\0"),
        (b"expect", b"y 100-continue"),
    ];
    for field in bad {
        let name = String::from_utf8_lossy(field.0);
        let value = String::from_utf8_lossy(field.1);
        assert_eq!(
            reached(&[&PSEUDO[..], &[*field]].concat(), b"abc"),
            0,
            "{name}: {value}"
        );
    }
}

#[test]
fn pseudo_fields_that_http_1_would_read_differently_never_reach_the_service() {
    let bad: &[(usize, &[u8])] = &[
        (0, b"POST /evil HTTP/1.1\r\nx: y"),
        (0, b"GET /evil"),
        (0, b"CONNECT"),
        (0, b""),
        (2, b""),
        (2, b"evil"),
        (2, b"*"),
        (2, b"/a b"),
        (2, b"/a HTTP/1.1\r\nx: y"),
        (2, b"http://evil/"),
        (2, b"/\xe9"),
        (3, b""),
        (3, b"h/x"),
        (3, b"u@h"),
        (3, b"h\r\nx: y"),
        (3, b"h x"),
    ];
    for (index, value) in bad {
        let mut list = PSEUDO;
        list[*index].1 = value;
        assert_eq!(reached(&list, b"abc"), 0, "{index} {}", String::from_utf8_lossy(value));
    }
    assert_eq!(reached(&PSEUDO[..3], b"abc"), 0, "no authority");
}

#[test]
fn a_fragment_in_the_path_is_cut_off_before_anybody_sees_it() {
    run(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let copy = Rc::clone(&seen);
        let service = Handler::new(move |request: Request| {
            copy.borrow_mut().push(request.uri().to_string());
            async { HttpResponse::new(Body::empty()) }
        });
        let (mut stream, _) = serve_with(&service, Settings::default());
        let mut list = PSEUDO;
        list[2].1 = b"/a#/../b";
        stream.write_all(&opening()).await.unwrap();
        stream.write_all(&frame(1, 5, 1, &fields(&list))).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        assert_eq!(*seen.borrow(), ["/a"]);
    });
}

#[test]
fn a_stream_that_the_client_leaves_in_our_buffers_does_not_stay_for_ever() {
    run(async {
        let service = Handler::new(|_| async { HttpResponse::new(Body::full(vec![0; 100])) });
        let (mut stream, _) = serve_with(&service, Settings::default());
        // An initial window of zero: not one byte of a body may be sent.
        let settings = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        stream.write_all(&[PREFACE, &settings].concat()).await.unwrap();
        stream.write_all(&frame(1, 5, 1, &fields(&PSEUDO))).await.unwrap();
        let pong = frame(6, 1, 0, &[0; 8]);
        let (mut reader, mut writer) = tokio::io::split(stream);
        tokio::task::spawn_local(async move {
            // Keeps hyper's own check for signs of life content for a while.
            while writer.write_all(&pong).await.is_ok() {
                sleep(Duration::from_secs(5)).await;
            }
        });
        let before = Instant::now();
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
        assert!(before.elapsed().as_secs() < 120);
    });
}

/// Writes `count` frames and says how many bytes came back and whether the
/// connection was closed.
fn flood(limits: Limits, flood: &[u8], count: usize) -> (usize, bool) {
    run(async {
        let service = Handler::new(describe);
        let (mut stream, _) = serve_with(
            &service,
            Settings {
                limits,
                ..Settings::default()
            },
        );
        stream.write_all(&opening()).await.unwrap();
        for _ in 0..count {
            if stream.write_all(flood).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        let quiet = Duration::from_millis(5);
        loop {
            match timeout(quiet, stream.read_buf(&mut answer)).await {
                Ok(Ok(0) | Err(_)) => return (answer.len(), true),
                Ok(Ok(_)) => {}
                Err(_) => return (answer.len(), false),
            }
        }
    })
}

#[test]
fn floods_of_ping_and_settings_end_the_connection() {
    let ping = frame(6, 0, 0, &[0; 8]);
    let settings = frame(4, 0, 0, &[]);
    for bytes in [&ping, &settings] {
        let (answered, closed) = flood(Limits::default(), bytes, 10_000);
        assert!(closed && answered < 150 * 17 + 200, "{answered}");
        assert!(!flood(Limits::default(), bytes, 90).1);
        // The control: without the limit all of them are answered.
        let open = Limits {
            h2_control_frames: u32::MAX,
            ..Limits::default()
        };
        let (answered, closed) = flood(open, bytes, 10_000);
        assert!(!closed && answered >= 9 * 10_000, "{answered}");
    }
}

#[test]
fn a_head_without_end_is_not_collected() {
    let endless = frame(9, 0, 1, &fields(&[(b"x", &[b'a'; 100])]).repeat(10));
    run(async {
        let service = Handler::new(describe);
        let (mut stream, _) = serve_with(&service, Settings::default());
        stream.write_all(&opening()).await.unwrap();
        stream.write_all(&frame(1, 0, 1, &fields(&PSEUDO))).await.unwrap();
        for _ in 0..1000 {
            if stream.write_all(&endless).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("still open");
    });
}

#[test]
fn silence_and_half_a_head_end_in_time() {
    run(async {
        let service = Handler::new(describe);
        let (mut silent, _) = serve_with(&service, Settings::default());
        let before = Instant::now();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.unwrap();
        assert!((10..14).contains(&before.elapsed().as_secs()));

        let (mut slow, _) = serve_with(&service, Settings::default());
        slow.write_all(&opening()).await.unwrap();
        slow.write_all(&frame(1, 0, 1, &fields(&PSEUDO))).await.unwrap();
        let before = Instant::now();
        slow.read_to_end(&mut rest).await.unwrap();
        assert!((10..14).contains(&before.elapsed().as_secs()));
    });
}

#[test]
fn an_idle_connection_is_told_to_go_after_75_seconds() {
    run(async {
        let service = Handler::new(describe);
        let (mut sender, _) = client(&service, Settings::default()).await;
        sender.send_request(request("http://h/", Body::empty())).await.unwrap();
        sleep(Duration::from_secs(70)).await;
        assert!(!sender.is_closed());
        sleep(Duration::from_secs(15)).await;
        assert!(sender.is_closed());
    });
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    run(async {
        let service = Handler::new(|_| async { HttpResponse::new(Body::full(vec![0; 8 << 20])) });
        let (mut sender, _) = client(&service, Settings::default()).await;
        let response = sender.send_request(request("http://h/", Body::empty())).await.unwrap();
        sleep(Duration::from_secs(25)).await;
        assert!(!sender.is_closed());
        sleep(Duration::from_secs(15)).await;
        assert!(sender.is_closed());
        drop(response);
    });
}
