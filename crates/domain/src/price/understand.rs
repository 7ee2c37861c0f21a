//! From an entry as written to a price that can be rated.

use super::validate::{Faults, check_brackets, check_steps};
use super::{Fault, Model, OnChange, Tier, UsageEntry};
use crate::money::{Decimal, Exact};

/// Tiers that a table may have.
const MAX_TIERS: usize = 100;

/// What the usage of one meter costs, ready to be rated. Amounts are exact major units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePrice {
    /// How the quantity becomes an amount.
    pub pricing: Pricing,
    /// Units a usage period that cost nothing.
    pub included: u64,
    /// The least that a period's usage costs.
    pub minimum: Option<Exact>,
    /// The most that a period's usage costs.
    pub maximum: Option<Exact>,
    /// What the quantity is multiplied by.
    pub multiplier: Exact,
    /// What happens when the plan changes inside a period.
    pub on_change: OnChange,
}

/// How a quantity becomes an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pricing {
    /// Each unit costs so much.
    Unit(Exact),
    /// Each unit costs what its tier says.
    Graduated(Table<Bracket>),
    /// All units cost what the tier of the total says.
    Volume(Table<Bracket>),
    /// Each started package of `size` units costs `amount`.
    Package {
        /// Units in a package, at least one.
        size: u64,
        /// Major units a package.
        amount: Exact,
    },
    /// The total costs what its tier says.
    Stairstep(Table<Step>),
}

/// Tiers that cover every quantity: bounded ones, ascending, then one without an end. Bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<T> {
    bounded: Vec<(u64, T)>,
    open: T,
}

/// The price of a graduated or volume tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bracket {
    /// Major units for each unit.
    pub unit: Exact,
    /// Major units once the tier is entered.
    pub flat: Exact,
}

/// The price of a stairstep tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Major units for the whole.
    pub amount: Exact,
}

impl<T> Table<T> {
    /// The tiers in order: the bound that a position must exceed to be in it, the last position in it (`None` for
    /// the last tier), and its price.
    pub fn rows(&self) -> impl Iterator<Item = (u64, Option<u64>, &T)> {
        let lower = std::iter::once(0).chain(self.bounded.iter().map(|(up_to, _)| *up_to));
        let bounded = self.bounded.iter().map(|(up_to, tier)| (Some(*up_to), tier));
        let upper = bounded.chain(std::iter::once((None, &self.open)));
        lower.zip(upper).map(|(from, (to, tier))| (from, to, tier))
    }

    /// The tier in which a position lies.
    pub fn at(&self, position: &Exact) -> (u64, Option<u64>, &T) {
        let inside = |to: &Option<u64>| to.is_none_or(|to| *position <= Exact::from(to));
        let last = self.bounded.last().map_or(0, |(up_to, _)| *up_to);
        self.rows()
            .find(|(_, to, _)| inside(to))
            .unwrap_or((last, None, &self.open))
    }
}

impl UsagePrice {
    /// The same price for each unit, after `included`.
    pub fn per_unit(unit: Exact, included: u64) -> Self {
        Self {
            pricing: Pricing::Unit(unit),
            included,
            minimum: None,
            maximum: None,
            multiplier: Exact::one(),
            on_change: OnChange::WholePeriod,
        }
    }

    /// The price of what exceeds a quota of `max` at so much a unit.
    pub fn overage(unit: Decimal, max: u64) -> Self {
        Self::per_unit(unit.into(), max)
    }

    /// The price of what exceeds a quota of `max` in proportion to what the plan costs: amount x overage / maximum.
    /// `None` for a quota of zero.
    pub fn prorated_overage(recurring: Decimal, max: u64) -> Option<Self> {
        let unit = Exact::from(recurring).checked_div(&Exact::from(max))?;
        Some(Self::per_unit(unit, max))
    }
}

impl UsageEntry {
    /// What the entry means, whatever its meter.
    ///
    /// # Errors
    /// Everything that is wrong, with pointers into the entry. Warnings alone are no error: see [`UsageEntry::faults`].
    pub fn understand(&self) -> Result<UsagePrice, Vec<Fault>> {
        let mut faults = Faults::default();
        let price = self.read(&mut faults);
        let errors = faults.into_errors();
        match price {
            Some(price) if errors.is_empty() => Ok(price),
            _ => Err(errors),
        }
    }

