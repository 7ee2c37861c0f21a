//! Refused requests of valid tokens, in the log each time and in the audit log at most once a minute for each token and
//! route, so that a caller cannot flood it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::caller::Who;
use serde_json::json;
use store::{AuditEvent, Kind};

use super::caller::Caller;
use super::scope::Scope;
use crate::app::App;

const QUIET: Duration = Duration::from_mins(1);
const MAX_REMEMBERED: usize = 4_096;

/// What was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) scope: Scope,
}

/// When which token was last written to the audit log for which scope.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<(Who, Scope), Instant>>);

impl Refusals {
    fn is_new(&self, key: (Who, Scope), now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED {
            seen.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if seen.get(&key).is_some_and(|at| now.duration_since(*at) < QUIET) || seen.len() >= MAX_REMEMBERED {
            return false;
        }
        seen.insert(key, now);
        true
    }

    /// Notes a refusal.
    pub(crate) async fn note(&self, app: &App, caller: &Caller, refusal: Refusal) {
        let Refusal { method, path, scope } = &refusal;
        tracing::warn!(token = %caller.who, %method, %path, %scope, "a token was refused");
        if !self.is_new((caller.who, refusal.scope), Instant::now()) {
            return;
        }
        let event = AuditEvent {
            action: "token.refused".to_owned(),
            kind: Kind::Token,
            target: caller.who.to_string(),
            account: caller.account,
            before: None,
            after: Some(json!({"method": method, "path": path, "scope": scope})),
        };
        if let Err(error) = write(app, caller, event).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a refusal is missing in the audit log"
            );
        }
    }
}

async fn write(app: &App, caller: &Caller, event: AuditEvent) -> store::Result<()> {
    let mut tx = app.store.change(caller.actor(), app.clock.now()).await?;
    tx.audit(event);
    tx.commit().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_a_minute_for_each_token_and_scope() {
        let refusals = Refusals::default();
        let (token, now) = (Who::Token(domain::ids::TokenId::from_bits(1)), Instant::now());
        assert!(refusals.is_new((token, Scope::GatewaysConnect), now));
        assert!(!refusals.is_new((token, Scope::GatewaysConnect), now + Duration::from_secs(59)));
        assert!(refusals.is_new(
            (Who::Token(domain::ids::TokenId::from_bits(2)), Scope::GatewaysConnect),
            now
        ));
        assert!(refusals.is_new((token, Scope::GatewaysConnect), now + Duration::from_mins(1)));
    }
}
