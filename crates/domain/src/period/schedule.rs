//! The periods of a subscription, through changes of its zone.

use serde::{Deserialize, Serialize};

use super::{Anchor, Every, Period, PeriodError, Zone};
use crate::clock::Timestamp;

/// Steps that correct an estimate before it is given up: an estimate is off by a period or two, after changes between
/// zones a day apart by a few.
const CORRECTIONS: u32 = 16;

/// The periods of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    anchor: Anchor,
    every: Every,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    zone_changes: Vec<ZoneChange>,
}

/// A change of the zone. The period that is running keeps its end; the next starts there and ends by the new zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// When it was made.
    pub at: Timestamp,
    /// The zone from the next boundary on.
    pub zone: Zone,
}

/// From period `from` on, boundaries follow `zone`; none lies before `floor`.
struct Era<'a> {
    from: i64,
    floor: Timestamp,
    zone: &'a Zone,
}

impl Schedule {
    /// Periods of one length from an anchor.
    pub const fn new(anchor: Anchor, every: Every) -> Self {
        Self {
            anchor,
            every,
            zone_changes: Vec::new(),
        }
    }

    /// The same periods up to the end of the one in which `at` lies, by another zone after it. A change at a boundary
    /// takes effect there. Changes apply in the order of their instants.
    #[must_use]
    pub fn with_zone_change(mut self, at: Timestamp, zone: Zone) -> Self {
        self.zone_changes.push(ZoneChange { at, zone });
        self.zone_changes.sort_by_key(|change| change.at);
        self
    }

    /// The anchor.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The length of a period.
    pub const fn every(&self) -> Every {
        self.every
    }

    /// The changes of the zone, in the order of their instants.
    pub fn zone_changes(&self) -> &[ZoneChange] {
        &self.zone_changes
    }

    /// Period `k`; `None` where the boundaries fall together (a day that a zone left out of its calendar, or that a
    /// change of the zone swallowed).
    ///
    /// # Errors
    /// [`PeriodError::OutOfRange`].
    pub fn period(&self, k: i64) -> Result<Option<Period>, PeriodError> {
        self.between(&self.eras()?, k, (k, k.checked_add(1).ok_or(PeriodError::OutOfRange)?))
    }

    /// The period in which an instant lies.
    ///
    /// # Errors
    /// [`PeriodError::OutOfRange`].
    pub fn period_at(&self, instant: Timestamp) -> Result<Period, PeriodError> {
        self.find(&self.eras()?, instant)
    }

    /// The zone that decides the end of period `k`, and shows its dates.
    ///
    /// # Errors
    /// [`PeriodError::OutOfRange`].
    pub fn zone_of(&self, k: i64) -> Result<Zone, PeriodError> {
        let eras = self.eras()?;
        Ok(eras
            .iter()
            .rev()
            .find(|era| era.from <= k)
            .map_or(&self.anchor.zone, |era| era.zone)
            .clone())
    }

    /// Period `j` of a longer length: `n` periods from number `j * n` on. A recurring amount is due for such a period.
    ///
    /// # Errors
    /// [`PeriodError::NotAMultiple`] or [`PeriodError::OutOfRange`].
    pub fn longer(&self, whole: Every, j: i64) -> Result<Option<Period>, PeriodError> {
        let n = self.times(whole)?;
        let first = j.checked_mul(n).ok_or(PeriodError::OutOfRange)?;
        let next = first.checked_add(n).ok_or(PeriodError::OutOfRange)?;
        self.between(&self.eras()?, j, (first, next))
    }

    /// The period of a longer length in which an instant lies.
    ///
    /// # Errors
    /// [`PeriodError::NotAMultiple`] or [`PeriodError::OutOfRange`].
    pub fn longer_at(&self, whole: Every, instant: Timestamp) -> Result<Period, PeriodError> {
        let n = self.times(whole)?;
        let j = self.period_at(instant)?.k.div_euclid(n);
        self.longer(whole, j)?.ok_or(PeriodError::OutOfRange)
    }

    fn times(&self, whole: Every) -> Result<i64, PeriodError> {
        whole.times(self.every).map(i64::from).ok_or(PeriodError::NotAMultiple {
            whole,
            part: self.every,
        })
    }

    /// The eras of the zones after the first.
    fn eras(&self) -> Result<Vec<Era<'_>>, PeriodError> {
        let mut eras = Vec::with_capacity(self.zone_changes.len());
        for change in &self.zone_changes {
            let last = self.find(&eras, change.at.plus_millis(-1))?;
            eras.push(Era {
                from: last.k + 1,
                floor: last.end,
                zone: &change.zone,
            });
        }
        Ok(eras)
    }

    fn boundary(&self, eras: &[Era<'_>], k: i64) -> Result<Timestamp, PeriodError> {
        let era = eras.iter().rev().find(|era| era.from <= k);
        if let Some(era) = era.filter(|era| era.from == k) {
            return Ok(era.floor);
        }
        let zone = era.map_or(&self.anchor.zone, |era| era.zone);
        let boundary = zone
            .instant(self.anchor.boundary(self.every, k)?)
            .ok_or(PeriodError::OutOfRange)?;
        Ok(era.map_or(boundary, |era| boundary.max(era.floor)))
    }

    fn between(&self, eras: &[Era<'_>], k: i64, (from, to): (i64, i64)) -> Result<Option<Period>, PeriodError> {
        let (start, end) = (self.boundary(eras, from)?, self.boundary(eras, to)?);
        Ok((start < end).then_some(Period { k, start, end }))
    }

    fn find(&self, eras: &[Era<'_>], instant: Timestamp) -> Result<Period, PeriodError> {
        let zone = eras.last().map_or(&self.anchor.zone, |era| era.zone);
        let mut k = self.anchor.estimate(self.every, zone.local(instant));
        for _ in 0..CORRECTIONS {
            let (start, end) = (self.boundary(eras, k)?, self.boundary(eras, k + 1)?);
            if instant < start {
                k -= 1;
            } else if instant >= end {
                k += 1;
            } else {
                return Ok(Period { k, start, end });
            }
        }
        Err(PeriodError::OutOfRange)
    }
}
