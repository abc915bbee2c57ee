//! What the journal's rounds, taken together, say about each log. No IO.

use std::collections::BTreeMap;

use crate::{LogId, Offset, TopicId};

use super::super::has_data::HasData;
use super::super::journal::{Range, ScannedRound, What};

/// What is to be done, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// One for each log and topic id, in the order in which the journal first names them.
    pub(super) logs: Vec<LogPlan>,
}

/// What the journal says of one log of one topic.
#[derive(Debug)]
pub(super) struct LogPlan {
    pub(super) id: LogId,
    pub(super) topic_id: TopicId,
    /// Bytes for its files, in order.
    pub(super) pieces: Vec<PlannedPiece>,
    /// A round that counts made its directory, which may be missing therefore.
    pub(super) created: bool,
    /// The journal says that its older data was settled with this end: a checkpoint from before
    /// does not count.
    pub(super) settled: Option<Offset>,
    /// Everything below was durable.
    pub(super) end: Option<Offset>,
    /// Where it starts.
    pub(super) log_start: Option<Offset>,
    /// It was deleted, and not made again under the same topic id.
    pub(super) deleted: bool,
    /// The last round with data of the log in each area.
    pub(super) live: [Option<u64>; 2],
}

/// Bytes for a segment file.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedPiece {
    pub(super) sequence: u64,
    pub(super) range: Range,
    /// Where the bytes are in the journal.
    pub(super) area: usize,
    pub(super) position: u64,
    /// They do not match their checksum there.
    pub(super) damaged: bool,
}

impl Plan {
    /// Sums up `rounds`; `has_data` follows the creations and deletions among them.
    pub(super) fn new(rounds: &[ScannedRound], has_data: &mut HasData) -> Self {
        let mut plan = Self::default();
        let mut index: BTreeMap<(LogId, TopicId), usize> = BTreeMap::new();
        for round in rounds {
            let mut position = round.data_position;
            for (number, entry) in round.entries.iter().enumerate() {
                let key = (entry.id.clone(), entry.topic_id);
                let at = *index.entry(key).or_insert_with(|| {
                    plan.logs
                        .push(LogPlan::new(entry.id.clone(), entry.topic_id));
                    plan.logs.len() - 1
                });
                let Some(log) = plan.logs.get_mut(at) else {
                    continue;
                };
                if let What::Data(range) = entry.what {
                    log.pieces.push(PlannedPiece {
                        sequence: round.sequence,
                        range,
                        area: round.area,
                        position,
                        damaged: round.damaged.contains(&number),
                    });
                    log.live[round.area] = Some(round.sequence);
                    position += u64::from(range.len);
                }
                log.take(entry.what, has_data);
            }
        }
        plan
    }
}

impl LogPlan {
    const fn new(id: LogId, topic_id: TopicId) -> Self {
        Self {
            id,
            topic_id,
            pieces: Vec::new(),
            created: false,
            settled: None,
            end: None,
            log_start: None,
            deleted: false,
            live: [None; 2],
        }
    }

