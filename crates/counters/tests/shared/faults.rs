//! What fails, and what may not happen then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use counters::shared::Memory;
use domain::limit::{Precision, WhenUnavailable};

use crate::servers::Servers;
use crate::support::{Books, Node, Passed, Sold, Tables, patient, wait_until};

#[test]
fn a_lost_table_is_rebuilt_and_the_quota_ends_where_it_should() {
    Tables::on_two("a_lost_table_is_rebuilt_and_the_quota_ends_where_it_should", |tables| {
        let books = Arc::default();
        let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
        let sold = Sold::strict(600);
        for round in 1..4 {
            nodes.iter().for_each(|node| node.use_some(&sold, 40));
            tables.lose();
            assert!(books.total() >= round * 80);
        }
        let served: u64 = nodes.iter().map(|node| node.use_up(&sold)).sum();
        assert_eq!((served, books.total()), (600 - 240, 600));
    });
}

/// The control of the test above: with a ledger that knows nothing the same loss gives units out twice.
#[test]
fn a_lost_table_without_a_ledger_gives_nothing_and_with_a_false_one_too_much() {
    let tables = Tables::Memory(Memory::default());
    let books = Arc::<Books>::default();
    let node = Node::start("a", 1, tables.view(), &books);
    let sold = Sold::strict(100);
    node.use_some(&sold, 50);
    node.kill();
    tables.lose();
    // The books never heard of the first run: a ledger that tells of a part only.
    let forgetful = Arc::<Books>::default();
    let again = Node::start("a", 2, tables.view(), &forgetful);
    assert_eq!(50 + again.use_up(&sold), 150);
    again.kill();
    // The true books, but the first run is not closed: nothing is given before it is.
    tables.lose();
    let session = counters::shared::Session {
        node: "a".into(),
        fence: 1,
    };
    let third = Node::start("a", 3, tables.view(), &books);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(third.call(&sold), Passed::Unavailable);
        std::thread::sleep(Duration::from_millis(50));
    }
    books.close(&session);
    assert_eq!(third.use_up(&sold), 50);
}

#[test]
fn a_killed_server_comes_back_empty_and_is_rebuilt() {
    let Some(servers) = Servers::start("single", "a_killed_server_comes_back_empty_and_is_rebuilt") else {
        return;
    };
    let (port, tables) = (servers.port, Tables::Redis(servers));
    let Tables::Redis(servers) = &tables else { return };
    let books = Arc::default();
    let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
    let sold = Sold::strict(400);
    nodes.iter().for_each(|node| node.use_some(&sold, 60));
    servers.control("kill", port);
    let mut leased = 0;
    while nodes[0].call(&sold) == Passed::Served {
        leased += 1;
    }
    assert_eq!(nodes[0].call(&sold), Passed::Unavailable);
    servers.control("server", port);
    let back = Instant::now();
    nodes[1].use_some(&sold, 1);
    wait_until("more is given", || nodes[0].call(&sold) == Passed::Served);
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    let served: u64 = nodes.iter().map(|node| node.use_up(&sold)).sum();
    assert_eq!((120 + leased + 2 + served, books.total()), (400, 400));
}

#[test]
fn a_server_that_stands_still_holds_up_nobody() {
    let Some(servers) = Servers::start("single", "a_server_that_stands_still_holds_up_nobody") else {
        return;
    };
    let (port, tables) = (servers.port, Tables::Redis(servers));
    let Tables::Redis(servers) = &tables else { return };
    let books = Arc::default();
    let node = Node::start("a", 1, tables.view(), &books);
    let closed = Sold::strict(1_000_000);
    node.use_some(&closed, 10);
    servers.control("pause", port);
    let (mut slow, mut refused) = (0, 0);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let began = Instant::now();
        refused += u64::from(node.call(&closed) == Passed::Unavailable);
        slow += u64::from(began.elapsed() > patient().call / 2);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(refused > 100, "the slice was never used up: {refused}");
    assert!(slow <= 3, "{slow} requests waited");
    let open = Sold::new(1_000_000, Precision::Strict, WhenUnavailable::Open);
    assert_eq!(node.call(&open), Passed::Served);
    assert!(
        node.counters
            .tally()
            .unwrap()
            .served_unavailable
            .load(Ordering::Relaxed)
            > 0
    );
    servers.control("resume", port);
    let back = Instant::now();
    wait_until("the table is back", || node.call(&closed) == Passed::Served);
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
}

