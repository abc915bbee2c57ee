//! The log `__cluster_metadata-0`: the applied output of the metadata quorum.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_log::vfs::Vfs;
use ottla_log::{
    AppendError, BatchOptions, Condition, LeaderAppend, LeaderEpoch, Limits, Log, LogConfig, LogId,
    LogOptions, Offset, Origin, OwnedRecord, Record, Room, Store, Timestamp, TopicId, TopicName,
    ValidBatches, build_batch,
};
use ottla_partition::metadata::quorum::{MetadataQuorum, Proposal, ProposeError};
use ottla_partition::metadata::{Image, MetadataRecord};

use super::signal::DurableSignal;
use super::snapshots::Snapshots;
use super::{METADATA_TOPIC, MetadataError};
use crate::runtime::Runtime;

/// The topic id that Kafka reserves for the metadata topic: 1, in its last byte.
const METADATA_TOPIC_ID: TopicId =
    TopicId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// How many records are replayed into an image at a time.
const REPLAY_RECORDS: usize = 10_000;

/// The open metadata log.
#[derive(Debug)]
pub(super) struct MetadataLog {
    runtime: Arc<Runtime>,
    log: Log,
    signal: Arc<DurableSignal>,
    leader_epoch: LeaderEpoch,
    snapshots: Snapshots,
    /// From this many bytes of records on, the next snapshot is due.
    bytes_between: u64,
    /// The bytes of records since the last snapshot.
    bytes_since: u64,
    /// The topics of which the log said at open, behind the snapshot, that they were removed.
    removed: BTreeSet<TopicId>,
}

impl MetadataLog {
    /// Opens the log in `store`, kept as `config` says, and replays it onto its newest snapshot.
    pub(super) fn open(
        store: &Store,
        vfs: &Arc<dyn Vfs>,
        runtime: &Arc<Runtime>,
        bytes_between: u64,
        config: LogConfig,
    ) -> Result<(Self, Image), MetadataError> {
        let topic = TopicName::new(METADATA_TOPIC).expect("the name keeps the rule");
        let id = LogId::new(topic, 0);
        let dir = store.log_dir().join(id.dir_name());
        let options = LogOptions {
            topic_id: Some(METADATA_TOPIC_ID),
            config,
        };
        let log = store.log(id, options);
        let log = log.map_err(|e| MetadataError::Open(Arc::new(e)))?;
        let snapshots = Snapshots::new(Arc::clone(vfs), dir);
        let image = snapshots.newest(store.cluster_id())?;
        let (snapshot, start) = (image.end(), log.ends().start);
        if snapshot < start {
            return Err(MetadataError::Gap {
                snapshot: snapshot.get(),
                log: start.get(),
            });
        }
        let Replayed {
            image,
            bytes: bytes_since,
            removed,
        } = replay(&log, image)?;
        // Each start is a new term of this node's.
        let leader_epoch = LeaderEpoch::new(log.latest_epoch().map_or(0, LeaderEpoch::get) + 1);
        let signal = DurableSignal::of(&log);
        let opened = Self {
            runtime: Arc::clone(runtime),
            log,
            signal,
            leader_epoch,
            snapshots,
            bytes_between,
            bytes_since,
            removed,
        };
        Ok((opened, image))
    }

    pub(super) const fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub(super) fn take_removed(&mut self) -> BTreeSet<TopicId> {
        std::mem::take(&mut self.removed)
    }

    /// Writes a snapshot of `image` where enough has changed since the last one, and lets the log
    /// forget what the snapshot holds. A failure is told and costs only time at the next start.
    pub(super) async fn snapshot_if_due(
        &mut self,
        runtime: &Runtime,
        image: &Arc<Image>,
        now: Timestamp,
    ) {
        if self.bytes_since < self.bytes_between {
            return;
        }
        self.bytes_since = 0;
        let (snapshots, log) = (self.snapshots.clone(), self.log.clone());
        let (image, epoch) = (Arc::clone(image), self.leader_epoch);
        let write = runtime.spawn_blocking(move || {
            let id = snapshots.write(&image, epoch, now)?;
            let cut = log.delete_records(id.end);
            cut.map_err(|e| MetadataError::Snapshot(e.to_string()))
        });
        let written = write.await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "the metadata goes on without a new snapshot");
        }
    }
}

