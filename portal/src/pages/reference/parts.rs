//! The parts of an operation or webhook as markup: parameters, bodies, responses, examples.

use std::fmt::Write as _;

use description::openapi::Location;
use reference::Example;
use reference::operation::{
    BodyView, CallbackView, HeaderView, MediaView, OperationView, ParameterView, ResponseView, Style,
};
use reference::schema::Node;
use reference::twin::PARTS;

use super::open::method_class;
use super::tree::Tree;
use crate::pages::catalogue::address::segment;
use crate::pages::web::{Html, escape};

/// Bytes of markup for the parts of a page, so that all of it stays within what a phone loads at once.
const ROOM_PARAMETERS: usize = 18_000;
const ROOM_BODY: usize = 26_000;
const ROOM_RESPONSES: usize = 24_000;
const ROOM_CALLBACKS: usize = 8_000;
/// Bytes of the text of one example beside fields.
const EXAMPLE: usize = 6_000;

/// A section of a page.
pub(crate) struct Part {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: Html,
    pub(crate) html: Html,
}

/// Everything between the prose of an operation and its neighbours, in about so many elements.
pub(crate) fn parts(view: &OperationView, base: &str, elements: usize) -> Vec<Part> {
    let mut tree = Tree::new(base, elements);
    let mut parts = parameters(view, &mut tree);
    if let Some(body) = &view.body {
        let html = tree.within(ROOM_BODY, |tree| medias(&body.media, tree));
        parts.push(Part {
            id: "body",
            title: if view.kind == reference::Kind::Webhook {
                "Payload"
            } else {
                "Body"
            },
            about: body_about(body),
            html: Html(html),
        });
    }
    if !view.responses.is_empty() {
        let html = tree.within(ROOM_RESPONSES, |tree| responses(&view.responses, base, tree));
        let more = view.responses_more;
        let rest = if more > 0 {
            format!("<p class=\"small soft\">{more} more are not shown.</p>")
        } else {
            String::new()
        };
        parts.push(Part {
            id: "responses",
            title: if view.kind == reference::Kind::Webhook {
                "Answers that are expected"
            } else {
                "Responses"
            },
            about: Html::default(),
            html: Html(format!("<div class=\"responses\">{html}</div>{rest}")),
        });
    }
    if !view.callbacks.is_empty() {
        let html = tree.within(ROOM_CALLBACKS, |tree| callbacks(&view.callbacks, tree));
        parts.push(Part {
            id: "callbacks",
            title: "Callbacks",
            about: Html::default(),
            html: Html(html),
        });
    }
    parts
}

fn parameters(view: &OperationView, tree: &mut Tree<'_>) -> Vec<Part> {
    const IDS: [&str; 5] = ["path", "query", "query-string", "headers", "cookies"];
    let mut parts = Vec::new();
    for ((location, title), id) in PARTS.into_iter().zip(IDS) {
        let nodes: Vec<Node> = view.parameters_in(location).map(parameter).collect();
        if nodes.is_empty() {
            continue;
        }
        let html = tree.within(ROOM_PARAMETERS, |tree| tree.list(&nodes));
        parts.push(Part {
            id,
            title,
            about: Html::default(),
            html: Html(html),
        });
    }
    let other = [Location::Body, Location::FormData];
    let nodes: Vec<Node> = other
        .into_iter()
        .flat_map(|place| view.parameters_in(place))
        .map(parameter)
        .collect();
    if !nodes.is_empty() && view.body.is_none() {
        let html = tree.within(ROOM_PARAMETERS, |tree| tree.list(&nodes));
        parts.push(Part {
            id: "form",
            title: "Form",
            about: Html::default(),
            html: Html(html),
        });
    }
    parts
}

/// A parameter as a field.
fn parameter(parameter: &ParameterView) -> Node {
    let mut node = parameter.node.clone();
    node.key = reference::schema::Key::Field(parameter.name.clone());
    node.required = parameter.required;
    node.deprecated = parameter.deprecated;
    if !parameter.prose.is_empty() {
        node.prose = parameter.prose.clone();
    }
    if node.types.contains("array") || node.types.contains("object") {
        node.words.push(style(parameter.style, parameter.explode).to_owned());
    }
    if let (None, Some(example)) = (
        &node.example,
        parameter.examples.first().filter(|one| !one.is_generated),
    ) {
        node.example = Some(example.text.clone());
    }
    node
}

/// How several values are written.
const fn style(style: Style, explode: bool) -> &'static str {
    match (style, explode) {
        (Style::Form, true) => "each on its own: a=1&a=2",
        (Style::Form | Style::Simple, _) => "separated by commas",
        (Style::Label, _) => "after points: .1.2",
        (Style::Matrix, _) => "after semicolons: ;a=1",
        (Style::SpaceDelimited, _) => "separated by spaces",
        (Style::PipeDelimited, _) => "separated by |",
        (Style::TabDelimited, _) => "separated by tabs",
        (Style::DeepObject, _) => "in brackets: a[b]=1",
    }
}

fn body_about(body: &BodyView) -> Html {
    let mut types: Vec<String> = Vec::new();
    for media in &body.media {
        types.push(escape(&media.media_type));
        types.extend(media.also.iter().map(|other| escape(other)));
    }
    let required = if body.required { "" } else { "optional, " };
    Html(format!(
        "<p class=\"small soft\">{required}{}</p>{}",
        types.join(", "),
        body.prose
    ))
}

