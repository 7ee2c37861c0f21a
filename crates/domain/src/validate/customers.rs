//! Accounts, consumers, their subscriptions and credentials.

use std::collections::HashSet;

use super::apis::not_built;
use super::findings::{Findings, shown};
use super::known::{Known, Named};
use super::names::{Seen, check_name, check_variable};
use crate::config::{Account, Consumer, ConsumerCredential, Document};
use crate::key::{ApiKey, KeyHash};
use crate::money::Currency;
use crate::period::{AnchorChoice, Zone};

pub(super) fn check_accounts(document: &Document, findings: &mut Findings) {
    let mut seen = Seen::default();
    for (index, account) in document.accounts.iter().enumerate() {
        let at = format!("/accounts/{index}");
        check_name(&format!("{at}/name"), &account.name, findings);
        seen.check(&format!("{at}/name"), "account", ("", &account.name), findings);
        check_account(&at, account, findings);
    }
}

fn check_account(at: &str, account: &Account, findings: &mut Findings) {
    if let Some(email) = account.email.as_deref().filter(|email| !is_email(email)) {
        let reason = format!("{} is not an e-mail address", shown(email));
        findings.error(
            format!("{at}/email"),
            reason,
            "write an address such as name@example.com",
        );
    }
    if let Some(code) = &account.currency {
        check_currency(&format!("{at}/currency"), code, findings);
    }
    if let Some(zone) = account.timezone.as_deref().filter(|zone| zone.parse::<Zone>().is_err()) {
        let reason = format!("{} is not a time zone", shown(zone));
        findings.error(
            format!("{at}/timezone"),
            reason,
            "write a zone of the IANA database such as Europe/Berlin",
        );
    }
    let is_country = |code: &str| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if let Some(code) = account.country.as_deref().filter(|code| !is_country(code)) {
        let reason = format!("{} is not a country code", shown(code));
        findings.error(
            format!("{at}/country"),
            reason,
            "write two capital letters of ISO 3166 such as DE",
        );
    }
}

/// A currency code.
pub(super) fn check_currency(pointer: &str, code: &str, findings: &mut Findings) {
    if code.parse::<Currency>().is_err() {
        let reason = format!("{} is not a currency", shown(code));
        findings.error(pointer, reason, "write a code of ISO 4217 such as USD");
    }
}

fn is_email(email: &str) -> bool {
    let parts = email.split_once('@');
    let looks_right = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    looks_right
        && email.len() <= 254
        && !email
            .chars()
            .any(|letter| letter.is_control() || letter.is_whitespace())
}

pub(super) fn check_consumers(document: &Document, known: &Known<'_>, findings: &mut Findings) {
    let mut seen = Seen::default();
    let mut keys = HashSet::new();
    for (index, consumer) in document.consumers.iter().enumerate() {
        let at = format!("/consumers/{index}");
        check_name(&format!("{at}/name"), &consumer.name, findings);
        seen.check(
            &format!("{at}/name"),
            "consumer of the account",
            (&consumer.account, &consumer.name),
            findings,
        );
        known.refer(&format!("{at}/account"), Named::Account, &consumer.account, findings);
        check_subscriptions(&at, consumer, known, findings);
        for (index, credential) in consumer.credentials.iter().enumerate() {
            let at = format!("{at}/credentials/{index}");
            if let Some(hash) = check_credential(&at, credential, findings)
                && !keys.insert(hash)
            {
                findings.error(
                    at.clone(),
                    "another credential has the same key",
                    "give each a key of its own",
                );
            }
            check_products(&at, (consumer, credential), known, findings);
        }
    }
}

fn check_subscriptions(at: &str, consumer: &Consumer, known: &Known<'_>, findings: &mut Findings) {
    for (index, subscription) in consumer.subscriptions.iter().enumerate() {
        let at = format!("{at}/subscriptions/{index}");
        known.refer_to_plan(&at, (&subscription.product, &subscription.plan), findings);
        if consumer
            .subscriptions
            .iter()
            .take(index)
            .any(|before| before.product == subscription.product)
        {
            let reason = format!(
                "the consumer has a subscription to {} already",
                shown(&subscription.product)
            );
            findings.error(format!("{at}/product"), reason, "keep one of them");
        }
        if let Some(anchor) = subscription
            .anchor
            .as_deref()
            .filter(|anchor| anchor.parse::<AnchorChoice>().is_err())
        {
            let remedy = "write start, calendar or a time of RFC 3339 such as 2027-01-31T00:00:00Z";
            findings.error(
                format!("{at}/anchor"),
                format!("{} is not an anchor", shown(anchor)),
                remedy,
            );
        }
    }
}

/// Checks where a key comes from and gives its hash, where it is known.
fn check_credential(at: &str, credential: &ConsumerCredential, findings: &mut Findings) -> Option<KeyHash> {
    if let Some(word) = not_built(credential.kind) {
        findings.not_built(format!("{at}/type"), &format!("a credential of type {word}"));
        return None;
    }
    let from_key = credential.secret_env.is_some() || credential.secret.is_some();
    match (from_key, credential.hash.is_some()) {
        (false, false) => {
            let remedy = "write secret_env: NAME, the environment variable of the command that applies, or a hash";
            findings.error(at, "the credential has no key", remedy);
        }
        (true, true) => findings.error(
            format!("{at}/hash"),
            "the credential has a key already",
            "remove one of the two",
        ),
        (true, false) | (false, true) => {}
    }
    if let Some(name) = &credential.secret_env {
        check_variable(&format!("{at}/secret_env"), name, findings);
    }
    let Some(secret) = &credential.secret else {
        return credential.hash;
    };
    let Some(key) = ApiKey::parse(secret) else {
        let reason = "the secret is not a key: it is cut short, mistyped or was made elsewhere";
        let remedy = "use a key that begins with tg_live_ or tg_test_ and has all its 57 characters, or write its hash";
        findings.error(format!("{at}/secret"), reason, remedy);
        return None;
    };
    if credential.mode.is_some_and(|mode| mode != key.mode()) {
        let reason = format!("the key is a {} key", key.mode().as_str());
        findings.error(format!("{at}/mode"), reason, "remove `mode`: the key tells it");
    }
    Some(key.hash())
}

fn check_products(
    at: &str,
    (consumer, credential): (&Consumer, &ConsumerCredential),
    known: &Known<'_>,
    findings: &mut Findings,
) {
    for (index, product) in credential.products.iter().enumerate() {
        let pointer = format!("{at}/products/{index}");
        known.refer(&pointer, Named::Product, product, findings);
        let subscribed = consumer
            .subscriptions
            .iter()
            .any(|subscription| subscription.product == *product);
        if !subscribed && known.product(product).is_some() {
            let reason = format!(
                "the consumer has no subscription to {} here, so the key opens nothing",
                shown(product)
            );
            findings.warning(pointer, reason, "add the subscription");
        }
    }
}
