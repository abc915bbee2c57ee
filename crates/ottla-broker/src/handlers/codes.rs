//! What a client is told of an error of the log: Kafka's code.

use ottla_log::{AppendError, LogError, ProduceError, ProduceErrorKind, ProducerError, ReadError};
use ottla_log::{StorageError, TruncateError};
use ottla_protocol::ErrorCode;

use crate::partition::Refusal;
use crate::partitions::OpenPartitionError;

pub(crate) fn of_refusal(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::Replica(error) => error.code(),
        Refusal::Append(error) => of_append(error),
    }
}

/// The disk's part in a refusal, where an operator has to know of it.
pub(crate) fn disk_failure(refusal: &Refusal) -> Option<&StorageError> {
    match refusal {
        // What took the log offline was told when it happened.
        Refusal::Append(AppendError::Storage(StorageError::Offline(_))) => None,
        Refusal::Append(AppendError::Storage(error)) => Some(error),
        _ => None,
    }
}

fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Invalid(error) => of_produce(error),
        AppendError::Producer(error) => of_producer(error),
        AppendError::Batch(_) | AppendError::Build(_) => ErrorCode::CorruptMessage,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::Storage(_) | AppendError::NotDurable { .. } => ErrorCode::KafkaStorageError,
        // Another broker leads, or this one stops: the client shall look for the leader again.
        AppendError::FencedLeaderEpoch { .. } | AppendError::Closed(_) => {
            ErrorCode::NotLeaderOrFollower
        }
        AppendError::Deleted(_) => ErrorCode::UnknownTopicOrPartition,
        other => unforeseen("an append", other),
    }
}

pub(crate) fn of_produce(error: &ProduceError) -> ErrorCode {
    match error.kind() {
        ProduceErrorKind::InvalidRecord => ErrorCode::InvalidRecord,
        ProduceErrorKind::Corrupt => ErrorCode::CorruptMessage,
        ProduceErrorKind::TooLarge => ErrorCode::MessageTooLarge,
        ProduceErrorKind::InvalidTimestamp => ErrorCode::InvalidTimestamp,
        ProduceErrorKind::UnsupportedCodec => ErrorCode::UnsupportedCompressionType,
        _ => unforeseen("a check of a batch", error),
    }
}

fn of_producer(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        ProducerError::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerError::InvalidTransactionState(_) => ErrorCode::InvalidTxnState,
        ProducerError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        other => unforeseen("a producer's state", other),
    }
}

pub(crate) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // As Kafka: a consumer tells its program where, which may seek behind it. With a storage
        // error it would ask again for ever.
        ReadError::Corrupt { .. } | ReadError::Batch { .. } => ErrorCode::CorruptMessage,
        ReadError::Storage(_) => ErrorCode::KafkaStorageError,
        ReadError::Closed(_) => ErrorCode::NotLeaderOrFollower,
        ReadError::Deleted(_) => ErrorCode::UnknownTopicOrPartition,
        other => unforeseen("a read", other),
    }
}

pub(crate) fn of_truncate(error: &TruncateError) -> ErrorCode {
    match error {
        TruncateError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        TruncateError::Storage(_) => ErrorCode::KafkaStorageError,
        TruncateError::Closed(_) => ErrorCode::NotLeaderOrFollower,
        TruncateError::Deleted(_) => ErrorCode::UnknownTopicOrPartition,
        other => unforeseen("a truncation", other),
    }
}

pub(crate) fn of_open(error: &OpenPartitionError) -> ErrorCode {
    match error {
        OpenPartitionError::Log(LogError::Closed { .. }) => ErrorCode::NotLeaderOrFollower,
        // Deleted, and maybe made anew, while the request was on its way.
        OpenPartitionError::Deleted { .. }
        | OpenPartitionError::Log(LogError::OtherTopic { .. }) => {
            ErrorCode::UnknownTopicOrPartition
        }
        OpenPartitionError::Log(_) => ErrorCode::KafkaStorageError,
    }
}

/// Whether an operator has to know of it: the disk, not the client, is the cause.
pub(crate) fn is_disk_failure(error: &ReadError) -> bool {
    match error {
        ReadError::Corrupt { .. } => true,
        // What took the log offline was told when it happened.
        ReadError::Storage(error) => !matches!(error, StorageError::Offline(_)),
        _ => false,
    }
}

fn unforeseen(doing: &str, error: &dyn std::error::Error) -> ErrorCode {
    tracing::error!(%error, "{doing} failed in a way without a code of its own");
    ErrorCode::UnknownServerError
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_log::Offset;

    use super::*;

    #[test]
    fn a_corrupt_range_is_the_programs_business_and_a_failed_disk_is_not() {
        let corrupt = ReadError::Corrupt {
            asked: Offset::new(3),
            cause: StorageError::Corrupt {
                path: "t-0".into(),
                position: 7,
                why: "it is none".to_owned(),
            },
            next: None,
        };
        assert_eq!(of_read(&corrupt), ErrorCode::CorruptMessage);
        let closed = ReadError::Storage(StorageError::Closed);
        assert_eq!(of_read(&closed), ErrorCode::KafkaStorageError);
    }

    #[test]
    fn a_full_disk_is_told_and_what_was_told_is_not() {
        let full = || StorageError::NoSpace {
            doing: "write",
            path: "t-0".into(),
        };
        let refused = |error| Refusal::Append(AppendError::Storage(error));
        assert!(disk_failure(&refused(full())).is_some());
        let offline = StorageError::Offline(Arc::new(full()));
        assert!(disk_failure(&refused(offline)).is_none());
    }
}
