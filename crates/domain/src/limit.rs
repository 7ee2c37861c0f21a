//! Limits of a plan, as written in files and as the gateway enforces them.
//!
//! A limit is written as one flat entry ([`LimitEntry`], strict about its keys) and understood as a [`Limit`].

use serde::{Deserialize, Serialize};

use crate::money::Decimal;
use crate::quantity::Quantity;

/// The meter that exists without being written: one for each billable request.
pub const REQUESTS: &str = "requests";

/// What a limit's window is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A second of the monotonic clock.
    Second,
    /// A minute of the monotonic clock.
    Minute,
    /// An hour of the monotonic clock.
    Hour,
    /// A UTC day of the domain clock.
    Day,
    /// A UTC month of the domain clock.
    Month,
    /// The subscription's usage period: a quota.
    Period,
}

impl Per {
    /// The name in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Period => "period",
        }
    }
}

/// How a rate is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Whole windows, each starting at zero.
    #[default]
    FixedWindow,
    /// Tokens refill evenly up to `burst`.
    TokenBucket,
}

/// How exact a quota is over many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Never above the maximum, and refused only when no unit is left anywhere.
    #[default]
    Strict,
    /// At most what is leased above the maximum.
    Fast,
}

/// What happens when the shared counters are away and the lease is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnavailable {
    /// Serve.
    Open,
    /// Refuse.
    #[default]
    Closed,
}

/// How far above a quota requests are still served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allow {
    /// Basis points of the maximum: `15%` is 1500. The allowance is rounded down to whole units.
    BasisPoints(u32),
    /// Without end.
    Unlimited,
}

/// How overage is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OveragePrice {
    /// `prorated`: the plan's recurring price x overage / maximum.
    Prorated(Prorated),
    /// So much a unit.
    Unit(Decimal),
}

/// The word `prorated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prorated {
    /// The plan's recurring price x overage / maximum.
    Prorated,
}

/// Overage as written: `none`, or `{allow, price}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Overage {
    /// `none`.
    None(NoOverage),
    /// Served above the maximum.
    Allowed(AllowedOverage),
}

/// The word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoOverage {
    /// Nothing above the maximum.
    None,
}

/// Overage that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedOverage {
    /// How far.
    pub allow: Allow,
    /// At which price; without one the overage costs nothing of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<OveragePrice>,
}

impl Serialize for Allow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::BasisPoints(points) => serializer.collect_str(&Percent(*points)),
        }
    }
}

impl<'de> Deserialize<'de> for Allow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        Percent::parse(&text)
            .map(|percent| Self::BasisPoints(percent.0))
            .ok_or_else(|| serde::de::Error::custom("write `unlimited` or a percentage such as 15%"))
    }
}

/// A percentage in basis points, written `80%` or `2.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl Percent {
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let hundredths: Quantity = number.parse().ok()?;
        let points = hundredths.nanos().checked_mul(100)?;
        if points % 1_000_000_000 != 0 {
            return None;
        }
        u32::try_from(points / 1_000_000_000).ok().map(Self)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", Quantity::from_nanos(i128::from(self.0) * 10_000_000))
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("write a percentage such as 80%"))
    }
}

/// A limit as written in a plan. [`LimitEntry::understand`] tells what it means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitEntry {
    /// Short for `meter: requests, max: N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// The meter of a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// The maximum of a quota; absent takes the price's `included` of that meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// Algorithm of a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// Size of a token bucket; the rate itself unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Requests in flight at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    /// Only these operations count; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// When to alert, in percent of a quota's maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<Percent>>,
    /// What happens above a quota's maximum; none unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overage: Option<Overage>,
    /// Precision over many nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Precision>,
    /// What happens when shared counters are away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unavailable: Option<WhenUnavailable>,
}

/// A limit as enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Stable within the plan: survives edits of the numbers, so that counters outlive an apply.
    pub key: String,
    /// What it counts.
    pub rule: Rule,
    /// Only these operations count; empty means all.
    pub operations: Vec<String>,
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Requests in a window.
    Rate {
        /// Requests a window.
        requests: u64,
        /// The window; never [`Per::Period`].
        per: Per,
        /// How it is counted.
        algorithm: Algorithm,
        /// Size of the token bucket (the rate itself for fixed windows).
        burst: u64,
    },
    /// A meter's quantity in the subscription's usage period.
    Quota(Quota),
    /// Requests in flight at once.
    Concurrency {
        /// At most so many.
        max: u64,
    },
}

/// A quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The meter's name.
    pub meter: String,
    /// Units a period; `None` takes the price's `included` of that meter.
    pub max: Option<u64>,
    /// How far above it requests are still served, in basis points; `None` refuses at the maximum.
    pub overage: Option<Allow>,
    /// How overage is charged.
    pub overage_price: Option<OveragePrice>,
    /// Precision over many nodes.
    pub precision: Precision,
    /// What happens when shared counters are away.
    pub when_unavailable: WhenUnavailable,
    /// When to alert, in basis points of the maximum.
    pub alerts: Vec<u32>,
}

