//! `reconcile`: the same requests, counted at every hop, by the server that counts them.

use clap::Args;
use serde_json::Value;

use super::client::ServerOptions;
use super::{End, causes};
use crate::config::Environment;

/// Options of `reconcile`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// First instant (RFC 3339); a day before --to unless given.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// First instant after the time; now unless given. At most 35 days after --from.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Of this account alone.
    #[arg(long, value_name = "ACCOUNT_ID")]
    account: Option<String>,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// `reconcile`: exit 0 when every hop has the same number, 2 when one differs.
pub(crate) fn run(options: &Options, environment: &Environment) -> End {
    let given = [
        ("from", &options.from),
        ("to", &options.to),
        ("account", &options.account),
    ];
    let query: String = given
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("&{name}={value}")))
        .collect();
    let path = format!("/reconciliation?{}", query.trim_start_matches('&'));
    let answer = match options.server.client(environment).and_then(|client| client.get(&path)) {
        Ok(answer) => answer,
        Err(error) => return End::Failed(causes(&error)),
    };
    if options.json {
        println!("{answer:#}");
    } else {
        print!("{}", table(&answer));
    }
    if agrees(&answer) { End::Done } else { End::Differences }
}

fn rows<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether nothing differs. A period that waits for its invoice, or for late usage, does not.
fn agrees(answer: &Value) -> bool {
    let hops = rows(answer, "hops").iter().all(|hop| hop["difference"] == 0);
    let periods = rows(answer, "periods")
        .iter()
        .all(|period| period["standing"] != "differs");
    hops && periods && rows(answer, "differences").is_empty() && rows(answer, "gaps").is_empty()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn table(answer: &Value) -> String {
    let mut lines = format!(
        "{:<10} {:>15} {:>15} {:>12}\n",
        "hop", "requests", "billable", "difference"
    );
    for hop in rows(answer, "hops") {
        lines.push_str(&format!(
            "{:<10} {:>15} {:>15} {:>12}\n",
            text(&hop["hop"]),
            text(&hop["requests"]),
            text(&hop["billable"]),
            text(&hop["difference"])
        ));
    }
    for one in rows(answer, "differences") {
        lines.push_str(&format!(
            "{} of {} from {} to {}: {} in the ledger, {} found\n",
            text(&one["hop"]),
            text(&one["subscription_id"]),
            text(&one["from"]),
            text(&one["to"]),
            text(&one["ledger"]),
            text(&one["found"])
        ));
        for batch in rows(one, "batches") {
            lines.push_str(&format!(
                "  records {} to {} (exclusive) of producer {}: {} of {} facts\n",
                text(&batch["from_seq"]),
                text(&batch["to_seq"]),
                text(&batch["producer"]),
                text(&batch["found"]),
                text(&batch["handed"])
            ));
        }
    }
    for period in rows(answer, "periods") {
        if period["standing"] == "differs" {
            lines.push_str(&format!(
                "{} from {}: {} billed, {} should be\n",
                text(&period["subscription_id"]),
                text(&period["period_start"]),
                text(&period["billed"]),
                text(&period["billable"])
            ));
        }
    }
    for gap in rows(answer, "gaps") {
        lines.push_str(&format!("records may be missing: {gap}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hop_or_period_that_differs_is_told() {
        let equal = serde_json::json!({
            "hops": [{"hop": "ledger", "requests": 5, "billable": 4, "difference": 0}],
            "periods": [{"standing": "late"}, {"standing": "equal"}],
        });
        assert!(agrees(&equal));
        let mut hop = equal.clone();
        hop["hops"][0]["difference"] = (-1).into();
        assert!(!agrees(&hop));
        let mut period = equal.clone();
        period["periods"][0]["standing"] = "differs".into();
        assert!(!agrees(&period));
        assert!(table(&period).contains("billed"));
    }
}
