//! Where each piece of text stands.
#![expect(clippy::float_arithmetic, reason = "lengths on paper")]

use domain::invoice::{InvoiceStatus, InvoiceView, LineView};
use domain::money::Money;

use super::fonts::{Fonts, Weight, clean};
use crate::words;

pub(super) const WIDTH: f32 = 595.0;
pub(super) const HEIGHT: f32 = 842.0;
const LEFT: f32 = 50.0;
const RIGHT: f32 = WIDTH - 50.0;
const TOP: f32 = 60.0;
const BOTTOM: f32 = HEIGHT - 70.0;
const SIZE: f32 = 8.5;
const STEP: f32 = 12.0;
const SMALL: f32 = 7.5;
const FACTS: f32 = LEFT + 70.0;
const DESCRIPTION: f32 = 220.0;
const NUMBERS: f32 = 95.0;
const MORE_THAN_ANY_LINE: usize = 4_000;

/// What a piece of text is, for readers that do not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Title,
    Text,
    /// A head cell of the table.
    Head(u32),
    /// A cell of the table: row and column.
    Cell(u32, u32),
    /// Repeated on every page, and of no meaning of its own.
    Artifact,
}

/// A piece of text on a page. `y` is the base line.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) weight: Weight,
    pub(super) role: Role,
    pub(super) text: String,
}

/// A page: its texts, and lines across it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    pub(super) pieces: Vec<Piece>,
    pub(super) rules: Vec<(f32, f32, f32)>,
}

/// Columns of the table: heading, edge, and whether text ends at the edge.
const COLUMNS: [(&str, f32, bool); 4] = [
    ("Description", LEFT, false),
    ("Quantity", 380.0, true),
    ("Unit price", 460.0, true),
    ("Amount", RIGHT, true),
];

struct Place<'a> {
    invoice: &'a InvoiceView,
    fonts: &'a Fonts,
    sheets: Vec<Sheet>,
    y: f32,
}

/// The pages of an invoice.
pub(super) fn place(invoice: &InvoiceView, fonts: &Fonts) -> Vec<Sheet> {
    let mut place = Place {
        invoice,
        fonts,
        sheets: vec![Sheet::default()],
        y: TOP,
    };
    place.header();
    place.table();
    place.sums();
    place.notes();
    place.page_numbers();
    place.sheets
}

