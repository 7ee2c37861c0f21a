//! What an account has to be billed now: a view of the ledger, and pure decisions on it. Writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::billable::Policy;
use domain::charge::{Basis, Charge, Contract};
use domain::clock::Timestamp;
use domain::ids::{InvoiceId, SubscriptionId};
use domain::invoice::{Creditable, Delta, Refund, RunKind, allocate, assemble, delta};
use domain::money::Currency;
use domain::period::Period;

use super::closing::{Closing, Watermarks};
use super::usage::{self, Before, Late};
use super::{AccountBill, BillMode, BillOrder, Waiting, unbillable, voiding};
use crate::{Error, FromRow, Result, Row, Tx, args};

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
    charges: Vec<Charge>,
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

struct Draw<'a> {
    bill: &'a AccountBill,
    order: &'a BillOrder,
    marks: Watermarks,
    pending: BTreeSet<(SubscriptionId, Timestamp)>,
    out: Drawn,
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
            if !self.marks.closed(end, now, &self.bill.settings) {
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
            Basis::Arrears => self.marks.closed(charge.due, self.order.now, settings),
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

    /// Subtracts what was billed before and sorts what is left into documents.
    async fn deltas(&mut self, tx: &mut Tx) -> Result<()> {
        let mut groups: BTreeMap<(&'static str, Timestamp), Vec<Delta>> = BTreeMap::new();
        let mut corrections: Vec<Delta> = Vec::new();
        let ratings = self.out.ratings.clone();
        for (index, rating) in ratings.iter().enumerate() {
            let before = usage::billed(tx, rating.subscription, rating.period_start).await?;
            for charge in &rating.charges {
                let found = before
                    .get(&(charge.key.price.clone(), charge.key.segment))
                    .copied()
                    .unwrap_or_default();
                let Some(delta) = self.left(rating.kind, charge, found, &before)? else {
                    continue;
                };
                self.out.entries.insert(
                    charge.key.clone(),
                    Entry {
                        rating: index,
                        before: found,
                    },
                );
                if rating.kind == RunKind::Correction && delta.minor >= 0 {
                    corrections.push(delta);
                } else {
                    groups
                        .entry((charge.currency.code(), charge.due))
                        .or_default()
                        .push(delta);
                }
            }
        }
        let mut postponed = self.place(corrections, &mut groups);
        for ((_, due), deltas) in groups {
            postponed.extend(self.group(tx, due, deltas).await?);
        }
        let corrected = ratings.iter().filter(|rating| rating.kind == RunKind::Correction);
        let keys = corrected.map(|rating| (rating.subscription, rating.period_start));
        self.out.corrected = keys
            .filter(|key| !postponed.contains(key) && self.pending.contains(key))
            .collect();
        Ok(())
    }

    fn left(
        &self,
        kind: RunKind,
        charge: &Charge,
        found: Before,
        before: &BTreeMap<(String, u32), Before>,
    ) -> Result<Option<Delta>> {
        if found.currency.is_some_and(|currency| currency != charge.currency) {
            // What was paid in advance stays paid; usage must not be billed in two currencies.
            return match charge.basis {
                Basis::Advance | Basis::Return | Basis::Arrears => Ok(None),
                Basis::Usage => Err(Error::State(format!(
                    "{} was billed in another currency before",
                    charge.key.subscription
                ))),
            };
        }
        let again = matches!(kind, RunKind::Correction) || charge.basis != Basis::Usage;
        if found.billed.held && again && kind != RunKind::Reissue {
            return Ok(None);
        }
        let mut charge = charge.clone();
        if charge.basis == Basis::Return {
            // Nothing returns of what is not charged: the amount may be charged in this very pass, or stand in a void.
            let paid = before
                .get(&("recurring".to_owned(), charge.key.segment))
                .map_or(i64::MAX, |paid| if paid.billed.held { 0 } else { paid.billed.minor });
            charge.minor = charge.minor.max(paid.saturating_neg());
        }
        let late = kind == RunKind::Correction;
        let mut delta = delta(charge, found.billed).map_err(unbillable)?;
        if let Some(delta) = delta.as_mut().filter(|_| late) {
            delta.charge.text.description.push_str(" (late usage)");
        }
        Ok(delta.filter(|delta| !late || delta.minor != 0))
    }

    /// Puts late usage onto the next invoice of its currency. Returns what has to wait for one.
    fn place(
        &self,
        corrections: Vec<Delta>,
        groups: &mut BTreeMap<(&'static str, Timestamp), Vec<Delta>>,
    ) -> BTreeSet<(SubscriptionId, Timestamp)> {
        let now = self.order.now;
        let more_to_come = self
            .bill
            .contracts
            .iter()
            .any(|contract| contract.ended_at.is_none_or(|ended| ended > now));
        let mut postponed = BTreeSet::new();
        for delta in corrections {
            let code = delta.charge.currency.code();
            let next = groups
                .iter()
                .find(|((currency, _), deltas)| *currency == code && deltas.iter().any(|delta| delta.minor >= 0))
                .map(|(key, _)| *key);
            match next {
                Some(key) => groups.entry(key).or_default().push(delta),
                None if more_to_come => {
                    postponed.insert((delta.charge.key.subscription, delta.charge.key.period_start));
                }
                None => groups.entry((code, now)).or_default().push(delta),
            }
        }
        postponed
    }

    /// Adds the documents of one due instant. Returns the periods whose refund finds no line to go back against yet,
    /// because the line stands in a draft.
    async fn group(
        &mut self,
        tx: &mut Tx,
        due: Timestamp,
        deltas: Vec<Delta>,
    ) -> Result<Vec<(SubscriptionId, Timestamp)>> {
        let Some(currency) = deltas.first().map(|delta| delta.charge.currency) else {
            return Ok(Vec::new());
        };
        let assembled = assemble(deltas);
        let (mut refunds, mut unplaced) = (Vec::new(), Vec::new());
        for refund in assembled.refunds {
            let lines = creditable(tx, &refund).await?;
            let places = allocate(refund.minor, &lines);
            if places.is_empty() {
                let keys = refund.deltas.iter().map(|delta| &delta.charge.key);
                unplaced.extend(keys.map(|key| (key.subscription, key.period_start)));
            } else {
                refunds.push((refund, places));
            }
        }
        if !assembled.lines.is_empty() || !refunds.is_empty() {
            self.out.groups.push(Group {
                currency,
                due,
                lines: assembled.lines,
                refunds,
            });
        }
        Ok(unplaced)
    }
}

const CREDITABLE: &str = "SELECT l.invoice, l.n, l.amount, CAST(COALESCE((SELECT SUM(k.amount) FROM credit_note_line k
        WHERE k.invoice = l.invoice AND k.line = l.n), 0) AS BIGINT) AS credited
    FROM charge_line c JOIN invoice_line l ON l.charge_line = c.id JOIN invoice i ON i.id = l.invoice
    WHERE c.subscription = $1 AND c.period_start = $2 AND c.price = $3 AND ($4 = 0 OR c.segment = $4) AND l.amount > 0
      AND i.number IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM invoice_event e WHERE e.invoice = i.id AND e.status = 'void')
    ORDER BY c.seq DESC, c.segment DESC, l.invoice DESC";

/// The lines that a refund can go back against, newest first.
async fn creditable(tx: &mut Tx, refund: &Refund) -> Result<Vec<Creditable>> {
    let Some(first) = refund.deltas.first() else {
        return Ok(Vec::new());
    };
    let key = &first.charge.key;
    let (price, segment) = match first.charge.basis {
        Basis::Usage => (key.price.as_str(), key.segment),
        Basis::Advance | Basis::Return | Basis::Arrears => ("recurring", 0),
    };
    let rows = tx
        .rows(CREDITABLE, args![key.subscription, key.period_start, price, segment])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Creditable {
                invoice: row.get("invoice")?,
                line: row.get("n")?,
                remaining: row.get::<i64>("amount")? - row.get::<i64>("credited")?,
            })
        })
        .collect()
}
