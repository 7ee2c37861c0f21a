//! Pages as Markdown, for tools that read no HTML: the same headings, the same names of parameters and fields.
//!
//! Invariant: what an author wrote stays their Markdown; it is not escaped, for nobody renders it here.

use std::fmt::Write as _;

use description::openapi::Location;
use description::openapi::references::lookup;
use serde_json::Value;

use crate::example::Example;
use crate::html::clip;
use crate::operation::{BodyView, MediaView, OperationView};
use crate::reference::Reference;
use crate::request::Inputs;
use crate::samples::{self, Language};
use crate::schema::{Key, Node, Stop};
use crate::{Entry, prose};

/// Bytes of one page.
const LONGEST: usize = 400_000;

/// Headings of the parts of an operation, which pages in HTML use as well.
pub const PARTS: [(Location, &str); 5] = [
    (Location::Path, "Path parameters"),
    (Location::Query, "Query parameters"),
    (Location::QueryString, "Query string"),
    (Location::Header, "Headers"),
    (Location::Cookie, "Cookies"),
];

impl Reference {
    /// The index of the reference. `base` is the address below which its pages are, without a slash at its end.
    #[must_use]
    pub fn index_markdown(&self, base: &str) -> String {
        let mut out = format!("# {}\n", line(self.title()));
        if !self.document_version().is_empty() {
            let _ = writeln!(out, "\nVersion {}", line(self.document_version()));
        }
        for group in self.groups() {
            let _ = writeln!(
                out,
                "\n{} {}\n",
                "#".repeat((group.level + 2).min(6)),
                line(&group.title)
            );
            for entry in self.operations_of(group) {
                let _ = writeln!(out, "- {}", link(entry, base, "operations"));
            }
        }
        if !self.webhooks().is_empty() {
            out.push_str("\n## Webhooks\n\n");
            for entry in self.webhooks() {
                let _ = writeln!(out, "- {}", link(entry, base, "webhooks"));
            }
        }
        if !self.schemas().is_empty() {
            out.push_str("\n## Schemas\n\n");
            for entry in self.schemas() {
                let _ = writeln!(out, "- [{}]({base}/schemas/{}.md)", line(&entry.name), entry.slug);
            }
        }
        out
    }

    /// The page of an operation or webhook. `base` is the address below which pages are; `inputs` make the sample.
    #[must_use]
    pub fn operation_markdown(&self, entry: &Entry, base: &str, inputs: &Inputs) -> String {
        let view = self.view(entry);
        let mut out = format!("# {}\n\n`{} {}`\n", line(&view.title), view.method, line(&view.path));
        if view.deprecated {
            out.push_str("\nDeprecated.\n");
        }
        let own = lookup(&self.document, &entry.pointer).and_then(|operation| operation.get("description"));
        paragraph(&mut out, own.and_then(Value::as_str).unwrap_or_default());
        let writer = Writer { base };
        Writer::auth(&view, &mut out);
        for (location, heading) in PARTS {
            let mut parameters = view.parameters_in(location).peekable();
            if parameters.peek().is_some() {
                let _ = writeln!(out, "\n## {heading}\n");
            }
            for parameter in parameters {
                let mut node = parameter.node.clone();
                node.required = parameter.required;
                node.deprecated = parameter.deprecated;
                node.prose = parameter.prose.clone();
                writer.node(&node, &parameter.name, 0, &mut out);
            }
        }
        if let Some(body) = &view.body {
            writer.body(body, &mut out);
        }
        writer.responses(&view, &mut out);
        let code = samples::print(&self.request(entry, inputs), Language::Curl);
        let _ = writeln!(out, "\n## Request\n\n{}", fenced("sh", &code.text));
        cut(out)
    }

    /// The page of the schema with this name in addresses.
    #[must_use]
    pub fn schema_markdown(&self, slug: &str, base: &str) -> Option<String> {
        let view = self.schema(slug)?;
        let entry = self.schema_entry(slug)?;
        let mut out = format!("# {}\n", line(&view.name));
        let own = lookup(&self.document, &entry.pointer).and_then(|schema| schema.get("description"));
        paragraph(&mut out, own.and_then(Value::as_str).unwrap_or_default());
        let _ = writeln!(out, "\n{}", line(&view.node.summary()));
        let writer = Writer { base };
        if view.node.has_children() || !view.node.allowed.is_empty() {
            out.push_str("\n## Fields\n\n");
            writer.children(&view.node, 0, &mut out);
        }
        if !view.operations.is_empty() || !view.schemas.is_empty() {
            out.push_str("\n## Used by\n\n");
            for user in &view.operations {
                let _ = writeln!(
                    out,
                    "- [{} {}]({base}/operations/{}.md)",
                    user.method,
                    line(&user.title),
                    user.slug
                );
            }
            for user in &view.schemas {
                let _ = writeln!(out, "- [{}]({base}/schemas/{}.md)", line(&user.name), user.slug);
            }
        }
        Some(cut(out))
    }
}

struct Writer<'a> {
    base: &'a str,
}

