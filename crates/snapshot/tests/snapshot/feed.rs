use std::sync::Arc;
use std::time::{Duration, Instant};

use snapshot::{Feed, Snapshot, compile};

use crate::support::{api, master, upsert_api};

fn at(revision: u64) -> Snapshot {
    compile(None, [upsert_api(api(1, "", &["a GET /a"]))], revision, &master()).unwrap()
}

#[test]
fn readers_of_all_threads_see_each_publication() {
    let (publisher, feed) = Feed::new(at(1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut reader = feed.reader();
            scope.spawn(move || {
                let mut last = 0;
                while last < 200 {
                    let now = reader.current().revision();
                    assert!(now >= last, "went back");
                    last = now;
                }
            });
        }
        for revision in 2..=200 {
            publisher.publish(at(revision));
        }
    });
    assert_eq!(feed.current().revision(), 200);
}

#[test]
fn replaced_parts_are_dropped_on_the_thread_of_the_reaper() {
    let (publisher, feed) = Feed::new(at(1));
    let mut reader = feed.reader();
    let snapshot = Arc::clone(reader.current());
    let held = snapshot.routes().apis().next().map(Arc::clone).unwrap();
    let (snapshot_gone, part_gone) = (Arc::downgrade(&snapshot), Arc::downgrade(&held));
    publisher.publish(at(2));
    reader.current();
    drop(snapshot);
    let gone_soon = |gone: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(10);
        while !gone() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        gone()
    };
    assert!(gone_soon(&|| snapshot_gone.upgrade().is_none()));
    // The reaper holds the part that a request still holds, so the request is not the one that drops it.
    assert_eq!(Arc::strong_count(&held), 2);
    drop(held);
    assert!(gone_soon(&|| part_gone.upgrade().is_none()));
}

#[tokio::test]
async fn who_waits_for_a_change_gets_the_snapshot_after_it() {
    let (publisher, feed) = Feed::new(at(1));
    let mut changes = feed.changes();
    let waiting = tokio::spawn(async move {
        let first = changes.changed().await.map(|snapshot| snapshot.revision());
        let last = changes.changed().await.map(|snapshot| snapshot.revision());
        (first, last)
    });
    tokio::task::yield_now().await;
    publisher.publish(at(2));
    tokio::task::yield_now().await;
    drop(publisher);
    assert_eq!(waiting.await.unwrap(), (Some(2), None));
}
