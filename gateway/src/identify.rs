//! Who calls, and which subscription pays.
//!
//! Unknown and revoked keys are one case with one answer. A caller without a credential is anonymous where the API has
//! a plan for that; a wrong credential never is. Nothing here touches a counter.

use std::sync::Arc;

use domain::clock::Timestamp;
use domain::ids::{ApiId, CredentialId};
use domain::key::{KeyHash, Mode};
use domain::subscription::{Access, ConsumerStatus};
use serving::problem::ProblemKind;
use snapshot::{CompiledApi, CompiledConsumer, CompiledSubscription, Identity, KeyEntry, Snapshot};

use crate::credential::{Places, Presented};
use crate::reject::{About, Rejection};
use crate::standing::{self, Place};
use crate::worker::Worker;

/// An identified caller and the subscription that admits, counts and pays.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: KeyHash,
    pub(crate) credential: CredentialId,
    pub(crate) mode: Mode,
    pub(crate) consumer: Arc<CompiledConsumer>,
    pub(crate) subscription: Arc<CompiledSubscription>,
}

/// Where an API looks for keys.
pub(crate) fn places(api: &CompiledApi) -> Places<'_> {
    Places {
        header: &api.key_location.header,
        query: api.key_location.query.as_deref(),
    }
}

/// Why a caller is not let in, and the subscription whose limits the answer tells of.
#[derive(Debug)]
pub(crate) struct Denied {
    rejection: Rejection,
    known: Option<(Arc<CompiledSubscription>, Mode)>,
}

impl From<Rejection> for Denied {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, known: None }
    }
}

impl Denied {
    /// The refusal, with how the caller's limits stand for an operation of the snapshot of this revision.
    pub(crate) fn told(self, worker: &Worker, operation: &str, revision: u64) -> Rejection {
        let mut rejection = self.rejection;
        if let Some((subscription, mode)) = self.known {
            let place = Place {
                mode,
                operation,
                revision,
            };
            standing::state(&mut rejection.headers, worker, std::iter::once(&*subscription), place);
        }
        rejection
    }
}

type Known<'a> = (KeyHash, &'a KeyEntry, &'a Arc<CompiledConsumer>);

/// Whose key it is, of a consumer that is not suspended.
///
/// # Errors
/// `missing-`, `invalid-` and `expired-credentials`, `consumer-suspended`.
pub(crate) fn consumer<'a>(
    snapshot: &'a Snapshot,
    presented: Presented,
    now: Timestamp,
    about: &mut About,
) -> Result<Known<'a>, Rejection> {
    let known = known(snapshot, presented, now, about)?;
    if known.2.status == ConsumerStatus::Suspended {
        return Err(ProblemKind::ConsumerSuspended.into());
    }
    Ok(known)
}

/// Whose key it is, whatever the consumer's state.
fn known<'a>(
    snapshot: &'a Snapshot,
    presented: Presented,
    now: Timestamp,
    about: &mut About,
) -> Result<Known<'a>, Rejection> {
    let hash = match presented {
        Presented::Nothing => return Err(ProblemKind::MissingCredentials.into()),
        Presented::Unusable => return Err(ProblemKind::InvalidCredentials.into()),
        Presented::Key(hash) => hash,
    };
    let (expired, key, consumer) = match snapshot.identify(&hash, now) {
        Identity::Unknown => return Err(ProblemKind::InvalidCredentials.into()),
        Identity::Expired { key, consumer } => (true, key, consumer),
        Identity::Known { key, consumer } => (false, key, consumer),
    };
    about.mode = key.mode;
    about.account = Some(consumer.account);
    about.consumer = Some(consumer.id);
    if expired {
        return Err(ProblemKind::ExpiredCredentials.into());
    }
    Ok((hash, key, consumer))
}

/// The caller of an API; `None` for an anonymous one.
///
/// # Errors
/// Those of [`consumer()`], `no-subscription`, `subscription-inactive`, `payment-required`, `sandbox-unavailable`.
pub(crate) fn caller(
    (snapshot, api): (&Snapshot, &CompiledApi),
    presented: Presented,
    now: Timestamp,
    about: &mut About,
) -> Result<Option<Caller>, Denied> {
    if presented == Presented::Nothing && api.anonymous.is_some() {
        return Ok(None);
    }
    let (hash, key, consumer) = known(snapshot, presented, now, about)?;
    let paying = consumer.paying(api.id, key.pinned());
    let denied = |kind: ProblemKind| Denied {
        rejection: kind.into(),
        known: paying.map(|paying| (Arc::clone(paying), key.mode)),
    };
    if consumer.status == ConsumerStatus::Suspended {
        return Err(denied(ProblemKind::ConsumerSuspended));
    }
    let Some(subscription) = paying else {
        return Err(denied(ProblemKind::NoSubscription));
    };
    about.subscription = Some(subscription.id);
    match subscription.access(now) {
        Access::Served => {}
        Access::PaymentRequired => return Err(denied(ProblemKind::PaymentRequired)),
        Access::Inactive => return Err(denied(ProblemKind::SubscriptionInactive)),
    }
    if key.mode == Mode::Test && api.sandbox.is_empty() {
        return Err(denied(ProblemKind::SandboxUnavailable));
    }
    Ok(Some(Caller {
        key: hash,
        credential: key.credential,
        mode: key.mode,
        consumer: Arc::clone(consumer),
        subscription: Arc::clone(subscription),
    }))
}

/// Whether a request that was let in would be let in again: an open stream ends when it would not.
pub(crate) fn is_still_served(snapshot: &Snapshot, api: ApiId, caller: Option<&Caller>, now: Timestamp) -> bool {
    let Some(caller) = caller else {
        return snapshot.routes().api(api).is_some_and(|api| api.anonymous.is_some());
    };
    let Identity::Known { consumer, .. } = snapshot.identify(&caller.key, now) else {
        return false;
    };
    consumer.status == ConsumerStatus::Active
        && consumer
            .subscriptions
            .iter()
            .any(|subscription| subscription.id == caller.subscription.id && subscription.access(now) == Access::Served)
}
