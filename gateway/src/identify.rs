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

/// Whose key it is, whatever the consumer's state.
///
/// # Errors
/// `missing-`, `invalid-` and `expired-credentials`, `consumer-suspended`.
pub(crate) fn consumer<'a>(
    snapshot: &'a Snapshot,
    presented: Presented,
    now: Timestamp,
    about: &mut About,
) -> Result<(KeyHash, &'a KeyEntry, &'a Arc<CompiledConsumer>), Rejection> {
    let hash = match presented {
        Presented::Nothing => return Err(ProblemKind::MissingCredentials.into()),
        Presented::Unusable => return Err(ProblemKind::InvalidCredentials.into()),
        Presented::Key(hash) => hash,
    };
    let (kind, key, consumer) = match snapshot.identify(&hash, now) {
        Identity::Unknown => return Err(ProblemKind::InvalidCredentials.into()),
        Identity::Expired { key, consumer } => (Some(ProblemKind::ExpiredCredentials), key, consumer),
        Identity::Known { key, consumer } => {
            let suspended = consumer.status == ConsumerStatus::Suspended;
            (suspended.then_some(ProblemKind::ConsumerSuspended), key, consumer)
        }
    };
    about.mode = key.mode;
    about.account = Some(consumer.account);
    about.consumer = Some(consumer.id);
    match kind {
        Some(kind) => Err(kind.into()),
        None => Ok((hash, key, consumer)),
    }
}

/// The caller of an API; `None` for an anonymous one.
///
/// # Errors
/// Those of [`consumer`], `no-subscription`, `subscription-inactive`, `payment-required`, `sandbox-unavailable`.
pub(crate) fn caller(
    (snapshot, api): (&Snapshot, &CompiledApi),
    presented: Presented,
    now: Timestamp,
    about: &mut About,
) -> Result<Option<Caller>, Rejection> {
    if presented == Presented::Nothing && api.anonymous.is_some() {
        return Ok(None);
    }
    let (hash, key, consumer) = consumer(snapshot, presented, now, about)?;
    let Some(subscription) = consumer.paying(api.id, key.pinned()) else {
        return Err(ProblemKind::NoSubscription.into());
    };
    about.subscription = Some(subscription.id);
    match subscription.access(now) {
        Access::Served => {}
        Access::PaymentRequired => return Err(ProblemKind::PaymentRequired.into()),
        Access::Inactive => return Err(ProblemKind::SubscriptionInactive.into()),
    }
    if key.mode == Mode::Test && api.sandbox.is_empty() {
        return Err(ProblemKind::SandboxUnavailable.into());
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
