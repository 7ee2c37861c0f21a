//! Where values stand, as a tree beside the value tree.

/// Byte offsets of one value and of what it contains; children stand in the order of the value's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// Offset of the key plus one; zero where there is none, which keeps the node small.
    key: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) children: Vec<Self>,
}

impl Spot {
    pub(super) const fn new(start: u32, end: u32) -> Self {
        Self {
            key: 0,
            start,
            end,
            children: Vec::new(),
        }
    }

    pub(super) fn with_key(mut self, key: u32) -> Self {
        self.key = key.saturating_add(1);
        self
    }

    pub(super) const fn key(&self) -> Option<u32> {
        self.key.checked_sub(1)
    }
}
