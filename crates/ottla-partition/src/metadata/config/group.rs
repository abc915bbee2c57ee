//! The table of group configuration keys, those of Kafka 4.3.1, and what they come to for one
//! group: its own value within the broker's bounds, or the broker's value.
//!
//! Not here: what a group does with them.

use super::broker::broker_def;
use super::def::{Check, ConfigDef, ConfigKind, Mark, Update};
use super::describe::{ConfigEntry, ConfigSource, ConfigSynonym, entry};
use super::reason::{NO_SHARE_GROUPS, NO_STREAMS_GROUPS, ONLY_CLASSIC};
use super::resolve::ConfigView;
use super::value::{ConfigValue, InvalidConfig};
use crate::metadata::image::ConfigMap;
use crate::metadata::record::ConfigResource;

use Check::{Any, AtLeast, Between, OffsetReset, OneOf};
use ConfigKind::{Boolean, Int, String as Str};

/// Every group key, in the order of names.
#[must_use]
pub fn group_defs() -> &'static [ConfigDef] {
    GROUP
}

/// The group key `name`.
#[must_use]
pub fn group_def(name: &str) -> Option<&'static ConfigDef> {
    let at = GROUP.binary_search_by(|def| def.name.cmp(name)).ok()?;
    GROUP.get(at)
}

/// The broker key that gives a group key its value where the group sets none, if there is one.
fn broker_key(name: &str) -> Option<String> {
    const OWN: [&str; 3] = [
        "share.auto.offset.reset",
        "share.isolation.level",
        "share.renew.acknowledge.enable",
    ];
    (!OWN.contains(&name)).then(|| format!("group.{name}"))
}

/// The broker key that bounds a group key: `bound` is `min` or `max`.
fn bound_key(name: &str, bound: &str) -> Option<String> {
    let (family, rest) = name.split_once('.')?;
    Some(format!("group.{family}.{bound}.{rest}"))
}

impl ConfigView<'_> {
    /// The value of the group key `name` for `group`, within the bounds that the broker sets;
    /// [`ConfigValue::Null`] where there is no such key.
    #[must_use]
    pub fn group(&self, group: &str, name: &str) -> ConfigValue {
        let Some(def) = group_def(name) else {
            return ConfigValue::Null;
        };
        match self.group_value(self.set_on_group(group), def) {
            ConfigValue::Number(n) => {
                let (min, max) = self.group_bounds(def.name);
                // The bounds may have moved since the value was set, also past each other.
                ConfigValue::Number(n.min(max).max(min))
            }
            value => value,
        }
    }

    /// Every group key as it is for `group`, which need not exist.
    #[must_use]
    pub fn describe_group(&self, group: &str) -> Vec<ConfigEntry> {
        let set = self.set_on_group(group);
        let describe = |def: &'static ConfigDef| {
            let value = self.group_value(set, def).to_text();
            let mut synonyms = Vec::new();
            if set.is_some_and(|set| set.contains_key(def.name)) {
                synonyms.push(ConfigSynonym {
                    name: def.name.to_owned(),
                    value: value.clone(),
                    source: ConfigSource::Group,
                });
            }
            match broker_key(def.name) {
                Some(key) if broker_def(&key).is_some() => synonyms.extend(self.synonyms(&key)),
                key => synonyms.push(ConfigSynonym {
                    name: key.unwrap_or_else(|| def.name.to_owned()),
                    value: def.default_value().to_text(),
                    source: ConfigSource::Default,
                }),
            }
            entry(def, value, synonyms, false)
        };
        GROUP.iter().map(describe).collect()
    }

    /// Checks the keys that a group would set, alone and together.
    ///
    /// # Errors
    /// [`InvalidConfig`] names a key that is unknown, or whose value is refused.
    pub(in crate::metadata) fn check_group(&self, set: &ConfigMap) -> Result<(), InvalidConfig> {
        for (name, text) in set {
            let def = group_def(name)
                .ok_or_else(|| InvalidConfig(format!("Unknown group config name: {name}")))?;
            let Some(n) = def.parse(text)?.number() else {
                continue;
            };
            let (min, max) = self.group_bounds(name);
            let refuse = |how: &str, bound| {
                let bound = bound_key(name, bound).unwrap_or_default();
                Err(InvalidConfig(format!(
                    "{name} must be {how} than or equal to {bound}"
                )))
            };
            if n < min {
                return refuse("greater", "min");
            }
            if n > max {
                return refuse("less", "max");
            }
        }
        for family in ["consumer", "share", "streams"] {
            let session = format!("{family}.session.timeout.ms");
            let heartbeat = format!("{family}.heartbeat.interval.ms");
            let number = |key| self.group_value(Some(set), group_def(key)?).number();
            let pair = number(&session).zip(number(&heartbeat));
            if pair.is_some_and(|(session, heartbeat)| session <= heartbeat) {
                let why = format!("{session} must be greater than {heartbeat}");
                return Err(InvalidConfig(why));
            }
        }
        Ok(())
    }

    /// The value of `def` for a group that sets `set`.
    fn group_value(&self, set: Option<&ConfigMap>, def: &ConfigDef) -> ConfigValue {
        let own = set.and_then(|set| def.parse(set.get(def.name)?).ok());
        let of_broker = || Some(self.broker_value(broker_def(&broker_key(def.name)?)?));
        own.or_else(of_broker)
            .unwrap_or_else(|| def.default_value())
    }

    /// The least and the most that the broker allows for the number `name`.
    fn group_bounds(&self, name: &str) -> (i64, i64) {
        let bound = |bound| self.broker(&bound_key(name, bound)?).number();
        (
            bound("min").unwrap_or(i64::MIN),
            bound("max").unwrap_or(i64::MAX),
        )
    }

    fn set_on_group(&self, group: &str) -> Option<&ConfigMap> {
        self.set_on(&ConfigResource::group(group))
    }
}