    fn take(&mut self, what: What, has_data: &mut HasData) {
        match what {
            What::Data(Range { end, created, .. }) | What::Ended { end, created } => {
                self.end = self.end.max(Some(end));
                if created {
                    self.created = true;
                    self.deleted = false;
                    has_data.insert(self.id.clone(), self.topic_id);
                }
            }
            What::Settled { below, end } => {
                self.pieces.retain(|piece| piece.sequence >= below);
                for live in &mut self.live {
                    *live = live.filter(|sequence| *sequence >= below);
                }
                self.created = false;
                self.settled = Some(end);
                let kept = self.pieces.iter().map(|piece| piece.range.end).max();
                self.end = Some(end).max(kept);
            }
            What::Started { log_start } => self.log_start = self.log_start.max(Some(log_start)),
            What::Deleted => {
                *self = Self::new(self.id.clone(), self.topic_id);
                self.deleted = true;
                if has_data.get(&self.id) == Some(&self.topic_id) {
                    has_data.remove(&self.id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::journal::Entry;
    use super::*;
    use crate::TopicName;

    fn id() -> LogId {
        LogId::new(TopicName::new("t").unwrap(), 0)
    }

    const TOPIC: TopicId = TopicId::from_bytes([1; 16]);
    const OTHER: TopicId = TopicId::from_bytes([2; 16]);

    fn data(position: u64, end: i64, created: bool) -> What {
        What::Data(Range {
            segment_base: Offset::ZERO,
            position,
            len: 10,
            crc: 0,
            end: Offset::new(end),
            created,
        })
    }

    /// One round for each slice, numbered from 1.
    fn plan(rounds: &[&[(TopicId, What)]]) -> (Plan, HasData) {
        let rounds: Vec<_> = (1..)
            .zip(rounds)
            .map(|(sequence, entries)| ScannedRound {
                area: 0,
                sequence,
                entries: entries
                    .iter()
                    .map(|(topic_id, what)| Entry {
                        id: id(),
                        topic_id: *topic_id,
                        what: *what,
                    })
                    .collect(),
                data_position: 1000,
                damaged: Vec::new(),
            })
            .collect();
        let mut has_data = HasData::new();
        (Plan::new(&rounds, &mut has_data), has_data)
    }

    fn positions(log: &LogPlan) -> Vec<u64> {
        log.pieces
            .iter()
            .map(|piece| piece.range.position)
            .collect()
    }

    #[test]
    fn data_adds_up() {
        let (plan, has_data) = plan(&[
            &[(TOPIC, data(0, 1, true)), (TOPIC, data(10, 2, false))],
            &[(TOPIC, data(20, 3, false))],
            &[(
                TOPIC,
                What::Ended {
                    end: Offset::new(9),
                    created: false,
                },
            )],
        ]);
        let log = &plan.logs[0];
        assert_eq!(positions(log), [0, 10, 20]);
        assert_eq!(log.pieces[1].position, 1010);
        assert_eq!(log.end, Some(Offset::new(9)));
        assert!(log.created);
        assert_eq!(log.live, [Some(2), None]);
        assert_eq!(has_data.get(&id()), Some(&TOPIC));
    }

    #[test]
    fn settling_ends_what_was_before_it_and_nothing_else() {
        let settled = What::Settled {
            below: 2,
            end: Offset::new(1),
        };
        let (plan, has_data) = plan(&[
            &[(TOPIC, data(0, 5, true))],
            &[(TOPIC, data(10, 6, false)), (TOPIC, settled)],
        ]);
        let log = &plan.logs[0];
        assert_eq!(positions(log), [10]);
        assert_eq!(log.end, Some(Offset::new(6)), "what was kept counts");
        assert_eq!(log.settled, Some(Offset::new(1)));
        assert!(!log.created, "the directory is durable");
        assert_eq!(has_data.len(), 1);
    }

    #[test]
    fn a_deleted_log_is_gone_and_its_successor_is_not() {
        let (plan, has_data) = plan(&[
            &[(TOPIC, data(0, 1, true)), (TOPIC, What::Deleted)],
            &[(OTHER, data(0, 1, true))],
        ]);
        assert!(plan.logs[0].deleted && plan.logs[0].pieces.is_empty());
        assert_eq!(positions(&plan.logs[1]), [0]);
        assert_eq!(has_data.get(&id()), Some(&OTHER));
    }

    #[test]
    fn a_log_may_come_back_under_its_topic_id() {
        let (plan, has_data) = plan(&[
            &[(TOPIC, data(0, 1, true)), (TOPIC, What::Deleted)],
            &[(TOPIC, data(0, 2, true))],
        ]);
        assert!(!plan.logs[0].deleted);
        assert_eq!(plan.logs[0].end, Some(Offset::new(2)));
        assert_eq!(plan.logs[0].pieces.len(), 1);
        assert_eq!(has_data.get(&id()), Some(&TOPIC));
    }
}
