//! Mails over a real SMTP conversation, and into an outbox.

#![expect(clippy::unwrap_used, reason = "in a test a panic is a finding")]

mod server;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::clock::Timestamp;
use mail::{Counts, Error, Mail, Mailer, Retry, Settings};
use server::{Manner, start};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const AT: Timestamp = Timestamp::from_millis(1_781_517_600_000);

fn mail(subject: &str) -> Mail {
    Mail {
        kind: "verify",
        to: "ann@example.com".to_owned(),
        subject: subject.to_owned(),
        text: "Confirm: http://127.0.0.1:8081/verify/tgv_abc".to_owned(),
        html: "<p>Confirm</p>".to_owned(),
        at: AT,
    }
}

fn settings(url: String) -> Settings {
    Settings {
        url,
        from: "Fernpost <mail@fernpost.example>".to_owned(),
        outbox: PathBuf::from("/nonexistent"),
        authority: None,
        retry: Retry {
            attempts: 3,
            first_pause: Duration::from_millis(10),
        },
    }
}

fn counts(sent: u64, failures: u64, dropped: u64) -> Counts {
    Counts {
        sent,
        failures,
        dropped,
        waiting: 0,
    }
}

#[tokio::test]
async fn a_mail_reaches_the_server_with_login_envelope_and_both_parts() {
    let (address, heard) = start(Manner::default()).await;
    let mailer = Mailer::start(&settings(format!("smtp://ann:hunter2@{address}"))).unwrap();
    mailer.send_now(&mail("Bestätige")).await.unwrap();
    assert!(heard.has("AUTH PLAIN "), "{:?}", heard.lines());
    assert!(heard.has("MAIL FROM:<mail@fernpost.example>"));
    assert!(heard.has("RCPT TO:<ann@example.com>"));
    assert!(heard.has("Subject: =?utf-8?b?"));
    assert!(heard.has("Confirm: http://127.0.0.1:8081/verify/tgv_abc"));
    assert!(heard.has("<p>Confirm</p>"));
    assert!(!format!("{mailer:?} {:?}", settings("smtp://a:hunter2@h".into())).contains("hunter2"));
    assert_eq!(mailer.counts(), counts(1, 0, 0));
}

#[tokio::test]
async fn a_mail_refused_for_now_is_tried_again_and_one_refused_for_good_is_not() {
    let (address, heard) = start(Manner {
        refusals: vec!["451 later", "450 later", "250 known", "550 no such person"],
        ..Manner::default()
    })
    .await;
    let mailer = Mailer::start(&settings(format!("smtp://{address}"))).unwrap();
    mailer.queue(&mail("one")).unwrap();
    mailer.idle().await;
    assert_eq!((heard.count("RCPT"), mailer.counts()), (3, counts(1, 2, 0)));
    mailer.queue(&mail("two")).unwrap();
    mailer.idle().await;
    assert_eq!((heard.count("RCPT"), mailer.counts()), (4, counts(1, 3, 1)));
}

#[tokio::test]
async fn a_mail_that_nobody_takes_is_given_up_and_counted() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mailer = Mailer::start(&settings(format!("smtp://{closed}"))).unwrap();
    mailer.queue(&mail("one")).unwrap();
    mailer.idle().await;
    assert_eq!(mailer.counts(), counts(0, 3, 1));
    assert!(mailer.queue(&mail("a\r\nBcc: eve@example.com")).is_err());
    assert_eq!(mailer.counts(), counts(0, 3, 2));
}

#[tokio::test]
async fn a_stop_tries_what_waits_once_more_and_ends_within_its_limit() {
    let (address, _) = start(Manner {
        silent: true,
        ..Manner::default()
    })
    .await;
    let mailer = Mailer::start(&settings(format!("smtp://{address}"))).unwrap();
    mailer.queue(&mail("one")).unwrap();
    mailer.queue(&mail("two")).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), mailer.stop(Duration::from_millis(100))).await;
    stopped.unwrap();
    assert_eq!(mailer.counts().dropped, 2);
    assert!(matches!(mailer.queue(&mail("three")), Err(Error::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_a_bounded_time() {
    let (address, _) = start(Manner {
        silent: true,
        ..Manner::default()
    })
    .await;
    let mailer = Mailer::start(&settings(format!("smtp://{address}"))).unwrap();
    let begun = tokio::time::Instant::now();
    let error = mailer.send_now(&mail("one")).await.unwrap_err();
    assert!(error.retryable(), "{error}");
    assert!(begun.elapsed() <= Duration::from_secs(61), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_is_sent_where_encryption_is_wanted_and_not_offered() {
    let (address, heard) = start(Manner::default()).await;
    let mailer = Mailer::start(&settings(format!("smtp://ann:hunter2@{address}?tls=required"))).unwrap();
    assert!(mailer.send_now(&mail("one")).await.is_err());
    assert!(!heard.has("AUTH") && !heard.has("MAIL"), "{:?}", heard.lines());
}

fn certificate() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem().into_bytes())
}

#[tokio::test]
async fn the_certificate_of_the_server_is_verified() {
    let (tls, authority) = certificate();
    let (address, heard) = start(Manner {
        tls: Some(tls),
        ..Manner::default()
    })
    .await;
    let url = format!("smtps://ann:hunter2@localhost:{}", address.port());
    let stranger = Mailer::start(&settings(url.clone())).unwrap();
    assert!(stranger.send_now(&mail("one")).await.is_err());
    assert!(!heard.has("EHLO"), "{:?}", heard.lines());
    let known = Settings {
        authority: Some(authority),
        ..settings(url)
    };
    Mailer::start(&known).unwrap().send_now(&mail("two")).await.unwrap();
    assert!(heard.has("AUTH") && heard.has("Subject: two"), "{:?}", heard.lines());
}

fn outbox(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_outbox_holds_one_private_file_a_mail_in_the_order_of_time() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("outbox");
    let settings = Settings {
        outbox: directory.clone(),
        ..settings("outbox:".to_owned())
    };
    let mailer = Mailer::start(&settings).unwrap();
    for number in 0..12 {
        mailer.queue(&mail(&format!("number {number}"))).unwrap();
    }
    let later = Mail {
        at: AT.plus_millis(1),
        ..mail("number 12")
    };
    mailer.queue(&later).unwrap();
    mailer.idle().await;
    let files = outbox(&directory);
    assert_eq!(files.len(), 13);
    for (number, file) in files.iter().enumerate() {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(&format!("Subject: number {number}\r\n")), "{text}");
        assert_eq!(file.extension().unwrap(), "eml");
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn settings_that_do_not_stand_are_refused_at_the_start() {
    let from = Settings {
        from: "nobody".to_owned(),
        ..settings("outbox:".to_owned())
    };
    assert!(matches!(Mailer::start(&from), Err(Error::Sender)));
    for url in ["mail", "http://mail", "smtp://a:b@mail?tls=none"] {
        assert!(
            matches!(Mailer::start(&settings(url.to_owned())), Err(Error::Url(_))),
            "{url}"
        );
    }
}
