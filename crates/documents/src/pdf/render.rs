//! Draws what was placed, and builds the tree of tags beside it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup, TagTree,
};
use krilla::{Document, SerializeSettings};

use super::Error;
use super::fonts::Fonts;
use super::place::{HEIGHT, Piece, Role, Sheet, WIDTH};

/// Draws the pages.
pub(super) fn render(title: &str, sheets: &[Sheet], fonts: &Fonts) -> Result<Vec<u8>, Error> {
    let settings = SerializeSettings {
        enable_tagging: true,
        ..SerializeSettings::default()
    };
    let mut document = Document::new_with(settings);
    document.set_metadata(Metadata::new().title(title.to_owned()).language("en".to_owned()));
    let mut tags = Tags::default();
    for sheet in sheets {
        let settings =
            PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| Error::Write("the paper has no size".to_owned()))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        draw(&mut surface, sheet, fonts, &mut tags);
        surface.finish();
        page.finish();
    }
    document.set_tag_tree(tags.tree());
    document.finish().map_err(|error| Error::Write(format!("{error:?}")))
}

fn draw(surface: &mut Surface<'_>, sheet: &Sheet, fonts: &Fonts, tags: &mut Tags) {
    for (from, to, y) in &sheet.rules {
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)));
        surface.set_fill(None);
        surface.set_stroke(Some(Stroke {
            paint: rgb::Color::new(150, 150, 150).into(),
            width: 0.5,
            ..Stroke::default()
        }));
        let mut path = PathBuilder::new();
        path.move_to(*from, *y);
        path.line_to(*to, *y);
        if let Some(path) = path.finish() {
            surface.draw_path(&path);
        }
        surface.set_stroke(None);
        surface.end_tagged();
    }
    for piece in &sheet.pieces {
        if piece.role == Role::Artifact {
            surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)));
            text(surface, piece, fonts);
        } else {
            let id = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
            text(surface, piece, fonts);
            tags.add(piece.role, id);
        }
        surface.end_tagged();
    }
}

fn text(surface: &mut Surface<'_>, piece: &Piece, fonts: &Fonts) {
    surface.set_fill(Some(Fill {
        paint: rgb::Color::new(20, 20, 20).into(),
        opacity: NormalizedF32::ONE,
        ..Fill::default()
    }));
    let face = fonts.face(piece.weight);
    let glyphs = face.glyphs(&piece.text);
    let start = Point::from_xy(piece.x, piece.y);
    surface.draw_glyphs(start, &glyphs, face.font.clone(), &piece.text, piece.size, false);
}

/// What was drawn, in reading order.
#[derive(Default)]
struct Tags {
    title: Vec<Identifier>,
    before: Vec<Identifier>,
    head: BTreeMap<u32, Vec<Identifier>>,
    rows: BTreeMap<u32, BTreeMap<u32, Vec<Identifier>>>,
    after: Vec<Identifier>,
}

impl Tags {
    fn add(&mut self, role: Role, id: Identifier) {
        match role {
            Role::Title => self.title.push(id),
            Role::Text if self.head.is_empty() => self.before.push(id),
            Role::Text => self.after.push(id),
            Role::Head(column) => self.head.entry(column).or_default().push(id),
            Role::Cell(row, column) => self.rows.entry(row).or_default().entry(column).or_default().push(id),
            Role::Artifact => {}
        }
    }

    fn tree(self) -> TagTree {
        let mut tree = TagTree::new();
        tree.push(filled(TagGroup::new(Tag::Hn(NonZeroU16::MIN, None)), self.title));
        for id in self.before {
            tree.push(filled(TagGroup::new(Tag::P), vec![id]));
        }
        let mut table = TagGroup::new(Tag::Table);
        let mut head = TagGroup::new(Tag::TR);
        for ids in self.head.into_values() {
            head.push(filled(TagGroup::new(Tag::TH(TableHeaderScope::Column)), ids));
        }
        table.push(head);
        for cells in self.rows.into_values() {
            let mut row = TagGroup::new(Tag::TR);
            for ids in cells.into_values() {
                row.push(filled(TagGroup::new(Tag::TD), ids));
            }
            table.push(row);
        }
        tree.push(table);
        for id in self.after {
            tree.push(filled(TagGroup::new(Tag::P), vec![id]));
        }
        tree
    }
}

fn filled(mut group: TagGroup, ids: Vec<Identifier>) -> TagGroup {
    for id in ids {
        group.push(id);
    }
    group
}
