//! Figures, money and times as people read them. One rule for every page: tabular figures, a real minus, no NaN, no blank.

use domain::clock::Timestamp;
use domain::money::{Currency, Money};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Html, escape};

/// What stands where nothing is known or nothing applies.
pub(crate) const NOTHING: &str = "–";

/// `1,284`.
pub(crate) fn number(value: u64) -> String {
    group(&value.to_string())
}

/// `1,284` or `−8`.
pub(crate) fn signed(value: i64) -> String {
    let sign = if value < 0 { "−" } else { "" };
    format!("{sign}{}", number(value.unsigned_abs()))
}

/// A decimal number as text, its whole part grouped: `1234567.50` is `1,234,567.50`. Any other text stays.
pub(crate) fn decimal(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, part)| (whole, Some(part)));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let whole = group(whole);
    part.map_or_else(|| format!("{sign}{whole}"), |part| format!("{sign}{whole}.{part}"))
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `€1,234.50`, `−€8.00`, `¥500`; a currency without a sign of its own by its code: `CHF 12.00`.
pub(crate) fn money(amount: Money) -> String {
    major(&amount.to_major_string(), amount.currency)
}

/// Minor units of a currency, as [`money`] writes them.
pub(crate) fn minor(amount: i64, currency: Currency) -> String {
    money(Money::new(amount, currency))
}

/// An amount or a price in major units, all its decimals kept, with the sign of its currency.
pub(crate) fn major(text: &str, currency: Currency) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let sign = if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        ""
    } else {
        sign
    };
    let symbol = currency.symbol();
    let gap = if symbol.chars().all(|c| c.is_ascii_alphabetic()) {
        "\u{a0}"
    } else {
        ""
    };
    format!("{sign}{symbol}{gap}{}", decimal(digits))
}

/// `12.34 %` of a whole, to one decimal; [`NOTHING`] of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NOTHING.to_owned();
    }
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{}\u{a0}%", tenths / 10, tenths % 10)
}

/// How much a value has changed since another: `+6.2 %`, `−3.0 %`, `no change`; [`NOTHING`] when it was nothing.
pub(crate) fn change(now: u64, before: u64) -> String {
    if before == 0 {
        return NOTHING.to_owned();
    }
    if now == before {
        return "no change".to_owned();
    }
    let sign = if now > before { "+" } else { "−" };
    format!("{sign}{}", percent(now.abs_diff(before), before))
}

/// `512 B`, `1.4 kB`, `20.0 MB`.
pub(crate) fn bytes(value: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if value < 1_000 {
        return format!("{value}\u{a0}B");
    }
    let mut scaled = value;
    let mut unit = units[0];
    for name in units {
        unit = name;
        if scaled < 1_000_000 {
            break;
        }
        scaled /= 1_000;
    }
    format!("{}.{}\u{a0}{unit}", scaled / 1_000, scaled % 1_000 / 100)
}

/// Microseconds as people read them: `0.6 ms` below ten milliseconds, `412 ms` from there on; never more than it was.
pub(crate) fn latency(micros: u64) -> String {
    format!("{}\u{a0}ms", latency_figure(micros))
}

/// The same without its unit, for a column whose head has it.
pub(crate) fn latency_figure(micros: u64) -> String {
    match micros {
        0 => "0".to_owned(),
        1..=99 => "<0.1".to_owned(),
        100..=9_999 => format!("{}.{}", micros / 1_000, micros % 1_000 / 100),
        _ => number(micros / 1_000),
    }
}

/// A latency with its unit, or [`NOTHING`].
pub(crate) fn latency_or_nothing(micros: Option<u64>) -> String {
    micros.map_or_else(|| NOTHING.to_owned(), latency)
}

/// A latency for a column whose head has the unit, or [`NOTHING`].
pub(crate) fn figure_or_nothing(micros: Option<u64>) -> String {
    micros.map_or_else(|| NOTHING.to_owned(), latency_figure)
}

/// Milliseconds with all that is known of them, for files: `0.412`.
pub(crate) fn latency_exact(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

/// A moment as HTML: `<time>` with the day and hour in the reader's zone, UTC on hover.
pub(crate) type Moment = Html;

/// `21 Nov 2026, 09:14`.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> Moment {
    element(at, &moment_text(at, zone))
}

/// `21 Nov 2026, 09:14` as text.
pub(crate) fn moment_text(at: Timestamp, zone: &TimeZone) -> String {
    written(at, zone, "%-d %b %Y, %H:%M")
}

fn written(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime(format).to_string()
}

/// `21 Nov 2026, 09:14:05.120`: where the order of events matters.
pub(crate) fn exact(at: Timestamp, zone: &TimeZone) -> Moment {
    element(at, &written(at, zone, "%-d %b %Y, %H:%M:%S%.3f"))
}

/// `21 Nov 2026`.
pub(crate) fn day(at: Timestamp, zone: &TimeZone) -> Moment {
    element(at, &day_text(at, zone))
}

