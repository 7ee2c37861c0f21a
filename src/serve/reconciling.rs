//! Who reconciles usage, and how a billing run has it done by whatever process that is.

use std::time::Duration;

use reconciliation::{Books as Counted, Reconciler, ask};
use store::Store;

use super::Roles;
use super::start::{Books, Shared};

/// A billing run waits so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Wherever usage is counted it is reconciled.
pub(super) fn start(shared: &Shared<'_>, books: Option<&Books>, roles: Roles) -> Option<Reconciler> {
    let books = books.filter(|_| roles.metering)?;
    let counted = Counted {
        store: books.store.clone(),
        analytics: books.analytics.clone()?,
    };
    let reconciler = Reconciler::start(counted, shared.clock.clone());
    shared.metrics.register(|registry| reconciler.register(registry));
    Some(reconciler)
}

/// Reconciles before a billing run.
pub(super) fn before_runs(store: &Store, reconciler: Option<&Reconciler>) -> billing::Reconciliation {
    let (store, wake) = (store.clone(), reconciler.map(Reconciler::waker));
    billing::Reconciliation::new(move |(slot, now)| {
        let (store, wake) = (store.clone(), wake.clone());
        async move {
            let wake = || wake.iter().for_each(|wake| wake());
            if !ask(&store, &slot, now, (PATIENCE, &wake)).await? {
                tracing::warn!(slot, "no process reconciled usage in time; the billing run goes on");
            }
            Ok(())
        }
    })
}
