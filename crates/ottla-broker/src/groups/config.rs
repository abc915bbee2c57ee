//! Kafka's settings of groups, as the machine takes them. None of them changes while a broker runs.

use std::time::Duration;

use ottla_coordinator::group::GroupConfig;
use ottla_log::Codec;
use ottla_partition::metadata::config::{BrokerConfig, broker_def};

/// What the groups of a broker that was started with `config` go by.
pub(super) fn of_groups(config: &BrokerConfig) -> GroupConfig {
    let mut groups = GroupConfig::default();
    let number = |key: &str| {
        let value = broker_def(key).and_then(|def| config.value(def).number());
        value.and_then(|number| u64::try_from(number).ok())
    };
    let ms = |key: &str, to: &mut Duration| *to = number(key).map_or(*to, Duration::from_millis);
    ms(
        "group.initial.rebalance.delay.ms",
        &mut groups.initial_rebalance_delay,
    );
    ms(
        "group.min.session.timeout.ms",
        &mut groups.session_timeout_min,
    );
    ms(
        "group.max.session.timeout.ms",
        &mut groups.session_timeout_max,
    );
    ms(
        "offsets.retention.check.interval.ms",
        &mut groups.offsets_retention_check_interval,
    );
    let minutes = number("offsets.retention.minutes");
    groups.offsets_retention = minutes.map_or(groups.offsets_retention, |minutes| {
        Duration::from_secs(minutes.saturating_mul(60))
    });
    let size = |key: &str, to: &mut usize| {
        *to = number(key)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(*to);
    };
    size("group.max.size", &mut groups.members_max);
    size("offset.metadata.max.bytes", &mut groups.offset_metadata_max);
    groups
}

/// How long an answer may wait for other brokers to have what it tells of.
pub(super) fn commit_timeout(config: &BrokerConfig) -> Duration {
    let ms = broker_def("offsets.commit.timeout.ms").and_then(|def| config.value(def).number());
    let ms = ms.and_then(|ms| u64::try_from(ms).ok());
    ms.map_or(Duration::MAX, Duration::from_millis)
}

/// How the records of groups are compressed.
pub(super) fn codec(config: &BrokerConfig) -> Codec {
    let number =
        broker_def("offsets.topic.compression.codec").and_then(|def| config.value(def).number());
    match number {
        Some(1) => Codec::Gzip,
        Some(2) => Codec::Snappy,
        Some(3) => Codec::Lz4,
        Some(4) => Codec::Zstd,
        _ => Codec::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_the_machine() {
        let given = [
            ("group.initial.rebalance.delay.ms", "7"),
            ("group.min.session.timeout.ms", "8"),
            ("group.max.session.timeout.ms", "9"),
            ("group.max.size", "10"),
            ("offset.metadata.max.bytes", "11"),
            ("offsets.retention.minutes", "12"),
            ("offsets.retention.check.interval.ms", "13"),
            ("offsets.topic.compression.codec", "4"),
            ("offsets.commit.timeout.ms", "14"),
        ];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (config, warnings) = BrokerConfig::new(given).unwrap();
        assert_eq!(warnings, []);
        let groups = of_groups(&config);
        let ms = Duration::from_millis;
        assert_eq!(groups.initial_rebalance_delay, ms(7));
        assert_eq!(groups.session_timeout_min, ms(8));
        assert_eq!(groups.session_timeout_max, ms(9));
        assert_eq!((groups.members_max, groups.offset_metadata_max), (10, 11));
        assert_eq!(groups.offsets_retention, Duration::from_secs(720));
        assert_eq!(groups.offsets_retention_check_interval, ms(13));
        assert_eq!(codec(&config), Codec::Zstd);
        assert_eq!(commit_timeout(&config), ms(14));
        // Kafka's defaults are the machine's.
        let defaults = BrokerConfig::default();
        assert_eq!(of_groups(&defaults), GroupConfig::default());
        assert_eq!(codec(&defaults), Codec::None);
        assert_eq!(commit_timeout(&defaults), Duration::from_secs(5));
    }
}
