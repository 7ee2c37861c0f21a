//! Accounts: the organisations that pay. A deleted account keeps its row, because documents point to it.

use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::subscription::Origin;
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// What an account is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountFields {
    /// Name; unique among those from files.
    pub name: String,
    /// Where invoices go.
    pub email: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// IANA zone of its periods.
    pub timezone: String,
    /// ISO 3166 alpha-2 code.
    pub country: Option<String>,
    /// Postal address, lines separated by line ends.
    pub address: Option<String>,
    /// Tax numbers.
    pub tax_ids: Vec<String>,
    /// Who owns the account's fields.
    pub origin: Origin,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it is made of.
    #[serde(flatten)]
    pub fields: AccountFields,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl FromRow for Account {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            fields: AccountFields {
                name: row.get("name")?,
                email: row.get("email")?,
                currency: row.get("currency")?,
                timezone: row.get("timezone")?,
                country: row.get("country")?,
                address: row.get("address")?,
                tax_ids: row.json("tax_ids_json")?,
                origin: row.word("origin", Origin::from_word)?,
            },
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM accounts WHERE id = $1 AND ($2 IS NULL OR id = $2)";
const FROM_FILES: &str = "SELECT * FROM accounts WHERE name = $1 AND origin = 'file' AND deleted_at IS NULL";
const CALLED: &str = "SELECT * FROM accounts WHERE name = $1 AND deleted_at IS NULL
    ORDER BY CASE origin WHEN 'file' THEN 0 WHEN 'api' THEN 1 ELSE 2 END, id LIMIT 1";
const LIST: &str =
    "SELECT * FROM accounts WHERE ($1 IS NULL OR id = $1) AND deleted_at IS NULL AND ($2 IS NULL OR id > $2)
    ORDER BY id LIMIT $3";

const FOUND: &str = "SELECT * FROM accounts WHERE deleted_at IS NULL AND ($1 IS NULL OR LOWER(name) LIKE $1 ESCAPE '!')
    ORDER BY LOWER(name), id LIMIT $2 OFFSET $3";
const FOUND_COUNT: &str =
    "SELECT COUNT(*) FROM accounts WHERE deleted_at IS NULL AND ($1 IS NULL OR LOWER(name) LIKE $1 ESCAPE '!')";

/// A pattern of LIKE for texts that hold these words, whatever their case.
fn holding(words: Option<&str>) -> Option<String> {
    let words = words.map(str::trim).filter(|words| !words.is_empty())?;
    let plain = words
        .to_lowercase()
        .replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_");
    Some(format!("%{plain}%"))
}

impl Store {
    /// Accounts in force whose name holds some words, by name: `limit` of them after `skip`, and how many there are.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_accounts(&self, words: Option<&str>, (skip, limit): (u32, u32)) -> Result<(Vec<Account>, u64)> {
        let pattern = holding(words);
        let found = self.control.all(FOUND, args![pattern.clone(), limit, skip]).await?;
        let count: Option<i64> = self.control.scalar(FOUND_COUNT, args![pattern]).await?;
        Ok((found, u64::try_from(count.unwrap_or(0)).unwrap_or(0)))
    }

    /// The account of this id, deleted or not, when the scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn account(&self, scope: Scope, id: AccountId) -> Result<Option<Account>> {
        self.control.one(BY_ID, args![id, scope.account()]).await
    }

    /// The account in force that the provider means by this name: his own, before one that signed up under it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn account_called(&self, name: &str) -> Result<Option<Account>> {
        self.control.one(CALLED, args![name]).await
    }

    /// Accounts in force, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn accounts(&self, scope: Scope, page: &Page) -> Result<Vec<Account>> {
        self.control
            .all(LIST, args![scope.account(), page.after(), page.limit()])
            .await
    }
}

