//! Markdown of strangers as markup that is safe to show.
//!
//! [`markdown`] renders GitHub's dialect and lets only an allow-list of elements and attributes through; what is left has no
//! script, no style, no image and only links to `http`, `https` and `mailto`. [`guide`] does the same for guides, with a
//! table of contents and links inside the site.
//!
//! Invariants: length and work are bounded; what costs too much is shown as plain text. Headings never skip a level
//! below the one they begin at. Deliberately absent: images, for pages load nothing from other hosts (their text is a
//! link), and identifiers that an author chose.

mod outline;
mod sanitise;

use std::cell::Cell;

use comrak::nodes::{AstNode, NodeLink, NodeValue};
use comrak::{Arena, Options, options};

use crate::html::{Html, escape};
use outline::{Outline, level_headings};

/// An entry of a table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Level as rendered, from 2 on.
    pub level: u8,
    /// The `id` of the heading.
    pub anchor: String,
    /// Its text.
    pub text: String,
}

/// Where a text stands, which decides about its headings and relative links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Below the heading of a page: headings begin at this level and can be linked to.
    Page(u8),
    /// Inside of a table or list of fields: headings become paragraphs.
    Field,
    /// A guide below its `h1`: headings begin at level 2, and links inside the site stay.
    Guide(Shelf<'a>),
}

/// Where a guide stands in the site, and which other guides links can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf<'a> {
    /// The guide's own address.
    pub path: &'a str,
    /// Addresses of the guides that the reader may open, its own too.
    pub guides: &'a [String],
}

/// What stands before the addresses of all guides.
const GUIDES: &str = "/docs/";

/// A rendered text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The markup.
    pub html: Html,
    /// Headings in their order, unless they became paragraphs.
    pub headings: Vec<Heading>,
}

/// Longest text that is read as Markdown, in bytes, for callers without limits of their own.
pub const LONGEST: usize = 64 << 10;
/// Longest guide, in bytes.
const LONGEST_GUIDE: usize = 512 << 10;
/// Steps of 256 that a parser may take, beside those for the length of its text.
const PATIENCE: usize = 2_000;
/// Tags and entities above which a text is shown as it is: nesting and entities without an end make parsers slow.
const MOST_TAGS: usize = 3_000;

/// Renders a description. A relative link is shown as text unless `base` is an absolute address that completes it.
#[must_use]
pub fn markdown(text: &str, place: Place<'_>, base: Option<&str>) -> Html {
    render(text, place, base, LONGEST).html
}

/// Renders a guide. A link to another guide may be written as to the file beside it, such as `other.md`; one to a guide
/// that is not on the shelf is shown as text.
#[must_use]
pub fn guide(text: &str, shelf: Shelf<'_>) -> Rendered {
    render(text, Place::Guide(shelf), None, LONGEST_GUIDE)
}

/// The text of a description without its markup, for titles, summaries and search.
#[must_use]
pub fn plain_text(text: &str) -> String {
    let html = markdown(text, Place::Field, None);
    strip(html.as_str())
}

pub(crate) fn render(text: &str, place: Place<'_>, base: Option<&str>, longest: usize) -> Rendered {
    let text = cut(text.trim(), longest);
    if text.is_empty() {
        return Rendered::default();
    }
    if is_plain(text) {
        let mut markup = String::with_capacity(text.len() + 8);
        markup.push_str("<p>");
        escape(text, &mut markup);
        markup.push_str("</p>");
        return Rendered {
            html: Html::trusted(markup),
            headings: Vec::new(),
        };
    }
    parsed(text, place, base).unwrap_or_else(|| as_text(text))
}

fn as_text(text: &str) -> Rendered {
    let mut markup = String::from("<pre>");
    escape(text, &mut markup);
    markup.push_str("</pre>");
    Rendered {
        html: Html::trusted(markup),
        headings: Vec::new(),
    }
}

fn parsed(text: &str, place: Place<'_>, base: Option<&str>) -> Option<Rendered> {
    let text = flatten_nesting(text);
    let (arena, mut options) = (Arena::new(), options());
    options.render.r#unsafe = true;
    if text.bytes().filter(|byte| matches!(byte, b'<' | b'&')).count() > MOST_TAGS {
        return None;
    }
    let steps = Cell::new(PATIENCE + text.len() / 64);
    let impatient = || {
        steps.set(steps.get().saturating_sub(1));
        steps.get() == 0
    };
    let root = comrak::try_parse_document(&arena, &text, &options, &impatient).ok()?;
    tame(root, place, base);
    level_headings(root, place);
    let outline = Outline::default();
    let mut plugins = options::Plugins::default();
    plugins.render.heading_adapter = Some(&outline);
    let mut markup = String::with_capacity(text.len() * 2);
    comrak::format_html_with_plugins(root, &options, &mut markup, &plugins).ok()?;
    let headings = outline.headings();
    Some(Rendered {
        html: sanitise::clean(&markup),
        headings,
    })
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.cjk_friendly_emphasis = true;
    options.render.gfm_quirks = true;
    options
}

/// Whether a text has nothing that Markdown or HTML would read as more than text on one line.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| b"*_`[]<>#&\\|~\n\r\t@!=+".contains(&byte);
    let list = text.starts_with(['-', '+']) || text.starts_with(|c: char| c.is_ascii_digit());
    !list && !text.bytes().any(special) && !text.contains("://") && !text.contains("www.")
}

