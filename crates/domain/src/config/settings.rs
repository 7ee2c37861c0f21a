//! Settings of the whole deployment: sign-up, the seller's identity, billing.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::span::Span;

/// Settings of the deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who may sign up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup: Option<Signup>,
    /// The seller's name on pages and invoices.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub branding: IndexMap<String, serde_json::Value>,
    /// The seller's legal identity: name, address, `tax_ids`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub legal: IndexMap<String, serde_json::Value>,
    /// Texts of mails.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub mail: IndexMap<String, serde_json::Value>,
    /// Billing.
    #[serde(default, skip_serializing_if = "BillingSettings::is_default")]
    pub billing: BillingSettings,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<serde_json::Value>,
}

/// What the portal is called until it has a name.
const PORTAL: &str = "Tollgate";

impl Settings {
    /// What the portal is called: the name of the brand.
    pub fn portal_name(&self) -> &str {
        text(&self.branding, "name").unwrap_or(PORTAL)
    }

    /// Who invoices come from: the legal name, or else what the portal is called.
    pub fn seller_name(&self) -> &str {
        text(&self.legal, "name").unwrap_or_else(|| self.portal_name())
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A text that is not empty.
fn text<'a>(map: &'a IndexMap<String, serde_json::Value>, name: &str) -> Option<&'a str> {
    map.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signup {
    /// Everyone.
    Open,
    /// Whoever is invited.
    Invitation,
}

/// How a part of a period is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProrationUnit {
    /// Seconds.
    #[default]
    Second,
    /// Days of the account's zone.
    Day,
}

/// Billing of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BillingSettings {
    /// Currency of accounts that name none.
    pub currency: String,
    /// How long a closed period waits for producers that have not passed its end.
    pub grace: Span,
    /// How late an event may be and still be billed.
    pub late_limit: Span,
    /// How long the requests behind an invoice are kept after its date.
    pub evidence_days: u32,
    /// How a part of a period is measured.
    pub proration: ProrationUnit,
    /// What is due in advance waits for the usage of the period before it.
    pub combine: bool,
    /// Prefix of invoice numbers.
    pub number_prefix: String,
    /// Days until an invoice is due.
    pub payment_days: u32,
}

impl Default for BillingSettings {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            grace: Span::from_millis(3_600_000),
            late_limit: Span::from_millis(35 * 86_400_000),
            evidence_days: 120,
            proration: ProrationUnit::Second,
            combine: false,
            number_prefix: "INV-".to_owned(),
            payment_days: 14,
        }
    }
}

impl BillingSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