impl Writer<'_> {
    fn auth(view: &OperationView, out: &mut String) {
        if view.auth.is_empty() {
            return;
        }
        out.push_str("\n## Authentication\n\n");
        for alternative in &view.auth {
            let uses: Vec<String> = alternative
                .iter()
                .map(|used| {
                    let scopes: Vec<&str> = used.scopes.iter().map(|scope| scope.name.as_str()).collect();
                    let scopes = if scopes.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", scopes.join(", "))
                    };
                    format!("{}{}", line(&used.words), line(&scopes))
                })
                .collect();
            let text = if uses.is_empty() {
                "None".to_owned()
            } else {
                uses.join(" and ")
            };
            let _ = writeln!(out, "- {text}");
        }
    }

    fn body(&self, body: &BodyView, out: &mut String) {
        let _ = writeln!(out, "\n## Body\n");
        paragraph(out, &prose::strip(body.prose.as_str()));
        for media in &body.media {
            self.media(media, out);
        }
    }

    fn media(&self, media: &MediaView, out: &mut String) {
        let types: Vec<&str> = std::iter::once(&media.media_type)
            .chain(&media.also)
            .map(String::as_str)
            .collect();
        let _ = writeln!(out, "\n{}\n", line(&types.join(", ")));
        if let Some(node) = &media.node {
            let _ = writeln!(out, "{}{}\n", line(&node.summary()), self.schema(node));
            self.children(node, 0, out);
        }
        for example in &media.examples {
            example_text(example, out);
        }
    }

    fn responses(&self, view: &OperationView, out: &mut String) {
        if view.responses.is_empty() {
            return;
        }
        out.push_str("\n## Responses\n");
        for response in &view.responses {
            let _ = writeln!(
                out,
                "\n### {}\n",
                line(format!("{} {}", response.status, response.title).trim())
            );
            paragraph(out, &prose::strip(response.prose.as_str()));
            for header in &response.headers {
                let mut node = header.node.clone();
                node.prose = header.prose.clone();
                self.node(&node, &format!("Header {}", header.name), 0, out);
            }
            for media in &response.media {
                self.media(media, out);
            }
        }
    }

    fn schema(&self, node: &Node) -> String {
        node.schema.as_ref().map_or_else(String::new, |link| {
            format!(", [{}]({}/schemas/{}.md)", line(&link.name), self.base, link.slug)
        })
    }

    fn children(&self, node: &Node, depth: usize, out: &mut String) {
        if out.len() > LONGEST {
            return;
        }
        if !node.allowed.is_empty() && depth == 0 {
            let _ = writeln!(out, "{}", allowed(node));
        }
        for field in &node.fields {
            let name = match &field.key {
                Key::Item(at) => format!("item {at}"),
                _ => field.name().to_owned(),
            };
            self.node(field, &name, depth, out);
        }
        let indent = "  ".repeat(depth);
        if node.fields_more > 0 {
            let _ = writeln!(out, "{indent}- {} further fields", node.fields_more);
        }
        for variant in node.choices.iter().flat_map(|choice| &choice.variants) {
            let summary = line(&variant.node.summary());
            let _ = writeln!(
                out,
                "{indent}- Variant {}: {summary}{}",
                line(&variant.name),
                self.schema(&variant.node)
            );
            self.children(&variant.node, depth + 1, out);
        }
    }

    fn node(&self, node: &Node, name: &str, depth: usize, out: &mut String) {
        if out.len() > LONGEST {
            return;
        }
        let mut marks = String::new();
        for (is, word) in [
            (node.required, "required"),
            (node.deprecated, "deprecated"),
            (node.read_only, "read only"),
            (node.write_only, "write only"),
        ] {
            if is {
                let _ = write!(marks, ", {word}");
            }
        }
        let _ = write!(
            out,
            "{}- `{}`: {}{marks}{}",
            "  ".repeat(depth),
            name.replace(['`', '\n'], " "),
            line(&node.summary()),
            self.schema(node)
        );
        let text = prose::strip(node.prose.as_str());
        if !text.is_empty() {
            let _ = write!(out, ". {text}");
        }
        if let Some(default) = &node.default {
            let _ = write!(out, " Default: `{}`.", default.replace(['`', '\n'], " "));
        }
        if !node.allowed.is_empty() {
            let _ = write!(out, " {}", allowed(node));
        }
        match &node.stop {
            None => {}
            Some(Stop::Broken(reason)) => {
                let _ = write!(out, " ({})", line(reason));
            }
            Some(stop) => {
                let _ = write!(out, " ({})", stop.words());
            }
        }
        out.push('\n');
        self.children(node, depth + 1, out);
    }
}

fn allowed(node: &Node) -> String {
    let values: Vec<String> = node
        .allowed
        .iter()
        .map(|one| format!("`{}`", one.value.replace(['`', '\n'], " ")))
        .collect();
    let more = if node.allowed_more > 0 {
        format!(" and {} more", node.allowed_more)
    } else {
        String::new()
    };
    format!("One of {}{more}.", values.join(", "))
}

fn example_text(example: &Example, out: &mut String) {
    if example.text.is_empty() {
        return;
    }
    let name = match (example.is_generated, example.name.as_str()) {
        (true, "") => "Example, generated".to_owned(),
        (true, name) => format!("Example {name}, generated"),
        (false, "Example") => "Example".to_owned(),
        (false, name) => format!("Example {name}"),
    };
    let _ = writeln!(out, "\n{}:\n\n{}", line(&name), fenced("json", &example.text));
}

/// Code in a fence that is longer than any inside of it.
fn fenced(language: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) && fence.len() < 40 {
        fence.push('`');
    }
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

fn link(entry: &Entry, base: &str, folder: &str) -> String {
    let old = if entry.deprecated { " (deprecated)" } else { "" };
    let title = line(&entry.title);
    format!(
        "[{title}]({base}/{folder}/{}.md): `{} {}`{old}",
        entry.slug,
        entry.method,
        line(&entry.path)
    )
}

fn paragraph(out: &mut String, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        let _ = writeln!(out, "\n{}", clip(text, 64 << 10));
    }
}

/// Text on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        text
    } else {
        clip(&text, LONGEST)
    }
}
