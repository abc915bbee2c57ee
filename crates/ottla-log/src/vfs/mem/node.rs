//! One file of a [`MemVfs`](super::MemVfs): what is in it now and what a crash is sure to leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::{Content, PAGE, Page, page_count};
use crate::Timestamp;

/// A file's bytes, twice: live, and durable as the differences from live. Cloning costs
/// O(overwritten pages) and shares all bytes.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    live: Arc<Content>,
    /// The length at the last sync. Live bytes below it are durable but for the pages in `saved`.
    durable_len: u64,
    /// Pages below `durable_len` as they were at the last sync, where they changed since.
    saved: BTreeMap<usize, Page>,
    /// When it was last written.
    pub(super) modified: Timestamp,
    /// No name leads to it any more: its bytes count no longer as used.
    pub(super) unlinked: bool,
}

impl FileState {
    /// An empty file that is not durable yet.
    pub(super) fn new(modified: Timestamp) -> Self {
        Self::from_content(Content::default(), modified)
    }

    /// A file that holds `content` durably.
    pub(super) fn from_content(content: Content, modified: Timestamp) -> Self {
        Self {
            durable_len: content.len(),
            live: Arc::new(content),
            saved: BTreeMap::new(),
            modified,
            unlinked: false,
        }
    }

    /// What is in it now.
    pub(super) fn live(&self) -> &Content {
        &self.live
    }

    /// What the last sync left.
    pub(super) fn durable(&self) -> Content {
        let mut durable = (*self.live).clone();
        durable.set_len(self.durable_len);
        for (index, page) in &self.saved {
            durable.set_page(*index, page.clone());
        }
        durable
    }

    /// Whether a crash could take something back.
    pub(super) fn is_dirty(&self) -> bool {
        self.live.len() != self.durable_len || !self.saved.is_empty()
    }

    /// The pages that differ from the durable ones, each once, in order.
    pub(super) fn changed_pages(&self) -> impl Iterator<Item = usize> {
        let grown = (self.durable_len / PAGE as u64) as usize..page_count(self.live.len());
        let saved = self.saved.keys().copied();
        let below = saved.filter(move |page| *page < grown.start);
        below.chain(grown.clone()).collect::<Vec<_>>().into_iter()
    }

    /// Writes `bufs` one after the other at `position`.
    pub(super) fn write<'a>(&mut self, bufs: impl Iterator<Item = &'a [u8]>, mut position: u64) {
        for buf in bufs.filter(|buf| !buf.is_empty()) {
            let end = position + buf.len() as u64;
            self.save(position, end);
            Arc::make_mut(&mut self.live).write(position, buf);
            position = end;
        }
    }

    /// Cuts or grows the file.
    pub(super) fn set_len(&mut self, len: u64) {
        self.save(len, self.live.len());
        Arc::make_mut(&mut self.live).set_len(len);
    }

    /// Makes what is live durable.
    pub(super) fn sync(&mut self) {
        self.saved.clear();
        self.durable_len = self.live.len();
    }

    /// Keeps the durable form of the pages of `from..to` before they change. Bytes past the
    /// durable end need none.
    fn save(&mut self, from: u64, to: u64) {
        let to = to.min(self.durable_len);
        if from < to {
            let first = (from / PAGE as u64) as usize;
            for index in first..page_count(to) {
                let live = &self.live;
                self.saved.entry(index).or_insert_with(|| live.page(index));
            }
        }
    }
}
