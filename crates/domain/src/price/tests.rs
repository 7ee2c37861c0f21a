use super::*;

fn entry(json: &str) -> UsageEntry {
    serde_json::from_str(json).unwrap()
}

fn pointers(faults: &[Fault], severity: Severity) -> Vec<&str> {
    faults
        .iter()
        .filter(|fault| fault.severity == severity)
        .map(|fault| fault.pointer.as_str())
        .collect()
}

const FULL: &str = r#"{
    "currency": "USD", "tax": {"behavior": "exclusive", "code": ""}, "minimum": "0", "usage_period": "month",
    "recurring": {"amount": "49.00", "every": "year", "in": "arrears"},
    "usage": [
        {"meter": "requests", "included": 500000, "model": "graduated",
         "tiers": [{"up_to": 500000, "unit": "0.0005"}, {"unit": "0.0003"}]},
        {"meter": "tokens", "model": "unit", "unit": "0.000001", "minimum": "1", "maximum": "5", "multiplier": "2.5"},
        {"meter": "labels", "model": "package", "size": 1000, "amount": "5.00"},
        {"meter": "seats", "model": "stairstep", "tiers": [{"up_to": 100, "amount": "75"}, {"amount": "130"}],
         "on_change": "per_segment"}
    ]}"#;

#[test]
fn the_reference_reads_without_a_fault_and_writes_back_the_same() {
    let price: Price = serde_json::from_str(FULL).unwrap();
    assert_eq!(validate(&price), []);
    assert_eq!(
        price.recurring.as_ref().map(|recurring| recurring.term),
        Some(Term::Arrears)
    );
    let written = serde_json::to_string(&price).unwrap();
    assert_eq!(serde_json::from_str::<Price>(&written).unwrap(), price);
    assert!(written.contains("\"49.00\""), "{written}");
}

