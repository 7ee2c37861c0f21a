//! Deadlines of a connection, on a clock that jumps.

use std::time::Duration;

use http::Response as HttpResponse;
use tokio::time::sleep;

use super::{GET, describe};
use crate::body::Body;
use crate::limits::{Deadlines, Settings};
use crate::service::Completion;
use crate::testing::{Handler, run, serve, serve_through, serve_with};

#[test]
fn silence_is_closed_without_a_word_ten_seconds_after_accept() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        assert_eq!(client.rest().await, "");
        assert_eq!(client.opened.elapsed().as_secs(), 10);
    });
}

#[test]
fn a_head_in_drips_gets_408_ten_seconds_after_accept() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        for byte in GET.as_bytes().iter().take(12) {
            client.send([*byte]).await;
            sleep(Duration::from_secs(1)).await;
        }
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(client.opened.elapsed().as_secs() <= 13);
        assert!(service.completions.borrow().is_empty());
    });
}

#[test]
fn an_idle_connection_is_closed_after_75_seconds_and_a_later_head_has_ten() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client.send(GET).await;
        client.receive().await;
        let since = tokio::time::Instant::now();
        assert_eq!(client.rest().await, "");
        assert_eq!(since.elapsed().as_secs(), 74);

        let mut client = serve(&service);
        client.send(GET).await;
        client.receive().await;
        sleep(Duration::from_mins(1)).await;
        client.send("GET /").await;
        let since = tokio::time::Instant::now();
        assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
        assert_eq!(since.elapsed().as_secs(), 10);
    });
}

#[test]
fn a_body_below_the_minimum_rate_times_out() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
            .await;
        for _ in 0..12 {
            client.send("x").await;
            sleep(Duration::from_secs(1)).await;
        }
        assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
        assert!(client.opened.elapsed().as_secs() <= 13);
    });
}

#[test]
fn a_body_at_the_minimum_rate_may_take_its_time() {
    run(async {
        let service = Handler::new(describe);
        let mut client = serve(&service);
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 25000\r\n\r\n")
            .await;
        for _ in 0..100 {
            client.send("x".repeat(250)).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert!(client.receive().await.ends_with("POST / 25000"));
    });
}

#[test]
fn a_client_that_takes_nothing_for_30_seconds_is_cut_off() {
    run(async {
        let service = Handler::new(|_| async { HttpResponse::new(Body::full(vec![0; 1 << 20])) });
        let client = serve_through(&service, Settings::default(), 1024);
        let mut client = client;
        client.send(GET).await;
        sleep(Duration::from_secs(29)).await;
        assert!(service.completions.borrow().is_empty());
        sleep(Duration::from_secs(2)).await;
        assert_eq!(*service.completions.borrow(), [Completion::Cut]);
    });
}

#[test]
fn without_the_deadlines_nothing_of_this_is_closed() {
    run(async {
        let long = Duration::from_hours(10);
        let deadlines = Deadlines {
            first_head: long,
            body_grace: long,
            ..Deadlines::default()
        };
        let settings = Settings {
            deadlines,
            ..Settings::default()
        };
        let service = Handler::new(describe);
        let mut silent = serve_with(&service, settings.clone());
        let mut drips = serve_with(&service, settings.clone());
        let mut body = serve_with(&service, settings);
        drips.send("GET / HT").await;
        body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nx")
            .await;
        sleep(Duration::from_hours(1)).await;
        for client in [&mut silent, &mut drips, &mut body] {
            assert!(!client.is_closed().await);
        }
    });
}
