//! Finds the batches again that a producer may repeat and a snapshot does not tell of.
//!
//! Kafka's snapshot keeps one batch of each producer, of which five may be under way. After a
//! restart a producer repeats those whose answers it missed. To refuse the older ones as out of
//! order, as Kafka does, makes it send all again under a new epoch, and those that were in the log
//! already are there twice. So the log's last batches are read once more, the first time that one
//! seems out of order.

use super::core::{Appender, LogCore};
use crate::producer_state::ProducerState;
use crate::segment::{Segment, Wait, WalkError};

/// How far back is read: the producers' batches under way, and what others wrote between them.
const RECALL_BYTES: u64 = 16 << 20;

impl LogCore {
    /// Completes what is known of the producers from the end of the log, once. What cannot be read
    /// stays forgotten.
    pub(super) fn recall_producers(&self, appender: &mut Appender) {
        let segments = self.segments.load();
        let mut seen = ProducerState::new(self.ends().start, &self.shared.limits);
        let mut first = segments.len();
        let mut left = RECALL_BYTES;
        // The position of the first segment to begin at.
        let mut skipped = 0;
        for segment in segments.iter().rev() {
            first -= 1;
            let size = segment.extent().size;
            skipped = size.saturating_sub(left);
            left = left.saturating_sub(size);
            if left == 0 {
                break;
            }
        }
        for segment in segments.iter().skip(first) {
            if let Err(error) = see(&mut seen, segment, skipped) {
                let error = segment.walk_error(error);
                tracing::warn!(
                    log = %self.id, %error,
                    "a producer's batch may be refused that was appended before the restart"
                );
            }
            skipped = 0;
        }
        appender.producers.recall(&seen);
    }
}

/// Takes in the data batches of `segment` from about the position `from` on.
fn see(seen: &mut ProducerState, segment: &Segment, from: u64) -> Result<(), WalkError> {
    let extent = segment.extent();
    if extent.size == 0 {
        return Ok(());
    }
    let start = segment.floor_position(from).map_err(WalkError::Storage)?;
    let file = segment.file().map_err(WalkError::Storage)?;
    let start = u64::from(start.position);
    let mut walk = segment.walk(&*file, Wait::Allowed, start..extent.size);
    while let Some(step) = walk.next()? {
        if !step.header.attributes.is_control() {
            seen.apply_data(&step.header);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::batch::BatchOptions;
    use crate::log::kit::{Kit, at, batch, closed};
    use crate::log::{AppendError, Known, LeaderAppend, LogCore};
    use crate::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};

    /// A producer's batch of one record; whether it was a repetition, and its offset.
    fn send(log: &LogCore, sequence: i32) -> Result<(bool, i64), AppendError> {
        let options = BatchOptions {
            producer_id: ProducerId::new(7),
            producer_epoch: ProducerEpoch::new(0),
            base_sequence: Sequence::new(sequence),
            ..BatchOptions::default()
        };
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        let appended = log.append_as_leader(batch(&["value"], 1000, &options), &context)?;
        Ok((appended.duplicate, appended.base_offset.get()))
    }

    #[test]
    fn five_batches_may_be_repeated_after_a_clean_stop() {
        let kit = Kit::new();
        let log = kit.open(&Known::default());
        for sequence in 0..8 {
            log.fill(30);
            assert!(!send(&log, sequence).unwrap().0);
        }
        let log = kit.open(&closed(&log));
        for sequence in 3..8 {
            let offset = i64::from(sequence) * 31 + 30;
            assert_eq!(send(&log, sequence).unwrap(), (true, offset));
        }
        for out_of_order in [2, 9] {
            let refused = send(&log, out_of_order);
            assert!(matches!(refused, Err(AppendError::Producer(_))));
        }
        assert!(!send(&log, 8).unwrap().0);
    }
}
