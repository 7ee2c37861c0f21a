//! Rows of texts into a plan. What cannot be read is a fault beside its input; whether a plan makes sense is decided by
//! the rules that every configuration is checked by.

use domain::config::Plan;
use domain::limit::REQUESTS;
use serde_json::{Map, Value as Json, json};

use super::plan_rows::{LimitRow, PriceRow, Rows, TierRow, UsageRow, kept};

/// Faults: the name of the input and what to write.
pub(super) type Faults = Vec<(String, String)>;

/// The plan that rows say.
pub(super) fn plan(rows: &Rows) -> Result<Plan, Faults> {
    let mut reader = Reader::default();
    let mut plan = kept(&rows.keep);
    plan.insert("name".to_owned(), json!(rows.name));
    optional(&mut plan, "title", &rows.title);
    optional(&mut plan, "description", &rows.description);
    let approval = if rows.approval == "manual" {
        "manual"
    } else {
        "automatic"
    };
    plan.insert("approval".to_owned(), json!(approval));
    let limits = rows.limits.iter().enumerate();
    let limits: Vec<Json> = limits
        .map(|(at, row)| reader.limit(&format!("limit-{at}"), row))
        .collect();
    plan.insert("limits".to_owned(), Json::Array(limits));
    let prices = rows.prices.iter().enumerate();
    let mut prices: Vec<Json> = prices
        .map(|(at, row)| reader.price(&format!("price-{at}"), row))
        .collect();
    if !prices.is_empty() {
        plan.insert("price".to_owned(), prices.remove(0));
        plan.insert("prices".to_owned(), Json::Array(prices));
    }
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    crate::http::body::typed::<Plan>(Json::Object(plan)).map_err(|fault| {
        let pointer = fault.pointer.unwrap_or_default();
        vec![(super::plan_pointers::field(&pointer), fault.detail)]
    })
}

fn optional(map: &mut Map<String, Json>, field: &str, text: &str) {
    if !text.is_empty() {
        map.insert(field.to_owned(), json!(text));
    }
}

#[derive(Default)]
struct Reader {
    faults: Faults,
}

impl Reader {
    fn wrong(&mut self, name: String, text: &str) {
        self.faults.push((name, text.to_owned()));
    }

    /// A whole number, with or without commas between thousands; nothing when nothing is written.
    fn whole(&mut self, name: String, text: &str) -> Option<u64> {
        if text.is_empty() {
            return None;
        }
        let number = without_commas(text).and_then(|digits| digits.parse().ok());
        if number.is_none() {
            self.wrong(name, "Write a whole number such as 10000 or 10,000.");
        }
        number
    }

    /// A decimal of major units; nothing when nothing is written. No commas: in half of the world they begin the decimals.
    fn decimal(&mut self, name: String, text: &str) -> Option<Json> {
        if text.is_empty() {
            return None;
        }
        if text.parse::<domain::money::Decimal>().is_err() {
            self.wrong(name, "Write an amount with a point, such as 49.00 or 0.0005.");
            return None;
        }
        Some(json!(text))
    }

    fn limit(&mut self, at: &str, row: &LimitRow) -> Json {
        let mut limit = kept(&row.keep);
        let max = self.whole(format!("{at}-max"), &row.max);
        let operations = row
            .operations
            .split([',', '\n'])
            .map(str::trim)
            .filter(|key| !key.is_empty());
        let operations: Vec<&str> = operations.collect();
        if !operations.is_empty() {
            limit.insert("operations".to_owned(), json!(operations));
        }
        if row.what == "concurrency" {
            limit.retain(|field, _| field == "operations");
            if max.is_none() && row.max.is_empty() {
                self.wrong(format!("{at}-max"), "Write how many requests may run at once.");
            }
            limit.insert("concurrency".to_owned(), json!(max));
            return Json::Object(limit);
        }
        limit.insert("per".to_owned(), json!(row.per));
        let is_quota = row.per == "period";
        let names_its_meter = limit.remove("meter").is_some();
        // A quota without a number takes it from the price.
        if row.what == REQUESTS && !(is_quota && (names_its_meter || max.is_none())) {
            limit.insert("requests".to_owned(), json!(max));
        } else {
            limit.insert("meter".to_owned(), json!(row.what));
            if max.is_some() {
                limit.insert("max".to_owned(), json!(max));
            }
        }
        if let Some(burst) = self.whole(format!("{at}-burst"), &row.burst) {
            limit.insert("algorithm".to_owned(), json!("token_bucket"));
            limit.insert("burst".to_owned(), json!(burst));
        }
        if is_quota {
            self.overage(at, row, &mut limit);
        } else {
            let of_quotas = ["alerts", "mode", "when_unavailable", "max", "overage"];
            limit.retain(|field, _| !of_quotas.contains(&field.as_str()));
            if row.above == "some" || row.above == "all" {
                let text =
                    "A rate is always refused when it is reached; only a limit per usage period can be exceeded.";
                self.wrong(format!("{at}-above"), text);
            }
        }
        Json::Object(limit)
    }

