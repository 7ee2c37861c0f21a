//! A subscription as billing sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Terms;
use crate::clock::Timestamp;
use crate::ids::{PlanVersionId, SubscriptionId};
use crate::period::{Period, Schedule};

/// A part of a subscription's life on one plan version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Its number within the subscription, from 1.
    pub n: u32,
    /// The plan version.
    pub plan_version: PlanVersionId,
    /// What people call the plan.
    pub title: String,
    /// The first instant in it.
    pub from: Timestamp,
    /// The first instant after it; `None` while it is open.
    pub to: Option<Timestamp>,
    /// What it charges.
    pub terms: Arc<Terms>,
}

/// A subscription that was activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its usage periods.
    pub schedule: Schedule,
    /// When it became active.
    pub activated_at: Timestamp,
    /// When it was cancelled.
    pub ended_at: Option<Timestamp>,
    /// Whether the end gives back what was paid for the time after it.
    pub credit_at_end: bool,
    /// Its plan versions in the order of time.
    pub stretches: Vec<Stretch>,
    /// Words for one unit of a meter, where they differ from its name.
    pub unit_labels: BTreeMap<String, String>,
}

impl Contract {
    /// When a period's usage is complete: at its end, or at the end of the subscription.
    pub fn closes_at(&self, period: &Period) -> Timestamp {
        self.ended_at.map_or(period.end, |ended| ended.min(period.end))
    }

    /// The stretches that have time in a period.
    pub fn within(&self, period: &Period) -> impl Iterator<Item = &Stretch> {
        let (start, end) = (period.start, period.end);
        self.stretches.iter().filter(move |stretch| {
            let from = stretch.from.max(start);
            stretch.to.map_or(end, |to| to.min(end)) > from
        })
    }

    /// The stretch that usage belongs to: the one that its fact was stamped with, else the last one of the plan version
    /// in the period, else the first of the period (a gateway that had not heard of a change at the boundary).
    pub fn stretch_of(&self, period: &Period, stamped: u32, version: PlanVersionId) -> Option<&Stretch> {
        let of_version = |stretch: &&Stretch| stretch.plan_version == version;
        let exact = self
            .within(period)
            .filter(of_version)
            .find(|stretch| stretch.n == stamped.saturating_add(1));
        exact
            .or_else(|| self.within(period).filter(of_version).last())
            .or_else(|| self.within(period).next())
    }

    /// The same subscription, put on another plan version at `at`: what a preview of a change asks.
    #[must_use]
    pub fn changed(&self, plan_version: PlanVersionId, terms: Terms, at: Timestamp) -> Self {
        let mut changed = self.clone();
        let n = changed.stretches.last().map_or(0, |last| last.n);
        if let Some(last) = changed.stretches.last_mut() {
            last.to = Some(at.max(last.from));
        }
        changed.stretches.push(Stretch {
            n: n.saturating_add(1),
            plan_version,
            title: String::new(),
            from: at,
            to: None,
            terms: Arc::new(terms),
        });
        changed
    }

    /// The word for units of a meter.
    pub(super) fn unit_label(&self, meter: &str) -> String {
        self.unit_labels.get(meter).cloned().unwrap_or_else(|| meter.to_owned())
    }
}
