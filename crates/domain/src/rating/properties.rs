use proptest::prelude::*;

use super::*;
use crate::money::Decimal;
use crate::price::{Model, Tier, UsageEntry};

const MOST_UNITS: u64 = 1_000_000_000_000_000;

/// Prices with up to 12 decimals; the second half so large that amounts leave 64 bits.
fn any_decimal() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        (0..=10_000_i128, 0..=12_u8),
        (0..=999_999_999_999_999_999_999_999_999_i128).prop_map(|mantissa| (mantissa, 12)),
    ]
    .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

fn small_decimal() -> impl Strategy<Value = Decimal> {
    (0..=100_000_i128, 0..=6_u8).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

fn quantity(most: u64) -> impl Strategy<Value = Quantity> {
    let whole = (0..=most).prop_map(Quantity::from_units);
    let fine = (0..=i128::from(most) * 1_000_000_000).prop_map(Quantity::from_nanos);
    prop_oneof![3 => whole, 1 => fine, 1 => Just(Quantity::from_units(most))]
}

/// Tiers with ascending bounds, the last one open.
fn tiers(decimal: BoxedStrategy<Decimal>) -> impl Strategy<Value = Vec<Tier>> {
    let steps = proptest::collection::vec((1..=400_u64, decimal.clone(), decimal.clone()), 0..5);
    (steps, decimal.clone(), decimal).prop_map(|(steps, unit, flat)| {
        let mut reached = 0;
        let mut tiers: Vec<Tier> = Vec::new();
        for (width, unit, flat) in steps {
            reached += width;
            tiers.push(Tier {
                up_to: Some(reached),
                unit: Some(unit),
                flat: Some(flat),
                amount: None,
            });
        }
        tiers.push(Tier {
            up_to: None,
            unit: Some(unit),
            flat: Some(flat),
            amount: None,
        });
        tiers
    })
}

const MODELS: [Model; 5] = [
    Model::Unit,
    Model::Graduated,
    Model::Volume,
    Model::Package,
    Model::Stairstep,
];

fn entry(decimal: BoxedStrategy<Decimal>) -> impl Strategy<Value = UsageEntry> {
    let model = proptest::sample::select(MODELS.to_vec());
    let bounds = (
        proptest::option::of(decimal.clone()),
        proptest::option::of(decimal.clone()),
    );
    let multiplier = proptest::option::of((1..=9_999_i128, 0..=3_u8));
    let numbers = (proptest::option::of(0..=500_u64), 1..=300_u64, multiplier);
    (model, tiers(decimal.clone()), decimal, bounds, numbers).prop_map(
        |(model, tiers, amount, (one, other), (included, size, multiplier))| {
            let table = match model {
                Model::Stairstep => Some(
                    tiers
                        .into_iter()
                        .map(|tier| Tier {
                            amount: tier.unit,
                            unit: None,
                            flat: None,
                            ..tier
                        })
                        .collect(),
                ),
                Model::Graduated | Model::Volume => Some(tiers),
                Model::Unit | Model::Package | Model::Percent => None,
            };
            let (minimum, maximum) = if one.zip(other).is_some_and(|(a, b)| a > b) {
                (other, one)
            } else {
                (one, other)
            };
            UsageEntry {
                model,
                unit: (model == Model::Unit).then_some(amount),
                tiers: table,
                size: (model == Model::Package).then_some(size),
                amount: (model == Model::Package).then_some(amount),
                included,
                minimum,
                maximum,
                multiplier: multiplier.and_then(|(mantissa, scale)| Decimal::new(mantissa, scale)),
                ..per_unit()
            }
        },
    )
}

/// An entry without any number.
fn per_unit() -> UsageEntry {
    serde_json::from_str(r#"{"model": "unit"}"#).unwrap()
}

fn any_price() -> impl Strategy<Value = UsagePrice> {
    entry(any_decimal().boxed()).prop_map(|entry| entry.understand().unwrap())
}

fn small_price() -> impl Strategy<Value = UsagePrice> {
    entry(small_decimal().boxed()).prop_map(|entry| entry.understand().unwrap())
}

fn currency() -> impl Strategy<Value = Currency> {
    proptest::sample::select(vec![Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD])
}

fn add(left: Quantity, right: Quantity) -> Quantity {
    left.saturating_add(right)
}

/// Segments of one price over a whole period, cut where `parts` say.
fn segments<'a>(price: &'a UsagePrice, parts: &[Quantity]) -> Vec<Segment<'a>> {
    let share = Exact::ratio(1, i128::try_from(parts.len()).unwrap()).unwrap();
    parts
        .iter()
        .map(|quantity| Segment {
            price,
            quantity: *quantity,
            share: share.clone(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lines_of_interim_and_late_runs_add_up_to_the_rounded_rate_of_the_total(
        price in small_price(), currency in currency(),
        parts in proptest::collection::vec(quantity(700), 1..12),
    ) {
        let mut so_far = Quantity::ZERO;
        let mut billed = 0;
        for part in parts {
            so_far = add(so_far, part);
            let now = rate(&price, so_far).round(currency).unwrap().total;
            billed += line_delta(now, billed).unwrap();
        }
        prop_assert_eq!(billed, rate(&price, so_far).round(currency).unwrap().total);
    }

    #[test]
    fn segments_of_one_price_cost_what_the_period_costs(
        price in small_price(), parts in proptest::collection::vec(quantity(700), 1..5),
    ) {
        // A minimum is filled up in each segment, and included units are rounded up in each: neither is telescoped.
        let price = UsagePrice { included: 0, minimum: None, ..price };
        let rated = rate_segments(&segments(&price, &parts));
        let amounts: Vec<Exact> = rated.into_iter().map(|rated| rated.exact).collect();
        let total = parts.iter().copied().fold(Quantity::ZERO, add);
        prop_assert_eq!(amounts.iter().sum::<Exact>(), rate(&price, total).exact);
    }

    #[test]
    fn included_units_of_segments_are_never_fewer_than_those_of_the_period(
        price in small_price(), parts in proptest::collection::vec(quantity(700), 1..5),
    ) {
        let rated = rate_segments(&segments(&price, &parts));
        let charged = |rated: &[Rated]| rated.iter().map(|rated| &rated.charged).sum::<Exact>();
        let total = parts.iter().copied().fold(Quantity::ZERO, add);
        prop_assert!(charged(&rated) <= charged(&[rate(&price, total)]));
        for rated in rated {
            prop_assert_eq!(&rated.included + &rated.charged, rated.quantity);
        }
    }

    #[test]
    fn more_never_costs_less_where_tiers_only_add(
        price in any_price(), first in quantity(MOST_UNITS), second in quantity(MOST_UNITS),
    ) {
        use crate::price::Pricing::{Graduated, Package, Unit};
        let (less, more) = (first.min(second), first.max(second));
        if matches!(price.pricing, Unit(_) | Graduated(_) | Package { .. }) {
            prop_assert!(rate(&price, less).exact <= rate(&price, more).exact);
        }
    }

    #[test]
    fn any_quantity_at_any_price_is_an_amount_or_an_error(
        price in any_price(), currency in currency(), quantity in quantity(MOST_UNITS),
    ) {
        let rated = rate(&price, quantity);
        let tiers: Exact = rated.detail.iter().map(|line| &line.amount).sum();
        prop_assert_eq!(&tiers, &rated.list);
        prop_assert_eq!(&(&rated.list + &rated.discount) + &rated.true_up, rated.exact.clone());
        prop_assert!(!rated.exact.is_negative() && !rated.true_up.is_negative() && !rated.discount.is_positive());
        if let Some(most) = &price.maximum {
            prop_assert!(rated.exact <= *most);
        }
        if let Ok(rounded) = rated.round(currency) {
            prop_assert_eq!(i128::from(rounded.list) + i128::from(rounded.discount) + i128::from(rounded.true_up), i128::from(rounded.total));
        }
    }

    #[test]
    fn a_graduated_rate_is_the_sum_of_the_price_of_each_unit(
        tiers in tiers(small_decimal().boxed()), units in 0..1_200_u64,
    ) {
        let mut expected = Exact::zero();
        for position in 1..=units {
            let at = tiers.iter().position(|tier| tier.up_to.is_none_or(|up_to| position <= up_to)).unwrap();
            let enters = position == 1 || at > 0 && tiers[at - 1].up_to == Some(position - 1);
            let flat = if enters { Exact::from(tiers[at].flat.unwrap()) } else { Exact::zero() };
            expected = &(&expected + &Exact::from(tiers[at].unit.unwrap())) + &flat;
        }
        let price = UsageEntry { model: Model::Graduated, tiers: Some(tiers), ..per_unit() }.understand().unwrap();
        prop_assert_eq!(rate(&price, Quantity::from_units(units)).exact, expected);
    }
}
