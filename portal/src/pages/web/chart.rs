//! Charts as SVG by the server: percent across, pixels up, so that text and strokes never stretch.
//!
//! Every chart has a sentence for those who do not see it, zero as its base, round ticks and at most five labels below; the
//! table with the same numbers stands beside it in the template. Coordinates are integers in hundredths.

use super::{Html, escape, show};

/// How a value is written on the axis and on hover.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// A count: `10k` on the axis.
    Count,
    /// Microseconds, written as milliseconds.
    Latency,
    /// Minor units of money.
    Money(domain::money::Currency),
}

/// A series: its name and its colour class (`1` to `4`, `bad`, `rest`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) colour: &'a str,
}

/// One place on the axis.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// Below the axis, where there is room.
    pub(crate) label: String,
    /// On hover.
    pub(crate) title: String,
    /// One value for each series.
    pub(crate) values: Vec<u64>,
}

/// A dashed line across with its name.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) value: u64,
    pub(crate) name: String,
}

/// What a chart shows.
#[derive(Debug, Clone)]
pub(crate) struct Chart<'a> {
    /// One sentence for those who do not see it.
    pub(crate) summary: String,
    pub(crate) unit: Unit,
    pub(crate) series: Vec<Series<'a>>,
    pub(crate) points: Vec<Point>,
    pub(crate) limit: Option<Limit>,
    /// Pixels; 208 for a page's main chart, 168 beside another.
    pub(crate) height: u32,
}

const TOP: u64 = 8;
const FOOT: u64 = 28;
const TICKS: u64 = 3;

impl Unit {
    fn tick(self, value: u64) -> String {
        match self {
            Self::Count => short(value),
            Self::Latency => millis(value),
            Self::Money(currency) => {
                let unit = 10_u64.saturating_pow(u32::from(currency.exponent()));
                format!("{}{}", currency.symbol(), short(value / unit.max(1)))
            }
        }
    }

    fn full(self, value: u64) -> String {
        match self {
            Self::Count => show::number(value),
            Self::Latency => show::latency(value),
            Self::Money(currency) => show::minor(i64::try_from(value).unwrap_or(i64::MAX), currency),
        }
    }
}

/// Round microseconds of a tick as milliseconds with the decimals that they need: `0.25`, `20`.
fn millis(micros: u64) -> String {
    let decimals = format!("{:03}", micros % 1_000);
    match decimals.trim_end_matches('0') {
        "" => show::number(micros / 1_000),
        decimals => format!("{}.{decimals}", show::number(micros / 1_000)),
    }
}

/// `10k`, `2.5M`.
fn short(value: u64) -> String {
    let (unit, name) = match value {
        0..=9_999 => return show::number(value),
        10_000..=999_999 => (1_000, "k"),
        1_000_000..=999_999_999 => (1_000_000, "M"),
        _ => (1_000_000_000, "G"),
    };
    let tenths = value / (unit / 10);
    if tenths.is_multiple_of(10) {
        format!("{}{name}", tenths / 10)
    } else {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    }
}

/// The smallest round step (1, 2, 2.5 or 5 times a power of ten) with which `TICKS` steps reach `max`.
fn step(max: u64) -> u64 {
    let wanted = max.div_ceil(TICKS).max(1);
    let mut power = 1_u64;
    loop {
        for (factor, divisor) in [(1, 1), (2, 1), (25, 10), (5, 1)] {
            let candidate = power.saturating_mul(factor) / divisor;
            if candidate >= wanted && (divisor == 1 || power >= 10) {
                return candidate;
            }
        }
        let Some(next) = power.checked_mul(10) else {
            return u64::MAX / 4;
        };
        power = next;
    }
}

/// Hundredths as text: `1234` is `12.34`.
fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

struct Scale {
    top: u64,
    base: u64,
    room: u64,
    height: u32,
}

impl Scale {
    fn new(chart: &Chart<'_>, max: u64) -> Self {
        let room = u64::from(chart.height).saturating_sub(TOP + FOOT);
        Self {
            top: step(max).saturating_mul(TICKS),
            base: TOP + room,
            room,
            height: chart.height,
        }
    }