impl ControlTx {
    /// The account of this id, deleted or not, when this transaction's scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn account(&mut self, id: AccountId) -> Result<Option<Account>> {
        let scope = self.scope().account();
        self.one(BY_ID, args![id, scope]).await
    }

    /// The account in force that files call by this name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn file_account(&mut self, name: &str) -> Result<Option<Account>> {
        self.one(FROM_FILES, args![name]).await
    }

    /// As [`Store::account_called`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn account_called(&mut self, name: &str) -> Result<Option<Account>> {
        self.one(CALLED, args![name]).await
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`Error::Conflict`] on `accounts(name)` among accounts from files.
    pub async fn create_account(&mut self, id: AccountId, fields: &AccountFields) -> Result<Account> {
        let now = self.now();
        self.execute(
            "INSERT INTO accounts (id, name, email, currency, timezone, country, address, tax_ids_json, origin, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
            args![
                id, &fields.name, fields.email.as_deref(), &fields.currency, &fields.timezone, fields.country.as_deref(),
                fields.address.as_deref(), serde_json::to_string(&fields.tax_ids)?, fields.origin.as_str(), now
            ],
        )
        .await?;
        let account = Account {
            id,
            fields: fields.clone(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let note = Note {
            kind: Kind::Account,
            id: id.to_string(),
            account: Some(id),
            before: None,
            after: Some(&account),
        };
        self.note("create", note)?;
        Ok(account)
    }

    /// Replaces the fields of an account in force; equal ones change nothing. Returns the account as it is then.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such account in force; [`Error::Conflict`] as for a new one.
    pub async fn update_account(&mut self, id: AccountId, fields: &AccountFields) -> Result<Account> {
        let before = self.account_in_force(id).await?;
        if before.fields == *fields {
            return Ok(before);
        }
        let now = self.now();
        self.execute(
            "UPDATE accounts SET name = $2, email = $3, currency = $4, timezone = $5, country = $6, address = $7,
                tax_ids_json = $8, origin = $9, updated_at = $10 WHERE id = $1",
            args![
                id,
                &fields.name,
                fields.email.as_deref(),
                &fields.currency,
                &fields.timezone,
                fields.country.as_deref(),
                fields.address.as_deref(),
                serde_json::to_string(&fields.tax_ids)?,
                fields.origin.as_str(),
                now
            ],
        )
        .await?;
        let after = Account {
            fields: fields.clone(),
            updated_at: now,
            ..before.clone()
        };
        let note = Note {
            kind: Kind::Account,
            id: id.to_string(),
            account: Some(id),
            before: Some(&before),
            after: Some(&after),
        };
        self.note("update", note)?;
        Ok(after)
    }

    /// Deletes an account that has no consumers any more; its row stays for the documents that point to it.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such account in force, [`Error::State`] while it has consumers.
    pub async fn delete_account(&mut self, id: AccountId) -> Result<()> {
        let before = self.account_in_force(id).await?;
        let consumers: Option<i64> = self
            .scalar(
                "SELECT COUNT(*) FROM consumers WHERE account_id = $1 AND deleted_at IS NULL",
                args![id],
            )
            .await?;
        if consumers.unwrap_or(0) > 0 {
            return Err(Error::State(
                "the account still has consumers: delete them first".to_owned(),
            ));
        }
        let now = self.now();
        self.execute(
            "UPDATE accounts SET deleted_at = $2, updated_at = $2 WHERE id = $1",
            args![id, now],
        )
        .await?;
        self.execute(
            "UPDATE tokens SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
            args![id, now],
        )
        .await?;
        let note = Note {
            kind: Kind::Account,
            id: id.to_string(),
            account: Some(id),
            before: Some(&before),
            after: None,
        };
        self.note("delete", note)
    }

    pub(crate) async fn account_in_force(&mut self, id: AccountId) -> Result<Account> {
        self.account(id)
            .await?
            .filter(|account| account.deleted_at.is_none())
            .ok_or(Error::Missing("account"))
    }
}
