//! A small deployment on a store of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use billing::{Freshness, Handle, Parts, Report};
use domain::clock::{Clock, Timestamp};
use domain::ids::{AccountId, ConsumerId, InvoiceId, PlanId, PlanVersionId, ProductId, SubscriptionId};
use domain::invoice::InvoiceView;
use domain::key::Mode;
use domain::period::Zone;
use domain::quantity::Quantity;
use domain::subscription::{Origin, SubscriptionStatus};
use serde_json::{Value as Json, json};
use store::billing::{BillMode, BillOrder, InvoiceFilter};
use store::ledger::{BucketKey, LedgerBatch};
use store::{
    AccountFields, Actor, Location, NewConsumer, NewSubscription, ObjectFields, ObjectKind, Page, PendingChange, Scope,
    Store,
};

static NEXT: AtomicU64 = AtomicU64::new(1_000);

fn next() -> u128 {
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An instant.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A deployment.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) handle: Handle,
    #[expect(dead_code, reason = "holds the folder until the test ends")]
    directory: Option<tempfile::TempDir>,
}

/// A published plan.
#[derive(Clone, Copy)]
pub(crate) struct Published {
    pub(crate) plan: PlanId,
    pub(crate) version: PlanVersionId,
    product: ProductId,
}

/// A subscription with its account.
#[derive(Clone, Copy)]
pub(crate) struct Customer {
    pub(crate) account: AccountId,
    pub(crate) subscription: SubscriptionId,
}

/// Some usage.
#[derive(Clone)]
pub(crate) struct Used<'a> {
    pub(crate) meter: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) quantity: Quantity,
}

/// So many answered requests.
pub(crate) fn calls(n: u64) -> Used<'static> {
    Used {
        meter: "requests",
        outcome: "upstream/2xx",
        quantity: Quantity::from_units(n),
    }
}

pub(crate) fn order(now: Timestamp) -> BillOrder {
    BillOrder {
        mode: BillMode::Due,
        finalize: true,
        now,
        actor: Actor::system("test"),
    }
}

