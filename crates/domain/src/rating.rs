//! From quantities to amounts.
