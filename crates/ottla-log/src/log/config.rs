//! The settings of one log, Kafka's topic settings as far as the log itself heeds them.

use std::time::Duration;

use crate::TopicId;

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
    /// `file.delete.delay.ms`: how long a removed segment's files stay on disk.
    pub file_delete_delay: Duration,
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
            file_delete_delay: Duration::from_secs(60),
            flush: None,
        }
    }
}
