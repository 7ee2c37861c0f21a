//! What an account has to be billed now: a view of the ledger, and pure decisions on it. Writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::billable::Policy;
use domain::charge::{Basis, Charge, Contract};
use domain::clock::Timestamp;
use domain::ids::{InvoiceId, SubscriptionId};
use domain::invoice::{Creditable, Delta, Refund, RunKind};
use domain::money::Currency;
use domain::period::Period;

use super::closing::{Closing, Watermarks};
use super::usage::{self, Before, Late};
use super::{AccountBill, BillMode, BillOrder, Waiting, unbillable, voiding};
use crate::{FromRow, Result, Row, Tx, args};

/// A cursor of `billing_cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) subscription: SubscriptionId,
    pub(super) usage_from: Timestamp,
    pub(super) recurring_from: Timestamp,
    pub(super) settled: bool,
}

impl FromRow for Cursor {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            usage_from: row.get("usage_from")?,
            recurring_from: row.get("recurring_from")?,
            settled: row.get("settled")?,
        })
    }
}

/// One rating of one period.
#[derive(Debug, Clone)]
pub(super) struct Rating {
    pub(super) subscription: SubscriptionId,
    pub(super) period_start: Timestamp,
    pub(super) kind: RunKind,
    pub(super) closing: Closing,
    pub(super) charges: Vec<Charge>,
}

/// A delta with what the books know of its key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) rating: usize,
    pub(super) before: Before,
}

/// Documents of one currency and due instant.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) currency: Currency,
    pub(super) due: Timestamp,
    pub(super) lines: Vec<Delta>,
    pub(super) refunds: Vec<(Refund, Vec<Creditable>)>,
}

/// Everything that one pass over an account would write.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub(super) commit: i64,
    pub(super) late: Vec<(Late, bool)>,
    pub(super) cursors: Vec<Cursor>,
    pub(super) closed: Vec<(SubscriptionId, Period)>,
    pub(super) corrected: Vec<(SubscriptionId, Timestamp)>,
    pub(super) ratings: Vec<Rating>,
    pub(super) entries: HashMap<domain::charge::ChargeKey, Entry>,
    pub(super) groups: Vec<Group>,
    pub(super) waiting: Vec<Waiting>,
}

impl Drawn {
    /// Whether nothing would be written.
    pub(super) fn is_empty(&self) -> bool {
        self.late.is_empty()
            && self.cursors.is_empty()
            && self.closed.is_empty()
            && self.corrected.is_empty()
            && self.groups.is_empty()
    }
}

/// The policy that usage is rated under.
pub(super) const POLICY: Policy = Policy::V1;

/// A pass in the making.
pub(super) struct Draw<'a> {
    pub(super) bill: &'a AccountBill,
    pub(super) order: &'a BillOrder,
    marks: Watermarks,
    pub(super) pending: BTreeSet<(SubscriptionId, Timestamp)>,
    pub(super) out: Drawn,
}

/// What an account has to be billed.
pub(super) async fn draw(tx: &mut Tx, bill: &AccountBill, order: &BillOrder) -> Result<Drawn> {
    let subscriptions: HashSet<SubscriptionId> = bill.contracts.iter().map(|contract| contract.subscription).collect();
    let limit = order.now.plus_millis(-bill.settings.late_limit.as_millis_i64());
    let late = usage::late(tx, &subscriptions).await?;
    let mut draw = Draw {
        bill,
        order,
        marks: Watermarks::read(tx).await?,
        pending: pending(tx, &subscriptions).await?,
        out: Drawn {
            commit: usage::newest_commit(tx).await?,
            late: late
                .into_iter()
                .map(|late| (late.is_before(limit), late))
                .map(|(old, late)| (late, old))
                .collect(),
            ..Drawn::default()
        },
    };
    let fresh: Vec<_> = draw
        .out
        .late
        .iter()
        .filter(|(_, old)| !old)
        .map(|(late, _)| (late.subscription, late.period_start))
        .collect();
    draw.pending.extend(fresh);
    match order.mode {
        BillMode::Reissue(invoice) => draw.reissue(tx, invoice).await?,
        BillMode::Due | BillMode::Interim => {
            let cursors = cursors(tx, bill).await?;
            for contract in &bill.contracts {
                draw.contract(tx, contract, cursors.get(&contract.subscription).copied())
                    .await?;
            }
        }
    }
    draw.deltas(tx).await?;
    Ok(draw.out)
}

