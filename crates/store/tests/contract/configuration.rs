use domain::ids::{PlanId, PlanVersionId};
use serde_json::json;
use store::testing::{START, on_both};
use store::{Actor, Error, Kind, ObjectKind, Page, args};

use crate::fixture::{self, BETTER, PLAN, PRODUCT, VERSION, change, object};

#[tokio::test]
async fn the_deployment_is_made_once_and_keeps_its_id() {
    on_both(async |store| {
        assert_eq!(store.instance().await.unwrap(), None);
        assert!(matches!(
            change(&store).await.set_settings(&json!({})).await,
            Err(Error::Missing("deployment"))
        ));
        let first = store.ensure_instance("one", START).await.unwrap();
        let again = store.ensure_instance("two", fixture::at(5)).await.unwrap();
        assert_eq!((first.deployment_id.as_str(), &first), ("one", &again));
        let mut tx = change(&store).await;
        assert!(tx.set_settings(&json!({"signup": "open"})).await.unwrap());
        assert!(
            !tx.set_settings(&json!({"signup": "open"})).await.unwrap(),
            "equal settings change nothing"
        );
        assert_eq!(tx.commit().await.unwrap(), Some(1));
        assert_eq!(
            store.instance().await.unwrap().unwrap().settings,
            json!({"signup": "open"})
        );
    })
    .await;
}

