//! From method and path to an operation: a tree of segments for each API.
//!
//! At each segment literal text goes before mixed segments (more text first) and those before parameters, with
//! backtracking. A path that a template matches but whose method it does not list is looked for under the other
//! templates; only if none lists it the method is not allowed. `HEAD` is answered by `GET` where it is not listed.
//! Segments are compared decoded; a trailing slash is one more, empty segment. A path that no template matches as it is
//! written is looked for without its `;` parameters, so that these lead past no operation's rules. Each node of the tree lies at one depth,
//! so a search visits each of them once at most.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use description::template::{Part, Segment, route_template};
use smallvec::SmallVec;

use crate::api::{CompiledApi, CompiledOperation};
use crate::error::Fault;

/// Deepest path key.
const MAX_SEGMENTS: usize = 128;

/// The segments of a request path, decoded.
pub(crate) type Segments<'p> = SmallVec<[Cow<'p, str>; 12]>;

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a, 'p> {
    /// The API.
    pub api: &'a Arc<CompiledApi>,
    /// The operation, or the one that stands for all unlisted ones.
    pub operation: &'a CompiledOperation,
    /// The path for the upstream, before its target's prefix: without the base path where that is stripped.
    pub upstream_path: &'p str,
}

/// What became of a request's host, path and method.
#[derive(Debug)]
pub enum Route<'a, 'p> {
    /// An operation.
    Found(Found<'a, 'p>),
    /// 405: the path is listed, the method is not.
    MethodNotAllowed {
        /// The API.
        api: &'a Arc<CompiledApi>,
        /// Methods for `Allow`, sorted.
        allow: Vec<&'a str>,
    },
    /// 404, with the API where host and base path led to one.
    NoRoute {
        /// The API.
        api: Option<&'a Arc<CompiledApi>>,
    },
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    mixed: Vec<(Segment, usize)>,
    param: Option<usize>,
    /// Method and index of the operation.
    methods: Vec<(Box<str>, usize)>,
}

/// The operations of one API as a tree.
#[derive(Debug)]
pub(crate) struct Tree(Vec<Node>);

/// What a search found.
pub(crate) enum Search<'a> {
    Operation(usize),
    Allow(Vec<&'a str>),
}

impl Tree {
    pub(crate) fn new<'r>(operations: impl Iterator<Item = (&'r str, &'r str)>) -> Result<Self, Fault> {
        let mut tree = Self(vec![Node::default()]);
        for (index, (method, path_key)) in operations.enumerate() {
            let template = route_template(path_key);
            if template.segments.len() > MAX_SEGMENTS {
                return Err(Fault::TooDeep(path_key.to_owned()));
            }
            let leaf = template
                .segments
                .into_iter()
                .fold(0, |node, segment| tree.child(node, segment));
            let methods = &mut tree.0[leaf].methods;
            // Operations that fall together share one route: the first.
            if !methods.iter().any(|(known, _)| **known == *method) {
                methods.push((method.into(), index));
            }
        }
        for node in &mut tree.0 {
            node.mixed
                .sort_by_key(|(segment, _)| std::cmp::Reverse(text_length(segment)));
        }
        Ok(tree)
    }

    fn child(&mut self, node: usize, segment: Segment) -> usize {
        let segment = as_compared(segment);
        let next = self.0.len();
        let at = &mut self.0[node];
        let child = match segment {
            Segment::Literal(text) => *at.literals.entry(text.into()).or_insert(next),
            Segment::Param(_) => *at.param.get_or_insert(next),
            Segment::Mixed(_) => {
                let known = at
                    .mixed
                    .iter()
                    .find(|(known, _)| *known == segment)
                    .map(|(_, child)| *child);
                known.unwrap_or_else(|| {
                    at.mixed.push((segment, next));
                    next
                })
            }
        };
        if child == next {
            self.0.push(Node::default());
        }
        child
    }

    pub(crate) fn search(&self, segments: &[Cow<'_, str>], method: &str) -> Search<'_> {
        let mut allow = Vec::new();
        let found = self
            .0
            .first()
            .and_then(|root| self.descend(root, segments, method, &mut allow));
        if let Some(operation) = found {
            return Search::Operation(operation);
        }
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.sort_unstable();
        allow.dedup();
        Search::Allow(allow)
    }

    fn descend<'a>(
        &'a self,
        node: &'a Node,
        segments: &[Cow<'_, str>],
        method: &str,
        allow: &mut Vec<&'a str>,
    ) -> Option<usize> {
        let Some((segment, rest)) = segments.split_first() else {
            let found = listed(node, method);
            if found.is_none() {
                allow.extend(node.methods.iter().map(|(method, _)| &**method));
            }
            return found;
        };
        let literal = node.literals.get(&**segment).copied();
        let mixed = node
            .mixed
            .iter()
            .filter(|(known, _)| known.matches(segment))
            .map(|(_, child)| *child);
        let param = node.param.filter(|_| !segment.is_empty());
        literal
            .into_iter()
            .chain(mixed)
            .chain(param)
            .filter_map(|child| self.0.get(child))
            .find_map(|child| self.descend(child, rest, method, allow))
    }
}

fn listed(node: &Node, method: &str) -> Option<usize> {
    let of = |method: &str| {
        node.methods
            .iter()
            .find(|(known, _)| **known == *method)
            .map(|(_, operation)| *operation)
    };
    of(method).or_else(|| if method == "HEAD" { of("GET") } else { None })
}

/// Segments as they are compared: text decoded, parameters without names.
fn as_compared(segment: Segment) -> Segment {
    let text = |text: String| domain::path::decoded(&text).into_owned();
    match segment {
        Segment::Literal(literal) => Segment::Literal(text(literal)),
        Segment::Param(_) => Segment::Param(String::new()),
        Segment::Mixed(parts) => Segment::Mixed(
            parts
                .into_iter()
                .map(|part| match part {
                    Part::Text(literal) => Part::Text(text(literal)),
                    Part::Param(_) => Part::Param(String::new()),
                })
                .collect(),
        ),
    }
}

fn text_length(segment: &Segment) -> usize {
    let Segment::Mixed(parts) = segment else { return 0 };
    parts
        .iter()
        .map(|part| if let Part::Text(text) = part { text.len() } else { 0 })
        .sum()
}

/// The decoded segments of a canonical path.
pub(crate) fn segments(path: &str) -> Segments<'_> {
    path.split('/').skip(1).map(domain::path::decoded).collect()
}

/// The segments without their `;` parameters; `None` where there are none.
pub(crate) fn without_parameters<'p>(segments: &'p [Cow<'_, str>]) -> Option<Segments<'p>> {
    let has_any = segments.iter().any(|segment| segment.contains(';'));
    let bare = |segment: &'p Cow<'_, str>| Cow::Borrowed(domain::path::without_parameters(segment));
    has_any.then(|| segments.iter().map(bare).collect())
}
