//! What an apply changes, in words.

use std::fmt::Write as _;

use domain::config::Document;
use serde_json::Value;

use super::report::counted;

/// What a document holds.
pub(crate) fn contents(document: &Document) -> String {
    let plans: usize = document.products.iter().map(|product| product.plans.len()).sum();
    let parts = [
        (document.apis.len(), "API"),
        (document.meters.len(), "meter"),
        (document.products.len(), "product"),
        (plans, "plan"),
        (document.accounts.len(), "account"),
        (document.consumers.len(), "consumer"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count as u64, noun))
        .collect();
    if parts.is_empty() {
        "nothing is configured".to_owned()
    } else {
        parts.join(", ")
    }
}

fn items(answer: &Value) -> &[Value] {
    answer
        .get("items")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn word<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether nothing changes.
pub(crate) fn is_empty(answer: &Value) -> bool {
    items(answer).is_empty()
}

fn is_dry(answer: &Value) -> bool {
    answer.get("dry_run").and_then(Value::as_bool).unwrap_or_default()
}

/// `update plan petstore/pro (3 live subscriptions)`
fn title(item: &Value) -> String {
    let parts = [word(item, "action"), word(item, "kind"), word(item, "name")];
    let mut title: String = parts
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    let subscribers = item
        .get("subscribers_affected")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    if subscribers > 0 {
        let _ = write!(title, " ({})", counted(subscribers, "live subscription"));
    }
    title
}

/// One line a change, and what it comes to.
pub(crate) fn summary(answer: &Value) -> String {
    let mut text = String::new();
    for item in items(answer) {
        let _ = writeln!(text, "{}", title(item));
    }
    let number = counted(items(answer).len() as u64, "change");
    let revision = answer.get("revision").and_then(Value::as_i64).unwrap_or_default();
    let _ = match (is_empty(answer), is_dry(answer)) {
        (true, _) => writeln!(
            text,
            "nothing to change: the platform equals the files (revision {revision})"
        ),
        (false, true) => writeln!(text, "{number} would be made; run without --dry-run to make them"),
        (false, false) => writeln!(text, "{number} made (revision {revision})"),
    };
    text
}

/// Each change with what is different, and the money that it touches.
pub(crate) fn details(answer: &Value) -> String {
    let mut text = String::new();
    let mut prices = 0_u64;
    for item in items(answer) {
        let _ = writeln!(text, "{}", title(item));
        let (before, after) = (item.get("before"), item.get("after"));
        let mut differences = Vec::new();
        compare("", (before, after), &mut differences);
        if differences.is_empty() && word(item, "action") == "update" {
            differences.push("its secret or its OpenAPI document differs".to_owned());
        }
        prices += u64::from(word(item, "kind") == "plan" && differences.iter().any(|line| line.starts_with("price")));
        for line in differences {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(money) = item.get("money_affected").filter(|money| !money.is_null()) {
            let _ = writeln!(text, "  money: {money}");
        }
    }
    if is_empty(answer) {
        text.push_str("no differences\n");
    } else {
        let subscribers: u64 = items(answer)
            .iter()
            .filter_map(|item| item.get("subscribers_affected").and_then(Value::as_u64))
            .sum();
        let _ = writeln!(
            text,
            "{}, {} affected, {} with another price",
            counted(items(answer).len() as u64, "change"),
            counted(subscribers, "live subscription"),
            counted(prices, "plan"),
        );
    }
    text
}

/// The leaves that differ, as `path: before -> after`. The depth is that of an answer that was parsed.
fn compare(path: &str, (before, after): (Option<&Value>, Option<&Value>), out: &mut Vec<String>) {
    let before = before.filter(|value| !value.is_null());
    let after = after.filter(|value| !value.is_null());
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match (before, after) {
        (left, right) if left == right => {}
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            for (key, value) in left {
                compare(&below(key), (Some(value), right.get(key)), out);
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                compare(&below(key), (None, Some(value)), out);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for at in 0..left.len().max(right.len()) {
                compare(&format!("{path}[{at}]"), (left.get(at), right.get(at)), out);
            }
        }
        (None, Some(Value::Object(new))) => new
            .iter()
            .for_each(|(key, value)| compare(&below(key), (None, Some(value)), out)),
        // What is gone as a whole is named in the title.
        (Some(_), None) if path.is_empty() => {}
        (left, right) => {
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), short);
            out.push(format!("{path}: {} -> {}", shown(left), shown(right)));
        }
    }
}

fn short(value: &Value) -> String {
    const MOST: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_tells_what_is_different_and_whom_it_touches() {
        let answer = json!({"revision": 7, "dry_run": true, "changed": true, "items": [
            {"kind": "plan", "name": "petstore/pro", "action": "update", "subscribers_affected": 12,
             "before": {"price": {"recurring": {"amount": "49.00"}}, "title": "Pro"},
             "after": {"price": {"recurring": {"amount": "59.00"}}, "title": "Pro", "limits": [{"requests": 1}]}},
            {"kind": "api", "name": "old", "action": "delete", "subscribers_affected": 0, "before": {"name": "old"}, "after": null}
        ]});
        assert_eq!(
            details(&answer),
            "update plan petstore/pro (12 live subscriptions)\n  price.recurring.amount: \"49.00\" -> \"59.00\"\n  limits: nothing -> [{\"requests\":1}]\ndelete api old\n2 changes, 12 live subscriptions affected, 1 plan with another price\n"
        );
        assert!(summary(&answer).ends_with("2 changes would be made; run without --dry-run to make them\n"));
    }

    #[test]
    fn nothing_to_do_is_said() {
        let answer = json!({"revision": 7, "dry_run": false, "changed": false, "items": []});
        assert_eq!(
            summary(&answer),
            "nothing to change: the platform equals the files (revision 7)\n"
        );
        assert_eq!(details(&answer), "no differences\n");
    }
}