impl World {
    /// On SQLite, in a directory that goes with it.
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Directory(directory.path().join("data")))
            .await
            .unwrap();
        store.migrate(at("2020-01-01T00:00:00Z")).await.unwrap();
        let mut world = Self::on(store).await;
        world.directory = Some(directory);
        world
    }

    /// On a store that is migrated.
    pub(crate) async fn on(store: Store) -> Self {
        store.ensure_instance("test", at("2020-01-01T00:00:00Z")).await.unwrap();
        let handle = Handle::new(Parts {
            store: store.clone(),
            clock: Clock::frozen(at("2020-01-01T00:00:00Z")),
            freshness: Freshness::none(),
            reconciliation: billing::Reconciliation::none(),
            changed: Box::new(|| {}),
        });
        Self {
            store,
            handle,
            directory: None,
        }
    }

    pub(crate) async fn settings(&self, billing: Json) {
        let mut tx = self
            .store
            .change(Actor::system("test"), at("2020-01-01T00:00:00Z"))
            .await
            .unwrap();
        tx.set_settings(&json!({ "billing": billing, "legal": { "name": "Seller Ltd" } }))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// A plan with this price and these limits.
    pub(crate) async fn plan(&self, price: Json, limits: Json) -> Published {
        let (product, plan, version) = (
            ProductId::from_bits(next()),
            PlanId::from_bits(next()),
            PlanVersionId::from_bits(next()),
        );
        let mut tx = self
            .store
            .change(Actor::system("test"), at("2020-01-01T00:00:00Z"))
            .await
            .unwrap();
        let body = json!({ "name": "pro", "title": "Pro", "price": price, "limits": limits });
        let object = |kind, parent: &str, name: String| ObjectFields {
            kind,
            parent: parent.to_owned(),
            name,
            position: 0,
            body: body.clone(),
            document: None,
            origin: Origin::Api,
        };
        let name = product.to_string();
        tx.create_object(&name, &object(ObjectKind::Product, "", name.clone()))
            .await
            .unwrap();
        tx.create_object(&plan.to_string(), &object(ObjectKind::Plan, &name, "pro".to_owned()))
            .await
            .unwrap();
        tx.publish_plan_version(version, plan, &body).await.unwrap();
        tx.commit().await.unwrap();
        Published { plan, version, product }
    }

    /// A new account with one subscription that is anchored at its activation.
    pub(crate) async fn subscribe(&self, plan: Published, currency: &str, zone: &str, start: &str) -> Customer {
        let local = zone.parse::<Zone>().unwrap().local(at(start)).to_string();
        self.subscribe_anchored(plan, (currency, zone), (&local, start)).await
    }

    /// A new account with one subscription: (currency, zone), (anchor, activation).
    pub(crate) async fn subscribe_anchored(
        &self,
        plan: Published,
        (currency, zone): (&str, &str),
        (local, start): (&str, &str),
    ) -> Customer {
        let account = AccountId::from_bits(next());
        let mut tx = self.store.change(Actor::system("test"), at(start)).await.unwrap();
        let fields = AccountFields {
            name: "Acme".to_owned(),
            email: None,
            currency: currency.to_owned(),
            timezone: zone.to_owned(),
            country: None,
            address: Some("1 Main Street\nSpringfield".to_owned()),
            tax_ids: vec!["DE123".to_owned()],
            origin: Origin::Api,
        };
        tx.create_account(account, &fields).await.unwrap();
        tx.commit().await.unwrap();
        self.subscribe_account(account, plan, (zone, local, start)).await
    }

    /// One more subscription of an account: (zone, anchor, activation).
    pub(crate) async fn subscribe_account(
        &self,
        account: AccountId,
        plan: Published,
        (zone, local, start): (&str, &str, &str),
    ) -> Customer {
        let (consumer, subscription) = (ConsumerId::from_bits(next()), SubscriptionId::from_bits(next()));
        let mut tx = self.store.change(Actor::system("test"), at(start)).await.unwrap();
        let new = NewConsumer {
            id: consumer,
            account_id: account,
            name: "app".to_owned(),
            origin: Origin::Api,
        };
        tx.create_consumer(&new).await.unwrap();
        let new = NewSubscription {
            id: subscription,
            consumer_id: consumer,
            product_id: plan.product,
            plan_id: plan.plan,
            plan_version_id: plan.version,
            status: SubscriptionStatus::PendingApproval,
            zone: zone.to_owned(),
            every: "month".to_owned(),
            origin: Origin::Api,
        };
        tx.create_subscription(&new).await.unwrap();
        tx.activate_subscription(subscription, SubscriptionStatus::Active, local, at(start))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Customer { account, subscription }
    }

    pub(crate) async fn change(&self, customer: Customer, to: Published, when: &str) {
        let mut tx = self.store.change(Actor::system("test"), at(when)).await.unwrap();
        let change = PendingChange {
            plan_id: to.plan,
            plan_version_id: to.version,
            at: at(when),
        };
        tx.change_plan(customer.subscription, change).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn cancel(&self, customer: Customer, reason: &str, when: &str) {
        let mut tx = self.store.change(Actor::system("test"), at(when)).await.unwrap();
        tx.end_subscription(
            customer.subscription,
            SubscriptionStatus::Cancelled,
            Some(reason),
            at(when),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Counts usage that was admitted at an instant, stamped as the gateway stamps it.
    pub(crate) async fn uses(&self, customer: Customer, when: &str, used: &[Used<'_>]) {
        self.store
            .commit_usage(&self.batch(customer, when, used).await, at(when))
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) async fn batch(&self, customer: Customer, when: &str, used: &[Used<'_>]) -> LedgerBatch {
        let bill = self.store.account_bill(customer.account).await.unwrap().unwrap();
        let contract = bill
            .contracts
            .iter()
            .find(|contract| contract.subscription == customer.subscription)
            .unwrap();
        let stretch = contract
            .stretches
            .iter()
            .rev()
            .find(|stretch| stretch.from <= at(when))
            .unwrap();
        let mut batch = LedgerBatch::default();
        for part in used {
            let key = BucketKey {
                subscription: customer.subscription,
                period_start: contract.schedule.period_at(at(when)).unwrap().start,
                segment: stretch.n - 1,
                plan_version: stretch.plan_version,
                meter: part.meter.to_owned(),
                mode: Mode::Live,
                api: "petstore".to_owned(),
                operation: "getPet".to_owned(),
                outcome: part.outcome.to_owned(),
                bucket: Timestamp::from_millis(at(when).as_millis().div_euclid(900_000) * 900_000),
            };
            batch.totals.insert(key, (part.quantity, part.quantity.ceil_units()));
        }
        batch
    }

    /// One pass; every account must be billable.
    pub(crate) async fn run(&self, now: &str) -> Report {
        let report = self.handle.run_due(at(now)).await.unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        report
    }

    pub(crate) async fn interim(&self, customer: Customer, now: &str) {
        let bill = self.store.account_bill(customer.account).await.unwrap().unwrap();
        let order = BillOrder {
            mode: BillMode::Interim,
            ..order(at(now))
        };
        self.store.bill_account(&bill, &order).await.unwrap();
    }

    /// All invoices of an account, oldest first.
    pub(crate) async fn invoices(&self, customer: Customer) -> Vec<InvoiceView> {
        let filter = InvoiceFilter {
            account: Some(customer.account),
            status: None,
        };
        let page = Page::first(Page::MAX);
        let mut found = self.store.invoices(Scope::All, filter, &page).await.unwrap();
        found.reverse();
        let mut views = Vec::new();
        for summary in found {
            views.push(self.invoice(summary.id).await);
        }
        views
    }

    pub(crate) async fn invoice(&self, id: InvoiceId) -> InvoiceView {
        self.store
            .invoice(Scope::All, id, at("2020-01-01T00:00:00Z"))
            .await
            .unwrap()
            .unwrap()
    }

    /// The amounts of all lines of all invoices, in order.
    pub(crate) async fn amounts(&self, customer: Customer) -> Vec<i64> {
        let invoices = self.invoices(customer).await;
        invoices
            .iter()
            .flat_map(|invoice| &invoice.lines)
            .map(|line| line.amount)
            .collect()
    }

    /// What all documents in force add up to.
    pub(crate) async fn charged(&self, customer: Customer) -> i64 {
        let invoices = self.invoices(customer).await;
        let live = invoices
            .iter()
            .filter(|invoice| invoice.status != domain::invoice::InvoiceStatus::Void);
        live.map(|invoice| invoice.total - invoice.credited).sum()
    }

    /// Every movement of the account's money adds up to zero, and what is open stands in the books.
    pub(crate) async fn books_balance(&self, customer: Customer) {
        let entries = self.store.ledger_entries(Scope::All, customer.account).await.unwrap();
        let mut sums = std::collections::BTreeMap::new();
        for entry in &entries {
            *sums.entry(entry.txn).or_insert(0_i64) += entry.amount;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{entries:?}");
        let due: i64 = self
            .invoices(customer)
            .await
            .iter()
            .filter(|invoice| invoice.number.is_some())
            .map(|invoice| invoice.amount_due)
            .sum();
        let balances = self.store.balances(Scope::All, customer.account).await.unwrap();
        assert_eq!(
            balances.iter().map(|balance| balance.receivable).sum::<i64>(),
            due,
            "{entries:?}"
        );
    }
}
