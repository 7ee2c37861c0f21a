//! A table for spreadsheets (RFC 4180, UTF-8), one row after another.

use std::fmt::Display;

/// A table in the making. Cells of text that a spreadsheet would take for a formula begin with an apostrophe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    out: String,
    in_row: bool,
}

impl Sheet {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut sheet = Self::default();
        for column in columns {
            sheet.plain(column);
        }
        sheet.end();
        sheet
    }

    /// A table that goes on where another part of it ended: without heads.
    pub fn part() -> Self {
        Self::default()
    }

    /// A cell whose text came from people. Spreadsheets run what begins like a formula, also behind blanks.
    pub fn text(&mut self, cell: &str) -> &mut Self {
        let starts_formula = cell
            .trim_start()
            .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
        if starts_formula || cell.starts_with(['\t', '\r', '\n']) {
            self.write(&format!("'{cell}"))
        } else {
            self.write(cell)
        }
    }

    /// A cell that the program made: numbers, amounts, times, ids.
    pub fn plain(&mut self, cell: impl Display) -> &mut Self {
        self.write(&cell.to_string())
    }

    /// A cell of the program, empty when there is none.
    pub fn maybe(&mut self, cell: Option<impl Display>) -> &mut Self {
        self.write(&cell.map(|cell| cell.to_string()).unwrap_or_default())
    }

    /// Ends the row.
    pub fn end(&mut self) {
        self.out.push_str("\r\n");
        self.in_row = false;
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.out
    }

    fn write(&mut self, cell: &str) -> &mut Self {
        if self.in_row {
            self.out.push(',');
        }
        self.in_row = true;
        if cell.contains(['"', ',', '\r', '\n']) {
            self.out.push('"');
            self.out.push_str(&cell.replace('"', "\"\""));
            self.out.push('"');
        } else {
            self.out.push_str(cell);
        }
        self
    }
}
