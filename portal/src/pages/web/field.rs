//! One field of a form as HTML: label, fault, control, hint, tied together for those who do not see them.

use std::fmt;

use super::escape;
use super::form::Form;

/// Pairs of value and text.
pub(crate) type Choices = Vec<(String, String)>;

enum Control<'a> {
    Line,
    Area,
    Select(&'a Choices),
    Radio(&'a Choices),
}

/// A field, to be put into a template as it is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of its own in a template, none depends on another"
)]
pub(crate) struct Field<'a> {
    form: &'a Form,
    name: &'a str,
    label: &'a str,
    control: Control<'a>,
    kind: &'a str,
    hint: Option<String>,
    optional: bool,
    required: bool,
    autocomplete: Option<&'a str>,
    placeholder: Option<String>,
    id: Option<String>,
    value: Option<String>,
    numeric: bool,
    rows: u8,
    wide: bool,
}

impl<'a> Field<'a> {
    fn new(form: &'a Form, name: &'a str, label: &'a str, control: Control<'a>) -> Self {
        Self {
            form,
            name,
            label,
            control,
            kind: "text",
            hint: None,
            optional: false,
            required: false,
            autocomplete: None,
            placeholder: None,
            id: None,
            value: None,
            numeric: false,
            rows: 6,
            wide: false,
        }
    }

    pub(super) fn line(form: &'a Form, name: &'a str, label: &'a str) -> Self {
        Self::new(form, name, label, Control::Line)
    }

    pub(super) fn area(form: &'a Form, name: &'a str, label: &'a str) -> Self {
        Self::new(form, name, label, Control::Area)
    }

    pub(super) fn select(form: &'a Form, name: &'a str, label: &'a str, choices: &'a Choices) -> Self {
        Self::new(form, name, label, Control::Select(choices))
    }

    pub(super) fn radio(form: &'a Form, name: &'a str, label: &'a str, choices: &'a Choices) -> Self {
        Self::new(form, name, label, Control::Radio(choices))
    }

    /// `email`, `password`, `date`, `datetime-local`, `url`, `number`, `file`…
    pub(crate) fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    /// What to write, in one sentence.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that it may stay empty.
    pub(crate) fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The browser asks for it.
    pub(crate) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What the browser may fill in.
    pub(crate) fn autocomplete(mut self, what: &'a str) -> Self {
        self.autocomplete = Some(what);
        self
    }

    /// An example.
    pub(crate) fn placeholder(mut self, example: impl Into<String>) -> Self {
        self.placeholder = Some(example.into());
        self
    }

    /// Another id than its name: for a page with several forms.
    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The value, where the form has none.
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Digits: right-aligned, with the small keyboard of phones.
    pub(crate) fn numeric(mut self) -> Self {
        self.numeric = true;
        self
    }

    /// So many lines.
    pub(crate) fn rows(mut self, rows: u8) -> Self {
        self.rows = rows;
        self
    }

    /// Takes the whole row.
    pub(crate) fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    fn id_text(&self) -> String {
        escape(self.id.as_deref().unwrap_or(self.name))
    }

    fn value_text(&self) -> String {
        let held = self.form.value(self.name);
        if held.is_empty() {
            self.value.clone().unwrap_or_default()
        } else {
            held.to_owned()
        }
    }

    /// Attributes that tie fault and hint to the control.
    fn ties(&self, id: &str) -> String {
        let mut tied = Vec::new();
        let mut out = String::new();
        if self.form.fault_of(self.name).is_some() {
            out.push_str(" aria-invalid=\"true\"");
            tied.push(format!("{id}-error"));
        }
        if self.hint.is_some() {
            tied.push(format!("{id}-hint"));
        }
        if !tied.is_empty() {
            out.push_str(&format!(" aria-describedby=\"{}\"", tied.join(" ")));
        }
        if self.required {
            out.push_str(" required");
        }
        out
    }

