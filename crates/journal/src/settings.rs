//! How a journal is set up.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    BootId, Error,
    disk::FaultHook,
    format::{CLOSE_FRAME, DATA_START, FRAME_HEAD, MAX_PAYLOAD},
};

/// Wall clock: milliseconds since the Unix epoch.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Settings of one journal.
#[derive(Clone)]
pub struct Settings {
    /// The folder of the journal (`{data_dir}/journal`); made when absent.
    pub dir: PathBuf,
    /// Name of the node, stored in each segment (cut at 128 bytes).
    pub node: String,
    /// Size of a segment file in bytes, 16 KiB to 1 GiB. Default 16 MiB.
    pub segment_bytes: u64,
    /// Bound on all files of all producers together. Default 8 GiB; at least two segments for each writer.
    pub max_bytes: u64,
    /// Largest payload of a record; never more than about a quarter of a segment. Default 64 KiB.
    pub max_record_bytes: u32,
    /// How many segments are prepared ahead of the one in use. Default 1.
    pub ahead: u32,
    /// How often written records are synced to the disk. Default 100 ms.
    pub fsync_every: Duration,
    /// Bound on the payload bytes that wait in memory, for each writer, while writing fails. Default 1 MiB.
    pub queue_bytes: usize,
    /// Where the time of sync notes and segment headers comes from.
    pub clock: WallClock,
    /// The kernel's boot that this process runs in.
    pub boot: BootId,
    /// Called before each operation on the disk; for fault tests. Default none.
    pub faults: Option<FaultHook>,
}

impl Settings {
    /// The defaults for a journal in `dir`. Fails when neither the kernel nor the random generator gives a boot id.
    pub fn new(dir: impl Into<PathBuf>, clock: WallClock) -> io::Result<Self> {
        Ok(Self {
            dir: dir.into(),
            node: String::new(),
            segment_bytes: 16 << 20,
            max_bytes: 8 << 30,
            max_record_bytes: 64 << 10,
            ahead: 1,
            fsync_every: Duration::from_millis(100),
            queue_bytes: 1 << 20,
            clock,
            boot: BootId::current()?,
            faults: None,
        })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(16 << 10..=1 << 30).contains(&self.segment_bytes) {
            return Err(Error::Settings("segment_bytes must be 16 KiB to 1 GiB"));
        }
        if self.ahead == 0 || self.ahead > 64 {
            return Err(Error::Settings("ahead must be 1 to 64"));
        }
        if self.max_bytes < 2 * self.segment_bytes {
            return Err(Error::Settings("max_bytes must hold two segments"));
        }
        if self.fsync_every.is_zero() {
            return Err(Error::Settings("fsync_every must be above zero"));
        }
        Ok(())
    }

    /// Bytes of one segment that records may use; the room of the close record is kept apart.
    pub(crate) const fn usable(&self) -> u64 {
        self.segment_bytes - DATA_START - CLOSE_FRAME
    }

    /// Largest framed record. A quarter of a segment bounds what is wasted when a record does not fit.
    pub(crate) fn max_frame(&self) -> u64 {
        let wanted = u64::from(self.max_record_bytes.min(MAX_PAYLOAD)) + FRAME_HEAD;
        wanted.min(self.usable() / 4)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("dir", &self.dir)
            .field("node", &self.node)
            .field("segment_bytes", &self.segment_bytes)
            .field("max_bytes", &self.max_bytes)
            .field("fsync_every", &self.fsync_every)
            .finish_non_exhaustive()
    }
}
