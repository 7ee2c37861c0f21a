use domain::ids::CredentialId;
use domain::key::KeyHash;
use domain::subscription::{ConsumerStatus, Origin};
use store::testing::{START, on_both};
use store::{AuditFilter, Error, Kind, NewConsumer, Page, Scope};

use crate::fixture::{account, at, change, consumer, credential, two_accounts};

#[tokio::test]
async fn a_consumer_is_suspended_resumed_and_deleted() {
    on_both(async |store| {
        two_accounts(&store).await;
        let mut tx = change(&store).await;
        let suspended = tx.suspend_consumer(consumer(1), "abuse").await.unwrap();
        assert_eq!(
            (suspended.status, suspended.suspended_reason.as_deref()),
            (ConsumerStatus::Suspended, Some("abuse"))
        );
        assert_eq!(tx.resume_consumer(consumer(1)).await.unwrap().suspended_reason, None);
        assert_eq!(tx.rename_consumer(consumer(1), "other").await.unwrap().name, "other");
        tx.create_credential(&credential(1, consumer(1))).await.unwrap();
        tx.delete_consumer(consumer(1)).await.unwrap();
        assert!(matches!(
            tx.resume_consumer(consumer(1)).await,
            Err(Error::Missing("consumer"))
        ));
        assert_eq!(tx.commit().await.unwrap(), Some(2));
        assert!(
            store
                .consumer(Scope::All, consumer(1))
                .await
                .unwrap()
                .unwrap()
                .deleted_at
                .is_some()
        );
        assert_eq!(
            store.consumers(Scope::All, None, &Page::default()).await.unwrap().len(),
            1
        );
        let key = store
            .credential(Scope::All, CredentialId::from_bits(1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(key.revoked_at, Some(START), "its keys are revoked with it");
        let filter = AuditFilter {
            kind: Some(Kind::Consumer),
            target: Some(consumer(1).to_string()),
            ..AuditFilter::default()
        };
        let actions: Vec<_> = store
            .audit_events(&filter, &Page::default())
            .await
            .unwrap()
            .into_iter()
            .map(|event| event.action)
            .collect();
        assert_eq!(
            actions,
            [
                "consumer.delete",
                "consumer.rename",
                "consumer.resume",
                "consumer.suspend",
                "consumer.create"
            ]
        );
        assert_eq!(store.verify_audit().await.unwrap().broken_at, None);
    })
    .await;
}

#[tokio::test]
async fn names_from_files_are_unique_within_an_account() {
    on_both(async |store| {
        two_accounts(&store).await;
        let new = |id, owner, origin| NewConsumer {
            id: consumer(id),
            account_id: account(owner),
            name: "app1".to_owned(),
            origin,
        };
        let mut tx = change(&store).await;
        tx.create_consumer(&new(10, 1, Origin::File)).await.unwrap();
        tx.create_consumer(&new(11, 2, Origin::File)).await.unwrap();
        tx.create_consumer(&new(12, 1, Origin::Api)).await.unwrap();
        assert_eq!(
            tx.file_consumer(account(1), "app1").await.unwrap().unwrap().id,
            consumer(10)
        );
        let error = tx.create_consumer(&new(13, 1, Origin::File)).await.unwrap_err();
        assert_eq!(error.conflict(), Some("consumers(account_id,name)"));
    })
    .await;
}

#[tokio::test]
async fn foreign_consumers_and_credentials_do_not_exist_for_a_bounded_caller() {
    on_both(async |store| {
        two_accounts(&store).await;
        let mut tx = change(&store).await;
        tx.create_credential(&credential(2, consumer(2))).await.unwrap();
        tx.commit().await.unwrap();
        let one = Scope::Account(account(1));
        let foreign = CredentialId::from_bits(2);
        assert_eq!(store.consumer(one, consumer(2)).await.unwrap(), None);
        assert_eq!(
            store.consumers(one, Some(account(2)), &Page::default()).await.unwrap(),
            []
        );
        assert_eq!(store.consumers(one, None, &Page::default()).await.unwrap().len(), 1);
        assert_eq!(store.credential(one, foreign).await.unwrap(), None);
        assert_eq!(store.credentials(one, consumer(2), &Page::default()).await.unwrap(), []);
        let mut tx = change(&store).await.within(one);
        assert!(matches!(
            tx.suspend_consumer(consumer(2), "x").await,
            Err(Error::Missing(_))
        ));
        assert!(matches!(tx.resume_consumer(consumer(2)).await, Err(Error::Missing(_))));
        assert!(matches!(
            tx.rename_consumer(consumer(2), "x").await,
            Err(Error::Missing(_))
        ));
        assert!(matches!(tx.delete_consumer(consumer(2)).await, Err(Error::Missing(_))));
        assert!(matches!(
            tx.create_credential(&credential(3, consumer(2))).await,
            Err(Error::Missing(_))
        ));
        assert!(matches!(
            tx.revoke_credential(foreign, START).await,
            Err(Error::Missing(_))
        ));
        assert!(matches!(
            tx.rotate_credential(foreign, &credential(3, consumer(2)), START).await,
            Err(Error::Missing(_))
        ));
        assert_eq!(tx.credentials_of(consumer(2)).await.unwrap(), []);
        let new = NewConsumer {
            id: consumer(9),
            account_id: account(2),
            name: "x".to_owned(),
            origin: Origin::Api,
        };
        assert!(matches!(tx.create_consumer(&new).await, Err(Error::Missing("account"))));
        assert_eq!(tx.commit().await.unwrap(), None, "nothing was changed");
    })
    .await;
}

#[tokio::test]
async fn a_credential_is_found_by_its_hash_and_revoked_for_good() {
    on_both(async |store| {
        two_accounts(&store).await;
        let mut tx = change(&store).await;
        let made = tx.create_credential(&credential(1, consumer(1))).await.unwrap();
        assert_eq!(tx.commit().await.unwrap(), Some(2));
        assert_eq!(
            store.credential_by_hash(KeyHash([1; 32])).await.unwrap(),
            Some(made.clone())
        );
        assert_eq!(store.credential_by_hash(KeyHash([9; 32])).await.unwrap(), None);
        assert_eq!(
            store.live_credentials(at(1), &Page::bulk()).await.unwrap(),
            std::slice::from_ref(&made)
        );
        assert!(
            !serde_json::to_string(&made).unwrap().contains(&made.hash.to_hex()),
            "the hash is not shown"
        );
        store
            .touch_credentials(&[(made.id, at(9)), (made.id, at(5))])
            .await
            .unwrap();

        let mut tx = change(&store).await;
        assert_eq!(
            tx.revoke_credential(made.id, at(10)).await.unwrap().revoked_at,
            Some(at(10))
        );
        assert_eq!(
            tx.revoke_credential(made.id, at(20)).await.unwrap().revoked_at,
            Some(at(10)),
            "the earlier one stands"
        );
        tx.commit().await.unwrap();
        let now = store.credential(Scope::All, made.id).await.unwrap().unwrap();
        assert_eq!((now.revoked_at, now.last_used_at), (Some(at(10)), Some(at(9))));
        assert_eq!(store.live_credentials(at(9), &Page::bulk()).await.unwrap().len(), 1);
        assert_eq!(store.live_credentials(at(10), &Page::bulk()).await.unwrap().len(), 0);
        let mut tx = change(&store).await;
        let again = store::NewCredential {
            id: CredentialId::from_bits(99),
            ..credential(1, consumer(1))
        };
        let error = tx.create_credential(&again).await.unwrap_err();
        assert_eq!(error.conflict(), Some("credentials(secret_hash)"));
    })
    .await;
}

#[tokio::test]
async fn a_rotated_credential_lives_on_for_its_grace() {
    on_both(async |store| {
        two_accounts(&store).await;
        let mut tx = change(&store).await;
        let old = tx.create_credential(&credential(1, consumer(1))).await.unwrap();
        let foreign = tx.rotate_credential(old.id, &credential(2, consumer(2)), at(60)).await;
        assert!(
            matches!(foreign, Err(Error::Missing("credential"))),
            "a rotation stays with its consumer"
        );
        let new = tx
            .rotate_credential(old.id, &credential(3, consumer(1)), at(60))
            .await
            .unwrap();
        assert_eq!(new.rotated_from, Some(old.id));
        let twice = tx.rotate_credential(old.id, &credential(4, consumer(1)), at(60)).await;
        assert!(matches!(twice, Err(Error::State(_))));
        tx.commit().await.unwrap();
        assert_eq!(store.live_credentials(at(59), &Page::bulk()).await.unwrap().len(), 2);
        assert_eq!(store.live_credentials(at(60), &Page::bulk()).await.unwrap().len(), 1);
        let page = Page::first(1);
        assert_eq!(
            store.credentials(Scope::All, consumer(1), &page).await.unwrap()[0].id,
            old.id
        );
        assert_eq!(
            store
                .credentials(Scope::All, consumer(1), &page.continued(old.id))
                .await
                .unwrap()[0]
                .id,
            new.id
        );
    })
    .await;
}
