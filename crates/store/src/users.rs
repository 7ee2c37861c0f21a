//! People who sign in: staff and members of accounts. Passwords arrive hashed.
//!
//! Invariant: an e-mail address is unique regardless of upper and lower case.

use domain::clock::Timestamp;
use domain::ids::UserId;
use serde::{Deserialize, Serialize};

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Store, args};

/// A role of the provider's own people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaffRole {
    /// Everything.
    Admin,
    /// Products and plans.
    ProductManager,
    /// Invoices and revenue.
    Finance,
    /// Reads only.
    Support,
}

/// A new person.
#[derive(Clone)]
pub struct NewUser {
    /// Id that the caller made.
    pub id: UserId,
    /// E-mail address as written.
    pub email: String,
    /// Name.
    pub name: String,
    /// Argon2 hash; `None` until an invitation is accepted.
    pub password_hash: Option<String>,
    /// Staff roles; none for members of accounts.
    pub staff_roles: Vec<StaffRole>,
}

/// A person.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// E-mail address as written.
    pub email: String,
    /// Name.
    pub name: String,
    /// Argon2 hash.
    #[serde(skip)]
    pub password_hash: Option<String>,
    /// Staff roles.
    pub staff_roles: Vec<StaffRole>,
    /// When the address was shown to be theirs.
    pub verified_at: Option<Timestamp>,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When they signed in last.
    pub last_login_at: Option<Timestamp>,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("staff_roles", &self.staff_roles)
            .finish_non_exhaustive()
    }
}

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            email: row.get("email")?,
            name: row.get("name")?,
            password_hash: row.get("password_hash")?,
            staff_roles: row.json("staff_roles_json")?,
            verified_at: row.get("verified_at")?,
            disabled_at: row.get("disabled_at")?,
            last_login_at: row.get("last_login_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM users WHERE id = $1";
const BY_EMAIL: &str = "SELECT * FROM users WHERE email_key = $1";

fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

impl Store {
    /// The person of this id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.control.one(BY_ID, args![id]).await
    }

    /// The person with this address, in upper or lower case.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.control.one(BY_EMAIL, args![email_key(email)]).await
    }

    /// People with a staff role, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn staff(&self, page: &Page) -> Result<Vec<User>> {
        self.control
            .all(
                "SELECT * FROM users WHERE staff_roles_json <> '[]' AND ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2",
                args![page.after(), page.limit()],
            )
            .await
    }

    /// Notes that a person signed in at `now`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn touch_login(&self, id: UserId, now: Timestamp) -> Result<()> {
        self.control
            .execute("UPDATE users SET last_login_at = $2 WHERE id = $1", args![id, now])
            .await
            .map(drop)
    }
}

impl ControlTx {
    /// As [`Store::user`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn user(&mut self, id: UserId) -> Result<Option<User>> {
        self.one(BY_ID, args![id]).await
    }

    /// As [`Store::user_by_email`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn user_by_email(&mut self, email: &str) -> Result<Option<User>> {
        self.one(BY_EMAIL, args![email_key(email)]).await
    }

    /// Adds a person.
    ///
    /// # Errors
    /// [`Error::Conflict`] on `users(email_key)`.
    pub async fn create_user(&mut self, new: NewUser) -> Result<User> {
        let now = self.now();
        let roles = serde_json::to_string(&new.staff_roles)?;
        self.execute(
            "INSERT INTO users (id, email, email_key, name, password_hash, staff_roles_json, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
            args![
                new.id,
                new.email.trim(),
                email_key(&new.email),
                &new.name,
                new.password_hash,
                roles,
                now
            ],
        )
        .await?;
        let after = self.required_user(new.id).await?;
        self.noted("create", None, Some(&after))?;
        Ok(after)
    }

    /// Replaces the staff roles.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such person.
    pub async fn set_staff_roles(&mut self, id: UserId, roles: &[StaffRole]) -> Result<User> {
        let roles = serde_json::to_string(roles)?;
        self.change_user(
            id,
            "set_roles",
            "UPDATE users SET staff_roles_json = $3, updated_at = $2 WHERE id = $1",
            Some(roles),
        )
        .await
    }

    /// Replaces the password by another Argon2 hash and ends all sessions of the person.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such person.
    pub async fn set_password(&mut self, id: UserId, hash: &str) -> Result<User> {
        let sql = "UPDATE users SET password_hash = $3, updated_at = $2 WHERE id = $1";
        let user = self.change_user(id, "set_password", sql, Some(hash.to_owned())).await?;
        self.execute("DELETE FROM sessions WHERE user_id = $1", args![id])
            .await?;
        Ok(user)
    }

    /// Replaces the name.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such person.
    pub async fn set_user_name(&mut self, id: UserId, name: &str) -> Result<User> {
        self.change_user(
            id,
            "rename",
            "UPDATE users SET name = $3, updated_at = $2 WHERE id = $1",
            Some(name.to_owned()),
        )
        .await
    }

    /// Notes that the address was shown to be theirs.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such person.
    pub async fn verify_email(&mut self, id: UserId) -> Result<User> {
        self.change_user(
            id,
            "verify_email",
            "UPDATE users SET verified_at = COALESCE(verified_at, $2), updated_at = $2 WHERE id = $1",
            None,
        )
        .await
    }

    /// Bars a person from signing in and ends all their sessions.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such person.
    pub async fn disable_user(&mut self, id: UserId) -> Result<User> {
        let sql = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2), updated_at = $2 WHERE id = $1";
        let user = self.change_user(id, "disable", sql, None).await?;
        self.execute("DELETE FROM sessions WHERE user_id = $1", args![id])
            .await?;
        Ok(user)
    }

    async fn change_user(&mut self, id: UserId, verb: &str, sql: &'static str, value: Option<String>) -> Result<User> {
        let before = self.required_user(id).await?;
        let mut values = args![id, self.now()];
        values.extend(value.map(crate::Bind::bind));
        self.execute(sql, values).await?;
        let after = self.required_user(id).await?;
        self.noted(verb, Some(&before), Some(&after))?;
        Ok(after)
    }

    async fn required_user(&mut self, id: UserId) -> Result<User> {
        self.user(id).await?.ok_or(Error::Missing("user"))
    }

    fn noted(&mut self, verb: &str, before: Option<&User>, after: Option<&User>) -> Result<()> {
        let id = after.or(before).map(|user| user.id.to_string()).unwrap_or_default();
        self.note(
            verb,
            Note {
                kind: Kind::User,
                id,
                account: None,
                before,
                after,
            },
        )
    }
}