/// On one node, committed is durable in the log.
impl MetadataQuorum for MetadataLog {
    async fn propose(&mut self, proposal: Proposal<'_>) -> Result<Offset, ProposeError> {
        let end = self.append(proposal).await?;
        let committed = self.signal.reaches(&self.log, end).await;
        committed.map_err(ProposeError::Failed)?;
        Ok(end)
    }
}

impl MetadataLog {
    /// Appends a proposal as one batch and returns the end behind it.
    async fn append(&mut self, proposal: Proposal<'_>) -> Result<Offset, ProposeError> {
        let Proposal { base, records, now } = proposal;
        let mut encoded = Vec::with_capacity(records.len());
        let mut bytes = 0;
        for record in records {
            let value = record.encode()?;
            bytes += value.len() as u64;
            encoded.push(Record::new(value).with_timestamp(now));
        }
        let options = BatchOptions {
            now,
            ..BatchOptions::default()
        };
        let batch = build_batch(&encoded, &options);
        let batch = batch.map_err(|e| ProposeError::Batch(e.to_string()))?;
        let batches = ValidBatches::parse(batch, &Limits::default());
        let batches = batches.map_err(|e| ProposeError::Batch(e.to_string()))?;
        let mut context = LeaderAppend::new(now, self.leader_epoch);
        context.condition = Condition::NextOffset(base);
        context.origin = Origin::Coordinator;
        let room = self.room(batches.bytes().len()).await;
        match room.and_then(|room| self.log.append_in(room, batches, &context)) {
            Ok(appended) => {
                self.bytes_since += bytes;
                Ok(appended.end)
            }
            Err(AppendError::Condition { expected, end, .. }) => Err(ProposeError::Stale {
                base: expected,
                end,
            }),
            // Nothing of the batch stays; a later change may find room.
            Err(AppendError::Storage(cause)) if cause.is_recoverable() => {
                Err(ProposeError::NoSpace(Arc::new(cause)))
            }
            Err(AppendError::Storage(cause)) => Err(ProposeError::Failed(Arc::new(cause))),
            Err(error) => Err(ProposeError::Batch(error.to_string())),
        }
    }
}

impl MetadataLog {
    /// Room for `bytes` in the dirty budget, which is waited for on the pool.
    async fn room(&self, bytes: usize) -> Result<Room, AppendError> {
        if let Some(room) = self.log.try_room(bytes)? {
            return Ok(room);
        }
        let log = self.log.clone();
        let waiting = self.runtime.spawn_blocking(move || log.room(bytes));
        let gone = |_| Err(AppendError::Closed(self.log.id().clone()));
        waiting.await.unwrap_or_else(gone)
    }
}

/// What came of a replay.
struct Replayed {
    image: Image,
    /// How many bytes the records are.
    bytes: u64,
    /// The topics that they remove.
    removed: BTreeSet<TopicId>,
}

/// Replays onto `image` every record of `log` that it does not have yet.
fn replay(log: &Log, mut image: Image) -> Result<Replayed, MetadataError> {
    let mut pending: Vec<MetadataRecord> = Vec::new();
    let mut bytes = 0;
    let mut removed = BTreeSet::new();
    for record in log.records(image.end()) {
        let record: OwnedRecord = record.map_err(|e| MetadataError::Read(Arc::new(e)))?;
        let value = record.value.unwrap_or_default();
        bytes += value.len() as u64;
        let decoded = MetadataRecord::decode(&value).map_err(|e| MetadataError::Record {
            offset: record.offset.get(),
            why: e.to_string(),
        })?;
        if let MetadataRecord::RemoveTopic(topic) = &decoded {
            removed.insert(topic.topic_id);
        }
        pending.push(decoded);
        if pending.len() == REPLAY_RECORDS {
            image = image.replay(image.end(), &pending)?;
            pending.clear();
        }
    }
    Ok(Replayed {
        image: image.replay(image.end(), &pending)?,
        bytes,
        removed,
    })
}
