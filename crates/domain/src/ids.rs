//! Prefixed, sortable identifiers.
//!
//! Every id is 128 bits laid out as UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness. Its text form is a
//! prefix that names the kind, an underscore and 26 characters of Crockford base32 in lower case, so that ids sort by
//! creation as text too. An id that arrives from outside is parsed into its type and never used as a path or a query.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ and 26 characters of base32")]
pub struct ParseIdError {
    prefix: &'static str,
}

/// Lays out 128 bits as UUIDv7 from a time and 80 bits of randomness.
pub fn uuid_v7(now: Timestamp, random: [u8; 10]) -> u128 {
    uuid::Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &random)
        .into_uuid()
        .as_u128()
}

fn encode(bits: u128) -> [u8; DIGITS] {
    let mut out = [0_u8; DIGITS];
    let mut rest = bits;
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    out
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != DIGITS {
        return None;
    }
    let mut bits = 0_u128;
    for (position, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&known| known == byte)?;
        if position == 0 && digit > 7 {
            return None;
        }
        bits = (bits << 5) | digit as u128;
    }
    Some(bits)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// The prefix of the text form, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id of this time and these 80 bits of randomness (see [`crate::random::bytes`]).
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The id with these 128 bits.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits.
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str("_")?;
                f.write_str(std::str::from_utf8(&encode(self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(ParseIdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_u128(self.0)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    u128::deserialize(deserializer).map(Self)
                }
            }
        }
    )*};
}

ids! {
    /// A paying organisation.
    AccountId = "acc";
    /// An application of an account.
    ConsumerId = "con";
    /// A credential of a consumer.
    CredentialId = "cred";
    /// A consumer's subscription to one plan version of a product.
    SubscriptionId = "sub";
    /// An API with its upstream.
    ApiId = "api";
    /// A product.
    ProductId = "prod";
    /// A plan of a product.
    PlanId = "plan";
    /// A published version of a plan; never changes.
    PlanVersionId = "pv";
    /// A meter.
    MeterId = "mtr";
    /// A person who logs in.
    UserId = "usr";
    /// A token of the Admin API.
    TokenId = "tok";
    /// An invoice.
    InvoiceId = "inv";
    /// A line of an invoice.
    InvoiceLineId = "il";
    /// A credit note.
    CreditNoteId = "cn";
    /// A payment.
    PaymentId = "pay";
    /// A billing run.
    RunId = "run";
    /// A rating run of one period.
    RatingRunId = "rr";
    /// One charge of a rating run.
    ChargeLineId = "chl";
    /// A period of a subscription.
    PeriodId = "per";
    /// An entry of the money ledger.
    LedgerEntryId = "le";
    /// An audit event.
    AuditEventId = "aud";
    /// An invitation.
    InvitationId = "itn";
    /// A gateway node.
    NodeId = "node";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_form_round_trips(bits: u128) {
            let id = AccountId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        }

        #[test]
        fn text_sorts_as_the_bits_do(a: u128, b: u128) {
            let (a, b) = (SubscriptionId::from_bits(a), SubscriptionId::from_bits(b));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = text.parse::<InvoiceId>();
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = AccountId::from_bits(7).to_string();
        assert!(id.parse::<ConsumerId>().is_err());
        assert!(format!("{id}x").parse::<AccountId>().is_err());
        assert!("acc_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<AccountId>().is_err());
    }
}
