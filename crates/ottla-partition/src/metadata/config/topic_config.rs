//! A topic's configuration, typed: what the log, the validator and the replica go by.

use std::time::Duration;

use ottla_log::{Codec, Compression, FlushMode, LogConfig, TimestampType};

use super::resolve::ConfigView;
use super::topic::topic_def;
use super::value::ConfigValue;
use crate::metadata::image::ConfigMap;

/// The effective configuration of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup: CleanupPolicy,
    /// `compression.type` with its level; `None` for `producer`, which keeps what the client chose.
    pub compression: Option<Compression>,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// What `flush.messages` and `flush.ms` ask for; `None` leaves it to the broker.
    pub flush: Option<FlushMode>,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.after.max.ms`.
    pub message_timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `producer.id.expiration.ms`, the broker's.
    pub producer_id_expiration_ms: i64,
    /// `retention.bytes`; `None` for no bound.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`; `None` for ever.
    pub retention_ms: Option<i64>,
    /// `log.cleaner.enable`, the broker's.
    pub cleaner_enable: bool,
    /// `log.cleaner.dedupe.buffer.size`, the broker's.
    pub cleaner_dedupe_buffer_size: u64,
    /// `log.retention.check.interval.ms`, the broker's.
    pub retention_check_interval_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u32,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
}

/// How old data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// By age and size.
    pub delete: bool,
    /// All but the newest record of each key.
    pub compact: bool,
}

impl TopicConfig {
    /// What the log itself heeds. `draw` is a random number, from which the log's own share of
    /// `segment.jitter.ms` is taken.
    #[must_use]
    pub fn log_config(&self, draw: u32) -> LogConfig {
        let millis = |n: i64| Duration::from_millis(u64::try_from(n).unwrap_or(0));
        let jitter_max = self.segment_jitter_ms.min(self.segment_ms);
        let jitter = if jitter_max > 0 {
            i64::from(draw) % jitter_max
        } else {
            0
        };
        // A compacted log's active segment must end in time for max.compaction.lag.ms.
        let segment_ms = if self.cleanup.compact {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        };
        let mut config = LogConfig::default();
        config.segment_bytes = self.segment_bytes;
        config.segment_ms = millis(segment_ms);
        config.segment_jitter = millis(jitter);
        config.index_interval_bytes = self.index_interval_bytes;
        config.segment_index_bytes = self.segment_index_bytes;
        config.max_message_bytes = self.max_message_bytes;
        config.timestamp_type = self.message_timestamp_type;
        config.timestamp_before_max_ms = self.message_timestamp_before_max_ms;
        config.timestamp_after_max_ms = self.message_timestamp_after_max_ms;
        config.compression = self.compression;
        config.compacted = self.cleanup.compact;
        config.cleaner_enable = self.cleaner_enable;
        config.min_cleanable_dirty_ratio = self.min_cleanable_dirty_ratio;
        config.min_compaction_lag = millis(self.min_compaction_lag_ms);
        config.max_compaction_lag = millis(self.max_compaction_lag_ms);
        config.delete_retention = millis(self.delete_retention_ms);
        let map_bytes = usize::try_from(self.cleaner_dedupe_buffer_size);
        config.compaction_map_bytes = map_bytes.unwrap_or(usize::MAX);
        if self.cleanup.delete {
            config.retention_ms = self.retention_ms.map(millis);
            config.retention_bytes = self.retention_bytes;
        }
        config.retention_check_interval = millis(self.retention_check_interval_ms);
        config.file_delete_delay = millis(self.file_delete_delay_ms);
        config.flush = self.flush;
        config.producer_id_expiration = millis(self.producer_id_expiration_ms);
        config
    }
}

