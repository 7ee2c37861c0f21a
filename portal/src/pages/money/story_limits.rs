//! The limits that a request was counted against, as sentences with their numbers and windows.

use std::sync::Arc;

use domain::limit::{Limit, Per, Rule};
use domain::period::Period;
use domain::quantity::Quantity;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::api::requests::Counter;
use crate::pages::catalogue::offers::Catalogue;
use crate::pages::catalogue::price::{counted, plural};
use crate::pages::web::{Html, show};

/// A limit, and how the request moved its counter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// `At most 1,000 requests a month`.
    pub(super) limit: String,
    /// The time in which it counts, where that is a particular one; empty otherwise.
    pub(super) window: Html,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) left: String,
}

/// What the plan of a request says of its limits.
pub(super) struct Limits {
    /// Those of the version that admitted it; none where it is gone.
    pub(super) rules: Vec<Limit>,
    /// How often a usage period comes: `a month`.
    pub(super) every: String,
    /// The usage period that the request counted in.
    pub(super) period: Option<Period>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) zone: TimeZone,
}

/// A number of the API as people read it.
pub(super) fn figure(value: &Json) -> String {
    match value {
        Json::Null => show::NOTHING.to_owned(),
        Json::String(text) => show::decimal(text),
        other => show::decimal(&other.to_string()),
    }
}

fn quantity(value: &Json) -> Option<Quantity> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().ok()
}

impl Limits {
    /// The row of a counter; `operations` are the names of those that its limit is for alone.
    pub(super) fn row(&self, counter: &Counter, operations: &[String]) -> Row {
        let max = counter.max.as_ref().and_then(quantity);
        let left = max.zip(quantity(&counter.after)).map_or_else(
            || show::NOTHING.to_owned(),
            |(max, after)| show::decimal(&max.saturating_sub(after).max(Quantity::ZERO).to_string()),
        );
        let (mut limit, window) = self.sentence(&counter.limit, max.map(Quantity::ceil_units));
        if !operations.is_empty() {
            limit.push_str(&format!(", of {}", operations.join(" and ")));
        }
        Row {
            limit,
            window,
            before: figure(&counter.before),
            after: figure(&counter.after),
            left,
        }
    }

    /// What a limit says, from the rule of this key, or else from the key and what the counter stopped at.
    fn sentence(&self, key: &str, max: Option<u64>) -> (String, Html) {
        let rule = self
            .rules
            .iter()
            .find(|limit| limit.key == key)
            .map(|limit| &limit.rule);
        let base = key.split_once('@').map_or(key, |(base, _)| base);
        let most = max.map_or_else(|| "any number of requests".to_owned(), |max| counted(max, "request"));
        match (base.split_once('/'), rule) {
            (Some((_, per)), Some(Rule::Rate { requests, burst, .. })) => {
                (rate(*requests, per), rate_window(*requests, *burst, per))
            }
            (Some((meter, per)), _) if per == Per::Period.as_str() => self.quota(meter, rule, max),
            (Some((_, per)), _) => (format!("At most {most} a {per}"), Html::default()),
            (None, _) => (format!("At most {most} at the same time"), Html::default()),
        }
    }

    fn quota(&self, meter: &str, rule: Option<&Rule>, max: Option<u64>) -> (String, Html) {
        let unit = self.catalogue.unit(meter);
        let sold = match rule {
            Some(Rule::Quota(quota)) => quota.max,
            _ => None,
        };
        let every = &self.every;
        let text = match (sold.or(max), max) {
            (None, _) => format!("No limit on {}, counted {every}", plural(&unit)),
            (Some(sold), None) => format!("{} {every}, and what comes above it", counted(sold, &unit)),
            (Some(sold), Some(max)) if max > sold => format!(
                "At most {} {every}: the {} of the plan and some more",
                counted(max, &unit),
                show::number(sold)
            ),
            (Some(sold), _) => format!("At most {} {every}", counted(sold, &unit)),
        };
        let window = self.period.map_or_else(Html::default, |period| {
            let (start, end) = (show::day(period.start, &self.zone), show::day(period.end, &self.zone));
            Html(format!("Period of {start} to {end}"))
        });
        (text, window)
    }
}

fn rate(requests: u64, per: &str) -> String {
    format!("At most {} a {per}", counted(requests, "request"))
}