fn medias(media: &[MediaView], tree: &mut Tree<'_>) {
    for one in media {
        if media.len() > 1 {
            let also = one.also.iter().map(|other| format!(", <code>{}</code>", escape(other)));
            tree.write(&format!(
                "<h3><code>{}</code>{}</h3>",
                escape(&one.media_type),
                also.collect::<String>()
            ));
        }
        if one.is_stream {
            tree.write("<p class=\"small soft\">A stream; this is one item of it.</p>");
        }
        for (field, content) in &one.encodings {
            tree.write(&format!(
                "<p class=\"small soft\"><code>{}</code> is sent as <code>{}</code>.</p>",
                escape(field),
                escape(content)
            ));
        }
        match &one.node {
            Some(node) => tree.root(node),
            None => tree.write("<p class=\"small soft\">The document does not say what it holds.</p>"),
        }
        // A single one without a name of its own stands in the samples alone.
        let is_named =
            |example: &Example| !example.is_generated && !example.name.is_empty() && example.name != "Example";
        if one.examples.len() > 1 || one.examples.iter().any(is_named) {
            for example in &one.examples {
                named_example(example, tree);
            }
        }
    }
}

/// An example below its fields, folded.
fn named_example(example: &Example, tree: &mut Tree<'_>) {
    if tree.is_full() {
        return;
    }
    let name = if example.name.is_empty() {
        "Example"
    } else {
        &example.name
    };
    let mut out = format!("<details class=\"disclosure\"><summary>Example: {}", escape(name));
    if example.is_generated {
        out.push_str(" (generated)");
    }
    out.push_str("</summary>");
    if let Some(summary) = &example.summary {
        let _ = write!(out, "<p class=\"small\">{}</p>", escape(summary));
    }
    let _ = write!(out, "{}{}</details>", example.prose, code(example, name));
    tree.write(&out);
}

/// The text of an example.
pub(crate) fn code(example: &Example, label: &str) -> String {
    if example.text.is_empty() {
        return example.external.as_ref().map_or_else(String::new, |url| {
            format!(
                "<p class=\"small\">The document has this example elsewhere: <code>{}</code></p>",
                escape(url)
            )
        });
    }
    let markup = if example.text.len() <= EXAMPLE {
        example.html.to_string()
    } else {
        escape(cut(&example.text, EXAMPLE))
    };
    let is_cut = example.is_cut || example.text.len() > EXAMPLE;
    let rest = if is_cut {
        "<p class=\"small soft\">The rest is left out.</p>"
    } else {
        ""
    };
    format!(
        "<pre tabindex=\"0\" role=\"region\" aria-label=\"{}\"><code>{markup}</code></pre>{rest}",
        escape(label)
    )
}

/// The beginning of a text, up to a line within the length.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end).unwrap_or_default();
    head.rfind('\n').and_then(|line| head.get(..line)).unwrap_or(head)
}

fn responses(responses: &[ResponseView], base: &str, tree: &mut Tree<'_>) {
    let first = responses
        .iter()
        .position(|response| response.status.starts_with('2'))
        .unwrap_or(0);
    for (at, response) in responses.iter().enumerate() {
        let open = if at == first { " open" } else { "" };
        let said = reference::prose::plain_text(response.prose.as_str());
        let title = if said.is_empty() { response.title } else { said.as_str() };
        tree.write(&format!(
            "<details{open}><summary><span class=\"status {}\">{}</span> {}</summary>",
            status_class(&response.status),
            escape(&response.status),
            escape(title)
        ));
        if response.prose.as_str().len() > said.len() + 7 {
            tree.write(&format!(
                "<div class=\"prose small\" dir=\"auto\">{}</div>",
                response.prose
            ));
        }
        let headers: Vec<Node> = response.headers.iter().map(header).collect();
        if !headers.is_empty() {
            tree.write("<p class=\"small soft\">Headers</p>");
            tree.list(&headers);
        }
        if response.media.is_empty() {
            tree.write("<p class=\"small soft\">No body.</p>");
        }
        for media in &response.media {
            let types: Vec<String> = std::iter::once(&media.media_type)
                .chain(&media.also)
                .map(|one| escape(one))
                .collect();
            tree.write(&format!("<p class=\"small soft\">{}</p>", types.join(", ")));
            if let Some(node) = &media.node {
                tree.folded_root(node);
            }
        }
        for link in &response.links {
            let to = link.operation.as_ref().map_or_else(
                || escape(&link.name),
                |operation| {
                    format!(
                        "<a href=\"{base}/operations/{}\">{}</a>",
                        segment(&operation.slug),
                        escape(&operation.title)
                    )
                },
            );
            tree.write(&format!("<p class=\"small\">Goes on with {to}.</p>{}", link.prose));
        }
        tree.write("</details>");
    }
}

fn header(header: &HeaderView) -> Node {
    let mut node = header.node.clone();
    node.key = reference::schema::Key::Field(header.name.clone());
    node.required = header.required;
    node.deprecated = header.deprecated;
    if !header.prose.is_empty() {
        node.prose = header.prose.clone();
    }
    node
}

fn callbacks(callbacks: &[CallbackView], tree: &mut Tree<'_>) {
    for callback in callbacks {
        tree.write(&format!(
            "<h3>{}</h3><p class=\"endpoint\"><span class=\"method {}\">{}</span> <code>{}</code></p>{}",
            escape(&callback.title),
            method_class(&callback.method),
            escape(&callback.method),
            escape(&callback.expression),
            callback.prose
        ));
        if let Some(body) = &callback.body {
            medias(&body.media, tree);
        }
    }
}

/// How a status looks.
pub(crate) fn status_class(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "good",
        Some(b'3' | b'1') => "busy",
        Some(b'4') => "warn",
        Some(b'5') => "bad",
        _ => "",
    }
}