    fn overage(&mut self, at: &str, row: &LimitRow, limit: &mut Map<String, Json>) {
        let allow = match row.above.as_str() {
            "all" => "unlimited".to_owned(),
            "some" => {
                let number = row.allow.trim_end_matches('%').trim();
                if number.parse::<domain::quantity::Quantity>().is_err() {
                    self.wrong(
                        format!("{at}-allow"),
                        "Write how many percent more are served, such as 15%.",
                    );
                    return;
                }
                format!("{number}%")
            }
            _ => return,
        };
        let mut overage = json!({ "allow": allow });
        let price = if row.price == "prorated" {
            Some(json!("prorated"))
        } else {
            self.decimal(format!("{at}-price"), &row.price)
        };
        if let (Some(map), Some(price)) = (overage.as_object_mut(), price) {
            map.insert("price".to_owned(), price);
        }
        limit.insert("overage".to_owned(), overage);
    }

    fn price(&mut self, at: &str, row: &PriceRow) -> Json {
        let mut price = kept(&row.keep);
        let currency = row.currency.to_uppercase();
        if currency.parse::<domain::money::Currency>().is_err() {
            self.wrong(
                format!("{at}-currency"),
                "Write a currency code of ISO 4217 such as EUR.",
            );
        }
        price.insert("currency".to_owned(), json!(currency));
        if !row.period.is_empty() {
            if row.period.parse::<domain::period::Every>().is_err() {
                self.wrong(format!("{at}-period"), "Write day, week, month or year.");
            }
            price.insert("usage_period".to_owned(), json!(row.period));
        }
        if let Some(amount) = self.decimal(format!("{at}-amount"), &row.amount) {
            let every = if row.every.is_empty() { "month" } else { &row.every };
            if every.parse::<domain::period::Every>().is_err() {
                self.wrong(
                    format!("{at}-every"),
                    "Write month, year, or a number of them such as 3 months.",
                );
            }
            let term = if row.term == "arrears" { "arrears" } else { "advance" };
            let recurring = json!({ "amount": amount, "every": every, "in": term });
            price.insert("recurring".to_owned(), recurring);
        }
        let usage = row.usage.iter().enumerate();
        let usage: Vec<Json> = usage
            .map(|(index, row)| self.usage(&format!("{at}-usage-{index}"), row))
            .collect();
        price.insert("usage".to_owned(), Json::Array(usage));
        Json::Object(price)
    }

    fn usage(&mut self, at: &str, row: &UsageRow) -> Json {
        let mut entry = kept(&row.keep);
        entry.insert("meter".to_owned(), json!(row.meter));
        let model = if row.model.is_empty() { "unit" } else { &row.model };
        entry.insert("model".to_owned(), json!(model));
        if let Some(included) = self.whole(format!("{at}-included"), &row.included) {
            entry.insert("included".to_owned(), json!(included));
        }
        match model {
            "unit" => {
                if let Some(unit) = self.decimal(format!("{at}-unit"), &row.unit) {
                    entry.insert("unit".to_owned(), unit);
                }
            }
            "package" => {
                if let Some(size) = self.whole(format!("{at}-size"), &row.size) {
                    entry.insert("size".to_owned(), json!(size));
                }
                if let Some(amount) = self.decimal(format!("{at}-amount"), &row.amount) {
                    entry.insert("amount".to_owned(), amount);
                }
            }
            _ => {
                let tiers = row.tiers.iter().enumerate();
                let tiers = tiers.map(|(index, tier)| self.tier(&format!("{at}-tier-{index}"), tier, model));
                entry.insert("tiers".to_owned(), tiers.collect());
            }
        }
        Json::Object(entry)
    }

    fn tier(&mut self, at: &str, row: &TierRow, model: &str) -> Json {
        let mut tier = Map::new();
        if let Some(up_to) = self.whole(format!("{at}-up_to"), &row.up_to) {
            tier.insert("up_to".to_owned(), json!(up_to));
        }
        let fields: &[(&str, &str)] = if model == "stairstep" {
            &[("amount", &row.amount)]
        } else {
            &[("unit", &row.unit), ("flat", &row.flat)]
        };
        for (field, text) in fields {
            if let Some(amount) = self.decimal(format!("{at}-{field}"), text) {
                tier.insert((*field).to_owned(), amount);
            }
        }
        Json::Object(tier)
    }
}