/// Why an entry is not a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {remedy}")]
pub struct LimitFault {
    /// The key of the entry that is wrong; empty for the whole entry.
    pub field: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

fn fault(field: &'static str, reason: &str, remedy: &str) -> LimitFault {
    LimitFault {
        field,
        reason: reason.to_owned(),
        remedy: remedy.to_owned(),
    }
}

impl LimitEntry {
    /// What the entry means.
    ///
    /// # Errors
    /// [`LimitFault`] naming the key that is wrong and what to write.
    pub fn understand(&self) -> Result<Limit, LimitFault> {
        let rule = if self.concurrency.is_some() {
            self.concurrency_rule()?
        } else if self.per == Some(Per::Period) {
            Rule::Quota(self.quota()?)
        } else {
            self.rate()?
        };
        Ok(Limit {
            key: self.key(&rule),
            rule,
            operations: self.operations.clone(),
        })
    }

    fn key(&self, rule: &Rule) -> String {
        let base = match rule {
            Rule::Rate { per, .. } => format!("{REQUESTS}/{}", per.as_str()),
            Rule::Quota(quota) => format!("{}/period", quota.meter),
            Rule::Concurrency { .. } => "concurrency".to_owned(),
        };
        if self.operations.is_empty() {
            return base;
        }
        let mut operations = self.operations.clone();
        operations.sort();
        format!("{base}@{}", operations.join(","))
    }

