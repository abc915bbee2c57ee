//! Deleting logs: noted durably, renamed, forgotten, and their files removed later.
//!
//! A deletion that was begun is done to the end: one that failed, or whose log was just being
//! opened, is owed. It is tried again by [`Inner::maintain`], at the close, and before a log of
//! that name is opened, so that what failed stands in nobody's way for longer than it lasts.

use std::io;
use std::sync::Arc;

use parking_lot::{MutexGuard, RwLockReadGuard};

use crate::log::{FlushTarget, LogCore, LogError};
use crate::{LogId, StorageError, TopicId};

use super::{Inner, Life, Slot, World, names, seals, storage};

/// A log's place, held, so that nobody makes a log of that name meanwhile.
type Held<'a> = (&'a LogId, &'a mut Option<Arc<LogCore>>);

impl Inner {
    /// Deletes logs: none of them comes back after this, whenever the machine stops.
    pub(super) fn delete(&self, ids: &[LogId]) -> Result<(), LogError> {
        let _life = self.living(ids)?;
        let slots = self.slots(ids);
        let locked = slots.iter().map(|(id, slot)| (id, slot.lock()));
        self.delete_locked(locked.collect())
    }

    /// Deletes logs, and waits for none that is being opened: that one's deletion is owed. Answers
    /// which those are.
    pub(super) fn delete_soon(&self, ids: &[LogId]) -> Result<Vec<LogId>, LogError> {
        let _life = self.living(ids)?;
        let slots = self.slots(ids);
        let (mut locked, mut opening) = (Vec::new(), Vec::new());
        for (id, slot) in &slots {
            match slot.try_lock() {
                Some(core) => locked.push((id, core)),
                None => {
                    self.owed.lock().entry(id.clone()).or_default();
                    self.rounds.deleted_some();
                    opening.push(id.clone());
                }
            }
        }
        self.delete_locked(locked)?;
        Ok(opening)
    }

    /// Deletes the log that is open as `core`, unless it is gone or another has its name.
    pub(super) fn delete_open(&self, core: &Arc<LogCore>) -> Result<(), LogError> {
        let ids = [core.id().clone()];
        let _life = self.living(&ids)?;
        let slots = self.slots(&ids);
        let locked = slots.iter().map(|(id, slot)| (id, slot.lock()));
        let is_it = |open: &Arc<LogCore>| Arc::ptr_eq(open, core);
        let wanted = locked.filter(|(_, open)| open.as_ref().is_some_and(is_it));
        self.delete_locked(wanted.collect())
    }

    /// Does what is owed of the log `id`, whose place is `core`.
    pub(super) fn delete_if_owed(
        &self,
        id: &LogId,
        core: &mut Option<Arc<LogCore>>,
    ) -> Result<(), LogError> {
        if !self.owed.lock().contains_key(id) {
            return Ok(());
        }
        let deleted = self.delete_held(&mut [(id, core)]);
        deleted.map_err(|cause| storage(id, cause))
    }

    /// Does what is owed, as far as that can be done now; answers whether anything is left.
    pub(super) fn delete_owed(&self) -> Result<bool, StorageError> {
        let ids: Vec<LogId> = self.owed.lock().keys().cloned().collect();
        let mut done = Ok(());
        for id in &ids {
            let slot = self.slot(id);
            // Who holds it opens the log, or has just deleted it.
            let Some(mut core) = slot.try_lock() else {
                continue;
            };
            if self.owed.lock().contains_key(id) {
                // One that cannot be deleted stands in no other's way.
                let deleted = self.delete_held(&mut [(id, &mut *core)]);
                done = done.and(deleted);
            }
        }
        done.map(|()| !self.owed.lock().is_empty())
    }

    /// Sets the directories of logs aside that are not open and belong to no topic: they are kept,
    /// under names that stand in nobody's way.
    pub(super) fn set_aside(&self, ids: &[LogId]) -> Result<(), LogError> {
        let _life = self.living(ids)?;
        let slots = self.slots(ids);
        for (id, slot) in &slots {
            let open = slot.lock();
            if open.is_none() {
                self.set_one_aside(id).map_err(|e| storage(id, e))?;
            }
        }
        Ok(())
    }

    fn set_one_aside(&self, id: &LogId) -> Result<(), StorageError> {
        let topic_id = self.topic_of(id)?;
        let unwrap = Arc::unwrap_or_clone;
        self.rounds.begin_change().map_err(unwrap)?;
        // What the journal has of it is in its files, and they keep it.
        self.rounds.sync_before_open(id, false).map_err(unwrap)?;
        // Renamed first: after the note a recovery would remove what still has its old name.
        if let Some(name) = self.rename(id, names::STRAY)? {
            tracing::warn!(log = %id, %topic_id, name, "set aside: it belongs to no topic");
            self.dirs.kafka.sync()?;
        }
        let log = [(id.clone(), topic_id)];
        if let Err(cause) = self.rounds.delete(&log) {
            // Nothing has the name any more: what is owed is the note, and removes no file.
            self.owed.lock().insert(id.clone(), Some(topic_id));
            self.rounds.deleted_some();
            return Err(unwrap(cause));
        }
        self.rounds.forget(&log);
        self.found.lock().remove(id);
        Ok(())
    }