/// The digits of a whole number whose commas, if any, stand between thousands.
fn without_commas(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split(',').collect();
    let (first, others) = groups.split_first()?;
    let fits =
        others.is_empty() || (!first.is_empty() && first.len() <= 3 && others.iter().all(|group| group.len() == 3));
    (fits
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_digit())))
    .then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Plan {
        serde_json::from_value(json!({
            "name": "pro", "title": "Pro", "approval": "manual", "migrate": "period_end",
            "limits": [
                {"requests": 100, "per": "second", "algorithm": "token_bucket", "burst": 200},
                {"meter": "tokens", "max": 1_000_000, "per": "period", "alerts": ["80%", "95%"],
                 "overage": {"allow": "15%", "price": "prorated"}, "mode": "fast"},
                {"requests": 5, "per": "second", "operations": ["search", "find"]},
                {"concurrency": 20},
                {"meter": "requests", "max": 9000, "per": "period", "overage": "none"},
                {"meter": "requests", "per": "period", "operations": ["search"]},
                {"requests": 8000, "per": "period", "alerts": ["50%"]}
            ],
            "price": {"currency": "EUR", "recurring": {"amount": "49.00", "every": "year", "in": "arrears"}, "tax": {"behavior": "inclusive"},
                "usage": [
                    {"meter": "requests", "included": 500_000, "model": "volume", "maximum": "900",
                     "tiers": [{"up_to": 500_000, "unit": "0.0005", "flat": "1"}, {"unit": "0.0003"}]},
                    {"meter": "tokens", "model": "package", "size": 1000, "amount": "2.50"}
                ]},
            "prices": [{"currency": "JPY", "usage": [{"meter": "requests", "model": "stairstep", "tiers": [{"amount": "100"}]}]}]
        }))
        .unwrap()
    }

    #[test]
    fn a_plan_that_is_shown_and_sent_again_is_the_same_plan() {
        let rows = Rows::of(&stored());
        assert_eq!(plan(&rows).unwrap(), stored());
    }

    #[test]
    fn a_limit_of_another_meter_forgets_how_it_was_written() {
        let mut rows = Rows::of(&stored());
        rows.limits[4].what = "tokens".to_owned();
        rows.limits[6].per = "second".to_owned();
        let limits = plan(&rows).unwrap().limits;
        assert_eq!(
            (limits[4].meter.as_deref(), limits[4].max),
            (Some("tokens"), Some(9000))
        );
        assert_eq!((limits[6].requests, limits[6].alerts.is_none()), (Some(8000), true));
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_of_its_input() {
        let mut rows = Rows::of(&stored());
        rows.limits[0].max = "1,00".to_owned();
        rows.prices[0].amount = "49,00".to_owned();
        rows.prices[0].usage[0].tiers[1].unit = "cheap".to_owned();
        rows.limits[2].above = "all".to_owned();
        let faults = plan(&rows).unwrap_err();
        let names: Vec<&str> = faults.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "limit-0-max",
                "limit-2-above",
                "price-0-amount",
                "price-0-usage-0-tier-1-unit"
            ]
        );
    }

    #[test]
    fn thousands_may_have_commas_and_nothing_else() {
        for (text, digits) in [
            ("1,000", Some("1000")),
            ("1000000", Some("1000000")),
            ("10,000,000", Some("10000000")),
        ] {
            assert_eq!(without_commas(text).as_deref(), digits, "{text}");
        }
        for text in ["1,0", ",000", "1.000", "-1", "1 000", "1000,000"] {
            assert_eq!(without_commas(text), None, "{text}");
        }
    }

    #[test]
    fn a_tier_is_added_before_the_one_without_an_end() {
        let mut rows = Rows::of(&stored());
        rows.press(Some("price-0-usage-0-tier"), None);
        let tiers = &rows.prices[0].usage[0].tiers;
        assert_eq!(
            (tiers.len(), tiers[1].unit.as_str(), tiers[2].unit.as_str()),
            (3, "", "0.0003")
        );
        rows.press(None, Some("price-0-usage-0-tier-1"));
        rows.press(None, Some("price-9-usage-0"));
        rows.press(Some("nonsense"), Some("limit-x"));
        assert_eq!(rows, Rows::of(&stored()));
        rows.press(Some("price"), Some("limit-3"));
        assert_eq!((rows.prices.len(), rows.limits.len()), (3, 6));
    }
}
