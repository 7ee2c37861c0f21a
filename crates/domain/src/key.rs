//! API keys: `tg_live_` or `tg_test_`, 43 characters of base62 (256 bits) and 6 characters of base62 that carry the
//! CRC32 of all that precedes, so that a scanner can tell a key from noise offline.
//!
//! A key is high in entropy, so it is looked up by its SHA-256; neither a slow hash nor a pepper is needed. The whole
//! key exists only in the answer that creates it.

use std::fmt;

use sha2::Digest as _;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 43;
const CHECK: usize = 6;
const PREFIX: usize = 8;

/// Whether a credential works on live or on sandbox upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Real traffic, which is billed.
    #[default]
    Live,
    /// Sandbox traffic, which is never rated.
    Test,
}

impl Mode {
    /// `live` or `test`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// The SHA-256 of a whole key: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Lower-case hexadecimal.
    pub fn to_hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
        self.0
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect()
    }

    /// From 64 hexadecimal characters.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut out = [0_u8; 32];
        for (index, slot) in out.iter_mut().enumerate() {
            *slot = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(out))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl serde::Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> serde::Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal characters"))
    }
}

/// The SHA-256 of a secret of any form (keys, tokens, session cookies).
pub fn hash(secret: &[u8]) -> KeyHash {
    KeyHash(sha2::Sha256::digest(secret).into())
}

/// A whole key. Its `Debug` shows the prefix alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new key from 256 bits of randomness (see [`crate::random::bytes`]).
    pub fn new(mode: Mode, random: [u8; 32]) -> Self {
        let mut text = String::with_capacity(PREFIX + BODY + CHECK);
        text.push_str(prefix_of(mode));
        push_base62(&mut text, random);
        push_check(&mut text);
        Self(text)
    }

    /// Parses a key, which must have the right form and checksum.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != PREFIX + BODY + CHECK
            || !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            return None;
        }
        mode_of(text)?;
        let mut expected = text.get(..PREFIX + BODY)?.to_owned();
        push_check(&mut expected);
        (expected == text).then_some(Self(expected))
    }

    /// Live or test, from the prefix.
    pub fn mode(&self) -> Mode {
        mode_of(&self.0).unwrap_or_default()
    }

    /// What is stored of it.
    pub fn hash(&self) -> KeyHash {
        hash(self.0.as_bytes())
    }

    /// The first 12 characters, which lists may show.
    pub fn prefix(&self) -> &str {
        self.0.get(..12).unwrap_or_default()
    }

    /// The last 4 characters, which lists may show.
    pub fn last4(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }

    /// The whole key, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A secret of another kind in the form of a key: the prefix, 43 characters of base62 (256 bits) and 6 of checksum.
/// Tokens of the Admin API have the prefix `tgt_`.
pub fn secret(prefix: &str, random: [u8; 32]) -> String {
    let mut text = String::with_capacity(prefix.len() + BODY + CHECK);
    text.push_str(prefix);
    push_base62(&mut text, random);
    push_check(&mut text);
    text
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.prefix())
    }
}

const fn prefix_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "tg_live_",
        Mode::Test => "tg_test_",
    }
}

fn mode_of(text: &str) -> Option<Mode> {
    match text.get(..PREFIX)? {
        "tg_live_" => Some(Mode::Live),
        "tg_test_" => Some(Mode::Test),
        _ => None,
    }
}

/// Writes 256 bits as 43 digits of base62, most significant first.
fn push_base62(text: &mut String, mut number: [u8; 32]) {
    let mut digits = [0_u8; BODY];
    for slot in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = (rest << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *slot = BASE62[rest as usize];
    }
    text.extend(digits.iter().map(|&digit| char::from(digit)));
}

fn push_check(text: &mut String) {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECK];
    for slot in digits.iter_mut().rev() {
        *slot = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    text.extend(digits.iter().map(|&digit| char::from(digit)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_parses_again(random: [u8; 32]) {
            let key = ApiKey::new(Mode::Test, random);
            prop_assert_eq!(key.reveal().len(), 57);
            prop_assert_eq!(ApiKey::parse(key.reveal()).map(|key| key.mode()), Some(Mode::Test));
        }

        #[test]
        fn one_changed_character_is_noticed(random: [u8; 32], at in 8_usize..57, to in "[0-9A-Za-z]") {
            let key = ApiKey::new(Mode::Live, random);
            let mut other = key.reveal().to_owned();
            other.replace_range(at..=at, &to);
            prop_assume!(other != key.reveal());
            prop_assert!(ApiKey::parse(&other).is_none());
        }

        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = ApiKey::parse(&text);
        }
    }

    #[test]
    fn debug_output_hides_the_key() {
        let key = ApiKey::new(Mode::Live, [7; 32]);
        assert!(!format!("{key:?}").contains(&key.reveal()[12..]));
        assert_eq!(key.prefix().len(), 12);
    }

    #[test]
    fn different_randomness_gives_different_keys() {
        assert_ne!(
            ApiKey::new(Mode::Live, [1; 32]).hash(),
            ApiKey::new(Mode::Live, [2; 32]).hash()
        );
    }

    #[test]
    fn hexadecimal_hashes_round_trip() {
        let hash = hash(b"secret");
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(KeyHash::from_hex("é"), None);
    }
}
