//! The inputs of the plan editor as HTML: cells of tables of inputs, each with its name for those who do not see the head
//! of its column, and its fault.

use super::plan_rows::{PriceRow, Rows, UsageRow};
use crate::pages::web::field::Choices;
use crate::pages::web::{Form, Html, escape};

const PER: [(&str, &str); 6] = [
    ("second", "second"),
    ("minute", "minute"),
    ("hour", "hour"),
    ("day", "day"),
    ("month", "month"),
    ("period", "usage period"),
];
const ABOVE: [(&str, &str); 3] = [
    ("refuse", "refuse with 429"),
    ("some", "serve some more"),
    ("all", "serve on"),
];
const MODELS: [(&str, &str); 5] = [
    ("unit", "Unit: each one costs the same"),
    ("graduated", "Graduated: each part at its own price"),
    ("volume", "Volume: all at the price of the total"),
    ("package", "Package: for each one begun"),
    ("stairstep", "Stairstep: a price for the whole"),
];
const TERMS: [(&str, &str); 2] = [("advance", "In advance"), ("arrears", "In arrears")];
const EVERY: [(&str, &str); 5] = [
    ("month", "month"),
    ("3 months", "3 months"),
    ("6 months", "6 months"),
    ("year", "year"),
    ("week", "week"),
];
const PERIODS: [(&str, &str); 4] = [("month", "month"), ("week", "week"), ("day", "day"), ("year", "year")];

/// The inputs of a form of the plan editor.
pub(super) struct Cells<'a> {
    pub(super) form: &'a Form,
    /// Names of meters.
    pub(super) meters: &'a [String],
    /// Where the form is sent.
    pub(super) action: &'a str,
}

fn choices(pairs: &[(&str, &str)], held: &str) -> Choices {
    let mut choices: Choices = pairs
        .iter()
        .map(|(value, text)| ((*value).to_owned(), (*text).to_owned()))
        .collect();
    // What was set elsewhere is kept though nobody would choose it here.
    if !held.is_empty() && choices.iter().all(|(value, _)| value != held) {
        choices.push((held.to_owned(), held.to_owned()));
    }
    choices
}