    /// Everything that is wrong with the entry or looks wrong, with pointers into it.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        let _ = self.read(&mut faults);
        faults.into_all()
    }

    /// The price, and into `faults` what is wrong; no price is returned without an error in `faults`.
    fn read(&self, faults: &mut Faults) -> Option<UsagePrice> {
        self.refuse_foreign_fields(faults);
        let pricing = self.pricing(faults);
        let minimum = faults.amount("/minimum", self.minimum);
        let maximum = faults.amount("/maximum", self.maximum);
        if self.minimum.zip(self.maximum).is_some_and(|(least, most)| least > most) {
            faults.error(
                "/minimum",
                "`minimum` is above `maximum`",
                "lower `minimum` or raise `maximum`",
            );
        }
        if self.multiplier.is_some_and(|multiplier| multiplier <= Decimal::ZERO) {
            faults.error(
                "/multiplier",
                "the quantity would vanish",
                "write a multiplier above 0, or remove it",
            );
        }
        Some(UsagePrice {
            pricing: pricing?,
            included: self.included.unwrap_or(0),
            minimum,
            maximum,
            multiplier: self.multiplier.map_or_else(Exact::one, Exact::from),
            on_change: self.on_change,
        })
    }

    fn refuse_foreign_fields(&self, faults: &mut Faults) {
        let tables = [Model::Graduated, Model::Volume, Model::Stairstep];
        let fields: [(&str, bool, &[Model]); 7] = [
            ("unit", self.unit.is_some(), &[Model::Unit]),
            ("tiers", self.tiers.is_some(), &tables),
            ("size", self.size.is_some(), &[Model::Package]),
            ("amount", self.amount.is_some(), &[Model::Package]),
            ("percent", self.percent.is_some(), &[Model::Percent]),
            ("fixed", self.fixed.is_some(), &[Model::Percent]),
            ("per_event", self.per_event.is_some(), &[Model::Percent]),
        ];
        for (field, present, models) in fields {
            if present && !models.contains(&self.model) {
                faults.foreign(&format!("/{field}"), field, self.model);
            }
        }
    }

    fn pricing(&self, faults: &mut Faults) -> Option<Pricing> {
        match self.model {
            Model::Unit => faults.needed("/unit", self.unit, self.model).map(Pricing::Unit),
            Model::Graduated => self.brackets(faults).map(Pricing::Graduated),
            Model::Volume => self.brackets(faults).map(Pricing::Volume),
            Model::Package => self.package(faults),
            Model::Stairstep => self.steps(faults).map(Pricing::Stairstep),
            Model::Percent => {
                self.refuse_percent(faults);
                None
            }
        }
    }

    fn package(&self, faults: &mut Faults) -> Option<Pricing> {
        let amount = faults.needed("/amount", self.amount, self.model);
        let Some(size) = self.size.filter(|size| *size > 0) else {
            faults.error("/size", "a package has no size", "write size: N, at least 1");
            return None;
        };
        Some(Pricing::Package { size, amount: amount? })
    }

    fn refuse_percent(&self, faults: &mut Faults) {
        faults.error(
            "/model",
            "percentages are not supported yet",
            "use unit, graduated, volume, package or stairstep",
        );
        let hundred = Decimal::from_integer(100);
        if self
            .percent
            .is_none_or(|percent| percent < Decimal::ZERO || percent > hundred)
        {
            faults.error(
                "/percent",
                "the percentage is not between 0 and 100",
                "write percent: \"2.9\" for 2.9 %",
            );
        }
        faults.amount("/fixed", self.fixed);
        let Some(bounds) = &self.per_event else { return };
        faults.amount("/per_event/min", bounds.min);
        faults.amount("/per_event/max", bounds.max);
        if bounds.min.zip(bounds.max).is_some_and(|(least, most)| least > most) {
            faults.error("/per_event/min", "`min` is above `max`", "lower `min` or raise `max`");
        }
    }

    fn brackets(&self, faults: &mut Faults) -> Option<Table<Bracket>> {
        let model = self.model;
        let table = self.table(faults, |faults, at, tier| {
            if tier.amount.is_some() {
                faults.foreign(&format!("{at}/amount"), "amount", model);
            }
            let flat = faults.amount(&format!("{at}/flat"), tier.flat);
            let unit = faults.needed(&format!("{at}/unit"), tier.unit, model)?;
            Some(Bracket {
                unit,
                flat: flat.unwrap_or_else(Exact::zero),
            })
        })?;
        if model == Model::Volume {
            check_brackets(&table, faults);
        }
        Some(table)
    }

    fn steps(&self, faults: &mut Faults) -> Option<Table<Step>> {
        let model = self.model;
        let table = self.table(faults, |faults, at, tier| {
            for (field, present) in [("unit", tier.unit.is_some()), ("flat", tier.flat.is_some())] {
                if present {
                    faults.foreign(&format!("{at}/{field}"), field, model);
                }
            }
            let amount = faults.needed(&format!("{at}/amount"), tier.amount, model)?;
            Some(Step { amount })
        })?;
        check_steps(&table, faults);
        Some(table)
    }

    /// Reads a table of tiers, each with `read`, and checks that they cover every quantity once.
    fn table<T>(&self, faults: &mut Faults, read: impl Fn(&mut Faults, &str, &Tier) -> Option<T>) -> Option<Table<T>> {
        let tiers = self.tiers.as_deref().unwrap_or_default();
        let Some((last, before)) = tiers.split_last() else {
            faults.error(
                "/tiers",
                "there are no tiers",
                "write at least one tier; the last one without `up_to`",
            );
            return None;
        };
        if tiers.len() > MAX_TIERS {
            faults.error(
                "/tiers",
                &format!("there are more than {MAX_TIERS} tiers"),
                "use fewer tiers",
            );
            return None;
        }
        let mut bounded = Vec::with_capacity(before.len());
        let mut reached = 0;
        for (index, tier) in before.iter().enumerate() {
            let at = format!("/tiers/{index}");
            let price = read(faults, &at, tier);
            let up_to = faults.bound(&at, tier.up_to, reached);
            reached = up_to.unwrap_or(reached);
            bounded.push(up_to.zip(price));
        }
        let at = format!("/tiers/{}", before.len());
        if last.up_to.is_some() {
            faults.error(
                &format!("{at}/up_to"),
                "the last tier has an end: larger quantities would have no price",
                "remove `up_to` from the last tier, or add a tier without `up_to`",
            );
        }
        let open = read(faults, &at, last)?;
        Some(Table {
            bounded: bounded.into_iter().collect::<Option<_>>()?,
            open,
        })
    }
}
