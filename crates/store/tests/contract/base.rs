use domain::clock::Timestamp;
use store::testing::{START, on_both};
use store::{Actor, Error, Kind, Store, Value, args, retrying};

const SCRATCH: &str = "CREATE TABLE scratch (id TEXT PRIMARY KEY, flag BOOLEAN, n BIGINT, body TEXT, at BIGINT)";

async fn scratch(store: &Store) {
    store.control.execute(SCRATCH, args![]).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_value_round_trips_with_nulls() {
    on_both(async |store| {
        scratch(&store).await;
        let insert = "INSERT INTO scratch (id, flag, n, body, at) VALUES ($1, $2, $3, $4, $5)";
        store
            .control
            .execute(
                insert,
                args![
                    "a",
                    true,
                    i64::MIN,
                    serde_json::json!({"k": "v'\"\u{0}"}).to_string(),
                    START
                ],
            )
            .await
            .unwrap();
        store
            .control
            .execute(
                insert,
                args!["b", None::<bool>, None::<i64>, None::<String>, None::<Timestamp>],
            )
            .await
            .unwrap();
        let rows = store
            .control
            .rows("SELECT * FROM scratch ORDER BY id", args![])
            .await
            .unwrap();
        assert!(rows[0].get::<bool>("flag").unwrap());
        assert_eq!(rows[0].get::<i64>("n").unwrap(), i64::MIN);
        assert_eq!(rows[0].json::<serde_json::Value>("body").unwrap()["k"], "v'\"\u{0}");
        assert_eq!(rows[0].get::<Option<Timestamp>>("at").unwrap(), Some(START));
        assert_eq!(rows[1].get::<Option<bool>>("flag").unwrap(), None);
        assert_eq!(rows[1].get::<Option<Timestamp>>("at").unwrap(), None);
        assert!(matches!(rows[1].get::<i64>("n"), Err(Error::Decode { .. })));
        let sum: Option<i64> = store
            .control
            .scalar("SELECT CAST(SUM(n) AS BIGINT) FROM scratch", args![])
            .await
            .unwrap();
        assert_eq!(sum, Some(i64::MIN));
        let blob: Option<Vec<u8>> = store
            .control
            .scalar("SELECT $1", vec![Value::Blob(Some(vec![0, 255]))])
            .await
            .unwrap();
        assert_eq!(blob, Some(vec![0, 255]));
    })
    .await;
}

#[tokio::test]
async fn a_violated_unique_constraint_reads_the_same_on_both() {
    on_both(async |store| {
        scratch(&store).await;
        store
            .control
            .execute("CREATE UNIQUE INDEX odd_name ON scratch (n, body) WHERE flag", args![])
            .await
            .unwrap();
        let insert = "INSERT INTO scratch (id, flag, n, body) VALUES ($1, $2, $3, $4)";
        store.control.execute(insert, args!["a", true, 1, "x"]).await.unwrap();
        store.control.execute(insert, args!["b", false, 1, "x"]).await.unwrap();
        let error = store
            .control
            .execute(insert, args!["a", false, 2, "y"])
            .await
            .unwrap_err();
        assert_eq!(error.conflict(), Some("scratch(id)"));
        let error = store
            .control
            .execute(insert, args!["c", true, 1, "x"])
            .await
            .unwrap_err();
        assert_eq!(error.conflict(), Some("scratch(n,body)"));
    })
    .await;
}

#[tokio::test]
async fn concurrent_read_then_write_transactions_all_succeed_and_lose_nothing() {
    const WRITERS: usize = 8;
    const ROUNDS: i64 = 25;
    on_both(async |store| {
        scratch(&store).await;
        store
            .control
            .execute("INSERT INTO scratch (id, n) VALUES ($1, $2)", args!["sum", 0])
            .await
            .unwrap();
        let tasks: Vec<_> = (0..WRITERS)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { add_many(&store, ROUNDS).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let sum: Option<i64> = store.control.scalar("SELECT n FROM scratch", args![]).await.unwrap();
        assert_eq!(sum, Some(i64::try_from(WRITERS).unwrap() * ROUNDS));
    })
    .await;
}

async fn add_many(store: &Store, times: i64) {
    for _ in 0..times {
        retrying(|| add_one(store)).await.unwrap();
    }
}

async fn add_one(store: &Store) -> store::Result<()> {
    let mut tx = store.control.write().await?;
    tx.lock("scratch").await?;
    let n: i64 = tx
        .scalar("SELECT n FROM scratch WHERE id = $1", args!["sum"])
        .await?
        .unwrap();
    tokio::task::yield_now().await;
    tx.execute("UPDATE scratch SET n = $1 WHERE id = $2", args![n + 1, "sum"])
        .await?;
    tx.commit().await
}

/// The control run of the test above: without BEGIN IMMEDIATE the same transactions fail as busy.
#[tokio::test]
async fn plain_begin_fails_read_then_write_transactions_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(directory.path().join("plain.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE t (n BIGINT)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO t VALUES (0)").execute(&pool).await.unwrap();
    let (mut one, mut two) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    for tx in [&mut one, &mut two] {
        sqlx::query("SELECT n FROM t").fetch_one(&mut **tx).await.unwrap();
    }
    sqlx::query("UPDATE t SET n = 1").execute(&mut *one).await.unwrap();
    one.commit().await.unwrap();
    let error = store::Error::from(sqlx::query("UPDATE t SET n = 1").execute(&mut *two).await.unwrap_err());
    assert!(error.retryable(), "{error:?}");
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing() {
    on_both(async |store| {
        scratch(&store).await;
        let mut tx = store.control.write().await.unwrap();
        tx.execute("INSERT INTO scratch (id) VALUES ($1)", args!["a"])
            .await
            .unwrap();
        drop(tx);
        let mut tx = store.control.write().await.unwrap();
        assert_eq!(
            tx.scalar::<i64>("SELECT COUNT(*) FROM scratch", args![]).await.unwrap(),
            Some(0)
        );
        tx.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_read_transaction_sees_one_instant_and_cannot_write() {
    on_both(async |store| {
        scratch(&store).await;
        let mut read = store.control.read().await.unwrap();
        assert_eq!(
            read.scalar::<i64>("SELECT COUNT(*) FROM scratch", args![])
                .await
                .unwrap(),
            Some(0)
        );
        store
            .control
            .execute("INSERT INTO scratch (id) VALUES ($1)", args!["a"])
            .await
            .unwrap();
        assert_eq!(
            read.scalar::<i64>("SELECT COUNT(*) FROM scratch", args![])
                .await
                .unwrap(),
            Some(0)
        );
        assert!(read.execute("DELETE FROM scratch", args![]).await.is_err());
        drop(read);
        assert_eq!(
            store
                .control
                .scalar::<i64>("SELECT COUNT(*) FROM scratch", args![])
                .await
                .unwrap(),
            Some(1)
        );
    })
    .await;
}

#[tokio::test]
async fn the_revision_rises_once_for_each_transaction_that_changes_something() {
    on_both(async |store| {
        assert_eq!(store.revision().await.unwrap(), 0);
        let tx = store.change(Actor::system("test"), START).await.unwrap();
        assert_eq!(tx.commit().await.unwrap(), None);
        let mut tx = store.change(Actor::system("test"), START).await.unwrap();
        tx.changed(Kind::Api, "b");
        tx.changed(Kind::Api, "a");
        tx.changed(Kind::Api, "a");
        assert_eq!(tx.commit().await.unwrap(), Some(1));
        let later = START.plus_millis(1000);
        let mut tx = store.change(Actor::system("test"), later).await.unwrap();
        tx.changed(Kind::Consumer, "c");
        assert_eq!(tx.commit().await.unwrap(), Some(2));
        let mut tx = store.change(Actor::system("test"), later).await.unwrap();
        tx.changed(Kind::Consumer, "never");
        tx.rollback().await.unwrap();

        let changes = store.changes_since(0, 1).await.unwrap().unwrap();
        assert_eq!(changes.len(), 2, "a revision is never cut");
        let changes = store.changes_since(0, 100).await.unwrap().unwrap();
        let seen: Vec<_> = changes
            .iter()
            .map(|change| (change.revision, change.kind, change.id.as_str()))
            .collect();
        assert_eq!(
            seen,
            [(1, Kind::Api, "a"), (1, Kind::Api, "b"), (2, Kind::Consumer, "c")]
        );
        assert_eq!(store.prune_changes(later).await.unwrap(), 2);
        assert_eq!(
            store.changes_since(0, 100).await.unwrap(),
            None,
            "the feed no longer reaches back to 0"
        );
        assert_eq!(store.changes_since(1, 100).await.unwrap().unwrap().len(), 1);
        assert_eq!(store.revision().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn revisions_of_concurrent_changes_have_no_holes_and_become_visible_in_order() {
    const WRITERS: i64 = 20;
    on_both(async |store| {
        let tasks: Vec<_> = (0..WRITERS)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut tx = store.change(Actor::system("test"), START).await.unwrap();
                    tx.changed(Kind::Plan, number.to_string());
                    let revision = tx.commit().await.unwrap().unwrap();
                    let seen = store.changes_since(0, 1000).await.unwrap().unwrap();
                    let visible = (1..=revision).all(|wanted| seen.iter().any(|change| change.revision == wanted));
                    assert!(visible, "revision {revision} is visible before one below it");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(store.revision().await.unwrap(), WRITERS);
    })
    .await;
}
