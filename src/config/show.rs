//! The effective configuration for people, secrets masked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::keys::{KEYS, Kind};
use super::{Origin, Setting};

const MASK: &str = "••••••••";

fn masked(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Secret if !text.is_empty() => MASK.to_owned(),
        Kind::Url => mask_password(text),
        _ => text.to_owned(),
    }
}

/// Hides the password of `scheme://user:password@host`.
fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest.get(..authority_end).and_then(|authority| authority.rfind('@')) else {
        return url.to_owned();
    };
    let (login, host) = rest.split_at(at);
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{MASK}{host}"),
        None => url.to_owned(),
    }
}

/// One line a key: name, value, and where it was set when that is not the default.
pub(crate) fn show(settings: &BTreeMap<&'static str, Setting>) -> String {
    let mut out = String::new();
    for key in KEYS {
        let Some(setting) = settings.get(key.name) else {
            continue;
        };
        let value = masked(key.kind, &setting.text);
        let value = if value.is_empty() { "-".to_owned() } else { value };
        let from = match &setting.origin {
            Origin::Default => String::new(),
            origin => format!("  (from {origin})"),
        };
        let _ = writeln!(out, "{:<30} {value}{from}", key.name);
    }
    out
}

/// One line a key: name, variable, default and meaning.
pub(crate) fn reference() -> String {
    let mut out = String::new();
    for key in KEYS {
        let default = if key.default.is_empty() {
            String::new()
        } else {
            format!(" [{}]", key.default)
        };
        let _ = writeln!(out, "{:<30} {}{default}", key.name, key.help);
    }
    out
}
