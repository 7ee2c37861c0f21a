//! What a node may use of a counter that is shared: the slice that it was given, and how it asks for more.
//!
//! Pure: time comes in, offers go out, answers come in. The cell's lock is around it.

use domain::clock::Timestamp;
use domain::limit::Precision;

use crate::shared::protocol::Stand;

const NS_PER_MS: u64 = 1_000_000;
/// A counter that had nothing is asked again after so long; twice as long each time.
const DRY_NS: (u64, u64) = (10 * NS_PER_MS, 250 * NS_PER_MS);
/// A table that was away is asked again after so long.
const AWAY_NS: u64 = 50 * NS_PER_MS;
/// A slice shall last about so long.
const LASTS_NS: (u64, u64) = (500 * NS_PER_MS, 5_000 * NS_PER_MS);
const PACE: (u64, u64) = (8, 1 << 20);

/// Why a node's slice does not let a request pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// The slice is used up; there may be more: wait for [`crate::Cell::ask`].
    Spent,
    /// The slice is used up and the shared table cannot be asked; the limit refuses then.
    Unavailable,
}

/// Why no more is asked for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// There was nothing.
    Dry,
    /// The table is away, or cannot say yet.
    Away,
}

/// Why a node speaks to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To have more.
    Ask,
    /// To return what is unused.
    Return,
    /// To say what it has.
    Declare,
}

/// What a node says of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) seq: u64,
    pub(crate) keep: u64,
    pub(crate) taken: u64,
    pub(crate) want: u64,
    pub(crate) least: u64,
    pub(crate) recall: u64,
}

/// One window's slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Units that this node may use, used ones included.
    pub(crate) granted: u64,
    /// What the table believes that this node has.
    believed: u64,
    /// Units used or reserved by other nodes, as the table said last.
    pub(crate) elsewhere: u64,
    seq: u64,
    /// Units that are asked for; 0 while nothing is.
    asked: u64,
    /// The heaviest request that waits.
    least: u64,
    /// Units asked for at a time.
    pace: u64,
    paced_ns: u64,
    barred: Option<(Barred, u64)>,
    dry_ns: u64,
    /// The last recall that was heard.
    recall: u64,
    /// Others wait: nothing unused is kept.
    recalled: bool,
    used_ns: u64,
    /// The last question was answered with units: only then is there reason to spend what is asked for before it is there.
    is_flush: bool,
    /// The session is over: nothing is ever given again.
    over: bool,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            granted: 0,
            believed: 0,
            elsewhere: 0,
            seq: 0,
            asked: 0,
            least: 1,
            pace: PACE.0,
            paced_ns: 0,
            barred: None,
            dry_ns: DRY_NS.0,
            recall: 0,
            recalled: false,
            used_ns: 0,
            is_flush: true,
            over: false,
        }
    }
}

impl Lease {
    /// Units up to which requests pass. `fast` spends what it asks for before it has it, unless the last question brought
    /// nothing: so a limit is exceeded by one slice of each node, however often they ask.
    pub(crate) const fn allowance(&self, precision: Precision) -> u64 {
        match precision {
            Precision::Fast if self.is_flush => self.granted.saturating_add(self.asked),
            Precision::Strict | Precision::Fast => self.granted,
        }
    }

    /// What to do about a request that does not fit; `None` refuses it for good.
    pub(crate) fn short(&self, now_ns: u64) -> Option<Short> {
        if self.over {
            return Some(Short::Unavailable);
        }
        match self.barred {
            Some((Barred::Dry, until)) if now_ns < until => None,
            Some((Barred::Away, until)) if now_ns < until => Some(Short::Unavailable),
            _ => Some(Short::Spent),
        }
    }

    /// Notes that units were taken; whether more should be asked for before they are needed.
    pub(crate) fn takes(&mut self, taken: u64, now_ns: u64) -> bool {
        self.used_ns = self.used_ns.max(now_ns);
        let idle = self.granted.saturating_sub(taken);
        // In the last stretch nothing is held in store.
        let is_low = idle < self.pace.min(self.believed) / 4;
        is_low && !self.recalled && self.asked == 0 && self.short(now_ns) == Some(Short::Spent)
    }

    /// Begins to ask; `false` when it is asked already.
    pub(crate) fn begin(&mut self, weight: u64, now_ns: u64) -> bool {
        self.least = self.least.max(weight);
        if self.asked > 0 {
            return false;
        }
        let lasted = now_ns.saturating_sub(self.paced_ns);
        if lasted < LASTS_NS.0 && self.paced_ns > 0 && self.is_flush {
            self.pace = self.pace.saturating_mul(2).min(PACE.1);
        } else if lasted > LASTS_NS.1 {
            self.pace = (self.pace / 2).max(PACE.0);
        }
        self.paced_ns = now_ns;
        self.asked = self.pace.max(self.least);
        true
    }

    /// Units that are asked for now.
    pub(crate) const fn asked(&self) -> u64 {
        self.asked
    }