impl Cells<'_> {
    fn fault(&self, name: &str) -> (&'static str, String) {
        self.form.fault_of(name).map_or(("", String::new()), |fault| {
            let text = format!(
                "<p class=\"error-text\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"/static/icons.svg#error\"/></svg> <span>{}</span></p>",
                escape(fault)
            );
            (" aria-invalid=\"true\"", text)
        })
    }

    fn input(&self, name: &str, label: &str, class: &str) -> String {
        let (invalid, fault) = self.fault(name);
        let (name_text, value) = (escape(name), escape(self.form.value(name)));
        let digits = if class.is_empty() {
            ""
        } else {
            " class=\"num\" inputmode=\"decimal\""
        };
        let list = if name.ends_with("-operations") {
            " list=\"operations\""
        } else {
            ""
        };
        format!(
            "<input id=\"{name_text}\" name=\"{name_text}\" aria-label=\"{}\" value=\"{value}\" autocomplete=\"off\"{digits}{list}{invalid}>{fault}",
            escape(label)
        )
    }

    fn choice(&self, name: &str, label: &str, pairs: &Choices) -> String {
        let (invalid, fault) = self.fault(name);
        let held = self.form.value(name);
        let options: String = pairs
            .iter()
            .map(|(value, text)| {
                let mark = if value == held { " selected" } else { "" };
                format!("<option value=\"{}\"{mark}>{}</option>", escape(value), escape(text))
            })
            .collect();
        format!(
            "<select id=\"{0}\" name=\"{0}\" aria-label=\"{1}\"{invalid}>{options}</select>{fault}",
            escape(name),
            escape(label)
        )
    }

    fn hidden(&self, name: &str) -> String {
        format!(
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escape(name),
            escape(self.form.value(name))
        )
    }

    fn meters(&self, held: &str) -> Choices {
        let pairs: Vec<(&str, &str)> = self
            .meters
            .iter()
            .map(|meter| (meter.as_str(), meter.as_str()))
            .collect();
        choices(&pairs, held)
    }

    /// The cells of a limit.
    pub(super) fn limit(&self, index: usize) -> Html {
        let at = format!("limit-{index}");
        let name = |field: &str| format!("{at}-{field}");
        let label = |what: &str| format!("Limit {}, {what}", index + 1);
        let mut what = self.meters(self.form.value(&name("what")));
        what.retain(|(value, _)| value != "concurrency");
        what.push(("concurrency".to_owned(), "requests at once".to_owned()));
        let held = |field: &str| self.form.value(&name(field)).to_owned();
        let mut out = String::new();
        let mut cell = |class: &str, inner: String| out.push_str(&format!("<td{class}>{inner}</td>"));
        cell("", self.choice(&name("what"), &label("what"), &what));
        cell(" class=\"num\"", self.input(&name("max"), &label("at most"), "num"));
        cell(
            "",
            self.choice(&name("per"), &label("per"), &choices(&PER, &held("per"))),
        );
        cell("", self.input(&name("operations"), &label("operations"), ""));
        cell(" class=\"num\"", self.input(&name("burst"), &label("burst"), "num"));
        cell(
            "",
            self.choice(&name("above"), &label("when reached"), &choices(&ABOVE, &held("above"))),
        );
        cell(
            " class=\"num\"",
            self.input(&name("allow"), &label("how much more"), "num"),
        );
        cell(
            " class=\"num\"",
            self.input(&name("price"), &label("price of one more"), "num"),
        );
        cell(
            "",
            format!("{}{}", remove(&at, &label("remove")), self.hidden(&name("keep"))),
        );
        Html(out)
    }

    /// The fields of a price: currency, what recurs, the period of usage.
    pub(super) fn price(&self, index: usize, row: &PriceRow) -> Html {
        let at = format!("price-{index}");
        let name = |field: &str| format!("{at}-{field}");
        let (every, terms) = (choices(&EVERY, &row.every), choices(&TERMS, &row.term));
        let periods = choices(&PERIODS, &row.period);
        let mut out = self.hidden(&name("keep"));
        let [currency, amount, every_name, term, period] = ["currency", "amount", "every", "term", "period"].map(name);
        out.push_str("<div class=\"fields\">");
        out.push_str(
            &self
                .form
                .text(&currency, "Currency")
                .hint("ISO 4217, such as EUR")
                .to_string(),
        );
        let base = self.form.text(&amount, "Base price").numeric().optional();
        out.push_str(&base.hint("Empty: nothing recurs").to_string());
        out.push_str(&self.form.select(&every_name, "Every", &every).to_string());
        out.push_str(&self.form.select(&term, "Due", &terms).to_string());
        let periods = self.form.select(&period, "Usage period", &periods);
        out.push_str(&periods.hint("Quotas and usage start anew with it").to_string());
        out.push_str("</div>");
        Html(out)
    }

    /// The fields of a usage price, without its tiers.
    pub(super) fn usage(&self, price: usize, index: usize, row: &UsageRow) -> Html {
        let at = format!("price-{price}-usage-{index}");
        let name = |field: &str| format!("{at}-{field}");
        let (meters, models) = (self.meters(&row.meter), choices(&MODELS, &row.model));
        let [meter, model, included, unit, size, amount] =
            ["meter", "model", "included", "unit", "size", "amount"].map(name);
        let mut out = self.hidden(&name("keep"));
        out.push_str("<div class=\"fields\">");
        out.push_str(&self.form.select(&meter, "Meter", &meters).to_string());
        // Another model has other fields: they appear at once where scripts run, and by "Update preview" elsewhere.
        out.push_str(&format!(
            "<div hx-post=\"{}\" hx-trigger=\"change\" hx-include=\"#plan\" hx-vals='{{\"do\":\"preview\"}}' hx-select=\"#{at}\" hx-target=\"#{at}\" hx-swap=\"outerHTML\">{}</div>",
            escape(self.action),
            self.form.select(&model, "Model", &models)
        ));
        let free = self.form.text(&included, "Included").numeric().optional();
        out.push_str(&free.hint("Units a usage period that cost nothing").to_string());
        match row.model.as_str() {
            "package" => {
                out.push_str(&self.form.text(&size, "Units in a package").numeric().to_string());
                out.push_str(&self.form.text(&amount, "Price of a package").numeric().to_string());
            }
            _ if row.is_tiered() => {}
            _ => out.push_str(&self.form.text(&unit, "Price of a unit").numeric().to_string()),
        }
        out.push_str("</div>");
        Html(out)
    }

    /// The cells of a tier.
    pub(super) fn tier(&self, place: (usize, usize, usize), row: &UsageRow) -> Html {
        let (price, usage, tier) = place;
        let at = format!("price-{price}-usage-{usage}-tier-{tier}");
        let label = |what: &str| format!("Tier {}, {what}", tier + 1);
        let mut out = String::from("<td class=\"num\">");
        if tier + 1 == row.tiers.len() {
            out.push_str("no end");
            out.push_str(&self.end(&format!("{at}-up_to")));
        } else {
            out.push_str(&self.input(&format!("{at}-up_to"), &label("up to"), "num"));
        }
        out.push_str("</td>");
        let fields: &[(&str, &str)] = if row.model == "stairstep" {
            &[("amount", "price of the whole")]
        } else {
            &[("unit", "price of a unit"), ("flat", "price on entering")]
        };
        for (field, text) in fields {
            let input = self.input(&format!("{at}-{field}"), &label(text), "num");
            out.push_str(&format!("<td class=\"num\">{input}</td>"));
        }
        out.push_str(&format!("<td>{}</td>", remove(&at, &label("remove"))));
        Html(out)
    }

    /// The last tier has no end; its input is there so that rows can be counted.
    fn end(&self, name: &str) -> String {
        let (_, fault) = self.fault(name);
        format!("<input type=\"hidden\" name=\"{}\" value=\"\">{fault}", escape(name))
    }
}

fn remove(at: &str, label: &str) -> String {
    format!(
        "<button class=\"button quiet small square\" name=\"remove\" value=\"{at}\" aria-label=\"{}\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"/static/icons.svg#close\"/></svg></button>",
        escape(label)
    )
}

/// The form of rows.
pub(super) fn form(rows: &Rows) -> Form {
    Form::with(rows.values())
}
