//! How much of what this node has used is surely in the ledger. Pure.
//!
//! A request's record is in the journal before its units count as used. So what was used when the journal stood at some
//! positions is in the ledger once the ledger has passed these positions.

use std::collections::{HashMap, VecDeque};

use counters::shared::protocol::CounterId;
use store::ProducerStand;

/// Looks that wait for the ledger; a later one covers those that are left out.
const WAITING: usize = 16;
/// A counter of which nothing was said for so many looks is forgotten: then nothing of it is sure, which is always true.
const KEPT_LOOKS: u64 = 43_200;

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// Units that are in the ledger.
    sure: u64,
    /// Units that are there when this look is covered.
    pending: Option<(u64, u64)>,
    touched: u64,
}

/// The positions of a producer of this run: its id and the number of its next record.
pub(super) type Position = (String, u64);

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Number of the last look at the journal.
    looks: u64,
    /// The last look of which the ledger has everything.
    covered: u64,
    waiting: VecDeque<(u64, Vec<Position>)>,
    counters: HashMap<CounterId, Mark>,
}

impl Marks {
    /// Of `used` units of a counter, how many are surely in the ledger.
    pub(super) fn metered(&mut self, counter: &CounterId, used: u64) -> u64 {
        let (next, covered) = (self.looks + 1, self.covered);
        let mark = self.counters.entry(counter.clone()).or_default();
        mark.touched = self.looks;
        if let Some((units, look)) = mark.pending
            && look <= covered
        {
            (mark.sure, mark.pending) = (units, None);
        }
        if mark.pending.is_none() && used > mark.sure {
            mark.pending = Some((used, next));
        }
        mark.sure.min(used)
    }

    /// The journal stands here now.
    pub(super) fn look(&mut self, positions: Vec<Position>) {
        self.looks += 1;
        if self.waiting.len() < WAITING {
            self.waiting.push_back((self.looks, positions));
        }
        let looks = self.looks;
        self.counters
            .retain(|_, mark| mark.touched.saturating_add(KEPT_LOOKS) > looks);
    }

    /// The ledger stands here.
    pub(super) fn hear(&mut self, stands: &[ProducerStand]) {
        let passed =
            |(id, next): &Position| *next == 0 || stands.iter().any(|stand| stand.id == *id && stand.next_seq >= *next);
        while let Some((look, positions)) = self.waiting.front() {
            if !positions.iter().all(passed) {
                return;
            }
            self.covered = *look;
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::clock::Timestamp;
    use domain::ids::SubscriptionId;
    use domain::key::Mode;

    use super::*;

    fn counter() -> CounterId {
        CounterId {
            subscription: SubscriptionId::from_bits(1),
            mode: Mode::Live,
            limit: "requests/period".into(),
            start: Timestamp::from_millis(0),
        }
    }

    fn stands(next_seq: u64) -> Vec<ProducerStand> {
        vec![ProducerStand {
            id: "p".to_owned(),
            next_seq,
            ended: false,
        }]
    }

    fn at(next_seq: u64) -> Vec<Position> {
        vec![("p".to_owned(), next_seq)]
    }

    #[test]
    fn units_are_sure_when_the_ledger_has_passed_where_the_journal_stood_after_them() {
        let mut marks = Marks::default();
        assert_eq!(marks.metered(&counter(), 10), 0);
        // A position that was read before says nothing of them.
        marks.hear(&stands(100));
        assert_eq!(marks.metered(&counter(), 12), 0);
        marks.look(at(110));
        marks.hear(&stands(109));
        assert_eq!(marks.metered(&counter(), 15), 0);
        marks.hear(&stands(110));
        assert_eq!(marks.metered(&counter(), 15), 10);
        marks.look(at(115));
        assert_eq!(marks.metered(&counter(), 15), 10);
        marks.hear(&stands(115));
        assert_eq!(marks.metered(&counter(), 20), 15);
    }

    #[test]
    fn a_ledger_that_stands_still_keeps_little_waiting_and_forgets_nothing_that_is_sure() {
        let mut marks = Marks::default();
        for used in 1..1_000 {
            assert_eq!(marks.metered(&counter(), used), 0);
            marks.look(at(used));
        }
        assert_eq!(marks.waiting.len(), WAITING);
        marks.hear(&stands(10_000));
        assert_eq!(marks.metered(&counter(), 1_000), 1);
        marks.look(at(1_000));
        marks.hear(&stands(10_000));
        assert_eq!(marks.metered(&counter(), 1_000), 1_000);
    }

    #[test]
    fn a_producer_that_the_ledger_does_not_know_keeps_what_it_wrote_unsure() {
        let mut marks = Marks::default();
        marks.metered(&counter(), 3);
        marks.look(vec![("p".to_owned(), 5), ("q".to_owned(), 0), ("r".to_owned(), 1)]);
        marks.hear(&stands(5));
        assert_eq!(marks.metered(&counter(), 3), 0);
    }
}
