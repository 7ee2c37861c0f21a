//! What customers would pay under a plan: a table and a chart over quantities, by the rating that makes invoices.

use domain::charge::Terms;
use domain::config::Plan;
use domain::limit::REQUESTS;
use domain::money::{Currency, OutOfRange, round_half_away_from_zero};

use crate::estimate;
use crate::pages::catalogue::price;
use crate::pages::web::chart::{Chart, Point, Series, Unit};
use crate::pages::web::{Html, show};
use crate::pricing;

const STEPS: [u64; 5] = [1_000, 10_000, 100_000, 250_000, 1_000_000];
const REACH: u64 = 1_000_000;
const POINTS: u64 = 41;

/// The preview of a plan in one currency.
pub(super) struct Preview {
    pub(super) currency: &'static str,
    pub(super) meters: Vec<MeterPreview>,
    /// Said of a base price that covers several usage periods.
    pub(super) spread: Option<Spread>,
}

/// A base price over several usage periods, such as a yearly one.
pub(super) struct Spread {
    pub(super) words: String,
    /// Head of the column of sums over all of them: `A year`.
    pub(super) head: String,
}

/// What a meter costs.
pub(super) struct MeterPreview {
    pub(super) meter: String,
    pub(super) rows: Vec<CostRow>,
    pub(super) chart: Option<Html>,
    /// What is said of a quota that ends below the largest row.
    pub(super) ceiling: Option<String>,
}

/// What a quantity costs.
pub(super) struct CostRow {
    pub(super) quantity: String,
    pub(super) old: String,
    pub(super) new: String,
    /// The same use in each period, over all periods that the base price covers.
    pub(super) long: String,
    pub(super) change: String,
    /// `gain`, `loss` or nothing, as the customer sees it.
    pub(super) class: &'static str,
}

/// The previews of a plan, one for each of its currencies, beside the version in force.
pub(super) fn previews(plan: &Plan, old: Option<&Plan>) -> Vec<Preview> {
    let mut currencies: Vec<Currency> = plan
        .price
        .iter()
        .chain(&plan.prices)
        .map(|price| price.currency)
        .collect();
    if currencies.is_empty() {
        currencies.extend(old.and_then(|old| old.price.as_ref()).map(|price| price.currency));
    }
    if currencies.is_empty() {
        currencies.push(Currency::default());
    }
    currencies
        .into_iter()
        .filter_map(|currency| preview(plan, old, currency))
        .collect()
}

fn preview(plan: &Plan, old: Option<&Plan>, currency: Currency) -> Option<Preview> {
    let new = Terms::of(plan, currency).ok()?;
    // A version that is sold in another currency alone is not compared: sums are never mixed.
    let old = old.and_then(|old| {
        let terms = Terms::of(old, currency).ok()?;
        (terms.currency == currency).then_some((old, terms))
    });
    let old = old.as_ref().map(|(plan, terms)| Side { plan, terms });
    let new = Side { plan, terms: &new };
    let mut meters = vec![REQUESTS.to_owned()];
    for term in &new.terms.usage {
        if !meters.contains(&term.meter) {
            meters.push(term.meter.clone());
        }
    }
    let meters = meters.into_iter().map(|meter| one(meter, &new, old.as_ref())).collect();
    Some(Preview {
        currency: currency.code(),
        meters,
        spread: new.spread(),
    })
}

struct Side<'a> {
    plan: &'a Plan,
    terms: &'a Terms,
}

