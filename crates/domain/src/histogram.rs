//! Latency as a fixed log-linear histogram that can be summed.
//!
//! Values are microseconds. Below 64 each has a bucket of its own; above, each power of two is cut into 32 equal
//! parts, so that the middle of a bucket is within 1.6 % of every value in it. Percentiles come only from summed
//! histograms, never from other percentiles. The layout is that of `HdrHistogram` with five significant bits.

use std::collections::BTreeMap;

const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
const LARGEST: u64 = (1 << 40) - 1;

/// The bucket of a latency in microseconds; anything above twelve days goes into the last one.
#[expect(clippy::cast_possible_truncation, reason = "the largest bucket is 1183")]
pub const fn bucket(micros: u64) -> u16 {
    let value = if micros > LARGEST { LARGEST } else { micros };
    if value < 2 * SUB {
        return value as u16;
    }
    let shift = value.ilog2() - SUB_BITS;
    ((shift as u64 * SUB) + (value >> shift)) as u16
}

/// The lowest value of a bucket and the lowest value of the next one, in microseconds.
pub const fn bounds(bucket: u16) -> (u64, u64) {
    let index = bucket as u64;
    if index < 2 * SUB {
        return (index, index + 1);
    }
    let shift = index / SUB - 1;
    let mantissa = index - shift * SUB;
    (mantissa << shift, (mantissa + 1) << shift)
}

/// Counts by bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    counts: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, micros: u64) {
        self.add(bucket(micros), 1);
    }

    /// Adds `count` values to a bucket.
    pub fn add(&mut self, bucket: u16, count: u64) {
        let slot = self.counts.entry(bucket).or_default();
        *slot = slot.saturating_add(count);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            self.add(*bucket, *count);
        }
    }

    /// The buckets that hold anything, in order of value.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.counts.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// How many values it holds.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The value below which `per_mille` thousandths of the values lie (nearest rank), in microseconds: the middle of
    /// its bucket. `None` when the histogram is empty.
    pub fn quantile(&self, per_mille: u32) -> Option<u64> {
        let total = u128::from(self.count());
        let rank = (total * u128::from(per_mille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        self.counts.iter().find_map(|(bucket, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| middle(*bucket))
        })
    }
}

fn middle(bucket: u16) -> u64 {
    let (low, high) = bounds(bucket);
    low + (high - low) / 2
}

impl FromIterator<(u16, u64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (u16, u64)>>(counts: I) -> Self {
        let mut histogram = Self::default();
        for (bucket, count) in counts {
            histogram.add(bucket, count);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_near_its_middle(micros in 0..=LARGEST) {
            let (low, high) = bounds(bucket(micros));
            prop_assert!(low <= micros && micros < high);
            prop_assert!(middle(bucket(micros)).abs_diff(micros) * 50 <= micros.max(1));
        }

        #[test]
        fn buckets_are_contiguous(index in 0_u16..1100) {
            prop_assert_eq!(bounds(index).1, bounds(index + 1).0);
        }

        #[test]
        fn quantiles_of_a_sum_are_within_two_percent(mut values in proptest::collection::vec(0_u64..10_000_000, 1..200), split in 0_usize..200) {
            let split = split.min(values.len());
            let (mut left, mut right) = (Histogram::default(), Histogram::default());
            values[..split].iter().for_each(|value| left.record(*value));
            values[split..].iter().for_each(|value| right.record(*value));
            left.merge(&right);
            values.sort_unstable();
            for per_mille in [500_u32, 950, 990, 1000] {
                let rank = (values.len() * per_mille as usize).div_ceil(1000).max(1);
                let exact = values[rank - 1];
                let read = left.quantile(per_mille).unwrap();
                prop_assert!(read.abs_diff(exact) * 50 <= exact.max(50), "{} {}", read, exact);
            }
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(500), None);
        assert_eq!(bucket(u64::MAX), bucket(LARGEST));
    }
}
