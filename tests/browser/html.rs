//! A page as text: its tags and their attributes, as far as tests ask. It reads the well-formed HTML of our own
//! templates, not any HTML.

use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// The text up to the next tag.
    pub text: String,
    closes: bool,
}

impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone)]
pub struct Page {
    pub html: String,
    tags: Vec<Tag>,
}

/// A form with the fields that it sends untouched.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub method: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with this field changed or added.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Page {
    pub fn parse(html: &str) -> Self {
        let (mut tags, mut rest) = (Vec::new(), html);
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
                continue;
            }
            let (mut tag, behind) = read(rest);
            rest = behind;
            // What these hold is no markup.
            if ["script", "style", "textarea", "title"].contains(&tag.name.as_str()) && !tag.closes {
                let end = rest.find(&format!("</{}", tag.name)).unwrap_or(rest.len());
                tag.text = decoded(&rest[..end]);
                rest = &rest[end..];
            } else {
                tag.text = decoded(&rest[..rest.find('<').unwrap_or(rest.len())]);
            }
            tags.push(tag);
        }
        Self {
            html: html.to_owned(),
            tags,
        }
    }

    /// Opening tags with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Tag> {
        self.open().filter(move |tag| tag.name == name)
    }

    pub fn open(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter().filter(|tag| !tag.closes)
    }

    pub fn title(&self) -> String {
        let title = self.all("title").next();
        title.map(|tag| tag.text.trim().to_owned()).unwrap_or_default()
    }

    /// The name of the template, where the page tells it.
    pub fn template(&self) -> Option<&str> {
        self.all("body").next()?.get("data-page")
    }

    /// Where its links lead, as written.
    pub fn links(&self) -> Vec<String> {
        let anchors = self.all("a").filter_map(|tag| tag.get("href"));
        anchors.map(str::to_owned).collect()
    }

    pub fn ids(&self) -> BTreeSet<&str> {
        self.open().filter_map(|tag| tag.get("id")).collect()
    }

    /// Levels and texts of the headings, in order.
    pub fn headings(&self) -> Vec<(u32, String)> {
        let mut headings = Vec::new();
        for (at, tag) in self.tags.iter().enumerate().filter(|(_, tag)| !tag.closes) {
            let level = tag.name.strip_prefix('h').and_then(|level| level.parse().ok());
            if let Some(level @ 1..=6) = level {
                headings.push((level, self.text_within(at)));
            }
        }
        headings
    }

    /// Text of the element that begins at this tag.
    fn text_within(&self, at: usize) -> String {
        let name = &self.tags[at].name;
        let end = |tag: &&Tag| !(tag.closes && tag.name == *name);
        let texts = self.tags[at..].iter().take_while(end).map(|tag| tag.text.as_str());
        texts
            .collect::<Vec<_>>()
            .join("")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What can be read in the main part, without markup.
    pub fn main_text(&self) -> String {
        let inside = self.tags.iter().skip_while(|tag| tag.name != "main").skip(1);
        let inside = inside.take_while(|tag| tag.name != "main");
        let read = inside.filter(|tag| !["script", "style", "template"].contains(&tag.name.as_str()));
        let text: Vec<_> = read
            .map(|tag| tag.text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        text.join(" ")
    }

    pub fn forms(&self) -> Vec<Form> {
        let mut forms: Vec<Form> = Vec::new();
        let mut list: Option<(String, bool)> = None;
        for tag in self.open() {
            let owned = |name: &str| tag.get(name).unwrap_or_default().to_owned();
            if tag.name == "form" {
                forms.push(Form {
                    action: owned("action"),
                    method: owned("method").to_lowercase(),
                    fields: Vec::new(),
                });
            }
            let Some(form) = forms.last_mut() else { continue };
            let unticked = ["checkbox", "radio"].contains(&owned("type").as_str()) && tag.get("checked").is_none();
            let field = match tag.name.as_str() {
                "input" if !unticked => Some((owned("name"), owned("value"))),
                "textarea" => Some((owned("name"), tag.text.clone())),
                "select" => {
                    list = Some((owned("name"), false));
                    None
                }
                "option" => list.as_mut().and_then(|(name, chosen)| {
                    let is_chosen = tag.get("selected").is_some();
                    let known = form.fields.iter().position(|(known, _)| known == name);
                    if known.is_some() && (!is_chosen || *chosen) {
                        return None;
                    }
                    *chosen |= is_chosen;
                    known.into_iter().for_each(|at| drop(form.fields.remove(at)));
                    let value = tag
                        .get("value")
                        .map_or_else(|| tag.text.trim().to_owned(), str::to_owned);
                    Some((name.clone(), value))
                }),
                _ => None,
            };
            form.fields.extend(field.filter(|(name, _)| !name.is_empty()));
        }
        forms
    }

    /// The form that is sent to a path that begins like this.
    pub fn form(&self, action: &str) -> Option<Form> {
        self.forms().into_iter().find(|form| form.action.starts_with(action))
    }
}

/// One tag, from behind its `<`, and what follows it.
fn read(text: &str) -> (Tag, &str) {
    let (closes, text) = text.strip_prefix('/').map_or((false, text), |text| (true, text));
    let end = text
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .unwrap_or(text.len());
    let mut tag = Tag {
        name: text[..end].to_lowercase(),
        attributes: Vec::new(),
        text: String::new(),
        closes,
    };
    let mut rest = &text[end..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (tag, rest.get(1..).unwrap_or_default());
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || c == '=' || c == '>')
            .unwrap_or(rest.len());
        let name = rest[..end].to_lowercase();
        rest = &rest[end..];
        let mut value = "";
        if let Some(behind) = rest.strip_prefix('=') {
            let quote = behind.chars().next().filter(|c| ['"', '\''].contains(c));
            (value, rest) = match quote {
                Some(quote) => behind[1..].split_once(quote).unwrap_or((&behind[1..], "")),
                None => behind.split_at(
                    behind
                        .find(|c: char| c.is_whitespace() || c == '>')
                        .unwrap_or(behind.len()),
                ),
            };
        }
        tag.attributes.push((name, decoded(value)));
    }
}

/// Text with the entities that templates write resolved.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let entity = behind.split_once(';').filter(|(name, _)| name.len() <= 8);
        let known = entity.and_then(|(name, after)| Some((character(name)?, after)));
        let (c, after) = known.unwrap_or(('&', behind));
        out.push(c);
        rest = after;
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => number.and_then(char::from_u32),
    }
}

#[test]
fn a_page_is_read_with_its_forms_and_headings() {
    let page = Page::parse(
        "<!doctype html><html lang=en><title>A &amp; B</title><body data-page='apps'><main><h1>One <b>two</b></h1>\
         <!-- <h2>no</h2> --><form method=POST action=\"/a?b=1&amp;c=2\"><input type=hidden name=csrf value=\"x&#39;y\">\
         <input type=checkbox name=no value=1><select name=plan><option value=free>Free<option value=pro selected>Pro</select>\
         <textarea name=t>a <b> c</textarea></form></main></body></html>",
    );
    assert_eq!((page.title().as_str(), page.template()), ("A & B", Some("apps")));
    assert_eq!(page.headings(), [(1, "One two".to_owned())]);
    let form = page.form("/a").unwrap();
    assert_eq!((form.action.as_str(), form.method.as_str()), ("/a?b=1&c=2", "post"));
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form.fields,
        [field("csrf", "x'y"), field("plan", "pro"), field("t", "a <b> c")]
    );
}
