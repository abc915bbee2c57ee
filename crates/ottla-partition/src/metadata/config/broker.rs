//! The tables of broker configuration keys, and the settings a broker is started with.

mod keys_cluster;
mod keys_groups;
mod keys_log;
mod keys_network;
mod keys_ottla;
mod unsupported;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::def::{Check, ConfigDef, ConfigKind, Mark, Update};
use super::value::ConfigValue;
use unsupported::Unsupported;

const INT_MAX: &str = "2147483647";
const LONG_MAX: &str = "9223372036854775807";

const TABLES: [&[ConfigDef]; 5] = [
    keys_cluster::CLUSTER,
    keys_groups::GROUPS,
    keys_log::LOG,
    keys_network::NETWORK,
    keys_ottla::OTTLA,
];

/// Every broker key that this broker keeps and shows, in the order of names.
#[must_use]
pub fn broker_defs() -> Vec<&'static ConfigDef> {
    let mut all: Vec<_> = TABLES.iter().copied().flatten().collect();
    all.sort_unstable_by_key(|def| def.name);
    all
}

/// The broker key `name`.
#[must_use]
pub fn broker_def(name: &str) -> Option<&'static ConfigDef> {
    TABLES.iter().find_map(|table| {
        let at = table.binary_search_by(|def| def.name.cmp(name)).ok()?;
        table.get(at)
    })
}

/// Every key that a configuration may name, for suggesting one that was meant.
#[must_use]
pub fn known_broker_keys() -> Vec<&'static str> {
    let mut names: Vec<_> = broker_defs().iter().map(|def| def.name).collect();
    names.extend(unsupported::names());
    names.sort_unstable();
    names
}

/// The settings a broker is started with: what its file, flags and environment say. They stay as
/// they are until it stops; dynamic settings, which go before them, lie in the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfig {
    set: BTreeMap<String, String>,
}

/// Why a broker must not start with its settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// No such key.
    #[error("unknown configuration key {key:?}")]
    Unknown {
        /// The key.
        key: String,
    },
    /// The value is not of the key's type, not allowed, or does not go with another.
    #[error("{why}")]
    Invalid {
        /// The key.
        key: String,
        /// What is wrong, value and range included.
        why: String,
    },
    /// A security setting that is not implemented: ignoring it would leave open what its user
    /// believes closed.
    #[error("{key:?} asks for security that Ottla does not implement; remove it to start without")]
    Security {
        /// The key.
        key: String,
    },
}

/// What a user should know of a setting that does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The key.
    pub key: String,
    /// Why it has no effect here.
    pub why: &'static str,
}

impl BrokerConfig {
    /// Checks `settings`, all of them, before anything is opened. Where a key comes twice the last
    /// one counts.
    ///
    /// # Errors
    /// Every problem there is, in the order of keys.
    pub fn new(
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<ConfigWarning>), Vec<ConfigProblem>> {
        let (config, warnings, problems) = Self::read(settings);
        if problems.is_empty() {
            Ok((config, warnings))
        } else {
            Err(problems)
        }
    }

    /// As [`BrokerConfig::new`]: the settings that can be read, what to warn of, and every problem
    /// there is. For who has more to check; nothing is to be started where there is a problem.
    pub fn read(
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> (Self, Vec<ConfigWarning>, Vec<ConfigProblem>) {
        let mut set: BTreeMap<String, String> = settings.into_iter().collect();
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        set.retain(|key, value| match check_setting(key, value) {
            Ok(why) => {
                let key = key.clone();
                warnings.extend(why.map(|why| ConfigWarning { key, why }));
                true
            }
            Err(problem) => {
                problems.push(problem);
                false
            }
        });
        let config = Self { set };
        problems.extend(config.conflicts());
        (config, warnings, problems)
    }

    /// With the id that this node has, as if it had been given: it has no default.
    #[must_use]
    pub fn with_node_id(mut self, id: i32) -> Self {
        self.set.insert("node.id".to_owned(), id.to_string());
        self
    }

    /// With `value` for `key` where that was not given one.
    #[must_use]
    pub fn or(mut self, key: &str, value: &str) -> Self {
        let value = || value.to_owned();
        self.set.entry(key.to_owned()).or_insert_with(value);
        self
    }

    /// The value that `key` was given, as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.set.get(key).map(String::as_str)
    }

