//! Whose rows a caller sees, and pages of a list, continued after the last id that the caller has seen.

use domain::ids::AccountId;

/// Whose rows a caller may see and change. Every statement that serves a caller has it in its WHERE: the rows of another
/// account do not exist for him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Staff and jobs of the platform.
    #[default]
    All,
    /// Members and tokens of one account.
    Account(AccountId),
}

impl Scope {
    /// The account that bounds the caller.
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::All => None,
            Self::Account(id) => Some(id),
        }
    }
}

/// How many rows to return at most, and after which one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    after: Option<String>,
}

impl Page {
    /// Most rows of one page.
    pub const MAX: u32 = 1000;

    /// The first page of `limit` rows, held within 1 and [`Page::MAX`].
    pub fn first(limit: u32) -> Self {
        Self {
            limit: limit.clamp(1, Self::MAX),
            after: None,
        }
    }

    /// The first page for jobs of the platform that read everything: 10,000 rows.
    pub fn bulk() -> Self {
        Self {
            limit: 10_000,
            after: None,
        }
    }

    /// The page after the row of this id.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids are copied, texts are borrowed")]
    pub fn continued(mut self, after: impl ToString) -> Self {
        self.after = Some(after.to_string());
        self
    }

    /// Rows of the page at most.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Id of the row before the page.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(100)
    }
}
