//! Groups of operations: by tags, or by paths where there are none.
//!
//! Invariant: each operation is in exactly one group, the first of its tags that serves navigation; what has no tag goes by
//! the first telling segment of its path.

use std::collections::HashMap;

use description::openapi::references::lookup;
use indexmap::IndexMap;
use serde_json::Value;

use crate::entry::Entry;
use crate::html::{Html, clip};
use crate::prose::{self, Place};
use crate::slug::{self, Names};

/// A group of operations.
#[derive(Debug, Clone)]
pub struct Group {
    /// Name in addresses; unique among groups.
    pub slug: String,
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub prose: Html,
    /// The group above it, where tags are nested.
    pub parent: Option<usize>,
    /// Groups above it.
    pub level: usize,
    /// Its operations, as indices into [`crate::Reference::entries`]; those of groups below are not among them.
    pub operations: Vec<usize>,
    /// Whether it stands for a tag, not for a part of the path.
    pub is_tag: bool,
}

/// A tag as the document declares it.
#[derive(Default, Clone)]
struct Tag<'a> {
    title: Option<&'a str>,
    description: Option<&'a str>,
    parent: Option<&'a str>,
    hidden: bool,
}

pub(crate) struct Grouped {
    pub(crate) groups: Vec<Group>,
    pub(crate) slugs: Names,
    /// Operations in the order of navigation.
    pub(crate) order: Vec<usize>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
enum Name {
    Tag(String),
    Path(String),
}

pub(crate) fn group(root: &Value, entries: &mut [Entry], base: Option<&str>) -> Grouped {
    let tags = declared(root);
    let mut members: IndexMap<Name, Vec<usize>> = IndexMap::new();
    for (name, _) in tags.iter().filter(|(_, tag)| !tag.hidden) {
        members.insert(Name::Tag((*name).to_owned()), Vec::new());
    }
    let skipped = common_segments(entries);
    for (index, entry) in entries.iter().enumerate() {
        let shown = |tag: &&String| tags.get(tag.as_str()).is_none_or(|tag| !tag.hidden);
        let name = match entry.tags.iter().find(shown).or_else(|| entry.tags.first()) {
            Some(tag) => Name::Tag(tag.clone()),
            None => Name::Path(segment(&entry.path, skipped).to_owned()),
        };
        members.entry(name).or_default().push(index);
    }
    keep_used(&mut members, &tags);
    let order = nested(&members, &tags);
    let names: Vec<(String, String)> = order.iter().map(|(name, _)| slug_of(name)).collect();
    let (slugs, given) = Names::assign(&names);
    let mut groups = Vec::with_capacity(order.len());
    for ((name, level), slug) in order.iter().zip(given) {
        let mut group = made(name, &tags, base);
        group.slug = slug;
        group.level = *level;
        group.operations = members.get(name).cloned().unwrap_or_default();
        groups.push(group);
    }
    set_parents(&mut groups);
    for (index, group) in groups.iter().enumerate() {
        for operation in &group.operations {
            if let Some(entry) = entries.get_mut(*operation) {
                entry.group = index;
            }
        }
    }
    let order = groups
        .iter()
        .flat_map(|group| group.operations.iter().copied())
        .collect();
    Grouped { groups, slugs, order }
}

fn slug_of(name: &Name) -> (String, String) {
    match name {
        Name::Tag(tag) => (slug::plain(tag), format!("tag {tag}")),
        Name::Path(segment) if segment.is_empty() => ("root".to_owned(), "path".to_owned()),
        Name::Path(segment) => (slug::plain(segment), format!("path {segment}")),
    }
}

fn declared(root: &Value) -> IndexMap<&str, Tag<'_>> {
    let mut tags = IndexMap::new();
    for tag in root.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = tag.get("name").and_then(Value::as_str) else {
            continue;
        };
        let text = |field: &str| {
            tag.get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        };
        tags.entry(name).or_insert_with(|| Tag {
            title: text("summary").or_else(|| text("x-displayName")),
            description: text("description"),
            parent: text("parent"),
            hidden: text("kind").is_some_and(|kind| kind != "nav"),
        });
    }
    tags
}

/// Leaves out tags without operations, unless they are above one that has some.
fn keep_used(members: &mut IndexMap<Name, Vec<usize>>, tags: &IndexMap<&str, Tag<'_>>) {
    let mut used: std::collections::HashSet<&str> = std::collections::HashSet::new();
    for (name, operations) in members.iter() {
        let Name::Tag(tag) = name else { continue };
        let mut above = tags.get_key_value(tag.as_str());
        if operations.is_empty() {
            continue;
        }
        while let Some((name, tag)) = above {
            if !used.insert(name) {
                break;
            }
            above = tag.parent.and_then(|parent| tags.get_key_value(parent));
        }
    }
    let above = |name: &Name| matches!(name, Name::Tag(tag) if used.contains(tag.as_str()));
    members.retain(|name, operations| !operations.is_empty() || above(name));
}

