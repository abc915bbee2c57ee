//! What the members of a group said, and what must never be true of it.
//!
//! Two things can be seen from outside. A partition that a member is given is read on from the
//! offset that was committed last: an acknowledged commit that is not seen then was lost or went
//! back. And within one assignment the offsets that are read follow each other.

use std::collections::{BTreeMap, BTreeSet};

/// A partition as members name it: `TOPIC:PARTITION`.
pub(super) type Place = String;

/// One member, as far as it has told.
#[derive(Debug, Default)]
struct Member {
    owned: BTreeSet<Place>,
    /// The offset after the last one read since the partition was assigned.
    next: BTreeMap<Place, i64>,
    first_reads: BTreeMap<Place, i64>,
    assigned: usize,
    revoked: usize,
}

/// The members, and the group's progress.
#[derive(Debug, Default)]
pub(super) struct Book {
    members: BTreeMap<usize, Member>,
    committed: BTreeMap<Place, i64>,
    read: BTreeMap<Place, BTreeSet<i64>>,
    faults: Vec<String>,
}

impl Book {
    /// Takes a member's line in; `false` when it is none of the conversation.
    pub(super) fn line(&mut self, member: usize, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        match (word, &*rest) {
            ("assigned", places) => self.assigned(member, places),
            ("revoked", places) => self.revoked(member, places),
            ("read", [place, offset]) => match offset.parse() {
                Ok(offset) => self.read(member, place, offset),
                Err(_) => return false,
            },
            ("committed", [place, offset]) => match offset.parse() {
                Ok(offset) => self.commit(place, offset),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    fn assigned(&mut self, member: usize, places: &[&str]) {
        let state = self.members.entry(member).or_default();
        for place in places {
            state.assigned += 1;
            state.next.remove(*place);
            state.owned.insert((*place).to_owned());
        }
    }

    /// Without places, all are gone.
    fn revoked(&mut self, member: usize, places: &[&str]) {
        let state = self.members.entry(member).or_default();
        if places.is_empty() {
            state.revoked += state.owned.len();
            state.owned.clear();
        }
        for place in places {
            state.revoked += usize::from(state.owned.remove(*place));
        }
    }

    fn read(&mut self, member: usize, place: &str, offset: i64) {
        let state = self.members.entry(member).or_default();
        match state.next.insert(place.to_owned(), offset + 1) {
            Some(next) if next != offset => {
                let text = format!("member {member} read {place} {offset} after {}", next - 1);
                self.faults.push(text);
            }
            Some(_) => {}
            None => {
                state.first_reads.entry(place.to_owned()).or_insert(offset);
                let committed = self.committed.get(place).copied().unwrap_or(0);
                if offset < committed {
                    self.faults.push(format!(
                        "{place} was committed up to {committed}, member {member} got {offset}"
                    ));
                }
            }
        }
        let read = self.read.entry(place.to_owned()).or_default();
        read.insert(offset);
    }

    fn commit(&mut self, place: &str, offset: i64) {
        let known = self.committed.entry(place.to_owned()).or_default();
        *known = (*known).max(offset);
    }

    /// The member's process has ended; what it owned is free.
    pub(super) fn gone(&mut self, member: usize) {
        self.members.entry(member).or_default().owned.clear();
    }

    /// Whether each of the `places` belongs to one of `wanted`, which own so many each.
    pub(super) fn is_owned(&self, wanted: &[(usize, usize)], places: &BTreeSet<Place>) -> bool {
        let sets = wanted.iter().map(|(member, _)| self.owned(*member));
        let owned: Vec<BTreeSet<Place>> = sets.collect();
        let all: BTreeSet<Place> = owned.iter().flatten().cloned().collect();
        let counted = wanted
            .iter()
            .zip(&owned)
            .all(|((_, count), set)| set.len() == *count);
        counted && all == *places && owned.iter().map(BTreeSet::len).sum::<usize>() == all.len()
    }

    /// What a member owns.
    pub(super) fn owned(&self, member: usize) -> BTreeSet<Place> {
        let state = self.members.get(&member);
        state.map(|state| state.owned.clone()).unwrap_or_default()
    }

    /// How many partitions a member was ever given, and how many were taken from it.
    pub(super) fn moves(&self, member: usize) -> (usize, usize) {
        let state = self.members.get(&member);
        state.map_or((0, 0), |state| (state.assigned, state.revoked))
    }

    /// Where a member began to read each partition first.
    pub(super) fn first_reads(&self, member: usize) -> BTreeMap<Place, i64> {
        let state = self.members.get(&member);
        state
            .map(|state| state.first_reads.clone())
            .unwrap_or_default()
    }

    /// Whether the library tells when a commit was acknowledged.
    pub(super) fn tells_commits(&self) -> bool {
        !self.committed.is_empty()
    }

    /// The highest acknowledged commit of each partition.
    pub(super) fn committed(&self) -> &BTreeMap<Place, i64> {
        &self.committed
    }

    /// How many records were read, each counted once.
    pub(super) fn reads(&self) -> usize {
        self.read.values().map(BTreeSet::len).sum()
    }

    /// What the members own, for a person.
    pub(super) fn describe(&self) -> String {
        let members = self.members.iter().map(|(number, state)| {
            let places = state.owned.iter().map(String::as_str).collect::<Vec<_>>();
            format!("member {number} owns [{}]", places.join(" "))
        });
        let members = members.collect::<Vec<_>>().join(", ");
        format!("{members}; {} records read", self.reads())
    }

    /// The first few faults, or `Ok`.
    pub(super) fn check(&self) -> Result<(), String> {
        let shown: Vec<&str> = self.faults.iter().take(5).map(String::as_str).collect();
        match self.faults.len() {
            0 => Ok(()),
            count => Err(format!("{count} faults: {}", shown.join("; "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(lines: &[(usize, &str)]) -> Book {
        let mut book = Book::default();
        for (member, line) in lines {
            assert!(book.line(*member, line), "{line}");
        }
        book
    }

    #[test]
    fn a_partition_is_owned_once_or_not_at_all() {
        let places = ["t:0", "t:1"].map(str::to_owned).into();
        let mut book = book(&[(0, "assigned t:0 t:1"), (1, "assigned t:1")]);
        assert!(!book.is_owned(&[(0, 2), (1, 1)], &places), "t:1 twice");
        assert!(book.line(0, "revoked t:1"));
        assert!(book.is_owned(&[(0, 1), (1, 1)], &places));
        book.gone(0);
        assert!(!book.is_owned(&[(1, 1)], &places), "nobody has t:0");
        assert_eq!(book.moves(0), (2, 1));
    }

    #[test]
    fn a_commit_that_went_back_is_found() {
        let lines = [
            (0, "assigned t:0"),
            (0, "read t:0 0"),
            (0, "read t:0 1"),
            (0, "committed t:0 2"),
            (0, "revoked"),
            (1, "assigned t:0"),
        ];
        let mut good = book(&lines);
        assert!(good.line(1, "read t:0 2"));
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.first_reads(1), BTreeMap::from([("t:0".to_owned(), 2)]));
        let mut bad = book(&lines);
        assert!(bad.line(1, "read t:0 1"));
        let fault = bad.check().expect_err("it went back");
        assert!(
            fault.contains("committed up to 2, member 1 got 1"),
            "{fault}"
        );
    }

    #[test]
    fn a_record_that_was_passed_over_is_found() {
        let book = book(&[(0, "assigned t:0"), (0, "read t:0 0"), (0, "read t:0 2")]);
        assert!(book.check().is_err());
    }
}
