//! The logs' own files and the checkpoint files: syncing the ones, writing the others.

use std::sync::Arc;

use crate::checkpoint;
use crate::log::{FlushTarget, SyncedFiles};
use crate::{LogId, Offset, StorageError};

use super::super::dirs::Dirs;
use super::super::has_data;
use super::super::replay::ReplayedFiles;
use super::Rounds;
use super::state::BeforeSync;

/// Kafka's names for the checkpoint files, and ours.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(crate) const CLEANED: &str = "cleaner-offset-checkpoint";
pub(crate) const HAS_DATA: &str = "has-data";

/// How a sync of one log's files ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synced {
    /// Everything written before is durable in the files.
    Durable,
    /// The log is deleted; nothing was done.
    Retired,
}

/// A log whose files were synced, before its directory's name was.
struct Done {
    id: LogId,
    before: BeforeSync,
    files: Option<SyncedFiles>,
    new_dir: bool,
}

type Answer = (LogId, Result<Synced, Arc<StorageError>>);

impl Rounds {
    /// Syncs the files of logs. A log for which that fails is taken offline.
    pub(super) fn sync_logs(&self, ids: &[LogId]) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut done = Vec::new();
        for id in ids {
            match self.sync_log(id) {
                Ok(Some(synced)) => done.push(synced),
                Ok(None) => answers.push((id.clone(), Ok(Synced::Retired))),
                Err(cause) => answers.push((id.clone(), Err(cause))),
            }
        }
        if done.iter().any(|log| log.new_dir)
            && let Err(cause) = self.dirs.kafka.sync()
        {
            let cause = Arc::new(cause);
            for log in done.extract_if(.., |log| log.new_dir) {
                self.fail(&log.id, &cause);
                answers.push((log.id, Err(Arc::clone(&cause))));
            }
        }
        let mut state = self.state.lock();
        for log in done {
            state.synced(&log.id, &log.before, log.files);
            answers.push((log.id, Ok(Synced::Durable)));
        }
        drop(state);
        self.room.notify_all();
        answers
    }

    /// Syncs one log's files; `None` where it is retired.
    fn sync_log(&self, id: &LogId) -> Result<Option<Done>, Arc<StorageError>> {
        let Some(log) = self
            .state
            .lock()
            .logs
            .get(id)
            .map(|log| Arc::clone(&log.syncing))
        else {
            return Ok(None);
        };
        let _turn = log.lock();
        let (before, target, replayed) = {
            let state = self.state.lock();
            let Some(log) = state.logs.get(id).filter(|log| !log.retired) else {
                return Ok(None);
            };
            if let Some(cause) = &log.offline {
                return Err(Arc::clone(cause));
            }
            let (target, replayed) = (log.target.clone(), log.replayed.clone());
            (state.before_sync(log), target, replayed)
        };
        match sync_both(target.as_deref(), replayed.as_deref()) {
            Ok((files, new_dir)) => Ok(Some(Done {
                id: id.clone(),
                before,
                files,
                new_dir,
            })),
            Err(cause) => {
                let cause = Arc::new(cause);
                self.fail(id, &cause);
                Err(cause)
            }
        }
    }

    /// Writes the checkpoint files that would say something else than they do, durably.
    pub(super) fn checkpoint(&self) -> Result<(), StorageError> {
        let mut files = self.files.lock();
        let (recovery_points, log_starts, cleaned, has_data) = {
            let mut state = self.state.lock();
            state.changed = false;
            let (mut points, mut starts, mut cleaned) = (Vec::new(), Vec::new(), Vec::new());
            for (id, log) in state.logs.iter().filter(|(_, log)| !log.retired) {
                if log.recovery_point > Offset::ZERO || state.has_data.contains_key(id) {
                    points.push((id.clone(), log.recovery_point));
                }
                if log.log_start > Offset::ZERO {
                    starts.push((id.clone(), log.log_start));
                }
                if log.cleaned > Offset::ZERO {
                    cleaned.push((id.clone(), log.cleaned));
                }
            }
            (points, starts, cleaned, state.has_data.clone())
        };
        let offsets = |of: &[(LogId, Offset)]| {
            checkpoint::encode_offsets(of.iter().map(|(id, offset)| (id, *offset)))
        };
        let written = files.write(
            &self.dirs,
            &has_data::encode(&has_data),
            [&offsets(&log_starts), &offsets(&recovery_points)],
            (!cleaned.is_empty()).then(|| offsets(&cleaned)).as_deref(),
        );
        if written.is_err() {
            self.state.lock().changed = true;
        }
        written
    }
}

fn sync_both(
    target: Option<&dyn FlushTarget>,
    replayed: Option<&ReplayedFiles>,
) -> Result<(Option<SyncedFiles>, bool), StorageError> {
    let mut new_dir = false;
    if let Some(replayed) = replayed {
        replayed.sync()?;
        new_dir |= replayed.new_dir();
    }
    let files = target.map(FlushTarget::sync_files).transpose()?;
    new_dir |= files.is_some_and(|files| files.new_dir);
    Ok((files, new_dir))
}

/// The files that say, for all logs, what each log's own files cannot, as this process wrote them
/// last: by length and checksum.
#[derive(Debug, Default)]
pub(super) struct CheckpointFiles {
    has_data: Option<Print>,
    offsets: [Option<Print>; 2],
    cleaned: Option<Print>,
}

type Print = (usize, u32);

impl CheckpointFiles {
    /// Writes those that would say something else, durably.
    fn write(
        &mut self,
        dirs: &Dirs,
        has_data: &[u8],
        offsets: [&[u8]; 2],
        cleaned: Option<&[u8]>,
    ) -> Result<(), StorageError> {
        let print = |bytes: &[u8]| Some((bytes.len(), crc32fast::hash(bytes)));
        if self.has_data != print(has_data) {
            dirs.own.replace(HAS_DATA, has_data)?;
            dirs.own.sync()?;
            self.has_data = print(has_data);
        }
        // What it says too little of is compacted once more.
        if let Some(cleaned) = cleaned
            && self.cleaned != print(cleaned)
        {
            dirs.kafka.replace(CLEANED, cleaned)?;
            self.cleaned = print(cleaned);
        }
        let prints = offsets.map(print);
        if self.offsets == prints {
            return Ok(());
        }
        let [starts, points] = offsets;
        dirs.kafka.replace(LOG_STARTS, starts)?;
        dirs.kafka.replace(RECOVERY_POINTS, points)?;
        dirs.kafka.sync()?;
        self.offsets = prints;
        Ok(())
    }
}