    /// Length of a value in hundredths of a pixel.
    fn length(&self, value: u64) -> u64 {
        let long = u128::from(value) * u128::from(self.room) * 100 / u128::from(self.top.max(1));
        u64::try_from(long)
            .unwrap_or(self.room * 100)
            .min((self.room + TOP) * 100)
    }

    /// Place of a value, from above, in hundredths.
    fn place(&self, value: u64) -> u64 {
        (self.base * 100).saturating_sub(self.length(value))
    }
}

fn axis(scale: &Scale, unit: Unit) -> String {
    let mut out = format!("<svg width=\"44\" height=\"{}\" aria-hidden=\"true\">", scale.height);
    for tick in 0..=TICKS {
        let value = scale.top / TICKS * tick;
        let y = scale.place(value) + 400;
        out.push_str(&format!(
            "<text x=\"36\" y=\"{}\" text-anchor=\"end\">{}</text>",
            hundredths(y),
            escape(&unit.tick(value))
        ));
    }
    out.push_str("</svg>");
    out
}

fn grid(scale: &Scale) -> String {
    (0..=TICKS)
        .map(|tick| {
            let y = hundredths(scale.place(scale.top / TICKS * tick));
            let class = if tick == 0 { "base" } else { "grid" };
            format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>")
        })
        .collect()
}

fn limit_line(scale: &Scale, limit: Option<&Limit>) -> String {
    limit.map_or_else(String::new, |limit| {
        let y = scale.place(limit.value);
        format!(
            "<line class=\"limit\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/><text class=\"limit\" x=\"100%\" y=\"{1}\" text-anchor=\"end\">{2}</text>",
            hundredths(y),
            hundredths(y.saturating_sub(500)),
            escape(&limit.name)
        )
    })
}

/// At most five labels, evenly spread, none cut at an end.
fn dates(points: &[Point], y: u64) -> String {
    let count = points.len();
    let every = count.div_ceil(5).max(1);
    points
        .iter()
        .enumerate()
        .filter(|(at, _)| at % every == 0)
        .map(|(at, point)| {
            let x = middle(at, count);
            let anchor = match x {
                0..=500 => "start",
                9_500.. => "end",
                _ => "middle",
            };
            let x = if anchor == "start" { 0 } else { x };
            format!(
                "<text x=\"{}%\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
                hundredths(x),
                escape(&point.label)
            )
        })
        .collect()
}

/// The middle of a place in hundredths of a percent.
fn middle(at: usize, count: usize) -> u64 {
    let (at, count) = (at as u64, (count as u64).max(1));
    (at * 2 + 1) * 10_000 / (count * 2)
}

fn line_class(series: &Series<'_>) -> String {
    match series.colour {
        "rest" => "rest".to_owned(),
        colour => format!("c{}", escape(colour)),
    }
}

