//! What was promised to the load, and what was found.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Shared by the load and the reader.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    writers: usize,
}

#[derive(Debug)]
struct State {
    written: Vec<Written>,
    /// Acknowledged and attempted commits: the committed offset counts up.
    commits: (i64, i64),
    repeated: u64,
    read: u64,
    /// The first broken promise.
    broken: Option<String>,
    /// For each partition the next offset to be read, and that of the writers' next values.
    positions: Vec<i64>,
}

/// One producer's values: 0, 1, 2, ...
#[derive(Clone, Debug, Default)]
struct Written {
    /// The offset of each value that was acknowledged.
    acked: Vec<i64>,
    /// The offset of each value that was read.
    read: Vec<i64>,
}

impl Ledger {
    pub(super) fn new(writers: usize) -> Self {
        Self {
            state: Mutex::new(State {
                written: vec![Written::default(); writers],
                commits: (-1, -1),
                repeated: 0,
                read: 0,
                broken: None,
                positions: vec![0; writers],
            }),
            writers,
        }
    }

    pub(super) fn writers(&self) -> usize {
        self.writers
    }

    /// The values from `first` on, as many as `count`, got the offsets from `base` on.
    pub(super) fn ack(&self, writer: usize, first: u64, count: u64, base: i64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let written = &mut state.written[writer];
        let mut broken = None;
        if written.acked.len() as u64 != first {
            let next = written.acked.len();
            broken = Some(format!("value {first} is acknowledged before value {next}"));
        }
        for (value, offset) in (first..first + count).zip(base..) {
            let read = written.read.get(value as usize).copied();
            if let Some(read) = read {
                state.repeated += u64::from(value == first);
                if read != offset {
                    broken = Some(format!(
                        "value {value} is at {read}, answered with {offset}"
                    ));
                }
            }
            written.acked.push(offset);
        }
        drop(guard);
        if let Some(what) = broken {
            self.broke(format!("writer {writer}: {what}"));
        }
    }

    /// A record was read.
    pub(super) fn found(&self, writer: usize, value: u64, offset: i64) -> Result<(), Error> {
        let mut state = self.lock();
        state.read += 1;
        let written = state
            .written
            .get_mut(writer)
            .ok_or_else(|| Error::failed(format!("a record of writer {writer} at {offset}")))?;
        let next = written.read.len() as u64;
        if value != next {
            let what = if value < next { "twice" } else { "too early" };
            return Err(Error::failed(format!(
                "value {value} of writer {writer} is found {what}, at {offset}; {next} is next"
            )));
        }
        if written
            .acked
            .get(value as usize)
            .is_some_and(|acked| *acked != offset)
        {
            let acked = written.acked[value as usize];
            return Err(Error::failed(format!(
                "value {value} of writer {writer} was acknowledged at {acked}, is at {offset}"
            )));
        }
        written.read.push(offset);
        Ok(())
    }

    /// The next offset to be read of a partition.
    pub(super) fn position(&self, partition: usize) -> i64 {
        self.lock().positions[partition]
    }

    pub(super) fn advance(&self, partition: usize, to: i64) {
        self.lock().positions[partition] = to;
    }

    /// Forgets what was read: everything is read once more.
    pub(super) fn rewind(&self) {
        let mut state = self.lock();
        state.positions.fill(0);
        for written in &mut state.written {
            written.read.clear();
        }
    }

    /// Everything that was acknowledged was read.
    pub(super) fn complete(&self) -> Result<(), Error> {
        let state = self.lock();
        for (writer, written) in state.written.iter().enumerate() {
            if written.read.len() < written.acked.len() {
                let lost = written.acked.len() - written.read.len();
                let first = written.acked[written.read.len()];
                return Err(Error::failed(format!(
                    "{lost} acknowledged records of writer {writer} are lost, from offset {first}"
                )));
            }
        }
        Ok(())
    }

    /// A commit is sent; the answer is the offset.
    pub(super) fn committing(&self) -> i64 {
        let mut state = self.lock();
        state.commits.1 = state.commits.0 + 1;
        state.commits.1
    }

    pub(super) fn committed(&self, offset: i64) {
        self.lock().commits.0 = offset;
    }

    /// The committed offset that is found is the last acknowledged one, or the one on its way.
    pub(super) fn found_commit(&self, offset: i64) -> Result<(), Error> {
        let mut state = self.lock();
        let (acked, attempted) = state.commits;
        if offset < acked || offset > attempted {
            return Err(Error::failed(format!(
                "the group's offset is {offset}; {acked} was acknowledged, {attempted} sent"
            )));
        }
        state.commits = (offset, offset);
        Ok(())
    }

    /// Notes a broken promise that the load noticed.
    pub(super) fn broke(&self, what: String) {
        self.lock().broken.get_or_insert(what);
    }

    /// The broken promise, if any.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        match &self.lock().broken {
            Some(what) => Err(Error::failed(what.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn acked(&self) -> u64 {
        let state = self.lock();
        state.written.iter().map(|w| w.acked.len() as u64).sum()
    }

    pub(super) fn repeated(&self) -> u64 {
        self.lock().repeated
    }

    pub(super) fn commits(&self) -> u64 {
        u64::try_from(self.lock().commits.0 + 1).unwrap_or(0)
    }

    pub(super) fn read(&self) -> u64 {
        self.lock().read
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    #[test]
    fn losses_duplicates_and_moves_are_noticed() {
        let ledger = Ledger::new(1);
        ledger.ack(0, 0, 3, 10);
        assert!(ledger.complete().is_err(), "nothing was read");
        assert!(ledger.found(0, 1, 11).is_err(), "the first is missing");
        assert!(ledger.found(0, 0, 12).is_err(), "not where it was");
        for (value, offset) in [(0, 10), (1, 11), (2, 12)] {
            ledger.found(0, value, offset).unwrap();
        }
        assert!(ledger.found(0, 2, 13).is_err(), "twice");
        assert!(ledger.found(1, 0, 13).is_err(), "of nobody");
        ledger.complete().unwrap();
        // One that is on its way may be there.
        ledger.found(0, 3, 13).unwrap();
        ledger.ack(0, 3, 1, 13);
        ledger.verdict().unwrap();
        assert_eq!((ledger.acked(), ledger.repeated()), (4, 1));
        ledger.found(0, 4, 14).unwrap();
        ledger.ack(0, 4, 1, 20);
        assert!(ledger.verdict().is_err(), "answered with another offset");
    }

    #[test]
    fn a_commit_is_the_last_or_the_one_on_its_way() {
        let ledger = Ledger::new(1);
        assert_eq!(ledger.committing(), 0);
        ledger.committed(0);
        assert_eq!(ledger.committing(), 1);
        assert!(ledger.found_commit(-1).is_err());
        assert!(ledger.found_commit(2).is_err());
        ledger.found_commit(0).unwrap();
        assert_eq!(ledger.committing(), 1);
        ledger.found_commit(1).unwrap();
        assert_eq!(ledger.commits(), 2);
    }
}
