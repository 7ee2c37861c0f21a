//! An invoice on paper (A4): what it says is placed first, then drawn, so that every page knows how many there are.

mod fonts;
mod place;
mod render;

use domain::invoice::InvoiceView;

use crate::words;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A font that is part of the program cannot be read.
    #[error("an embedded font cannot be read")]
    Font,
    /// The PDF cannot be written.
    #[error("the PDF cannot be written: {0}")]
    Write(String),
}

/// The invoice as a tagged PDF.
///
/// # Errors
/// [`Error`], which no invoice is known to cause.
pub fn pdf(invoice: &InvoiceView) -> Result<Vec<u8>, Error> {
    let fonts = fonts::Fonts::load()?;
    let pages = place::place(invoice, &fonts);
    render::render(&words::title(invoice), &pages, &fonts)
}
