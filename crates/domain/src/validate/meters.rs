//! Meters.

use super::findings::{Findings, shown};
use super::known::{Known, choice};
use super::names::{Seen, check_slug, is_token};
use crate::config::{Aggregate, Document, Meter, MeterFilter, MeterSource, MeterValueSource};
use crate::limit::REQUESTS;

pub(super) fn check(document: &Document, known: &Known<'_>, findings: &mut Findings) {
    let mut seen = Seen::default();
    for (index, meter) in document.meters.iter().enumerate() {
        let at = format!("/meters/{index}");
        check_slug(&format!("{at}/name"), &meter.name, findings);
        seen.check(&format!("{at}/name"), "meter", ("", &meter.name), findings);
        check_built(&at, meter, findings);
        check_value(&at, meter, findings);
        check_own(&at, meter, findings);
        if let Some(filter) = &meter.filter {
            check_filter(&format!("{at}/filter"), filter, known, findings);
        }
    }
}

fn check_built(at: &str, meter: &Meter, findings: &mut Findings) {
    let aggregate = match meter.aggregate {
        Aggregate::Count | Aggregate::Sum => None,
        Aggregate::Max => Some("max"),
        Aggregate::Unique => Some("unique"),
        Aggregate::Last => Some("last"),
    };
    if let Some(word) = aggregate {
        let reason = format!("the aggregate {word} is not supported yet");
        findings.error(
            format!("{at}/aggregate"),
            reason,
            "write count or sum, or remove the meter",
        );
    }
    if meter.source == MeterSource::Events {
        findings.not_built(format!("{at}/source"), "a meter of events");
    }
    if meter.event_type.is_some() {
        findings.not_built(format!("{at}/type"), "a meter of events");
    }
    if !meter.group_by.is_empty() {
        findings.not_built(format!("{at}/group_by"), "group_by");
    }
}

fn check_value(at: &str, meter: &Meter, findings: &mut Findings) {
    let pointer = format!("{at}/value");
    let right = match (&meter.value, meter.aggregate) {
        (None, Aggregate::Sum) => {
            let remedy = "write value: { response_json: /usage/total_tokens } or { response_header: NAME }";
            findings.error(pointer, "a sum needs a value", remedy);
            return;
        }
        (Some(_), Aggregate::Count) => {
            findings.error(
                pointer,
                "a count has no value",
                "remove `value`, or write aggregate: sum",
            );
            return;
        }
        (None, _) => true,
        (Some(MeterValueSource::ResponseHeader(name)), _) => is_token(name),
        (Some(MeterValueSource::ResponseJson(text)), _) => is_pointer(text),
    };
    if right {
        return;
    }
    match &meter.value {
        Some(MeterValueSource::ResponseHeader(name)) => {
            let reason = format!("{} is not the name of a header", shown(name));
            findings.error(
                format!("{pointer}/response_header"),
                reason,
                "write a name such as X-Tokens",
            );
        }
        Some(MeterValueSource::ResponseJson(text)) => {
            let reason = format!("{} is not a JSON pointer to a number", shown(text));
            findings.error(
                format!("{pointer}/response_json"),
                reason,
                "write a path such as /usage/total_tokens",
            );
        }
        None => {}
    }
}

/// A pointer of RFC 6901 below the whole answer.
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes && text.len() <= 256 && text.split('/').count() <= 32
}

/// The meter that exists without being written means one thing.
fn check_own(at: &str, meter: &Meter, findings: &mut Findings) {
    let plain = meter.aggregate == Aggregate::Count && meter.filter.is_none() && meter.value.is_none();
    if meter.name == REQUESTS && !plain {
        findings.error(
            at,
            "the meter `requests` counts each billable request and nothing else",
            "give this meter another name",
        );
    }
}

fn check_filter(at: &str, filter: &MeterFilter, known: &Known<'_>, findings: &mut Findings) {
    for (index, status) in filter
        .status
        .iter()
        .enumerate()
        .filter(|(_, status)| !is_status(status))
    {
        let reason = format!("{} is not a status", shown(status));
        findings.error(
            format!("{at}/status/{index}"),
            reason,
            "write a status such as 200, or a class such as 2xx",
        );
    }
    if filter.operations.is_empty() {
        return;
    }
    let Some(keys) = known.all_operations() else { return };
    for (index, key) in filter
        .operations
        .iter()
        .enumerate()
        .filter(|(_, key)| !keys.contains(key.as_str()))
    {
        let known: Vec<&str> = keys.iter().copied().collect();
        let reason = format!("no API has an operation {}", shown(key));
        findings.error(format!("{at}/operations/{index}"), reason, choice(key, &known));
    }
}

fn is_status(text: &str) -> bool {
    match text.strip_suffix("xx") {
        Some(class) => matches!(class, "1" | "2" | "3" | "4" | "5"),
        None => text.len() == 3 && text.parse().is_ok_and(|status: u16| (100..=599).contains(&status)),
    }
}