    fn living(&self, ids: &[LogId]) -> Result<RwLockReadGuard<'_, Life>, LogError> {
        let life = self.life.read();
        match ids.first() {
            Some(id) if matches!(*life, Life::Closed(_)) => {
                Err(LogError::Closed { id: id.clone() })
            }
            _ => Ok(life),
        }
    }

    /// The places of logs, in the order in which they are to be held.
    fn slots(&self, ids: &[LogId]) -> Vec<(LogId, Slot)> {
        let mut ids = ids.to_vec();
        ids.sort();
        ids.dedup();
        let slot = |id: LogId| {
            let slot = self.slot(&id);
            (id, slot)
        };
        ids.into_iter().map(slot).collect()
    }

    fn delete_locked(
        &self,
        mut locked: Vec<(&LogId, MutexGuard<'_, Option<Arc<LogCore>>>)>,
    ) -> Result<(), LogError> {
        let Some(first) = locked.first().map(|(id, _)| *id) else {
            return Ok(());
        };
        let mut held: Vec<_> = locked
            .iter_mut()
            .map(|(id, core)| (*id, &mut **core))
            .collect();
        self.delete_held(&mut held).map_err(|cause| {
            self.rounds.deleted_some();
            storage(first, cause)
        })
    }

    /// Deletes the logs whose places are held. What fails is owed.
    fn delete_held(&self, held: &mut [Held<'_>]) -> Result<(), StorageError> {
        let mut logs = Vec::new();
        for (id, core) in &*held {
            let owed = self.owed.lock().remove(*id).flatten();
            let topic_id = (**core).as_ref().map(|core| core.topic_id()).or(owed);
            logs.push(((*id).clone(), topic_id));
        }
        let deleted = self.delete_noted(held, &mut logs);
        if deleted.is_err() {
            self.owed.lock().extend(logs);
        }
        deleted
    }

    fn delete_noted(
        &self,
        held: &mut [Held<'_>],
        logs: &mut [(LogId, Option<TopicId>)],
    ) -> Result<(), StorageError> {
        let mut noted = Vec::new();
        for (id, topic_id) in logs {
            let known = match topic_id {
                Some(known) => *known,
                None => *topic_id.insert(self.topic_of(id)?),
            };
            noted.push((id.clone(), known));
        }
        for (_, core) in held {
            // Out of its place: what fails from here on must not be what a new log is taken for.
            if let Some(core) = Option::take(core) {
                core.retire();
            }
        }
        self.rounds.delete(&noted).map_err(Arc::unwrap_or_clone)?;
        self.rename_deleted(&noted)?;
        self.rounds.forget(&noted);
        let mut found = self.found.lock();
        for (id, _) in &noted {
            found.remove(id);
        }
        Ok(())
    }

    /// Whose log that is not open is.
    fn topic_of(&self, id: &LogId) -> Result<TopicId, StorageError> {
        let noted = || self.found.lock().get(id)?.known.has_data;
        let on_disk = self.topic_id_on_disk(id)?;
        Ok(on_disk.or_else(noted).unwrap_or_default())
    }

    /// Renames the directories that are there; durable on return.
    fn rename_deleted(&self, logs: &[(LogId, TopicId)]) -> Result<(), StorageError> {
        let (mut renamed, mut failed) = (Vec::new(), Ok(()));
        for (id, _) in logs {
            // Another topic's seals would not count; nor is there need to keep them.
            let sealed = self.shared.seal_dir.join(id.dir_name());
            if let Err(error) = seals::remove_all(&*self.world.vfs, &sealed, false) {
                tracing::warn!(log = %id, %error, "the seals of a deleted log are left over");
            }
            match self.rename(id, names::DELETED) {
                Ok(name) => renamed.extend(name),
                Err(cause) => failed = Err(cause),
            }
        }
        if !renamed.is_empty() {
            self.deleted.lock().extend(renamed);
            self.rounds.deleted_some();
        }
        failed?;
        // Also where nothing was renamed: what a failed attempt renamed is to be durable now.
        self.dirs.kafka.sync()
    }

    /// Renames the directory of log `id` to a name of the given kind; `None` where there is none.
    fn rename(&self, id: &LogId, kind: &str) -> Result<Option<String>, StorageError> {
        let World { vfs, entropy, .. } = &self.world;
        match names::set_aside(&**vfs, &**entropy, &self.shared.root, id, kind) {
            Ok(name) => Ok(Some(name)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StorageError::io("rename", &self.shared.dir(id), e)),
        }
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
