//! Writes what was drawn: rating runs, charges, invoices and credit notes, in the transaction that drew it.

use domain::charge::ChargeKey;
use domain::clock::Timestamp;
use domain::ids::{ChargeLineId, InvoiceId, InvoiceLineId, RatingRunId};
use domain::invoice::{Creditable, Delta, Party, Refund, RunKind};
use domain::money::Exact;
use domain::random;
use serde::{Deserialize, Serialize};

use super::credit_notes::{self, Note};
use super::draw::{Drawn, Group, POLICY, Rating};
use super::{AccountBill, BillMode, BillOrder, BillOutcome, finalize, usage};
use crate::{Error, Result, Tx, args};

/// What an invoice's row carries besides its sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) seller: Party,
    pub(super) customer: Party,
    pub(super) zone: String,
    pub(super) notes: Vec<String>,
    pub(super) missing_producers: Vec<String>,
}

/// Where charges are written to.
struct Write<'a> {
    tx: &'a mut Tx,
    bill: &'a AccountBill,
    order: &'a BillOrder,
    drawn: &'a Drawn,
    runs: Vec<Option<RatingRunId>>,
}

pub(super) async fn write(tx: &mut Tx, bill: &AccountBill, order: &BillOrder, drawn: Drawn) -> Result<BillOutcome> {
    marks(tx, bill, order, &drawn).await?;
    let mut write = Write {
        runs: vec![None; drawn.ratings.len()],
        tx,
        bill,
        order,
        drawn: &drawn,
    };
    let mut outcome = BillOutcome::default();
    for group in &drawn.groups {
        if !group.lines.is_empty() {
            outcome.invoices.push(write.invoice(group).await?);
        }
        for (refund, places) in &group.refunds {
            outcome.credit_notes.extend(write.refund(refund, places).await?);
        }
    }
    if outcome.invoices.is_empty() && matches!(order.mode, BillMode::Reissue(_)) {
        return Err(Error::State(
            "nothing of this invoice is left to bill: it was reissued before".to_owned(),
        ));
    }
    outcome.waiting.clone_from(&drawn.waiting);
    Ok(outcome)
}

/// Moves cursors and takes late usage off its queue.
async fn marks(tx: &mut Tx, bill: &AccountBill, order: &BillOrder, drawn: &Drawn) -> Result<()> {
    for (late, too_late) in &drawn.late {
        usage::settle_late(tx, late, *too_late, order.now).await?;
    }
    let closed = drawn
        .closed
        .iter()
        .map(|(subscription, period)| args![*subscription, period.start, period.end]);
    let sql = "INSERT INTO rated_period (subscription, period_start, period_end) VALUES ($1, $2, $3)";
    usage::for_each(tx, sql, closed).await?;
    let corrected = drawn
        .corrected
        .iter()
        .map(|(subscription, start)| args![*subscription, *start]);
    let sql = "DELETE FROM pending_correction WHERE subscription = $1 AND period_start = $2";
    usage::for_each(tx, sql, corrected).await?;
    let cursors = drawn.cursors.iter().map(|cursor| {
        args![
            cursor.subscription,
            bill.account.id,
            cursor.usage_from,
            cursor.recurring_from,
            cursor.settled
        ]
    });
    let sql = "INSERT INTO billing_cursor (subscription, account, usage_from, recurring_from, settled) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (subscription) DO UPDATE SET usage_from = excluded.usage_from, recurring_from = excluded.recurring_from,
            settled = excluded.settled";
    usage::for_each(tx, sql, cursors).await
}

