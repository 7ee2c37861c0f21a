//! Secrets at rest: sealed with the deployment's master key (XChaCha20-Poly1305), bound to the object they belong to.
//!
//! The text form is `v1.` and hexadecimal of a 24-byte nonce and the ciphertext. The context (such as
//! `api/ID/upstream-auth`) is authenticated, so that a sealed value cannot be moved to another object. Where the master
//! key comes from is decided elsewhere.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize as _, Zeroizing};

const VERSION: &str = "v1.";
const NONCE: usize = 24;

/// Why a sealed value did not open. It never says anything about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not the text form of a sealed value.
    #[error("not a sealed value")]
    Form,
    /// Sealed with another master key, for another object, or changed since.
    #[error("the sealed value does not open with this master key")]
    Refused,
    /// The secret could not be sealed.
    #[error("the secret could not be sealed")]
    Sealing,
}

/// The key of all sealed values of a deployment. Its `Debug` shows nothing, its memory is wiped.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// From 32 random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Seals a secret for the object named by `context`, with 24 random bytes (see [`crate::random::bytes`]).
    ///
    /// # Errors
    /// [`SealError::Sealing`] for secrets of more than 256 GiB.
    pub fn seal(&self, context: &str, secret: &[u8], random: [u8; NONCE]) -> Result<Sealed, SealError> {
        let payload = Payload {
            msg: secret,
            aad: context.as_bytes(),
        };
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(random), payload)
            .map_err(|_| SealError::Sealing)?;
        let mut bytes = random.to_vec();
        bytes.extend_from_slice(&ciphertext);
        Ok(Sealed(bytes))
    }

    /// Opens what was sealed for the same object.
    ///
    /// # Errors
    /// [`SealError::Refused`] for another key, another object or changed bytes.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, ciphertext) = sealed.0.split_first_chunk::<NONCE>().ok_or(SealError::Form)?;
        let payload = Payload {
            msg: ciphertext,
            aad: context.as_bytes(),
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Refused)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.0))
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A sealed secret: safe to store and to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl std::str::FromStr for Sealed {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let digits = text.strip_prefix(VERSION).ok_or(SealError::Form)?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
            .collect();
        match bytes {
            Some(bytes) if rest.is_empty() && bytes.len() > NONCE => Ok(Self(bytes)),
            _ => Err(SealError::Form),
        }
    }
}

impl serde::Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sealed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_again(key: [u8; 32], random: [u8; 24], secret in proptest::collection::vec(any::<u8>(), 0..80)) {
            let key = MasterKey::new(key);
            let sealed = key.seal("api/1", &secret, random).unwrap();
            let read: Sealed = sealed.to_string().parse().unwrap();
            prop_assert_eq!(&*key.open("api/1", &read).unwrap(), &secret);
        }

        #[test]
        fn one_changed_byte_is_noticed(at in 0_usize..46, flip in 1_u8..) {
            let key = MasterKey::new([3; 32]);
            let mut sealed = key.seal("api/1", b"secret", [9; 24]).unwrap();
            sealed.0[at] ^= flip;
            prop_assert_eq!(key.open("api/1", &sealed), Err(SealError::Refused));
        }

        #[test]
        fn parsing_never_panics(text in "(v1\\.)?\\PC{0,80}") {
            let _ = text.parse::<Sealed>();
        }
    }

    #[test]
    fn a_value_does_not_open_for_another_object_or_key() {
        let key = MasterKey::new([1; 32]);
        let sealed = key.seal("api/1", b"secret", [2; 24]).unwrap();
        assert_eq!(key.open("api/2", &sealed), Err(SealError::Refused));
        assert_eq!(MasterKey::new([2; 32]).open("api/1", &sealed), Err(SealError::Refused));
        assert!(!format!("{key:?} {sealed:?} {sealed}").contains("secret"));
    }
}
