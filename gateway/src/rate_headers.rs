//! How much a caller has left, in the fields of the answer.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-09 and later (structured fields,
//! RFC 9651), and `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) for older clients; all tell of the tightest
//! limit, the policy field of every one.

use std::fmt::Write as _;

use counters::{Refused, Tightest};
use domain::enforce::EnforcedLimit;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::value_of;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// A structured-field string (RFC 9651): whatever it cannot hold becomes `_`, as in the policy.
fn push_name(text: &mut String, key: &str) {
    text.push('"');
    text.extend(key.chars().map(|c| {
        if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') {
            c
        } else {
            '_'
        }
    }));
    text.push('"');
}

/// Says what is left under the tightest limit.
pub(crate) fn state(headers: &mut HeaderMap, limits: &[EnforcedLimit], tightest: &Tightest) {
    if let Some(limit) = limits.get(usize::from(tightest.index)) {
        set(
            headers,
            &limit.key,
            (tightest.limit, tightest.remaining, tightest.reset_s),
        );
    }
}

/// Says which limit refused.
pub(crate) fn state_refused(headers: &mut HeaderMap, refused: &Refused) {
    set(
        headers,
        &refused.key,
        (refused.limit, refused.remaining, refused.retry_after_s),
    );
}

/// Adds the policy of the limits that apply.
pub(crate) fn state_policy(headers: &mut HeaderMap, policy: &str) {
    if !policy.is_empty() {
        headers.insert(RATELIMIT_POLICY, value_of(policy));
    }
}

/// Says in one answer what was to be said in another, in whose place it stands.
pub(crate) fn carry_over(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [
        RATELIMIT_POLICY,
        RATELIMIT,
        X_RATELIMIT_LIMIT,
        X_RATELIMIT_REMAINING,
        X_RATELIMIT_RESET,
    ] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

fn set(headers: &mut HeaderMap, key: &str, (limit, remaining, reset_s): (u64, u64, u64)) {
    let mut text = String::with_capacity(key.len() + 32);
    push_name(&mut text, key);
    let _never_fails = write!(text, ";r={remaining};t={reset_s}");
    headers.insert(RATELIMIT, value_of(&text));
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(remaining));
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(reset_s));
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::enforce::EnforcedRule;

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let rule = EnforcedRule::Fixed {
            requests: 1_000,
            window_ns: 1_000_000_000,
        };
        let limits = [EnforcedLimit {
            key: "requests/second@a\"b".into(),
            rule,
        }];
        let mut headers = HeaderMap::new();
        state(
            &mut headers,
            &limits,
            &Tightest {
                index: 0,
                limit: 1_000,
                remaining: 7,
                reset_s: 86_400,
            },
        );
        state_policy(&mut headers, "\"requests/second\";q=1000;w=1");
        assert_eq!(headers["ratelimit-policy"], "\"requests/second\";q=1000;w=1");
        assert_eq!(headers["ratelimit"], r#""requests/second@a_b";r=7;t=86400"#);
        assert_eq!(headers["x-ratelimit-limit"], "1000");
        assert_eq!(headers["x-ratelimit-remaining"], "7");
        assert_eq!(headers["x-ratelimit-reset"], "86400");
    }
}