impl Side<'_> {
    /// What so many units cost: what is refused costs nothing.
    fn cost(&self, meter: &str, units: u64) -> Result<i64, OutOfRange> {
        let served = pricing::ceiling(self.plan, meter).map_or(units, |most| most.min(units));
        pricing::cost(self.plan, self.terms, meter, served)
    }

    /// What as many in each period come to over all periods that the base price covers.
    fn long_cost(&self, meter: &str, units: u64) -> Result<i64, OutOfRange> {
        let served = pricing::ceiling(self.plan, meter).map_or(units, |most| most.min(units));
        pricing::long_cost(self.plan, self.terms, meter, served)
    }

    /// How the base price enters the sums of one period, where it covers several.
    fn spread(&self) -> Option<Spread> {
        let recurring = self.terms.recurring.as_ref()?;
        if pricing::periods(self.plan, self.terms) < 2 {
            return None;
        }
        let currency = self.terms.currency;
        let price = estimate::price_in(self.plan, currency)?;
        let share = round_half_away_from_zero(&estimate::base(self.terms, Some(price)), currency).ok()?;
        let whole = show::major(&recurring.amount.to_string(), currency);
        let (long, short) = (price::every(recurring.every), price::every(price.usage_period));
        Some(Spread {
            words: format!(
                "The base price is {whole} {long}. It is asked for once; {short} it comes to {}, which is what the table counts.",
                show::minor(share, currency)
            ),
            head: price::capital(&long),
        })
    }
}

fn one(meter: String, new: &Side<'_>, old: Option<&Side<'_>>) -> MeterPreview {
    let currency = new.terms.currency;
    let rows = STEPS.iter().map(|units| {
        let after = new.cost(&meter, *units);
        let before = old.map(|old| old.cost(&meter, *units));
        row(*units, before, (after, new.long_cost(&meter, *units)), currency)
    });
    let ceiling = pricing::ceiling(new.plan, &meter).filter(|most| *most < REACH);
    MeterPreview {
        rows: rows.collect(),
        chart: chart(&meter, new, old),
        ceiling: ceiling.map(|most| {
            format!(
                "Above {} a usage period, {meter} are refused and cost nothing.",
                show::number(most)
            )
        }),
        meter,
    }
}

fn row(
    units: u64,
    before: Option<Result<i64, OutOfRange>>,
    (after, long): (Result<i64, OutOfRange>, Result<i64, OutOfRange>),
    currency: Currency,
) -> CostRow {
    let words = |amount: &Result<i64, OutOfRange>| {
        amount.as_ref().map_or_else(
            |_| "more than an invoice holds".to_owned(),
            |amount| show::minor(*amount, currency),
        )
    };
    let (change, class) = match (&before, &after) {
        (Some(Ok(before)), Ok(after)) => difference(after.saturating_sub(*before), currency),
        _ => (show::NOTHING.to_owned(), ""),
    };
    CostRow {
        quantity: show::number(units),
        old: before.as_ref().map_or_else(|| show::NOTHING.to_owned(), words),
        new: words(&after),
        long: words(&long),
        change,
        class,
    }
}

/// A change of money with its sign, and how the customer likes it.
pub(super) fn difference(change: i64, currency: Currency) -> (String, &'static str) {
    match change {
        0 => ("no change".to_owned(), ""),
        1.. => (format!("+{}", show::minor(change, currency)), "loss"),
        _ => (show::minor(change, currency), "gain"),
    }
}

fn chart(meter: &str, new: &Side<'_>, old: Option<&Side<'_>>) -> Option<Html> {
    let amount = |side: &Side<'_>, units| side.cost(meter, units).ok().and_then(|minor| u64::try_from(minor).ok());
    let mut series = vec![Series {
        name: "Draft",
        colour: "1",
    }];
    if old.is_some() {
        series.push(Series {
            name: "In force",
            colour: "rest",
        });
    }
    let mut points = Vec::new();
    for step in 0..POINTS {
        let units = REACH / (POINTS - 1) * step;
        let mut values = vec![amount(new, units)?];
        if let Some(old) = old {
            values.push(amount(old, units)?);
        }
        points.push(Point {
            label: short(units),
            title: format!("{} {meter}", show::number(units)),
            values,
        });
    }
    let chart = Chart {
        summary: format!("What 0 to 1,000,000 {meter} a usage period cost; the table beside it has the numbers."),
        unit: Unit::Money(new.terms.currency),
        series,
        points,
        limit: None,
        height: 208,
    };
    chart.lines()
}

