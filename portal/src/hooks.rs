//! What the portal asks of other services of the process. They are injected, because services never depend on each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::clock::Timestamp;
use domain::enforce::Window;
use domain::ids::{RunId, SubscriptionId};
use domain::quantity::Quantity;
use store::Node;

/// A future on the heap.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Why another service could not do what it was asked. The text goes to the log, not to clients.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

macro_rules! hook {
    ($($(#[$doc:meta])* $name:ident($argument:ty) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<dyn Fn($argument) -> BoxFuture<$answer> + Send + Sync>);

        impl $name {
            /// From an async function.
            pub fn new<F, R>(function: F) -> Self
            where
                F: Fn($argument) -> R + Send + Sync + 'static,
                R: Future<Output = $answer> + Send + 'static,
            {
                Self(Arc::new(move |argument| Box::pin(function(argument))))
            }

            /// Asks.
            pub async fn call(&self, argument: $argument) -> $answer {
                (self.0)(argument).await
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

hook! {
    /// Makes ledger and analytics current up to now: returns when every request answered before the call is counted.
    Freshness(()) -> Result<(), HookError>;
    /// How much of each meter a subscription has used in a window, from the ledger, in the order of the question.
    QuotaUse(QuotaQuery) -> Result<Vec<Quantity>, HookError>;
    /// Starts every billing run that is due by an instant.
    DueRuns(Timestamp) -> Result<DueRun, HookError>;
    /// The gateway of this process and what it serves, where there is one.
    Gateways(()) -> Result<Vec<Node>, HookError>;
}

/// What to add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaQuery {
    /// Whose use.
    pub subscription: SubscriptionId,
    /// When.
    pub window: Window,
    /// Names of the meters.
    pub meters: Vec<String>,
}

/// A billing run that has been started.
pub struct DueRun {
    /// Its id.
    pub id: RunId,
    /// Ready when all of it is done.
    pub done: BoxFuture<Result<(), HookError>>,
}

/// All hooks.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// Makes ledger and analytics current.
    pub freshness: Freshness,
    /// Reads quota use from the ledger.
    pub quota_use: QuotaUse,
    /// Starts due billing runs.
    pub due_runs: DueRuns,
    /// Lists gateways.
    pub gateways: Gateways,
}

impl Hooks {
    /// Hooks of a process that runs no other service: nothing used, nothing due, no gateway.
    pub fn none() -> Self {
        Self {
            freshness: Freshness::new(|()| async { Ok(()) }),
            quota_use: QuotaUse::new(|query| async move { Ok(vec![Quantity::ZERO; query.meters.len()]) }),
            due_runs: DueRuns::new(|at| async move {
                let id = RunId::new(at, domain::random::bytes());
                Ok(DueRun {
                    id,
                    done: Box::pin(async { Ok(()) }),
                })
            }),
            gateways: Gateways::new(|()| async { Ok(Vec::new()) }),
        }
    }
}
