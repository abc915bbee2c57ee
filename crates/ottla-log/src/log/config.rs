//! The settings of one log, Kafka's topic settings as far as the log itself heeds them.

use std::time::Duration;

use crate::batch::TimestampType;
use crate::validate::{Compression, ProduceRules};
use crate::{Timestamp, TopicId};

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMode {
    /// After a flush round synced it: survives a power cut. A reader bounded by the durable end
    /// never sees a record that a power cut can take back.
    #[default]
    Sync,
    /// Once the operating system has it: survives a kill of the process.
    Os,
}

/// How a log is opened.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The topic's id. A directory of another id is set aside; without an id any is accepted, and
    /// a new log gets one of its own.
    pub topic_id: Option<TopicId>,
    /// The settings.
    pub config: LogConfig,
}

/// The settings of one log, named as Kafka's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogConfig {
    /// `segment.bytes`: a segment grows no larger.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment spans no more time.
    pub segment_ms: Duration,
    /// Taken off `segment_ms`, so that not all logs roll at once (`segment.jitter.ms`, drawn once
    /// per log by the caller).
    pub segment_jitter: Duration,
    /// `index.interval.bytes`: one index entry per so many bytes.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: an index grows no larger.
    pub segment_index_bytes: u32,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`: whose clock the records' timestamps are from.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how old a client's record may be.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far in the future a client's record may be.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`; none for `producer`, which keeps what the client chose.
    pub compression: Option<Compression>,
    /// Whether `cleanup.policy` has `compact`: each of a client's records needs a key.
    pub compacted: bool,
    /// Whether a compacted log is compacted indeed (`log.cleaner.enable`).
    pub cleaner_enable: bool,
    /// `min.cleanable.dirty.ratio`: the share of the log that must be uncompacted before it is
    /// compacted again.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: how long a record stays at least.
    pub min_compaction_lag: Duration,
    /// `max.compaction.lag.ms`: how long a record waits for compaction at most.
    pub max_compaction_lag: Duration,
    /// `delete.retention.ms`: how long a tombstone, or the end of a removed transaction, stays
    /// after the first compaction that saw it.
    pub delete_retention: Duration,
    /// `log.cleaner.dedupe.buffer.size`: the most memory for the map of keys.
    pub compaction_map_bytes: usize,
    /// `retention.ms`, where `cleanup.policy` has `delete`: how old a segment's newest record may
    /// become before the segment goes; none keeps it for ever.
    pub retention_ms: Option<Duration>,
    /// `retention.bytes`, where `cleanup.policy` has `delete`: how large the log may be before its
    /// oldest segments go; none for no bound.
    pub retention_bytes: Option<u64>,
    /// `log.retention.check.interval.ms`: how often is looked for such segments at most.
    pub retention_check_interval: Duration,
    /// `file.delete.delay.ms`: how long a removed segment's files stay on disk.
    pub file_delete_delay: Duration,
    /// `producer.id.expiration.ms`: how long a producer is remembered after its last batch.
    pub producer_id_expiration: Duration,
    /// Overrides the store's flush mode.
    pub flush: Option<FlushMode>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: Duration::from_secs(7 * 24 * 60 * 60),
            segment_jitter: Duration::ZERO,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            compression: None,
            compacted: false,
            cleaner_enable: true,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag: Duration::ZERO,
            max_compaction_lag: Duration::MAX,
            delete_retention: Duration::from_secs(24 * 60 * 60),
            compaction_map_bytes: 128 << 20,
            retention_ms: None,
            retention_bytes: None,
            retention_check_interval: Duration::from_secs(5 * 60),
            file_delete_delay: Duration::from_secs(60),
            producer_id_expiration: Duration::from_secs(24 * 60 * 60),
            flush: None,
        }
    }
}

impl LogConfig {
    /// What a client's batch is checked by.
    pub(super) const fn produce_rules(&self, now: Timestamp) -> ProduceRules {
        ProduceRules {
            now,
            timestamp_type: self.timestamp_type,
            before_max_ms: self.timestamp_before_max_ms,
            after_max_ms: self.timestamp_after_max_ms,
            keys_required: self.compacted,
            max_message_bytes: self.max_message_bytes as usize,
            compression: self.compression,
        }
    }
}
