//! Which value of a key counts: the topic's, the broker's, all brokers', the file's or the default.

use std::sync::Arc;

use super::broker::{BrokerConfig, broker_def};
use super::def::ConfigDef;
use super::describe::ConfigSource;
use super::topic::{broker_synonyms, topic_def};
use super::value::ConfigValue;
use crate::BrokerId;
use crate::metadata::image::{ConfigMap, Image};
use crate::metadata::record::ConfigResource;

/// All configuration as one broker sees it.
#[derive(Clone, Copy, Debug)]
pub struct ConfigView<'a> {
    image: &'a Image,
    of_broker: Option<&'a Arc<ConfigMap>>,
    of_all_brokers: Option<&'a Arc<ConfigMap>>,
    at_start: &'a BrokerConfig,
}

impl<'a> ConfigView<'a> {
    /// The view of the broker `id`, which was started with `at_start`.
    #[must_use]
    pub fn new(image: &'a Image, id: BrokerId, at_start: &'a BrokerConfig) -> Self {
        Self {
            image,
            of_broker: image.config(&ConfigResource::broker(id)),
            of_all_brokers: image.config(&ConfigResource::all_brokers()),
            at_start,
        }
    }

    /// The value of the broker key `def`.
    #[must_use]
    pub fn broker_value(&self, def: &ConfigDef) -> ConfigValue {
        self.layers(def.name)
            .find_map(|(_, text)| def.parse(text).ok())
            .unwrap_or_else(|| def.default_value())
    }

    /// The value of the broker key `name`; [`ConfigValue::Null`] where there is no such key.
    #[must_use]
    pub fn broker(&self, name: &str) -> ConfigValue {
        broker_def(name).map_or(ConfigValue::Null, |def| self.broker_value(def))
    }

    /// The value of the topic key `def` on a topic that does not set it.
    #[must_use]
    pub fn topic_default(&self, def: &ConfigDef) -> ConfigValue {
        for (name, factor) in broker_synonyms(def.name) {
            match self.broker(name) {
                ConfigValue::Null => {}
                // Any negative time, in any unit, is "for ever".
                ConfigValue::Number(n) if n < 0 && def.name == "retention.ms" => {
                    return ConfigValue::Number(-1);
                }
                ConfigValue::Number(n) => return ConfigValue::Number(n.saturating_mul(*factor)),
                value => return value,
            }
        }
        def.default_value()
    }

    /// The value of the topic key `def` on a topic that sets `set`.
    #[must_use]
    pub fn topic_value(&self, set: Option<&ConfigMap>, def: &ConfigDef) -> ConfigValue {
        set.and_then(|set| set.get(def.name))
            .and_then(|text| def.parse(text).ok())
            .unwrap_or_else(|| self.topic_default(def))
    }

    /// The value of the topic key `name` where anybody set it, on the topic or for the broker.
    pub(super) fn explicit_topic_value(
        &self,
        set: Option<&ConfigMap>,
        name: &str,
    ) -> Option<ConfigValue> {
        let def = topic_def(name)?;
        if let Some(text) = set.and_then(|set| set.get(name)) {
            return def.parse(text).ok();
        }
        broker_synonyms(name)
            .iter()
            .find_map(|(broker_key, _)| self.layers(broker_key).next())
            .map(|_| self.topic_default(def))
    }

    /// The keys set on the topic `name`.
    #[must_use]
    pub fn set_on_topic(&self, name: &str) -> Option<&'a ConfigMap> {
        self.set_on(&ConfigResource::topic(name))
    }

    /// The keys set on `resource`.
    pub(super) fn set_on(&self, resource: &ConfigResource) -> Option<&'a ConfigMap> {
        self.image.config(resource).map(|keys| &**keys)
    }

    /// The keys set for all brokers while they run.
    pub(super) fn set_on_all_brokers(&self) -> Option<&'a ConfigMap> {
        self.of_all_brokers.map(|keys| &**keys)
    }

    /// The texts that the broker key `name` was given, the one that counts first.
    pub(super) fn layers(&self, name: &str) -> impl Iterator<Item = (ConfigSource, &'a str)> {
        let dynamic = |keys: Option<&'a Arc<ConfigMap>>, source| {
            keys.and_then(|keys| keys.get(name))
                .map(|text| (source, &**text))
        };
        [
            dynamic(self.of_broker, ConfigSource::DynamicBroker),
            dynamic(self.of_all_brokers, ConfigSource::DynamicDefaultBroker),
            self.at_start
                .text(name)
                .map(|text| (ConfigSource::StaticBroker, text)),
        ]
        .into_iter()
        .flatten()
    }
}
