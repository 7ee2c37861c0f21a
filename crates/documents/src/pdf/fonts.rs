//! The fonts of the program: widths of text, and lines that fit.
#![expect(clippy::float_arithmetic, reason = "lengths on paper")]

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use super::Error;

static REGULAR: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../fonts/DejaVuSans-Bold.ttf");

/// Weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// One font, for measuring and for drawing.
pub(super) struct Face {
    metrics: FontRef<'static>,
    pub(super) font: Font,
}

/// Both fonts.
pub(super) struct Fonts {
    regular: Face,
    bold: Face,
}

impl Face {
    fn load(data: &'static [u8]) -> Result<Self, Error> {
        Ok(Self {
            metrics: FontRef::new(data).map_err(|_| Error::Font)?,
            font: Font::new(data.into(), 0).ok_or(Error::Font)?,
        })
    }

    /// The glyphs of a text, with advances for size 1. A character that the font lacks is the box of glyph 0.
    pub(super) fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let (charmap, widths) = (
            self.metrics.charmap(),
            self.metrics.glyph_metrics(Size::new(1.0), LocationRef::default()),
        );
        let glyphs = text.char_indices().map(|(at, character)| {
            let id = charmap.map(character).unwrap_or_default();
            let advance = widths.advance_width(id).unwrap_or(0.6);
            let range = at..at + character.len_utf8();
            KrillaGlyph::new(GlyphId::new(id.to_u32()), advance, 0.0, 0.0, 0.0, range, None)
        });
        glyphs.collect()
    }

    fn width(&self, text: &str) -> f32 {
        self.glyphs(text).iter().map(|glyph| glyph.x_advance).sum()
    }
}

impl Fonts {
    pub(super) fn load() -> Result<Self, Error> {
        Ok(Self {
            regular: Face::load(REGULAR)?,
            bold: Face::load(BOLD)?,
        })
    }

    pub(super) const fn face(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// The width of a text in points.
    pub(super) fn width(&self, text: &str, weight: Weight, size: f32) -> f32 {
        self.face(weight).width(text) * size
    }

    /// A text in lines of at most `width` points, broken at blanks, or within a word that is too long for a line.
    pub(super) fn wrap(&self, text: &str, (weight, size): (Weight, f32), width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in clean(text).split(' ').filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.width(&longer, weight, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            let mut pieces = self.cut(word, (weight, size), width);
            line = pieces.pop().unwrap_or_default();
            lines.extend(pieces);
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }

    fn cut(&self, word: &str, (weight, size): (Weight, f32), width: f32) -> Vec<String> {
        let (mut pieces, mut used) = (vec![String::new()], 0.0);
        for glyph in self.face(weight).glyphs(word) {
            let advance = glyph.x_advance * size;
            if used + advance > width && used > 0.0 {
                pieces.push(String::new());
                used = 0.0;
            }
            used += advance;
            let part = word.get(glyph.text_range).unwrap_or_default();
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(part);
            }
        }
        pieces
    }
}

/// Control characters have no place on paper.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}