#[tokio::test]
async fn objects_are_made_changed_and_archived_and_their_names_freed() {
    on_both(async |store| {
        let mut tx = change(&store).await;
        let mut fields = object(ObjectKind::Api, "", "petstore");
        fields.document = Some(tx.put_document(b"openapi: 3.1.0").await.unwrap());
        assert_eq!(
            tx.put_document(b"openapi: 3.1.0").await.unwrap(),
            fields.document.unwrap(),
            "the same bytes are stored once"
        );
        let made = tx.create_object("api_1", &fields).await.unwrap();
        assert_eq!(tx.object("api_1").await.unwrap(), Some(made.clone()));
        assert_eq!((made.created_revision, made.updated_revision), (1, 1));
        assert_eq!(tx.commit().await.unwrap(), Some(1));
        assert_eq!(
            store.document(&fields.document.unwrap()).await.unwrap().as_deref(),
            Some(&b"openapi: 3.1.0"[..])
        );

        let mut tx = change(&store).await;
        assert!(!tx.update_object("api_1", &fields).await.unwrap());
        assert_eq!(tx.commit().await.unwrap(), None, "an equal object raises no revision");
        let mut tx = change(&store).await;
        fields.body = json!({"title": "New"});
        fields.document = None;
        assert!(tx.update_object("api_1", &fields).await.unwrap());
        assert_eq!(tx.forget_unused_documents().await.unwrap(), 1);
        assert_eq!(tx.commit().await.unwrap(), Some(2));
        let now = store.object("api_1").await.unwrap().unwrap();
        assert_eq!(
            (now.created_revision, now.updated_revision, now.fields.body),
            (1, 2, json!({"title": "New"}))
        );

        let mut tx = change(&store).await;
        let error = tx.create_object("api_2", &fields).await.unwrap_err();
        assert_eq!(error.conflict(), Some("objects(kind,parent,name)"));
        tx.rollback().await.unwrap();
        let mut tx = change(&store).await;
        assert!(tx.archive_object("api_1").await.unwrap());
        assert!(!tx.archive_object("api_1").await.unwrap());
        assert!(matches!(
            tx.update_object("api_1", &fields).await,
            Err(Error::Missing(_))
        ));
        tx.create_object("api_2", &fields).await.unwrap();
        assert_eq!(
            tx.object_named(ObjectKind::Api, "", "petstore")
                .await
                .unwrap()
                .unwrap()
                .id,
            "api_2"
        );
        tx.commit().await.unwrap();
        assert_eq!(
            store
                .object_named(ObjectKind::Api, "", "petstore")
                .await
                .unwrap()
                .unwrap()
                .id,
            "api_2"
        );
        assert_eq!(store.objects(None).await.unwrap().len(), 1);
        assert_eq!(store.objects(Some(ObjectKind::Meter)).await.unwrap().len(), 0);
        assert!(store.object("api_1").await.unwrap().unwrap().archived_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn objects_are_listed_by_position() {
    on_both(async |store| {
        let mut tx = change(&store).await;
        for (position, name) in [(2, "a"), (0, "c"), (1, "b")] {
            let mut fields = object(ObjectKind::Plan, "prod_1", name);
            fields.position = position;
            tx.create_object(&format!("plan_{name}"), &fields).await.unwrap();
        }
        let names: Vec<_> = tx
            .objects(Some(ObjectKind::Plan))
            .await
            .unwrap()
            .into_iter()
            .map(|plan| plan.fields.name)
            .collect();
        assert_eq!(names, ["c", "b", "a"]);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_published_plan_version_never_changes() {
    on_both(async |store| {
        fixture::a_plan(&store).await;
        let versions = store.plan_versions(PLAN).await.unwrap();
        assert_eq!(versions.iter().map(|version| version.n).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(store.latest_plan_version(PLAN).await.unwrap().unwrap().id, BETTER);
        assert_eq!(
            store.plan_version(VERSION).await.unwrap().unwrap().body,
            json!({"n": 1})
        );
        assert_eq!(
            store.plan_versions_in_use().await.unwrap().len(),
            1,
            "nobody subscribes to the first version"
        );

        let mut tx = change(&store).await;
        let same = tx
            .publish_plan_version(PlanVersionId::from_bits(999), PLAN, &json!({"n": 2}))
            .await
            .unwrap();
        assert_eq!(same.id, BETTER, "the same body makes no new version");
        assert_eq!(tx.plan_version(BETTER).await.unwrap().unwrap(), same);
        assert_eq!(tx.commit().await.unwrap(), None);
        for statement in ["UPDATE plan_versions SET body_json = '{}'", "DELETE FROM plan_versions"] {
            let error = store.control.execute(statement, args![]).await.unwrap_err();
            assert!(
                matches!(&error, Error::Immutable { reason, .. } if reason == "plan_versions never changes"),
                "{error:?}"
            );
        }
        let mut tx = change(&store).await;
        let error = tx
            .publish_plan_version(PlanVersionId::from_bits(7), PlanId::from_bits(7), &json!({}))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Reference(_)), "{error:?}");
        assert!(store.object(&PRODUCT.to_string()).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_stored_document_cannot_be_changed() {
    on_both(async |store| {
        let mut tx = change(&store).await;
        tx.put_document(b"x").await.unwrap();
        tx.commit().await.unwrap();
        let error = store
            .control
            .execute("UPDATE documents SET created_at = 0", args![])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Immutable { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn the_newest_configuration_revisions_are_kept() {
    on_both(async |store| {
        for n in 1..=4 {
            let mut tx = change(&store).await;
            assert_eq!(tx.keep_config(&json!({"n": n}), 3).await.unwrap(), n);
            assert_eq!(tx.commit().await.unwrap(), Some(n));
        }
        let first = store.config_revisions(&Page::first(2)).await.unwrap();
        assert_eq!(first.iter().map(|kept| kept.revision).collect::<Vec<_>>(), [4, 3]);
        assert_eq!(
            (first[0].actor_kind.as_str(), first[0].actor_id.as_str()),
            ("system", "test")
        );
        let rest = store.config_revisions(&Page::first(2).continued(3)).await.unwrap();
        assert_eq!(rest.iter().map(|kept| kept.revision).collect::<Vec<_>>(), [2]);
        assert_eq!(store.config_document(2).await.unwrap(), Some(json!({"n": 2})));
        assert_eq!(store.config_document(1).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_replaced_and_deleted_and_never_audited() {
    on_both(async |store| {
        let mut tx = store.change(Actor::system("test"), START).await.unwrap();
        tx.put_secret("upstream", b"one").await.unwrap();
        tx.put_secret("upstream", b"two").await.unwrap();
        assert_eq!(tx.secret("upstream").await.unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(tx.commit().await.unwrap(), Some(1));
        assert_eq!(store.secret("upstream").await.unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(
            store.secrets().await.unwrap(),
            [("upstream".to_owned(), b"two".to_vec())]
        );
        let events = store
            .audit_events(&store::AuditFilter::default(), &Page::default())
            .await
            .unwrap();
        assert!(
            events
                .iter()
                .all(|event| event.kind == Kind::Secret && event.before.is_none() && event.after.is_none())
        );
        let mut tx = change(&store).await;
        assert!(tx.delete_secret("upstream").await.unwrap());
        assert!(!tx.delete_secret("upstream").await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(store.secret("upstream").await.unwrap(), None);
    })
    .await;
}