impl Write<'_> {
    fn rating_of(&self, key: &ChargeKey) -> Result<(usize, &Rating)> {
        let entry = self.drawn.entries.get(key).ok_or(Error::Missing("rating"))?;
        let rating = self.drawn.ratings.get(entry.rating).ok_or(Error::Missing("rating"))?;
        Ok((entry.rating, rating))
    }

    /// The run of the rating, written when its first charge is.
    async fn run(&mut self, key: &ChargeKey) -> Result<RatingRunId> {
        let (index, rating) = self.rating_of(key)?;
        if let Some(known) = self.runs.get(index).copied().flatten() {
            return Ok(known);
        }
        let rating = rating.clone();
        let earlier: Option<i64> = self
            .tx
            .scalar(
                "SELECT COUNT(*) FROM rating_run WHERE subscription = $1 AND period_start = $2",
                args![rating.subscription, rating.period_start],
            )
            .await?;
        let id = RatingRunId::new(self.order.now, random::bytes());
        // The number of earlier runs stands in the cutoff: two runs that saw the same books cannot both be written.
        let cutoff = format!("{}/{}/{}", self.drawn.commit, POLICY.version, earlier.unwrap_or(0));
        self.tx
            .execute(
                "INSERT INTO rating_run (id, account, subscription, period_start, kind, cutoff, policy, rated_at, closing_json)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                args![
                    id,
                    self.bill.account.id,
                    rating.subscription,
                    rating.period_start,
                    rating.kind.as_str(),
                    cutoff,
                    POLICY.version,
                    self.order.now,
                    serde_json::to_string(&rating.closing)?
                ],
            )
            .await?;
        if let Some(slot) = self.runs.get_mut(index) {
            *slot = Some(id);
        }
        Ok(id)
    }

    /// Writes one charge of a document: `part` minor units of the delta, and its quantity unless a part took it before.
    async fn charge(&mut self, delta: &Delta, document: &str, (part, nth): (i64, i64)) -> Result<ChargeLineId> {
        let charge = &delta.charge;
        let run = self.run(&charge.key).await?;
        let entry = self.drawn.entries.get(&charge.key).ok_or(Error::Missing("rating"))?;
        let late = self.rating_of(&charge.key)?.1.kind == RunKind::Correction;
        let late_before = late.then(|| {
            self.order
                .now
                .plus_millis(-self.bill.settings.late_limit.as_millis_i64())
        });
        let (units, nanos) = if nth == 0 { delta.quantity.parts() } else { (0, 0) };
        let before = if nth == 0 {
            delta.billed.minor
        } else {
            charge.minor - part
        };
        let id = ChargeLineId::new(self.order.now, random::bytes());
        self.tx
            .execute(
                "INSERT INTO charge_line (id, run, account, subscription, period_start, price, segment, seq, plan_version, meter,
                     currency, cum_qty, quantity_units, quantity_nanos, exact_amount, cum_minor, billed_before_minor, delta_minor,
                     from_commit, through_commit, late_before, document, detail_json)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
                args![
                    id,
                    run,
                    self.bill.account.id,
                    charge.key.subscription,
                    charge.key.period_start,
                    &charge.key.price,
                    charge.key.segment,
                    entry.before.next_seq + nth,
                    charge.plan_version,
                    charge.meter.as_deref(),
                    charge.currency.code(),
                    charge.quantity.to_string(),
                    units,
                    nanos,
                    charge.exact.to_string(),
                    before + part,
                    before,
                    part,
                    entry.before.through_commit,
                    self.drawn.commit,
                    late_before,
                    document,
                    serde_json::to_string(&charge.rated)?
                ],
            )
            .await?;
        Ok(id)
    }

    async fn invoice(&mut self, group: &Group) -> Result<InvoiceId> {
        let id = InvoiceId::new(self.order.now, random::bytes());
        let subtotal = group
            .lines
            .iter()
            .try_fold(0_i64, |sum, delta| sum.checked_add(delta.minor))
            .ok_or_else(|| Error::State("an invoice would not fit into 64 bits".to_owned()))?;
        let same: Option<i64> = self
            .tx
            .scalar(
                "SELECT COUNT(*) FROM invoice WHERE account = $1 AND currency = $2 AND due = $3",
                args![self.bill.account.id, group.currency.code(), group.due],
            )
            .await?;
        let body = self.body(group)?;
        let key = format!(
            "{}/{}/{}/{}",
            self.bill.account.id,
            group.currency.code(),
            group.due.as_millis(),
            same.unwrap_or(0)
        );
        self.tx
            .execute(
                "INSERT INTO invoice (id, account, currency, due, idem_key, created_at, subtotal, tax, total, body_json)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $7, $8)",
                args![
                    id,
                    self.bill.account.id,
                    group.currency.code(),
                    group.due,
                    key,
                    self.order.now,
                    subtotal,
                    serde_json::to_string(&body)?
                ],
            )
            .await?;
        for (n, delta) in (1_i64..).zip(&group.lines) {
            self.line(id, n, delta).await?;
        }
        finalize::event(self.tx, id, finalize::Step::new("draft", self.order)).await?;
        if self.order.finalize {
            finalize::issue(self.tx, id, &self.bill.settings, self.order).await?;
        }
        Ok(id)
    }

    fn body(&self, group: &Group) -> Result<Body> {
        let mut body = Body {
            seller: self.bill.seller.clone(),
            customer: self.bill.customer(),
            zone: self.bill.account.fields.timezone.clone(),
            ..Body::default()
        };
        for delta in &group.lines {
            let closing = &self.rating_of(&delta.charge.key)?.1.closing;
            for note in closing.notes() {
                if !body.notes.contains(&note) {
                    body.notes.push(note);
                }
            }
            for producer in &closing.missing_producers {
                if !body.missing_producers.contains(producer) {
                    body.missing_producers.push(producer.clone());
                }
            }
        }
        Ok(body)
    }

    async fn line(&mut self, invoice: InvoiceId, n: i64, delta: &Delta) -> Result<()> {
        let charge = self.charge(delta, &invoice.to_string(), (delta.minor, 0)).await?;
        let text = &delta.charge.text;
        let tiers = delta.charge.rated.as_ref().map(|rated| &rated.detail);
        let mut description = text.description.clone();
        if delta.billed.charges > 0 && delta.charge.rated.is_some() {
            let before = delta.charge.quantity.saturating_sub(delta.quantity);
            description = format!("{description}, after {before} billed before");
        }
        let included = delta
            .charge
            .rated
            .as_ref()
            .map(|rated| &rated.included)
            .filter(|included| !included.is_zero());
        if let Some(included) = included {
            description = format!("{description} ({} included)", plain(included));
        }
        self.tx
            .execute(
                "INSERT INTO invoice_line (invoice, n, id, charge_line, description, quantity, unit_label, unit_price, tiers_json,
                     amount, period_start, period_end)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                args![
                    invoice,
                    n,
                    InvoiceLineId::new(self.order.now, random::bytes()),
                    charge,
                    description,
                    delta.quantity.to_string(),
                    &text.unit_label,
                    text.unit_price.as_deref(),
                    tiers.map_or_else(|| Ok("[]".to_owned()), serde_json::to_string)?,
                    delta.minor,
                    delta.charge.service.0,
                    delta.charge.service.1
                ],
            )
            .await
            .map(drop)
    }

    /// One credit note for each invoice that the money goes back against.
    async fn refund(&mut self, refund: &Refund, places: &[Creditable]) -> Result<Vec<domain::ids::CreditNoteId>> {
        let mut by_invoice: Vec<(InvoiceId, Vec<(u32, i64)>)> = Vec::new();
        for place in places {
            match by_invoice.last_mut().filter(|(invoice, _)| *invoice == place.invoice) {
                Some((_, lines)) => lines.push((place.line, place.remaining)),
                None => by_invoice.push((place.invoice, vec![(place.line, place.remaining)])),
            }
        }
        let Some(first) = refund.deltas.first() else {
            return Ok(Vec::new());
        };
        let reason = reason(first);
        let mut notes = Vec::new();
        let mut given = 0_i64;
        for (nth, (invoice, lines)) in (0_i64..).zip(by_invoice) {
            let net = lines.iter().fold(0_i64, |sum, (_, amount)| sum.saturating_add(*amount));
            let note = Note {
                invoice,
                reason: reason.clone(),
                lines,
            };
            let id = credit_notes::issue(self.tx, &note, self.order).await?;
            self.refund_charges(refund, &id.to_string(), (net, given, nth)).await?;
            given = given.saturating_add(net);
            notes.push(id);
        }
        Ok(notes)
    }

    /// Usage takes back exactly what the notes give; recurring amounts are one whole and stand in the first note.
    async fn refund_charges(&mut self, refund: &Refund, note: &str, (net, given, nth): (i64, i64, i64)) -> Result<()> {
        let [only] = refund.deltas.as_slice() else {
            if nth == 0 {
                for delta in &refund.deltas {
                    self.charge(delta, note, (delta.minor, 0)).await?;
                }
            }
            return Ok(());
        };
        let mut part = only.clone();
        part.charge.minor = only.billed.minor.saturating_sub(given).saturating_sub(net);
        self.charge(&part, note, (-net, nth)).await.map(drop)
    }
}

fn reason(first: &Delta) -> String {
    let date = |at: Timestamp| at.to_string().chars().take(10).collect::<String>();
    let (from, to) = first.charge.service;
    match first.charge.basis {
        domain::charge::Basis::Usage => format!(
            "{}, {} to {}: rated again",
            first.charge.text.description,
            date(from),
            date(to)
        ),
        domain::charge::Basis::Advance | domain::charge::Basis::Return | domain::charge::Basis::Arrears => {
            format!("{}, {} to {}", first.charge.text.description, date(from), date(to))
        }
    }
}

fn plain(value: &Exact) -> String {
    value.to_string()
}
