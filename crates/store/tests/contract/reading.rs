use store::testing::{START, on_both};
use store::{AuditFilter, Error, GuideFields, Page, SearchTerm};

use crate::fixture::{at, change};

fn guide(path: &str, title: &str) -> GuideFields {
    GuideFields {
        path: path.to_owned(),
        title: title.to_owned(),
        summary: "In one sentence".to_owned(),
        body: "# Hello\n\nworld".to_owned(),
        position: 0,
        published: true,
    }
}

#[tokio::test]
async fn a_guide_is_written_moved_and_deleted_only_by_those_who_have_seen_its_newest_version() {
    on_both(async |store| {
        let empty = store.guides_state().await.unwrap();
        let mut tx = change(&store).await;
        let made = tx.create_guide(&guide("start", "Start"), "Ann").await.unwrap();
        assert_eq!((made.version, made.author.as_str(), made.created_at), (1, "Ann", START));
        assert_eq!(tx.commit().await.unwrap(), None, "gateways serve no guides");
        assert_eq!(store.guide("start").await.unwrap(), Some(made.clone()));
        assert_ne!(store.guides_state().await.unwrap(), empty);

        let mut tx = change(&store).await;
        let taken = tx.create_guide(&guide("start", "Other"), "Bob").await.unwrap_err();
        assert_eq!(taken.conflict(), Some("guides(path)"));
        tx.rollback().await.unwrap();

        let mut tx = change(&store).await;
        let mut fields = guide("first/steps", "First steps");
        fields.published = false;
        let moved = tx.update_guide("start", 1, &fields, "Bob").await.unwrap();
        assert_eq!((moved.version, &moved.fields), (2, &fields));
        tx.commit().await.unwrap();
        assert_eq!(store.guide("start").await.unwrap(), None);

        let mut tx = change(&store).await;
        let stale = tx.update_guide("first/steps", 1, &fields, "Ann").await.unwrap_err();
        assert!(
            matches!(&stale, Error::State(text) if text.starts_with("Bob ")),
            "{stale}"
        );
        let stale = tx.delete_guide("first/steps", 1).await.unwrap_err();
        assert!(matches!(stale, Error::State(_)), "{stale}");
        let gone = tx.delete_guide("nowhere", 1).await.unwrap_err();
        assert!(matches!(gone, Error::Missing("guide")), "{gone}");
        tx.delete_guide("first/steps", 2).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.guides().await.unwrap(), vec![]);
        let events = store
            .audit_events(&AuditFilter::default(), &Page::first(10))
            .await
            .unwrap();
        let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
        for action in ["guide.create", "guide.update", "guide.delete"] {
            assert!(actions.contains(&action), "{actions:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn guides_are_listed_in_their_order_without_their_bodies() {
    on_both(async |store| {
        let mut tx = change(&store).await;
        let mut last = guide("a", "A comes last");
        last.position = 2;
        for fields in [last, guide("c", "Zebra"), guide("b", "Apple")] {
            tx.create_guide(&fields, "Ann").await.unwrap();
        }
        tx.commit().await.unwrap();
        let guides = store.guides().await.unwrap();
        let paths: Vec<&str> = guides.iter().map(|guide| guide.fields.path.as_str()).collect();
        assert_eq!(paths, ["b", "c", "a"]);
        assert!(guides.iter().all(|guide| guide.fields.body.is_empty()));
    })
    .await;
}

#[tokio::test]
async fn searches_tell_what_is_wanted_and_what_is_missing() {
    on_both(async |store| {
        for (term, found, second) in [
            ("refund", 3, 1),
            ("webhook", 0, 2),
            ("refund", 5, 3),
            ("webhook", 0, 4),
            ("webhook", 0, 5),
            ("late", 0, 6),
            ("late", 1, 7),
        ] {
            store.record_search(term, found, at(second)).await.unwrap();
        }
        let top = store.top_searches(at(0), 2).await.unwrap();
        let terms: Vec<(&str, u64)> = top.iter().map(|one| (one.term.as_str(), one.times)).collect();
        assert_eq!(terms, [("webhook", 3), ("late", 2)]);
        let missing = store.fruitless_searches(at(0), 10).await.unwrap();
        let webhook = SearchTerm {
            term: "webhook".to_owned(),
            times: 3,
            found: 0,
            last_at: at(5),
        };
        assert_eq!(missing, [webhook], "what was found later is not missing");
        assert_eq!(store.prune_searches(at(5)).await.unwrap(), 4);
        assert_eq!(store.top_searches(at(0), 10).await.unwrap()[0].term, "late");
    })
    .await;
}
