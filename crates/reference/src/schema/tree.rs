//! Trees out of schemas.

use std::collections::HashSet;

use serde_json::Value;

use super::variants::{self, Candidate};
use super::{Allowed, Choice, Key, Node, Stop, Variant, words};
use crate::flat::{Circles, Flat, Open, is_null, type_of};
use crate::html::clip;
use crate::prose::Place;
use crate::reference::{Reference, text_of};

/// Which way a body goes: fields that are only in the other one are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
    Both,
}

/// Lists in lists that are looked through.
const MOST_LISTS: usize = 8;
/// Levels below the bound at which objects without a page of their own are still shown.
const NAMELESS: usize = 2;

/// Makes the trees of one page.
pub(crate) struct Trees<'r> {
    pub(crate) reference: &'r Reference,
    anchors: HashSet<String>,
    /// Nodes that the page may still have.
    left: usize,
    pub(crate) direction: Direction,
    open: Open,
    pub(crate) broken: Vec<String>,
}

/// Where a node stands.
struct Spot {
    key: Key,
    path: String,
    depth: usize,
    circles: Circles,
    required: bool,
}

impl<'r> Trees<'r> {
    pub(crate) fn new(reference: &'r Reference) -> Self {
        Self {
            reference,
            anchors: HashSet::new(),
            left: reference.limits.nodes,
            direction: Direction::Both,
            open: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// The tree of a schema. `share` is how many more trees the page will have: each gets its part of the nodes.
    pub(crate) fn tree(&mut self, schema: &'r Value, prefix: &str, share: usize) -> Node {
        let allowance = self.left / share.saturating_add(1);
        let spot = Spot {
            key: Key::Root,
            path: prefix.to_owned(),
            depth: 0,
            circles: Circles::Stop,
            required: false,
        };
        let (node, used) = self.node(schema, &spot, allowance.max(1));
        self.left = self.left.saturating_sub(used);
        node
    }

    /// The tree of a schema that has the page for itself: fields that lead back to it are circles.
    pub(crate) fn root(&mut self, schema: &'r Value, prefix: &str) -> Node {
        self.open.push(std::ptr::from_ref(schema));
        let node = self.tree(schema, prefix, 0);
        self.open.pop();
        node
    }

    /// The tree of a form of 2.0, whose fields are parameters: name, schema, and whether it must be there.
    pub(crate) fn form(&mut self, fields: &[(&'r str, &'r Value, bool)], prefix: &str, share: usize) -> Node {
        static OBJECT: Value = Value::Bool(true);
        let mut root = self.tree(&OBJECT, prefix, share);
        "object".clone_into(&mut root.types);
        for (at, (name, schema, required)) in fields.iter().enumerate() {
            let mut node = self.tree(schema, &format!("{prefix}-{name}"), share + fields.len() - at);
            node.key = Key::Field((*name).to_owned());
            node.required = *required;
            root.fields.push(node);
        }
        root
    }

    /// Takes one anchor of the page.
    pub(crate) fn anchor(&mut self, wanted: &str) -> String {
        const LONGEST: usize = 200;
        let safe = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        let base: String = wanted
            .chars()
            .take(LONGEST)
            .map(|c| if safe(c) { c } else { '-' })
            .collect();
        let mut anchor = base.clone();
        let mut number = 2_usize;
        while !self.anchors.insert(anchor.clone()) {
            anchor = format!("{base}-{number}");
            number = number.saturating_add(1);
        }
        anchor
    }

    fn node(&mut self, schema: &'r Value, spot: &Spot, allowance: usize) -> (Node, usize) {
        let mut flat = Flat::new(self.reference, schema, &self.open, spot.circles);
        let outer = self.facts(&flat, spot);
        let (mut node, mut levels) = (outer, flat.targets.len());
        self.open.append(&mut flat.targets.clone());
        // The fields of a list are those of its items.
        let mut lists = 0;
        while lists < MOST_LISTS && flat.types().0 == ["array"] && !flat.circle {
            let Some(items) = flat.get("items").filter(|items| items.is_object()) else {
                break;
            };
            flat = Flat::new(self.reference, items, &self.open, Circles::Stop);
            levels += flat.targets.len();
            self.open.append(&mut flat.targets.clone());
            node.types = listed(&node.types, &self.type_words(&flat), lists);
            node.schema = flat.component.and_then(|index| self.reference.link(index));
            self.item_facts(&mut node, &flat);
            lists += 1;
        }
        let used = 1 + self.below(&mut node, &flat, spot, allowance.saturating_sub(1));
        self.open.truncate(self.open.len().saturating_sub(levels));
        (node, used)
    }

    /// What a list says of its items beside their fields.
    fn item_facts(&self, node: &mut Node, flat: &Flat<'r>) {
        if node.format.is_none() {
            node.format = flat.text("format").map(|text| clip(text, 80));
        }
        let bounds = words::constraints(flat);
        if !bounds.is_empty() {
            node.words.push(format!("each {}", bounds.join(", ")));
        }
        self.allow(node, flat);
        if node.prose.is_empty() && !flat.circle {
            node.prose = self.reference.prose(flat.get("description"), Place::Field);
        }
    }

    fn facts(&mut self, flat: &Flat<'r>, spot: &Spot) -> Node {
        let schema = flat.component.and_then(|index| self.reference.link(index));
        let title = flat.text("title").map(|text| clip(text, 200));
        let mut node = Node {
            key: spot.key.clone(),
            anchor: self.anchor(&spot.path),
            types: self.type_words(flat),
            format: flat.text("format").map(|text| clip(text, 80)),
            words: words::constraints(flat),
            required: spot.required,
            nullable: is_nullable(flat),
            deprecated: flat.flag("deprecated"),
            read_only: flat.flag("readOnly"),
            write_only: flat.flag("writeOnly"),
            title: title.filter(|title| schema.as_ref().is_none_or(|link| link.name != *title)),
            prose: self.reference.prose(flat.get("description"), Place::Field),
            default: flat.get("default").map(text_of),
            constant: flat.get("const").map(text_of),
            example: example(flat),
            allowed: Vec::new(),
            allowed_more: 0,
            schema,
            stop: flat.broken.clone().map(Stop::Broken),
            fields: Vec::new(),
            fields_more: 0,
            choices: Vec::new(),
        };
        if let Some(reason) = &flat.broken {
            self.broken.push(reason.clone());
        }
        self.allow(&mut node, flat);
        if let [only] = node.allowed.as_slice()
            && node.allowed_more == 0
            && node.constant.is_none()
        {
            node.constant = Some(only.value.clone());
        }
        node
    }

    fn allow(&self, node: &mut Node, flat: &Flat<'r>) {
        let most = self.reference.limits.allowed;
        let mut take = |value: &Value, meaning: Option<String>| {
            if node.allowed.len() < most {
                let value = text_of(value);
                node.allowed.push(Allowed { value, meaning });
            } else {
                node.allowed_more = node.allowed_more.saturating_add(1);
            }
        };
        if let Some(values) = flat.get("enum").and_then(Value::as_array) {
            for value in values.iter().filter(|value| !value.is_null()) {
                take(value, None);
            }
            return;
        }
        for (_, list) in flat.choices().iter().filter(|(_, list)| variants::is_enumeration(list)) {
            for member in list.iter().filter(|member| !is_null(member)) {
                let text = |word: &str| member.get(word).and_then(Value::as_str).map(|text| clip(text, 200));
                let values = member.get("enum").and_then(Value::as_array).into_iter().flatten();
                for value in member.get("const").into_iter().chain(values) {
                    take(value, text("description").or_else(|| text("title")));
                }
            }
        }
    }

    fn type_words(&self, flat: &Flat<'r>) -> String {
        let (types, _) = flat.types();
        let mut names: Vec<&str> = types;
        if names.is_empty() {
            names = variants::types(self.reference, flat);
        }
        let mut line = match (flat.always, names.is_empty()) {
            (Some(false), _) => "nothing".to_owned(),
            (_, true) if flat.broken.is_some() => "unknown".to_owned(),
            (_, true) => "any".to_owned(),
            (_, false) => names.iter().map(|name| clip(name, 40)).collect::<Vec<_>>().join(" or "),
        };
        if is_nullable(flat) && line != "any" {
            line.push_str(" or null");
        }
        line
    }

    /// Fields and choices; the number of nodes that they are.
    fn below(&mut self, node: &mut Node, flat: &Flat<'r>, spot: &Spot, allowance: usize) -> usize {
        if flat.circle {
            node.stop = Some(Stop::Circle);
            return 0;
        }
        let fields = self.fields(flat, node);
        let (choices, shared) = variants::of(self.reference, flat);
        let count = fields.len() + choices.iter().map(|choice| choice.options.len()).sum::<usize>();
        if count == 0 {
            return 0;
        }
        let nameless = if node.schema.is_none() { NAMELESS } else { 0 };
        if spot.depth >= self.reference.limits.depth + nameless || allowance == 0 {
            node.stop = Some(if allowance == 0 { Stop::Nodes } else { Stop::Depth });
            return 0;
        }
        let mut used = 0;
        let mut waiting = count.min(allowance);
        let mut extra = allowance - waiting;
        node.fields_more = fields.len().saturating_sub(waiting);
        for (key, schema, required) in fields.into_iter().take(waiting) {
            let spot = Spot {
                path: path_below(spot, &key),
                key,
                depth: spot.depth + 1,
                circles: Circles::Stop,
                required,
            };
            let (child, size) = self.node(schema, &spot, 1 + extra / waiting.max(1));
            waiting = waiting.saturating_sub(1);
            extra = extra.saturating_sub(size.saturating_sub(1));
            used += size;
            node.fields.push(child);
        }
        for choice in choices {
            let budget = (waiting, extra);
            let (choice, size, rest) = self.choice(choice, spot, shared, budget);
            (waiting, extra) = rest;
            used += size;
            if choice.variants.is_empty() && node.stop.is_none() {
                node.stop = Some(Stop::Nodes);
            } else {
                node.words.push(variants::words(&choice));
                node.choices.push(choice);
            }
        }
        used
    }

    fn choice(
        &mut self,
        choice: variants::Found<'r>,
        spot: &Spot,
        shared: bool,
        (mut waiting, mut extra): (usize, usize),
    ) -> (Choice, usize, (usize, usize)) {
        let most = self.reference.limits.variants.min(waiting);
        let mut made = Choice {
            rule: choice.rule,
            by: choice.by,
            more: choice.options.len().saturating_sub(most),
            variants: Vec::new(),
        };
        let mut used = 0;
        for Candidate { name, value, schema } in choice.options.into_iter().take(most) {
            let below = Spot {
                key: Key::Root,
                path: format!("{}.{name}", spot.path),
                depth: spot.depth + 1,
                circles: if shared { Circles::Skip } else { Circles::Stop },
                required: false,
            };
            let (node, size) = self.node(schema, &below, 1 + extra / waiting.max(1));
            waiting = waiting.saturating_sub(1);
            extra = extra.saturating_sub(size.saturating_sub(1));
            used += size;
            made.variants.push(Variant { name, value, node });
        }
        (made, used, (waiting, extra))
    }

    fn fields(&self, flat: &Flat<'r>, node: &mut Node) -> Vec<(Key, &'r Value, bool)> {
        let required = flat.required();
        let hidden = |schema: &Value| {
            let is = |word: &str| schema.get(word) == Some(&Value::Bool(true));
            match self.direction {
                Direction::Request => is("readOnly"),
                Direction::Response => is("writeOnly"),
                Direction::Both => false,
            }
        };
        let mut fields: Vec<(Key, &'r Value, bool)> = Vec::new();
        for (name, schema) in flat.properties().into_iter().filter(|(_, schema)| !hidden(schema)) {
            fields.push((Key::Field(name.to_owned()), schema, required.contains(name)));
        }
        for map in flat.all("patternProperties").filter_map(Value::as_object) {
            fields.extend(
                map.iter()
                    .map(|(name, schema)| (Key::Pattern(name.clone()), schema, false)),
            );
        }
        if let Some(items) = flat
            .get("prefixItems")
            .or_else(|| flat.get("items"))
            .and_then(Value::as_array)
        {
            fields.extend(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, schema)| (Key::Item(at), schema, false)),
            );
        }
        let other = flat
            .get("additionalProperties")
            .or_else(|| flat.get("unevaluatedProperties"));
        match other {
            Some(Value::Bool(false)) if !fields.is_empty() => node.words.push("no other fields".to_owned()),
            Some(schema @ Value::Object(map)) if !map.is_empty() => match plain_type(schema) {
                Some(name) if fields.is_empty() => node.words.push(format!("{name} values")),
                _ => fields.push((Key::Other, schema, false)),
            },
            _ => {}
        }
        fields
    }
}

fn is_nullable(flat: &Flat<'_>) -> bool {
    flat.types().1
        || flat
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|values| values.iter().any(Value::is_null))
        || flat.choices().iter().any(|(_, list)| list.iter().any(is_null))
}

