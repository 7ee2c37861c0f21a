//! How far each producer is sent and acknowledged.

use std::collections::{BTreeMap, VecDeque};

use journal::{Journal, Producer, ProducerId};

use crate::kafka::positions::{Positions, Shipped, partition_for};
use crate::{Error, Segments, UsageSource as _};

/// What a message in flight was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// That the producer exists.
    Opened,
    /// Everything below this number.
    UpTo(u64),
    /// That the producer has ended.
    Ended,
}

/// One producer.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What messages say of it.
    pub(crate) about: Producer,
    pub(crate) partition: u32,
    pub(crate) opened: bool,
    pub(crate) end_sent: bool,
    acked: u64,
    /// In the order of sending, with whether it was acknowledged.
    flight: VecDeque<(Sent, bool)>,
}

/// All producers of the journal.
#[derive(Debug)]
pub(crate) struct Lanes {
    positions: Positions,
    known: BTreeMap<ProducerId, Shipped>,
    lanes: BTreeMap<ProducerId, Lane>,
}

impl Lanes {
    /// Begins where an earlier run noted; without a note, with the oldest record that is here.
    pub(crate) fn new(journal: &Journal, topic: &str) -> Self {
        let positions = Positions::new(journal.dir(), topic);
        let mut known = positions.read();
        // Whoever has vanished from the journal is shipped to its end.
        known.retain(|producer, _| journal.recovered().iter().any(|tail| tail.producer == *producer));
        for tail in journal.recovered() {
            if let Some(shipped) = known.get_mut(&tail.producer) {
                shipped.next_seq = shipped.next_seq.max(tail.first_seq);
            }
        }
        Self {
            positions,
            known,
            lanes: BTreeMap::new(),
        }
    }

    /// Forgets what is in flight: a new session sends from what was acknowledged.
    pub(crate) fn rewind(&mut self, segments: &mut Segments, first: &BTreeMap<ProducerId, u64>) {
        self.remember();
        self.lanes.clear();
        segments.rewind();
        for (&producer, &first) in first {
            segments.resume(producer, first);
        }
        for (&producer, shipped) in &self.known {
            segments.resume(producer, shipped.next_seq);
        }
    }

    fn remember(&mut self) {
        for (&producer, lane) in &self.lanes {
            self.known.insert(producer, lane.shipped());
        }
    }

    /// Notes on disk how far everything is.
    pub(crate) fn note(&mut self) {
        self.remember();
        let all = self.known.iter().map(|(producer, shipped)| (*producer, *shipped));
        if let Err(error) = self.positions.write(all) {
            tracing::warn!(%error, "how far usage is shipped cannot be noted; after a restart some is sent again");
        }
    }

    /// The lane of a producer; it gets its partition when it is first seen.
    pub(crate) fn lane(&mut self, about: &Producer, partitions: u32) -> &mut Lane {
        let known = self.known.get(&about.producer);
        self.lanes.entry(about.producer).or_insert_with(|| Lane {
            about: about.clone(),
            partition: known
                .map(|known| known.partition)
                .filter(|partition| *partition < partitions)
                .unwrap_or_else(|| partition_for(about.producer, partitions)),
            opened: false,
            end_sent: false,
            acked: known.map_or(0, |known| known.next_seq),
            flight: VecDeque::new(),
        })
    }

    /// A lane that is there.
    pub(crate) fn get(&mut self, producer: ProducerId) -> Option<&mut Lane> {
        self.lanes.get_mut(&producer)
    }

    /// Takes an acknowledgement and frees what it frees.
    ///
    /// The last record of a producer is kept until its end is acknowledged too: with everything freed it would vanish
    /// from the journal, and nobody would tell metering that it has ended.
    pub(crate) fn acknowledge(
        &mut self,
        producer: ProducerId,
        sent: Sent,
        segments: &mut Segments,
    ) -> Result<(), Error> {
        let Some(lane) = self.lanes.get_mut(&producer) else {
            return Ok(());
        };
        let mut ended = false;
        if let Some(flight) = lane.flight.iter_mut().find(|flight| flight.0 == sent && !flight.1) {
            flight.1 = true;
        }
        while let Some((sent, true)) = lane.flight.front().copied() {
            lane.flight.pop_front();
            match sent {
                Sent::Opened => {}
                Sent::UpTo(next) => lane.acked = lane.acked.max(next),
                Sent::Ended => ended = true,
            }
        }
        if ended {
            segments.ack(producer, lane.acked)?;
            self.lanes.remove(&producer);
            self.known.remove(&producer);
            Ok(())
        } else {
            segments.ack(producer, lane.acked.saturating_sub(1))
        }
    }

    /// Records in the journal that are not acknowledged.
    pub(crate) fn unshipped(&self, journal: &Journal) -> u64 {
        let acked = |producer: &ProducerId| {
            let lane = self.lanes.get(producer).map(|lane| lane.acked);
            lane.or_else(|| self.known.get(producer).map(|known| known.next_seq))
                .unwrap_or(0)
        };
        let ends = journal.positions().into_iter();
        ends.map(|end| end.next_seq.saturating_sub(acked(&end.producer))).sum()
    }
}

impl Lane {
    const fn shipped(&self) -> Shipped {
        Shipped {
            partition: self.partition,
            next_seq: self.acked,
        }
    }

    /// Notes a message as sent.
    pub(crate) fn sent(&mut self, sent: Sent) {
        match sent {
            Sent::Opened => self.opened = true,
            Sent::Ended => self.end_sent = true,
            Sent::UpTo(_) => {}
        }
        self.flight.push_back((sent, false));
    }

    /// The number after the last record that was sent.
    pub(crate) fn next(&self) -> u64 {
        let sent = self.flight.iter().rev().find_map(|(sent, _)| match sent {
            Sent::UpTo(next) => Some(*next),
            Sent::Opened | Sent::Ended => None,
        });
        sent.unwrap_or(self.acked).max(self.acked)
    }
}
