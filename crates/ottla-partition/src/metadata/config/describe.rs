//! Configuration as a `DescribeConfigs` answer shows it: each key's value and where it is from.

use super::broker::{broker_def, broker_defs};
use super::def::{ConfigDef, ConfigKind, Update};
use super::resolve::ConfigView;
use super::topic::{broker_synonyms, topic_defs};
use crate::metadata::image::ConfigMap;

/// Where a value is from, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set for one broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// Given to the broker at its start.
    StaticBroker,
    /// Set by nobody.
    Default,
    /// Set on the subscription to client metrics.
    ClientMetrics,
    /// Set on the group.
    Group,
}

impl ConfigSource {
    /// Kafka's code.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// One key as a description shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: &'static str,
    /// Its value; `None` where there is none or it must not be shown.
    pub value: Option<String>,
    /// Where the value is from.
    pub source: ConfigSource,
    /// Whether it cannot change while the broker runs.
    pub read_only: bool,
    /// Whether it must not be shown.
    pub sensitive: bool,
    /// Every place that gives the key a value, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
    /// The type of its values.
    pub kind: ConfigKind,
    /// What it is for.
    pub doc: &'static str,
}

/// One place that gives a key a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key there.
    pub name: String,
    /// The value there, as it was given.
    pub value: Option<String>,
    /// Which place.
    pub source: ConfigSource,
}

impl ConfigView<'_> {
    /// Every topic key as it is on the topic `name`.
    #[must_use]
    pub fn describe_topic(&self, name: &str) -> Vec<ConfigEntry> {
        self.describe_topic_with(self.set_on_topic(name))
    }

    /// Every topic key as it would be on a topic that sets `set`.
    #[must_use]
    pub fn describe_topic_with(&self, set: Option<&ConfigMap>) -> Vec<ConfigEntry> {
        topic_defs()
            .iter()
            .map(|def| {
                let value = self.topic_value(set, def).to_text();
                let mut synonyms = Vec::new();
                if set.is_some_and(|set| set.contains_key(def.name)) {
                    synonyms.push(ConfigSynonym {
                        name: def.name.to_owned(),
                        value: value.clone(),
                        source: ConfigSource::Topic,
                    });
                }
                // Only the first broker key: Kafka resolves its synonyms from there.
                if let Some((broker_key, _)) = broker_synonyms(def.name).first() {
                    synonyms.extend(self.synonyms(broker_key));
                }
                entry(def, value, synonyms, false)
            })
            .collect()
    }

    /// Every broker key as it is on this broker.
    #[must_use]
    pub fn describe_broker(&self) -> Vec<ConfigEntry> {
        broker_defs()
            .into_iter()
            .map(|def| {
                let value = self.broker_value(def).to_text();
                let read_only = def.update == Update::ReadOnly;
                entry(def, value, self.synonyms(def.name), read_only)
            })
            .collect()
    }

    /// The broker keys that are set for all brokers while they run.
    #[must_use]
    pub fn describe_all_brokers(&self) -> Vec<ConfigEntry> {
        let set = self.set_on_all_brokers();
        set.into_iter()
            .flatten()
            .filter_map(|(name, text)| {
                let def = broker_def(name)?;
                let synonym = ConfigSynonym {
                    name: name.to_string(),
                    value: (!def.is_sensitive()).then(|| text.to_string()),
                    source: ConfigSource::DynamicDefaultBroker,
                };
                let read_only = def.update == Update::ReadOnly;
                Some(entry(def, Some(text.to_string()), vec![synonym], read_only))
            })
            .collect()
    }

    /// Every place that gives the broker key `name` a value, as Kafka lists them: layer by layer,
    /// in each the key and its relatives in other units, from the first that is the key itself.
    pub(super) fn synonyms(&self, name: &str) -> Vec<ConfigSynonym> {
        let family = family(name);
        let given = [
            ConfigSource::DynamicBroker,
            ConfigSource::DynamicDefaultBroker,
            ConfigSource::StaticBroker,
        ]
        .into_iter()
        .flat_map(|source| family.iter().map(move |key| (source, *key)))
        .filter_map(|(source, key)| {
            let (_, text) = self.layers(key).find(|(layer, _)| *layer == source)?;
            Some((key, text.to_owned(), source))
        });
        let defaults = family.iter().filter_map(|key| {
            let text = broker_def(key)?.default_value().to_text()?;
            Some((*key, text, ConfigSource::Default))
        });
        let sensitive = broker_def(name).is_some_and(ConfigDef::is_sensitive);
        given
            .chain(defaults)
            .skip_while(|(key, _, _)| *key != name)
            .map(|(key, text, source)| ConfigSynonym {
                name: key.to_owned(),
                value: (!sensitive).then_some(text),
                source,
            })
            .collect()
    }
}

/// The broker keys that give the same setting in different units, in Kafka's order.
fn family(name: &str) -> Vec<&str> {
    const FAMILIES: [&[&str]; 3] = [
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &[
            "log.retention.ms",
            "log.retention.minutes",
            "log.retention.hours",
        ],
    ];
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    FAMILIES
        .iter()
        .find(|family| family.contains(&name))
        .map_or_else(|| vec![name], |family| family.to_vec())
}

pub(super) fn entry(
    def: &'static ConfigDef,
    value: Option<String>,
    synonyms: Vec<ConfigSynonym>,
    read_only: bool,
) -> ConfigEntry {
    ConfigEntry {
        name: def.name,
        value: value.filter(|_| !def.is_sensitive()),
        source: synonyms
            .first()
            .map_or(ConfigSource::Default, |synonym| synonym.source),
        read_only,
        sensitive: def.is_sensitive(),
        synonyms,
        kind: def.kind,
        doc: def.doc,
    }
}
