//! What a store is opened with.

use std::sync::Arc;
use std::time::Duration;

use super::scrub::ScrubOptions;
use crate::vfs::Vfs;
use crate::{Clock, Entropy, FlushMode, Limits};

/// The settings of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// When an append counts as durable, for logs that do not say otherwise.
    pub flush: FlushMode,
    /// Bounds on what is read from the disk.
    pub limits: Limits,
    /// How many bytes may be in the operating system's cache and not yet synced to partition
    /// files. An append beyond it syncs files first, or waits for whoever does.
    pub dirty_bytes_max: u64,
    /// How long written bytes stay unsynced at most, where nothing else syncs them: what a
    /// recovery has to check stays bounded.
    pub dirty_age_max: Duration,
    /// How often the checkpoint files are written at most.
    pub checkpoint_interval: Duration,
    /// How large each of the journal's two files may become.
    pub journal_area_bytes_max: u64,
    /// From this many bytes on, a log's part of a flush round goes to its own files alone, not
    /// through the journal.
    pub direct_bytes_min: u64,
    /// How many segment files stay open.
    pub open_files_max: usize,
    /// How fast, and how often, everything on the disk is read again.
    pub scrub: ScrubOptions,
    /// The node's id, as in `meta.properties`.
    pub node_id: i32,
    /// The cluster's id; `None` takes the one of the data directory, or draws one for a new one.
    pub cluster_id: Option<String>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            flush: FlushMode::Sync,
            limits: Limits::default(),
            dirty_bytes_max: 64 << 20,
            dirty_age_max: Duration::from_secs(30),
            checkpoint_interval: Duration::from_secs(60),
            journal_area_bytes_max: 32 << 20,
            direct_bytes_min: 256 << 10,
            open_files_max: 512,
            scrub: ScrubOptions::default(),
            node_id: 1,
            cluster_id: None,
        }
    }
}

/// Where a store gets its disk, its time and its chance from.
#[derive(Clone, Debug)]
pub struct World {
    /// The disk.
    pub vfs: Arc<dyn Vfs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for ids.
    pub entropy: Arc<dyn Entropy>,
}
