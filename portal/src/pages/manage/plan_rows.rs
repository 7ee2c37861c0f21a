//! A plan as rows of texts: what the editor shows and what its form sends. Nothing that was typed is lost, whether it makes
//! sense or not; what the form has no input for travels in `keep`.
//!
//! Names of inputs: `limit-0-max`, `price-0-amount`, `price-0-usage-1-meter`, `price-0-usage-1-tier-2-unit`.

use domain::config::Plan;
use domain::limit::{Allow, AllowedOverage, LimitEntry, Overage, OveragePrice, Per, REQUESTS};
use domain::price::{Price, Term, Tier, UsageEntry};
use serde::Serialize;
use serde_json::Value as Json;

use crate::pages::web::Posted;

const MOST_LIMITS: usize = 40;
const MOST_PRICES: usize = 10;
const MOST_USAGE: usize = 20;
const MOST_TIERS: usize = 100;

/// A plan in the editor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) approval: String,
    pub(super) limits: Vec<LimitRow>,
    pub(super) prices: Vec<PriceRow>,
    /// The rest of the plan as JSON.
    pub(super) keep: String,
}

/// A limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LimitRow {
    /// `concurrency`, or the name of a meter.
    pub(super) what: String,
    pub(super) max: String,
    pub(super) per: String,
    pub(super) operations: String,
    /// Size of a token bucket; a fixed window without.
    pub(super) burst: String,
    /// `refuse`, `some` or `all`.
    pub(super) above: String,
    /// Percent above the maximum.
    pub(super) allow: String,
    /// Nothing, `prorated`, or an amount.
    pub(super) price: String,
    pub(super) keep: String,
}

/// A price in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PriceRow {
    pub(super) currency: String,
    pub(super) amount: String,
    pub(super) every: String,
    pub(super) term: String,
    pub(super) period: String,
    pub(super) usage: Vec<UsageRow>,
    pub(super) keep: String,
}

/// What the usage of a meter costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UsageRow {
    pub(super) meter: String,
    pub(super) model: String,
    pub(super) included: String,
    pub(super) unit: String,
    pub(super) size: String,
    pub(super) amount: String,
    pub(super) tiers: Vec<TierRow>,
    pub(super) keep: String,
}

/// A tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TierRow {
    pub(super) up_to: String,
    pub(super) unit: String,
    pub(super) flat: String,
    pub(super) amount: String,
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A part of the plan as JSON without the named fields: what the form has no input for.
fn rest(part: &impl Serialize, shown: &[&str]) -> String {
    let mut value = serde_json::to_value(part).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, _| !shown.contains(&field.as_str()));
    }
    value.to_string()
}

impl LimitRow {
    fn of(entry: &LimitEntry) -> Self {
        let (above, allow, price) = above(entry.overage.as_ref());
        let mut shown = vec!["requests", "max", "per", "concurrency", "operations", "burst"];
        if entry.burst.is_some() {
            shown.push("algorithm");
        }
        // What says the same in two ways is sent back in the way it came: another text would be another version.
        if entry.meter.as_deref() != Some(REQUESTS) {
            shown.push("meter");
        }
        if matches!(entry.overage, Some(Overage::Allowed(_))) {
            shown.push("overage");
        }
        Self {
            what: if entry.concurrency.is_some() {
                "concurrency".to_owned()
            } else {
                entry.meter.clone().unwrap_or_else(|| REQUESTS.to_owned())
            },
            max: text(entry.concurrency.or(entry.requests).or(entry.max)),
            per: entry.per.map_or_else(String::new, |per| per.as_str().to_owned()),
            operations: entry.operations.join(", "),
            burst: text(entry.burst),
            above: above.to_owned(),
            allow,
            price,
            keep: rest(entry, &shown),
        }
    }

    fn fields(&self) -> [(&'static str, &String); 9] {
        [
            ("what", &self.what),
            ("max", &self.max),
            ("per", &self.per),
            ("operations", &self.operations),
            ("burst", &self.burst),
            ("above", &self.above),
            ("allow", &self.allow),
            ("price", &self.price),
            ("keep", &self.keep),
        ]
    }

    /// A row that is added: so many requests a second.
    pub(super) fn fresh() -> Self {
        Self {
            what: REQUESTS.to_owned(),
            per: Per::Second.as_str().to_owned(),
            above: "refuse".to_owned(),
            ..Self::default()
        }
    }
}

fn above(overage: Option<&Overage>) -> (&'static str, String, String) {
    let Some(Overage::Allowed(AllowedOverage { allow, price })) = overage else {
        return ("refuse", String::new(), String::new());
    };
    let price = match price {
        None => String::new(),
        Some(OveragePrice::Prorated(_)) => "prorated".to_owned(),
        Some(OveragePrice::Unit(unit)) => unit.to_string(),
    };
    match allow {
        Allow::Unlimited => ("all", String::new(), price),
        Allow::BasisPoints(points) => ("some", domain::limit::Percent(*points).to_string(), price),
    }
}

impl PriceRow {
    fn of(price: &Price) -> Self {
        let recurring = price.recurring.as_ref();
        Self {
            currency: price.currency.code().to_owned(),
            amount: text(recurring.map(|recurring| recurring.amount)),
            every: text(recurring.map(|recurring| recurring.every)),
            term: match recurring.map(|recurring| recurring.term) {
                Some(Term::Arrears) => "arrears".to_owned(),
                Some(Term::Advance) | None => "advance".to_owned(),
            },
            period: price.usage_period.to_string(),
            usage: price.usage.iter().map(UsageRow::of).collect(),
            keep: rest(price, &["currency", "recurring", "usage_period", "usage"]),
        }
    }