impl Place<'_> {
    fn push(&mut self, piece: Piece) {
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.pieces.push(piece);
        }
    }

    /// Writes a text that begins, or ends, at `x`.
    fn write(&mut self, (x, ends): (f32, bool), (weight, size): (Weight, f32), role: Role, text: &str) {
        let text = clean(text);
        if text.trim().is_empty() {
            return;
        }
        let x = if ends {
            x - self.fonts.width(&text, weight, size)
        } else {
            x
        };
        let y = self.y;
        self.push(Piece {
            x,
            y,
            size,
            weight,
            role,
            text,
        });
    }

    fn rule(&mut self) {
        let y = self.y - STEP + 3.0;
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.rules.push((LEFT, RIGHT, y));
        }
    }

    /// Begins another page when `height` does not fit any more.
    fn room(&mut self, height: f32) -> bool {
        if self.y + height <= BOTTOM {
            return false;
        }
        self.sheets.push(Sheet::default());
        self.y = TOP;
        true
    }

    fn paragraph(&mut self, (x, width): (f32, f32), weight: Weight, text: &str) {
        for line in self.fonts.wrap(text, (weight, SIZE), width) {
            self.room(STEP);
            self.write((x, false), (weight, SIZE), Role::Text, &line);
            self.y += STEP;
        }
    }

    fn header(&mut self) {
        for line in self
            .fonts
            .wrap(&words::title(self.invoice), (Weight::Bold, 18.0), RIGHT - LEFT)
        {
            self.write((LEFT, false), (Weight::Bold, 18.0), Role::Title, &line);
            self.y += 24.0;
        }
        for (name, value) in words::facts(self.invoice) {
            self.write((LEFT, false), (Weight::Regular, SIZE), Role::Text, name);
            self.write((FACTS, false), (Weight::Regular, SIZE), Role::Text, &value);
            self.y += STEP + 1.0;
        }
        self.y += STEP;
        let top = self.y;
        let middle = LEFT + (RIGHT - LEFT) / 2.0;
        let sheets = self.sheets.len();
        self.party(LEFT, "From", &words::party(&self.invoice.seller));
        let from_ends = self.y;
        // Beside each other while both fit on the first page.
        if self.sheets.len() == sheets {
            self.y = top;
        }
        self.party(middle, "To", &words::party(&self.invoice.customer));
        self.y = if self.sheets.len() == sheets {
            self.y.max(from_ends)
        } else {
            self.y
        } + STEP * 1.5;
        self.asked();
        self.y += STEP * 1.5;
    }

    /// What is asked for, in one large line.
    fn asked(&mut self) {
        let amount = Money::new(self.invoice.amount_due, self.invoice.currency);
        let text = match self.invoice.due_at {
            Some(due) if self.invoice.status == InvoiceStatus::Open => {
                format!("{amount} due by {}", words::date(self.invoice, due))
            }
            _ => format!("{amount} due"),
        };
        for line in self.fonts.wrap(&text, (Weight::Bold, 12.0), RIGHT - LEFT) {
            self.room(STEP * 2.0);
            self.write((LEFT, false), (Weight::Bold, 12.0), Role::Text, &line);
            self.y += STEP * 1.5;
        }
    }

    fn party(&mut self, x: f32, name: &str, lines: &[String]) {
        let width = (RIGHT - LEFT) / 2.0 - 10.0;
        self.paragraph((x, width), Weight::Regular, name);
        for (n, line) in lines.iter().enumerate() {
            let weight = if n == 0 { Weight::Bold } else { Weight::Regular };
            self.paragraph((x, width), weight, line);
        }
    }

    fn head(&mut self, role: fn(u32) -> Role) {
        for (column, (name, x, ends)) in (0..).zip(COLUMNS) {
            self.write((x, ends), (Weight::Bold, SIZE), role(column), name);
        }
        self.y += STEP;
        self.rule();
        self.y += 4.0;
    }

    fn table(&mut self) {
        if self.room(STEP * 4.0) {
            self.y = TOP;
        }
        self.head(Role::Head);
        let invoice = self.invoice;
        let mut row = 0;
        for line in &invoice.lines {
            self.row(row, line);
            row += 1;
            for tier in words::tiers(line, invoice.currency) {
                self.tier(row, &tier);
                row += 1;
            }
            self.y += 4.0;
        }
        self.y += 4.0;
        self.rule();
    }

    fn row(&mut self, row: u32, line: &LineView) {
        let text: String = line.description.chars().take(MORE_THAN_ANY_LINE).collect();
        let mut lines = self.fonts.wrap(&text, (Weight::Regular, SIZE), DESCRIPTION);
        lines.push(words::days(self.invoice, line.period_start, line.period_end));
        let quantity = words::counted(&line.quantity, &line.unit_label);
        let quantity = self.fonts.wrap(&quantity, (Weight::Regular, SIZE), NUMBERS);
        let price = line
            .unit_price
            .as_deref()
            .map(|price| words::price(price, self.invoice.currency));
        let amount = Money::new(line.amount, self.invoice.currency).to_string();
        for n in 0..lines.len().max(quantity.len()) {
            if self.room(STEP) {
                self.head(|_| Role::Artifact);
            }
            let mut cell = |column: u32, text: Option<&str>| {
                if let Some(text) = text {
                    self.cell((row, column), SIZE, text);
                }
            };
            cell(0, lines.get(n).map(String::as_str));
            cell(1, quantity.get(n).map(String::as_str));
            if n == 0 {
                cell(2, price.as_deref());
                cell(3, Some(&amount));
            }
            self.y += STEP;
        }
    }

    fn tier(&mut self, row: u32, tier: &words::TierRow) {
        if self.room(STEP) {
            self.head(|_| Role::Artifact);
        }
        let cells = [
            format!("    {}", tier.label),
            tier.quantity.clone(),
            tier.price.clone(),
            tier.amount.clone(),
        ];
        for (column, text) in (0..).zip(&cells) {
            self.cell((row, column), SMALL, text);
        }
        self.y += STEP - 1.0;
    }

    fn cell(&mut self, (row, column): (u32, u32), size: f32, text: &str) {
        let place = usize::try_from(column).ok().and_then(|column| COLUMNS.get(column));
        if let Some((_, x, ends)) = place {
            self.write((*x, *ends), (Weight::Regular, size), Role::Cell(row, column), text);
        }
    }

    fn sums(&mut self) {
        self.y += STEP;
        for (name, minor) in words::sums(self.invoice) {
            self.room(STEP);
            let strong = matches!(name, "Total" | "Amount due");
            let weight = if strong { Weight::Bold } else { Weight::Regular };
            let amount = Money::new(minor, self.invoice.currency).to_string();
            self.write((380.0, false), (weight, SIZE), Role::Text, name);
            self.write((RIGHT, true), (weight, SIZE), Role::Text, &amount);
            self.y += STEP;
        }
        self.y += STEP;
    }

    fn notes(&mut self) {
        let invoice = self.invoice;
        if let Some(terms) = words::terms(invoice) {
            self.paragraph((LEFT, RIGHT - LEFT), Weight::Regular, &terms);
        }
        for payment in &invoice.payments {
            let amount = Money::new(payment.amount, invoice.currency);
            let reference = payment.reference.as_deref().unwrap_or_default();
            let text = format!(
                "Paid {amount} on {} by {} {reference}",
                words::date(invoice, payment.received_at),
                words::method(&payment.method)
            );
            self.paragraph((LEFT, RIGHT - LEFT), Weight::Regular, &text);
        }
        for note in &invoice.credit_notes {
            let amount = Money::new(note.total, invoice.currency);
            let text = format!(
                "Credit note {} of {}: {amount}. {}",
                note.number,
                words::date(invoice, note.at),
                note.reason
            );
            self.paragraph((LEFT, RIGHT - LEFT), Weight::Regular, &text);
        }
        for note in &invoice.notes {
            self.paragraph((LEFT, RIGHT - LEFT), Weight::Regular, note);
        }
    }

    fn page_numbers(&mut self) {
        let pages = self.sheets.len();
        let number = self
            .invoice
            .number
            .as_ref()
            .map_or_else(String::new, |number| format!("{}, ", clean(number)));
        for (n, sheet) in (1..).zip(&mut self.sheets) {
            let text = format!("{number}{n} of {pages}");
            let width = self.fonts.width(&text, Weight::Regular, 7.5);
            sheet.pieces.push(Piece {
                x: RIGHT - width,
                y: HEIGHT - 40.0,
                size: 7.5,
                weight: Weight::Regular,
                role: Role::Artifact,
                text,
            });
        }
    }
}
