//! A segment's transaction index against the markers that its batches hold.

use std::path::{Path, PathBuf};

use super::indexes::read_txn_index;
use super::segment::FoundBatch;
use crate::batch::EndTransactionMarker;
use crate::index::{AbortedTransaction, TXN_ENTRY_LEN};
use crate::producer_state::EndedTransaction;
use crate::vfs::Vfs;
use crate::{Limits, Offset, StorageError};

/// The entries of a transaction index, which are met one by one.
pub(super) struct Aborted {
    pub(super) path: PathBuf,
    base: Offset,
    entries: std::vec::IntoIter<AbortedTransaction>,
    next: Option<AbortedTransaction>,
    pub(super) met: u64,
}

impl Aborted {
    /// Those of the file at `path`, of the segment at `base`.
    pub(super) fn read(vfs: &dyn Vfs, path: &Path, base: Offset) -> Result<Self, StorageError> {
        let mut entries = read_txn_index(vfs, path)?.into_iter();
        Ok(Self {
            path: path.to_path_buf(),
            base,
            next: entries.next(),
            entries,
            met: 0,
        })
    }

    /// Compares the entries up to `batch` with it, which ends the transaction `ended`. Answers
    /// where what is wrong.
    ///
    /// From `whole` on no offset is missing. Below, compaction may have taken a transaction's first
    /// batches, or all; the entry stays for as long as the marker.
    pub(super) fn meet(
        &mut self,
        batch: &FoundBatch,
        ended: Option<EndedTransaction>,
        whole: Offset,
    ) -> Vec<(Option<u64>, String)> {
        let header = &batch.header;
        let mut wrong = Vec::new();
        let mut is_listed = false;
        while let Some(entry) = self.next
            && entry.last_offset <= header.last_offset()
        {
            let is_of_batch = entry.last_offset == header.last_offset()
                && entry.producer_id == header.producer_id
                && entry.is_possible(self.base, header.next_offset())
                && is_abort(batch);
            let is_told = |told: Offset, found: Offset| match told >= whole {
                true => told == found,
                false => told <= found,
            };
            let is_right = is_of_batch
                && match ended {
                    None => entry.first_offset < whole,
                    Some(ended) => {
                        is_told(entry.first_offset, ended.first_offset)
                            && is_told(entry.last_stable_offset, ended.last_stable_offset)
                    }
                };
            if !is_right {
                let what = format!(
                    "producer {} should have aborted offsets {} to {} with a last stable offset \
                     of {}; the batches do not say so",
                    entry.producer_id,
                    entry.first_offset,
                    entry.last_offset,
                    entry.last_stable_offset
                );
                wrong.push((Some(self.met * TXN_ENTRY_LEN as u64), what));
            }
            is_listed |= is_of_batch;
            self.next = self.entries.next();
            self.met += 1;
        }
        if let Some(aborted) = ended.and_then(EndedTransaction::to_aborted)
            && !is_listed
        {
            let what = format!(
                "producer {} aborted offsets {} to {}; the index leaves it out",
                aborted.producer_id, aborted.first_offset, aborted.last_offset
            );
            wrong.push((None, what));
        }
        wrong
    }

    /// The first entry behind the last batch, and where it is.
    pub(super) fn rest(&self) -> Option<(u64, Offset)> {
        let next = self.next?;
        Some((self.met * TXN_ENTRY_LEN as u64, next.last_offset))
    }
}

fn is_abort(batch: &FoundBatch) -> bool {
    if !batch.header.attributes.is_control() {
        return false;
    }
    let Ok(records) = batch.records(&Limits::default()) else {
        return false;
    };
    let marker = records.iter().next().and_then(|record| {
        let record = record.ok()?;
        EndTransactionMarker::from_record(record.key, record.value)
    });
    marker.is_some_and(|marker| !marker.committed)
}
