//! Randomness for request ids and trace ids, drawn from the operating system in blocks.

use std::cell::{Cell, RefCell};

const BLOCK: usize = 4_096;

/// A worker's supply of random bytes; each byte is given out once.
pub(crate) struct Chance {
    block: RefCell<Box<[u8; BLOCK]>>,
    used: Cell<usize>,
}

impl Chance {
    pub(crate) fn new() -> Self {
        Self {
            block: RefCell::new(Box::new([0; BLOCK])),
            used: Cell::new(BLOCK),
        }
    }

    /// `N` fresh bytes; `N` is at most a block.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        if self.used.get() + N > BLOCK {
            **self.block.borrow_mut() = domain::random::bytes();
            self.used.set(0);
        }
        let start = self.used.get();
        self.used.set(start + N);
        self.block
            .borrow()
            .get(start..start + N)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_draws_are_alike() {
        let chance = Chance::new();
        let draws: std::collections::HashSet<[u8; 10]> = (0..2_000).map(|_| chance.bytes()).collect();
        assert_eq!(draws.len(), 2_000);
    }
}
