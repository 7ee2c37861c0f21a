//! Bounds of the work that a document may cause.

/// What one page may hold. Documents themselves are bounded where they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of fields below a body, a response or a schema.
    pub depth: usize,
    /// Fields and variants on one page.
    pub nodes: usize,
    /// Values of an enumeration that are listed.
    pub allowed: usize,
    /// Variants of one choice that are listed.
    pub variants: usize,
    /// Responses, media types of one body, headers of one response, and examples of one media type that are shown.
    pub parts: usize,
    /// Entries of a used-by list.
    pub uses: usize,
    /// Bytes of Markdown of one text.
    pub prose: usize,
    /// Lines of one example.
    pub example_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 4,
            nodes: 1_500,
            allowed: 30,
            variants: 64,
            parts: 64,
            uses: 200,
            prose: 64 << 10,
            example_lines: 200,
        }
    }
}