impl Chart<'_> {
    fn is_empty(&self) -> bool {
        self.points
            .iter()
            .all(|point| point.values.iter().all(|value| *value == 0))
    }

    fn hover(&self, point: &Point) -> String {
        let parts: Vec<String> = self
            .series
            .iter()
            .zip(&point.values)
            .map(|(series, value)| format!("{} {}", self.unit.full(*value), series.name))
            .collect();
        format!("{}: {}", point.title, parts.join(", "))
    }

    fn legend(&self, mark: impl Fn(&Series<'_>) -> String) -> String {
        if self.series.len() < 2 {
            return String::new();
        }
        let items: String = self
            .series
            .iter()
            .map(|series| format!("<li>{} {}</li>", mark(series), escape(series.name)))
            .collect();
        format!("<ul class=\"legend\">{items}</ul>")
    }

    fn frame(&self, scale: &Scale, legend: &str, body: &str) -> Html {
        Html(format!(
            "<figure class=\"chart\">{legend}<div class=\"chart-body\">{}<svg width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"{}\">{}{body}{}{}</svg></div></figure>",
            axis(scale, self.unit),
            scale.height,
            escape(&self.summary),
            grid(scale),
            limit_line(scale, self.limit.as_ref()),
            dates(&self.points, scale.base + 17)
        ))
    }

    /// Stacked bars: the first series at the bottom. Nothing when there is nothing to show: put the empty block there.
    pub(crate) fn bars(&self) -> Option<Html> {
        if self.is_empty() {
            return None;
        }
        let sums = self
            .points
            .iter()
            .map(|point| point.values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value)));
        let max = sums
            .chain(self.limit.iter().map(|limit| limit.value))
            .max()
            .unwrap_or(1);
        let scale = Scale::new(self, max);
        let count = self.points.len().max(1) as u64;
        let width = 10_000 / count;
        let mut body = String::new();
        for (at, point) in self.points.iter().enumerate() {
            let left = at as u64 * 10_000 / count;
            body.push_str(&format!(
                "<g><title>{}</title><rect class=\"hit\" x=\"{}%\" y=\"{TOP}\" width=\"{}%\" height=\"{}\"/>",
                escape(&self.hover(point)),
                hundredths(left),
                hundredths(width),
                scale.room
            ));
            let mut below = 0_u64;
            for (series, value) in self.series.iter().zip(&point.values).filter(|(_, value)| **value > 0) {
                let bottom = scale.place(below);
                below = below.saturating_add(*value);
                let top = scale.place(below);
                body.push_str(&format!(
                    "<rect class=\"bar fill-{}\" x=\"{}%\" y=\"{}\" width=\"{}%\" height=\"{}\"/>",
                    escape(series.colour),
                    hundredths(left + width * 17 / 100),
                    hundredths(top),
                    hundredths((width * 66 / 100).max(5)),
                    hundredths(bottom.saturating_sub(top).max(50))
                ));
            }
            body.push_str("</g>");
        }
        let legend = self.legend(|series| {
            format!(
                "<svg width=\"10\" height=\"10\" aria-hidden=\"true\"><rect class=\"fill-{}\" width=\"10\" height=\"10\" rx=\"2\"/></svg>",
                escape(series.colour)
            )
        });
        Some(self.frame(&scale, &legend, &body))
    }

    /// The points of a series in unbroken runs: where no time was measured a line has a gap.
    fn runs(&self, index: usize, scale: &Scale) -> Vec<Vec<String>> {
        let count = self.points.len();
        let mut runs: Vec<Vec<(u64, u64)>> = vec![Vec::new()];
        for (at, point) in self.points.iter().enumerate() {
            let is_gap = matches!(self.unit, Unit::Latency) && point.values.iter().all(|value| *value == 0);
            let value = point.values.get(index).filter(|_| !is_gap);
            match (value, runs.last_mut()) {
                (Some(value), Some(run)) => run.push((middle(at, count) * 10, scale.place(*value))),
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        for run in &mut runs {
            // A point alone is a short dash.
            if let [(x, y)] = run[..] {
                *run = vec![(x.saturating_sub(400), y), (x + 400, y)];
            }
        }
        let text = |(x, y): &(u64, u64)| format!("{},{}", hundredths(*x), hundredths(*y));
        runs.iter().map(|run| run.iter().map(text).collect()).collect()
    }

    /// Lines, one for each series; colours are `1` to `3` and `rest`. Nothing when there is nothing to show.
    pub(crate) fn lines(&self) -> Option<Html> {
        if self.is_empty() {
            return None;
        }
        let all = self.points.iter().flat_map(|point| point.values.iter().copied());
        let max = all.chain(self.limit.iter().map(|limit| limit.value)).max().unwrap_or(1);
        let scale = Scale::new(self, max);
        let count = self.points.len();
        let mut body = format!(
            "<svg width=\"100%\" height=\"{0}\" viewBox=\"0 0 1000 {0}\" preserveAspectRatio=\"none\">",
            scale.height
        );
        for (index, series) in self.series.iter().enumerate() {
            for run in self.runs(index, &scale) {
                body.push_str(&format!(
                    "<polyline class=\"curve {}\" points=\"{}\"/>",
                    line_class(series),
                    run.join(" ")
                ));
            }
        }
        body.push_str("</svg>");
        for (at, point) in self.points.iter().enumerate() {
            let count = count.max(1) as u64;
            body.push_str(&format!(
                "<g><title>{}</title><rect class=\"hit\" x=\"{}%\" y=\"{TOP}\" width=\"{}%\" height=\"{}\"/></g>",
                escape(&self.hover(point)),
                hundredths(at as u64 * 10_000 / count),
                hundredths(10_000 / count),
                scale.room
            ));
        }
        let legend = self.legend(|series| {
            format!(
                "<svg width=\"22\" height=\"10\" aria-hidden=\"true\"><line class=\"curve {}\" x1=\"0\" x2=\"22\" y1=\"5\" y2=\"5\"/></svg>",
                line_class(series)
            )
        });
        Some(self.frame(&scale, &legend, &body))
    }
}

/// A bar of what is used of a limit: `used` of `max`, with what is expected at the end of the period.
pub(crate) fn meter(used: u64, max: u64, expected: Option<u64>, label: &str) -> Html {
    let share = |value: u64| {
        let wide = u128::from(value) * 10_000 / u128::from(max.max(1));
        u64::try_from(wide).unwrap_or(10_000).min(10_000)
    };
    let class = match share(used) {
        9_500.. => "meter bad",
        8_000..9_500 => "meter warn",
        _ => "meter",
    };
    let forecast = expected.map_or_else(String::new, |value| {
        format!(
            "<rect class=\"forecast\" width=\"{}%\" height=\"6\"/>",
            hundredths(share(value))
        )
    });
    Html(format!(
        "<svg class=\"{class}\" width=\"100%\" height=\"6\" role=\"img\" aria-label=\"{}\">{forecast}<rect width=\"{}%\" height=\"6\"/></svg>",
        escape(label),
        hundredths(share(used))
    ))
}

/// A small line without axis, for a cell of a table.
pub(crate) fn spark(values: &[u64], label: &str) -> Html {
    let max = values.iter().copied().max().unwrap_or(0).max(1);
    let count = values.len().max(2) as u64 - 1;
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let x = at as u64 * 1_000 / count;
            let y = 18 - value.saturating_mul(16) / max;
            format!("{x},{y}")
        })
        .collect();
    Html(format!(
        "<svg class=\"spark\" viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\"><polyline class=\"curve\" points=\"{}\"/></svg>",
        escape(label),
        points.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[u64]) -> Chart<'static> {
        Chart {
            summary: "Requests".to_owned(),
            unit: Unit::Count,
            series: vec![Series {
                name: "requests",
                colour: "1",
            }],
            points: values
                .iter()
                .map(|value| Point {
                    label: "<1>".to_owned(),
                    title: "day".to_owned(),
                    values: vec![*value],
                })
                .collect(),
            limit: None,
            height: 208,
        }
    }

    #[test]
    fn steps_are_round_and_reach_the_top() {
        for max in [0, 1, 2, 3, 4, 7, 10, 99, 1_000, 30_199, 1_234_567, u64::MAX] {
            let step = step(max);
            assert!(
                step >= 1 && step.saturating_mul(TICKS) >= max.min(u64::MAX / 4 * 3),
                "{max} {step}"
            );
        }
        assert_eq!(step(30_000), 10_000);
    }

    #[test]
    fn a_chart_of_nothing_is_none_and_any_values_are_drawn() {
        assert!(chart(&[0, 0]).bars().is_none() && chart(&[]).lines().is_none());
        for values in [vec![1], vec![u64::MAX, 0, 3], vec![5; 400]] {
            let html = chart(&values).bars().unwrap().0;
            assert!(!html.contains("<1>") && html.contains("role=\"img\""));
            assert!(chart(&values).lines().is_some());
        }
    }

    #[test]
    fn latencies_below_a_millisecond_have_an_axis_of_their_own() {
        let lines = Chart {
            unit: Unit::Latency,
            ..chart(&[420, 700])
        };
        let html = lines.lines().unwrap().0;
        assert!(html.contains(">0.25</text>") && html.contains("0.7\u{a0}ms"), "{html}");
        assert_eq!(millis(2_000_000), "2,000");
    }

    #[test]
    fn a_meter_is_never_longer_than_its_track() {
        assert!(meter(5, 0, Some(9), "x").0.contains("width=\"100.00%\""));
        assert!(meter(1, 4, None, "x").0.contains("width=\"25.00%\""));
    }
}
