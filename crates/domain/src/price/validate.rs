//! Everything that is wrong with a price, each with the way out.

use std::collections::HashSet;

use super::understand::{Bracket, Step, Table};
use super::{Model, Price};
use crate::money::{Decimal, Exact};

/// Something that is wrong or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) to what is wrong, from the object that was checked.
    pub pointer: String,
    /// Whether the price can be used.
    pub severity: Severity,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

/// Whether a price with a fault can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It can; people may not have meant it.
    Warning,
    /// It cannot.
    Error,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.pointer, self.reason, self.remedy)
    }
}

/// Faults as they are found.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    fn push(&mut self, severity: Severity, pointer: &str, (reason, remedy): (&str, &str)) {
        self.0.push(Fault {
            pointer: pointer.to_owned(),
            severity,
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    pub(super) fn error(&mut self, pointer: &str, reason: &str, remedy: &str) {
        self.push(Severity::Error, pointer, (reason, remedy));
    }

    fn warning(&mut self, pointer: &str, reason: &str, remedy: &str) {
        self.push(Severity::Warning, pointer, (reason, remedy));
    }

    /// A key that the model has no use for.
    pub(super) fn foreign(&mut self, pointer: &str, field: &str, model: Model) {
        let reason = format!("`{field}` does not belong to the model {}", model.as_str());
        self.error(pointer, &reason, &format!("remove `{field}` or use another model"));
    }

    /// An amount that may be absent and must not be negative.
    pub(super) fn amount(&mut self, pointer: &str, amount: Option<Decimal>) -> Option<Exact> {
        let amount = amount?;
        if amount.is_negative() {
            self.error(
                pointer,
                &format!("{amount} is below zero"),
                "write an amount of at least 0",
            );
            return None;
        }
        Some(amount.into())
    }

    /// An amount that must be there and must not be negative.
    pub(super) fn needed(&mut self, pointer: &str, amount: Option<Decimal>, model: Model) -> Option<Exact> {
        if amount.is_none() {
            let field = pointer.rsplit('/').next().unwrap_or_default();
            let reason = format!("the model {} needs `{field}`", model.as_str());
            self.error(
                pointer,
                &reason,
                &format!("write {field}: \"0.01\" with the price you want"),
            );
        }
        self.amount(pointer, amount)
    }

    /// The bound of a tier that is not the last, which must lie above the bound before it.
    pub(super) fn bound(&mut self, tier: &str, up_to: Option<u64>, reached: u64) -> Option<u64> {
        let Some(up_to) = up_to else {
            self.error(
                tier,
                "only the last tier may be without `up_to`",
                "write up_to: N, or move the tier to the end",
            );
            return None;
        };
        if up_to <= reached {
            let reason = format!("the tier ends at {up_to}, where {reached} was reached before it");
            self.error(
                &format!("{tier}/up_to"),
                &reason,
                "write tiers with ascending `up_to`, each at least 1",
            );
            return None;
        }
        Some(up_to)
    }

    pub(super) fn into_errors(self) -> Vec<Fault> {
        self.0
            .into_iter()
            .filter(|fault| fault.severity == Severity::Error)
            .collect()
    }

    pub(super) fn into_all(self) -> Vec<Fault> {
        self.0
    }

    fn take_in(&mut self, prefix: &str, faults: Vec<Fault>) {
        self.0.extend(faults.into_iter().map(|fault| Fault {
            pointer: format!("{prefix}{}", fault.pointer),
            ..fault
        }));
    }
}

/// Warns where one more unit makes the whole volume cheaper.
pub(super) fn check_brackets(table: &Table<Bracket>, faults: &mut Faults) {
    let cost = |tier: &Bracket, units: u64| &(&tier.unit * &Exact::from(units)) + &tier.flat;
    let rows: Vec<_> = table.rows().collect();
    for (index, pair) in rows.windows(2).enumerate() {
        if let [(_, Some(up_to), tier), (_, _, next)] = pair
            && cost(tier, *up_to) > cost(next, up_to.saturating_add(1))
        {
            let (below, above) = (cost(tier, *up_to), cost(next, up_to.saturating_add(1)));
            warn_of_cliff(faults, index, *up_to, (&below, &above));
        }
    }
}

/// Warns where one more unit makes the total cheaper.
pub(super) fn check_steps(table: &Table<Step>, faults: &mut Faults) {
    let rows: Vec<_> = table.rows().collect();
    for (index, pair) in rows.windows(2).enumerate() {
        if let [(_, Some(up_to), tier), (_, _, next)] = pair
            && tier.amount > next.amount
        {
            warn_of_cliff(faults, index, *up_to, (&tier.amount, &next.amount));
        }
    }
}

fn warn_of_cliff(faults: &mut Faults, index: usize, up_to: u64, (below, above): (&Exact, &Exact)) {
    let reason = format!("a cliff: {up_to} units cost {below}, one more unit makes the whole {above}");
    let remedy = "if that is not meant, use graduated tiers, or raise the price of the next tier";
    faults.warning(&format!("/tiers/{}", index + 1), &reason, remedy);
}

/// Everything that is wrong with a price or looks wrong, with pointers into the price. It can be published when no
/// fault is an error.
pub fn validate(price: &Price) -> Vec<Fault> {
    let mut faults = Faults::default();
    check_minimum(price, &mut faults);
    if price.commitment.is_some() {
        faults.error(
            "/commitment",
            "commitments are not supported yet",
            "remove `commitment`",
        );
    }
    check_recurring(price, &mut faults);
    check_usage(price, &mut faults);
    faults.into_all()
}

fn check_minimum(price: &Price, faults: &mut Faults) {
    if faults
        .amount("/minimum", price.minimum)
        .is_some_and(|minimum| minimum.is_positive())
    {
        faults.error(
            "/minimum",
            "a minimum of the whole plan is not supported yet",
            "remove `minimum`, or write it into an entry of `usage`",
        );
    }
}

fn check_recurring(price: &Price, faults: &mut Faults) {
    let Some(recurring) = &price.recurring else { return };
    faults.amount("/recurring/amount", Some(recurring.amount));
    if recurring.every.times(price.usage_period).is_none() {
        let reason = format!(
            "{} is no whole number of usage periods of a {}",
            recurring.every, price.usage_period
        );
        faults.error(
            "/recurring/every",
            &reason,
            "write a multiple of `usage_period`, or change `usage_period`",
        );
    }
}

fn check_usage(price: &Price, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (index, entry) in price.usage.iter().enumerate() {
        let at = format!("/usage/{index}");
        if entry.meter.is_empty() {
            faults.error(
                &format!("{at}/meter"),
                "the meter is missing",
                "write meter: NAME, such as requests",
            );
        } else if !seen.insert(entry.meter.as_str()) {
            let reason = format!("the meter {} has a price already", entry.meter);
            faults.error(&format!("{at}/meter"), &reason, "write one entry a meter");
        }
        faults.take_in(&at, entry.faults());
    }
}
