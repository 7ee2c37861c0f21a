//! What is used of a limit, as a bar with words.

use domain::clock::Timestamp;
use domain::limit::Allow;
use domain::period::Period;
use domain::quantity::Quantity;
use jiff::tz::TimeZone;

use crate::api::subscriptions::Used;
use crate::pages::web::{Html, chart, show};

/// A quota as it is shown.
pub(crate) struct Bar {
    pub(crate) name: String,
    /// `451,582 of 1,000,000`.
    pub(crate) amount: String,
    /// Empty where there is no end.
    pub(crate) meter: Html,
    pub(crate) note: Html,
}

/// A quantity as people read it.
pub(crate) fn quantity(quantity: Quantity) -> String {
    show::decimal(&quantity.to_string())
}

/// What will be used by the end of a period if it goes on like this; nothing while too little of it is over.
fn expected(used: Quantity, period: &Period, now: Timestamp) -> Option<u64> {
    let (whole, gone) = (period.length_ms(), now.millis_since(period.start));
    if gone <= 0 || gone.saturating_mul(20) < whole || used.is_zero() {
        return None;
    }
    let units = u128::from(used.ceil_units()) * u128::from(whole.unsigned_abs());
    u64::try_from(units / u128::from(gone.unsigned_abs())).ok()
}

impl Bar {
    /// The bar of a quota now.
    pub(crate) fn new(one: &Used, now: Timestamp, zone: &TimeZone) -> Self {
        let name = show::meter_name(&one.quota.meter);
        let used = quantity(one.used);
        let resets = show::day(one.period.end, zone);
        let Some(max) = one.quota.max else {
            return Self {
                name,
                amount: used,
                meter: Html::default(),
                note: Html(format!("No limit. Counted anew from {resets}.")),
            };
        };
        let units = one.used.ceil_units();
        let expected = expected(one.used, &one.period, now);
        let share = show::percent(units, max);
        let label = format!("{share} of the quota of {name} used");
        let pace = expected.map_or_else(String::new, |value| {
            format!(" At this pace about {} by then.", show::number(rounded(value)))
        });
        let beyond = match one.quota.overage {
            Some(Allow::Unlimited) => " More than the quota is served and charged.",
            Some(Allow::BasisPoints(_)) => " Some more than the quota is served.",
            None if units >= max => " Calls are refused until then.",
            None => "",
        };
        Self {
            name,
            amount: format!("{used} of {}", show::number(max)),
            meter: chart::meter(units, max, expected, &label),
            note: Html(format!("{share} used, starts again {resets}.{pace}{beyond}")),
        }
    }
}

/// Two leading digits are enough for a guess.
fn rounded(value: u64) -> u64 {
    let mut power = 1_u64;
    while value / power >= 1_000 {
        power = power.saturating_mul(10);
    }
    (value / power) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_made_only_when_some_of_the_period_is_over() {
        let at = Timestamp::from_millis;
        let period = Period {
            k: 0,
            start: at(0),
            end: at(1_000),
        };
        let used = Quantity::from_units(10);
        assert_eq!(expected(used, &period, at(0)), None);
        assert_eq!(expected(used, &period, at(40)), None);
        assert_eq!(expected(used, &period, at(500)), Some(20));
        assert_eq!(expected(Quantity::ZERO, &period, at(500)), None);
        assert_eq!(rounded(664_321), 664_000);
    }
}
