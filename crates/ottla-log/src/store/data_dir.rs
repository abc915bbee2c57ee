//! A data directory as a whole: told from a foreign one, made at the first start, locked, named.
//!
//! ```text
//! DIR/kafka/   an Apache Kafka log.dir, nothing in it that Kafka would refuse
//! DIR/ottla/   format, lock, journal-0, journal-1, has-data, offsets, cut/
//! ```
//!
//! `format` is written last: without it the directory was never used, and what an interrupted
//! first start left is taken over. What is inside the partitions is not looked at here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::checkpoint::{self, MetaProperties};
use crate::vfs::{FileLock, Vfs};
use crate::{Entropy, StorageError, TopicId};

use super::error::OpenError;
use super::format_file::{FormatFile, Unusable};
use super::journal::Key;
use super::options::{StoreOptions, World};

/// The two subdirectories and what else has a fixed name.
pub(super) const KAFKA: &str = "kafka";
pub(super) const OWN: &str = "ottla";
const FORMAT: &str = "format";
const LOCK: &str = "lock";
const META: &str = "meta.properties";

/// Names that a file system makes by itself.
const OF_THE_FILE_SYSTEM: [&str; 1] = ["lost+found"];

/// Longest `format` and `meta.properties` that are read.
const SMALL_FILE_BYTES_MAX: usize = 64 * 1024;

/// A data directory that this store owns until it is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    /// `DIR/kafka`.
    pub(super) kafka: PathBuf,
    /// `DIR/ottla`.
    pub(super) own: PathBuf,
    /// Its id.
    pub(super) directory_id: TopicId,
    /// The cluster it belongs to.
    pub(super) cluster_id: String,
    /// The journal's key.
    pub(super) key: Key,
    /// What was made for it by this start, in the order of making; empty unless it is new.
    made: Vec<PathBuf>,
    is_new: bool,
    lock: FileLock,
    /// Behind the lock: dropped after it.
    released: Released,
}

/// Calls its hook when dropped.
#[derive(Default)]
struct Released {
    hook: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Drop for Released {
    fn drop(&mut self) {
        if let Some(hook) = self.hook.get_mut().take() {
            hook();
        }
    }
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released").finish_non_exhaustive()
    }
}

impl DataDir {
    /// Has `hook` called once the directory has been given back, in place of an earlier one.
    pub(super) fn on_release(&self, hook: Box<dyn FnOnce() + Send>) {
        *self.released.hook.lock() = Some(hook);
    }

    /// Takes the data directory `dir`, or makes it.
    pub(super) fn claim(
        world: &World,
        dir: &Path,
        options: &StoreOptions,
    ) -> Result<Self, OpenError> {
        let at = At {
            vfs: &*world.vfs,
            dir,
            options,
        };
        match at.look()? {
            Look::Used => at.take(),
            Look::Unused => at.make(&*world.entropy),
        }
    }

    /// Whether this start made it.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Gives the directory back after a failed start: a new one is removed with all that is in it.
    pub(super) fn abandon(self, vfs: &dyn Vfs) {
        if self.is_new {
            empty(vfs, &self.kafka, &[META]);
            empty(vfs, &self.own, &[FORMAT, LOCK]);
            remove_made(vfs, &self.kafka, &self.own, &self.made);
        }
        // Last: nobody takes a directory that is being removed.
        drop(self.lock);
    }
}

/// What is at the path of a data directory.
enum Look {
    /// A data directory.
    Used,
    /// Nothing, an empty directory, or what an interrupted first start left.
    Unused,
}

/// The directory that is asked for.
struct At<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    options: &'a StoreOptions,
}