/// `21 Nov 2026` as text.
pub(crate) fn day_text(at: Timestamp, zone: &TimeZone) -> String {
    date(at.to_jiff().to_zoned(zone.clone()).date())
}

/// `21 Nov 2026` of a day of some calendar.
pub(crate) fn date(day: Date) -> String {
    day.strftime("%-d %b %Y").to_string()
}

/// An hour below an axis, and in full: `09:00` and `21 Nov, 09:00`.
pub(crate) fn hour_label(at: Timestamp, zone: &TimeZone) -> (String, String) {
    (written(at, zone, "%H:%M"), written(at, zone, "%-d %b, %H:%M"))
}

/// A day below an axis, and in full: `21 Nov` and `21 Nov 2026`.
pub(crate) fn day_label(at: Timestamp, zone: &TimeZone) -> (String, String) {
    (written(at, zone, "%-d %b"), day_text(at, zone))
}

/// A month below an axis, and in full: `Nov` and `Nov 2026`.
pub(crate) fn month_label(day: Date) -> (String, String) {
    (day.strftime("%b").to_string(), day.strftime("%b %Y").to_string())
}

/// A moment, or [`NOTHING`].
pub(crate) fn moment_or_nothing(at: Option<Timestamp>, zone: &TimeZone) -> Moment {
    at.map_or_else(|| Html(NOTHING.to_owned()), |at| moment(at, zone))
}

/// How long ago, or how far ahead: `12 s ago`, `in 3 days`; with the moment on hover.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Moment {
    let millis = now.millis_since(at);
    let span = span_text(millis.unsigned_abs());
    let text = if millis >= 0 {
        format!("{span} ago")
    } else {
        format!("in {span}")
    };
    element(at, &text)
}

/// `12 s`, `5 min`, `3 h`, `2 days`.
pub(crate) fn span_text(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..=119 => format!("{seconds}\u{a0}s"),
        120..=7_199 => format!("{}\u{a0}min", seconds / 60),
        7_200..=172_799 => format!("{}\u{a0}h", seconds / 3_600),
        _ => format!("{}\u{a0}days", seconds / 86_400),
    }
}

fn element(at: Timestamp, text: &str) -> Html {
    let instant = at.to_jiff();
    Html(format!(
        "<time datetime=\"{}\" title=\"{} UTC\">{}</time>",
        instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
        instant.strftime("%Y-%m-%d %H:%M:%S"),
        escape(text)
    ))
}

/// The name of a zone for people: `Berlin` of `Europe/Berlin`, `UTC`.
pub(crate) fn zone_name(zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC");
    name.rsplit('/').next().unwrap_or(name).replace('_', " ")
}

/// The name of a meter on bars and in tables: `Total tokens` for `total_tokens`.
pub(crate) fn meter_name(meter: &str) -> String {
    let mut letters = meter.replace('_', " ");
    if let Some(first) = letters.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    letters
}

/// `tg_live_9kWf…x8Qd`.
pub(crate) fn key(prefix: &str, last4: &str) -> String {
    format!("{prefix}…{last4}")
}

/// The singular or the plural with its number: `1 app`, `3 apps`.
pub(crate) fn count(value: u64, one: &str, many: &str) -> String {
    if value == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", number(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_have_their_sign_before_the_symbol() {
        assert_eq!(minor(123_450, currency("EUR")), "€1,234.50");
        assert_eq!(minor(-800, currency("EUR")), "−€8.00");
        assert_eq!(minor(500, currency("JPY")), "¥500");
        assert_eq!(major("0.0005", currency("USD")), "$0.0005");
    }

    #[test]
    fn shares_are_exact_to_a_tenth_and_nothing_of_nothing() {
        assert_eq!(percent(1, 3), "33.3\u{a0}%");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0\u{a0}%");
        assert_eq!(percent(0, 0), NOTHING);
        assert_eq!(change(94, 100), "−6.0\u{a0}%");
        assert_eq!(change(5, 0), NOTHING);
    }

    #[test]
    fn a_latency_below_ten_milliseconds_keeps_a_decimal_and_none_is_rounded_up() {
        let written = [0, 60, 640, 999, 9_990, 10_999, 1_234_567].map(latency_figure);
        assert_eq!(written, ["0", "<0.1", "0.6", "0.9", "9.9", "10", "1,234"]);
        assert_eq!(latency(640), "0.6\u{a0}ms");
        assert_eq!(
            (latency_or_nothing(None).as_str(), latency_exact(12_005).as_str()),
            (NOTHING, "12.005")
        );
    }

    #[test]
    fn sizes_keep_one_decimal() {
        assert_eq!(bytes(999), "999\u{a0}B");
        assert_eq!(bytes(1_449), "1.4\u{a0}kB");
        assert_eq!(bytes(20_000_000), "20.0\u{a0}MB");
    }

    #[test]
    fn times_are_the_readers_with_utc_on_hover() {
        let at = Timestamp::from_millis(1_795_248_845_000);
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let html = moment(at, &zone).0;
        assert!(
            html.contains("UTC\">") && html.starts_with("<time datetime=\"2026-11-21T"),
            "{html}"
        );
    }
}