fn path_below(spot: &Spot, key: &Key) -> String {
    let name = match key {
        Key::Root => return spot.path.clone(),
        Key::Field(name) => name.clone(),
        Key::Pattern(pattern) => pattern.clone(),
        Key::Other => "other".to_owned(),
        Key::Item(at) => at.to_string(),
    };
    if spot.depth == 0 && !spot.path.contains('.') {
        format!("{}-{name}", spot.path)
    } else {
        format!("{}.{name}", spot.path)
    }
}

/// The type of a schema that says nothing else.
fn plain_type(schema: &Value) -> Option<&str> {
    let name = schema.get("type")?.as_str()?;
    let plain = schema
        .as_object()
        .is_some_and(|map| map.keys().all(|key| key == "type" || key == "format"));
    (plain && !matches!(name, "object" | "array")).then_some(name)
}

/// `array of string` out of `array` and `string`, whatever stands around.
fn listed(outer: &str, item: &str, lists: usize) -> String {
    let item = if item == "any" { "anything" } else { item };
    match outer.strip_suffix(" or null") {
        Some(list) if lists == 0 => format!("{list} of {item}, or null"),
        _ => format!("{outer} of {item}"),
    }
}

fn example(flat: &Flat<'_>) -> Option<String> {
    let first = |value: &'_ Value| match value {
        Value::Array(items) => items.first().map(text_of),
        Value::Object(_) | Value::Null => None,
        other => Some(text_of(other)),
    };
    let own = flat
        .get("example")
        .filter(|value| !matches!(type_of(value), "object" | "null"));
    own.map(text_of).or_else(|| flat.get("examples").and_then(first))
}