    fn refuse_present(fields: &[(&'static str, bool)], of: &str) -> Result<(), LimitFault> {
        fields
            .iter()
            .find(|(_, present)| *present)
            .map_or(Ok(()), |(field, _)| {
                Err(fault(
                    field,
                    &format!("`{field}` does not belong to a {of}"),
                    &format!("remove `{field}`"),
                ))
            })
    }

    fn quota_only(&self) -> [(&'static str, bool); 5] {
        [
            ("max", self.max.is_some()),
            ("alerts", self.alerts.is_some()),
            ("overage", self.overage.is_some()),
            ("mode", self.mode.is_some()),
            ("when_unavailable", self.when_unavailable.is_some()),
        ]
    }

    fn concurrency_rule(&self) -> Result<Rule, LimitFault> {
        Self::refuse_present(
            &[
                ("requests", self.requests.is_some()),
                ("meter", self.meter.is_some()),
                ("per", self.per.is_some()),
                ("algorithm", self.algorithm.is_some()),
                ("burst", self.burst.is_some()),
            ],
            "concurrency limit",
        )?;
        Self::refuse_present(&self.quota_only(), "concurrency limit")?;
        match self.concurrency {
            Some(max) if max > 0 => Ok(Rule::Concurrency { max }),
            _ => Err(fault(
                "concurrency",
                "no request could ever be in flight",
                "write at least 1",
            )),
        }
    }

    fn rate(&self) -> Result<Rule, LimitFault> {
        Self::refuse_present(&self.quota_only(), "rate")?;
        if self.meter.as_deref().is_some_and(|meter| meter != REQUESTS) {
            return Err(fault(
                "meter",
                "a rate counts requests only",
                "use `per: period` for a quota of another meter",
            ));
        }
        let per = self.per.ok_or_else(|| {
            fault(
                "per",
                "the window is missing",
                "write per: second, minute, hour, day, month or period",
            )
        })?;
        let requests = self.requests.filter(|requests| *requests > 0).ok_or_else(|| {
            fault(
                "requests",
                "the number of requests is missing",
                "write requests: N, at least 1",
            )
        })?;
        let algorithm = self.algorithm.unwrap_or_default();
        if matches!(per, Per::Day | Per::Month) && algorithm == Algorithm::TokenBucket {
            return Err(fault(
                "algorithm",
                "days and months are counted in fixed windows",
                "remove `algorithm`",
            ));
        }
        let burst = match (algorithm, self.burst) {
            (Algorithm::FixedWindow, Some(_)) => {
                return Err(fault(
                    "burst",
                    "a fixed window has no burst",
                    "add algorithm: token_bucket or remove `burst`",
                ));
            }
            (_, None) => requests,
            (Algorithm::TokenBucket, Some(0)) => {
                return Err(fault("burst", "an empty bucket admits nothing", "write at least 1"));
            }
            (Algorithm::TokenBucket, Some(burst)) => burst,
        };
        Ok(Rule::Rate {
            requests,
            per,
            algorithm,
            burst,
        })
    }

    fn quota(&self) -> Result<Quota, LimitFault> {
        Self::refuse_present(
            &[("algorithm", self.algorithm.is_some()), ("burst", self.burst.is_some())],
            "quota",
        )?;
        let (meter, max) = match (&self.meter, self.requests) {
            (None, Some(requests)) if self.max.is_none() => (REQUESTS.to_owned(), Some(requests)),
            (Some(meter), None) => (meter.clone(), self.max),
            (None, None) => {
                return Err(fault(
                    "meter",
                    "the meter is missing",
                    "write meter: NAME or requests: N",
                ));
            }
            _ => {
                return Err(fault(
                    "requests",
                    "`requests` stands for meter and max",
                    "write either, not both",
                ));
            }
        };
        if !self.operations.is_empty() {
            return Err(fault(
                "operations",
                "a quota counts every operation",
                "use a meter with a filter, or a rate",
            ));
        }
        let (overage, overage_price) = match &self.overage {
            None | Some(Overage::None(_)) => (None, None),
            Some(Overage::Allowed(allowed)) => (Some(allowed.allow), allowed.price.clone()),
        };
        let alerts = self.alerts.as_ref().map_or_else(
            || vec![8_000, 9_500, 10_000],
            |alerts| alerts.iter().map(|p| p.0).collect(),
        );
        Ok(Quota {
            meter,
            max,
            overage,
            overage_price,
            precision: self.mode.unwrap_or_default(),
            when_unavailable: self.when_unavailable.unwrap_or_default(),
            alerts,
        })
    }
}

impl Quota {
    /// The number of units up to which requests are served, for this maximum; `None` without end.
    /// The allowance is rounded down: 10 % of 999 is 99.
    pub fn ceiling(&self, max: u64) -> Option<u64> {
        match self.overage {
            None => Some(max),
            Some(Allow::Unlimited) => None,
            Some(Allow::BasisPoints(points)) => {
                let extra = u128::from(max) * u128::from(points) / 10_000;
                Some(max.saturating_add(u64::try_from(extra).unwrap_or(u64::MAX)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understand(json: &str) -> Result<Limit, LimitFault> {
        serde_json::from_str::<LimitEntry>(json).unwrap().understand()
    }

    #[test]
    fn the_forms_of_the_reference_are_understood() {
        let bucket = understand(r#"{"requests":10,"per":"second","algorithm":"token_bucket","burst":20}"#).unwrap();
        assert_eq!(bucket.key, "requests/second");
        let quota = understand(r#"{"requests":1000,"per":"period"}"#).unwrap();
        assert!(matches!(quota.rule, Rule::Quota(Quota { max: Some(1000), .. })));
        let search = understand(r#"{"requests":5,"per":"second","operations":["search"]}"#).unwrap();
        assert_eq!(search.key, "requests/second@search");
        let tokens = understand(
            r#"{"meter":"tokens","max":1000000,"per":"period","alerts":["80%","95%"],
                "overage":{"allow":"15%","price":"prorated"},"mode":"strict","when_unavailable":"closed"}"#,
        )
        .unwrap();
        let Rule::Quota(quota) = tokens.rule else {
            panic!("not a quota")
        };
        assert_eq!(quota.alerts, [8_000, 9_500]);
        assert_eq!(quota.ceiling(1_000_000), Some(1_150_000));
        assert_eq!(quota.overage_price, Some(OveragePrice::Prorated(Prorated::Prorated)));
    }

    #[test]
    fn the_allowance_of_an_odd_quota_is_rounded_down() {
        let limit = understand(r#"{"requests":999,"per":"period","overage":{"allow":"10%"}}"#).unwrap();
        let Rule::Quota(quota) = limit.rule else {
            panic!("not a quota")
        };
        assert_eq!(quota.ceiling(999), Some(1_098));
    }

    #[test]
    fn what_does_not_belong_together_is_refused_by_name() {
        for (json, field) in [
            (r#"{"requests":5}"#, "per"),
            (r#"{"per":"second"}"#, "requests"),
            (r#"{"requests":5,"per":"second","burst":9}"#, "burst"),
            (r#"{"requests":5,"per":"second","overage":"none"}"#, "overage"),
            (r#"{"concurrency":0}"#, "concurrency"),
            (r#"{"concurrency":5,"per":"second"}"#, "per"),
            (r#"{"requests":5,"meter":"tokens","per":"period"}"#, "requests"),
            (r#"{"meter":"tokens","requests":5,"per":"minute"}"#, "meter"),
            (r#"{"requests":5,"per":"day","algorithm":"token_bucket"}"#, "algorithm"),
            (r#"{"requests":5,"per":"period","operations":["a"]}"#, "operations"),
        ] {
            assert_eq!(understand(json).unwrap_err().field, field, "{json}");
        }
    }

    #[test]
    fn percentages_keep_two_decimals() {
        assert_eq!(Percent::parse("2.5%").map(|p| p.to_string()), Some("2.5%".to_owned()));
        assert_eq!(Percent::parse("0.001%"), None);
        assert_eq!(Percent::parse("15"), None);
    }
}