#[test]
fn what_a_killed_node_held_stays_reserved_until_the_ledger_has_told() {
    Tables::on_two(
        "what_a_killed_node_held_stays_reserved_until_the_ledger_has_told",
        |tables| {
            let books = Arc::default();
            let sold = Sold::strict(160);
            let victim = Node::start("victim", 1, tables.view(), &books);
            victim.use_some(&sold, 3);
            let (session, survivor) = (
                victim.session.clone(),
                Node::start("survivor", 1, tables.view(), &books),
            );
            victim.kill();
            let served = survivor.use_up(&sold);
            assert!(served < 157, "the killed node held nothing: the test proves nothing");
            std::thread::sleep(Duration::from_secs(2));
            assert_eq!(survivor.use_up(&sold), 0);
            books.close(&session);
            let mut more = 0;
            wait_until("what it held is free", || {
                more += survivor.use_up(&sold);
                served + more == 157
            });
            assert_eq!(books.total(), 160);
        },
    );
}

#[test]
fn an_earlier_run_of_a_node_gets_nothing_once_a_later_one_has_begun() {
    Tables::on_two(
        "an_earlier_run_of_a_node_gets_nothing_once_a_later_one_has_begun",
        |tables| {
            let books = Arc::default();
            let sold = Sold::strict(400);
            let zombie = Node::start("a", 1, tables.view(), &books);
            zombie.use_some(&sold, 10);
            let session = zombie.session.clone();
            let later = Node::start("a", 2, tables.view(), &books);
            later.use_some(&sold, 10);
            wait_until("the earlier run is cut off", || {
                zombie.call(&sold) == Passed::Unavailable
            });
            for _ in 0..50 {
                assert_eq!(zombie.call(&sold), Passed::Unavailable);
            }
            books.close(&session);
            wait_until("all is used", || {
                later.use_up(&sold);
                books.total() == 400
            });
            assert_eq!(zombie.call(&sold), Passed::Unavailable);
            assert_eq!(books.total(), 400);
        },
    );
}

#[test]
fn a_ledger_that_is_away_stops_a_rebuilt_strict_limit_and_no_other() {
    let tables = Tables::Memory(Memory::default());
    let books = Arc::<Books>::default();
    books.set_away(true);
    let node = Node::start("a", 1, tables.view(), &books);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(node.call(&Sold::strict(100)), Passed::Unavailable);
        std::thread::sleep(Duration::from_millis(50));
    }
    let open = Sold::new(100, Precision::Strict, WhenUnavailable::Open);
    assert_eq!(node.call(&open), Passed::Served);
    books.set_away(false);
    assert_eq!(node.use_up(&Sold::strict(100)), 99);
}

#[test]
fn a_failover_by_sentinel_neither_loses_nor_doubles_a_unit() {
    let Some(servers) = Servers::start("sentinel", "a_failover_by_sentinel_neither_loses_nor_doubles_a_unit") else {
        return;
    };
    let (port, tables) = (servers.port, Tables::Redis(servers));
    let Tables::Redis(servers) = &tables else { return };
    let books = Arc::default();
    let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
    let sold = Sold::strict(500);
    nodes.iter().for_each(|node| node.use_some(&sold, 100));
    servers.control("kill", port);
    let served: u64 = std::thread::scope(|scope| {
        let runs: Vec<_> = nodes.iter().map(|node| scope.spawn(|| node.use_up(&sold))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert_eq!((200 + served, books.total()), (500, 500));
    assert!(nodes[0].counters.tally().unwrap().generations.load(Ordering::Relaxed) > 0);
}
