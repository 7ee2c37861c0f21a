//! Lists and maps under construction.

use granit_parser::Tag;
use serde_json::{Map, Value};

use super::super::json::{Members, insert};
use super::super::{Failure, Notes, RawKind, RawNote, scalar, shorten};
use super::Spot;

/// A finished value with what it costs to copy.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) spot: Spot,
    /// Lists and maps from here down.
    pub(super) height: usize,
    /// Values, and one more for each 256 bytes of text.
    pub(super) weight: usize,
}

impl Node {
    pub(super) fn leaf(value: Value, spot: Spot) -> Self {
        let weight = 1 + value.as_str().map_or(0, text_weight);
        Self {
            value,
            spot,
            height: 0,
            weight,
        }
    }
}

const fn text_weight(text: &str) -> usize {
    text.len() / 256
}

/// A scalar as it was written.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    /// Unquoted and untagged.
    pub(super) plain: bool,
    pub(super) tag: Option<&'a Tag>,
}

impl Scalar<'_> {
    /// `None` for a number that JSON cannot hold.
    pub(super) fn resolve(&self) -> Option<Value> {
        let typed = self
            .tag
            .and_then(Tag::core_suffix)
            .is_some_and(|tag| matches!(tag, "int" | "float" | "bool" | "null"));
        if self.plain || typed {
            scalar::plain(self.text)
        } else {
            Some(Value::String(self.text.to_owned()))
        }
    }

    fn is_merge(&self) -> bool {
        self.plain && self.text == "<<"
    }

    /// Whole numbers are common as keys (`200:`) and lose nothing as text.
    fn reads_as_other_than_text(&self) -> bool {
        self.plain && !matches!(scalar::plain(self.text), Some(Value::String(_))) && self.text.parse::<i64>().is_err()
    }
}

/// A list or map that is not closed yet.
pub(super) struct Frame {
    pub(super) start: u32,
    pub(super) anchor: usize,
    pub(super) first_note: usize,
    height: usize,
    weight: usize,
    spots: Vec<Spot>,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Map {
        map: Map<String, Value>,
        merges: Vec<Node>,
        next: Next,
    },
}

/// What a map waits for.
enum Next {
    Key,
    Value(String, u32),
    Merge,
    /// The value of a key that cannot be one.
    Skip,
}

impl Frame {
    pub(super) const fn list(start: u32, anchor: usize) -> Self {
        Self::new(start, anchor, Content::List(Vec::new()))
    }

    pub(super) fn map(start: u32, anchor: usize) -> Self {
        Self::new(
            start,
            anchor,
            Content::Map {
                map: Map::new(),
                merges: Vec::new(),
                next: Next::Key,
            },
        )
    }

    const fn new(start: u32, anchor: usize, content: Content) -> Self {
        Self {
            start,
            anchor,
            first_note: 0,
            height: 0,
            weight: 0,
            spots: Vec::new(),
            content,
        }
    }

    pub(super) const fn expects_key(&self) -> bool {
        matches!(self.content, Content::Map { next: Next::Key, .. })
    }

    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::List(_) => self.spots.len(),
            Content::Map { merges, .. } => self.spots.len().saturating_add(merges.len()),
        }
    }

    /// The pointer segment of the entry that is being read.
    pub(super) fn next_step(&self) -> String {
        match &self.content {
            Content::List(items) => items.len().to_string(),
            Content::Map {
                next: Next::Value(key, _),
                ..
            } => key.clone(),
            Content::Map { next: Next::Merge, .. } => "<<".to_owned(),
            Content::Map {
                next: Next::Key | Next::Skip,
                ..
            } => String::new(),
        }
    }

    pub(super) fn add(&mut self, node: Node, scalar: Option<&Scalar<'_>>, notes: &mut Notes) -> Result<(), Failure> {
        self.height = self.height.max(node.height);
        self.weight = self.weight.saturating_add(node.weight);
        match &mut self.content {
            Content::List(items) => {
                items.push(node.value);
                self.spots.push(node.spot);
            }
            Content::Map { map, merges, next } => match std::mem::replace(next, Next::Key) {
                Next::Key => *next = key(node, scalar, notes)?,
                Next::Value(name, at) => {
                    let mut members = Members {
                        map,
                        spots: &mut self.spots,
                    };
                    insert(&mut members, (name, at), (node.value, node.spot), notes)?;
                }
                Next::Merge => merge(node, merges, notes)?,
                Next::Skip => {}
            },
        }
        Ok(())
    }

    pub(super) fn finish(mut self, end: u32) -> Node {
        let value = match self.content {
            Content::List(items) => Value::Array(items),
            Content::Map { mut map, merges, .. } => {
                for source in merges {
                    fill_in(&mut map, &mut self.spots, source);
                }
                Value::Object(map)
            }
        };
        let mut spot = Spot::new(self.start, end.max(self.start));
        spot.children = self.spots;
        Node {
            value,
            spot,
            height: self.height + 1,
            weight: self.weight.saturating_add(1),
        }
    }
}

fn key(node: Node, scalar: Option<&Scalar<'_>>, notes: &mut Notes) -> Result<Next, Failure> {
    let at = node.spot.start;
    if scalar.is_some_and(Scalar::is_merge) {
        return Ok(Next::Merge);
    }
    let name = match node.value {
        Value::String(name) => name,
        // Only through an alias: keys that are written out arrive as text.
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            notes.push(RawNote::new(
                RawKind::EntrySkipped,
                at,
                "a list, a map or nothing stands as key",
            ))?;
            return Ok(Next::Skip);
        }
    };
    if scalar.is_some_and(Scalar::reads_as_other_than_text) {
        let mut remark = RawNote::new(RawKind::KeyNotText, at, &name);
        remark.path.push(shorten(&name));
        notes.push(remark)?;
    }
    Ok(Next::Value(name, at))
}

fn merge(node: Node, merges: &mut Vec<Node>, notes: &mut Notes) -> Result<(), Failure> {
    let at = node.spot.start;
    let mut odd = false;
    match node.value {
        Value::Object(_) => merges.push(node),
        Value::Array(items) => {
            for (value, spot) in items.into_iter().zip(node.spot.children) {
                odd |= !value.is_object();
                merges.push(Node {
                    value,
                    spot,
                    height: 0,
                    weight: 0,
                });
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => odd = true,
    }
    if odd {
        notes.push(RawNote::new(
            RawKind::EntrySkipped,
            at,
            "a merge key (<<) takes a map or a list of maps",
        ))?;
    }
    Ok(())
}

fn fill_in(map: &mut Map<String, Value>, spots: &mut Vec<Spot>, source: Node) {
    let Value::Object(entries) = source.value else { return };
    for ((key, value), spot) in entries.into_iter().zip(source.spot.children) {
        if !map.contains_key(&key) {
            map.insert(key, value);
            spots.push(spot);
        }
    }
}
