//! Taking the journal away: in one step it counts as a whole or for nothing, never in part.
//!
//! A part would be worse than nothing: rounds that miss the newer ones are replayed over what
//! those said was compacted, cut or deleted, and rounds that miss the older ones are damage. So
//! what is in two files is void, by one round that is durable, before the first of them goes; and
//! the file with that round is the last to go.

use super::area::Area;
use super::format::{self, Place};
use super::{BLOCK, Journal, Refused, area_name};
use crate::StorageError;
use crate::log::dir;

impl Journal {
    /// Removes the journal's files, durably. Only once nothing in them is needed. After an error
    /// the same may be asked for again.
    pub(crate) fn remove(&mut self) -> Result<(), StorageError> {
        if self.areas.iter().all(|area| area.exists) {
            self.void_for_good()?;
        }
        for index in [1 - self.active, self.active] {
            let area = &mut self.areas[index];
            if area.exists {
                area.file = None;
                dir::remove_if_there(&*self.vfs, &area.path)?;
                self.dirs.own.sync()?;
            }
            area.is_gone();
        }
        Ok(())
    }

    /// As [`Journal::void`], also where the journal takes no round.
    fn void_for_good(&mut self) -> Result<(), StorageError> {
        if self.failed.is_none() {
            match self.void() {
                Ok(()) => return Ok(()),
                Err(Refused::NoRoom) => {}
                Err(Refused::Failed(cause)) => return Err((*cause).clone()),
            }
        }
        let sequence = self.next_sequence;
        let place = Place {
            sequence,
            previous: self.previous,
            low: sequence,
        };
        let mut round = format::encode(self.key, place, &[]);
        round.resize(BLOCK as usize, 0);
        // It may be found from now on, whatever fails.
        self.next_sequence += 1;
        let area = &mut self.areas[self.active];
        area.file = None;
        // Not written into the file that is there: what a failed one holds is not known.
        self.dirs.own.replace(area_name(self.active), &round)?;
        self.dirs.own.sync()?;
        area.len = BLOCK;
        area.end = BLOCK;
        self.areas[1 - self.active].first = None;
        self.areas[self.active].first = Some(sequence);
        self.previous = sequence;
        Ok(())
    }
}

#[cfg(test)]
impl Journal {
    /// As after a write that failed.
    pub(crate) fn fail_for_test(&mut self) {
        self.failed = Some(std::sync::Arc::new(StorageError::Closed));
    }
}

impl Area {
    /// Takes note that there is no file, durably.
    pub(super) fn is_gone(&mut self) {
        self.file = None;
        self.exists = false;
        self.is_named = false;
        self.len = 0;
        self.end = 0;
        self.first = None;
    }
}