    fn fields(&self) -> Vec<(String, &String)> {
        let own = [
            ("currency", &self.currency),
            ("amount", &self.amount),
            ("every", &self.every),
            ("term", &self.term),
            ("period", &self.period),
            ("keep", &self.keep),
        ];
        let mut fields: Vec<_> = own
            .into_iter()
            .map(|(field, value)| (field.to_owned(), value))
            .collect();
        for (index, row) in self.usage.iter().enumerate() {
            fields.extend(
                row.fields()
                    .into_iter()
                    .map(|(field, value)| (format!("usage-{index}-{field}"), value)),
            );
        }
        fields
    }
}

impl UsageRow {
    fn of(entry: &UsageEntry) -> Self {
        let shown = ["meter", "model", "included", "unit", "size", "amount", "tiers"];
        Self {
            meter: entry.meter.clone(),
            model: entry.model.as_str().to_owned(),
            included: text(entry.included),
            unit: text(entry.unit),
            size: text(entry.size),
            amount: text(entry.amount),
            tiers: entry.tiers.iter().flatten().map(TierRow::of).collect(),
            keep: rest(entry, &shown),
        }
    }

    fn fields(&self) -> Vec<(String, &String)> {
        let own = [
            ("meter", &self.meter),
            ("model", &self.model),
            ("included", &self.included),
            ("unit", &self.unit),
            ("size", &self.size),
            ("amount", &self.amount),
            ("keep", &self.keep),
        ];
        let mut fields: Vec<_> = own
            .into_iter()
            .map(|(field, value)| (field.to_owned(), value))
            .collect();
        for (index, tier) in self.tiers.iter().enumerate() {
            let tiers = [
                ("up_to", &tier.up_to),
                ("unit", &tier.unit),
                ("flat", &tier.flat),
                ("amount", &tier.amount),
            ];
            fields.extend(tiers.map(|(field, value)| (format!("tier-{index}-{field}"), value)));
        }
        fields
    }

    /// Whether the model has tiers.
    pub(super) fn is_tiered(&self) -> bool {
        ["graduated", "volume", "stairstep"].contains(&self.model.as_str())
    }
}

impl TierRow {
    fn of(tier: &Tier) -> Self {
        Self {
            up_to: text(tier.up_to),
            unit: text(tier.unit),
            flat: text(tier.flat),
            amount: text(tier.amount),
        }
    }
}

impl Rows {
    /// The rows of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let shown = ["name", "title", "description", "approval", "limits", "price", "prices"];
        Self {
            name: plan.name.clone(),
            title: plan.title.clone().unwrap_or_default(),
            description: plan.description.clone().unwrap_or_default(),
            approval: plan.approval.as_str().to_owned(),
            limits: plan.limits.iter().map(LimitRow::of).collect(),
            prices: plan.price.iter().chain(&plan.prices).map(PriceRow::of).collect(),
            keep: rest(plan, &shown),
        }
    }

    /// The rows as they were sent.
    pub(super) fn posted(posted: &Posted) -> Self {
        let get = |name: &str| posted.get(name).to_owned();
        Self {
            name: get("name"),
            title: get("title"),
            description: get("description"),
            approval: get("approval"),
            limits: counted(posted, "limit", "max", MOST_LIMITS)
                .map(|at| posted_limit(posted, &at))
                .collect(),
            prices: counted(posted, "price", "currency", MOST_PRICES)
                .map(|at| posted_price(posted, &at))
                .collect(),
            keep: get("keep"),
        }
    }

    /// The rows as values of a form, under the names of their inputs.
    pub(super) fn values(&self) -> Vec<(String, String)> {
        let mut values = Vec::new();
        let mut put = |name: String, value: &String| values.push((name, value.clone()));
        for (name, value) in [
            ("name", &self.name),
            ("title", &self.title),
            ("description", &self.description),
            ("approval", &self.approval),
            ("keep", &self.keep),
        ] {
            put(name.to_owned(), value);
        }
        for (index, row) in self.limits.iter().enumerate() {
            for (field, value) in row.fields() {
                put(format!("limit-{index}-{field}"), value);
            }
        }
        for (index, row) in self.prices.iter().enumerate() {
            for (name, value) in row.fields() {
                put(format!("price-{index}-{name}"), value);
            }
        }
        values
    }

