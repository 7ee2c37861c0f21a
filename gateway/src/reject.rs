//! Refusals: what the client is told, and what is kept of them.
//!
//! A request refused before it was forwarded makes no record of its own and touches no counter. It adds to a count that
//! is written once a second; some are kept as samples: at most [`SAMPLE_BURST`] at once, refilled slowly, so that a
//! million refusals take less than a megabyte.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, SubscriptionId};
use domain::key::Mode;
use domain::usage::{RejectionCount, RejectionSample};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serving::Response;
use serving::problem::{Problem, ProblemKind};

/// Samples that a node keeps of a sudden burst.
pub(crate) const SAMPLE_BURST: u32 = 100;
/// Samples a second that a node keeps of a steady stream.
const SAMPLE_REFILL: u32 = 5;
/// Different counts that a worker holds between two writes; beyond it callers are no longer told apart.
const MOST_COUNTS: usize = 4_096;

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) kind: ProblemKind,
    detail: Option<Cow<'static, str>>,
    /// Seconds until trying again makes sense.
    retry_after: Option<u64>,
    /// Keys of the limits that refused.
    violated: Vec<Rc<str>>,
    /// Further fields of the answer.
    pub(crate) headers: Box<HeaderMap>,
}

impl From<ProblemKind> for Rejection {
    fn from(kind: ProblemKind) -> Self {
        Self {
            kind,
            detail: None,
            retry_after: None,
            violated: Vec::new(),
            headers: Box::default(),
        }
    }
}

impl Rejection {
    /// Says more, to people.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when to come back.
    pub(crate) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Names the limit that refused.
    pub(crate) fn violates(mut self, key: &str) -> Self {
        self.violated.push(key.into());
        self
    }

    /// Adds a field to the answer.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The answer.
    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let mut problem = Problem::new(self.kind);
        if let Some(detail) = self.detail {
            problem = problem.detail(detail);
        }
        problem = problem
            .instance(format!("urn:request:{request_id}"))
            .with("request_id", request_id);
        if let Some(seconds) = self.retry_after {
            problem = problem.with("retry_after", seconds);
        }
        if !self.violated.is_empty() {
            let names: Vec<serde_json::Value> = self.violated.iter().map(|key| (**key).into()).collect();
            problem = problem.with("violated-policies", names);
        }
        let mut response = problem.into_response();
        let headers = response.headers_mut();
        headers.extend(*self.headers);
        if self.kind.status() == http::StatusCode::UNAUTHORIZED {
            headers.insert(
                http::header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tollgate\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Who was refused, as far as it was known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct About {
    pub(crate) api: Option<std::sync::Arc<str>>,
    pub(crate) operation: Option<std::sync::Arc<str>>,
    pub(crate) account: Option<AccountId>,
    pub(crate) consumer: Option<ConsumerId>,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) mode: Mode,
}

/// One refusal, for a sample.
pub(crate) struct Refused<'a> {
    pub(crate) kind: ProblemKind,
    pub(crate) at: Timestamp,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) revision: u64,
}

#[derive(Default)]
struct Kept {
    counts: HashMap<(ProblemKind, About, Timestamp), u64>,
    samples: Vec<RejectionSample>,
    /// Hundredths of a sample that may still be kept.
    allowance: u32,
}

/// What one worker keeps of refusals between two writes.
pub(crate) struct Refusals {
    kept: RefCell<Kept>,
    burst: u32,
    refill: u32,
}

const MINUTE_MS: i64 = 60_000;

impl Refusals {
    /// For one of `workers` workers.
    pub(crate) fn new(workers: u32) -> Self {
        let share = |whole: u32| whole.saturating_mul(100) / workers.max(1);
        let burst = share(SAMPLE_BURST);
        let kept = Kept {
            allowance: burst,
            ..Kept::default()
        };
        Self {
            kept: RefCell::new(kept),
            burst,
            refill: share(SAMPLE_REFILL),
        }
    }

    /// Counts one.
    pub(crate) fn add(&self, about: &About, refused: &Refused<'_>) {
        let minute = refused.at.as_millis().div_euclid(MINUTE_MS).saturating_mul(MINUTE_MS);
        let minute = Timestamp::from_millis(minute);
        let kept = &mut *self.kept.borrow_mut();
        let full = kept.counts.len() >= MOST_COUNTS;
        let mut key = (refused.kind, about.clone(), minute);
        if full && !kept.counts.contains_key(&key) {
            key.1 = About {
                account: None,
                consumer: None,
                subscription: None,
                ..about.clone()
            };
        }
        if kept.allowance >= 100 {
            kept.allowance -= 100;
            kept.samples.push(sample(about, refused, minute));
        }
        *kept.counts.entry(key).or_insert(0) += 1;
    }

