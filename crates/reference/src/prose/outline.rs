//! Headings: their levels, their anchors and the table of contents.

use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use comrak::Anchorizer;
use comrak::adapters::{HeadingAdapter, HeadingMeta};
use comrak::nodes::{AstNode, NodeValue, Sourcepos};

use super::{Heading, Place};
use crate::html::escape;

/// What every anchor of a text begins with, so that it meets none of the page's own.
pub(super) const PREFIX: &str = "doc-";

/// Gives headings levels without gaps, or makes paragraphs of them.
pub(super) fn level_headings<'a>(root: &'a AstNode<'a>, place: Place<'_>) {
    let start = match place {
        Place::Page(level) => Some(level.clamp(2, 6)),
        Place::Guide(_) => Some(2),
        Place::Field => None,
    };
    let mut open: Vec<u8> = Vec::new();
    for node in root.descendants() {
        let mut data = node.data_mut();
        let NodeValue::Heading(heading) = &mut data.value else {
            continue;
        };
        let Some(start) = start else {
            data.value = NodeValue::Paragraph;
            continue;
        };
        while open.last().is_some_and(|last| *last >= heading.level) {
            open.pop();
        }
        open.push(heading.level);
        heading.level = u8::try_from(open.len()).unwrap_or(6).saturating_add(start - 1).min(6);
    }
}

/// Collects headings while they are rendered.
#[derive(Default)]
pub(super) struct Outline(Mutex<(Vec<Heading>, Anchorizer)>);

impl Outline {
    pub(super) fn headings(self) -> Vec<Heading> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl HeadingAdapter for Outline {
    fn enter(&self, output: &mut dyn Write, heading: &HeadingMeta, _: Option<Sourcepos>) -> fmt::Result {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let short: String = heading.content.chars().take(80).collect();
        let anchor = format!("{PREFIX}{}", state.1.anchorize(&short));
        let mut escaped = String::new();
        escape(&anchor, &mut escaped);
        write!(output, "<h{} id=\"{escaped}\">", heading.level)?;
        state.0.push(Heading {
            level: heading.level,
            anchor,
            text: heading.content.clone(),
        });
        Ok(())
    }

    fn exit(&self, output: &mut dyn Write, heading: &HeadingMeta) -> fmt::Result {
        writeln!(output, "</h{}>", heading.level)
    }
}
