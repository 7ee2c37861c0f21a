//! What must hold before a configuration is compared and written: names, references, and nothing that is not built.
//!
//! The places of faults point into the document as it was sent. References may lead to what is stored already.

use std::collections::BTreeSet;

use domain::config::{Aggregate, Api, AuthMethod, Consumer, Document, Meter, MeterSource, Plan, Product};
use domain::limit::{REQUESTS, Rule};

use super::thing::WITHIN;
use crate::http::problem::Fault;

const MAX_FAULTS: usize = 100;

/// What is wrong with `sent`, where `whole` is what would be in force after it.
pub(crate) fn check(sent: &Document, whole: &Document) -> Vec<Fault> {
    let mut faults = Faults {
        found: Vec::new(),
        whole: Known::of(whole),
    };
    faults.not_built(sent);
    for (index, meter) in sent.meters.iter().enumerate() {
        faults.meter(&format!("/meters/{index}"), meter);
    }
    for (index, api) in sent.apis.iter().enumerate() {
        faults.api(&format!("/apis/{index}"), api);
    }
    for (index, product) in sent.products.iter().enumerate() {
        faults.product(&format!("/products/{index}"), product);
    }
    for (index, account) in sent.accounts.iter().enumerate() {
        faults.account(&format!("/accounts/{index}"), account);
    }
    for (index, consumer) in sent.consumers.iter().enumerate() {
        faults.consumer(&format!("/consumers/{index}"), consumer);
    }
    if faults.found.is_empty() {
        faults.left_behind(sent, whole);
    }
    faults.found.truncate(MAX_FAULTS);
    faults.found
}

struct Known {
    apis: BTreeSet<String>,
    meters: BTreeSet<String>,
    products: BTreeSet<String>,
    plans: BTreeSet<(String, String)>,
    accounts: BTreeSet<String>,
}

impl Known {
    fn of(whole: &Document) -> Self {
        let plans = whole.products.iter().flat_map(|product| {
            product
                .plans
                .iter()
                .map(|plan| (product.name.clone(), plan.name.clone()))
        });
        Self {
            apis: whole.apis.iter().map(|api| api.name.clone()).collect(),
            meters: whole
                .meters
                .iter()
                .map(|meter| meter.name.clone())
                .chain([REQUESTS.to_owned()])
                .collect(),
            products: whole.products.iter().map(|product| product.name.clone()).collect(),
            plans: plans.collect(),
            accounts: whole.accounts.iter().map(|account| account.name.clone()).collect(),
        }
    }
}

struct Faults {
    found: Vec<Fault>,
    whole: Known,
}

impl Faults {
    fn add(&mut self, pointer: String, detail: impl Into<String>) {
        self.found.push(Fault::at(pointer, detail));
    }

    fn not_built(&mut self, sent: &Document) {
        let lists = [
            ("/billable_policies", sent.billable_policies.len()),
            ("/coupons", sent.coupons.len()),
            ("/tax_rates", sent.tax_rates.len()),
            ("/partners", sent.partners.len()),
            ("/settings/identity_providers", sent.settings.identity_providers.len()),
        ];
        for (pointer, _) in lists.into_iter().filter(|(_, length)| *length > 0) {
            self.add(pointer.to_owned(), "not supported yet: remove it");
        }
    }

    /// Names of objects stand in addresses, keys of counters and headers.
    fn name(&mut self, at: &str, name: &str) {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
        let starts = name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
        if !starts || name.len() > 63 || !name.bytes().all(fits) {
            let text = "write 1 to 63 small letters, digits, `-`, `_` or `.`, beginning with a letter or digit";
            self.add(format!("{at}/name"), text);
        }
    }

    fn meter(&mut self, at: &str, meter: &Meter) {
        self.name(at, &meter.name);
        if matches!(meter.aggregate, Aggregate::Max | Aggregate::Unique | Aggregate::Last) {
            self.add(format!("{at}/aggregate"), "not supported yet: write count or sum");
        }
        if meter.source == MeterSource::Events {
            self.add(format!("{at}/source"), "not supported yet: write requests");
        }
        if !meter.group_by.is_empty() {
            self.add(format!("{at}/group_by"), "not supported yet: remove it");
        }
        if meter.event_type.is_some() {
            self.add(format!("{at}/type"), "not supported yet: remove it");
        }
        if (meter.aggregate == Aggregate::Sum) != meter.value.is_some() {
            self.add(format!("{at}/value"), "a sum needs a value, and a count has none");
        }
    }

