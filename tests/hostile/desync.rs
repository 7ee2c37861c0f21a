//! The corpus of request smuggling, whole and in pieces, through the gateway; and through a proxy that forwards bytes
//! as they are, where the same checks must fail.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serving::desync::{Case, Then, cases, mutations};

use crate::support::chance::{Random, seed};
use crate::support::raw::{Entry, RawUpstream, Seen};
use crate::support::wire::Wire;
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(8);
/// The same where an open connection is one of the faults that are looked for.
const SHORT: Duration = Duration::from_millis(200);
/// How long an open connection is watched for more.
const QUIET: Duration = Duration::from_millis(25);

/// Sends a case in pieces and listens until it is decided.
fn replay(address: SocketAddr, case: &Case, pieces: &[&[u8]], (gap, patience): (Duration, Duration)) -> Wire {
    let mut wire = Wire::open(address);
    for piece in pieces {
        wire.say(piece);
        if !gap.is_zero() {
            std::thread::sleep(gap);
        }
    }
    if case.then == Then::Closed {
        wire.ends(patience);
    } else {
        let answers = case.reaches.len();
        wire.listen(patience, |heard| {
            String::from_utf8_lossy(heard)
                .to_lowercase()
                .matches("x-upstream: raw")
                .count()
                >= answers
        });
        wire.ends(QUIET);
    }
    wire
}

/// What the upstream must have seen, and the client heard, after a case.
fn check(case: &Case, wire: &Wire, entries: &[Entry]) -> Result<(), String> {
    let mut seen = Vec::new();
    for entry in entries {
        match entry {
            Entry::Fault(fault) => return Err(format!("the upstream was sent {fault}")),
            Entry::Request(request) => seen.push((request.target.as_str(), request.body.clone())),
            Entry::Cut => {}
        }
    }
    if seen != case.reaches {
        return Err(format!("the upstream saw {seen:?}"));
    }
    if wire.upstream_answers() != seen.len() {
        return Err(format!("{} requests, but the client heard {}", seen.len(), wire.text()));
    }
    if wire.closed != (case.then == Then::Closed) {
        return Err(format!("closed: {}, heard {}", wire.closed, wire.text()));
    }
    Ok(())
}

fn run(cases: &[Case], world: &World, mut cut: impl FnMut(&Case) -> (Vec<usize>, Duration)) {
    let mut faults = Vec::new();
    for case in cases {
        let (cuts, gap) = cut(case);
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &case.wire[pair[0]..pair[1]]).collect();
        let wire = replay(world.platform.gateway(), case, &pieces, (gap, PATIENCE));
        if let Err(fault) = check(case, &wire, &world.upstream.new_entries()) {
            faults.push(format!("{} ({}), cut at {cuts:?}: {fault}", case.name, case.source));
        }
    }
    // What came too late to be blamed on its case is found here.
    std::thread::sleep(Duration::from_millis(100));
    let late = world.upstream.new_entries();
    faults.extend(
        late.iter()
            .filter(|entry| !matches!(entry, Entry::Cut))
            .map(|entry| format!("late: {entry:?}")),
    );
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn nothing_ambiguous_reaches_the_upstream() {
    let world = World::new();
    let cases = cases();
    assert!(cases.len() > 200);
    run(&cases, &world, |case| (vec![0, case.wire.len()], Duration::ZERO));
}

#[test]
fn the_outcome_is_the_same_however_a_payload_is_split() {
    let mut random = Random(seed());
    let world = World::new();
    run(&cases(), &world, |case| {
        let end = case.wire.len();
        let mut cuts: Vec<usize> = (0..2)
            .map(|_| usize::try_from(random.below(end as u64)).unwrap())
            .collect();
        cuts.extend([0, end]);
        cuts.sort_unstable();
        (cuts, Duration::from_millis(2))
    });
    let short: Vec<Case> = cases().into_iter().filter(|case| case.wire.len() < 300).collect();
    run(&short, &world, |case| ((0..=case.wire.len()).collect(), Duration::ZERO));
}

/// Field names that a mutation may leave in what is forwarded, besides those that the gateway sets.
const ALLOWED: &[&str] = &[
    "host",
    "user-agent",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-%45ncoding",
    "x",
];
const OURS: &[&str] = &[
    "x-request-id",
    "traceparent",
    "x-plan",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "via",
    "x-gateway-secret",
];

fn check_mutation(wire: &Wire, entries: &[Entry]) -> Result<usize, String> {
    let mut seen: Vec<&Seen> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Fault(fault) => return Err(format!("the upstream was sent {fault}")),
            Entry::Request(request) => seen.push(request),
            Entry::Cut => {}
        }
    }
    if seen.len() > 1 || wire.upstream_answers() != seen.len() || !wire.closed {
        return Err(format!(
            "{} requests, closed: {}, heard {}",
            seen.len(),
            wire.closed,
            wire.text()
        ));
    }
    for request in &seen {
        if request.values("content-length") != [request.body.len().to_string()] {
            return Err(format!("length: {request:?}"));
        }
        let known = |name: &str| ALLOWED.contains(&name) || OURS.contains(&name);
        if let Some((name, _)) = request
            .headers
            .iter()
            .find(|(name, _)| !known(&name.to_ascii_lowercase()))
        {
            return Err(format!("a field named {name}"));
        }
    }
    Ok(seen.len())
}

#[test]
fn no_mutation_of_transfer_encoding_is_read_in_two_ways() {
    let world = World::new();
    let (mut faults, mut reached) = (Vec::new(), 0);
    for case in mutations() {
        let wire = replay(
            world.platform.gateway(),
            &case,
            &[&case.wire],
            (Duration::ZERO, PATIENCE),
        );
        match check_mutation(&wire, &world.upstream.new_entries()) {
            Ok(count) => reached += count,
            Err(fault) => faults.push(format!("{}: {fault}", case.name)),
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
    // Some are harmless, so the rules above have been applied.
    assert!(reached > 0);
}

/// Copies bytes one way until they end.
fn copy(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// Forwards bytes both ways, whatever they are.
fn naive_proxy(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(upstream).unwrap());
            copy(&client, &server);
            copy(&server, &client);
        }
    });
    address
}

#[test]
fn control_a_proxy_that_forwards_bytes_fails_the_same_checks() {
    let dir = tempfile::TempDir::new().unwrap();
    let upstream = RawUpstream::start(dir.path());
    let proxy = naive_proxy(upstream.address());
    let refused: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.reaches.is_empty() && case.then == Then::Closed)
        .collect();
    let (mut failed, mut unread) = (0, 0);
    for case in &refused {
        let wire = replay(proxy, case, &[&case.wire], (Duration::ZERO, SHORT));
        let entries = upstream.new_entries();
        failed += usize::from(check(case, &wire, &entries).is_err());
        unread += entries.iter().filter(|entry| matches!(entry, Entry::Fault(_))).count();
    }
    // Every payload that must be refused is told from a clean outcome; most by what the strict upstream could not read.
    assert!(failed * 10 >= refused.len() * 9, "{failed} of {}", refused.len());
    assert!(unread * 2 > refused.len(), "{unread} of {}", refused.len());
    let valid: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.name == "length: a request as a body is a body")
        .collect();
    let wire = replay(proxy, &valid[0], &[&valid[0].wire], (Duration::ZERO, PATIENCE));
    check(&valid[0], &wire, &upstream.new_entries()).unwrap();
}
