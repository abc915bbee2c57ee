//! Records of a partition, read as they are asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_log::{LogRecords, Offset, OwnedRecord};
use parking_lot::Mutex;

use super::{Inside, PartitionError, ReadError, on_the_pool};

/// How many records are read ahead at once.
const AHEAD: usize = 256;

/// The records of a partition from an offset to where it ended when the reading began.
///
/// Asynchronous code calls [`RecordStream::next`] until it returns `None`; blocking code iterates:
/// `for record in stream`. Both may wait for the disk, the first without keeping its executor.
#[derive(Debug)]
pub struct RecordStream {
    inside: Inside,
    until: Offset,
    shared: Arc<Mutex<Ahead>>,
}

/// What was read ahead. Shared with the pool, so that nothing is lost where a caller goes away
/// while it reads.
#[derive(Debug)]
struct Ahead {
    records: LogRecords,
    read: VecDeque<Result<OwnedRecord, ottla_log::ReadError>>,
    ended: bool,
}

impl Ahead {
    fn fill(&mut self) {
        if self.read.is_empty() && !self.ended {
            self.read.extend(self.records.by_ref().take(AHEAD));
            self.ended = self.read.len() < AHEAD;
        }
    }
}

impl RecordStream {
    pub(super) fn new(inside: Inside, records: LogRecords, any: bool, until: Offset) -> Self {
        let ahead = Ahead {
            records,
            read: VecDeque::new(),
            ended: !any,
        };
        Self {
            inside,
            until,
            shared: Arc::new(Mutex::new(ahead)),
        }
    }

    /// The offset at which the stream ends: where to read on later.
    #[must_use]
    pub const fn end(&self) -> Offset {
        self.until
    }

    /// The next record; `None` at the end. Nothing is lost where the future is dropped.
    pub async fn next(&mut self) -> Option<Result<OwnedRecord, ReadError>> {
        loop {
            // Held by the pool where an earlier call was given up; then this one waits there.
            if let Some(mut ahead) = self.shared.try_lock() {
                if let Some(record) = ahead.read.pop_front() {
                    return Some(record.map_err(ReadError::Log));
                }
                if ahead.ended {
                    return None;
                }
            }
            let shared = Arc::clone(&self.shared);
            let filled = match on_the_pool(&self.inside, move || shared.lock().fill()) {
                Ok(filled) => filled.await,
                Err(error) => return Some(Err(error)),
            };
            if filled.is_none() {
                return Some(Err(PartitionError::Stopped.into()));
            }
        }
    }
}

impl IntoIterator for RecordStream {
    type Item = Result<OwnedRecord, ReadError>;
    type IntoIter = Records;

    fn into_iter(self) -> Records {
        Records {
            shared: self.shared,
        }
    }
}

/// A [`RecordStream`] for code that may block.
#[derive(Debug)]
pub struct Records {
    shared: Arc<Mutex<Ahead>>,
}

impl Iterator for Records {
    type Item = Result<OwnedRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut ahead = self.shared.lock();
        ahead.fill();
        let record = ahead.read.pop_front()?;
        Some(record.map_err(ReadError::Log))
    }
}
