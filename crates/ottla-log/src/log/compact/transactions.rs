//! Which transactions of a log were aborted, and what is left of them while it is compacted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::batch::BatchHeader;
use crate::{Offset, ProducerId};

/// An aborted transaction, as far as it lies in what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: ProducerId,
    /// Its first batch.
    pub(super) first_offset: Offset,
}

/// Finds the aborted transactions among batches, which are shown to it in their order.
#[derive(Debug, Default)]
pub(super) struct Finder {
    open: BTreeMap<ProducerId, Offset>,
    aborted: BTreeMap<Offset, ProducerId>,
}

impl Finder {
    /// A batch with data.
    pub(super) fn data(&mut self, header: &BatchHeader) {
        if header.attributes.is_transactional() {
            let open = self.open.entry(header.producer_id);
            open.or_insert(header.base_offset);
        }
    }

    /// A control batch; `committed` where it ends a transaction.
    pub(super) fn control(&mut self, header: &BatchHeader, committed: Option<bool>) {
        let Some(committed) = committed else { return };
        if let Some(first) = self.open.remove(&header.producer_id)
            && !committed
        {
            self.aborted.insert(first, header.producer_id);
        }
    }

    /// Whether the end of a transaction is still sought that began below `offset`.
    pub(super) fn is_open_below(&self, offset: Offset) -> bool {
        self.open.values().any(|first| *first < offset)
    }

    /// Those found, in the order of their first batches.
    pub(super) fn into_aborted(self) -> VecDeque<Aborted> {
        let aborted = |(first_offset, producer_id)| Aborted {
            producer_id,
            first_offset,
        };
        self.aborted.into_iter().map(aborted).collect()
    }
}

/// Follows transactions through the batches that are being compacted, which are shown to it in
/// their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracker {
    aborted: VecDeque<Aborted>,
    /// Aborted transactions whose marker has not come, and whether a batch of theirs has.
    aborting: BTreeMap<ProducerId, bool>,
    /// Producers with data of a committed transaction whose marker has not come.
    committing: BTreeSet<ProducerId>,
}

impl Tracker {
    pub(super) fn new(aborted: VecDeque<Aborted>) -> Self {
        Self {
            aborted,
            ..Self::default()
        }
    }

    /// A batch with data; whether it was aborted.
    pub(super) fn data(&mut self, header: &BatchHeader) -> bool {
        self.begin(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborting.get_mut(&header.producer_id) {
            Some(seen) => {
                *seen = true;
                true
            }
            None => {
                self.committing.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch; `committed` where it ends a transaction, `None` within where it has no
    /// record any more. Whether nothing of its transaction was left, so that it says nothing.
    pub(super) fn control(&mut self, header: &BatchHeader, end: End) -> bool {
        self.begin(header.last_offset());
        match end {
            End::Abort => self.aborting.remove(&header.producer_id) != Some(true),
            End::Commit => !self.committing.remove(&header.producer_id),
            End::Emptied => true,
            End::Other => false,
        }
    }

    /// Transactions that begin at or below `offset` have begun.
    fn begin(&mut self, offset: Offset) {
        while let Some(first) = self.aborted.front()
            && first.first_offset <= offset
        {
            self.aborting.entry(first.producer_id).or_insert(false);
            self.aborted.pop_front();
        }
    }
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// Nothing any more: compaction took its record.
    Emptied,
    /// Something that is no end of a transaction.
    Other,
}