    /// The keys that were given, in order, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of `def`: the one that was given, or the default.
    #[must_use]
    pub fn value(&self, def: &ConfigDef) -> ConfigValue {
        self.text(def.name)
            .and_then(|text| def.parse(text).ok())
            .unwrap_or_else(|| def.default_value())
    }

    /// What does not go together, though each value alone is allowed.
    fn conflicts(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, why: String| {
            problems.push(ConfigProblem::Invalid {
                key: key.to_owned(),
                why,
            });
        };
        let number = |key| broker_def(key).and_then(|def| self.value(def).number());
        for (key, min, unlimited) in [
            ("log.retention.ms", 1, true),
            ("log.retention.minutes", 1, true),
            ("log.retention.hours", 1, true),
            ("log.roll.ms", 1, false),
            ("log.roll.jitter.ms", 0, false),
        ] {
            let too_low = |n: &i64| *n < min && !(unlimited && *n == -1);
            if let Some(n) = number(key).filter(too_low) {
                let or = if unlimited {
                    ", or -1 for no bound"
                } else {
                    ""
                };
                refuse(key, format!("{key} is {n}; it must be at least {min}{or}"));
            }
        }
        let lags = number("log.cleaner.min.compaction.lag.ms")
            .zip(number("log.cleaner.max.compaction.lag.ms"));
        if let Some((min, max)) = lags.filter(|(min, max)| min > max) {
            let key = "log.cleaner.min.compaction.lag.ms";
            let why = format!("{key} ({min}) is over log.cleaner.max.compaction.lag.ms ({max})");
            refuse(key, why);
        }
        if let (Some(node), Some(broker)) = (self.text("node.id"), self.text("broker.id"))
            && node.trim() != broker.trim()
        {
            let why = format!("broker.id ({broker}) is an older name of node.id ({node})");
            refuse("broker.id", format!("{why}; give one of them"));
        }
        for key in ["log.dirs", "log.dir"] {
            let dirs = broker_def(key).map(|def| self.value(def));
            let count = dirs
                .as_ref()
                .and_then(ConfigValue::list)
                .map_or(0, <[_]>::len);
            if count > 1 {
                refuse(
                    key,
                    format!("{key} names {count} directories; one is supported"),
                );
            }
        }
        problems
    }
}

/// Checks one setting; `Some` says why it has no effect.
fn check_setting(key: &str, value: &str) -> Result<Option<&'static str>, ConfigProblem> {
    match unsupported::find(key, value) {
        Some(Unsupported::Security) => {
            return Err(ConfigProblem::Security {
                key: key.to_owned(),
            });
        }
        Some(Unsupported::NoEffect(why)) => return Ok(Some(why)),
        None => {}
    }
    let Some(def) = broker_def(key) else {
        return Err(ConfigProblem::Unknown {
            key: key.to_owned(),
        });
    };
    match def.parse(value) {
        Ok(_) => Ok(match def.mark {
            Mark::Effective => None,
            Mark::Reported(why) => Some(why),
        }),
        Err(error) => Err(ConfigProblem::Invalid {
            key: key.to_owned(),
            why: error.to_string(),
        }),
    }
}

/// What the dynamic settings of a broker refuse, in Kafka's words; `None` where `key` may be set.
pub(in crate::metadata) fn dynamic_refusal(key: &str, per_broker: bool) -> Option<String> {
    if let Some(Unsupported::Security) = unsupported::find(key, "?") {
        return Some(format!(
            "Security is not implemented; this config cannot be set: [{key}]"
        ));
    }
    let update = match broker_def(key) {
        Some(def) => def.update,
        // Kafka keeps any name it does not know, for plug-ins. There are none here.
        None if unsupported::find(key, "?").is_none() => {
            return Some(format!("Unknown broker config name: {key}"));
        }
        None => Update::ReadOnly,
    };
    match update {
        Update::ReadOnly => Some(format!("Cannot update these configs dynamically: [{key}]")),
        Update::PerBroker if !per_broker => Some(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [{key}]"
        )),
        // Those are the listeners.
        Update::PerBroker => Some(format!(
            "Listeners cannot be changed while the broker runs; restart it with them: [{key}]"
        )),
        Update::ClusterWide => None,
    }
}

const fn key(
    name: &'static str,
    kind: ConfigKind,
    default: Option<&'static str>,
    check: Check,
    update: Update,
    mark: Mark,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default,
        check,
        update,
        mark,
        doc,
    }
}
