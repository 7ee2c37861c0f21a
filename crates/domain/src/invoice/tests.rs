use proptest::prelude::*;

use super::*;
use crate::charge::{Basis, Charge, ChargeKey, LineText};
use crate::clock::Timestamp;
use crate::ids::{InvoiceId, PlanVersionId, SubscriptionId};
use crate::money::Exact;
use crate::quantity::Quantity;

fn charge(basis: Basis, price: &str, minor: i64) -> Charge {
    Charge {
        key: ChargeKey {
            subscription: SubscriptionId::from_bits(1),
            period_start: Timestamp::from_millis(0),
            price: price.to_owned(),
            segment: 1,
        },
        basis,
        plan_version: PlanVersionId::from_bits(1),
        meter: None,
        quantity: Quantity::from_units(1),
        exact: Exact::zero(),
        minor,
        currency: "USD".parse().unwrap(),
        due: Timestamp::from_millis(0),
        service: (Timestamp::from_millis(0), Timestamp::from_millis(1)),
        rated: None,
        text: LineText {
            description: "x".to_owned(),
            unit_label: "x".to_owned(),
            unit_price: None,
        },
    }
}

fn new(basis: Basis, price: &str, minor: i64) -> Delta {
    delta(charge(basis, price, minor), Billed::default()).unwrap().unwrap()
}

#[test]
fn row_54_tax_goes_back_in_proportion_and_the_last_part_takes_the_rest() {
    let (tax, net) = (2_000, 10_000);
    let first = tax_part(tax, net, 3_333, (0, 0));
    assert_eq!(first, 667);
    assert_eq!(tax_part(tax, net, 6_667, (3_333, first)), 1_333);
    assert_eq!(tax_part(0, 0, 0, (0, 0)), 0);
}

#[test]
fn what_was_billed_before_is_subtracted_and_nothing_new_is_no_line() {
    let billed = |minor, units| Billed {
        minor,
        quantity: Quantity::from_units(units),
        charges: 1,
        held: false,
    };
    let left = delta(charge(Basis::Usage, "usage/x", 15), billed(10, 0))
        .unwrap()
        .unwrap();
    assert_eq!((left.minor, left.quantity), (5, Quantity::from_units(1)));
    assert!(
        delta(charge(Basis::Usage, "usage/x", 10), billed(10, 1))
            .unwrap()
            .is_none()
    );
    assert!(
        delta(charge(Basis::Usage, "usage/x", 10), billed(10, 0))
            .unwrap()
            .is_some(),
        "usage that costs nothing is a line"
    );
    assert!(
        delta(charge(Basis::Advance, "recurring", 10), billed(10, 0))
            .unwrap()
            .is_none()
    );
    assert!(delta(charge(Basis::Usage, "usage/x", i64::MIN), billed(1, 1)).is_err());
}

#[test]
fn a_return_is_a_line_beside_what_replaces_it_and_a_refund_where_more_returns() {
    let up = assemble(vec![
        new(Basis::Advance, "recurring", 4_500),
        new(Basis::Return, "recurring-credit", -1_500),
    ]);
    assert_eq!(
        up.lines.iter().map(|delta| delta.minor).collect::<Vec<_>>(),
        [-1_500, 4_500]
    );
    let down = assemble(vec![
        new(Basis::Advance, "recurring", 1_500),
        new(Basis::Return, "recurring-credit", -4_500),
        new(Basis::Usage, "usage/x", 700),
    ]);
    assert_eq!(down.lines.iter().map(|delta| delta.minor).collect::<Vec<_>>(), [700]);
    assert_eq!(
        down.refunds
            .iter()
            .map(|refund| (refund.minor, refund.deltas.len()))
            .collect::<Vec<_>>(),
        [(3_000, 2)]
    );
}

#[test]
fn every_status_has_one_word() {
    for status in InvoiceStatus::ALL {
        assert_eq!(InvoiceStatus::from_word(status.as_str()), Some(status));
    }
    assert_eq!(InvoiceStatus::from_word("Open"), None);
}

proptest! {
    #[test]
    fn tax_parts_add_up_to_the_tax(net in 1_i64..1_000_000_000, rate in 0_i64..40, cuts in proptest::collection::vec(1_i64..1_000_000, 0..8)) {
        let tax = net / 100 * rate;
        let (mut taken, mut back) = ((0, 0), 0);
        for cut in cuts {
            let part = cut.min(net - taken.0);
            if part == 0 {
                break;
            }
            let own = tax_part(tax, net, part, taken);
            prop_assert!((0..=tax).contains(&own) || part == net - taken.0);
            back += own;
            taken = (taken.0 + part, taken.1 + own);
        }
        if taken.0 < net {
            back += tax_part(tax, net, net - taken.0, taken);
        }
        prop_assert_eq!(back, tax);
    }

    #[test]
    fn nothing_goes_back_beyond_what_remains_of_a_line(amount in 0_i64..10_000, remaining in proptest::collection::vec(-5_i64..3_000, 0..6)) {
        let lines: Vec<Creditable> = (1..).zip(&remaining).map(|(line, remaining)| Creditable {
            invoice: InvoiceId::from_bits(1),
            line,
            remaining: *remaining,
        }).collect();
        let parts = allocate(amount, &lines);
        let given: i64 = parts.iter().map(|part| part.remaining).sum();
        let room: i64 = remaining.iter().map(|left| (*left).max(0)).sum();
        prop_assert_eq!(given, amount.min(room));
        for part in parts {
            let line = lines.iter().find(|line| line.line == part.line).unwrap();
            prop_assert!(part.remaining > 0 && part.remaining <= line.remaining);
        }
    }
}
