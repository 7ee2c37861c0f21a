//! Several nodes on one limit, all well.

use std::sync::Arc;
use std::time::Duration;

use counters::{Billable, Counters};
use domain::limit::{Precision, WhenUnavailable};

use crate::support::{Books, Node, Passed, Sold, Tables, wait_until};

/// Both nodes use up what they can at once.
fn race(nodes: [&Node; 2], sold: &Sold) -> [u64; 2] {
    std::thread::scope(|scope| {
        nodes
            .map(|node| scope.spawn(|| node.use_up(sold)))
            .map(|run| run.join().unwrap())
    })
}

#[test]
fn two_nodes_give_out_the_last_hundred_of_a_strict_quota_and_not_one_more() {
    Tables::on_all(
        "two_nodes_give_out_the_last_hundred_of_a_strict_quota_and_not_one_more",
        |tables| {
            let books = Arc::default();
            let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
            let sold = Sold::strict(1_100);
            nodes[0].use_some(&sold, 1_000);
            let served = race([&nodes[0], &nodes[1]], &sold);
            assert_eq!(served[0] + served[1], 100, "{served:?}");
            assert_eq!(books.total(), 1_100);
            for node in &nodes {
                assert_eq!(node.call(&sold), Passed::Exceeded);
            }
            nodes.into_iter().for_each(Node::stop);
        },
    );
}

/// The control of the test above: two nodes that share nothing give out the quota twice.
#[test]
fn two_nodes_that_share_nothing_give_out_twice_the_quota() {
    let sold = Sold::strict(100);
    let tables = [
        Tables::Memory(counters::shared::Memory::default()),
        Tables::Memory(counters::shared::Memory::default()),
    ];
    let served: u64 = tables
        .iter()
        .map(|table| Node::start("a", 1, table.view(), &Arc::<Books>::default()).use_up(&sold))
        .sum();
    assert_eq!(served, 200);
}

#[test]
fn two_nodes_exceed_a_fast_quota_by_no_more_than_they_lease() {
    Tables::on_two("two_nodes_exceed_a_fast_quota_by_no_more_than_they_lease", |tables| {
        let books = Arc::default();
        let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
        let sold = Sold::new(1_100, Precision::Fast, WhenUnavailable::Closed);
        nodes[0].use_some(&sold, 1_000);
        let served = race([&nodes[0], &nodes[1]], &sold);
        // No slice of so small a quota is larger than a sixteenth of a million; paces double from 8 on.
        let over = (served[0] + served[1]).saturating_sub(100);
        assert!(served[0] + served[1] >= 100, "{served:?}");
        assert!(over <= 2 * 2_048, "{served:?}");
        nodes.into_iter().for_each(Node::kill);
    });
}

#[test]
fn unused_units_of_one_node_are_called_back_before_another_is_refused() {
    Tables::on_two(
        "unused_units_of_one_node_are_called_back_before_another_is_refused",
        |tables| {
            let books = Arc::default();
            let (idle, busy) = (
                Node::start("idle", 1, tables.view(), &books),
                Node::start("busy", 1, tables.view(), &books),
            );
            let sold = Sold::strict(200);
            idle.use_some(&sold, 1);
            assert_eq!(busy.use_up(&sold), 199);
            let called = busy
                .counters
                .tally()
                .unwrap()
                .recalls
                .load(std::sync::atomic::Ordering::Relaxed);
            assert!(called > 0, "nothing was called back: the test proves nothing");
            assert_eq!(books.total(), 200);
        },
    );
}

#[test]
fn a_unit_that_comes_back_on_one_node_is_used_on_another() {
    Tables::on_two("a_unit_that_comes_back_on_one_node_is_used_on_another", |tables| {
        let books = Arc::default();
        let nodes = ["a", "b"].map(|name| Node::start(name, 1, tables.view(), &books));
        let sold = Sold::strict(20);
        let mut held = Vec::new();
        wait_until("one unit is reserved", || {
            held.extend(nodes[0].admit(&sold).ok());
            held.len() == 1
        });
        assert_eq!(nodes[1].use_up(&sold), 19);
        assert_eq!(nodes[1].call(&sold), Passed::Exceeded);
        held.pop().unwrap().settle(Billable::No, &[]);
        wait_until("the unit comes over", || nodes[1].call(&sold) == Passed::Served);
        assert_eq!(nodes[0].call(&sold), Passed::Exceeded);
        assert_eq!(books.total(), 20);
    });
}

#[test]
fn what_lies_unused_returns_by_itself_and_at_the_stop() {
    Tables::on_two("what_lies_unused_returns_by_itself_and_at_the_stop", |tables| {
        let books = Arc::default();
        let (idle, other) = (
            Node::start("idle", 1, tables.view(), &books),
            Node::start("other", 1, tables.view(), &books),
        );
        // Fast limits call nothing back: what comes over came by itself.
        let sold = Sold::new(160, Precision::Fast, WhenUnavailable::Closed);
        idle.use_some(&sold, 1);
        let exchanges = |node: &Counters| {
            node.tally()
                .unwrap()
                .exchanges
                .load(std::sync::atomic::Ordering::Relaxed)
        };
        let before = exchanges(&idle.counters);
        wait_until("the sweep returns it", || exchanges(&idle.counters) > before);
        std::thread::sleep(Duration::from_millis(100));
        idle.use_some(&sold, 1);
        idle.stop();
        let served = other.use_up(&sold);
        assert!(served >= 158, "{served}");
    });
}