    /// Does what a button of the form says, such as `limit`, `price-0-usage`, `price-0-usage-1-tier` to add to and
    /// `limit-2` to take away from.
    pub(super) fn press(&mut self, add: Option<&str>, remove: Option<&str>) {
        if let Some(add) = add {
            self.add(&add.split('-').collect::<Vec<_>>());
        }
        if let Some(remove) = remove {
            self.remove(&remove.split('-').collect::<Vec<_>>());
        }
    }

    fn add(&mut self, path: &[&str]) {
        match path {
            ["limit"] if self.limits.len() < MOST_LIMITS => self.limits.push(LimitRow::fresh()),
            ["price"] if self.prices.len() < MOST_PRICES => {
                let like = self.prices.first().cloned();
                self.prices.push(PriceRow {
                    currency: String::new(),
                    ..like.unwrap_or_default()
                });
            }
            ["price", price, "usage"] => {
                if let Some(price) = at(&mut self.prices, price).filter(|price| price.usage.len() < MOST_USAGE) {
                    price.usage.push(UsageRow {
                        meter: REQUESTS.to_owned(),
                        model: "unit".to_owned(),
                        ..UsageRow::default()
                    });
                }
            }
            ["price", price, "usage", usage, "tier"] => {
                let usage = at(&mut self.prices, price).and_then(|price| at(&mut price.usage, usage));
                if let Some(usage) = usage.filter(|usage| usage.tiers.len() < MOST_TIERS) {
                    // The last tier stays the one without an end.
                    let place = usage.tiers.len().saturating_sub(1);
                    usage.tiers.insert(place, TierRow::default());
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, path: &[&str]) {
        match path {
            ["limit", limit] => take(&mut self.limits, limit),
            ["price", price] => take(&mut self.prices, price),
            ["price", price, "usage", usage] => {
                if let Some(price) = at(&mut self.prices, price) {
                    take(&mut price.usage, usage);
                }
            }
            ["price", price, "usage", usage, "tier", tier] => {
                let usage = at(&mut self.prices, price).and_then(|price| at(&mut price.usage, usage));
                if let Some(usage) = usage {
                    take(&mut usage.tiers, tier);
                }
            }
            _ => {}
        }
    }

    /// Gives tiers to models that need them and have none, so that there is a row to write into.
    pub(super) fn complete(&mut self) {
        let usage = self.prices.iter_mut().flat_map(|price| &mut price.usage);
        for usage in usage.filter(|usage| usage.is_tiered() && usage.tiers.is_empty()) {
            usage.tiers = vec![TierRow::default(), TierRow::default()];
        }
    }
}

fn at<'a, T>(rows: &'a mut [T], index: &str) -> Option<&'a mut T> {
    index.parse::<usize>().ok().and_then(|index| rows.get_mut(index))
}

fn take<T>(rows: &mut Vec<T>, index: &str) {
    if let Some(index) = index.parse::<usize>().ok().filter(|index| *index < rows.len()) {
        rows.remove(index);
    }
}

/// The beginnings of names of rows: `limit-0`, `limit-1`… as far as the field is there.
fn counted(posted: &Posted, of: &str, field: &str, most: usize) -> impl Iterator<Item = String> {
    (0..most)
        .map(move |index| format!("{of}-{index}"))
        .take_while(move |at| posted.has(&format!("{at}-{field}")))
}

fn posted_limit(posted: &Posted, at: &str) -> LimitRow {
    let get = |field: &str| posted.get(&format!("{at}-{field}")).to_owned();
    LimitRow {
        what: get("what"),
        max: get("max"),
        per: get("per"),
        operations: get("operations"),
        burst: get("burst"),
        above: get("above"),
        allow: get("allow"),
        price: get("price"),
        keep: get("keep"),
    }
}

fn posted_price(posted: &Posted, at: &str) -> PriceRow {
    let get = |field: &str| posted.get(&format!("{at}-{field}")).to_owned();
    PriceRow {
        currency: get("currency"),
        amount: get("amount"),
        every: get("every"),
        term: get("term"),
        period: get("period"),
        usage: counted(posted, &format!("{at}-usage"), "meter", MOST_USAGE)
            .map(|at| posted_usage(posted, &at))
            .collect(),
        keep: get("keep"),
    }
}

fn posted_usage(posted: &Posted, at: &str) -> UsageRow {
    let get = |field: &str| posted.get(&format!("{at}-{field}")).to_owned();
    let tier = |at: String| {
        let get = |field: &str| posted.get(&format!("{at}-{field}")).to_owned();
        TierRow {
            up_to: get("up_to"),
            unit: get("unit"),
            flat: get("flat"),
            amount: get("amount"),
        }
    };
    UsageRow {
        meter: get("meter"),
        model: get("model"),
        included: get("included"),
        unit: get("unit"),
        size: get("size"),
        amount: get("amount"),
        tiers: counted(posted, &format!("{at}-tier"), "up_to", MOST_TIERS)
            .map(tier)
            .collect(),
        keep: get("keep"),
    }
}

/// What travelled in a `keep`: an object, empty where it cannot be read.
pub(super) fn kept(text: &str) -> serde_json::Map<String, Json> {
    serde_json::from_str(text).unwrap_or_default()
}
