//! What pages about money share: an invoice as paper, its state in words, months, the story of one request.

pub(crate) mod months;
pub(crate) mod pager;
pub(crate) mod paper;
pub(crate) mod state;
pub(crate) mod story;