fn rate_window(requests: u64, burst: u64, per: &str) -> Html {
    let mut words = Vec::new();
    if burst > requests {
        words.push(format!(
            "Bursts of up to {}, which these numbers count",
            show::number(burst)
        ));
    }
    if per == Per::Day.as_str() || per == Per::Month.as_str() {
        words.push(format!("A {per} of UTC"));
    }
    Html(words.join(". "))
}

/// The keys of the operations that a limit is for alone.
pub(super) fn operations(key: &str) -> Vec<&str> {
    let keys = key.split_once('@').map(|(_, keys)| keys.split(','));
    keys.into_iter().flatten().collect()
}

/// `46,550 tokens`.
pub(super) fn taken(catalogue: &Catalogue, meter: &str, quantity: &Json) -> String {
    let unit = catalogue.unit(meter);
    let unit = if figure(quantity) == "1" { unit } else { plural(&unit) };
    format!("{} {unit}", figure(quantity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::LimitEntry;
    use serde_json::json;

    fn limits(entries: &Json) -> Limits {
        let entries: Vec<LimitEntry> = serde_json::from_value(entries.clone()).unwrap();
        let at = domain::clock::Timestamp::from_millis;
        Limits {
            rules: entries.iter().map(|entry| entry.understand().unwrap()).collect(),
            every: "a month".to_owned(),
            period: Some(Period {
                k: 0,
                start: at(1_795_248_845_000),
                end: at(1_797_840_845_000),
            }),
            catalogue: Arc::default(),
            zone: TimeZone::UTC,
        }
    }

    fn counter(limit: &str, max: Json) -> Counter {
        Counter {
            limit: limit.to_owned(),
            before: json!(12),
            after: json!(13),
            max: (!max.is_null()).then_some(max),
        }
    }

    #[test]
    fn limits_are_sentences_with_their_number_and_their_window() {
        let limits = limits(&json!([
            {"requests": 10, "per": "second", "algorithm": "token_bucket", "burst": 20},
            {"requests": 1000, "per": "period"},
            {"meter": "tokens", "max": 1000, "per": "period", "overage": {"allow": "15%"}},
            {"meter": "calls", "max": 1000, "per": "period", "overage": {"allow": "unlimited"}},
            {"requests": 5000, "per": "day", "operations": ["b", "a"]},
            {"concurrency": 20}
        ]));
        let row = |key: &str, max: Json| limits.row(&counter(key, max), &[]);
        let rate = row("requests/second", json!(20));
        assert_eq!(
            (rate.limit.as_str(), rate.left.as_str()),
            ("At most 10 requests a second", "7")
        );
        assert!(rate.window.0.contains("up to 20"), "{}", rate.window);
        let quota = row("requests/period", json!(1000));
        assert_eq!(
            (quota.limit.as_str(), quota.before.as_str(), quota.left.as_str()),
            ("At most 1,000 requests a month", "12", "987")
        );
        assert!(
            quota.window.0.contains("21 Nov 2026</time> to") && quota.window.0.contains("21 Dec 2026"),
            "{}",
            quota.window
        );
        assert_eq!(
            row("tokens/period", json!(1150)).limit,
            "At most 1,150 tokens a month: the 1,000 of the plan and some more"
        );
        let open = row("calls/period", Json::Null);
        assert_eq!(
            (open.limit.as_str(), open.left.as_str()),
            ("1,000 calls a month, and what comes above it", show::NOTHING)
        );
        assert_eq!(
            row("concurrency", json!(20)).limit,
            "At most 20 requests at the same time"
        );
        let of = limits.row(
            &counter("requests/day@a,b", json!(5000)),
            &["GET /a".to_owned(), "GET /b".to_owned()],
        );
        assert_eq!(of.limit, "At most 5,000 requests a day, of GET /a and GET /b");
        assert_eq!(of.window.0, "A day of UTC");
    }

    #[test]
    fn a_limit_of_a_version_that_is_gone_is_told_from_its_key() {
        let limits = limits(&json!([]));
        let row = |key: &str, max: Json| limits.row(&counter(key, max), &[]).limit;
        assert_eq!(row("requests/minute", json!(60)), "At most 60 requests a minute");
        assert_eq!(row("tokens/period", Json::Null), "No limit on tokens, counted a month");
        assert_eq!(operations("requests/second@a,b"), ["a", "b"]);
        assert!(operations("concurrency").is_empty());
    }
}