impl ConfigView<'_> {
    /// The effective configuration of the topic `name`.
    #[must_use]
    pub fn topic_config(&self, name: &str) -> TopicConfig {
        self.topic_config_with(self.set_on_topic(name))
    }

    /// `max.message.bytes` of the topic `name`: what each produce request asks for, without the
    /// other keys of the configuration.
    #[must_use]
    pub fn max_message_bytes(&self, name: &str) -> u32 {
        let set = self.set_on_topic(name);
        let value = topic_def("max.message.bytes").map(|def| self.topic_value(set, def));
        let number = value.and_then(|value| value.number());
        number.map_or(0, |number| u32::try_from(number).unwrap_or_default())
    }

    /// The effective configuration of a topic that sets `set`.
    #[must_use]
    pub fn topic_config_with(&self, set: Option<&ConfigMap>) -> TopicConfig {
        let value = |name: &str| {
            topic_def(name).map_or(ConfigValue::Null, |def| self.topic_value(set, def))
        };
        let long = |name: &str| value(name).number().unwrap_or_default();
        let of_broker = |name: &str| self.broker(name).number().unwrap_or_default();
        let size = |name: &str| u32::try_from(long(name)).unwrap_or_default();
        let level = |name: &str| i32::try_from(long(name)).ok();
        let compression = |codec, level| Some(Compression { codec, level });
        let flag = |name: &str| value(name).boolean().unwrap_or_default();
        let policy = value("cleanup.policy");
        let has = |name: &str| {
            policy
                .list()
                .is_some_and(|list| list.iter().any(|p| p == name))
        };
        TopicConfig {
            cleanup: CleanupPolicy {
                delete: has("delete"),
                compact: has("compact"),
            },
            compression: match value("compression.type").text() {
                Some("uncompressed") => compression(Codec::None, None),
                // -1 leaves the level to the codec.
                Some("gzip") => {
                    let level = level("compression.gzip.level");
                    compression(Codec::Gzip, level.filter(|level| *level != -1))
                }
                Some("snappy") => compression(Codec::Snappy, None),
                Some("lz4") => compression(Codec::Lz4, level("compression.lz4.level")),
                Some("zstd") => compression(Codec::Zstd, level("compression.zstd.level")),
                _ => None,
            },
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush: self.flush_mode(set),
            index_interval_bytes: size("index.interval.bytes"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            max_message_bytes: size("max.message.bytes"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_type: match value("message.timestamp.type").text() {
                Some("LogAppendTime") => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: value("min.cleanable.dirty.ratio")
                .double()
                .unwrap_or_default(),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            min_insync_replicas: size("min.insync.replicas"),
            producer_id_expiration_ms: of_broker("producer.id.expiration.ms"),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            retention_ms: Some(long("retention.ms")).filter(|ms| *ms >= 0),
            cleaner_enable: self.broker("log.cleaner.enable").boolean().unwrap_or(true),
            cleaner_dedupe_buffer_size: of_broker("log.cleaner.dedupe.buffer.size").unsigned_abs(),
            retention_check_interval_ms: of_broker("log.retention.check.interval.ms"),
            segment_bytes: value("internal.segment.bytes")
                .number()
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or_else(|| size("segment.bytes")),
            segment_index_bytes: size("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
            unclean_leader_election: flag("unclean.leader.election.enable"),
        }
    }

    /// What Kafka's flush keys ask for, where anybody set one: a bound on what is not synced yet
    /// is kept by syncing before every acks=all answer; "never" is left to the operating system.
    fn flush_mode(&self, set: Option<&ConfigMap>) -> Option<FlushMode> {
        let explicit = |name| self.explicit_topic_value(set, name)?.number();
        match (explicit("flush.messages"), explicit("flush.ms")) {
            (Some(messages), _) if messages < i64::MAX => Some(FlushMode::Sync),
            (_, Some(ms)) if ms < i64::MAX => Some(FlushMode::Sync),
            (None, None) => None,
            _ => Some(FlushMode::Os),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BrokerId;
    use crate::metadata::config::BrokerConfig;
    use crate::metadata::image::Image;

    /// The configuration of a topic that sets `topic`, on a broker started with `broker`.
    fn config(topic: &[(&str, &str)], broker: &[(&str, &str)]) -> TopicConfig {
        let owned = broker.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let (at_start, _) = BrokerConfig::new(owned).unwrap();
        let image = Image::new("c");
        let set: ConfigMap = topic
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        ConfigView::new(&image, BrokerId::new(1), &at_start).topic_config_with(Some(&set))
    }

    #[test]
    fn what_kafkas_flush_keys_ask_for() {
        const MAX: &str = "9223372036854775807";
        let flush = |topic: &[(&str, &str)], broker: &[(&str, &str)]| config(topic, broker).flush;
        assert_eq!(flush(&[], &[]), None);
        assert_eq!(
            flush(&[("flush.messages", "1")], &[]),
            Some(FlushMode::Sync)
        );
        assert_eq!(
            flush(&[("flush.messages", "100")], &[]),
            Some(FlushMode::Sync)
        );
        assert_eq!(flush(&[("flush.messages", MAX)], &[]), Some(FlushMode::Os));
        assert_eq!(flush(&[("flush.ms", "1000")], &[]), Some(FlushMode::Sync));
        assert_eq!(flush(&[("flush.ms", MAX)], &[]), Some(FlushMode::Os));
        let both = [("flush.messages", MAX), ("flush.ms", "1000")];
        assert_eq!(flush(&both, &[]), Some(FlushMode::Sync));
        let broker = [("log.flush.interval.messages", "1")];
        assert_eq!(flush(&[], &broker), Some(FlushMode::Sync));
        assert_eq!(
            flush(&[("flush.messages", MAX)], &broker),
            Some(FlushMode::Os)
        );
        let scheduler = [("log.flush.scheduler.interval.ms", "5000")];
        assert_eq!(flush(&[], &scheduler), Some(FlushMode::Sync));
    }

    #[test]
    fn the_logs_own_settings_follow() {
        let plain = config(&[], &[]);
        assert_eq!(plain.log_config(7).segment_bytes, 1 << 30);
        assert_eq!(plain.retention_ms, Some(604_800_000));
        assert_eq!(plain.retention_bytes, None);
        assert!(plain.cleanup.delete && !plain.cleanup.compact);
        let compacted = config(
            &[
                ("cleanup.policy", "compact"),
                ("max.compaction.lag.ms", "1000"),
                ("retention.ms", "-1"),
                ("compression.type", "zstd"),
                ("compression.zstd.level", "-5"),
                ("message.timestamp.type", "LogAppendTime"),
            ],
            &[],
        );
        let log = compacted.log_config(7);
        assert_eq!(
            log.segment_ms,
            Duration::from_secs(1),
            "ends in time for compaction"
        );
        assert_eq!(compacted.retention_ms, None);
        let week = Some(Duration::from_secs(604_800));
        assert_eq!(plain.log_config(7).retention_ms, week);
        let sized = config(
            &[("cleanup.policy", "delete"), ("retention.bytes", "9")],
            &[],
        );
        assert_eq!(sized.log_config(0).retention_bytes, Some(9));
        for policy in ["compact", ""] {
            let set = [("cleanup.policy", policy), ("retention.bytes", "9")];
            let kept = config(&set, &[]).log_config(0);
            assert_eq!((kept.retention_ms, kept.retention_bytes), (None, None));
        }
        let often = config(&[], &[("log.retention.check.interval.ms", "50")]).log_config(0);
        assert_eq!(often.retention_check_interval, Duration::from_millis(50));
        let day = plain.log_config(0).producer_id_expiration;
        assert_eq!(day, Duration::from_secs(86_400));
        let soon = config(&[], &[("producer.id.expiration.ms", "60000")]).log_config(0);
        assert_eq!(soon.producer_id_expiration, Duration::from_secs(60));
        let zstd = Compression {
            codec: Codec::Zstd,
            level: Some(-5),
        };
        assert_eq!(log.compression, Some(zstd));
        assert_eq!(log.timestamp_type, TimestampType::LogAppendTime);
        assert!(log.compacted, "its records need keys");
        assert_eq!(log.max_compaction_lag, Duration::from_secs(1));
        assert_eq!(log.delete_retention, Duration::from_secs(86_400));
        assert!(log.cleaner_enable && log.compaction_map_bytes == 128 << 20);
        let gzip = config(&[("compression.type", "gzip")], &[]).log_config(0);
        assert_eq!(gzip.compression.unwrap().level, None, "the codec's own");
        assert_eq!(
            plain.log_config(0).compression,
            None,
            "as the producer sent it"
        );
        let jitter = config(&[("segment.jitter.ms", "100"), ("segment.ms", "50")], &[]);
        let jitter = jitter.log_config(1049).segment_jitter;
        assert_eq!(
            jitter,
            Duration::from_millis(49),
            "never the whole of segment.ms"
        );
        let small = config(&[("internal.segment.bytes", "512")], &[]);
        assert_eq!(small.log_config(0).segment_bytes, 512);
    }

    #[test]
    fn times_in_larger_units_are_defaults_too() {
        let hours = [("log.retention.hours", "2"), ("log.roll.hours", "3")];
        let config_of = |broker: &[(&str, &str)]| config(&[], broker);
        assert_eq!(config_of(&hours).retention_ms, Some(7_200_000));
        assert_eq!(config_of(&hours).segment_ms, 10_800_000);
        let minutes = [("log.retention.hours", "2"), ("log.retention.minutes", "3")];
        assert_eq!(config_of(&minutes).retention_ms, Some(180_000));
        let millis = [("log.retention.minutes", "3"), ("log.retention.ms", "4")];
        assert_eq!(config_of(&millis).retention_ms, Some(4));
        assert_eq!(
            config_of(&[("log.retention.hours", "-1")]).retention_ms,
            None
        );
    }
}
