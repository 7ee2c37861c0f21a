//! What the ledger holds of usage periods, against what documents in force have billed of them.

use std::collections::{BTreeMap, BTreeSet};

use domain::clock::Timestamp;
use domain::ids::{AccountId, SubscriptionId};
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use store::Store;
use store::billing::{BookedPart, Books};

use crate::error::Error;
use crate::look::{Range, billable_part};

/// How the bill of a usage period stands to its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It should be equal and is not: someone must look.
    Differs,
    /// Usage came late; the next invoice takes it up.
    Late,
    /// The plan prices some operations only.
    PartlyPriced,
    /// The plan has no price for requests.
    Unpriced,
    /// The period is not billed yet.
    Open,
    /// Billed is what was used.
    Equal,
}

/// A usage period with traffic in a time, in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Whose usage.
    pub subscription: SubscriptionId,
    /// Who pays, unless the subscription is unknown.
    pub account: Option<AccountId>,
    /// When it began.
    pub start: Timestamp,
    /// Requests that the ledger counted.
    pub requests: u64,
    /// Those that are billed by the policy.
    pub billable: u64,
    /// Of them, those that came too late.
    pub written_off: u64,
    /// Requests on invoices and credit notes in force.
    pub billed: u64,
    /// How they stand to each other.
    pub standing: Standing,
    /// The documents.
    pub documents: Vec<String>,
}

impl Period {
    /// Billed, without what should be.
    pub fn difference(&self) -> i64 {
        difference(self.billed, self.billable.saturating_sub(self.written_off))
    }
}

/// `this` without `that`.
pub(crate) fn difference(this: u64, that: u64) -> i64 {
    let size = i64::try_from(this.abs_diff(that)).unwrap_or(i64::MAX);
    if this >= that { size } else { -size }
}

type Key = (SubscriptionId, Timestamp);

#[derive(Default)]
struct Sum {
    requests: Quantity,
    billable: Quantity,
    written_off: Quantity,
    billed: Quantity,
    documents: Vec<String>,
}

fn sums(books: &Books) -> BTreeMap<Key, Sum> {
    let key = |part: &BookedPart| (part.subscription, part.period_start);
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for part in &books.counted {
        let sum = sums.entry(key(part)).or_default();
        sum.requests = sum.requests.saturating_add(part.quantity);
        sum.billable = sum.billable.saturating_add(billable_part(&part.outcome, part.quantity));
    }
    for part in &books.written_off {
        let sum = sums.entry(key(part)).or_default();
        sum.written_off = sum
            .written_off
            .saturating_add(billable_part(&part.outcome, part.quantity));
    }
    for part in &books.billed {
        let sum = sums.entry((part.subscription, part.period_start)).or_default();
        sum.billed = sum.billed.saturating_add(part.quantity);
        sum.documents.push(part.document.clone());
    }
    sums
}

/// Every usage period with traffic in a time, as a whole; what differs stands first. Only those of `own` where it is given.
///
/// # Errors
/// When the store cannot be read.
pub async fn periods(
    store: &Store,
    range: Range,
    own: Option<&BTreeSet<SubscriptionId>>,
) -> Result<Vec<Period>, Error> {
    let books = store.books(range.from, range.to).await?;
    let (closed, late): (BTreeSet<Key>, BTreeSet<Key>) = (
        books.closed.iter().copied().collect(),
        books.late.iter().copied().collect(),
    );
    let mut periods = Vec::new();
    for (key, sum) in sums(&books) {
        if own.is_some_and(|own| !own.contains(&key.0)) {
            continue;
        }
        let subscription = store.subscription(store::Scope::All, key.0).await?;
        let mut period = Period {
            subscription: key.0,
            account: subscription.map(|subscription| subscription.account_id),
            start: key.1,
            requests: sum.requests.ceil_units(),
            billable: sum.billable.ceil_units(),
            written_off: sum.written_off.ceil_units(),
            billed: sum.billed.ceil_units(),
            standing: Standing::Equal,
            documents: sum.documents,
        };
        let difference = period.difference();
        period.standing = if difference == 0 {
            Standing::Equal
        } else if late.contains(&key) {
            Standing::Late
        } else if !closed.contains(&key) && difference < 0 {
            Standing::Open
        } else {
            priced(store, period.account, key).await?
        };
        periods.push(period);
    }
    periods.sort_by_key(|period| (period.standing, period.start, period.subscription));
    Ok(periods)
}

/// Whether a difference comes from what the plans of the period price.
async fn priced(store: &Store, account: Option<AccountId>, (subscription, start): Key) -> Result<Standing, Error> {
    let Some(account) = account else {
        return Ok(Standing::Differs);
    };
    let bill = store.account_bill(account).await?;
    let contract = bill
        .iter()
        .flat_map(|bill| &bill.contracts)
        .find(|contract| contract.subscription == subscription);
    let Some((contract, period)) = contract.and_then(|one| Some((one, one.schedule.period_at(start).ok()?))) else {
        return Ok(Standing::Differs);
    };
    let terms = || contract.within(&period).flat_map(|stretch| &stretch.terms.usage);
    let of_requests = || terms().filter(|term| term.meter == REQUESTS && term.key.starts_with("usage/"));
    Ok(if of_requests().next().is_none() {
        Standing::Unpriced
    } else if of_requests().any(|term| !term.operations.is_empty()) {
        Standing::PartlyPriced
    } else {
        Standing::Differs
    })
}
