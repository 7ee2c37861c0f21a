//! Members: which person has which role in which account.

use domain::clock::Timestamp;
use domain::ids::{AccountId, UserId};
use serde::{Deserialize, Serialize};

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// A role in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountRole {
    /// Everything in the account.
    Owner,
    /// Apps, keys and subscriptions.
    Developer,
    /// Invoices and payment.
    Billing,
    /// Reads only.
    Viewer,
}

impl AccountRole {
    /// The name in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a name.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Owner, Self::Developer, Self::Billing, Self::Viewer]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// A member of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The account.
    pub account_id: AccountId,
    /// The person.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: AccountRole,
    /// Since when.
    pub created_at: Timestamp,
}

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            account_id: row.get("account_id")?,
            user_id: row.get("user_id")?,
            email: row.get("email")?,
            name: row.get("name")?,
            role: row.word("role", AccountRole::from_word)?,
            created_at: row.get("created_at")?,
        })
    }
}

/// An account that a person is a member of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The account.
    pub account_id: AccountId,
    /// Its name.
    pub account_name: String,
    /// The person's role in it.
    pub role: AccountRole,
}

impl FromRow for Membership {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            account_id: row.get("account_id")?,
            account_name: row.get("name")?,
            role: row.word("role", AccountRole::from_word)?,
        })
    }
}

const ONE: &str = "SELECT m.account_id, m.user_id, u.email, u.name, m.role, m.created_at
    FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.account_id = $1 AND m.user_id = $2 AND ($3 IS NULL OR m.account_id = $3)";

impl Store {
    /// Members of an account, by the person's id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn members(&self, scope: Scope, account: AccountId, page: &Page) -> Result<Vec<Member>> {
        self.control
            .all(
                "SELECT m.account_id, m.user_id, u.email, u.name, m.role, m.created_at
                 FROM members m JOIN users u ON u.id = m.user_id
                 WHERE m.account_id = $1 AND ($2 IS NULL OR m.account_id = $2) AND ($3 IS NULL OR m.user_id > $3)
                 ORDER BY m.user_id LIMIT $4",
                args![account, scope.account(), page.after(), page.limit()],
            )
            .await
    }

    /// Accounts in force that a person is a member of, by the account's id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn memberships(&self, user: UserId) -> Result<Vec<Membership>> {
        self.control
            .all(
                "SELECT m.account_id, a.name, m.role FROM members m JOIN accounts a ON a.id = m.account_id
                 WHERE m.user_id = $1 AND a.deleted_at IS NULL ORDER BY m.account_id",
                args![user],
            )
            .await
    }
}

impl ControlTx {
    /// One member.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn member(&mut self, account: AccountId, user: UserId) -> Result<Option<Member>> {
        let scope = self.scope().account();
        self.one(ONE, args![account, user, scope]).await
    }

    /// Makes a person a member, or changes their role.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such account in force, [`Error::State`] when the last owner would lose
    /// that role, [`Error::Reference`] when there is no such person.
    pub async fn set_member(&mut self, account: AccountId, user: UserId, role: AccountRole) -> Result<Member> {
        self.account_in_force(account).await?;
        let before = self.member(account, user).await?;
        if role != AccountRole::Owner {
            self.keep_an_owner(before.as_ref()).await?;
        }
        let now = self.now();
        self.execute(
            "INSERT INTO members (account_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (account_id, user_id) DO UPDATE SET role = excluded.role",
            args![account, user, role.as_str(), now],
        )
        .await?;
        let after = self.member(account, user).await?.ok_or(Error::Missing("member"))?;
        let note = Note {
            kind: Kind::Member,
            id: user.to_string(),
            account: Some(account),
            before: before.as_ref(),
            after: Some(&after),
        };
        self.note("set", note)?;
        Ok(after)
    }

    /// Removes a member.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such member, [`Error::State`] for the last owner.
    pub async fn remove_member(&mut self, account: AccountId, user: UserId) -> Result<()> {
        let before = self.member(account, user).await?.ok_or(Error::Missing("member"))?;
        self.keep_an_owner(Some(&before)).await?;
        self.execute(
            "DELETE FROM members WHERE account_id = $1 AND user_id = $2",
            args![account, user],
        )
        .await?;
        let note = Note {
            kind: Kind::Member,
            id: user.to_string(),
            account: Some(account),
            before: Some(&before),
            after: None,
        };
        self.note("remove", note)
    }

    async fn keep_an_owner(&mut self, member: Option<&Member>) -> Result<()> {
        let Some(owner) = member.filter(|member| member.role == AccountRole::Owner) else {
            return Ok(());
        };
        let owners: Option<i64> = self
            .scalar(
                "SELECT COUNT(*) FROM members WHERE account_id = $1 AND role = 'owner'",
                args![owner.account_id],
            )
            .await?;
        if owners.unwrap_or(0) > 1 {
            Ok(())
        } else {
            Err(Error::State("an account keeps at least one owner".to_owned()))
        }
    }
}
