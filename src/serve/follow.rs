//! Follows the test clock of the deployment in processes without a portal, which moves it.

use std::time::Duration;

use domain::clock::Clock;
use store::Store;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Follows until the task is dropped.
pub(super) async fn test_clock(store: Store, clock: Clock) {
    loop {
        match store.test_clock().await {
            Ok(Some(reading)) => clock.follow(reading),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the test clock cannot be read"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
