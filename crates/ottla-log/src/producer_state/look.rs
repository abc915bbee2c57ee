//! The state of producers as others see it: listed, and compared.

use super::ProducerState;
use super::entry::Entry;
use crate::inspect::ProducerEntry;
use crate::{Offset, ProducerId, Sequence};

impl ProducerState {
    /// Every producer, by its id.
    pub(crate) fn entries(&self) -> impl Iterator<Item = ProducerEntry> {
        self.producers.iter().map(|(id, entry)| entry.look(*id))
    }

    /// Where this state, which was stored, says otherwise than `replayed`, which was made of the
    /// batches from the offset `from` on. Producers that expired may be missing here, and what
    /// happened below `from` is not known there.
    pub(crate) fn contradiction(&self, replayed: &Self, from: Offset) -> Option<String> {
        self.entries().find_map(|stored| {
            let found = replayed.producers.get(&stored.producer_id);
            let found = found.map(|entry| entry.look(stored.producer_id));
            let known = stored.last_offset >= from
                || stored.transaction_start.is_some_and(|start| start >= from);
            let same = found.is_some_and(|found| {
                (stored.epoch, stored.last_offset) == (found.epoch, found.last_offset)
                    && stored.last_sequence == found.last_sequence
                    && (stored.transaction_start == found.transaction_start
                        || stored.transaction_start.is_some_and(|start| start < from))
            });
            (known && !same).then(|| {
                let id = stored.producer_id;
                match found {
                    Some(found) => format!(
                        "producer {id} is at {}, its batches are at {}",
                        place(&stored),
                        place(&found)
                    ),
                    None => format!("producer {id} is at {}, but has no batch", place(&stored)),
                }
            })
        })
    }
}

fn place(entry: &ProducerEntry) -> String {
    let open = entry.transaction_start;
    let open = open.map_or_else(String::new, |o| format!(", a transaction open since {o}"));
    let ProducerEntry {
        epoch,
        last_sequence,
        last_offset,
        ..
    } = entry;
    format!("epoch {epoch}, sequence {last_sequence}, offset {last_offset}{open}")
}

impl Entry {
    fn look(&self, producer_id: ProducerId) -> ProducerEntry {
        ProducerEntry {
            producer_id,
            epoch: self.epoch,
            last_sequence: self
                .last()
                .map_or(Sequence::new(-1), |last| last.last_sequence),
            last_offset: self.last_offset(),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            transaction_start: self.transaction_start,
        }
    }
}
