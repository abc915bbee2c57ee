//! Deleting logs: noted durably, renamed, forgotten, and their files removed later.

use std::io;
use std::sync::Arc;

use crate::log::{FlushTarget, LogCore, LogError};
use crate::{LogId, StorageError, TopicId};

use super::{Inner, Life, World, names, seals, storage};

impl Inner {
    /// Deletes logs: none of them comes back after this, whenever the machine stops.
    pub(super) fn delete(&self, ids: &[LogId]) -> Result<(), LogError> {
        let mut ids = ids.to_vec();
        ids.sort();
        ids.dedup();
        self.delete_where(ids, |_| true)
    }

    /// Deletes the log that is open as `core`, unless it is gone or another has its name.
    pub(super) fn delete_open(&self, core: &Arc<LogCore>) -> Result<(), LogError> {
        let is_it = |open: Option<&Arc<LogCore>>| open.is_some_and(|open| Arc::ptr_eq(open, core));
        self.delete_where(vec![core.id().clone()], is_it)
    }

    /// Deletes those of the logs `ids`, which are in order, that are wanted by what is open.
    fn delete_where(
        &self,
        mut ids: Vec<LogId>,
        is_wanted: impl Fn(Option<&Arc<LogCore>>) -> bool,
    ) -> Result<(), LogError> {
        let life = self.life.read();
        if let (Life::Closed(_), Some(id)) = (&*life, ids.first()) {
            return Err(LogError::Closed { id: id.clone() });
        }
        // Held until the names are free, so that nobody makes a log of the same name meanwhile.
        let slots: Vec<_> = ids.iter().map(|id| (id.clone(), self.slot(id))).collect();
        let mut open: Vec<_> = slots.iter().map(|(id, slot)| (id, slot.lock())).collect();
        open.retain(|(_, core)| is_wanted(core.as_ref()));
        ids = open.iter().map(|(id, _)| (*id).clone()).collect();
        let Some(first) = ids.first() else {
            return Ok(());
        };
        let mut logs = Vec::new();
        for (id, core) in &open {
            if let Some(core) = &**core {
                core.retire();
            }
            logs.push(((*id).clone(), self.topic_of(id, core.as_ref())?));
        }
        let failed = |cause: Arc<StorageError>| storage(first, Arc::unwrap_or_clone(cause));
        self.rounds.delete(&logs).map_err(failed)?;
        self.rename_deleted(&ids).map_err(|e| storage(first, e))?;
        self.rounds.forget(&logs);
        let mut found = self.found.lock();
        for (id, core) in &mut open {
            **core = None;
            found.remove(*id);
        }
        Ok(())
    }

    fn topic_of(&self, id: &LogId, core: Option<&Arc<LogCore>>) -> Result<TopicId, LogError> {
        if let Some(core) = core {
            return Ok(core.topic_id());
        }
        let on_disk = self.topic_id_on_disk(id).map_err(|e| storage(id, e))?;
        let noted = || self.found.lock().get(id)?.known.has_data;
        Ok(on_disk.or_else(noted).unwrap_or_default())
    }

    /// Renames the directories that are there; durable on return.
    fn rename_deleted(&self, ids: &[LogId]) -> Result<(), StorageError> {
        let root = &self.shared.root;
        let mut renamed = Vec::new();
        for id in ids {
            let World { vfs, entropy, .. } = &self.world;
            // Another topic's seals would not count; nor is there need to keep them.
            let sealed = self.shared.seal_dir.join(id.dir_name());
            if let Err(error) = seals::remove_all(&**vfs, &sealed, false) {
                tracing::warn!(log = %id, %error, "the seals of a deleted log are left over");
            }
            match names::set_aside(&**vfs, &**entropy, root, id, names::DELETED) {
                Ok(name) => renamed.push(name),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    let dir = self.shared.dir(id);
                    return Err(StorageError::io("rename the deleted log", &dir, e));
                }
            }
        }
        if renamed.is_empty() {
            return Ok(());
        }
        self.deleted.lock().extend(renamed);
        self.dirs.kafka.sync()?;
        self.rounds.deleted_some();
        Ok(())
    }

    /// Removes one deleted log's directory; answers whether another waits.
    pub(super) fn remove_one_deleted(&self) -> bool {
        let Some(name) = self.deleted.lock().pop() else {
            return false;
        };
        let dir = self.dir_of(&name);
        // What cannot be removed now is tried again after the next start.
        let vfs = &*self.world.vfs;
        if let Ok(entries) = vfs.list(&dir) {
            for entry in entries.iter().filter(|entry| !entry.is_dir) {
                let _ = vfs.remove_file(&dir.join(&entry.name));
            }
            let _ = vfs.remove_dir(&dir);
        }
        !self.deleted.lock().is_empty()
    }
}