/// Names in the order of the pages, each after the one above it, with their level.
fn nested(members: &IndexMap<Name, Vec<usize>>, tags: &IndexMap<&str, Tag<'_>>) -> Vec<(Name, usize)> {
    const DEEPEST: usize = 8;
    let mut below: HashMap<&str, Vec<&Name>> = HashMap::new();
    let mut top = Vec::new();
    for name in members.keys() {
        let parent = match name {
            Name::Tag(tag) => tags.get(tag.as_str()).and_then(|tag| tag.parent),
            Name::Path(_) => None,
        };
        match parent.filter(|parent| members.contains_key(&Name::Tag((*parent).to_owned()))) {
            Some(parent) => below.entry(parent).or_default().push(name),
            None => top.push(name),
        }
    }
    let mut order: IndexMap<&Name, usize> = IndexMap::new();
    let mut open: Vec<(&Name, usize)> = top.into_iter().rev().map(|name| (name, 0)).collect();
    while let Some((name, level)) = open.pop() {
        if order.insert(name, level).is_some() {
            continue;
        }
        if let Name::Tag(tag) = name {
            let children = below.get(tag.as_str()).into_iter().flatten().rev();
            open.extend(children.map(|child| (*child, (level + 1).min(DEEPEST))));
        }
    }
    // Tags that are above each other in a circle have no top.
    for name in members.keys() {
        order.entry(name).or_insert(0);
    }
    order.into_iter().map(|(name, level)| (name.clone(), level)).collect()
}

fn set_parents(groups: &mut [Group]) {
    let mut open: Vec<usize> = Vec::new();
    for index in 0..groups.len() {
        let level = groups.get(index).map_or(0, |group| group.level);
        open.truncate(level);
        if let Some(group) = groups.get_mut(index) {
            group.parent = open.last().copied();
        }
        open.push(index);
    }
}

fn made(name: &Name, tags: &IndexMap<&str, Tag<'_>>, base: Option<&str>) -> Group {
    let (title, prose, is_tag) = match name {
        Name::Tag(tag) => {
            let declared = tags.get(tag.as_str()).cloned().unwrap_or_default();
            let title = declared.title.unwrap_or(tag.as_str());
            let prose = declared
                .description
                .map(|text| prose::markdown(text, Place::Field, base));
            (clip(title, 200), prose, true)
        }
        Name::Path(segment) if segment.is_empty() => ("/".to_owned(), None, false),
        Name::Path(segment) => (clip(segment, 200), None, false),
    };
    Group {
        slug: String::new(),
        title: if title.trim().is_empty() {
            "Other".to_owned()
        } else {
            title
        },
        prose: prose.unwrap_or_default(),
        parent: None,
        level: 0,
        operations: Vec::new(),
        is_tag,
    }
}

/// Leading segments that say nothing because all untagged paths have them, such as `/v1`.
fn common_segments(entries: &[Entry]) -> usize {
    let mut paths = entries
        .iter()
        .filter(|entry| entry.tags.is_empty())
        .map(|entry| literal(&entry.path));
    let Some(first) = paths.next() else { return 0 };
    let mut common = first.len().saturating_sub(1);
    for path in paths {
        let same = first.iter().zip(&path).take_while(|(a, b)| a == b).count();
        common = common.min(same).min(path.len().saturating_sub(1));
    }
    common
}

fn literal(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|segment| !segment.is_empty() && !segment.starts_with('{'))
        .collect()
}

fn segment(path: &str, skipped: usize) -> &str {
    let segments = literal(path);
    let name = segments
        .get(skipped)
        .or_else(|| segments.last())
        .copied()
        .unwrap_or_default();
    // `users(id)` and `users` are one thing, and so are `export` and `export.csv`.
    let end = name.find(['(', '{', ':']).filter(|at| *at > 0).unwrap_or(name.len());
    name.get(..end).unwrap_or(name)
}

/// The tag of an operation, by its declaration: what a page shows beside the heading.
pub(crate) fn tag_title(root: &Value, name: &str) -> String {
    let tags = lookup(root, "/tags").and_then(Value::as_array);
    let tag = tags
        .into_iter()
        .flatten()
        .find(|tag| tag.get("name").and_then(Value::as_str) == Some(name));
    let title = tag.and_then(|tag| tag.get("summary")).and_then(Value::as_str);
    clip(title.unwrap_or(name), 200)
}
