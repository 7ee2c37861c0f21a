//! Identities of producers and of kernel boots.

use std::{fmt, fs, io, process::Command, str::FromStr};

/// Reads 32 hexadecimal digits; dashes are skipped, anything else is refused.
fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    let mut digits = 0_usize;
    for c in text.chars().filter(|c| *c != '-') {
        let value = u8::try_from(c.to_digit(16)?).ok()?;
        let slot = bytes.get_mut(digits / 2)?;
        *slot = (*slot << 4) | value;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

fn write_hex(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Who wrote a record: a fresh random 128-bit id for each boot of each worker. Never resumed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId([u8; 16]);

impl ProducerId {
    /// A new random id from the operating system's generator.
    pub fn fresh() -> io::Result<Self> {
        random().map(Self)
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the id, in the order in which they are printed.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.0, f)
    }
}

impl fmt::Debug for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.0, f)
    }
}

/// The text is not a producer id: 32 hexadecimal digits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a producer id is 32 hexadecimal digits")]
pub struct NotAProducerId;

impl FromStr for ProducerId {
    type Err = NotAProducerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 {
            return Err(NotAProducerId);
        }
        parse_hex(text).map(Self).ok_or(NotAProducerId)
    }
}

/// One run of the operating system's kernel. While it is the same, everything that was written is still
/// there, synced or not; after another boot only what was synced is certain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId([u8; 16]);

impl BootId {
    /// The running kernel's boot: `/proc/sys/kernel/random/boot_id` on Linux, `kern.bootsessionuuid` on macOS.
    /// Where neither exists a random id stands in, so that an unclean end is taken for a power loss
    /// rather than missed.
    pub fn current() -> io::Result<Self> {
        if let Some(id) = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| parse_hex(text.trim()))
        {
            return Ok(Self(id));
        }
        let session = Command::new("/usr/sbin/sysctl")
            .args(["-n", "kern.bootsessionuuid"])
            .output();
        if let Some(id) = session
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .and_then(|text| parse_hex(text.trim()))
        {
            return Ok(Self(id));
        }
        random().map(Self)
    }

    /// The boot with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the boot id.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_id_survives_its_text() {
        let id = ProducerId::fresh().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_texts_are_no_producer_ids() {
        for text in [
            "",
            "12",
            "gone-00112233445566778899aabbccdd",
            "00112233445566778899aabbccddeegg",
        ] {
            assert_eq!(text.parse::<ProducerId>(), Err(NotAProducerId), "{text}");
        }
    }

    #[test]
    fn the_boot_is_the_same_when_asked_twice() {
        assert_eq!(BootId::current().unwrap(), BootId::current().unwrap());
    }
}
