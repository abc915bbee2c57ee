//! The table of topic configuration keys, those of Kafka 4.3.1.

use std::collections::BTreeMap;

use super::def::{Check, ConfigDef, ConfigKind, Mark, Update};
use super::reason::{NO_PREALLOCATION, NO_QUOTAS, NO_TIERED_STORAGE};
use super::value::{ConfigValue, InvalidConfig};

use Check::{Any, AtLeast, Between, Fraction, GzipLevel, ListOf, OneOf, ThrottledReplicas};
use ConfigKind::{Boolean, Double, Int, List, Long, String as Str};
use Mark::{Effective, Reported};

/// The largest number a `LONG` key takes: Kafka's "never" and "without bound".
const LONG_MAX: &str = "9223372036854775807";

/// Every topic key, in the order of names.
#[must_use]
pub fn topic_defs() -> &'static [ConfigDef] {
    TOPIC
}

/// The topic key `name`.
#[must_use]
pub fn topic_def(name: &str) -> Option<&'static ConfigDef> {
    if name == INTERNAL_SEGMENT_BYTES.name {
        return Some(&INTERNAL_SEGMENT_BYTES);
    }
    let at = TOPIC.binary_search_by(|def| def.name.cmp(name)).ok()?;
    TOPIC.get(at)
}

/// The broker keys that give a topic key its value where no topic sets it: the first that is set
/// counts. Each comes with the factor that turns its unit into the topic key's.
pub(super) fn broker_synonyms(topic_key: &str) -> &'static [(&'static str, i64)] {
    SYNONYMS
        .iter()
        .find(|(name, _)| *name == topic_key)
        .map_or(&[], |(_, broker_keys)| broker_keys)
}

/// Checks the keys that were set on one topic, alone and together. `effective` gives the value
/// of any key that is not among them.
///
/// # Errors
/// [`InvalidConfig`] names the first key that is unknown or whose value is refused.
pub fn validate_topic_config<'a>(
    set: impl Iterator<Item = (&'a str, &'a str)>,
    effective: impl Fn(&'static ConfigDef) -> ConfigValue,
) -> Result<(), InvalidConfig> {
    let set: BTreeMap<&str, &str> = set.collect();
    if let Some(unknown) = set.keys().find(|name| topic_def(name).is_none()) {
        return Err(InvalidConfig(format!(
            "Unknown topic config name: {unknown}"
        )));
    }
    let mut values = BTreeMap::new();
    for (name, def) in set
        .keys()
        .filter_map(|name| Some((*name, topic_def(name)?)))
    {
        let text = set.get(name).copied().unwrap_or_default();
        values.insert(def.name, def.parse(text)?);
    }
    let value = |name: &str| match values.get(name) {
        Some(value) => Some(value.clone()),
        None => topic_def(name).map(&effective),
    };
    let number = |name| value(name).and_then(|value| value.number());
    let lags = number("min.compaction.lag.ms").zip(number("max.compaction.lag.ms"));
    if let Some((min, max)) = lags.filter(|(min, max)| min > max) {
        return Err(InvalidConfig(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > \
             max.compaction.lag.ms ({max})"
        )));
    }
    if value("remote.storage.enable") == Some(ConfigValue::Boolean(true)) {
        return Err(InvalidConfig(
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage."
                .to_owned(),
        ));
    }
    Ok(())
}

const fn def(
    name: &'static str,
    kind: ConfigKind,
    default: &'static str,
    check: Check,
    mark: Mark,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default: Some(default),
        check,
        update: Update::ClusterWide,
        mark,
        doc,
    }
}

/// A key that Kafka keeps for its own tests: accepted, never shown.
static INTERNAL_SEGMENT_BYTES: ConfigDef = ConfigDef {
    name: "internal.segment.bytes",
    kind: Int,
    default: None,
    check: Any,
    update: Update::ClusterWide,
    mark: Effective,
    doc: "In place of segment.bytes, without its lower bound: for tests.",
};

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

