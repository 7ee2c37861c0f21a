//! An invoice as PDF and CSV, from one [`InvoiceView`](domain::invoice::InvoiceView).
//!
//! Both are pure functions of the view: the same document always has the same bytes. The PDF is tagged, its text can be
//! extracted, and its fonts are part of the program (DejaVu Sans, see `fonts/LICENSE.txt`): Latin, Greek, Cyrillic and
//! more; a character that the fonts lack shows as a box and never fails. Pages take their words from [`words`], so that
//! screen and paper say the same. Deliberately absent: shaping of scripts that join letters or run from right to left, and
//! any e-invoice format.

mod csv;
mod pdf;
mod sheet;
pub mod words;

pub use csv::{cell as csv_cell, csv};
pub use pdf::{Error, pdf};
pub use sheet::Sheet;
