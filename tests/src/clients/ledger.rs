//! What was acknowledged against what can be read: nothing lost, doubled or moved.
//!
//! The runner reports every acknowledgement (`acked PARTITION OFFSET VALUE`) and, at the end,
//! every record of the topic from the beginning (`read PARTITION OFFSET VALUE`). Each value is
//! used once. Then:
//!
//! - an acknowledged value that is not read is **lost**;
//! - one that is read, but elsewhere than acknowledged, has **moved**;
//! - any value that is read at two places was **doubled**: all runs are idempotent, so this holds
//!   for values whose acknowledgement was never seen, too.
//!
//! A value that is read but was never acknowledged is fine: the broker may have stopped after the
//! write and before the answer. A run proves nothing unless records were acknowledged before and
//! after the interruption, so both are demanded.

use std::collections::BTreeMap;

/// A record's place: partition and offset.
type Place = (i32, i64);

/// The acknowledged and the read records of one scenario.
#[derive(Debug, Default)]
pub struct Ledger {
    acked: BTreeMap<String, Place>,
    read: BTreeMap<String, Vec<Place>>,
    acked_before: usize,
    interruptions: usize,
    broken: Vec<String>,
}

impl Ledger {
    /// The broker acknowledged `value` at `place`.
    pub fn acked(&mut self, value: &str, place: Place) {
        if let Some(first) = self.acked.insert(value.to_owned(), place) {
            let text = format!("{value} was acknowledged at {first:?} and again at {place:?}");
            self.broken.push(text);
        }
    }

    /// `value` was read at `place`.
    pub fn read(&mut self, value: &str, place: Place) {
        self.read.entry(value.to_owned()).or_default().push(place);
    }

    /// The broker is about to be stopped.
    pub fn interrupted(&mut self) {
        self.interruptions += 1;
        self.acked_before = self.acked.len();
    }

    /// Whether any record was told of.
    pub fn is_used(&self) -> bool {
        !self.acked.is_empty() || !self.read.is_empty()
    }

    /// The first few faults, or `Ok` when every acknowledged record is where it was promised.
    ///
    /// # Errors
    /// With a line for a person: how many faults, and which.
    pub fn check(&self) -> Result<(), String> {
        let mut faults = self.broken.clone();
        for (value, acked) in &self.acked {
            match self.read.get(value).map(Vec::as_slice) {
                None => faults.push(format!("{value}, acknowledged at {acked:?}, is lost")),
                Some(places) if !places.contains(acked) => {
                    faults.push(format!(
                        "{value}, acknowledged at {acked:?}, moved to {places:?}"
                    ));
                }
                Some(_) => {}
            }
        }
        for (value, places) in self.read.iter().filter(|(_, places)| places.len() > 1) {
            faults.push(format!("{value} is doubled: {places:?}"));
        }
        let acked_after = self.acked.len() - self.acked_before;
        if self.interruptions == 0 {
            faults.push("the broker was never interrupted".to_owned());
        } else if self.acked_before == 0 || acked_after == 0 {
            let before = self.acked_before;
            faults.push(format!(
                "{before} acknowledged before the stop, {acked_after} after it"
            ));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let shown = faults
            .iter()
            .take(5)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ");
        Err(format!("{} faults: {shown}", faults.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupted() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.acked("a", (0, 0));
        ledger.interrupted();
        ledger.acked("b", (0, 2));
        ledger
    }

    #[test]
    fn a_record_without_acknowledgement_may_be_there_or_not() {
        let mut ledger = interrupted();
        ledger.read("a", (0, 0));
        ledger.read("unanswered", (0, 1));
        ledger.read("b", (0, 2));
        assert_eq!(ledger.check(), Ok(()));
    }

    #[test]
    fn lost_moved_and_doubled_records_are_found() {
        let mut ledger = interrupted();
        ledger.read("b", (0, 1));
        ledger.read("c", (0, 2));
        ledger.read("c", (0, 3));
        let faults = ledger.check().expect_err("three faults");
        assert!(faults.starts_with("3 faults"), "{faults}");
        assert!(
            faults.contains("a, acknowledged at (0, 0), is lost"),
            "{faults}"
        );
        assert!(
            faults.contains("b, acknowledged at (0, 2), moved to [(0, 1)]"),
            "{faults}"
        );
        assert!(
            faults.contains("c is doubled: [(0, 2), (0, 3)]"),
            "{faults}"
        );
    }

    #[test]
    fn a_run_that_proves_nothing_fails() {
        let mut never_stopped = Ledger::default();
        never_stopped.acked("a", (0, 0));
        never_stopped.read("a", (0, 0));
        assert!(never_stopped.check().is_err());

        let mut stopped_too_late = Ledger::default();
        stopped_too_late.acked("a", (0, 0));
        stopped_too_late.read("a", (0, 0));
        stopped_too_late.interrupted();
        assert!(stopped_too_late.check().is_err());
    }
}