    pub(crate) fn offer(&mut self, purpose: Purpose, taken: u64) -> Offer {
        if purpose == Purpose::Return {
            self.granted = self.granted.min(taken);
        }
        self.seq += 1;
        let (want, least) = match purpose {
            Purpose::Ask => (self.asked.max(self.least), self.least),
            Purpose::Return | Purpose::Declare => (0, 0),
        };
        Offer {
            seq: self.seq,
            keep: self.granted.max(taken),
            taken,
            want,
            least,
            recall: self.recall,
        }
    }

    /// Takes up an answer; `false` when it is not to the last offer.
    pub(crate) fn stands(&mut self, offer: &Offer, stand: &Stand, now_ns: u64) -> bool {
        if offer.seq != self.seq || self.over {
            return false;
        }
        self.elsewhere = stand.elsewhere;
        self.recalled = stand.hungry;
        self.believed = stand.granted;
        // Overdrawn units are used; only what was asked for is new.
        self.granted = stand.granted.max(self.granted);
        if offer.want == 0 {
            return true;
        }
        (self.asked, self.least) = (0, 1);
        self.is_flush = stand.granted >= offer.taken.saturating_add(offer.least);
        // Who gets less than it asks for asks for no more than that: `fast` spends what it asks for.
        let grant = stand.granted.saturating_sub(offer.keep);
        if grant < offer.want {
            self.pace = grant.max(PACE.0);
        }
        if self.is_flush {
            (self.barred, self.dry_ns) = (None, DRY_NS.0);
        } else {
            self.barred = Some((Barred::Dry, now_ns.saturating_add(self.dry_ns)));
            self.dry_ns = self.dry_ns.saturating_mul(2).min(DRY_NS.1);
        }
        true
    }

    /// No answer that helps.
    pub(crate) fn fails(&mut self, now_ns: u64) {
        (self.asked, self.least) = (0, 1);
        self.is_flush = false;
        self.barred = Some((Barred::Away, now_ns.saturating_add(AWAY_NS)));
    }

    /// Others wait.
    pub(crate) fn recalls(&mut self, recall: u64) {
        self.recall = self.recall.max(recall);
        self.recalled = true;
    }

    /// Something came back.
    pub(crate) fn may_ask(&mut self) {
        if matches!(self.barred, Some((Barred::Dry, _))) {
            self.barred = None;
        }
        self.dry_ns = DRY_NS.0;
    }

    /// The session is over: what is unused is another's by now.
    pub(crate) fn ends(&mut self, taken: u64) {
        self.over = true;
        self.granted = self.granted.min(taken);
        (self.asked, self.least) = (0, 1);
    }

    /// Whether others wait for what is unused here.
    pub(crate) const fn owes(&self, taken: u64) -> bool {
        self.recalled && self.granted > taken && self.asked == 0
    }

    /// When it was last used, if units are unused here or the table believes so.
    pub(crate) fn unused_since(&self, taken: u64) -> Option<u64> {
        let unused = self.asked == 0 && !self.over && self.granted.max(self.believed) > taken;
        unused.then_some(self.used_ns)
    }
}

/// The leases of the windows that are kept, by the window's start.
#[derive(Debug, Default)]
pub(crate) struct Leases(Vec<(Timestamp, Lease)>);

impl Leases {
    /// The lease of a window; at most two are kept.
    pub(crate) fn of(&mut self, start: Timestamp) -> &mut Lease {
        let at = self.0.iter().position(|(known, _)| *known == start);
        let at = at.unwrap_or_else(|| {
            if self.0.len() > 1 {
                let oldest = self.0.iter().enumerate().min_by_key(|(_, (known, _))| *known);
                let oldest = oldest.map_or(0, |(at, _)| at);
                self.0.swap_remove(oldest);
            }
            self.0.push((start, Lease::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// The lease of a window that has one.
    pub(crate) fn known(&mut self, start: Timestamp) -> Option<&mut Lease> {
        self.0
            .iter_mut()
            .find(|(known, _)| *known == start)
            .map(|(_, lease)| lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(lease: &mut Lease, taken: u64, now_ns: u64) -> Offer {
        assert!(lease.begin(1, now_ns));
        lease.offer(Purpose::Ask, taken)
    }

    #[test]
    fn a_fast_limit_is_exceeded_by_one_slice_however_often_it_asks_in_vain() {
        for is_away in [false, true] {
            let mut lease = Lease::default();
            let offer = asks(&mut lease, 0, 1);
            let stand = Stand {
                granted: 8,
                ..Stand::default()
            };
            assert!(lease.stands(&offer, &stand, 2));
            let offer = asks(&mut lease, 8, 3);
            let most = lease.allowance(Precision::Fast);
            assert_eq!(most, 8 + lease.asked());
            let mut offer = offer;
            for now_ms in 1..1_000 {
                // Every answer brings nothing but the note of what was overdrawn.
                let stand = Stand {
                    granted: offer.keep,
                    ..Stand::default()
                };
                if is_away {
                    lease.fails(now_ms * NS_PER_MS);
                } else {
                    lease.stands(&offer, &stand, now_ms * NS_PER_MS);
                }
                offer = asks(&mut lease, most, now_ms * NS_PER_MS);
                assert!(lease.allowance(Precision::Fast) <= most, "{now_ms}");
                assert!(lease.asked() <= most);
            }
        }
    }
}