fn short(units: u64) -> String {
    match units {
        0 => "0".to_owned(),
        REACH => "1M".to_owned(),
        _ => format!("{}k", units / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(price: &serde_json::Value) -> Plan {
        serde_json::from_value(json!({"name": "pro", "price": price})).unwrap()
    }

    #[test]
    fn the_table_says_what_the_rating_of_invoices_says() {
        let new = plan(&json!({"currency": "EUR", "recurring": {"amount": "59.00"}, "usage": [
            {"meter": "requests", "included": 100_000, "model": "graduated",
             "tiers": [{"up_to": 400_000, "unit": "0.0007"}, {"unit": "0.0004"}]}]}));
        let old = plan(&json!({"currency": "EUR", "recurring": {"amount": "49.00"}, "usage": [
            {"meter": "requests", "included": 50_000, "model": "unit", "unit": "0.0008"}]}));
        let previews = previews(&new, Some(&old));
        let rows: Vec<_> = previews[0].meters[0]
            .rows
            .iter()
            .map(|row| {
                (
                    row.quantity.as_str(),
                    row.old.as_str(),
                    row.new.as_str(),
                    row.change.as_str(),
                    row.class,
                )
            })
            .collect();
        assert_eq!(rows[0], ("1,000", "€49.00", "€59.00", "+€10.00", "loss"));
        assert_eq!(rows[2], ("100,000", "€89.00", "€59.00", "−€30.00", "gain"));
        assert_eq!(rows[4], ("1,000,000", "€809.00", "€539.00", "−€270.00", "gain"));
        assert!(previews[0].meters[0].chart.is_some());
    }

    #[test]
    fn a_yearly_price_counts_with_its_share_of_a_month_and_once_in_the_year() {
        let yearly = plan(
            &json!({"currency": "EUR", "recurring": {"amount": "490.00", "every": "year"}, "usage": [
            {"meter": "requests", "included": 1_000, "model": "unit", "unit": "0.01"}]}),
        );
        let monthly = plan(&json!({"currency": "EUR", "recurring": {"amount": "49.00", "every": "month"}}));
        let found = previews(&yearly, Some(&monthly));
        let rows = &found[0].meters[0].rows;
        // 490 / 12 = 40.8333...; 9,000 x 0.01 = 90 in each month.
        assert_eq!((rows[0].new.as_str(), rows[0].long.as_str()), ("€40.83", "€490.00"));
        assert_eq!((rows[1].new.as_str(), rows[1].long.as_str()), ("€130.83", "€1,570.00"));
        assert_eq!(rows[0].old, "€49.00");
        assert_eq!((rows[0].change.as_str(), rows[0].class), ("−€8.17", "gain"));
        let spread = found[0].spread.as_ref().unwrap();
        assert_eq!(spread.head, "A year");
        assert!(
            spread.words.contains("€490.00 a year") && spread.words.contains("a month it comes to €40.83"),
            "{}",
            spread.words
        );
        assert!(previews(&monthly, None)[0].spread.is_none());
    }

    #[test]
    fn what_a_quota_refuses_costs_nothing_and_currencies_are_not_mixed() {
        let mut new =
            plan(&json!({"currency": "EUR", "usage": [{"meter": "requests", "model": "unit", "unit": "0.01"}]}));
        new.limits = serde_json::from_value(json!([{"requests": 5000, "per": "period"}])).unwrap();
        let old = plan(&json!({"currency": "USD", "recurring": {"amount": "5"}}));
        let found = previews(&new, Some(&old));
        let requests = &found[0].meters[0];
        assert_eq!(
            (requests.rows[0].new.as_str(), requests.rows[4].new.as_str()),
            ("€10.00", "€50.00")
        );
        assert_eq!(requests.rows[0].old, show::NOTHING);
        assert!(requests.ceiling.as_ref().unwrap().contains("5,000"));
    }
}
