use store::testing::{START, on_both};
use store::{Claim, IdempotencyKey};

use crate::fixture::at;

fn key(principal: &str, request: u8) -> IdempotencyKey {
    IdempotencyKey {
        principal: principal.to_owned(),
        key: "k".to_owned(),
        request_hash: [request; 32],
    }
}

#[tokio::test]
async fn the_second_request_gets_the_answer_of_the_first() {
    on_both(async |store| {
        let (mine, other, times) = (key("tok_1", 1), key("tok_2", 1), START..at(100));
        assert_eq!(
            store.claim_idempotent(&mine, times.clone()).await.unwrap(),
            Claim::First
        );
        assert_eq!(
            store.claim_idempotent(&mine, times.clone()).await.unwrap(),
            Claim::Running
        );
        assert_eq!(
            store.claim_idempotent(&key("tok_1", 2), times.clone()).await.unwrap(),
            Claim::Mismatch
        );
        assert_eq!(
            store.claim_idempotent(&other, times.clone()).await.unwrap(),
            Claim::First,
            "callers do not share keys"
        );
        store.finish_idempotent(&mine, 201, "{}").await.unwrap();
        store.finish_idempotent(&mine, 500, "late").await.unwrap();
        let answered = Claim::Answered {
            status: 201,
            body: "{}".to_owned(),
        };
        assert_eq!(store.claim_idempotent(&mine, times.clone()).await.unwrap(), answered);
        store.release_idempotent(&mine).await.unwrap();
        assert_eq!(
            store.claim_idempotent(&mine, times.clone()).await.unwrap(),
            answered,
            "an answered key is not released"
        );
        store.release_idempotent(&other).await.unwrap();
        assert_eq!(store.claim_idempotent(&other, times).await.unwrap(), Claim::First);
        assert_eq!(
            store
                .claim_idempotent(&key("tok_1", 3), at(100)..at(200))
                .await
                .unwrap(),
            Claim::First,
            "an expired key is free"
        );
        assert_eq!(store.prune_idempotent(at(150)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn of_many_concurrent_requests_one_is_the_first() {
    on_both(async |store| {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.claim_idempotent(&key("tok_1", 1), START..at(9)).await.unwrap() })
            })
            .collect();
        let mut first = 0;
        for task in tasks {
            first += usize::from(task.await.unwrap() == Claim::First);
        }
        assert_eq!(first, 1);
    })
    .await;
}
