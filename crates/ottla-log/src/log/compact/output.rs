//! The compacted files: written under a name of their own, then put in the place of others.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::batch::BatchHeader;
use crate::index::{AbortedTransaction, TxnIndex};
use crate::log::core::LogCore;
use crate::log::dir;
use crate::segment::{Extent, IndexBuilder, IndexRules, Origin, Segment};
use crate::vfs::{File, OpenMode};
use crate::{Offset, StorageError, Timestamp};

/// How much is gathered before it is written.
const BUFFER: usize = 1 << 20;

/// The largest file: Kafka's positions are 32-bit numbers with a sign.
const FILE_BYTES_MAX: u64 = i32::MAX as u64;

/// A segment's file, `.cleaned` so far.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) base: Offset,
    file: Arc<dyn File>,
    /// What is in the file.
    written: u64,
    buffer: BytesMut,
    rules: IndexRules,
    builder: IndexBuilder,
    aborted: TxnIndex,
    /// The offset after its last batch.
    pub(super) next: Offset,
}

impl Output {
    /// Begins the segment at `base`, unless the log is gone.
    pub(super) fn begin(log: &LogCore, base: Offset) -> Result<Self, StorageError> {
        let rules = LogCore::index_rules(&log.config());
        let path = dir::file_in(&log.dir, base, dir::LOG_CLEANED);
        let Some(_place) = log.stay() else {
            return Err(StorageError::Closed);
        };
        let open = || {
            let file = log.shared.vfs.open(&path, OpenMode::Create)?;
            file.set_len(0)?;
            Ok(file)
        };
        let file = open().map_err(|e| StorageError::io("make", &path, e))?;
        Ok(Self {
            base,
            file,
            written: 0,
            buffer: BytesMut::new(),
            rules,
            builder: IndexBuilder::new(base, rules),
            aborted: TxnIndex::new(rules.bytes_max),
            next: base,
        })
    }

    /// How large it is.
    pub(super) fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether a batch has room. The first one always has.
    pub(super) fn has_room(&self, header: &BatchHeader, len: usize) -> bool {
        let reach = header.last_offset().get() - self.base.get();
        self.size() == 0
            || (self.size() + len as u64 <= FILE_BYTES_MAX
                && reach <= i64::from(i32::MAX)
                && !self.builder.is_full()
                && !self.aborted.is_full())
    }

    /// Adds a batch.
    pub(super) fn add(
        &mut self,
        log: &LogCore,
        header: &BatchHeader,
        batch: &Bytes,
    ) -> Result<(), StorageError> {
        self.builder.add(header, self.size());
        self.buffer.extend_from_slice(batch);
        self.next = header.next_offset();
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        self.write(log)
    }

    /// Notes a transaction whose marker is the batch that was added last.
    pub(super) fn add_aborted(&mut self, aborted: AbortedTransaction) {
        self.aborted.push(aborted);
    }

    fn write(&mut self, log: &LogCore) -> Result<(), StorageError> {
        let path = dir::file_in(&log.dir, self.base, dir::LOG_CLEANED);
        self.file
            .write_all_at(&mut [IoSlice::new(&self.buffer)], self.written)
            .map_err(|e| StorageError::io("write", &path, e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the file complete and durable. Its name is `.cleaned` still. It counts as written at
    /// `modified`, when the newest of its sources was: what has no timestamps is as old as before.
    pub(super) fn finish(
        &mut self,
        log: &LogCore,
        modified: Option<Timestamp>,
    ) -> Result<(), StorageError> {
        self.write(log)?;
        self.buffer = BytesMut::new();
        let path = dir::file_in(&log.dir, self.base, dir::LOG_CLEANED);
        if let Some(modified) = modified
            && let Err(error) = self.file.set_modified(modified)
        {
            tracing::warn!(?path, %error, "a compacted file counts as written now");
        }
        let synced = self.file.sync_data();
        synced.map_err(|e| StorageError::io("sync", &path, e))
    }

    /// The segment of the file, once that has its final name; it ends at `next`.
    pub(super) fn into_segment(self, log: &LogCore, next: Offset) -> Arc<Segment> {
        let extent = Extent {
            size: self.written,
            next,
        };
        let origin = Origin::Checked {
            extent,
            index: self.builder,
            aborted: self.aborted,
            bad: Vec::new(),
        };
        Segment::new(&log.shared, &log.dir, self.base, self.rules, origin)
    }
}

/// Deletes what a compaction that is given up has written.
pub(super) fn discard(log: &LogCore, outputs: &[Output]) {
    let Some(_place) = log.stay() else {
        return;
    };
    for output in outputs {
        let path = dir::file_in(&log.dir, output.base, dir::LOG_CLEANED);
        if let Err(error) = dir::remove_if_there(&*log.shared.vfs, &path) {
            tracing::warn!(log = %log.id, %error, "a file of a compaction is left over");
        }
    }
}
