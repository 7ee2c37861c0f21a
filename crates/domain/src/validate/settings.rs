//! Settings of the deployment, and whole lists that are not built yet.

use super::customers::check_currency;
use super::findings::{Findings, shown};
use crate::config::{BillingSettings, Document};

/// Raw facts are kept so long at least, so that an invoice can be looked into while it can be disputed.
const EVIDENCE_DAYS: u32 = 100;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let lists = [
        (
            "/billable_policies",
            "billable_policies",
            document.billable_policies.is_empty(),
        ),
        ("/coupons", "coupons", document.coupons.is_empty()),
        ("/tax_rates", "tax_rates", document.tax_rates.is_empty()),
        ("/partners", "partners", document.partners.is_empty()),
        (
            "/settings/identity_providers",
            "identity_providers",
            document.settings.identity_providers.is_empty(),
        ),
    ];
    for (pointer, name, _) in lists.into_iter().filter(|(_, _, empty)| !empty) {
        findings.not_built(pointer, &format!("`{name}`"));
    }
    check_billing(&document.settings.billing, findings);
}

fn check_billing(billing: &BillingSettings, findings: &mut Findings) {
    let at = "/settings/billing";
    check_currency(&format!("{at}/currency"), &billing.currency, findings);
    if billing.evidence_days < EVIDENCE_DAYS {
        let reason = format!("{} days are too few to answer a dispute", billing.evidence_days);
        findings.error(
            format!("{at}/evidence_days"),
            reason,
            format!("write at least {EVIDENCE_DAYS}"),
        );
    }
    if billing.late_limit < billing.grace {
        let reason = format!(
            "events are late after {} while a period waits for {}",
            billing.late_limit, billing.grace
        );
        findings.error(format!("{at}/late_limit"), reason, "write at least as much as `grace`");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'.');
    if billing.number_prefix.len() > 20 || !billing.number_prefix.bytes().all(fits) {
        let reason = format!("{} cannot begin an invoice number", shown(&billing.number_prefix));
        findings.error(
            format!("{at}/number_prefix"),
            reason,
            "write at most 20 letters, digits, `-`, `_`, `/` or `.`",
        );
    }
    if billing.payment_days > 365 {
        let reason = format!("{} days are more than a year", billing.payment_days);
        findings.error(format!("{at}/payment_days"), reason, "write at most 365");
    }
}