#[test]
fn a_bare_currency_is_a_price() {
    let price: Price = serde_json::from_str(r#"{"currency": "USD"}"#).unwrap();
    assert_eq!(validate(&price), []);
    assert_eq!(price.usage_period, Every::MONTH);
}

#[test]
fn unknown_keys_and_floats_are_refused() {
    for (json, word) in [
        (r#"{"currency": "USD", "recuring": {}}"#, "recuring"),
        (
            r#"{"currency": "USD", "recurring": {"amount": 49.5}}"#,
            "write it in quotes",
        ),
        (
            r#"{"currency": "USD", "usage": [{"meter": "a", "model": "unit", "unit": 0.01}]}"#,
            "write it in quotes",
        ),
        (
            r#"{"currency": "USD", "usage": [{"meter": "a", "model": "flat"}]}"#,
            "flat",
        ),
        (
            r#"{"currency": "USD", "usage": [{"meter": "a", "model": "unit", "unit": "1e3"}]}"#,
            "1e3",
        ),
        (
            r#"{"currency": "USD", "usage": [{"meter": "a", "model": "unit", "unit": "0.0000000000001"}]}"#,
            "12 decimals",
        ),
        (r#"{"currency": "usd"}"#, "usd"),
        (r#"{"currency": "USD", "usage_period": "fortnight"}"#, "3 months"),
    ] {
        let refusal = serde_json::from_str::<Price>(json).unwrap_err().to_string();
        assert!(refusal.contains(word), "{json}: {refusal}");
    }
}

#[test]
fn each_mistake_in_an_entry_is_named_by_its_pointer() {
    let cases = [
        (r#"{"model": "unit"}"#, "/unit"),
        (r#"{"model": "unit", "unit": "-1"}"#, "/unit"),
        (r#"{"model": "unit", "unit": "1", "tiers": []}"#, "/tiers"),
        (r#"{"model": "unit", "unit": "1", "percent": "1"}"#, "/percent"),
        (
            r#"{"model": "unit", "unit": "1", "minimum": "5", "maximum": "4"}"#,
            "/minimum",
        ),
        (r#"{"model": "unit", "unit": "1", "maximum": "-4"}"#, "/maximum"),
        (r#"{"model": "unit", "unit": "1", "multiplier": "0"}"#, "/multiplier"),
        (r#"{"model": "package", "amount": "5"}"#, "/size"),
        (r#"{"model": "package", "amount": "5", "size": 0}"#, "/size"),
        (r#"{"model": "package", "size": 5}"#, "/amount"),
        (r#"{"model": "graduated"}"#, "/tiers"),
        (r#"{"model": "graduated", "tiers": []}"#, "/tiers"),
        (
            r#"{"model": "graduated", "tiers": [{"up_to": 5, "unit": "1"}]}"#,
            "/tiers/0/up_to",
        ),
        (
            r#"{"model": "graduated", "tiers": [{"unit": "1"}, {"unit": "1"}]}"#,
            "/tiers/0",
        ),
        (
            r#"{"model": "graduated", "tiers": [{"up_to": 0, "unit": "1"}, {"unit": "1"}]}"#,
            "/tiers/0/up_to",
        ),
        (
            r#"{"model": "volume", "tiers": [{"up_to": 5, "unit": "1"}, {"up_to": 5, "unit": "1"}, {"unit": "1"}]}"#,
            "/tiers/1/up_to",
        ),
        (r#"{"model": "volume", "tiers": [{"flat": "1"}]}"#, "/tiers/0/unit"),
        (
            r#"{"model": "graduated", "tiers": [{"unit": "1", "amount": "1"}]}"#,
            "/tiers/0/amount",
        ),
        (
            r#"{"model": "graduated", "tiers": [{"unit": "1", "flat": "-1"}]}"#,
            "/tiers/0/flat",
        ),
        (
            r#"{"model": "stairstep", "tiers": [{"unit": "1", "amount": "1"}]}"#,
            "/tiers/0/unit",
        ),
        (
            r#"{"model": "stairstep", "tiers": [{"up_to": 1}, {"amount": "1"}]}"#,
            "/tiers/0/amount",
        ),
    ];
    for (json, pointer) in cases {
        let faults = entry(json).understand().unwrap_err();
        assert_eq!(pointers(&faults, Severity::Error), [pointer], "{json}");
        assert!(
            faults
                .iter()
                .all(|fault| !fault.reason.is_empty() && !fault.remedy.is_empty())
        );
    }
}

#[test]
fn row_9_a_stairstep_without_an_open_last_step_is_refused() {
    let closed =
        entry(r#"{"model": "stairstep", "tiers": [{"up_to": 100, "amount": "75"}, {"up_to": 200, "amount": "100"}]}"#);
    assert_eq!(
        pointers(&closed.understand().unwrap_err(), Severity::Error),
        ["/tiers/1/up_to"]
    );
}

#[test]
fn row_7_a_volume_cliff_is_a_warning() {
    let volume = entry(
        r#"{"model": "volume", "tiers": [{"up_to": 1000, "unit": "0.10"}, {"up_to": 10000, "unit": "0.05"}, {"unit": "0.01"}]}"#,
    );
    assert!(volume.understand().is_ok());
    let faults = volume.faults();
    assert_eq!(pointers(&faults, Severity::Warning), ["/tiers/1", "/tiers/2"]);
    assert!(
        faults[0]
            .reason
            .contains("1000 units cost 100, one more unit makes the whole 50.05"),
        "{}",
        faults[0]
    );
}

#[test]
fn what_is_not_built_yet_is_an_error_and_never_ignored() {
    let price: Price = serde_json::from_str(
        r#"{"currency": "USD", "minimum": "10", "commitment": {"amount": "1000", "overage_factor": "1.5"},
            "usage": [{"meter": "payments", "model": "percent", "percent": "2.9", "fixed": "0.30",
                       "per_event": {"min": "0.10", "max": "5"}}]}"#,
    )
    .unwrap();
    assert_eq!(
        pointers(&validate(&price), Severity::Error),
        ["/minimum", "/commitment", "/usage/0/model"]
    );
}

#[test]
fn a_percentage_lies_between_0_and_100() {
    for (percent, errors) in [("101", 2), ("-1", 2), ("100", 1), ("0", 1)] {
        let faults = entry(&format!(r#"{{"model": "percent", "percent": "{percent}"}}"#)).faults();
        assert_eq!(pointers(&faults, Severity::Error).len(), errors, "{percent}");
    }
}

#[test]
fn a_price_names_each_meter_once_and_recurs_in_whole_usage_periods() {
    let price: Price = serde_json::from_str(
        r#"{"currency": "USD", "recurring": {"amount": "-1", "every": "week"},
            "usage": [{"meter": "a", "model": "unit", "unit": "1"}, {"meter": "a", "model": "unit", "unit": "2"},
                      {"model": "unit", "unit": "2"}]}"#,
    )
    .unwrap();
    let expected = [
        "/recurring/amount",
        "/recurring/every",
        "/usage/1/meter",
        "/usage/2/meter",
    ];
    assert_eq!(pointers(&validate(&price), Severity::Error), expected);
}
