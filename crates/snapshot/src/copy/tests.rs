use domain::ids::{AccountId, ConsumerId, CredentialId};
use domain::key::{Mode, hash};
use domain::subscription::ConsumerStatus;
use proptest::prelude::*;

use super::*;
use crate::outlet::{Has, Outlet};
use crate::source::{ConsumerRecord, KeyRecord};

fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

fn consumer(id: u128, name: &str) -> Change {
    Change::UpsertConsumer(ConsumerRecord {
        id: ConsumerId::from_bits(id),
        name: name.to_owned(),
        account: AccountId::from_bits(1),
        status: ConsumerStatus::Active,
        subscriptions: Vec::new(),
    })
}

fn key(id: u128, version: u32) -> Change {
    Change::UpsertKey(KeyRecord {
        id: CredentialId::from_bits(id),
        hash: hash(format!("{id} {version}").as_bytes()),
        mode: Mode::Live,
        consumer: ConsumerId::from_bits(id % 3),
        products: Vec::new(),
        expires_at: None,
        revoked: false,
    })
}

/// A control plane whose publications are handed out.
struct Plane {
    outlet: Outlet,
    snapshot: Snapshot,
}

impl Plane {
    fn new() -> Self {
        let plane = Self {
            outlet: Outlet::default(),
            snapshot: Snapshot::default(),
        };
        plane.outlet.publish(&plane.snapshot, None);
        plane
    }

    fn publish(&mut self, changes: Vec<Change>) {
        let prepared = self.outlet.prepare(&changes);
        let revision = self.snapshot.revision() + 1;
        self.snapshot = compile(Some(&self.snapshot), changes, revision, &master()).unwrap();
        self.outlet.publish(&self.snapshot, Some(prepared));
    }

    fn answer(&self, has: Option<Has>) -> Option<Vec<u8>> {
        self.outlet.answer(has, None)
    }
}

fn read(text: &[u8]) -> Answer {
    Answer::read(&mut &*text).unwrap().unwrap()
}

#[test]
fn a_gateway_follows_by_deltas_and_starts_from_its_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut plane = Plane::new();
    plane.publish(vec![consumer(1, "one"), key(1, 0)]);
    let (mut copy, mut state) = Copy::open(&path, &master());
    assert!(state.has().is_none() && copy.wants_whole());
    let whole = read(&plane.answer(None).unwrap());
    assert_eq!((whole.header.since, whole.header.rows), (None, 2));
    state.take(&whole, &master()).unwrap();
    copy.keep(&whole).unwrap();
    assert!(plane.answer(state.has()).is_none(), "nothing is new");
    plane.publish(vec![key(2, 0)]);
    plane.publish(vec![Change::RemoveKey(CredentialId::from_bits(1))]);
    let delta = read(&plane.answer(state.has()).unwrap());
    assert_eq!((delta.header.since, delta.header.rows), (Some(1), 2));
    let snapshot = state.take(&delta, &master()).unwrap();
    assert_eq!(snapshot.checksum(), plane.snapshot.checksum());
    copy.keep(&delta).unwrap();
    let (_, again) = Copy::open(&path, &master());
    assert_eq!(again.has(), state.has());
    assert_eq!(again.snapshot().unwrap().checksum(), plane.snapshot.checksum());
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_tampered_or_torn_answer_changes_nothing() {
    let mut plane = Plane::new();
    plane.publish(vec![consumer(1, "one"), key(1, 0)]);
    let mut state = State::default();
    state.take(&read(&plane.answer(None).unwrap()), &master()).unwrap();
    plane.publish(vec![consumer(1, "two"), key(2, 0)]);
    let before = (state.has(), state.snapshot().unwrap().checksum());
    let good = plane.answer(state.has()).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let tampered = read(text.replace("two", "own").as_bytes());
    assert!(matches!(state.take(&tampered, &master()), Err(Refused::Checksum(2))));
    for cut in [good.len() - 1, good.len() / 2, 10] {
        let torn = Answer::read(&mut &good[..cut]);
        assert!(matches!(torn, Err(Refused::Torn)), "{cut}");
    }
    let skipped = Answer {
        header: Header {
            since: Some(7),
            ..read(&good).header
        },
        ..read(&good)
    };
    assert!(matches!(
        state.take(&skipped, &master()),
        Err(Refused::Continues { since: 7, has: 1 })
    ));
    assert_eq!((state.has(), state.snapshot().unwrap().checksum()), before);
    state.take(&read(&good), &master()).unwrap();
    assert_eq!(state.snapshot().unwrap().checksum(), plane.snapshot.checksum());
}

#[test]
fn a_database_that_was_put_back_and_another_state_of_one_revision_are_sent_whole() {
    let mut plane = Plane::new();
    plane.publish(vec![consumer(1, "one")]);
    let other = Has {
        revision: 1,
        checksum: "00000000000000000000000000000001".parse().unwrap(),
    };
    assert_eq!(read(&plane.answer(Some(other)).unwrap()).header.since, None);
}

#[test]
fn the_file_is_written_anew_when_deltas_outgrow_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut plane = Plane::new();
    plane.publish(vec![consumer(1, "one")]);
    let (mut copy, mut state) = Copy::open(&path, &master());
    let take = |answer: &Answer, copy: &mut Copy, state: &mut State| {
        state.take(answer, &master()).unwrap();
        copy.keep(answer).unwrap();
    };
    take(&read(&plane.answer(None).unwrap()), &mut copy, &mut state);
    for round in 0..40 {
        let name = format!("{round}").repeat(40_000);
        plane.publish(vec![consumer(1, &name)]);
        take(&read(&plane.answer(state.has()).unwrap()), &mut copy, &mut state);
    }
    assert!(std::fs::metadata(&path).unwrap().len() < 2 * SLACK);
    let (_, again) = Copy::open(&path, &master());
    assert_eq!(again.snapshot().unwrap().checksum(), plane.snapshot.checksum());
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<(u128, u32, bool)>),
    Ask,
    Restart,
    Tear(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0u128..6, 0u32..4, any::<bool>());
    let step = prop_oneof![
        3 => proptest::collection::vec(change, 0..4).prop_map(Step::Publish),
        3 => Just(Step::Ask),
        1 => Just(Step::Restart),
        1 => (1usize..300).prop_map(Step::Tear),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #[test]
    fn whatever_happens_a_gateway_that_asked_has_what_the_control_plane_shows(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let mut plane = Plane::new();
        let (mut copy, mut state) = Copy::open(&path, &master());
        for step in steps {
            match step {
                Step::Publish(changes) => plane.publish(changes.into_iter().map(|(id, version, gone)| match gone {
                    true => Change::RemoveKey(CredentialId::from_bits(id)),
                    false => key(id, version),
                }).collect()),
                Step::Ask => {
                    let has = state.has().filter(|_| !copy.wants_whole());
                    if let Some(text) = plane.answer(has) {
                        let answer = read(&text);
                        state.take(&answer, &master()).unwrap();
                        copy.keep(&answer).unwrap();
                    }
                    prop_assert_eq!(state.snapshot().unwrap().checksum(), plane.snapshot.checksum());
                }
                Step::Restart => (copy, state) = Copy::open(&path, &master()),
                Step::Tear(bytes) => {
                    if let Ok(text) = std::fs::read(&path) {
                        std::fs::write(&path, &text[..text.len().saturating_sub(bytes)]).unwrap();
                        (copy, state) = Copy::open(&path, &master());
                    }
                }
            }
        }
    }
}