    fn api(&mut self, at: &str, api: &Api) {
        self.name(at, &api.name);
        if api.upstream.targets.is_empty() {
            self.add(format!("{at}/upstream/targets"), "name at least one target");
        }
        let targets = [("targets", &api.upstream.targets), ("sandbox", &api.upstream.sandbox)];
        for (list, targets) in targets {
            for (index, target) in targets
                .iter()
                .enumerate()
                .filter(|(_, target)| !is_address(&target.url))
            {
                self.add(
                    format!("{at}/upstream/{list}/{index}/url"),
                    format!("`{}` is not an http:// or https:// address", target.url),
                );
            }
        }
        for (index, method) in api
            .auth
            .iter()
            .enumerate()
            .filter(|(_, method)| **method != AuthMethod::ApiKey)
        {
            self.add(
                format!("{at}/auth/{index}"),
                format!("not supported yet: {method:?}; write api_key"),
            );
        }
        if !api.policies.is_empty() {
            self.add(format!("{at}/policies"), "not supported yet: remove them");
        }
        for (key, _) in api
            .operations
            .iter()
            .filter(|(_, operation)| !operation.policies.is_empty())
        {
            self.add(
                format!("{at}/operations/{}", crate::http::body::escape(key)),
                "not supported yet: remove the policies",
            );
        }
        if api.openapi.as_ref().is_some_and(|document| !document.is_object()) {
            self.add(
                format!("{at}/openapi"),
                "write the document inline: files are read by the command that applies",
            );
        }
        if let Some(anonymous) = &api.anonymous {
            self.plan_reference(&format!("{at}/anonymous"), &anonymous.product, &anonymous.plan);
        }
    }

    fn plan_reference(&mut self, at: &str, product: &str, plan: &str) {
        if !self.whole.products.contains(product) {
            self.add(format!("{at}/product"), format!("no product is called `{product}`"));
        } else if !self.whole.plans.contains(&(product.to_owned(), plan.to_owned())) {
            self.add(
                format!("{at}/plan"),
                format!("the product `{product}` has no plan `{plan}`"),
            );
        }
    }

    fn product(&mut self, at: &str, product: &Product) {
        self.name(at, &product.name);
        for (index, api) in product
            .apis
            .iter()
            .enumerate()
            .filter(|(_, api)| !self.whole.apis.contains(*api))
            .collect::<Vec<_>>()
        {
            self.add(format!("{at}/apis/{index}"), format!("no API is called `{api}`"));
        }
        for (index, plan) in product.plans.iter().enumerate() {
            self.plan(&format!("{at}/plans/{index}"), plan);
        }
    }

    fn plan(&mut self, at: &str, plan: &Plan) {
        self.name(at, &plan.name);
        if plan.trial.is_some() {
            self.add(format!("{at}/trial"), "not supported yet: remove it");
        }
        if !plan.addons.is_empty() {
            self.add(format!("{at}/addons"), "not supported yet: remove them");
        }
        if let Some(price) = &plan.price {
            self.price(&format!("{at}/price"), price);
        }
        for (index, price) in plan.prices.iter().enumerate() {
            self.price(&format!("{at}/prices/{index}"), price);
        }
        self.limits(at, plan);
    }

    fn price(&mut self, at: &str, price: &domain::price::Price) {
        for fault in domain::price::validate(price) {
            if fault.severity == domain::price::Severity::Error {
                self.add(
                    format!("{at}{}", fault.pointer),
                    format!("{}: {}", fault.reason, fault.remedy),
                );
            }
        }
        for (index, usage) in price.usage.iter().enumerate() {
            if !self.whole.meters.contains(&usage.meter) {
                self.add(
                    format!("{at}/usage/{index}/meter"),
                    format!("no meter is called `{}`", usage.meter),
                );
            }
        }
    }

