//! Schemas as nested lists of fields.
//!
//! Invariants: every text of a document is escaped here; what is written stays within the room that the page gives, and
//! says what it has left out.

use std::cell::Cell;
use std::fmt::Write as _;

use reference::Node;
use reference::schema::{Choice, Key, Rule, SchemaLink};

use crate::pages::catalogue::address::segment;
use crate::pages::web::escape;

/// Fields of a response that are not folded.
const SHOWN_AT_ONCE: usize = 24;

/// Writes trees below one address.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    /// What stands before the pages of the API.
    base: &'a str,
    out: String,
    /// Length at which nothing more is begun.
    end: usize,
    /// Elements that the page still has room for, and those of what is written next.
    elements: usize,
    share: usize,
    /// Up to where the elements of what is written are counted, and how many they are.
    counted: Cell<(usize, usize)>,
    choices: usize,
}

/// Elements of a piece of markup of ours.
pub(crate) fn elements(markup: &str) -> usize {
    let pairs = markup.as_bytes().windows(2);
    pairs
        .filter(|pair| matches!(pair, [b'<', letter] if letter.is_ascii_alphabetic()))
        .count()
}

impl<'a> Tree<'a> {
    /// With room for so many elements in all.
    pub(crate) fn new(base: &'a str, elements: usize) -> Self {
        Self {
            base,
            out: String::new(),
            end: 0,
            elements,
            share: 0,
            counted: Cell::new((0, 0)),
            choices: 0,
        }
    }

    /// Gives so many bytes to what is written next, and returns what that is.
    pub(crate) fn within(&mut self, room: usize, write: impl FnOnce(&mut Self)) -> String {
        self.out.clear();
        self.end = room;
        self.counted.set((0, 0));
        // What comes later needs some room as well.
        self.share = self.elements * 2 / 3;
        write(self);
        self.elements = self.elements.saturating_sub(self.count());
        std::mem::take(&mut self.out)
    }

    /// Elements of what is written so far.
    fn count(&self) -> usize {
        let (from, before) = self.counted.get();
        let count = before + elements(self.out.get(from..).unwrap_or_default());
        self.counted.set((self.out.len(), count));
        count
    }

