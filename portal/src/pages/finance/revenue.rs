//! `/finance/revenue`: finalized lines less credit notes and voids, by month, product or plan; each currency on its own.

use askama::Template;
use axum::extract::State;
use documents::Sheet;
use domain::clock::Timestamp;
use domain::money::{Currency, Money};
use jiff::civil::Date;
use store::billing::Earned;

use super::names::Names;
use super::{link, shell};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::months::{Month, date, end_of, start_of};
use crate::pages::web::chart::{self, Point, Series, Unit};
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, download, page, show};

const NAMES: [&str; 3] = ["from", "to", "by"];
const MONTHS: usize = 12;
const MOST_MONTHS: usize = 60;

#[derive(Template)]
#[template(path = "finance/revenue.html")]
struct Report {
    shell: Shell,
    form: Form,
    choices: Vec<(String, String)>,
    head: &'static str,
    from: String,
    to: String,
    parts: Vec<Part>,
    csv: String,
}

/// The report in one currency.
struct Part {
    currency: Currency,
    code: &'static str,
    chart: Option<Html>,
    rows: Vec<Earning>,
    sum: Earning,
}

impl Part {
    /// The rows that the table shows; the chart and the file have the others, too.
    fn eventful(&self) -> impl Iterator<Item = &Earning> {
        eventful(&self.rows)
    }

    fn leaves_out(&self) -> bool {
        self.eventful().count() < self.rows.len()
    }
}

/// One row.
#[derive(Debug, Clone, Default)]
pub(super) struct Earning {
    pub(super) name: String,
    pub(super) short: String,
    minor: [i64; 3],
    pub(super) invoiced: String,
    pub(super) credited: String,
    pub(super) voided: String,
    pub(super) net: String,
}

/// The rows in which anything happened.
pub(super) fn eventful(rows: &[Earning]) -> impl Iterator<Item = &Earning> {
    rows.iter().filter(|row| row.minor != [0; 3])
}

/// What a plan version earned after what went back.
pub(super) fn net(earned: &Earned) -> i64 {
    earned
        .invoiced
        .saturating_sub(earned.credited)
        .saturating_sub(earned.voided)
}

impl Earning {
    /// A row without any amount.
    pub(super) fn empty(name: String, short: String) -> Self {
        Self {
            name,
            short,
            ..Self::default()
        }
    }

    /// Adds what was earned.
    pub(super) fn take(&mut self, earned: &Earned) {
        for (sum, minor) in self
            .minor
            .iter_mut()
            .zip([earned.invoiced, earned.credited, earned.voided])
        {
            *sum = sum.saturating_add(minor);
        }
    }

    fn net_minor(&self) -> i64 {
        let [invoiced, credited, voided] = self.minor;
        invoiced.saturating_sub(credited).saturating_sub(voided)
    }

    /// With its amounts as text.
    pub(super) fn written(mut self, currency: Currency) -> Self {
        let [invoiced, credited, voided] = self.minor;
        self.invoiced = show::minor(invoiced, currency);
        self.credited = show::minor(credited.saturating_neg(), currency);
        self.voided = show::minor(voided.saturating_neg(), currency);
        self.net = show::minor(self.net_minor(), currency);
        self
    }
}

/// A bar for each row; what is below zero has none.
pub(super) fn chart(currency: Currency, rows: &[Earning]) -> Option<Html> {
    let points = rows.iter().map(|row| Point {
        label: row.short.clone(),
        title: row.name.clone(),
        values: vec![u64::try_from(row.net_minor()).unwrap_or(0)],
    });
    let best = rows.iter().max_by_key(|row| row.net_minor())?;
    chart::Chart {
        summary: format!(
            "Revenue in {}: highest in {}, {}. The table has all numbers.",
            currency.code(),
            best.name,
            show::minor(best.net_minor(), currency)
        ),
        unit: Unit::Money(currency),
        series: vec![Series {
            name: "revenue",
            colour: "1",
        }],
        points: points.collect(),
        limit: None,
        height: 208,
    }
    .bars()
}

/// What rows stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Month,
    Product,
    Plan,
}

impl By {
    fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("product") => Self::Product,
            Some("plan") => Self::Plan,
            _ => Self::Month,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Product => "product",
            Self::Plan => "plan",
        }
    }

    const fn head(self) -> &'static str {
        match self {
            Self::Month => "Month",
            Self::Product => "Product",
            Self::Plan => "Plan",
        }
    }
}

/// What the query asks for.
struct Wanted {
    from: Date,
    to: Date,
    by: By,
    form: Form,
}

fn wanted(asked: &Asked, now: Timestamp) -> Wanted {
    let first = Month::last(MONTHS, now)
        .first()
        .map_or_else(|| date(now), |month| month.first_day());
    let mut form = Form::new();
    let mut day = |name: &str, otherwise: Date| match asked.get(name).map(str::parse) {
        None => otherwise,
        Some(Ok(day)) => day,
        Some(Err(_)) => {
            form.fault(name, "Write a day such as 2026-11-21");
            otherwise
        }
    };
    let (mut from, to) = (day("from", first), day("to", date(now)));
    if from > to {
        form.fault("from", "Choose a day before the last one");
        from = to;
    }
    let by = By::from_word(asked.get("by"));
    form.preset("from", from.to_string());
    form.preset("to", to.to_string());
    form.preset("by", by.word());
    Wanted { from, to, by, form }
}

