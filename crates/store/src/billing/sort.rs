//! From ratings to documents: what was billed before is subtracted, what is left finds its line or its refund.

use std::collections::{BTreeMap, BTreeSet};

use domain::charge::{Basis, Charge};
use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::invoice::{Creditable, Delta, Refund, RunKind, allocate, assemble, delta};

use super::draw::{Draw, Entry, Group};
use super::unbillable;
use super::usage::{self, Before};
use crate::{Error, Result, Tx, args};

impl Draw<'_> {
    /// Subtracts what was billed before and sorts what is left into documents.
    pub(super) async fn deltas(&mut self, tx: &mut Tx) -> Result<()> {
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
                let Some(delta) = Self::left(rating.kind, charge, found, &before)? else {
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
