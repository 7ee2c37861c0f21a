//! One pass over the accounts: deterministic, safe to cut off and to repeat.

use domain::clock::Timestamp;
use domain::ids::AccountId;
use store::billing::{BillMode, BillOrder, BillOutcome};
use store::{Actor, Store};

const ACCOUNTS_AT_ONCE: u32 = 200;

/// What a pass did.
#[derive(Debug, Default)]
pub struct Report {
    /// Accounts that were looked at.
    pub accounts: u32,
    /// Invoices that were made.
    pub invoices: u32,
    /// Credit notes that were made.
    pub credit_notes: u32,
    /// Periods that are over and still wait for usage.
    pub waiting: u32,
    /// Accounts that could not be billed.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds another part of the same pass.
    pub(crate) fn add(&mut self, part: Self) {
        self.accounts += part.accounts;
        self.invoices += part.invoices;
        self.credit_notes += part.credit_notes;
        self.waiting += part.waiting;
        self.failures.extend(part.failures);
    }
}

/// An account that could not be billed; the next pass tries it again.
#[derive(Debug)]
pub struct Failure {
    /// The account.
    pub account: AccountId,
    /// Why.
    pub error: store::Error,
}

/// What a pass bills.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) mode: BillMode,
    pub(crate) account: Option<AccountId>,
    pub(crate) finalize: bool,
    pub(crate) now: Timestamp,
}

impl Pass {
    /// Everything that is due at `now`.
    pub(crate) const fn due(now: Timestamp) -> Self {
        Self {
            mode: BillMode::Due,
            account: None,
            finalize: true,
            now,
        }
    }

    fn order(&self) -> BillOrder {
        BillOrder {
            mode: self.mode,
            finalize: self.finalize,
            now: self.now,
            actor: Actor::system("billing"),
        }
    }

    /// The accounts that this pass looks at.
    pub(crate) async fn accounts(&self, store: &Store) -> Result<Vec<AccountId>, store::Error> {
        if let Some(account) = self.account {
            return Ok(vec![account]);
        }
        let mut all = Vec::new();
        loop {
            let some = store.owing_accounts(all.last().copied(), ACCOUNTS_AT_ONCE).await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
    }

    /// Bills one account and adds what happened to the report.
    pub(crate) async fn bill(&self, store: &Store, account: AccountId, report: &mut Report) {
        report.accounts += 1;
        match self.one(store, account).await {
            Ok(outcome) => {
                let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
                report.invoices += count(outcome.invoices.len());
                report.credit_notes += count(outcome.credit_notes.len());
                report.waiting += count(outcome.waiting.len());
            }
            Err(error) => {
                tracing::error!(%account, error = &error as &dyn std::error::Error, "an account could not be billed, the next pass tries again");
                report.failures.push(Failure { account, error });
            }
        }
    }

    async fn one(&self, store: &Store, account: AccountId) -> Result<BillOutcome, store::Error> {
        match store.account_bill(account).await? {
            Some(bill) => store.bill_account(&bill, &self.order()).await,
            None => Ok(BillOutcome::default()),
        }
    }
}
