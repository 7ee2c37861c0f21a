//! YAML documents with positions, built from the event stream of the parser.
//!
//! Aliases copy what their anchor holds, within a budget that also counts the length of texts; merge keys (`<<`) fill in
//! what a map does not say itself. The loader keeps its own stack, so nesting never becomes recursion.

mod build;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::Value;

use super::source::narrow;
use super::spot::Spot;
use super::{Failure, Limits, Notes, Raw, RawKind, RawNote};
use build::{Frame, Node, Scalar};

/// Documents of one text.
const MOST_DOCUMENTS: usize = 10_000;

/// Reads all documents of a text.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Vec<Raw>, Failure> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: limits.depth.saturating_add(1),
        block_nesting_limit: limits.depth.saturating_add(1),
    };
    options.set_emit_comments(false);
    let mut loader = Loader::new(limits);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| syntax(&error, text, limits))?;
        loader.event(event, &span)?;
    }
    Ok(loader.documents)
}

fn syntax(error: &ScanError, text: &str, limits: &Limits) -> Failure {
    let marker = error.marker();
    let offset = marker.byte_offset().unwrap_or_else(|| {
        text.char_indices()
            .nth(marker.index())
            .map_or(text.len(), |(offset, _)| offset)
    });
    let reason = error.info();
    if reason.contains("nest") || reason.contains("recursion") {
        return Failure::limit(offset, format!("nested deeper than {}", limits.depth));
    }
    let remedy = if reason.contains("mapping values are not allowed") {
        "put a value that contains a colon and a space in quotes, and check the indentation"
    } else if reason.contains("tab") {
        "indent with spaces"
    } else if reason.contains("anchor") {
        "define the anchor (&name) before the alias (*name) that uses it"
    } else {
        return Failure::new(offset, reason);
    };
    Failure::new(offset, reason).remedy(remedy)
}

struct Loader<'a> {
    limits: &'a Limits,
    documents: Vec<Raw>,
    stack: Vec<Frame>,
    root: Option<Node>,
    /// What anchors hold; `None` for content that exceeds the budget of aliases anyway.
    anchors: HashMap<usize, Option<Node>>,
    notes: Notes,
    nodes: usize,
    alias_nodes: usize,
}

impl<'a> Loader<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            documents: Vec::new(),
            stack: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            notes: Notes::default(),
            nodes: 0,
            alias_nodes: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Failure> {
        let start = offset(span.start.byte_offset());
        let end = offset(span.end.byte_offset());
        match event {
            Event::DocumentStart(..) if self.documents.len() >= MOST_DOCUMENTS => {
                let reason = format!("the text holds more than {MOST_DOCUMENTS} documents");
                return Err(Failure::limit(start as usize, reason));
            }
            Event::DocumentStart(..) => self.root = None,
            Event::DocumentEnd => self.finish_document(),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: &text,
                    plain: is_plain(style, tag.as_deref()),
                    tag: tag.as_deref(),
                };
                let node = self.scalar(&scalar, Spot::new(start, end))?;
                self.attach(node, anchor, Some(&scalar))?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(Frame::list(start, anchor))?,
            Event::MappingStart(_, anchor, _) => self.open(Frame::map(start, anchor))?,
            Event::SequenceEnd | Event::MappingEnd => self.close(end)?,
            Event::Alias(id) => self.alias(id, start)?,
            Event::UnresolvedAlias(name) => {
                return Err(Failure::new(
                    start as usize,
                    format!("the anchor {name} is not defined"),
                ));
            }
            // Stream marks carry nothing; the enumeration is open to later additions.
            _ => {}
        }
        Ok(())
    }

    fn finish_document(&mut self) {
        self.anchors.clear();
        let Some(node) = self.root.take() else { return };
        let notes = std::mem::take(&mut self.notes).0;
        self.documents.push(Raw {
            value: node.value,
            root: node.spot,
            notes,
        });
    }

    fn count(&mut self, nodes: usize, at: u32) -> Result<(), Failure> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            return Err(Failure::limit(
                at as usize,
                format!("there are more than {} values", self.limits.nodes),
            ));
        }
        Ok(())
    }

    fn open(&mut self, mut frame: Frame) -> Result<(), Failure> {
        self.count(1, frame.start)?;
        if self.stack.len() >= self.limits.depth {
            return Err(Failure::limit(
                frame.start as usize,
                format!("nested deeper than {}", self.limits.depth),
            ));
        }
        frame.first_note = self.notes.0.len();
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, end: u32) -> Result<(), Failure> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let (first_note, anchor) = (frame.first_note, frame.anchor);
        let node = frame.finish(end);
        if let Some(step) = self.stack.last().map(Frame::next_step) {
            self.notes.prefix(first_note, || step.clone());
        }
        self.attach(node, anchor, None)
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, spot: Spot) -> Result<Node, Failure> {
        self.count(1, spot.start)?;
        let is_key = self.stack.last().is_some_and(Frame::expects_key);
        let value = match scalar.resolve().filter(|_| !is_key) {
            Some(value) => value,
            None if is_key => Value::String(scalar.text.to_owned()),
            None => {
                let mut note = RawNote::new(RawKind::NumberTooLarge, spot.start, scalar.text);
                note.path.extend(self.stack.last().map(Frame::next_step));
                self.notes.push(note)?;
                Value::String(scalar.text.to_owned())
            }
        };
        Ok(Node::leaf(value, spot))
    }

    fn alias(&mut self, id: usize, at: u32) -> Result<(), Failure> {
        let Some(held) = self.anchors.get(&id) else {
            let failure = Failure::new(at as usize, "an alias stands inside of what its own anchor holds");
            return Err(failure.remedy("write the part out, or use a $ref"));
        };
        let weight = held.as_ref().map_or(usize::MAX, |node| node.weight);
        self.alias_nodes = self.alias_nodes.saturating_add(weight);
        if self.alias_nodes > self.limits.alias_nodes {
            let reason = format!("aliases add more than {} values", self.limits.alias_nodes);
            return Err(Failure::limit(at as usize, reason).remedy("write the parts out, or use $ref"));
        }
        let Some(node) = held.clone() else { return Ok(()) };
        if self.stack.len().saturating_add(node.height) > self.limits.depth {
            return Err(Failure::limit(
                at as usize,
                format!("nested deeper than {}", self.limits.depth),
            ));
        }
        self.count(node.weight, at)?;
        self.attach(node, 0, None)
    }

    fn attach(&mut self, node: Node, anchor: usize, scalar: Option<&Scalar<'_>>) -> Result<(), Failure> {
        if anchor != 0 {
            let kept = if node.weight > self.limits.alias_nodes {
                None
            } else {
                Some(node.clone())
            };
            self.count(kept.as_ref().map_or(0, |node| node.weight), node.spot.start)?;
            self.anchors.insert(anchor, kept);
        }
        let limit = self.limits.entries;
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let at = node.spot.start as usize;
        frame.add(node, scalar, &mut self.notes)?;
        if frame.len() > limit {
            return Err(Failure::limit(
                at,
                format!("a list or map has more than {limit} entries"),
            ));
        }
        Ok(())
    }
}

fn offset(byte: Option<usize>) -> u32 {
    narrow(byte.unwrap_or_default())
}

/// Whether the schema decides what a scalar means.
fn is_plain(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    tag.is_none() && style == ScalarStyle::Plain
}