fn cut(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Takes away markers of quotes and lists beyond a depth that anyone would write: each level costs time on each line.
fn flatten_nesting(text: &str) -> String {
    const DEEPEST: usize = 12;
    let marker = |c: char| matches!(c, '>' | '-' | '+' | '*') || c.is_ascii_whitespace();
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut markers = 0;
        let lead = line.find(|c: char| !marker(c)).unwrap_or(line.len());
        let (head, rest) = line.split_at(lead);
        for character in head.chars() {
            markers += usize::from(!character.is_ascii_whitespace());
            if markers <= DEEPEST || character.is_ascii_whitespace() {
                out.push(character);
            }
        }
        out.push_str(rest);
    }
    out
}

/// Turns images into links, drops links that lead nowhere, and takes headings out of embedded markup.
fn tame<'a>(root: &'a AstNode<'a>, place: Place<'_>, base: Option<&str>) {
    let nodes: Vec<_> = root.descendants().collect();
    for node in nodes {
        let mut unwrap = false;
        {
            let mut data = node.data_mut();
            match &mut data.value {
                NodeValue::Link(link) | NodeValue::Image(link) => match target(&link.url, place, base) {
                    Some(url) => {
                        let link = NodeLink {
                            url,
                            title: String::new(),
                        };
                        data.value = NodeValue::Link(Box::new(link));
                    }
                    None => unwrap = true,
                },
                NodeValue::HtmlBlock(block) => block.literal = without_headings(&block.literal),
                NodeValue::HtmlInline(literal) => *literal = without_headings(literal),
                _ => {}
            }
        }
        if unwrap {
            while let Some(child) = node.first_child() {
                node.insert_before(child);
            }
            node.detach();
        }
    }
}

/// The address that a link may lead to.
fn target(url: &str, place: Place<'_>, base: Option<&str>) -> Option<String> {
    let url = url.trim();
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if let Some(scheme) = scheme.filter(|scheme| !scheme.contains(['/', '?', '#'])) {
        return matches!(scheme.as_str(), "http" | "https" | "mailto").then(|| url.to_owned());
    }
    if url.is_empty() || url.starts_with("//") || url.contains('\\') {
        return None;
    }
    if let Place::Guide(shelf) = place {
        return match url.strip_prefix('#') {
            Some(anchor) => Some(format!("#{}{anchor}", outline::PREFIX)),
            None => shelf.target(&join(shelf.path, url)),
        };
    }
    let (Some(base), false) = (base, url.starts_with('#')) else {
        return None;
    };
    let origin = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"))?;
    let start = base.len() - origin.len();
    let host_end = origin.find(['/', '?', '#']).map_or(base.len(), |at| at + start);
    let (host, path) = base.split_at(host_end);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(format!("{host}{}", join(if path.is_empty() { "/" } else { path }, url)))
}

impl Shelf<'_> {
    /// An address of the site as a link may have it: guides by their pages, whether or not `.md` is written.
    fn target(self, address: &str) -> Option<String> {
        let end = address.find(['?', '#']).unwrap_or(address.len());
        let (page, rest) = address.split_at(end);
        if !page.starts_with(GUIDES) {
            return Some(address.to_owned());
        }
        let page = page.trim_end_matches('/');
        let known = |page: &str| self.guides.iter().any(|guide| guide == page);
        let page = Some(page)
            .filter(|page| known(page))
            .or_else(|| page.strip_suffix(".md").filter(|page| known(page)))?;
        Some(match rest.strip_prefix('#') {
            Some(anchor) => format!("{page}#{}{anchor}", outline::PREFIX),
            None => format!("{page}{rest}"),
        })
    }
}

/// A relative address seen from a path.
fn join(path: &str, url: &str) -> String {
    if url.starts_with('/') {
        return url.to_owned();
    }
    let folder = path.rfind('/').and_then(|at| path.get(..at)).unwrap_or_default();
    let mut segments: Vec<&str> = folder.split('/').filter(|segment| !segment.is_empty()).collect();
    for segment in url.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Headings of embedded markup would break the order of the page's own.
fn without_headings(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let name = if tag.starts_with("</") { 2 } else { 1 };
        let is_heading = matches!(tag.as_bytes().get(name), Some(b'h' | b'H'))
            && matches!(tag.as_bytes().get(name + 1), Some(b'1'..=b'6'));
        let taken = if is_heading { name + 2 } else { 1 };
        out.push_str(match (is_heading, name) {
            (true, 1) => "<strong",
            (true, _) => "</strong",
            (false, _) => "<",
        });
        rest = tag.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The text of markup of this crate.
pub(crate) fn strip(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if from.starts_with('<') {
            let end = from.find('>').map_or(from.len(), |at| at + 1);
            if !out.ends_with(char::is_whitespace) && !is_inline(from) {
                out.push(' ');
            }
            rest = from.get(end..).unwrap_or_default();
            continue;
        }
        let known = [
            ("&amp;", '&'),
            ("&lt;", '<'),
            ("&gt;", '>'),
            ("&quot;", '"'),
            ("&#39;", '\''),
            ("&nbsp;", ' '),
        ];
        let found = known.iter().find(|(entity, _)| from.starts_with(entity));
        let (length, character) = found.map_or((1, '&'), |(entity, character)| (entity.len(), *character));
        out.push(character);
        rest = from.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a tag stands inside of words.
fn is_inline(tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    matches!(
        name.get(..end).unwrap_or_default(),
        "a" | "b" | "code" | "em" | "i" | "strong" | "sub" | "sup" | "mark" | "del" | "kbd" | "span"
    )
}

#[cfg(test)]
mod tests;