    /// Takes what was kept, and lets more samples be kept. Call it once a second.
    pub(crate) fn take(&self) -> (Vec<RejectionCount>, Vec<RejectionSample>) {
        let kept = &mut *self.kept.borrow_mut();
        kept.allowance = kept.allowance.saturating_add(self.refill).min(self.burst);
        let counts = kept.counts.drain();
        let counts = counts
            .map(|((kind, about, minute), count)| count_of(kind, &about, minute, count))
            .collect();
        (counts, std::mem::take(&mut kept.samples))
    }

    /// Takes counts back that could not be written.
    pub(crate) fn put_back(&self, counts: Vec<RejectionCount>) {
        let kept = &mut *self.kept.borrow_mut();
        for count in counts {
            let Some(kind) = ProblemKind::ALL.iter().find(|kind| kind.name() == count.reason) else {
                continue;
            };
            let name = |text: String| (!text.is_empty()).then(|| text.into());
            let about = About {
                api: name(count.api),
                operation: name(count.operation),
                account: count.account,
                consumer: count.consumer,
                subscription: count.subscription,
                mode: count.mode,
            };
            *kept.counts.entry((*kind, about, count.minute)).or_insert(0) += count.count;
        }
    }
}

fn count_of(kind: ProblemKind, about: &About, minute: Timestamp, count: u64) -> RejectionCount {
    RejectionCount {
        reason: kind.name().to_owned(),
        api: about.api.as_deref().unwrap_or_default().to_owned(),
        operation: about.operation.as_deref().unwrap_or_default().to_owned(),
        subscription: about.subscription,
        consumer: about.consumer,
        account: about.account,
        mode: about.mode,
        minute,
        count,
    }
}

fn sample(about: &About, refused: &Refused<'_>, minute: Timestamp) -> RejectionSample {
    RejectionSample {
        request_id: refused.request_id.to_owned(),
        at: refused.at,
        status: refused.kind.status().as_u16(),
        of: count_of(refused.kind, about, minute, 1),
        method: refused.method.to_owned(),
        path: crate::route::cut(refused.path).to_owned(),
        revision: refused.revision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::Record;

    fn refused(at: i64) -> Refused<'static> {
        Refused {
            kind: ProblemKind::InvalidCredentials,
            at: Timestamp::from_millis(at),
            request_id: "01901234-5678-7fff-bfff-ffffffffffff",
            method: "GET",
            path: "/petstore/pets/1",
            revision: 7,
        }
    }

    #[test]
    fn a_million_refusals_take_less_than_a_megabyte() {
        for per_second in [1_000, 20_000] {
            let refusals = Refusals::new(2);
            let mut bytes = Vec::new();
            let mut counted = 0;
            for second in 0..1_000_000 / per_second / 2 {
                (0..per_second).for_each(|_| refusals.add(&About::default(), &refused(second * 1_000)));
                let (counts, samples) = refusals.take();
                counted += counts.iter().map(|count| count.count).sum::<u64>();
                Record::Rejections(counts).encode(&mut bytes).unwrap();
                Record::RejectionSamples(samples).encode(&mut bytes).unwrap();
            }
            assert_eq!(counted, 500_000);
            // One of two workers had half of them.
            assert!(bytes.len() < 500_000, "{} bytes at {per_second} a second", bytes.len());
        }
    }

    #[test]
    fn many_callers_are_counted_together_rather_than_without_bound() {
        let refusals = Refusals::new(1);
        for bits in 0..10_000_u128 {
            let about = About {
                subscription: Some(SubscriptionId::from_bits(bits)),
                ..About::default()
            };
            refusals.add(&about, &refused(0));
        }
        let (counts, samples) = refusals.take();
        assert_eq!(counts.len(), MOST_COUNTS + 1);
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 10_000);
        assert_eq!(samples.len(), 100);
        refusals.put_back(counts.clone());
        assert_eq!(refusals.take().0.len(), counts.len());
    }
}
