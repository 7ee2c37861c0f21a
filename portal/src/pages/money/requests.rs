//! Single requests in a list: one table for customers and for finance, one way to write each figure.

use analytics::StoredSample;
use domain::usage::Fact;
use jiff::tz::TimeZone;

use crate::api::usage::billed;
use crate::pages::catalogue::address::segment;
use crate::pages::web::show::{self, Moment};

/// A request in a list.
pub(crate) struct Row {
    /// Its story.
    pub(crate) href: String,
    pub(crate) at: Moment,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) class: &'static str,
    pub(crate) took: String,
    pub(crate) app: String,
    /// Whether it was billed, or how much it counts.
    pub(crate) last: String,
    /// Why it was refused.
    pub(crate) reason: String,
}

/// The colour of a status.
pub(crate) const fn class(status: u16) -> &'static str {
    match status {
        0..=399 => "good",
        400..=499 => "warn",
        _ => "bad",
    }
}

impl Row {
    /// A request that was served, by this app; stories are below `base`.
    pub(crate) fn new(fact: &Fact, base: &str, app: String, zone: &TimeZone) -> Self {
        Self {
            href: format!("{base}/{}", segment(&fact.request_id)),
            at: show::exact(fact.admitted_at, zone),
            method: fact.method.clone(),
            path: fact.path.clone(),
            status: fact.outcome.status,
            class: class(fact.outcome.status),
            took: show::latency(fact.latency_us),
            app,
            last: if billed(&fact.outcome.class()) { "yes" } else { "no" }.to_owned(),
            reason: String::new(),
        }
    }

    /// A request that was refused.
    pub(crate) fn refused(stored: StoredSample, base: &str, app: String, zone: &TimeZone) -> Self {
        let sample = stored.sample;
        Self {
            href: format!("{base}/{}", segment(&sample.request_id)),
            at: show::exact(sample.at, zone),
            method: sample.method,
            path: sample.path,
            status: sample.status,
            class: class(sample.status),
            took: show::NOTHING.to_owned(),
            app,
            last: "no".to_owned(),
            reason: sample.of.reason.replace('-', " "),
        }
    }
}