#[rustfmt::skip]
static TOPIC: &[ConfigDef] = &[
    def("cleanup.policy", List, "delete", ListOf(&["compact", "delete"]), Effective,
        "How old data goes: \"delete\" removes whole segments by age or size, \"compact\" keeps \
         the newest record of each key. Both may be given; an empty list keeps everything."),
    def("compression.gzip.level", Int, "-1", GzipLevel, Effective,
        "The level used where compression.type is gzip; -1 leaves it to the codec."),
    def("compression.lz4.level", Int, "9", Between(1, 17), Effective,
        "The level used where compression.type is lz4."),
    def("compression.type", Str, "producer", OneOf(CODECS), Effective,
        "How batches lie on disk: as the producer sent them (\"producer\"), or recompressed with \
         the named codec."),
    def("compression.zstd.level", Int, "3", Between(-131_072, 22), Effective,
        "The level used where compression.type is zstd."),
    def("delete.retention.ms", Long, "86400000", AtLeast(0), Effective,
        "How long compaction keeps the marker of a deleted key, so that a reader that starts at \
         the beginning has this long to see it."),
    def("file.delete.delay.ms", Long, "60000", AtLeast(0), Effective,
        "How long the files of a removed segment stay on disk under another name."),
    def("flush.messages", Long, LONG_MAX, AtLeast(1), Effective,
        "Kafka's number of records between syncs. Here 1 makes an acks=all answer wait for the \
         disk, and the largest number leaves syncing to the operating system, whatever the \
         broker's ottla.flush.mode says."),
    def("flush.ms", Long, LONG_MAX, AtLeast(0), Effective,
        "Kafka's time between syncs. Any value but the largest makes an acks=all answer wait for \
         the disk, which keeps the promise at any interval."),
    def("follower.replication.throttled.replicas", List, "", ThrottledReplicas, Reported(NO_QUOTAS),
        "The replicas (partition:broker, or * for all) whose replication is slowed down on the \
         follower's side."),
    def("index.interval.bytes", Int, "4096", AtLeast(0), Effective,
        "How many bytes of data one entry of the offset index stands for."),
    def("leader.replication.throttled.replicas", List, "", ThrottledReplicas, Reported(NO_QUOTAS),
        "The replicas (partition:broker, or * for all) whose replication is slowed down on the \
         leader's side."),
    def("local.retention.bytes", Long, "-2", AtLeast(-2), Reported(NO_TIERED_STORAGE),
        "Tiered storage, which does not exist here: how much stays on local disks."),
    def("local.retention.ms", Long, "-2", AtLeast(-2), Reported(NO_TIERED_STORAGE),
        "Tiered storage, which does not exist here: how long data stays on local disks."),
    def("max.compaction.lag.ms", Long, LONG_MAX, AtLeast(1), Effective,
        "The longest a record may wait for compaction."),
    def("max.message.bytes", Int, "1048588", AtLeast(0), Effective,
        "The largest batch that is accepted, after compression."),
    def("message.timestamp.after.max.ms", Long, "3600000", AtLeast(0), Effective,
        "How far a record's timestamp may lie ahead of the broker's clock. Without effect where \
         message.timestamp.type is LogAppendTime."),
    def("message.timestamp.before.max.ms", Long, LONG_MAX, AtLeast(0), Effective,
        "How far a record's timestamp may lie behind the broker's clock. Without effect where \
         message.timestamp.type is LogAppendTime."),
    def("message.timestamp.type", Str, "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]),
        Effective,
        "Whose clock a record's timestamp comes from: the producer's (CreateTime) or the \
         broker's at the append (LogAppendTime)."),
    def("min.cleanable.dirty.ratio", Double, "0.5", Fraction, Effective,
        "The share of a log that must be uncompacted before it is compacted again."),
    def("min.compaction.lag.ms", Long, "0", AtLeast(0), Effective,
        "The least time a record stays before compaction may remove it."),
    def("min.insync.replicas", Int, "1", AtLeast(1), Effective,
        "How many replicas must be in sync for an acks=all append, and for new records to \
         become visible. Never more than the topic has replicas."),
    def("preallocate", Boolean, "false", Any, Reported(NO_PREALLOCATION),
        "Kafka reserves the whole file of a new segment; here files grow as they are written."),
    def("remote.log.copy.disable", Boolean, "false", Any, Reported(NO_TIERED_STORAGE),
        "Tiered storage, which does not exist here: stop copying."),
    def("remote.log.delete.on.disable", Boolean, "false", Any, Reported(NO_TIERED_STORAGE),
        "Tiered storage, which does not exist here: delete what was copied when it is turned off."),
    def("remote.storage.enable", Boolean, "false", Any, Effective,
        "Tiered storage, which does not exist here: true is refused."),
    def("retention.bytes", Long, "-1", Any, Effective,
        "How large a partition may grow before its oldest segments go; -1 for no bound. Needs \
         \"delete\" in cleanup.policy."),
    def("retention.ms", Long, "604800000", AtLeast(-1), Effective,
        "How long records are kept at least; -1 for ever. Needs \"delete\" in cleanup.policy."),
    def("segment.bytes", Int, "1073741824", AtLeast(1_048_576), Effective,
        "The size at which a new segment file begins."),
    def("segment.index.bytes", Int, "10485760", AtLeast(4), Effective,
        "The size at which an index is full and a new segment begins."),
    def("segment.jitter.ms", Long, "0", AtLeast(0), Effective,
        "The most that is taken off segment.ms at random, so that not all segments end at once."),
    def("segment.ms", Long, "604800000", AtLeast(1), Effective,
        "The time after which a new segment begins even where the old one is not full."),
    def("unclean.leader.election.enable", Boolean, "false", Any, Effective,
        "Whether a replica that is not in sync may become the leader when no other is left. \
         Acknowledged records can be lost then."),
];

const HOURS: i64 = 60 * 60 * 1000;
const MINUTES: i64 = 60 * 1000;

type Synonyms = (&'static str, &'static [(&'static str, i64)]);

#[rustfmt::skip]
const SYNONYMS: &[Synonyms] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    ("retention.ms", &[
        ("log.retention.ms", 1),
        ("log.retention.minutes", MINUTES),
        ("log.retention.hours", HOURS),
    ]),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOURS)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOURS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];
