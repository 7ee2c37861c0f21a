//! Usage as charts: bars by result or by a dimension, lines of latency.

use domain::limit::{Per, Rule};
use std::collections::{BTreeMap, HashMap};

use super::usage_figures::Figures;
use crate::pages::web::chart::{Chart, Limit, Point, Series, Unit};
use crate::pages::web::range::{Range, Width};
use crate::pages::web::{Html, show};

/// What bars are split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Result,
    Operation,
    Key,
    Status,
}

impl By {
    /// The value in addresses, and what people read.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Result, "result", "Result"),
        (Self::Operation, "operation", "Operation"),
        (Self::Key, "key", "Key"),
        (Self::Status, "status", "Status"),
    ];

    /// From an address.
    pub(crate) fn read(text: Option<&str>) -> Self {
        Self::ALL
            .into_iter()
            .find(|(_, word, _)| Some(*word) == text)
            .map_or(Self::Result, |(by, _, _)| by)
    }
}

const COLOURS: [&str; 4] = ["1", "2", "3", "4"];
const REST: &str = "Other";

/// The bars of a range: nothing without traffic.
pub(crate) fn bars(
    range: &Range,
    figures: &[Figures],
    (by, names): (By, &HashMap<String, String>),
    limit: Option<Limit>,
) -> Option<Html> {
    let (labels, values) = if by == By::Result {
        results(figures)
    } else {
        largest(figures, names)
    };
    let series: Vec<Series<'_>> = labels.iter().map(|(name, colour)| Series { name, colour }).collect();
    chart(range, series, values, (Unit::Count, summary(range, figures)), limit).bars()
}

fn results(figures: &[Figures]) -> (Vec<(String, &'static str)>, Vec<Vec<u64>>) {
    let labels = [
        ("successful", "1"),
        ("client errors (4xx)", "2"),
        ("refused by the gateway", "3"),
        ("server errors (5xx)", "bad"),
    ];
    let values = figures
        .iter()
        .map(|one| vec![one.successful, one.client_errors, one.refused, one.server_errors]);
    (
        labels.map(|(name, colour)| (name.to_owned(), colour)).to_vec(),
        values.collect(),
    )
}

/// The four largest values of the dimension, and the rest.
fn largest(figures: &[Figures], names: &HashMap<String, String>) -> (Vec<(String, &'static str)>, Vec<Vec<u64>>) {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, count) in figures.iter().flat_map(|one| &one.split) {
        let total = totals.entry(key).or_default();
        *total = total.saturating_add(*count);
    }
    let mut ordered: Vec<(&str, u64)> = totals.into_iter().collect();
    ordered.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    let kept: Vec<&str> = ordered.iter().take(COLOURS.len()).map(|(key, _)| *key).collect();
    let has_rest = ordered.len() > kept.len();
    let name = |key: &str| match names.get(key) {
        Some(name) => name.clone(),
        None if key.is_empty() => "none".to_owned(),
        None => key.to_owned(),
    };
    let mut labels: Vec<(String, &'static str)> = kept
        .iter()
        .zip(COLOURS)
        .map(|(key, colour)| (name(key), colour))
        .collect();
    if has_rest {
        labels.push((REST.to_owned(), "rest"));
    }
    let values = figures.iter().map(|one| {
        let mut row: Vec<u64> = kept
            .iter()
            .map(|key| one.split.get(*key).copied().unwrap_or(0))
            .collect();
        if has_rest {
            let known: u64 = row.iter().sum();
            row.push(one.requests.saturating_sub(known));
        }
        row
    });
    (labels, values.collect())
}

/// Percentiles of the latency over time.
pub(crate) fn latency(range: &Range, figures: &[Figures]) -> Option<Html> {
    let series = vec![
        Series {
            name: "p50",
            colour: "1",
        },
        Series {
            name: "p95",
            colour: "2",
        },
        Series {
            name: "p99",
            colour: "3",
        },
    ];
    let micros = |one: &Figures, per_mille| one.latency(per_mille).unwrap_or(0);
    let values = figures
        .iter()
        .map(|one| vec![micros(one, 500), micros(one, 950), micros(one, 990)])
        .collect();
    let worst = figures.iter().filter_map(|one| one.latency(990)).max().unwrap_or(0);
    let words = format!(
        "Latency lines. The highest p99 is {}. The table below has all numbers.",
        show::latency(worst)
    );
    let mut chart = chart(range, series, values, (Unit::Latency, words), None);
    chart.height = 168;
    chart.lines()
}

fn summary(range: &Range, figures: &[Figures]) -> String {
    let highest = range
        .intervals
        .iter()
        .zip(figures)
        .max_by_key(|(_, one)| one.requests)
        .map_or_else(String::new, |(interval, one)| {
            format!(
                " Most in the interval of {}: {}.",
                interval.title,
                show::number(one.requests)
            )
        });
    format!("Stacked bars of requests.{highest} The table below has all numbers.")
}

fn chart<'a>(
    range: &Range,
    series: Vec<Series<'a>>,
    values: Vec<Vec<u64>>,
    (unit, summary): (Unit, String),
    limit: Option<Limit>,
) -> Chart<'a> {
    let points = range.intervals.iter().zip(values).map(|(interval, values)| Point {
        label: interval.label.clone(),
        title: interval.title.clone(),
        values,
    });
    Chart {
        summary,
        unit,
        series,
        points: points.collect(),
        limit,
        height: 208,
    }
}

/// The limit of a plan that fits the width of the bars: so many requests a day.
pub(crate) fn day_limit(range: &Range, plans: &[domain::config::Plan]) -> Option<Limit> {
    let [plan] = plans else { return None };
    if range.width != Width::Day {
        return None;
    }
    let limits = plan.limits.iter().filter_map(|entry| entry.understand().ok());
    limits
        .filter(|limit| limit.operations.is_empty())
        .find_map(|limit| match limit.rule {
            Rule::Rate {
                requests,
                per: Per::Day,
                ..
            } => Some(Limit {
                value: requests,
                name: format!("Limit: {} a day (UTC)", show::number(requests)),
            }),
            Rule::Rate { .. } | Rule::Quota(_) | Rule::Concurrency { .. } => None,
        })
}
