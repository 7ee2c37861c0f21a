//! The names that a document may refer to.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, shown};
use super::{Around, References};
use crate::config::{Api, Document, Product};
use crate::limit::REQUESTS;

/// What the key of a reference may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Api,
    Meter,
    Account,
    Product,
}

impl Named {
    const fn phrase(self) -> &'static str {
        match self {
            Self::Api => "no API is called",
            Self::Meter => "no meter is called",
            Self::Account => "no account is called",
            Self::Product => "no product is called",
        }
    }
}

/// The names that a document may refer to.
pub(super) struct Known<'a> {
    pub(super) around: Around<'a>,
    pub(super) whole: &'a Document,
    apis: BTreeSet<&'a str>,
    meters: BTreeSet<&'a str>,
    accounts: BTreeSet<&'a str>,
    products: BTreeMap<&'a str, &'a Product>,
    operations: BTreeMap<&'a str, Operations<'a>>,
}

/// The operations of one API. Reading a large description takes a while, so it is read when somebody asks.
struct Operations<'a> {
    api: &'a Api,
    keys: OnceCell<Option<Vec<String>>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(document: &'a Document, around: &Around<'a>) -> Self {
        let whole = match around.references {
            References::Whole(whole) => whole,
            References::Within | References::Unchecked => document,
        };
        Self {
            around: *around,
            whole,
            apis: whole.apis.iter().map(|api| api.name.as_str()).collect(),
            meters: whole
                .meters
                .iter()
                .map(|meter| meter.name.as_str())
                .chain([REQUESTS])
                .collect(),
            accounts: whole.accounts.iter().map(|account| account.name.as_str()).collect(),
            products: whole
                .products
                .iter()
                .map(|product| (product.name.as_str(), product))
                .collect(),
            operations: whole
                .apis
                .iter()
                .map(|api| {
                    let keys = OnceCell::new();
                    (api.name.as_str(), Operations { api, keys })
                })
                .collect(),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.around.references, References::Unchecked)
    }

    /// Whether there is nothing but the document: elsewhere a server may hold the secrets that it leaves out.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self.around.references, References::Within)
    }

    /// Reports a name that leads nowhere.
    pub(super) fn refer(&self, pointer: &str, named: Named, name: &str, findings: &mut Findings) {
        let known: Vec<&str> = match named {
            Named::Api => self.apis.iter().copied().collect(),
            Named::Meter => self.meters.iter().copied().collect(),
            Named::Account if self.accounts.contains(name) => return,
            Named::Account => self.accounts.iter().copied().collect(),
            Named::Product => self.products.keys().copied().collect(),
        };
        if self.is_open() || known.contains(&name) {
            return;
        }
        let reason = format!("{} {}", named.phrase(), shown(name));
        findings.error(pointer, reason, choice(name, &known));
    }

    /// Reports a plan that leads nowhere, at the `product` or `plan` key of `at`.
    pub(super) fn refer_to_plan(&self, at: &str, (product, plan): (&str, &str), findings: &mut Findings) {
        let Some(found) = self.products.get(product) else {
            self.refer(&format!("{at}/product"), Named::Product, product, findings);
            return;
        };
        if self.is_open() || found.plans.iter().any(|known| known.name == plan) {
            return;
        }
        let plans: Vec<&str> = found.plans.iter().map(|plan| plan.name.as_str()).collect();
        let reason = format!("the product {} has no plan {}", shown(product), shown(plan));
        findings.error(format!("{at}/plan"), reason, choice(plan, &plans));
    }

    pub(super) fn product(&self, name: &str) -> Option<&'a Product> {
        self.products.get(name).copied()
    }

    /// Operation keys of these APIs together; `None` when those of one are not known.
    pub(super) fn operations<'n>(&self, apis: impl Iterator<Item = &'n str>) -> Option<BTreeSet<&str>> {
        let mut keys = BTreeSet::new();
        for api in apis {
            let known = self.operations.get(api)?;
            let own = known.keys.get_or_init(|| (self.around.operations)(known.api));
            keys.extend(own.as_ref()?.iter().map(String::as_str));
        }
        Some(keys)
    }

    /// Operation keys of all APIs.
    pub(super) fn all_operations(&self) -> Option<BTreeSet<&str>> {
        if self.is_open() {
            None
        } else {
            self.operations(self.apis.iter().copied())
        }
    }
}

/// What to write instead of a name that leads nowhere.
pub(super) fn choice(name: &str, known: &[&str]) -> String {
    const LISTED: usize = 8;
    if let Some(near) = nearest(name, known) {
        return format!("write {}", shown(near));
    }
    if known.is_empty() {
        return "there is none: write one, or remove the reference".to_owned();
    }
    let listed: Vec<String> = known.iter().take(LISTED).map(|name| shown(name)).collect();
    let more = if known.len() > LISTED { " and more" } else { "" };
    format!("there is {}{more}", listed.join(", "))
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Distances of long texts cost time, and nobody mistypes so long a name.
    if name.len() > 100 || known.len() > 2_000 {
        return None;
    }
    let near = known
        .iter()
        .map(|known| (strsim::osa_distance(known, name), *known))
        .min()?;
    (near.0 <= near.1.chars().count() / 3).then_some(near.1)
}
