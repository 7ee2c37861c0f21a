//! What pages about money share: an invoice as paper, its state in words, months, requests in lists and the story of one.

pub(crate) mod months;
pub(crate) mod pager;
pub(crate) mod paper;
pub(crate) mod requests;
pub(crate) mod state;
pub(crate) mod story;
mod story_limits;
