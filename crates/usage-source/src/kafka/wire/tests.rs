use proptest::prelude::*;

use super::*;

fn producer() -> Producer {
    Producer {
        producer: ProducerId::from_bytes([7; 16]),
        node: "edge-1".to_owned(),
        worker: 3,
        created_ms: 1_800_000_000_123,
        next_seq: 42,
        ending: None,
        gap: None,
    }
}

fn batch(first: u64, payloads: &[&[u8]]) -> Batch {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for payload in payloads {
        ranges.push(bytes.len()..bytes.len() + payload.len());
        bytes.extend_from_slice(payload);
    }
    Batch::new(producer().producer, first, bytes, ranges).unwrap()
}

fn read_back(sent: &Encoded) -> Result<Message, Unread> {
    read(Some(&sent.key), Some(&sent.header), &sent.payload)
}

fn samples() -> Vec<Encoded> {
    let end = |ending, gap| {
        ended(&Producer {
            ending: Some(ending),
            gap,
            ..producer()
        })
        .unwrap()
    };
    let gap = Gap {
        kind: GapKind::PowerLoss,
        from_seq: 42,
        since_ms: 1_800_000_000_999,
    };
    vec![
        opened(&producer(), 5),
        records(&producer(), &batch(9, &[b"one", b"", b"three"])),
        unreadable(&producer(), 12..20, Reason::Damaged),
        end(Ending::Orderly, None),
        end(Ending::Interrupted, Some(gap)),
    ]
}

#[test]
fn records_come_back_with_their_numbers() {
    let sent = records(&producer(), &batch(9, &[b"one", b"", b"three"]));
    let Message { producer: of, content } = read_back(&sent).unwrap();
    let Content::Records(batch) = content else {
        panic!("{content:?}")
    };
    assert_eq!(
        (of.node.as_str(), of.worker, of.created_ms),
        ("edge-1", 3, 1_800_000_000_123)
    );
    let read: Vec<_> = batch.records().collect();
    assert_eq!(read, [(9, &b"one"[..]), (10, b""), (11, b"three")]);
    assert_eq!(batch.producer, producer().producer);
}

#[test]
fn an_end_comes_back_with_its_gap() {
    let gap = Gap {
        kind: GapKind::Copied,
        from_seq: 42,
        since_ms: -1,
    };
    let of = Producer {
        ending: Some(Ending::Interrupted),
        gap: Some(gap),
        ..producer()
    };
    let read = read_back(&ended(&of).unwrap()).unwrap();
    assert_eq!((read.producer, read.content), (of, Content::Ended));
    assert_eq!(ended(&producer()), None, "a living producer has no end");
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_the_range_is_told_when_the_header_stands() {
    for sent in samples() {
        for at in 0..sent.payload.len() {
            let mut payload = sent.payload.clone();
            payload[at] ^= 1;
            let unread = read(Some(&sent.key), Some(&sent.header), &payload).unwrap_err();
            assert_eq!(unread.producer, Some(producer().producer));
            assert!(unread.range.is_some());
        }
        for at in 0..HEADER_BYTES {
            let mut header = sent.header;
            header[at] ^= 1;
            read(Some(&sent.key), Some(&header), &sent.payload).unwrap_err();
        }
        let mut key = sent.key;
        key[0] ^= 1;
        read(Some(&key), Some(&sent.header), &sent.payload).unwrap_err();
    }
}

#[test]
fn a_newer_version_names_itself() {
    let mut sent = records(&producer(), &batch(9, &[b"one"]));
    sent.header[0] = 2;
    let unread = read_back(&sent).unwrap_err();
    assert_eq!(unread.range, Some(9..10));
    assert!(unread.reason.contains("version 2"), "{}", unread.reason);
}

#[test]
fn what_is_kept_of_a_message_reads_as_the_message() {
    for sent in samples() {
        let kept = keep(Some(&sent.key), Some(&sent.header), &sent.payload);
        assert_eq!(read_kept(&kept), read_back(&sent));
        for cut in 0..kept.len() {
            assert_ne!(read_kept(&kept[..cut]), read_back(&sent));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            header in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)),
            payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(key.as_deref(), header.as_deref(), &payload);
        let _ = read_kept(&payload);
    }

    #[test]
    fn any_payload_with_a_right_checksum_is_read_or_refused(kind in 0_u8..6, from in any::<u64>(), more in 0_u64..5,
            payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let range = from..from.saturating_add(more);
        let mut sent = finish(Kind::Opened, producer().producer, range, payload);
        sent.header[1] = kind;
        let sum = sum(&sent.key, &sent.header[..SUMMED_BYTES], &sent.payload);
        sent.header[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
        let _ = read_back(&sent);
    }
}
