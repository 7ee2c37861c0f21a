//! Pages of a long list: what is shown of how much, and where to go on.

use crate::pages::web::{Asked, show};

/// The line below a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pager {
    /// `1 to 50 of 1,284`.
    pub(crate) text: String,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
}

impl Pager {
    /// Of page `number` (from 1) of a list of `total`, `size` a page.
    pub(crate) fn new(path: &str, asked: &Asked, total: u64, size: u32) -> Self {
        let number = asked.page_number();
        let first = u64::from(number - 1).saturating_mul(u64::from(size));
        let last = first.saturating_add(u64::from(size)).min(total);
        let to = |page: u32| {
            let page = if page <= 1 { String::new() } else { page.to_string() };
            link(path, &asked.with("page", &page))
        };
        let text = if total == 0 || first >= total {
            format!("0 of {}", show::number(total))
        } else {
            format!(
                "{} to {} of {}",
                show::number(first.saturating_add(1)),
                show::number(last),
                show::number(total)
            )
        };
        Self {
            text,
            previous: (number > 1).then(|| to(number - 1)),
            next: (last < total && first < total).then(|| to(number + 1)),
        }
    }
}

/// A path with the query that [`Asked::with`] made.
pub(crate) fn link(path: &str, query: &str) -> String {
    match query {
        "?" => path.to_owned(),
        query => format!("{path}{query}"),
    }
}
