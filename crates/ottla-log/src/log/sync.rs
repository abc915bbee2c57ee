//! A log as its flusher sees it: what becomes durable, and what is written in the background.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::LogCore;
use super::dir;
use super::health::Gone;
use super::seam::{Checkpoints, FlushTarget, SyncedFiles};
use super::way::Way;
use crate::derived::Derived;
use crate::vfs::OpenMode;
use crate::{LogId, Offset, StorageError, TopicId};

impl FlushTarget for LogCore {
    fn id(&self) -> &LogId {
        &self.id
    }

    fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    fn round_done(&self, end: Offset) {
        let before = self.ends.load().durable;
        let ends = self.ends.update(|ends| {
            // A truncation may have come in between.
            ends.durable = ends.durable.max(end.min(ends.end));
        });
        if ends.durable > before {
            self.observers.durable(ends);
        }
    }

    fn sync_files(&self) -> Result<SyncedFiles, StorageError> {
        self.sync_files_by(&mut Way::Each)
    }

    fn failed(&self, cause: &Arc<StorageError>) {
        self.fail(cause);
    }
}

impl LogCore {
    fn sync_files_by(&self, way: &mut Way) -> Result<SyncedFiles, StorageError> {
        let mut syncing = self.syncing.lock();
        // What is published now was written before, so the syncs below cover it.
        let end = self.ends.load().end;
        if self.health.gone() == Some(Gone::Deleted) {
            // The directory has another name by now, or none.
            return Ok(SyncedFiles {
                end,
                new_dir: false,
            });
        }
        let new_dir = self.new_dir.swap(false, Ordering::AcqRel);
        if new_dir {
            way.sync(|| self.sync_metadata())?;
        }
        // Those that have left the log, too, for as long as a crash may bring them back. Loaded
        // second: a segment that leaves is there before it is gone here.
        let segments = self.segments.load_full();
        let removed = self.pending.lock().removed.clone();
        for segment in segments.iter().chain(&removed) {
            way.sync(|| segment.sync())?;
        }
        match self.write_derived(way) {
            // It can be made anew from the segments, and is written when there is space again, or
            // a file may be opened.
            Err(cause) if cause.is_recoverable() && self.health.gone().is_none() => {}
            written => written?,
        }
        way.sync(|| self.sync_names())?;
        self.shared.handles.trim();
        syncing.recovery_point = end;
        Ok(SyncedFiles { end, new_dir })
    }

    /// Takes the log offline, and tells the observers if it was not.
    pub(super) fn fail(&self, cause: &Arc<StorageError>) {
        if self.health.fail(cause) {
            tracing::error!(log = %self.id, %cause, "the log is offline until a restart");
            self.observers.failed(cause);
        }
    }

    /// After the store's last flush round: syncs the files, writes the active segment's indexes
    /// and a producer snapshot, and refuses everything from now on. The answer's
    /// `recovery_point` is the log end; it holds once `way` is finished.
    pub(crate) fn close(&self, way: &mut Way) -> Result<Checkpoints, StorageError> {
        self.stop_compacting();
        let appender = self.appender();
        self.health.leave(Gone::Closed);
        if let Some(fault) = self.health.append_fault() {
            return Err(fault);
        }
        if appender.has_dir {
            self.active().seal();
            let end = self.ends().end;
            let path = dir::file_in(&self.dir, end, dir::SNAPSHOT);
            // It is there where nothing was appended since the last close.
            if self
                .shared
                .vfs
                .stat(&path)
                .is_ok_and(|found| found.is_none())
            {
                let snapshot = appender.producers.snapshot();
                self.pending.lock().snapshots.push((end, snapshot));
            }
            if self.sync_files_by(way)?.new_dir {
                way.sync(|| {
                    let root = &self.shared.root;
                    let synced = self.shared.vfs.sync_dir(root);
                    synced.map_err(|e| StorageError::io("sync the directory", root, e))
                })?;
            }
            self.seal_active(&appender);
        }
        drop(appender);
        Ok(self.checkpoints())
    }

    /// Writes what is derived from the segments and behind: index files of sealed segments,
    /// producer snapshots, the leader epochs.
    fn write_derived(&self, way: &mut Way) -> Result<(), StorageError> {
        for segment in self.segments.load_full().iter() {
            if !segment.is_active() && segment.is_created() && segment.write_indexes(way)? {
                self.names_dirty.store(true, Ordering::Release);
            }
        }
        self.write_snapshots(way)?;
        self.write_epochs(way)
    }

    pub(super) fn write_snapshots(&self, way: &mut Way) -> Result<(), StorageError> {
        loop {
            let Some((offset, bytes)) = self.pending.lock().snapshots.first().cloned() else {
                return Ok(());
            };
            let path = dir::file_in(&self.dir, offset, dir::SNAPSHOT);
            way.write(&*self.shared.vfs, &path, &bytes)?;
            self.names_dirty.store(true, Ordering::Release);
            let mut pending = self.pending.lock();
            pending.snapshots.retain(|(written, _)| *written != offset);
        }
    }

    fn write_epochs(&self, way: &mut Way) -> Result<(), StorageError> {
        let bytes = {
            let mut epochs = self.epochs.lock();
            if !std::mem::replace(&mut epochs.dirty, false) {
                return Ok(());
            }
            let bytes = epochs.cache.snapshot();
            // A leader's epoch without a batch is dropped at open, and given anew: the file of each
            // of many idle logs would be written at each stop.
            if epochs.file.as_ref() == Some(&bytes) {
                return Ok(());
            }
            epochs.file = None;
            bytes
        };
        let path = self.dir.join(dir::EPOCHS);
        let written = way.write(&*self.shared.vfs, &path, &bytes);
        written.inspect_err(|_| {
            self.epochs.lock().dirty = true;
        })?;
        self.epochs.lock().file = Some(bytes);
        self.names_dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes the names in the log's directory durable, where one changed.
    pub(super) fn sync_names(&self) -> Result<(), StorageError> {
        if !self.names_dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.with_files_to_open(|| {
            let synced = self.shared.vfs.sync_dir(&self.dir);
            synced.map_err(|e| StorageError::io("sync the directory", &self.dir, e))
        })
    }

    /// Does what needs a file to be opened; once more where too many are open, after the store
    /// closed those that it can do without.
    fn with_files_to_open(
        &self,
        sync: impl Fn() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        match sync() {
            Err(StorageError::TooManyFiles { .. }) => {
                // The first only notes which are in use.
                self.shared.handles.sweep();
                self.shared.handles.sweep();
                sync()
            }
            done => done,
        }
    }

    fn sync_metadata(&self) -> Result<(), StorageError> {
        let path = self.dir.join(dir::METADATA);
        self.with_files_to_open(|| {
            let file = self.shared.vfs.open(&path, OpenMode::Read);
            file.and_then(|file| file.sync_data())
                .map_err(|e| StorageError::io("sync", &path, e))
        })
    }
}
