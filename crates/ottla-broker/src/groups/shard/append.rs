//! From a decision to the log: its records become batches, and what the log does not take is
//! refused.

use bytes::Bytes;
use ottla_coordinator::group::{Decision, Record as GroupRecord};
use ottla_log::{
    AppendError, BatchOptions, LeaderEpoch, Limits, Offset, Origin, Record, ValidBatches,
    build_batch,
};
use ottla_partition::partition::{Acks, ReplicaError};
use ottla_protocol::ErrorCode;

use super::{Active, Shard};
use crate::partition::Refusal;

/// The most bytes of records in one batch, unless one record alone has more.
const BATCH_BYTES_MAX: usize = 768 * 1024;

impl Shard {
    /// Appends and replays the records of a decision. How far the log has to be durable for its
    /// answers, or for those that follow where the log refused the records.
    pub(super) fn remember(
        &self,
        active: &mut Active,
        decision: Decision,
    ) -> Result<(Decision, Offset), Failure> {
        if decision.records.is_empty() {
            let until = decision.seen;
            return Ok((decision, until));
        }
        match self.append(active, &decision.records) {
            Ok(until) => {
                active.is_refused = false;
                Ok((decision, until))
            }
            Err(failure) => {
                let Some(code) = failure.of_this_alone() else {
                    return Err(failure);
                };
                if !std::mem::replace(&mut active.is_refused, true) {
                    let partition = self.partition.id();
                    tracing::warn!(%partition, error = %failure, "requests of groups are refused");
                }
                let now = self.input_at(active.last_input, active);
                let follows = active.machine.refused(now, decision, code);
                let until = follows.seen;
                Ok((follows, until))
            }
        }
    }

    /// Appends and replays; the offset behind the records. They are one batch, unless they are so
    /// many that it would not fit: what forgets a large group may take effect in several steps.
    fn append(&self, active: &mut Active, records: &[GroupRecord]) -> Result<Offset, Failure> {
        let epoch = self.partition.leader_epoch();
        if epoch != active.epoch {
            return Err(Failure::OtherTerm(active.epoch, epoch));
        }
        let mut end = Offset::ZERO;
        let mut rest = records;
        while !rest.is_empty() {
            let batch = encode(&mut rest)?;
            end = self.append_batch(active, &batch)?;
        }
        Ok(end)
    }

    fn append_batch(
        &self,
        active: &mut Active,
        batch: &[(Record, &GroupRecord)],
    ) -> Result<Offset, Failure> {
        let options = BatchOptions {
            codec: self.codec,
            now: self.timer.now(),
            ..BatchOptions::default()
        };
        let records: Vec<_> = batch.iter().map(|(record, _)| record.clone()).collect();
        let encoded = build_batch(&records, &options)?;
        let valid = ValidBatches::parse(encoded, &Limits::default())?;
        // How large it may be, and what it may say, was decided with the records: settings of the
        // topic, which bind its clients, must not cost the shard what was decided.
        let appended = self
            .partition
            .append(Origin::Coordinator, valid, Acks::All)?;
        for ((_, record), offset) in batch.iter().zip(appended.base_offset.get()..) {
            active.machine.replay(Offset::new(offset), record);
        }
        Ok(appended.end)
    }
}

/// Encodes as many of `rest` as one batch takes, at least one, and leaves the others.
fn encode<'a>(rest: &mut &'a [GroupRecord]) -> Result<Vec<(Record, &'a GroupRecord)>, Failure> {
    let mut encoded = Vec::new();
    let mut bytes = 0;
    for record in *rest {
        let (key, value) = record.encode()?;
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        if !encoded.is_empty() && bytes > BATCH_BYTES_MAX {
            break;
        }
        let mut bare = Record::new(Bytes::new());
        (bare.key, bare.value) = (Some(key), value);
        encoded.push((bare, record));
    }
    *rest = rest.get(encoded.len()..).unwrap_or_default();
    Ok(encoded)
}

/// Why a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it was loaded in the leader epoch {0}, and now is {1}")]
    OtherTerm(LeaderEpoch, LeaderEpoch),
    #[error("a record cannot be encoded: {0}")]
    Encode(#[from] ottla_protocol::EncodeError),
    #[error("records do not fit into a batch: {0}")]
    Build(#[from] ottla_log::BuildError),
    #[error("a batch is not valid: {0}")]
    Batch(#[from] ottla_log::BatchError),
    #[error("records cannot be appended: {0}")]
    Append(#[from] Refusal),
}

impl Failure {
    /// What a client is told of it, as Kafka tells it, where the log is as it was and may well take
    /// the next records; `None` where it cannot be known what the shard can rely on.
    fn of_this_alone(&self) -> Option<ErrorCode> {
        match self {
            Self::Append(Refusal::Replica(ReplicaError::NotEnoughReplicas { .. })) => {
                Some(ErrorCode::CoordinatorNotAvailable)
            }
            Self::Append(Refusal::Append(AppendError::Storage(error)))
                if error.is_recoverable() =>
            {
                Some(ErrorCode::NotCoordinator)
            }
            Self::Append(Refusal::Append(AppendError::LargerThanSegment { .. }))
            | Self::Encode(_)
            | Self::Build(_)
            | Self::Batch(_) => Some(ErrorCode::UnknownServerError),
            Self::OtherTerm(..) | Self::Append(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use ottla_log::StorageError;

    use super::*;

    #[test]
    fn what_leaves_the_log_as_it_was_costs_a_request_alone() {
        let disk = |kind: io::ErrorKind| {
            let error = StorageError::io("write", Path::new("/log"), kind.into());
            Failure::from(Refusal::from(AppendError::from(error)))
        };
        let replica = |error: ReplicaError| Failure::from(Refusal::from(error));
        let few = ReplicaError::NotEnoughReplicas { isr: 1, min_isr: 2 };
        let expected = [
            (replica(few), Some(ErrorCode::CoordinatorNotAvailable)),
            (
                disk(io::ErrorKind::StorageFull),
                Some(ErrorCode::NotCoordinator),
            ),
            (disk(io::ErrorKind::Other), None),
            (replica(ReplicaError::Offline), None),
            (
                Failure::OtherTerm(LeaderEpoch::new(1), LeaderEpoch::new(2)),
                None,
            ),
        ];
        for (failure, code) in expected {
            assert_eq!(failure.of_this_alone(), code, "{failure}");
        }
    }
}
