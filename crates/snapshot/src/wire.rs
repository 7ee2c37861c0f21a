//! The text in which rows travel from the control plane to a gateway and lie in its disk copy.
//!
//! An answer is a [`Header`] and so many rows, each one line of JSON. A row is a [`Change`] with the state of one object
//! at the header's revision. The checksum is the sum of the digests of the *lines* of all objects that exist at that
//! revision, so that versions of the program which know different fields still agree; a delta that does not lead to the
//! sum of its header is refused whole.

use std::collections::HashMap;
use std::fmt;

use domain::clock::Reading;
use domain::key;
use serde::{Deserialize, Serialize};

use crate::source::Change;

/// A sum over lines; equal for equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum(u128);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Checksum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The first line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The revision after the rows.
    pub revision: u64,
    /// The rows are what has changed since this revision; everything where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Rows that follow.
    pub rows: u64,
    /// The sum after the rows.
    pub checksum: Checksum,
    /// The test clock of the deployment, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Reading>,
}

impl Header {
    /// As the line that it is.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Which object a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowKey(u8, u128);

impl RowKey {
    pub(crate) fn of(change: &Change) -> Self {
        match change {
            Change::UpsertApi(record) => Self(0, record.id.bits()),
            Change::RemoveApi(id) => Self(0, id.bits()),
            Change::UpsertMeter(record) => Self(1, record.id.bits()),
            Change::RemoveMeter(id) => Self(1, id.bits()),
            Change::UpsertProduct(record) => Self(2, record.id.bits()),
            Change::RemoveProduct(id) => Self(2, id.bits()),
            Change::UpsertPlanVersion(record) => Self(3, record.id.bits()),
            Change::RemovePlanVersion(id) => Self(3, id.bits()),
            Change::UpsertAnonymous(record) => Self(4, record.api.bits()),
            Change::RemoveAnonymous(id) => Self(4, id.bits()),
            Change::UpsertConsumer(record) => Self(5, record.id.bits()),
            Change::RemoveConsumer(id) => Self(5, id.bits()),
            Change::UpsertKey(record) => Self(6, record.id.bits()),
            Change::RemoveKey(id) => Self(6, id.bits()),
        }
    }
}

/// Whether a row says that its object is gone.
pub(crate) const fn removes(change: &Change) -> bool {
    matches!(
        change,
        Change::RemoveApi(_)
            | Change::RemoveMeter(_)
            | Change::RemoveProduct(_)
            | Change::RemovePlanVersion(_)
            | Change::RemoveAnonymous(_)
            | Change::RemoveConsumer(_)
            | Change::RemoveKey(_)
    )
}

/// A row and the line that it was or will be.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) key: RowKey,
    pub(crate) removes: bool,
    /// Without the line feed.
    pub(crate) text: Box<[u8]>,
}

impl Line {
    /// A row as the line that it will be.
    pub(crate) fn of(change: &Change) -> Self {
        Self {
            key: RowKey::of(change),
            removes: removes(change),
            // Records serialise: none has a map with other keys than text, none a number that JSON does not know.
            text: serde_json::to_vec(change).unwrap_or_default().into_boxed_slice(),
        }
    }

    /// A line as the row that it was.
    pub(crate) fn read(text: &[u8]) -> Result<(Self, Change), serde_json::Error> {
        let change: Change = serde_json::from_slice(text)?;
        let line = Self {
            key: RowKey::of(&change),
            removes: removes(&change),
            text: text.into(),
        };
        Ok((line, change))
    }
}

/// The digests of all lines of one state, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    digests: HashMap<RowKey, u128>,
    sum: u128,
}

/// What [`Sums::take`] has replaced, so that it can be undone.
pub(crate) type Undo = Vec<(RowKey, Option<u128>)>;

impl Sums {
    pub(crate) const fn checksum(&self) -> Checksum {
        Checksum(self.sum)
    }

    /// Takes up lines; of several about one object the last counts.
    pub(crate) fn take<'l>(&mut self, lines: impl IntoIterator<Item = &'l Line>) -> Undo {
        let put = |line: &'l Line| {
            let digest = (!line.removes).then(|| digest(&line.text));
            (line.key, self.put(line.key, digest))
        };
        lines.into_iter().map(put).collect()
    }

    /// Undoes what was taken last.
    pub(crate) fn undo(&mut self, undo: Undo) {
        for (key, digest) in undo.into_iter().rev() {
            self.put(key, digest);
        }
    }

    fn put(&mut self, key: RowKey, digest: Option<u128>) -> Option<u128> {
        let before = match digest {
            Some(digest) => self.digests.insert(key, digest),
            None => self.digests.remove(&key),
        };
        self.sum = self
            .sum
            .wrapping_sub(before.unwrap_or(0))
            .wrapping_add(digest.unwrap_or(0));
        before
    }
}

fn digest(line: &[u8]) -> u128 {
    let bytes = key::hash(line).0;
    bytes.first_chunk::<16>().map_or(0, |half| u128::from_le_bytes(*half))
}
