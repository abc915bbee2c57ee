//! The log `__cluster_metadata-0`: the applied output of the metadata quorum.

use std::sync::Arc;

use ottla_log::{
    AppendError, BatchOptions, Condition, LeaderAppend, LeaderEpoch, Limits, Log, LogId,
    LogOptions, Offset, Origin, OwnedRecord, Record, StorageError, Store, Timestamp, TopicId,
    TopicName, ValidBatches, build_batch,
};
use ottla_partition::metadata::{Image, MetadataRecord};

use super::signal::DurableSignal;
use super::{METADATA_TOPIC, MetadataError};

/// The topic id that Kafka reserves for the metadata topic: 1, in its last byte.
const METADATA_TOPIC_ID: TopicId =
    TopicId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// How many records are replayed into an image at a time.
const REPLAY_RECORDS: usize = 10_000;

/// The open metadata log.
#[derive(Debug)]
pub(super) struct MetadataLog {
    log: Log,
    signal: Arc<DurableSignal>,
    leader_epoch: LeaderEpoch,
}

impl MetadataLog {
    /// Opens the log in `store` and replays it into an image.
    pub(super) fn open(store: &Store) -> Result<(Self, Image), MetadataError> {
        let topic = TopicName::new(METADATA_TOPIC).expect("the name keeps the rule");
        let options = LogOptions {
            topic_id: Some(METADATA_TOPIC_ID),
            ..LogOptions::default()
        };
        let log = store.log(LogId::new(topic, 0), options);
        let log = log.map_err(|e| MetadataError::Open(Arc::new(e)))?;
        let image = replay(&log, Image::new(store.cluster_id()))?;
        // Each start is a new term of this node's.
        let leader_epoch = LeaderEpoch::new(log.latest_epoch().map_or(0, LeaderEpoch::get) + 1);
        let signal = DurableSignal::of(&log);
        Ok((
            Self {
                log,
                signal,
                leader_epoch,
            },
            image,
        ))
    }

    pub(super) const fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Appends `records` as one batch at the offset `at` and returns the end behind it.
    pub(super) fn append(
        &self,
        at: Offset,
        records: &[MetadataRecord],
        now: Timestamp,
    ) -> Result<Offset, MetadataError> {
        let refused = |why: String| MetadataError::Record {
            offset: at.get(),
            why,
        };
        let mut encoded = Vec::with_capacity(records.len());
        for record in records {
            let value = record.encode().map_err(|e| refused(e.to_string()))?;
            encoded.push(Record::new(value).with_timestamp(now));
        }
        let batch = build_batch(
            &encoded,
            &BatchOptions {
                now,
                ..BatchOptions::default()
            },
        );
        let batch = batch.map_err(|e| refused(e.to_string()))?;
        let batches = ValidBatches::parse(batch, &Limits::default());
        let batches = batches.map_err(|e| refused(e.to_string()))?;
        let mut context = LeaderAppend::new(now, self.leader_epoch);
        context.condition = Condition::NextOffset(at);
        context.origin = Origin::Coordinator;
        match self.log.append_as_leader(batches, &context) {
            Ok(appended) => Ok(appended.end),
            // Nothing of the batch stays; a later change may find room.
            Err(AppendError::Storage(cause)) if cause.is_recoverable() => {
                Err(MetadataError::NoSpace(Arc::new(cause)))
            }
            Err(AppendError::Storage(cause)) => Err(MetadataError::Failed(Arc::new(cause))),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Waits until everything below `end` is durable.
    pub(super) async fn durable(&self, end: Offset) -> Result<(), MetadataError> {
        let reached: Result<(), Arc<StorageError>> = self.signal.reaches(&self.log, end).await;
        reached.map_err(MetadataError::Failed)
    }
}

/// The image after every record of `log`.
fn replay(log: &Log, mut image: Image) -> Result<Image, MetadataError> {
    let mut pending: Vec<MetadataRecord> = Vec::new();
    for record in log.records(image.end()) {
        let record: OwnedRecord = record.map_err(|e| MetadataError::Read(Arc::new(e)))?;
        let value = record.value.unwrap_or_default();
        let decoded = MetadataRecord::decode(&value).map_err(|e| MetadataError::Record {
            offset: record.offset.get(),
            why: e.to_string(),
        })?;
        pending.push(decoded);
        if pending.len() == REPLAY_RECORDS {
            image = image.replay(image.end(), &pending)?;
            pending.clear();
        }
    }
    Ok(image.replay(image.end(), &pending)?)
}
