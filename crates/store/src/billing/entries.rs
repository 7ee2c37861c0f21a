//! The double entry ledger of money.

use domain::clock::Timestamp;
use domain::ids::{AccountId, LedgerEntryId};
use domain::money::Currency;
use domain::random;
use serde::Serialize;

use crate::{Error, FromRow, Result, Row, Scope, Store, Tx, args};

/// What an account of the ledger stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Book {
    /// What the customer owes.
    Receivable,
    /// What was earned.
    Revenue,
    /// What belongs to the tax office.
    Tax,
    /// What came in.
    Cash,
    /// What the customer has to its credit.
    Balance,
}

impl Book {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::Tax => "tax",
            Self::Cash => "cash",
            Self::Balance => "balance",
        }
    }
}

/// One movement of money: what it concerns, and its entries.
pub(super) struct Movement<'a> {
    pub(super) account: AccountId,
    pub(super) currency: Currency,
    pub(super) document: &'a str,
    pub(super) at: Timestamp,
}

/// Posts the entries that are not zero.
///
/// # Errors
/// [`Error::State`] unless they add up to zero.
pub(super) async fn post(tx: &mut Tx, movement: &Movement<'_>, entries: &[(Book, i64)]) -> Result<()> {
    let sum: i128 = entries.iter().map(|(_, amount)| i128::from(*amount)).sum();
    if sum != 0 {
        return Err(Error::State("a movement of money does not add up to zero".to_owned()));
    }
    let txn = LedgerEntryId::new(movement.at, random::bytes());
    for (n, (book, amount)) in (1_i64..).zip(entries.iter().filter(|(_, amount)| *amount != 0)) {
        tx.execute(
            "INSERT INTO ledger_entry (txn, n, account, book, amount, currency, document, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                txn,
                n,
                movement.account,
                book.as_str(),
                *amount,
                movement.currency.code(),
                movement.document,
                movement.at
            ],
        )
        .await?;
    }
    Ok(())
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The movement that it belongs to.
    pub txn: LedgerEntryId,
    /// The customer's account.
    pub account: AccountId,
    /// `receivable`, `revenue`, `tax`, `cash` or `balance`.
    pub book: String,
    /// Minor units: debits above zero, credits below.
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
    /// The invoice or credit note.
    pub document: String,
    /// When.
    pub at: Timestamp,
}

/// What an account owes and has to its credit, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The currency.
    pub currency: Currency,
    /// What open invoices still ask for, in minor units.
    pub receivable: i64,
    /// What the account has to its credit; the next invoice takes it.
    pub credit: i64,
}

impl FromRow for Entry {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            txn: row.get("txn")?,
            account: row.get("account")?,
            book: row.get("book")?,
            amount: row.get("amount")?,
            currency: row.parse("currency")?,
            document: row.get("document")?,
            at: row.get("at")?,
        })
    }
}

impl FromRow for Balance {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            currency: row.parse("currency")?,
            receivable: row.get("receivable")?,
            credit: row.get("credit")?,
        })
    }
}

const BALANCES: &str = "SELECT currency,
        CAST(SUM(CASE WHEN book = 'receivable' THEN amount ELSE 0 END) AS BIGINT) AS receivable,
        CAST(-SUM(CASE WHEN book = 'balance' THEN amount ELSE 0 END) AS BIGINT) AS credit
    FROM ledger_entry WHERE account = $1 AND ($2 IS NULL OR account = $2) GROUP BY currency ORDER BY currency";

impl Store {
    /// What an account owes and has to its credit, by currency; empty for an account outside the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn balances(&self, scope: Scope, account: AccountId) -> Result<Vec<Balance>> {
        self.ledger.all(BALANCES, args![account, scope.account()]).await
    }

    /// The entries of an account, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ledger_entries(&self, scope: Scope, account: AccountId) -> Result<Vec<Entry>> {
        let sql = "SELECT * FROM ledger_entry WHERE account = $1 AND ($2 IS NULL OR account = $2) ORDER BY txn, n";
        self.ledger.all(sql, args![account, scope.account()]).await
    }
}

/// What an account has to its credit.
pub(super) async fn credit(tx: &mut Tx, account: AccountId, currency: Currency) -> Result<i64> {
    let sql = "SELECT CAST(COALESCE(-SUM(amount), 0) AS BIGINT) FROM ledger_entry WHERE account = $1 AND book = 'balance' AND currency = $2";
    let credit: Option<i64> = tx.scalar(sql, args![account, currency.code()]).await?;
    Ok(credit.unwrap_or(0).max(0))
}