impl At<'_> {
    fn look(&self) -> Result<Look, OpenError> {
        match self.stat(self.dir)? {
            None => return Ok(Look::Unused),
            Some(is_dir) if !is_dir => {
                return Err(OpenError::NotADirectory {
                    dir: self.dir.to_path_buf(),
                });
            }
            Some(_) => {}
        }
        let names = self.names(self.dir)?;
        let has_format = names.iter().any(|name| name == OWN)
            && self.stat(&self.dir.join(OWN).join(FORMAT))?.is_some();
        if has_format {
            return Ok(if self.is_half_removed()? {
                Look::Unused
            } else {
                Look::Used
            });
        }
        // Without a format file there may only be what precedes it.
        self.only(self.dir, &names, &[OWN, KAFKA])?;
        self.holds_only(OWN, &[LOCK, "format.tmp"])?;
        self.holds_only(KAFKA, &[META, "meta.properties.tmp"])?;
        Ok(Look::Unused)
    }

    /// Whether a first start failed late and a crash came while its files were removed again.
    fn is_half_removed(&self) -> Result<bool, OpenError> {
        let path = self.dir.join(OWN).join(FORMAT);
        let is_newer = matches!(self.format(&path), Err(OpenError::NewerFormat { .. }));
        let kafka = self.dir.join(KAFKA);
        if is_newer || self.stat(&kafka)?.is_some() && self.stat(&kafka.join(META))?.is_some() {
            return Ok(false);
        }
        let own = [LOCK, FORMAT, "format.tmp", "journal-0", "journal-1"];
        let is_unused = self.holds_only(OWN, &own).is_ok()
            && self.holds_only(KAFKA, &["meta.properties.tmp"]).is_ok();
        Ok(is_unused)
    }

    /// Refuses a subdirectory, if it is there, with names beside `known`.
    fn holds_only(&self, sub: &str, known: &[&str]) -> Result<(), OpenError> {
        let sub = self.dir.join(sub);
        match self.stat(&sub)? {
            Some(_) => self.only(&sub, &self.names(&sub)?, known),
            None => Ok(()),
        }
    }

    /// Refuses a directory with names beside `known`.
    fn only(&self, dir: &Path, names: &[String], known: &[&str]) -> Result<(), OpenError> {
        let stranger = |name: &&String| {
            let name = name.as_str();
            !known.contains(&name) && !OF_THE_FILE_SYSTEM.contains(&name)
        };
        let Some(found) = names.iter().find(stranger) else {
            return Ok(());
        };
        let is_kafka = dir == self.dir && names.iter().any(|name| name == META);
        let hint = if is_kafka {
            "; it looks like a log directory of Apache Kafka"
        } else if dir != self.dir {
            "; its file \"ottla/format\" is missing"
        } else {
            ""
        };
        Err(OpenError::NotOurs {
            dir: dir.to_path_buf(),
            found: found.clone(),
            hint,
        })
    }

    fn take(&self) -> Result<DataDir, OpenError> {
        let (own, kafka) = (self.dir.join(OWN), self.dir.join(KAFKA));
        // A newer format may do everything else differently: nothing else is touched before.
        let format = self.format(&own.join(FORMAT))?;
        let lock = self.lock(&own.join(LOCK))?;
        let meta = self.meta(&kafka.join(META), &format)?;
        Ok(DataDir {
            kafka,
            own,
            directory_id: format.directory_id,
            cluster_id: meta.cluster_id,
            key: format.key,
            made: Vec::new(),
            is_new: false,
            lock,
            released: Released::default(),
        })
    }

    fn format(&self, path: &Path) -> Result<FormatFile, OpenError> {
        let bytes = self.read(path)?;
        FormatFile::decode(&bytes).map_err(|e| match e {
            Unusable::Newer(found) => OpenError::NewerFormat {
                dir: self.dir.to_path_buf(),
                found,
            },
            Unusable::Damaged(why) => damaged(path, format!("is damaged: {why}")),
        })
    }

    fn meta(&self, path: &Path, format: &FormatFile) -> Result<MetaProperties, OpenError> {
        let directory_id = format.directory_id;
        let bytes = self.read(path)?;
        let meta = MetaProperties::decode(&bytes)
            .map_err(|e| damaged(path, format!("is damaged: {e}")))?;
        if meta.directory_id != Some(directory_id) {
            let why =
                format!("is not of this data directory, whose directory.id is {directory_id}");
            return Err(damaged(path, why));
        }
        let noted = format.cluster_id.as_ref();
        if let Some(noted) = noted.filter(|noted| **noted != meta.cluster_id) {
            let why = format!("is not of this data directory, whose cluster.id is {noted:?}");
            return Err(damaged(path, why));
        }
        if meta.node_id != self.options.node_id {
            let (found, expected) = (meta.node_id.to_string(), self.options.node_id.to_string());
            return Err(self.other_owner("node", found, expected));
        }
        match &self.options.cluster_id {
            Some(expected) if *expected != meta.cluster_id => {
                Err(self.other_owner("cluster", meta.cluster_id, expected.clone()))
            }
            _ => Ok(meta),
        }
    }

    fn other_owner(&self, what: &'static str, found: String, expected: String) -> OpenError {
        OpenError::OtherOwner {
            dir: self.dir.to_path_buf(),
            what,
            found,
            expected,
        }
    }

    fn make(&self, entropy: &dyn Entropy) -> Result<DataDir, OpenError> {
        let mut made = Vec::new();
        let (own, kafka) = (self.dir.join(OWN), self.dir.join(KAFKA));
        let result = self.make_dirs(&mut made).and_then(|()| {
            let lock = self.lock(&own.join(LOCK))?;
            let (format, cluster_id) = self.fill(entropy, &made)?;
            Ok((lock, format, cluster_id))
        });
        match result {
            Ok((lock, format, cluster_id)) => Ok(DataDir {
                kafka,
                own,
                directory_id: format.directory_id,
                cluster_id,
                key: format.key,
                made,
                is_new: true,
                lock,
                released: Released::default(),
            }),
            // Whoever else is just making it keeps what is there.
            Err(e @ OpenError::InUse { .. }) => Err(e),
            Err(e) => {
                remove_made(self.vfs, &kafka, &own, &made);
                Err(e)
            }
        }
    }

    /// Makes the directory, those above it that are missing, and its two subdirectories.
    fn make_dirs(&self, made: &mut Vec<PathBuf>) -> Result<(), OpenError> {
        let mut missing = Vec::new();
        let mut above = Some(self.dir);
        while let Some(dir) = above.filter(|dir| !dir.as_os_str().is_empty()) {
            if self.stat(dir)?.is_some() {
                break;
            }
            missing.push(dir.to_path_buf());
            above = dir.parent();
        }
        missing.reverse();
        for sub in [OWN, KAFKA] {
            let dir = self.dir.join(sub);
            if missing.contains(&self.dir.to_path_buf()) || self.stat(&dir)?.is_none() {
                missing.push(dir);
            }
        }
        for dir in missing {
            match self.vfs.create_dir(&dir) {
                Ok(()) => made.push(dir),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => {
                    return Err(self.storage(StorageError::io("make the directory", &dir, e)));
                }
            }
        }
        Ok(())
    }

    /// Writes what a new data directory begins with, `format` last.
    fn fill(
        &self,
        entropy: &dyn Entropy,
        made: &[PathBuf],
    ) -> Result<(FormatFile, String), OpenError> {
        let (own, kafka) = (self.dir.join(OWN), self.dir.join(KAFKA));
        let cluster_id = self.options.cluster_id.clone();
        let cluster_id = cluster_id.unwrap_or_else(|| random_id(entropy).to_base64());
        let mut key = [0; 16];
        entropy.fill(&mut key);
        let format = FormatFile {
            directory_id: random_id(entropy),
            key: Key::new(key),
            cluster_id: Some(cluster_id.clone()),
        };
        let meta = MetaProperties {
            cluster_id: cluster_id.clone(),
            node_id: self.options.node_id,
            directory_id: Some(format.directory_id),
        };
        let write = |path: PathBuf, bytes: &[u8]| {
            checkpoint::write_atomically(self.vfs, &path, bytes).map_err(|e| self.storage(e))
        };
        write(kafka.join(META), &meta.encode())?;
        self.sync_dir(self.dir)?;
        for dir in made.iter().filter(|dir| self.dir.starts_with(dir)) {
            match dir.parent() {
                Some(above) if !above.as_os_str().is_empty() => self.sync_dir(above)?,
                _ => self.sync_dir(Path::new("."))?,
            }
        }
        write(own.join(FORMAT), &format.encode())?;
        Ok((format, cluster_id))
    }

    fn lock(&self, path: &Path) -> Result<FileLock, OpenError> {
        self.vfs.lock(path).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse {
                dir: self.dir.to_path_buf(),
            },
            _ => self.storage(StorageError::io("lock", path, e)),
        })
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, OpenError> {
        checkpoint::read(self.vfs, path, SMALL_FILE_BYTES_MAX)
            .map_err(|e| self.storage(e))?
            .ok_or_else(|| damaged(path, "is missing".to_owned()))
    }

    fn names(&self, dir: &Path) -> Result<Vec<String>, OpenError> {
        let entries = self
            .vfs
            .list(dir)
            .map_err(|e| self.storage(StorageError::io("list", dir, e)))?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    fn stat(&self, path: &Path) -> Result<Option<bool>, OpenError> {
        let stat = self
            .vfs
            .stat(path)
            .map_err(|e| self.storage(StorageError::io("look at", path, e)))?;
        Ok(stat.map(|stat| stat.is_dir))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), OpenError> {
        let synced = self.vfs.sync_dir(dir);
        synced.map_err(|e| self.storage(StorageError::io("sync the directory", dir, e)))
    }

    fn storage(&self, source: StorageError) -> OpenError {
        OpenError::Storage {
            dir: self.dir.to_path_buf(),
            source,
        }
    }
}