    fn error(&self, id: &str) -> String {
        self.form.fault_of(self.name).map_or_else(String::new, |fault| {
            format!(
                "<p class=\"error-text\" id=\"{id}-error\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"/static/icons.svg#error\"/></svg> <span>{}</span></p>",
                escape(fault)
            )
        })
    }

    fn hint_text(&self, id: &str) -> String {
        self.hint.as_ref().map_or_else(String::new, |hint| {
            format!("<p class=\"hint\" id=\"{id}-hint\">{}</p>", escape(hint))
        })
    }

    fn label_text(&self) -> String {
        let optional = if self.optional {
            " <span class=\"optional\">optional</span>"
        } else {
            ""
        };
        format!("{}{optional}", escape(self.label))
    }

    fn line_html(&self, id: &str) -> String {
        let value = if self.kind == "password" || self.kind == "file" {
            String::new()
        } else {
            format!(" value=\"{}\"", escape(&self.value_text()))
        };
        let complete = self
            .autocomplete
            .map_or_else(String::new, |what| format!(" autocomplete=\"{what}\""));
        let example = self
            .placeholder
            .as_ref()
            .map_or_else(String::new, |text| format!(" placeholder=\"{}\"", escape(text)));
        let digits = if self.numeric {
            " inputmode=\"decimal\" class=\"num\""
        } else {
            ""
        };
        format!(
            "<input id=\"{id}\" name=\"{}\" type=\"{}\"{value}{complete}{example}{digits}{}>",
            escape(self.name),
            escape(self.kind),
            self.ties(id)
        )
    }

    fn area_html(&self, id: &str) -> String {
        let example = self
            .placeholder
            .as_ref()
            .map_or_else(String::new, |text| format!(" placeholder=\"{}\"", escape(text)));
        format!(
            "<textarea id=\"{id}\" name=\"{}\" rows=\"{}\"{example}{}>\n{}</textarea>",
            escape(self.name),
            self.rows,
            self.ties(id),
            escape(&self.value_text())
        )
    }

    fn select_html(&self, id: &str, choices: &Choices) -> String {
        let chosen = self.value_text();
        let options: String = choices
            .iter()
            .map(|(value, text)| {
                let mark = if *value == chosen { " selected" } else { "" };
                format!("<option value=\"{}\"{mark}>{}</option>", escape(value), escape(text))
            })
            .collect();
        format!(
            "<select id=\"{id}\" name=\"{}\"{}>{options}</select>",
            escape(self.name),
            self.ties(id)
        )
    }

    fn radio_html(&self, id: &str, choices: &Choices) -> String {
        let chosen = self.value_text();
        let name = escape(self.name);
        let buttons: String = choices
            .iter()
            .enumerate()
            .map(|(at, (value, text))| {
                let mark = if *value == chosen || (chosen.is_empty() && at == 0) {
                    " checked"
                } else {
                    ""
                };
                let one = if at == 0 { id.to_owned() } else { format!("{id}-{at}") };
                format!(
                    "<div class=\"check-field\"><input type=\"radio\" name=\"{name}\" id=\"{one}\" value=\"{}\"{mark}><label for=\"{one}\">{}</label></div>",
                    escape(value),
                    escape(text)
                )
            })
            .collect();
        format!(
            "<fieldset class=\"field\"><legend>{}</legend>{}{buttons}{}</fieldset>",
            self.label_text(),
            self.error(id),
            self.hint_text(id)
        )
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id_text();
        let control = match self.control {
            Control::Line => self.line_html(&id),
            Control::Area => self.area_html(&id),
            Control::Select(choices) => self.select_html(&id, choices),
            Control::Radio(choices) => return f.write_str(&self.radio_html(&id, choices)),
        };
        let class = if self.wide { "field full" } else { "field" };
        write!(
            f,
            "<div class=\"{class}\"><label for=\"{id}\">{}</label>{}{control}{}</div>",
            self.label_text(),
            self.error(&id),
            self.hint_text(&id)
        )
    }
}

impl askama::filters::HtmlSafe for Field<'_> {}
