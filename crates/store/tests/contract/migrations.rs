use store::testing::{START, on_both_unmigrated};
use store::{Area, Error, Store, args, migrations};

async fn insert_event(store: &Store) {
    let insert = "INSERT INTO audit_events (seq, id, occurred_at, actor_kind, actor_id, action, target_kind, target_id, prev_hash, hash)
                  VALUES (1, 'aud_1', 5, 'system', 'test', 'a.b', 'account', 'x', '', 'h')";
    store.control.execute(insert, args![]).await.unwrap();
}

#[tokio::test]
async fn a_database_of_each_earlier_migration_is_upgraded_with_its_rows() {
    for area in Area::ALL {
        on_both_unmigrated(async |store| {
            let steps = migrations(store.dialect(), area);
            let Some(previous) = steps.len().checked_sub(2).map(|index| steps[index].version) else {
                return;
            };
            if area == Area::Ledger {
                store.migrate_area(Area::Control, i64::MAX, START).await.unwrap();
            }
            store.migrate_area(area, previous, START).await.unwrap();
            assert_eq!(store.schema_version(area).await.unwrap(), previous);
            if area == Area::Control {
                insert_event(&store).await;
            }
            store.migrate(START).await.unwrap();
            assert_eq!(store.schema_version(area).await.unwrap(), steps.last().unwrap().version);
            if area == Area::Control {
                let kept: Option<String> = store
                    .control
                    .scalar("SELECT hash FROM audit_events WHERE seq = 1", args![])
                    .await
                    .unwrap();
                assert_eq!(kept.as_deref(), Some("h"));
            }
        })
        .await;
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    on_both_unmigrated(async |store| {
        store.migrate(START).await.unwrap();
        let applied = "SELECT COUNT(*) FROM schema_migrations";
        let before: Option<i64> = store.control.scalar(applied, args![]).await.unwrap();
        store.migrate(START).await.unwrap();
        assert_eq!(store.control.scalar::<i64>(applied, args![]).await.unwrap(), before);
    })
    .await;
}

#[tokio::test]
async fn processes_that_migrate_at_once_do_not_collide() {
    on_both_unmigrated(async |store| {
        let (one, two) = (store.clone(), store.clone());
        let (a, b) = tokio::join!(one.migrate(START), two.migrate(START));
        a.unwrap();
        b.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    on_both_unmigrated(async |store| {
        store.migrate(START).await.unwrap();
        let future = "INSERT INTO schema_migrations (area, version, name, checksum, applied_at) VALUES ('control', 9999, 'later', '', 0)";
        store.control.execute(future, args![]).await.unwrap();
        let error = store.migrate(START).await.unwrap_err();
        assert!(matches!(error, Error::Newer { area: "control", found: 9999, .. }), "{error:?}");
        assert!(error.to_string().contains("use a newer program"));
    })
    .await;
}

#[tokio::test]
async fn an_applied_migration_that_has_changed_is_refused() {
    on_both_unmigrated(async |store| {
        store.migrate(START).await.unwrap();
        store
            .control
            .execute(
                "UPDATE schema_migrations SET checksum = 'x' WHERE area = 'control' AND version = 1",
                args![],
            )
            .await
            .unwrap();
        let error = store.migrate(START).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Altered {
                    area: "control",
                    version: 1
                }
            ),
            "{error:?}"
        );
    })
    .await;
}