const fn def(
    name: &'static str,
    kind: ConfigKind,
    default: &'static str,
    check: Check,
    why_not: &'static str,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default: Some(default),
        check,
        update: Update::ClusterWide,
        mark: Mark::Reported(why_not),
        doc,
    }
}

const ISOLATION: &[&str] = &["read_committed", "read_uncommitted"];

// The bounds of share and streams groups are the defaults of broker keys that are not kept here.
#[rustfmt::skip]
static GROUP: &[ConfigDef] = &[
    def("consumer.assignment.interval.ms", Int, "1000", AtLeast(0), ONLY_CLASSIC,
        "The least time between two assignments of the group."),
    def("consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), ONLY_CLASSIC,
        "How often the group's members are to heartbeat."),
    def("consumer.session.timeout.ms", Int, "45000", AtLeast(1), ONLY_CLASSIC,
        "How long a silent member stays in the group."),
    def("share.assignment.interval.ms", Int, "1000", Between(0, 15_000), NO_SHARE_GROUPS,
        "The least time between two assignments of the group."),
    def("share.auto.offset.reset", Str, "latest", OffsetReset, NO_SHARE_GROUPS,
        "Where a share group begins to read: earliest, latest, or by_duration: and how far back."),
    def("share.delivery.count.limit", Int, "5", Between(2, 10), NO_SHARE_GROUPS,
        "How often a record is handed out before it counts as undeliverable."),
    def("share.heartbeat.interval.ms", Int, "5000", Between(5000, 15_000), NO_SHARE_GROUPS,
        "How often the group's members are to heartbeat."),
    def("share.isolation.level", Str, "read_uncommitted", OneOf(ISOLATION), NO_SHARE_GROUPS,
        "Whether records of transactions that are open or aborted are handed out."),
    def("share.partition.max.record.locks", Int, "2000", Between(100, 4000), NO_SHARE_GROUPS,
        "How many records of a partition may be handed out at a time."),
    def("share.record.lock.duration.ms", Int, "30000", Between(15_000, 60_000), NO_SHARE_GROUPS,
        "How long a record stays with the member that it was handed to."),
    def("share.renew.acknowledge.enable", Boolean, "true", Any, NO_SHARE_GROUPS,
        "Whether a member may ask to keep a record for longer."),
    def("share.session.timeout.ms", Int, "45000", Between(45_000, 60_000), NO_SHARE_GROUPS,
        "How long a silent member stays in the group."),
    def("streams.assignment.interval.ms", Int, "1000", Between(0, 15_000), NO_STREAMS_GROUPS,
        "The least time between two assignments of the group."),
    def("streams.heartbeat.interval.ms", Int, "5000", Between(5000, 15_000), NO_STREAMS_GROUPS,
        "How often the group's members are to heartbeat."),
    def("streams.initial.rebalance.delay.ms", Int, "3000", AtLeast(0), NO_STREAMS_GROUPS,
        "How long a new group waits for more members before its first assignment."),
    def("streams.num.standby.replicas", Int, "0", Between(0, 2), NO_STREAMS_GROUPS,
        "How many spare copies of each task's state the group keeps."),
    def("streams.session.timeout.ms", Int, "45000", Between(45_000, 60_000), NO_STREAMS_GROUPS,
        "How long a silent member stays in the group."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BrokerId;
    use crate::metadata::config::BrokerConfig;
    use crate::metadata::image::Image;

    const SESSION: &str = "consumer.session.timeout.ms";
    const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";

    /// The image of a cluster whose group `g` sets these, as if bounds had been other ones then.
    fn image(set: &[(&str, &str)]) -> Image {
        use crate::metadata::record::{ConfigRecord, MetadataRecord};
        let record = |(name, value): &(&str, &str)| {
            MetadataRecord::Config(ConfigRecord {
                resource: ConfigResource::group("g"),
                name: (*name).into(),
                value: Some((*value).into()),
            })
        };
        let records: Vec<_> = set.iter().map(record).collect();
        let empty = Image::new("cluster");
        empty.replay(empty.end(), &records).unwrap()
    }

    fn at_start(settings: &[(&str, &str)]) -> BrokerConfig {
        let pairs = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        BrokerConfig::new(pairs).unwrap().0
    }

    fn check(settings: &[(&str, &str)], set: &[(&str, &str)]) -> Result<(), String> {
        let (image, at_start) = (Image::new("cluster"), at_start(settings));
        let set = set.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        ConfigView::new(&image, BrokerId::new(1), &at_start)
            .check_group(&set.collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_allowed() {
        assert!(GROUP.is_sorted_by(|a, b| a.name < b.name));
        for def in GROUP {
            assert!(def.parse(def.default.unwrap()).is_ok(), "{}", def.name);
        }
        assert_eq!(check(&[], &[]), Ok(()));
    }

    #[test]
    fn a_groups_value_lies_within_the_brokers_bounds() {
        assert_eq!(check(&[], &[(SESSION, "50000")]), Ok(()));
        let min = "group.consumer.min.session.timeout.ms";
        let max = "group.consumer.max.session.timeout.ms";
        let low = format!("{SESSION} must be greater than or equal to {min}");
        assert_eq!(check(&[], &[(SESSION, "44999")]), Err(low));
        assert_eq!(check(&[(min, "6000")], &[(SESSION, "6000")]), Ok(()));
        let high = format!("{SESSION} must be less than or equal to {max}");
        assert_eq!(check(&[], &[(SESSION, "60001")]), Err(high));
        let order = format!("{SESSION} must be greater than {HEARTBEAT}");
        let both = [(SESSION, "6000"), (HEARTBEAT, "6000")];
        assert_eq!(check(&[(min, "6000")], &both), Err(order));
        let unknown = Err("Unknown group config name: consumer.session".to_owned());
        assert_eq!(check(&[], &[("consumer.session", "1")]), unknown);
        assert!(check(&[], &[(SESSION, "soon")]).is_err());
        assert!(check(&[], &[("share.delivery.count.limit", "11")]).is_err());
        assert!(check(&[], &[("share.isolation.level", "none")]).is_err());
    }

    #[test]
    fn the_groups_value_counts_then_the_brokers_then_the_default() {
        let at_start = at_start(&[
            ("group.consumer.session.timeout.ms", "47000"),
            ("group.consumer.max.heartbeat.interval.ms", "9000"),
        ]);
        let image = image(&[(HEARTBEAT, "12000"), ("share.delivery.count.limit", "7")]);
        let view = ConfigView::new(&image, BrokerId::new(1), &at_start);
        let number = |group, key| view.group(group, key).number();
        assert_eq!(number("g", SESSION), Some(47_000));
        assert_eq!(number("g", HEARTBEAT), Some(9000), "set under other bounds");
        assert_eq!(number("other", HEARTBEAT), Some(5000));
        assert_eq!(number("g", "share.delivery.count.limit"), Some(7));
        assert_eq!(view.group("g", "unknown"), ConfigValue::Null);
    }

    #[test]
    fn a_duration_to_begin_at_is_an_iso_duration() {
        let reset = |text: &str| check(&[], &[("share.auto.offset.reset", text)]).is_ok();
        let good = [
            "earliest",
            "latest",
            "by_duration:P1D",
            "by_duration:PT1H2M3.5S",
        ];
        assert!(good.into_iter().all(reset));
        let bad = [
            "none",
            "by_duration",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1DT",
            "by_duration:-PT1S",
            "by_duration:PT1M1H",
            "by_duration:PT1.5M",
            "by_duration:1",
        ];
        for text in bad {
            assert!(!reset(text), "{text}");
        }
    }
}