    fn limits(&mut self, at: &str, plan: &Plan) {
        let included = |meter: &str| {
            let price = plan.price.as_ref()?;
            price.usage.iter().find(|usage| usage.meter == meter)?.included
        };
        let mut keys = BTreeSet::new();
        for (index, entry) in plan.limits.iter().enumerate() {
            let at = format!("{at}/limits/{index}");
            let limit = match entry.understand() {
                Ok(limit) => limit,
                Err(fault) => {
                    let slash = if fault.field.is_empty() { "" } else { "/" };
                    self.add(
                        format!("{at}{slash}{}", fault.field),
                        format!("{}: {}", fault.reason, fault.remedy),
                    );
                    continue;
                }
            };
            if let Rule::Quota(quota) = &limit.rule {
                if !self.whole.meters.contains(&quota.meter) {
                    self.add(format!("{at}/meter"), format!("no meter is called `{}`", quota.meter));
                } else if quota.max.or_else(|| included(&quota.meter)).is_none() {
                    self.add(
                        format!("{at}/max"),
                        "the quota has no maximum and the price includes none: write max",
                    );
                }
            }
            if !keys.insert(limit.key) {
                self.add(at, "another limit of the plan counts the same: write one of them");
            }
        }
    }

    fn account(&mut self, at: &str, account: &domain::config::Account) {
        crate::api::answer::check_name(&mut self.found, &format!("{at}/name"), &account.name);
        if account
            .currency
            .as_ref()
            .is_some_and(|code| code.parse::<domain::money::Currency>().is_err())
        {
            self.add(
                format!("{at}/currency"),
                "write a currency code of ISO 4217 such as USD",
            );
        }
        if account
            .timezone
            .as_ref()
            .is_some_and(|zone| zone.parse::<domain::period::Zone>().is_err())
        {
            self.add(
                format!("{at}/timezone"),
                "write a zone of the IANA database such as Europe/Berlin",
            );
        }
    }

    fn consumer(&mut self, at: &str, consumer: &Consumer) {
        crate::api::answer::check_name(&mut self.found, &format!("{at}/name"), &consumer.name);
        if !self.whole.accounts.contains(&consumer.account) {
            self.add(
                format!("{at}/account"),
                format!("no account is called `{}`", consumer.account),
            );
        }
        for (index, subscription) in consumer.subscriptions.iter().enumerate() {
            let at = format!("{at}/subscriptions/{index}");
            self.plan_reference(&at, &subscription.product, &subscription.plan);
            let anchor = subscription
                .anchor
                .as_deref()
                .map(str::parse::<domain::period::AnchorChoice>);
            if let Some(Err(error)) = anchor {
                self.add(format!("{at}/anchor"), error.to_string());
            }
        }
        for (index, credential) in consumer.credentials.iter().enumerate() {
            if credential.kind != AuthMethod::ApiKey {
                self.add(
                    format!("{at}/credentials/{index}/type"),
                    "not supported yet: write api_key",
                );
            }
            for (place, product) in credential.products.iter().enumerate() {
                if !self.whole.products.contains(product) {
                    self.add(
                        format!("{at}/credentials/{index}/products/{place}"),
                        format!("no product is called `{product}`"),
                    );
                }
            }
        }
    }

    /// What stays but loses what it refers to.
    fn left_behind(&mut self, sent: &Document, whole: &Document) {
        let is_sent = |name: &str| sent.products.iter().any(|product| product.name == name);
        for product in whole.products.iter().filter(|product| !is_sent(&product.name)) {
            let before = self.found.len();
            self.product("", product);
            for fault in self.found.drain(before..).collect::<Vec<_>>() {
                self.found.push(Fault::at(
                    "",
                    format!("the product `{}`, which stays: {}", product.name, fault.detail),
                ));
            }
        }
        let is_sent = |name: &str| sent.apis.iter().any(|api| api.name == name);
        for api in whole.apis.iter().filter(|api| !is_sent(&api.name)) {
            let before = self.found.len();
            self.api("", api);
            for fault in self.found.drain(before..).collect::<Vec<_>>() {
                self.found.push(Fault::at(
                    "",
                    format!("the API `{}`, which stays: {}", api.name, fault.detail),
                ));
            }
        }
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !host.contains(['@', '?', '#', ' ', WITHIN])
    })
}