    /// A list of fields; nothing for none.
    pub(crate) fn list<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        let mut nodes = nodes.into_iter().peekable();
        if nodes.peek().is_none() {
            return;
        }
        self.out.push_str("<dl class=\"schema\">");
        let mut left_out = 0_usize;
        for node in nodes {
            if self.is_full() {
                left_out += 1;
            } else {
                self.field(node);
            }
        }
        if left_out > 0 {
            let _ = write!(
                self.out,
                "<div><dt>{left_out} more</dt><dd>They are not shown here, for this page is long.</dd></div>"
            );
        }
        self.out.push_str("</dl>");
    }

    /// What stands below the root of a body, a response or a schema: its fields and choices.
    pub(crate) fn children(&mut self, node: &Node) {
        self.list(&node.fields);
        if node.fields_more > 0 {
            let _ = write!(
                self.out,
                "<p class=\"small soft\">{} more fields are not shown.</p>",
                node.fields_more
            );
        }
        for choice in &node.choices {
            self.choice(choice, node.name());
        }
    }

    /// What a root says about itself: type, allowed values, its schema.
    pub(crate) fn about(&mut self, node: &Node) {
        let summary = node.summary();
        // Its fields say that it is an object.
        let is_told = summary == "object" && node.has_children() && node.schema.is_none() && node.stop.is_none();
        if !is_told {
            let _ = write!(self.out, "<p class=\"small soft\">{}", escape(&summary));
            if let Some(schema) = &node.schema {
                self.out.push_str(", ");
                self.link(schema);
            }
            if let Some(stop) = &node.stop {
                let _ = write!(self.out, "; {}", escape(stop.words()));
            }
            self.out.push_str("</p>");
        }
        if !node.allowed.is_empty() || node.constant.is_some() || node.default.is_some() {
            self.out.push_str("<dl class=\"schema\"><div><dt>Value</dt>");
            self.values(node);
            self.out.push_str("</div></dl>");
        }
    }

    /// Markup of our own.
    pub(crate) fn write(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// A root with everything below it.
    pub(crate) fn root(&mut self, node: &Node) {
        self.about(node);
        self.children(node);
    }

    /// The same, folded where it has fields.
    pub(crate) fn folded_root(&mut self, node: &Node) {
        self.about(node);
        if !node.has_children() {
            return;
        }
        if self.is_full() {
            self.out
                .push_str("<p class=\"small soft\">Its fields are not shown here, for this page is long.</p>");
            return;
        }
        let words = if node.fields.is_empty() {
            "Variants".to_owned()
        } else {
            crate::pages::web::show::count(node.fields.len() as u64, "field", "fields")
        };
        let open = if node.fields.len() <= SHOWN_AT_ONCE {
            " open"
        } else {
            ""
        };
        let _ = write!(
            self.out,
            "<details class=\"disclosure\"{open}><summary>{words}</summary>"
        );
        self.children(node);
        self.out.push_str("</details>");
    }

    /// Whether the room is taken, in bytes or in elements.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= self.end || self.count() >= self.share
    }

    /// One field with everything below it.
    pub(crate) fn field(&mut self, node: &Node) {
        let anchor = escape(&node.anchor);
        let _ = write!(
            self.out,
            "<div id=\"{anchor}\"><dt><a href=\"#{}\">{}</a> <span>{}</span>",
            escape(&fragment(&node.anchor)),
            name(node),
            escape(&node.summary())
        );
        for (holds, mark) in [
            (node.required, "<span class=\"required\">required</span>"),
            (node.deprecated, "<span class=\"tag warn\">Deprecated</span>"),
            (node.read_only, "<span>only in responses</span>"),
            (node.write_only, "<span>only in requests</span>"),
        ] {
            if holds {
                let _ = write!(self.out, " {mark}");
            }
        }
        self.out.push_str("</dt>");
        if let Some(title) = &node.title {
            let _ = write!(self.out, "<dd>{}</dd>", escape(title));
        }
        if !node.prose.is_empty() {
            let _ = write!(self.out, "<dd class=\"prose\" dir=\"auto\">{}</dd>", node.prose);
        }
        self.values(node);
        self.where_to(node);
        if node.has_children() {
            self.below(node);
        }
        self.out.push_str("</div>");
    }

    fn values(&mut self, node: &Node) {
        if let Some(constant) = &node.constant {
            let _ = write!(self.out, "<dd>Always <code>{}</code></dd>", escape(constant));
        }
        if !node.allowed.is_empty() {
            self.out.push_str("<dd class=\"allowed\">");
            for allowed in &node.allowed {
                let _ = write!(self.out, "<code>{}</code> ", escape(&allowed.value));
            }
            if node.allowed_more > 0 {
                let _ = write!(self.out, "<span>{} more</span>", node.allowed_more);
            }
            self.out.push_str("</dd>");
            for allowed in &node.allowed {
                if let Some(meaning) = &allowed.meaning {
                    let _ = write!(
                        self.out,
                        "<dd><code>{}</code>: {}</dd>",
                        escape(&allowed.value),
                        escape(meaning)
                    );
                }
            }
        }
        let default = node
            .default
            .as_ref()
            .map(|value| format!("Default: <code>{}</code>", escape(value)));
        let example = node
            .example
            .as_ref()
            .map(|value| format!("Such as <code>{}</code>", escape(value)));
        let said: Vec<String> = default.into_iter().chain(example).collect();
        if !said.is_empty() {
            let _ = write!(self.out, "<dd>{}</dd>", said.join(". "));
        }
    }

    /// Where the rest is, when something is not shown; the page of the schema otherwise.
    fn where_to(&mut self, node: &Node) {
        match (&node.stop, &node.schema) {
            (Some(stop), Some(schema)) => {
                self.out.push_str("<dd>See ");
                self.link(schema);
                let _ = write!(self.out, "; {}.</dd>", escape(stop.words()));
            }
            (Some(stop), None) => {
                let _ = write!(
                    self.out,
                    "<dd><span class=\"tag warn\">Note</span> {}</dd>",
                    escape(stop.words())
                );
            }
            (None, Some(schema)) if node.has_children() => {
                self.out.push_str("<dd class=\"small\">Schema ");
                self.link(schema);
                self.out.push_str("</dd>");
            }
            (None, _) => {}
        }
    }

    fn below(&mut self, node: &Node) {
        if self.is_full() {
            self.out
                .push_str("<dd>Its fields are not shown here, for this page is long.");
            if let Some(schema) = &node.schema {
                self.out.push_str(" See ");
                self.link(schema);
                self.out.push('.');
            }
            self.out.push_str("</dd>");
            return;
        }
        self.out.push_str("<dd>");
        if node.fields.is_empty() {
            self.children(node);
        } else {
            let of = match node.name() {
                "" => String::new(),
                name => format!(" of {}", escape(name)),
            };
            let _ = write!(
                self.out,
                "<details class=\"disclosure\"><summary>{}{of}</summary>",
                crate::pages::web::show::count(node.fields.len() as u64, "field", "fields")
            );
            self.children(node);
            self.out.push_str("</details>");
        }
        self.out.push_str("</dd>");
    }

    /// Variants as tabs: they need no script, and the arrow keys choose.
    fn choice(&mut self, choice: &Choice, of: &str) {
        if self.is_full() {
            let _ = write!(
                self.out,
                "<p class=\"small soft\">{} variants are not shown here, for this page is long.</p>",
                choice.variants.len()
            );
            return;
        }
        self.choices += 1;
        let group = self.choices;
        let rule = match choice.rule {
            Rule::OneOf => "One of",
            Rule::AnyOf => "Any of",
        };
        let by = choice
            .by
            .as_ref()
            .map_or_else(String::new, |by| format!(", told by <code>{}</code>", escape(by)));
        let about = if of.is_empty() {
            String::new()
        } else {
            format!(" for {}", escape(of))
        };
        let _ = write!(
            self.out,
            "<fieldset class=\"tabs\"><legend class=\"small soft\">{rule} {}{about}{by}</legend>",
            choice.variants.len() + choice.more
        );
        for (at, variant) in choice.variants.iter().enumerate() {
            let checked = if at == 0 { " checked" } else { "" };
            let _ = write!(
                self.out,
                "<label><input type=\"radio\" name=\"variant-{group}\" value=\"{at}\"{checked}> {}</label><div>",
                escape(&variant.name)
            );
            self.variant(&variant.node);
            self.out.push_str("</div>");
        }
        if choice.more > 0 {
            let _ = write!(
                self.out,
                "<p class=\"small soft\">{} more variants are not shown.</p>",
                choice.more
            );
        }
        self.out.push_str("</fieldset>");
    }

    fn variant(&mut self, node: &Node) {
        let is_said = node.fields.is_empty() || node.schema.is_some();
        if is_said {
            self.about(node);
        }
        if !node.prose.is_empty() && !self.is_full() {
            let _ = write!(self.out, "<div class=\"small prose\" dir=\"auto\">{}</div>", node.prose);
        }
        if self.is_full() && node.has_children() {
            self.out
                .push_str("<p class=\"small soft\">Its fields are not shown here, for this page is long.</p>");
        } else {
            self.children(node);
        }
    }

    fn link(&mut self, schema: &SchemaLink) {
        let _ = write!(
            self.out,
            "<a href=\"{}/schemas/{}\">{}</a>",
            self.base,
            segment(&schema.slug),
            escape(&schema.name)
        );
    }
}

/// An anchor as the fragment of an address.
fn fragment(anchor: &str) -> String {
    segment(anchor)
}

/// The name of a field as markup.
fn name(node: &Node) -> String {
    match &node.key {
        Key::Root => "<code>value</code>".to_owned(),
        Key::Field(name) => format!("<code>{}</code>", escape(name)),
        Key::Pattern(pattern) => format!("names that match <code>{}</code>", escape(pattern)),
        Key::Other => "any other name".to_owned(),
        Key::Item(at) => format!("<code>[{at}]</code>"),
    }
}
