//! What is said of a topic that is not as it must be, and what a shipper does meanwhile.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::Journal;
use usage_source::kafka::{Mechanism, Sasl, Shipper, TopicError, ensure_topic};
use usage_source::testing::{Broker, settings, unique_topic};

const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_topic_that_is_not_there_is_made_and_one_that_is_stays_as_it_is() {
    let Some(broker) = Broker::shared() else { return };
    let mut settings = broker.settings(&unique_topic("made"));
    settings.partitions = 5;
    assert_eq!(ensure_topic(&settings, WITHIN).unwrap().partitions, 5);
    settings.partitions = 9;
    let found = ensure_topic(&settings, WITHIN).unwrap();
    assert_eq!((found.partitions, found.replicas), (5, 1));
}

#[test]
fn a_wrong_password_is_told_from_a_broker_that_is_away() {
    let Some(broker) = Broker::shared() else { return };
    let log_in = |password: &str| {
        let mut settings = settings(broker.sasl_port(), &unique_topic("sasl"));
        settings.sasl = Some(Sasl {
            mechanism: Mechanism::Plain,
            user: "tollgate".to_owned(),
            password: password.to_owned(),
        });
        ensure_topic(&settings, Duration::from_secs(15))
    };
    assert_eq!(log_in("tollgate-secret").unwrap().partitions, 3);
    let refused = log_in("wrong").unwrap_err();
    assert!(matches!(refused, TopicError::LogIn(_)), "{refused:?}");
    assert!(!refused.is_away() && !refused.to_string().contains("wrong"));

    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = ensure_topic(&settings(nobody.port(), "usage"), Duration::from_secs(2)).unwrap_err();
    assert!(away.is_away(), "{away:?}");
    assert!(away.to_string().contains(&format!("127.0.0.1:{}", nobody.port())));
}

#[test]
fn a_certificate_file_that_is_not_there_is_named_before_anything_connects() {
    let mut settings = settings(9, "usage");
    settings.tls = Some(usage_source::kafka::Tls {
        ca: "/nowhere/ca.pem".into(),
        client: None,
    });
    let refused = ensure_topic(&settings, WITHIN).unwrap_err();
    assert!(
        matches!(&refused, TopicError::Settings(reason) if reason.contains("ca") || reason.contains("/nowhere")),
        "{refused:?}"
    );
}

#[test]
fn while_kafka_is_away_the_shipper_says_so_and_the_journal_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let journal = journal::Settings::new(dir.path().join("journal"), Arc::new(|| 5_000)).unwrap();
    let journal = Arc::new(Journal::open(journal).unwrap());
    let mut writer = journal.writer(0).unwrap();
    for _ in 0..50 {
        writer.append_unreserved(&[7; 100]).unwrap();
    }
    let shipper = Shipper::start(Arc::clone(&journal), settings(nobody.port(), "usage")).unwrap();
    let deadline = Instant::now() + WITHIN;
    while shipper.status().trouble.is_none() || shipper.status().unshipped_records != 50 {
        assert!(Instant::now() < deadline, "{:?}", shipper.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = shipper.status();
    assert!(!status.connected && status.unshipped_bytes > 0, "{status:?}");
    let began = Instant::now();
    assert!(!shipper.stop(Duration::from_millis(500)), "nothing was shipped");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(journal.positions()[0].next_seq, 50);
}
