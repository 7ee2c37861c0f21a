//! Pages of a list: `?limit=` and an opaque `?cursor=`, answered as `{"items": […], "next_cursor": …}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::Page;
use utoipa::{IntoParams, ToSchema};

use super::problem::{Fault, Problem};
use super::query::from_text;

const DEFAULT_LIMIT: u32 = 100;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(default, deserialize_with = "from_text")]
    pub(crate) limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

impl Paging {
    /// The page of the store.
    pub(crate) fn page(&self) -> Result<Page, Problem> {
        let invalid = |name: &str, detail: &str| Problem::invalid(vec![Fault::parameter(name, detail)]);
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=Page::MAX).contains(&limit) {
            return Err(invalid("limit", "write a whole number from 1 to 1000"));
        }
        let page = Page::first(limit);
        match self.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
            None => Ok(page),
            Some(cursor) => decode(cursor)
                .map(|after| page.continued(after))
                .ok_or_else(|| invalid("cursor", "not a cursor that a list has given")),
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// The page, continued after its last item when it is full.
    pub(crate) fn of(items: Vec<T>, page: &Page, id: impl Fn(&T) -> String) -> Self {
        let full = items.len() >= usize::try_from(page.limit()).unwrap_or(usize::MAX);
        let next_cursor = items.last().filter(|_| full).map(|last| encode(&id(last)));
        Self { items, next_cursor }
    }
}

fn encode(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

fn decode(cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_round_trip_in_their_alphabet(id in "[ -~]{1,60}") {
            let cursor = encode(&id);
            prop_assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(decode(&cursor), Some(id));
        }

        #[test]
        fn any_text_is_answered(cursor in ".{0,60}") {
            let _ = Paging { limit: Some(3), cursor: Some(cursor) }.page();
        }
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        for limit in [0, 1001, u32::MAX] {
            assert!(
                Paging {
                    limit: Some(limit),
                    cursor: None
                }
                .page()
                .is_err()
            );
        }
    }
}
