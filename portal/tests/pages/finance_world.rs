//! A deployment that sells by use, with traffic as the gateway's journal would bring it: into the ledger, then analytics.

use analytics::Batch;
use domain::clock::{Freeze, Timestamp};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Outcome, ProducerId, Source, Steps};
use serde_json::{Value, json};
use store::billing::{BillMode, BillOrder};
use store::ledger::{AnalyticsBatch, BucketKey, Claim, Ended, LedgerBatch, ProducerBatch, ProducerRow};
use store::{Actor, StaffRole};

use crate::browser::Browser;
use crate::support::{START, Server, Tenant, petstore};

/// First instant after the first period of a subscription that began at the start.
pub(crate) const SECOND: &str = "2026-07-15T10:00:00Z";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) tenant: Tenant,
    pub(crate) finance: Browser,
}

/// Where facts go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Analytics,
    LedgerAlone,
}

fn config() -> Value {
    let mut document = petstore();
    let tiers = json!([{"up_to": 5000, "unit": "0.10"}, {"unit": "0.05"}]);
    let usage = json!([{"meter": "requests", "included": 1000, "model": "graduated", "tiers": tiers}]);
    let plans = &mut document["products"][0]["plans"];
    plans[1]["title"] = json!("Pro");
    plans[1]["price"]["usage"] = usage;
    plans.as_array_mut().unwrap().push(json!({
        "name": "euro", "title": "Euro",
        "price": {"currency": "EUR", "recurring": {"amount": "20.00", "every": "month", "in": "advance"}}
    }));
    document["settings"] = json!({
        "branding": {"name": "Fernpost"},
        "legal": {"name": "Fernpost GmbH", "address": "Speicherstraße 14\n04109 Leipzig", "country": "DE",
            "tax_ids": ["DE 812 004 417"], "email": "billing@fernpost.example"}
    });
    document
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = Server::start().await;
        server.apply(config()).await.expect(200);
        let tenant = Tenant::new(&server, "acme").await;
        let change = json!({"address": "1 Main Street\n12345 Springfield", "country": "US", "tax_ids": ["US 42"]});
        let path = format!("/accounts/{}", tenant.account);
        server
            .call(&server.admin, ("PATCH", &path), Some(change))
            .await
            .expect(200);
        let finance = Browser::staff(&server, &[StaffRole::Finance]).await;
        Self {
            server,
            tenant,
            finance,
        }
    }

    /// Moves the clock; finance logs in again, because sessions end meanwhile.
    pub(crate) async fn at(&mut self, instant: &str) {
        let to: Timestamp = instant.parse().unwrap();
        self.server.clock.advance(to, Freeze::Stand).unwrap();
        self.finance = Browser::staff(&self.server, &[StaffRole::Finance]).await;
    }

    /// Bills everything that is due now.
    pub(crate) async fn bill(&self, finalize: bool) -> Vec<String> {
        let account = self.tenant.account.parse().unwrap();
        let bill = self.server.store.account_bill(account).await.unwrap().unwrap();
        let order = BillOrder {
            mode: BillMode::Due,
            finalize,
            now: self.server.clock.now(),
            actor: Actor::system("billing"),
        };
        let made = self.server.store.bill_account(&bill, &order).await.unwrap();
        made.invoices.iter().map(ToString::to_string).collect()
    }

    /// So many calls, one a second from the start on. Of each hundred five are answered 404, five 503 (not billed).
    pub(crate) async fn traffic(&self, calls: u64, reach: Reach) {
        let bill = self
            .server
            .store
            .account_bill(self.tenant.account.parse().unwrap())
            .await;
        let bill = bill.unwrap().unwrap();
        let contract = &bill.contracts[0];
        let producer = ProducerId(u128::from(calls) + 7);
        let facts: Vec<Fact> = (0..calls).map(|n| self.fact(contract, (calls, n))).collect();
        let mut ledger = LedgerBatch::default();
        for fact in &facts {
            let slot = ledger.totals.entry(key(fact)).or_default();
            *slot = (slot.0.saturating_add(Quantity::from_units(1)), slot.1 + 1);
        }
        ledger.producers.push(self.register(producer, calls).await);
        let now = self.server.clock.now();
        let commit = self.server.store.commit_usage(&ledger, now).await.unwrap().unwrap();
        if reach == Reach::LedgerAlone {
            return;
        }
        let batch = Batch {
            ledger_commit: commit,
            producer,
            first_seq: 0,
            next_seq: calls,
            facts: (0..).zip(facts).collect(),
            rejections: Vec::new(),
            samples: Vec::new(),
        };
        self.server.analytics.insert(&[batch]).await.unwrap();
        let noted = AnalyticsBatch {
            ledger_commit: commit,
            producer,
            first_seq: 0,
            next_seq: calls,
            span: None,
        };
        self.server.store.analytics_done(&[(noted, None)]).await.unwrap();
    }

    async fn register(&self, producer: ProducerId, calls: u64) -> ProducerBatch {
        let row = ProducerRow {
            id: producer,
            node: "edge-1".to_owned(),
            worker: 0,
            first_seen: START,
            next_seq: 0,
            alive_through: None,
            ended: None,
            owner_epoch: 1,
        };
        self.server.store.register_producer(&row).await.unwrap();
        ProducerBatch {
            claim: Claim {
                producer,
                next_seq: 0,
                owner_epoch: 1,
            },
            next_seq: calls,
            alive_through: None,
            opened: std::collections::BTreeMap::new(),
            closed: Vec::new(),
            gaps: Vec::new(),
            poison: Vec::new(),
            ended: Some(Ended::Orderly),
        }
    }

    fn fact(&self, contract: &domain::charge::Contract, (of, n): (u64, u64)) -> Fact {
        let status = match n % 20 {
            0 => 404,
            1 => 503,
            _ => 200,
        };
        Fact {
            request_id: format!("call-{of}-{n:06}"),
            admitted_at: START.plus_millis(i64::try_from(n).unwrap() * 1_000),
            account: Some(self.tenant.account.parse().unwrap()),
            consumer: Some(self.tenant.consumer.parse().unwrap()),
            credential: Some(self.tenant.credential.parse().unwrap()),
            subscription: Some(contract.subscription),
            plan_version: contract.stretches[0].plan_version,
            period_start: Some(START),
            segment: 0,
            product: "petstore".to_owned(),
            plan: "pro".to_owned(),
            api: "petstore".to_owned(),
            operation: "getPet".to_owned(),
            method: "GET".to_owned(),
            path: format!("/petstore/pets/{n}"),
            mode: Mode::Live,
            outcome: Outcome {
                source: Source::Upstream,
                status,
                client_aborted: false,
                upstream_answered: true,
                kind: Kind::Request,
            },
            bytes_in: 0,
            bytes_out: 512,
            latency_us: 900,
            steps: Steps::default(),
            quantities: Vec::new(),
            limits: Vec::new(),
            revision: 1,
        }
    }
}

fn key(fact: &Fact) -> BucketKey {
    let quarter = 900_000;
    BucketKey {
        subscription: fact.subscription.unwrap(),
        period_start: START,
        segment: 0,
        plan_version: fact.plan_version,
        meter: "requests".to_owned(),
        mode: Mode::Live,
        api: fact.api.clone(),
        operation: fact.operation.clone(),
        outcome: fact.outcome.class_key(),
        bucket: Timestamp::from_millis(fact.admitted_at.as_millis().div_euclid(quarter) * quarter),
    }
}
