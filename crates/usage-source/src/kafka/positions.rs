//! How far each producer was shipped, beside the journal. A hint: lost, records are sent again and recognised as such.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use journal::ProducerId;

const FILE: &str = "shipped";

/// What is known of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shipped {
    /// The partition that its records are in.
    pub(crate) partition: u32,
    /// All below was acknowledged.
    pub(crate) next_seq: u64,
}

/// The file `shipped` in the folder of the journal: a line `topic NAME`, then `PRODUCER PARTITION NEXT` each.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    topic: String,
    written: String,
}

impl Positions {
    pub(crate) fn new(journal: &Path, topic: &str) -> Self {
        Self {
            path: journal.join(FILE),
            topic: topic.to_owned(),
            written: String::new(),
        }
    }

    /// What an earlier run noted. Of another topic the partitions mean nothing, so there is nothing to know.
    pub(crate) fn read(&self) -> BTreeMap<ProducerId, Shipped> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next().and_then(|line| line.strip_prefix("topic ")) != Some(self.topic.as_str()) {
            return BTreeMap::new();
        }
        lines.filter_map(parse).collect()
    }

    /// Notes how far everything is, when that is news.
    pub(crate) fn write(&mut self, all: impl Iterator<Item = (ProducerId, Shipped)>) -> io::Result<()> {
        let mut text = format!("topic {}\n", self.topic);
        for (producer, shipped) in all {
            let _ = writeln!(text, "{producer} {} {}", shipped.partition, shipped.next_seq);
        }
        if text == self.written {
            return Ok(());
        }
        let draft = self.path.with_extension("new");
        fs::write(&draft, &text)?;
        fs::rename(&draft, &self.path)?;
        self.written = text;
        Ok(())
    }
}

fn parse(line: &str) -> Option<(ProducerId, Shipped)> {
    let mut words = line.split(' ');
    let producer = words.next()?.parse().ok()?;
    let shipped = Shipped {
        partition: words.next()?.parse().ok()?,
        next_seq: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some((producer, shipped))
}

/// The partition of a producer that was never sent: the same for the same id and number of partitions. Ids are random.
pub(crate) fn partition_for(producer: ProducerId, partitions: u32) -> u32 {
    let hash = crc32c::crc32c(&producer.to_bytes());
    hash % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_again_for_the_same_topic_only() {
        let dir = tempfile::tempdir().unwrap();
        let one = (
            ProducerId::from_bytes([1; 16]),
            Shipped {
                partition: 4,
                next_seq: 99,
            },
        );
        Positions::new(dir.path(), "usage").write([one].into_iter()).unwrap();
        assert_eq!(Positions::new(dir.path(), "usage").read(), BTreeMap::from([one]));
        assert_eq!(Positions::new(dir.path(), "other").read(), BTreeMap::new());
    }

    #[test]
    fn a_torn_file_is_read_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let id = ProducerId::from_bytes([1; 16]);
        fs::write(dir.path().join(FILE), format!("topic usage\n{id} 4 99\n{id} 5")).unwrap();
        assert_eq!(Positions::new(dir.path(), "usage").read().len(), 1);
        assert!(Positions::new(&dir.path().join("absent"), "usage").read().is_empty());
    }

    #[test]
    fn producers_are_spread_and_stay_where_they_are() {
        let mut counts = [0_u32; 12];
        for n in 0..1_200_u32 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            let id = ProducerId::from_bytes(bytes);
            assert_eq!(partition_for(id, 12), partition_for(id, 12));
            counts[partition_for(id, 12) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (60..160).contains(count)), "{counts:?}");
    }
}
