//! A form as it is shown: what was typed, what is wrong with it, its fields as HTML.

use std::collections::BTreeMap;

use super::field::{Choices, Field};
use super::posted::Posted;
use super::{Html, escape};
use crate::http::problem::Problem;

/// Values and faults of a form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    values: Vec<(String, String)>,
    faults: BTreeMap<String, String>,
    /// Faults that belong to no field.
    general: Vec<String>,
}

impl Form {
    /// An empty form.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A form that shows what is stored.
    pub(crate) fn with<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        Self {
            values: values
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            ..Self::default()
        }
    }

    /// What was typed. Fields whose name holds `password` or `secret` are left out.
    pub(crate) fn typed(posted: &Posted) -> Self {
        let kept = posted
            .fields()
            .filter(|(name, _)| !name.contains("password") && !name.contains("secret"));
        Self::with(kept)
    }

    /// Notes what is wrong with a field and how to mend it.
    pub(crate) fn fault(&mut self, field: &str, text: impl Into<String>) {
        self.faults.entry(field.to_owned()).or_insert_with(|| text.into());
    }

    /// Notes what is wrong with the whole.
    pub(crate) fn wrong(&mut self, text: impl Into<String>) {
        self.general.push(text.into());
    }

    /// Takes over the faults of a problem of the Admin API: `/email` belongs to the field `email`; `rename` maps other
    /// pointers (without the slash) to fields; the rest is shown on top.
    pub(crate) fn take(&mut self, problem: &Problem, rename: &[(&str, &str)]) {
        let mut any = false;
        for (pointer, text) in problem.places() {
            any = true;
            let name = pointer.trim_start_matches('/');
            let field = rename
                .iter()
                .find(|(from, _)| *from == name)
                .map_or(name, |(_, to)| *to);
            if self.values.iter().any(|(known, _)| known == field) {
                self.fault(field, text);
            } else {
                self.wrong(text);
            }
        }
        if !any {
            self.wrong(problem.detail_text().unwrap_or_else(|| problem.title()).to_owned());
        }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_fine(&self) -> bool {
        self.faults.is_empty() && self.general.is_empty()
    }

    /// The value of a field; empty when it has none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// Whether a field holds this value: one of several boxes, or the chosen one of a group.
    pub(crate) fn holds(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(known, held)| known == name && held == value)
    }

    /// Sets the value of a field unless it has one.
    pub(crate) fn preset(&mut self, name: &str, value: impl Into<String>) {
        if !self.values.iter().any(|(known, _)| known == name) {
            self.values.push((name.to_owned(), value.into()));
        }
    }

    /// What is wrong with a field.
    pub(crate) fn fault_of(&self, name: &str) -> Option<&str> {
        self.faults.get(name).map(String::as_str)
    }

    /// A field of one line.
    pub(crate) fn text<'a>(&'a self, name: &'a str, label: &'a str) -> Field<'a> {
        Field::line(self, name, label)
    }

    /// A field of several lines.
    pub(crate) fn area<'a>(&'a self, name: &'a str, label: &'a str) -> Field<'a> {
        Field::area(self, name, label)
    }

    /// A choice from a list: pairs of value and text.
    pub(crate) fn select<'a>(&'a self, name: &'a str, label: &'a str, choices: &'a Choices) -> Field<'a> {
        Field::select(self, name, label, choices)
    }

    /// A choice from a few, all visible.
    pub(crate) fn radio<'a>(&'a self, name: &'a str, label: &'a str, choices: &'a Choices) -> Field<'a> {
        Field::radio(self, name, label, choices)
    }

    /// What is wrong, on top of the form, with a link to each field. Empty when nothing is.
    pub(crate) fn summary(&self) -> Html {
        if self.is_fine() {
            return Html::default();
        }
        let count = self.faults.len() + self.general.len();
        let title = match count {
            1 => "One thing needs mending".to_owned(),
            more => format!("{more} things need mending"),
        };
        let mut items = String::new();
        for text in &self.general {
            items.push_str(&format!("<li>{}</li>", escape(text)));
        }
        for (field, text) in &self.faults {
            items.push_str(&format!("<li><a href=\"#{}\">{}</a></li>", escape(field), escape(text)));
        }
        Html(format!(
            "<div class=\"notice bad\" role=\"alert\" tabindex=\"-1\" id=\"faults\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"/static/icons.svg#error\"/></svg><h2>{title}</h2><ul>{items}</ul></div>"
        ))
    }
}
