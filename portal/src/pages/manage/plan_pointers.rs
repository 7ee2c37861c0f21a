//! From the place of a fault in a plan to the input that has to be mended.

/// The name of the input for a pointer into a plan; empty for the plan as a whole.
pub(super) fn field(pointer: &str) -> String {
    let parts: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [one @ ("name" | "title" | "description" | "approval")] => (*one).to_owned(),
        ["limits", at, "operations", ..] => format!("limit-{at}-operations"),
        ["limits", at, "overage", "price"] => format!("limit-{at}-price"),
        ["limits", at, "overage", "allow"] => format!("limit-{at}-allow"),
        ["limits", at, "overage", ..] => format!("limit-{at}-above"),
        ["limits", at, "requests" | "concurrency" | "max", ..] => format!("limit-{at}-max"),
        ["limits", at, "burst" | "algorithm", ..] => format!("limit-{at}-burst"),
        ["limits", at, "per", ..] => format!("limit-{at}-per"),
        ["limits", at, ..] => format!("limit-{at}-what"),
        ["price", rest @ ..] => price("price-0", rest),
        ["prices", at, rest @ ..] => at
            .parse::<usize>()
            .map_or_else(|_| String::new(), |at| price(&format!("price-{}", at + 1), rest)),
        _ => String::new(),
    }
}

fn price(at: &str, rest: &[&str]) -> String {
    match rest {
        ["recurring", "every", ..] => format!("{at}-every"),
        ["recurring", "in", ..] => format!("{at}-term"),
        ["recurring", ..] => format!("{at}-amount"),
        ["usage_period", ..] => format!("{at}-period"),
        [
            "usage",
            usage,
            "tiers",
            tier,
            field @ ("up_to" | "unit" | "flat" | "amount"),
            ..,
        ] => {
            format!("{at}-usage-{usage}-tier-{tier}-{field}")
        }
        ["usage", usage, "tiers", tier, ..] => format!("{at}-usage-{usage}-tier-{tier}-up_to"),
        ["usage", usage, "tiers"] => format!("{at}-usage-{usage}-model"),
        [
            "usage",
            usage,
            field @ ("model" | "included" | "unit" | "size" | "amount"),
            ..,
        ] => {
            format!("{at}-usage-{usage}-{field}")
        }
        ["usage", usage, ..] => format!("{at}-usage-{usage}-meter"),
        _ => format!("{at}-currency"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_leads_to_an_input() {
        for (pointer, name) in [
            ("/name", "name"),
            ("/limits/2/requests", "limit-2-max"),
            ("/limits/0/operations/1", "limit-0-operations"),
            ("/limits/0/overage", "limit-0-above"),
            ("/price/usage/0/tiers/1/unit", "price-0-usage-0-tier-1-unit"),
            ("/price/usage/3/unit", "price-0-usage-3-unit"),
            ("/prices/0/recurring/amount", "price-1-amount"),
            ("/price", "price-0-currency"),
            ("/trial", ""),
            ("", ""),
        ] {
            assert_eq!(field(pointer), name, "{pointer}");
        }
    }
}
