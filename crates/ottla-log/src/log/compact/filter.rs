//! What compaction keeps of a batch: Kafka's rules (KIP-58, KIP-98, KIP-534).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::keys::KeyMap;
use super::transactions::{End, Tracker};
use crate::batch::{self, BatchHeader, EndTransactionMarker, Records};
use crate::record::OwnedRecord;
use crate::{Limits, Offset, ProducerEpoch, ProducerId, Timestamp};

/// The last data batch of each producer by its last offset, and the epoch.
pub(super) type LastBatches = BTreeMap<ProducerId, (Option<Offset>, ProducerEpoch)>;

/// What is known while batches are filtered.
pub(super) struct Filter<'a> {
    /// The newest offset of each key below `mapped_to`.
    pub(super) keys: &'a KeyMap,
    pub(super) mapped_to: Offset,
    pub(super) tracker: &'a mut Tracker,
    pub(super) last_batches: &'a LastBatches,
    pub(super) now: Timestamp,
    /// When tombstones that are seen for the first time may go.
    pub(super) horizon: Timestamp,
    pub(super) limits: &'a Limits,
}

/// What is kept of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    AsItIs,
    Changed(Bytes),
}

impl Filter<'_> {
    /// What is kept of `batch`, whose header is `header` and whose checksum is right; of one that
    /// `must_stay` at least an empty batch.
    pub(super) fn apply(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
        must_stay: bool,
    ) -> Result<Kept, String> {
        let records = Records::open(header, batch, self.limits).map_err(|e| e.to_string())?;
        let is_control = header.attributes.is_control();
        let says_nothing = if is_control {
            self.tracker.control(header, end_of(&records)?)
        } else {
            self.tracker.data(header)
        };
        let is_over = |horizon| horizon <= self.now;
        // A marker stays for as long as a tombstone, so that a reader who is in the middle of the
        // transaction sees its end.
        let drops_all =
            says_nothing && (!is_control || header.delete_horizon().is_some_and(is_over));
        let mut kept = Vec::new();
        let mut has_tombstone = false;
        if !drops_all {
            for record in records {
                let record = record.map_err(|e| e.to_string())?;
                if is_control || self.is_kept(header, &record) {
                    has_tombstone |= record.value.is_none();
                    kept.push(record);
                }
            }
        }
        if kept.is_empty() {
            return Ok(match must_stay || self.is_last_of_producer(header) {
                true if header.record_count == 0 => Kept::AsItIs,
                true => Kept::Changed(batch::empty(header)),
                false => Kept::Nothing,
            });
        }
        let gets_horizon =
            (has_tombstone || (is_control && says_nothing)) && header.delete_horizon().is_none();
        let is_whole = i32::try_from(kept.len()) == Ok(header.record_count);
        if is_whole && !gets_horizon {
            return Ok(Kept::AsItIs);
        }
        let horizon = if gets_horizon {
            Some(self.horizon)
        } else {
            header.delete_horizon()
        };
        let rebuilt = batch::rebuild(header, kept, horizon).map_err(|e| e.to_string())?;
        Ok(Kept::Changed(rebuilt))
    }

    /// Whether a record is the newest of its key, and not a tombstone whose time is over.
    fn is_kept(&self, header: &BatchHeader, record: &OwnedRecord) -> bool {
        if record.offset >= self.mapped_to {
            return true;
        }
        let Some(key) = &record.key else {
            // From before the log was compacted.
            return false;
        };
        let newest = self.keys.get(key);
        if newest.is_some_and(|newest| newest > record.offset) {
            return false;
        }
        let is_over = header.delete_horizon().is_some_and(|at| at <= self.now);
        record.value.is_some() || !is_over
    }

    /// Whether only this batch tells of its producer's last sequence, or of its epoch.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_batches.get(&header.producer_id);
        header.has_producer_id()
            && last.is_some_and(|(offset, epoch)| match offset {
                Some(offset) => *offset == header.last_offset(),
                None => header.attributes.is_control() && *epoch == header.producer_epoch,
            })
    }
}

/// What the control batch of `records` says.
pub(super) fn end_of(records: &Records) -> Result<End, String> {
    let Some(record) = records.iter().next() else {
        return Ok(End::Emptied);
    };
    let record = record.map_err(|e| e.to_string())?;
    let marker = EndTransactionMarker::from_record(record.key, record.value);
    Ok(match marker {
        Some(marker) if marker.committed => End::Commit,
        Some(_) => End::Abort,
        None => End::Other,
    })
}
