//! Iterating over a log's records.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::core::LogCore;
use super::errors::ReadError;
use super::read::Bound;
use super::slice::BatchSlice;
use crate::batch::{BatchHeader, OwnedRecords, Records};
use crate::index::AbortedTransaction;
use crate::record::OwnedRecord;
use crate::{Offset, ProducerId};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// The data records of a log from an offset on, in order, up to a bound. Control records are
/// passed over; those of aborted transactions only by [`super::Log::committed_records`] and
/// [`super::Log::decided_records`], which passes over those of open ones as well.
///
/// Ends where the bound is at the time, and goes on when it is asked again after the log grew.
/// After an error it does not go on.
#[derive(Debug)]
pub struct LogRecords {
    core: Arc<LogCore>,
    bound: Bound,
    /// The transactions to leave out of `batches`, by producer and first offset; `None` where
    /// none is left out.
    aborted: Option<Vec<AbortedTransaction>>,
    /// The first offset of each open transaction to leave out.
    open: BTreeMap<ProducerId, Offset>,
    /// The next record has this offset or a larger one.
    next: Offset,
    /// Batches that were read and not opened yet.
    batches: Bytes,
    records: Option<(Offset, OwnedRecords)>,
    failed: bool,
}

impl LogRecords {
    pub(super) const fn new(core: Arc<LogCore>, from: Offset, bound: Bound) -> Self {
        Self {
            core,
            bound,
            aborted: None,
            open: BTreeMap::new(),
            next: from,
            batches: Bytes::new(),
            records: None,
            failed: false,
        }
    }

    pub(super) fn committed(core: Arc<LogCore>, from: Offset, until: Offset) -> Self {
        Self {
            aborted: Some(Vec::new()),
            ..Self::new(core, from, Bound::Until(until))
        }
    }

    pub(super) fn decided(core: Arc<LogCore>, from: Offset) -> Self {
        let appender = core.appender();
        let producers = appender.producers.entries();
        let open = producers.filter_map(|p| Some((p.producer_id, p.transaction_start?)));
        let open = open.collect();
        // What is open is open up to here.
        let until = core.ends().end;
        drop(appender);
        Self {
            open,
            ..Self::committed(core, from, until)
        }
    }

    /// Reads on; nothing at the bound.
    fn read(&mut self) -> Result<BatchSlice, ReadError> {
        let (core, from) = (&self.core, self.next);
        match (&mut self.aborted, self.bound) {
            (Some(aborted), Bound::Until(until)) => {
                let slice = core.read_committed(from, READ_BYTES, until)?;
                *aborted = slice.aborted;
                aborted.sort_unstable_by_key(|one| (one.producer_id, one.first_offset));
                Ok(slice.batches)
            }
            (_, bound) => core.read(from, READ_BYTES, bound),
        }
    }

    /// Whether the batch is of an aborted transaction that is left out.
    fn is_aborted(&self, header: &BatchHeader) -> bool {
        let aborted = self.aborted.as_deref().unwrap_or_default();
        let place = (header.producer_id, header.base_offset);
        let behind = aborted.partition_point(|one| (one.producer_id, one.first_offset) <= place);
        let before = behind.checked_sub(1).and_then(|last| aborted.get(last));
        header.attributes.is_transactional()
            && before.is_some_and(|one| {
                one.producer_id == header.producer_id && header.base_offset < one.last_offset
            })
    }

    /// Whether the batch is of an open transaction that is left out.
    fn is_open(&self, header: &BatchHeader) -> bool {
        let start = self.open.get(&header.producer_id);
        header.attributes.is_transactional() && start.is_some_and(|s| *s <= header.base_offset)
    }

    /// Opens the next data batch; `false` at the bound.
    fn open(&mut self) -> Result<bool, ReadError> {
        loop {
            if self.batches.is_empty() {
                let slice = self.read()?;
                if slice.is_empty() {
                    return Ok(false);
                }
                self.batches = slice.bytes()?;
            }
            // The log checked the batches when it read them.
            let malformed = |cause| ReadError::Batch {
                base: self.next,
                cause,
            };
            let header = BatchHeader::parse(&self.batches).map_err(malformed)?;
            let size = header.size_bytes().min(self.batches.len());
            let batch = self.batches.split_to(size);
            let is_left_out = self.is_aborted(&header) || self.is_open(&header);
            let is_passed = header.attributes.is_control() || is_left_out;
            if is_passed || header.record_count == 0 {
                self.next = self.next.max(header.next_offset());
                continue;
            }
            let limits = &self.core.shared.limits;
            let records = Records::open(&header, &batch, limits).map_err(malformed)?;
            self.records = Some((header.next_offset(), records.into_iter()));
            return Ok(true);
        }
    }

    fn step(&mut self) -> Result<Option<OwnedRecord>, ReadError> {
        loop {
            if let Some((next, records)) = &mut self.records {
                match records.next() {
                    Some(Ok(record)) if record.offset < self.next => continue,
                    Some(Ok(record)) => {
                        self.next = record.offset.plus(1);
                        return Ok(Some(record));
                    }
                    Some(Err(cause)) => {
                        return Err(ReadError::Batch {
                            base: self.next,
                            cause,
                        });
                    }
                    None => {
                        self.next = self.next.max(*next);
                        self.records = None;
                    }
                }
            }
            if !self.open()? {
                return Ok(None);
            }
        }
    }
}

impl Iterator for LogRecords {
    type Item = Result<OwnedRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