/// The rows of every currency.
async fn parts(app: &App, wanted: &Wanted) -> Result<Vec<Part>, Problem> {
    let mut parts: Vec<Part> = Vec::new();
    let mut names = Names::default();
    let months = spans(wanted);
    for (at, (_, _, from, to)) in months.iter().enumerate() {
        for earned in app.store.earned(*from, *to).await? {
            let place = match parts.iter().position(|part| part.currency == earned.currency) {
                Some(place) => place,
                None => {
                    parts.push(empty_part(earned.currency, wanted.by, &months));
                    parts.len() - 1
                }
            };
            let Some(part) = parts.get_mut(place) else { continue };
            part.sum.take(&earned);
            let title = match wanted.by {
                By::Month => {
                    if let Some(row) = part.rows.get_mut(at) {
                        row.take(&earned);
                    }
                    continue;
                }
                By::Product => names.plan(app, earned.plan_version).await?.product,
                By::Plan => {
                    let plan = names.plan(app, earned.plan_version).await?;
                    format!("{}, {}", plan.product, plan.plan)
                }
            };
            match part.rows.iter_mut().find(|row| row.name == title) {
                Some(row) => row.take(&earned),
                None => {
                    let mut row = Earning::empty(title.clone(), title);
                    row.take(&earned);
                    part.rows.push(row);
                }
            }
        }
    }
    for part in &mut parts {
        finish(part, wanted.by);
    }
    Ok(parts)
}

fn empty_part(currency: Currency, by: By, spans: &[Span]) -> Part {
    let rows = match by {
        By::Month => spans
            .iter()
            .map(|(name, short, ..)| Earning::empty(name.clone(), short.clone()))
            .collect(),
        By::Product | By::Plan => Vec::new(),
    };
    Part {
        currency,
        code: currency.code(),
        chart: None,
        rows,
        sum: Earning::empty("Sum".to_owned(), String::new()),
    }
}

fn finish(part: &mut Part, by: By) {
    if by != By::Month {
        part.rows.sort_by_key(|row| std::cmp::Reverse(row.net_minor()));
    }
    part.chart = chart(part.currency, &part.rows);
    let rows = std::mem::take(&mut part.rows);
    part.rows = rows.into_iter().map(|row| row.written(part.currency)).collect();
    part.sum = std::mem::take(&mut part.sum).written(part.currency);
}

/// Name, short name, first instant and first instant after.
type Span = (String, String, Timestamp, Timestamp);

/// The months of the range, cut to it; or the range as a whole.
fn spans(wanted: &Wanted) -> Vec<Span> {
    let (from, to) = (start_of(wanted.from), end_of(wanted.to));
    if wanted.by != By::Month {
        return vec![("All".to_owned(), "All".to_owned(), from, to)];
    }
    let months = std::iter::successors(Some(Month::of(from)), |month| Some(month.next()));
    months
        .take(MOST_MONTHS)
        .take_while(|month| month.start() < to)
        .map(|month| {
            (
                month.name(),
                month.short(),
                month.start().max(from),
                month.end().min(to),
            )
        })
        .collect()
}

/// `GET /finance/revenue`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let wanted = wanted(&asked, staff.visitor.now());
    let parts = parts(&app, &wanted).await?;
    let choices = [By::Month, By::Product, By::Plan];
    page(&Report {
        shell: shell(&app, &staff).await?,
        choices: choices
            .iter()
            .map(|by| (by.word().to_owned(), by.head().to_owned()))
            .collect(),
        head: wanted.by.head(),
        from: show::date(wanted.from),
        to: show::date(wanted.to),
        form: wanted.form,
        parts,
        csv: link("/finance/revenue.csv", &asked, &NAMES, ("", "")),
    })
}

/// `GET /finance/revenue.csv`
pub(super) async fn csv(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let wanted = wanted(&asked, staff.visitor.now());
    let parts = parts(&app, &wanted).await?;
    let mut sheet = Sheet::new(&[
        wanted.by.word(),
        "currency",
        "invoiced",
        "credited",
        "voided",
        "revenue",
    ]);
    for part in &parts {
        for row in &part.rows {
            let [invoiced, credited, voided] = row.minor;
            sheet.text(&row.name).plain(part.code);
            for minor in [invoiced, credited, voided, row.net_minor()] {
                sheet.plain(Money::new(minor, part.currency).to_major_string());
            }
            sheet.end();
        }
    }
    download(
        &format!("revenue-{}-{}.csv", wanted.from, wanted.to),
        "text/csv; charset=utf-8",
        sheet.finish(),
    )
}
