//! Every document of a corpus of real descriptions as a reference.
use std::collections::HashSet;
use std::time::Instant;

use crate::support::{corpus, index, load};
use reference::operation::MediaView;
use reference::{Limits, Node, OperationView, Reference};

/// What a page must hold to.
struct Page<'a> {
    reference: &'a Reference,
    name: String,
    anchors: HashSet<String>,
    nodes: usize,
}

impl Page<'_> {
    fn tree(&mut self, node: &Node, depth: usize) {
        self.nodes += 1;
        assert!(depth <= 8, "{}: too deep", self.name);
        assert!(
            self.anchors.insert(node.anchor.clone()),
            "{}: {} twice",
            self.name,
            node.anchor
        );
        assert!(node.allowed.len() <= 30, "{}", self.name);
        if let Some(link) = &node.schema {
            let found = self.reference.schema_entry(&link.slug);
            assert_eq!(found.map(|entry| &entry.name), Some(&link.name), "{}", self.name);
        }
        for field in &node.fields {
            self.tree(field, depth + 1);
        }
        for choice in &node.choices {
            let names: HashSet<_> = choice.variants.iter().map(|variant| &variant.name).collect();
            assert_eq!(names.len(), choice.variants.len(), "{}: {names:?}", self.name);
            assert!(names.iter().all(|name| !name.is_empty()), "{}", self.name);
            for variant in &choice.variants {
                self.tree(&variant.node, depth + 1);
            }
        }
    }

    fn media(&mut self, media: &[MediaView]) {
        for node in media.iter().filter_map(|media| media.node.as_ref()) {
            self.tree(node, 0);
        }
        for example in media.iter().flat_map(|media| &media.examples) {
            assert!(example.text.lines().count() <= 201, "{}", self.name);
        }
    }

    fn operation(&mut self, view: &OperationView) {
        for parameter in &view.parameters {
            self.tree(&parameter.node, 0);
        }
        if let Some(body) = &view.body {
            self.media(&body.media);
        }
        for response in &view.responses {
            for header in &response.headers {
                self.tree(&header.node, 0);
            }
            self.media(&response.media);
            for link in response.links.iter().filter_map(|link| link.operation.as_ref()) {
                assert!(self.reference.entry(&link.slug).is_some());
            }
        }
        for callback in &view.callbacks {
            if let Some(body) = &callback.body {
                self.media(&body.media);
            }
            for response in &callback.responses {
                self.media(&response.media);
            }
        }
        for near in view.previous.iter().chain(&view.next) {
            assert!(self.reference.entry(&near.slug).is_some());
        }
    }

    fn end(self) -> usize {
        // Roots of parameters and responses come on top of their fields.
        assert!(self.nodes <= 1_500 + 200, "{}: {} nodes", self.name, self.nodes);
        self.nodes
    }
}

fn check_page(reference: &Reference, name: String, fill: impl FnOnce(&mut Page<'_>)) -> usize {
    let mut page = Page {
        reference,
        name,
        anchors: HashSet::new(),
        nodes: 0,
    };
    fill(&mut page);
    page.end()
}

#[test]
fn every_page_of_every_document_is_made_within_its_bounds() {
    let Some(folder) = corpus("every_page_of_every_document_is_made_within_its_bounds") else {
        return;
    };
    for row in index(&folder) {
        let Some(value) = load(&folder, &row.file) else {
            assert_eq!(row.tier, "malformed", "{}", row.file);
            continue;
        };
        let start = Instant::now();
        let reference = match Reference::build(value, Limits::default()) {
            Ok(reference) => reference,
            Err(refused) => {
                assert_eq!(row.tier, "malformed", "{}", row.file);
                assert!(!refused.faults.is_empty());
                continue;
            }
        };
        let built = start.elapsed();
        assert_eq!(reference.entries().len(), row.operations, "{}", row.file);
        let slugs: HashSet<_> = reference.entries().iter().map(|entry| &entry.slug).collect();
        assert_eq!(slugs.len(), reference.entries().len(), "{}", row.file);
        let grouped: usize = reference.groups().iter().map(|group| group.operations.len()).sum();
        assert_eq!(grouped, row.operations, "{}", row.file);
        let (mut most, mut slowest) = (0, std::time::Duration::ZERO);
        for entry in reference.entries().iter().chain(reference.webhooks()) {
            let start = Instant::now();
            let view = reference.view(entry);
            slowest = slowest.max(start.elapsed());
            most = most.max(check_page(&reference, format!("{} {}", row.file, entry.slug), |page| {
                page.operation(&view)
            }));
        }
        for entry in reference.schemas() {
            let view = reference.schema(&entry.slug).unwrap();
            let size = check_page(&reference, format!("{} {}", row.file, entry.name), |page| {
                page.tree(&view.node, 0)
            });
            most = most.max(size);
            for used in &view.operations {
                assert!(reference.entry(&used.slug).is_some());
            }
            for used in &view.schemas {
                assert!(reference.schema_entry(&used.slug).is_some());
            }
        }
        println!(
            "{built:>8.1?} to build, {:>8.1?} for all, slowest {slowest:.1?}, at most {most} nodes; {} groups, {} operations, {} schemas, {}",
            start.elapsed(),
            reference.groups().len(),
            reference.entries().len(),
            reference.schemas().len(),
            row.file,
        );
    }
}