/// Removes what is in `dir`, as far as it can, but for what is named in `keep`.
fn empty(vfs: &dyn Vfs, dir: &Path, keep: &[&str]) {
    for entry in vfs.list(dir).unwrap_or_default() {
        let path = dir.join(&entry.name);
        if keep.iter().any(|kept| entry.name == *kept) {
            continue;
        }
        let _ = match entry.is_dir {
            true => {
                empty(vfs, &path, &[]);
                vfs.remove_dir(&path)
            }
            false => vfs.remove_file(&path),
        };
    }
}

/// Removes what a first start made, as far as it can: the start failed for another reason.
fn remove_made(vfs: &dyn Vfs, kafka: &Path, own: &Path, made: &[PathBuf]) {
    let names = [
        own.join(FORMAT),
        own.join("format.tmp"),
        kafka.join(META),
        kafka.join("meta.properties.tmp"),
        own.join(LOCK),
    ];
    for path in &names {
        let _ = vfs.remove_file(path);
        // Without the format file the rest is what any interrupted first start leaves.
        if path.ends_with(FORMAT) {
            let _ = vfs.sync_dir(own);
        }
    }
    for dir in made.iter().rev() {
        let _ = vfs.remove_dir(dir);
    }
}

fn damaged(path: &Path, why: String) -> OpenError {
    OpenError::Damaged {
        path: path.to_path_buf(),
        why,
    }
}

/// A random id of the kind Kafka draws: a version 4 UUID whose text does not begin with '-'.
pub(super) fn random_id(entropy: &dyn Entropy) -> TopicId {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[0] &= 0x7f;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    TopicId::from_bytes(bytes)
}

#[cfg(test)]
mod tests;
