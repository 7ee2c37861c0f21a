//! Mails about quotas that run out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::quantity::Quantity;
use portal::{Hooks, QuotaUse};
use store::AccountRole;

use crate::app::{fact, served};
use crate::browser::Browser;
use crate::support::{Server, Tenant, petstore};

/// Texts of the mails about quotas.
fn mails(outbox: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(outbox) else {
        return Vec::new();
    };
    files
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .map(|mail| mail.replace("=\r\n", "").replace("\r\n ", " "))
        .filter(|mail| mail.contains("of the quota of requests used"))
        .collect()
}

async fn count(outbox: &Path, wanted: usize) -> Vec<String> {
    for _ in 0..200 {
        let found = mails(outbox);
        if found.len() >= wanted {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    mails(outbox)
}

#[tokio::test]
async fn owners_and_developers_are_mailed_once_for_each_threshold_and_period() {
    let used = Arc::new(AtomicU64::new(39_999));
    let asked = Arc::clone(&used);
    let hooks = Hooks {
        quota_use: QuotaUse::new(move |query| {
            let requests = Quantity::from_units(asked.load(Ordering::SeqCst));
            let of = move |meter: &String| if meter == "requests" { requests } else { Quantity::ZERO };
            let answer = query.meters.iter().map(of).collect::<Vec<_>>();
            async move { Ok(answer) }
        }),
        ..Hooks::none()
    };
    let server = Server::with(hooks).await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    for role in [AccountRole::Owner, AccountRole::Developer, AccountRole::Viewer] {
        Browser::member(&server, &tenant, role).await;
    }
    let outbox = server.outbox();
    // What has traffic is looked at. The plan has 50,000 requests a period.
    served(&server, 1, vec![fact(&tenant, 1, -1, 200)]).await;
    used.store(40_000, Ordering::SeqCst);
    let first = count(&outbox, 2).await;
    assert_eq!(first.len(), 2, "{first:?}");
    for mail in &first {
        assert!(mail.contains("80% of the quota of requests used: backend"), "{mail}");
        assert!(!mail.to_lowercase().contains("to: viewer"), "{mail}");
    }
    used.store(50_000, Ordering::SeqCst);
    assert_eq!(count(&outbox, 6).await.len(), 6);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(mails(&outbox).len(), 6);
}