async fn cursors(tx: &mut Tx, bill: &AccountBill) -> Result<HashMap<SubscriptionId, Cursor>> {
    let sql = "SELECT * FROM billing_cursor WHERE account = $1";
    let rows: Vec<Cursor> = tx.all(sql, args![bill.account.id]).await?;
    Ok(rows.into_iter().map(|cursor| (cursor.subscription, cursor)).collect())
}

async fn pending(
    tx: &mut Tx,
    subscriptions: &HashSet<SubscriptionId>,
) -> Result<BTreeSet<(SubscriptionId, Timestamp)>> {
    let mut found = BTreeSet::new();
    for subscription in subscriptions {
        let sql = "SELECT period_start FROM pending_correction WHERE subscription = $1";
        for row in tx.rows(sql, args![*subscription]).await? {
            found.insert((*subscription, row.get("period_start")?));
        }
    }
    Ok(found)
}

impl Draw<'_> {
    async fn contract(&mut self, tx: &mut Tx, contract: &Contract, cursor: Option<Cursor>) -> Result<()> {
        let first = match cursor {
            Some(cursor) => cursor,
            None => Cursor {
                subscription: contract.subscription,
                usage_from: contract
                    .schedule
                    .period_at(contract.activated_at)
                    .map_err(unbillable)?
                    .start,
                recurring_from: contract.activated_at,
                settled: false,
            },
        };
        self.corrections(tx, contract).await?;
        if first.settled {
            return Ok(());
        }
        let usage_from = self.usage(tx, contract, first.usage_from).await?;
        let skipped = self.recurring(contract, (first.recurring_from, usage_from))?;
        let over = contract
            .ended_at
            .is_some_and(|ended| usage_from >= ended && ended <= self.order.now);
        let next = Cursor {
            usage_from,
            recurring_from: if skipped {
                first.recurring_from
            } else {
                contract
                    .recurring_since(self.order.now)
                    .map_err(unbillable)?
                    .max(first.recurring_from)
            },
            settled: over && !skipped,
            ..first
        };
        if cursor != Some(next) {
            self.out.cursors.push(next);
        }
        Ok(())
    }

    /// Rates every period whose usage is complete, and returns the start of the first that is not.
    async fn usage(&mut self, tx: &mut Tx, contract: &Contract, mut from: Timestamp) -> Result<Timestamp> {
        let now = self.order.now;
        while contract.ended_at.is_none_or(|ended| from < ended) {
            let period = contract.schedule.period_at(from).map_err(unbillable)?;
            let end = contract.closes_at(&period);
            if !self.marks.closed((period.start, end), now, &self.bill.settings) {
                if end <= now {
                    self.out.waiting.push(Waiting {
                        subscription: contract.subscription,
                        period_end: end,
                        producers: self.marks.behind(end),
                    });
                }
                if self.order.mode == BillMode::Interim && from <= now {
                    self.rate(tx, contract, &period, RunKind::Interim).await?;
                }
                break;
            }
            self.rate(tx, contract, &period, RunKind::Final).await?;
            self.out.closed.push((contract.subscription, period));
            from = period.end;
        }
        Ok(from)
    }

    async fn rate(&mut self, tx: &mut Tx, contract: &Contract, period: &Period, kind: RunKind) -> Result<()> {
        let key = (contract.subscription, period.start);
        let too_late = self
            .out
            .late
            .iter()
            .filter(|(late, old)| *old && late.of(key.0, key.1))
            .map(|(late, _)| late);
        let used = usage::used(tx, key.0, key.1, too_late).await?;
        let proration = self.bill.proration(contract);
        let mut charges = contract
            .usage_charges(period, &used, POLICY, &proration)
            .map_err(unbillable)?;
        if kind != RunKind::Final {
            for charge in &mut charges {
                charge.due = self.order.now;
                charge.service.1 = charge.service.1.min(self.order.now);
            }
        }
        let closing = if kind == RunKind::Final {
            self.marks.closing(period.start, contract.closes_at(period))
        } else {
            Closing::default()
        };
        self.out.ratings.push(Rating {
            subscription: key.0,
            period_start: key.1,
            kind,
            closing,
            charges,
        });
        Ok(())
    }

    /// Adds the recurring amounts that are due; returns whether one has to wait.
    fn recurring(&mut self, contract: &Contract, (since, usage_from): (Timestamp, Timestamp)) -> Result<bool> {
        let proration = self.bill.proration(contract);
        let all = contract
            .recurring_charges(&proration, since, self.order.now)
            .map_err(unbillable)?;
        let settings = &self.bill.settings;
        let combined = |due: Timestamp| {
            let usage_waits = settings.combine && usage_from < due && due > contract.activated_at;
            usage_waits && contract.schedule.period_at(due).is_ok_and(|period| period.start == due)
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|charge| match charge.basis {
            Basis::Arrears => self
                .marks
                .closed((charge.key.period_start, charge.due), self.order.now, settings),
            Basis::Advance | Basis::Return => !combined(charge.due),
            Basis::Usage => true,
        });
        let mut by_period: BTreeMap<Timestamp, Vec<Charge>> = BTreeMap::new();
        for charge in ready {
            by_period.entry(charge.key.period_start).or_default().push(charge);
        }
        for (period_start, charges) in by_period {
            self.out.ratings.push(Rating {
                subscription: contract.subscription,
                period_start,
                kind: RunKind::Final,
                closing: Closing::default(),
                charges,
            });
        }
        Ok(!waiting.is_empty())
    }

    async fn corrections(&mut self, tx: &mut Tx, contract: &Contract) -> Result<()> {
        let own: Vec<Timestamp> = self
            .pending
            .iter()
            .filter(|(subscription, _)| *subscription == contract.subscription)
            .map(|(_, start)| *start)
            .collect();
        for start in own {
            let period = contract.schedule.period_at(start).map_err(unbillable)?;
            if period.start == start {
                self.rate(tx, contract, &period, RunKind::Correction).await?;
            }
        }
        Ok(())
    }

    /// Rates again what a void invoice had charged.
    async fn reissue(&mut self, tx: &mut Tx, invoice: InvoiceId) -> Result<()> {
        let voided = voiding::voided(tx, self.bill.account.id, invoice).await?;
        let bill = self.bill;
        for contract in &bill.contracts {
            let starts: BTreeSet<(Timestamp, bool)> = voided
                .keys
                .iter()
                .filter(|key| key.subscription == contract.subscription)
                .map(|key| (key.period_start, key.price.starts_with("recurring")))
                .collect();
            for (start, recurring) in starts {
                let from = self.out.ratings.len();
                if recurring {
                    let proration = bill.proration(contract);
                    let charges = contract
                        .recurring_charges(&proration, start, self.order.now)
                        .map_err(unbillable)?;
                    self.out.ratings.push(Rating {
                        subscription: contract.subscription,
                        period_start: start,
                        kind: RunKind::Reissue,
                        closing: Closing::default(),
                        charges,
                    });
                } else {
                    let period = contract.schedule.period_at(start).map_err(unbillable)?;
                    self.rate(tx, contract, &period, RunKind::Reissue).await?;
                }
                for rating in self.out.ratings.iter_mut().skip(from) {
                    rating.charges.retain(|charge| voided.keys.contains(&charge.key));
                    rating.charges.iter_mut().for_each(|charge| charge.due = voided.due);
                }
            }
        }
        Ok(())
    }
}
