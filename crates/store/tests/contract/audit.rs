use serde_json::json;
use store::testing::{START, on_both};
use store::{Actor, AuditEvent, AuditFilter, Dialect, Error, Kind, Page, Store, args};

fn event(number: u32) -> AuditEvent {
    AuditEvent {
        action: "account.update".to_owned(),
        kind: Kind::Account,
        target: format!("thing{number}"),
        account: number.is_multiple_of(2).then(|| domain::ids::AccountId::from_bits(9)),
        before: Some(json!({"n": number})),
        after: None,
    }
}

async fn write(store: &Store, numbers: std::ops::Range<u32>) {
    let mut tx = store
        .change(Actor::system("test").from_address("127.0.0.1"), START)
        .await
        .unwrap();
    numbers.for_each(|number| tx.audit(event(number)));
    assert_eq!(
        tx.commit().await.unwrap(),
        None,
        "an audit event alone does not raise the revision"
    );
}

#[tokio::test]
async fn events_form_a_chain_that_verifies_and_are_listed_newest_first() {
    on_both(async |store| {
        assert_eq!(store.verify_audit().await.unwrap().verified, 0);
        write(&store, 0..3).await;
        write(&store, 3..6).await;
        let chain = store.verify_audit().await.unwrap();
        assert_eq!((chain.verified, chain.broken_at), (6, None));
        let page = Page::first(4);
        let first = store.audit_events(&AuditFilter::default(), &page).await.unwrap();
        assert_eq!(first.iter().map(|record| record.seq).collect::<Vec<_>>(), [6, 5, 4, 3]);
        assert_eq!(first[0].hash, chain.head);
        assert_eq!(first[0].actor.address.as_deref(), Some("127.0.0.1"));
        assert_eq!(first[0].before, Some(json!({"n": 5})));
        let rest = store
            .audit_events(&AuditFilter::default(), &page.continued(first[3].id))
            .await
            .unwrap();
        assert_eq!(rest.iter().map(|record| record.seq).collect::<Vec<_>>(), [2, 1]);
        let account = AuditFilter {
            account: Some(domain::ids::AccountId::from_bits(9)),
            ..AuditFilter::default()
        };
        assert_eq!(store.audit_events(&account, &Page::default()).await.unwrap().len(), 3);
        let target = AuditFilter {
            kind: Some(Kind::Account),
            target: Some("thing1".to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(store.audit_events(&target, &Page::default()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn events_can_be_neither_changed_nor_deleted() {
    on_both(async |store| {
        write(&store, 0..2).await;
        for statement in [
            "UPDATE audit_events SET action = 'x' WHERE seq = 1",
            "DELETE FROM audit_events WHERE seq = 2",
        ] {
            let error = store.control.execute(statement, args![]).await.unwrap_err();
            assert!(
                matches!(&error, Error::Immutable { reason, .. } if reason == "audit_events is append-only"),
                "{error:?}"
            );
        }
        assert_eq!(store.verify_audit().await.unwrap().verified, 2);
    })
    .await;
}

#[tokio::test]
async fn an_event_changed_behind_the_triggers_breaks_the_chain() {
    on_both(async |store| {
        write(&store, 0..5).await;
        let off = match store.dialect() {
            Dialect::Sqlite => "DROP TRIGGER audit_events_no_update",
            Dialect::Postgres => "DROP TRIGGER audit_events_no_update ON audit_events",
        };
        store.control.execute(off, args![]).await.unwrap();
        store
            .control
            .execute("UPDATE audit_events SET target_id = 'other' WHERE seq = 3", args![])
            .await
            .unwrap();
        let chain = store.verify_audit().await.unwrap();
        assert_eq!((chain.verified, chain.broken_at), (2, Some(3)));
    })
    .await;
}
