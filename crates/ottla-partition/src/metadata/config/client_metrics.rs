//! The keys of a client metrics subscription (KIP-714), those of Kafka 4.3.1.
//!
//! Kept and shown as by a Kafka without a plug-in that takes metrics: no client is asked for any.

use super::def::{Check, ConfigDef, ConfigKind, Mark, Update};
use super::describe::{ConfigEntry, ConfigSource, ConfigSynonym, entry};
use super::reason::NO_METRICS;
use super::resolve::ConfigView;
use super::value::InvalidConfig;
use crate::metadata::record::ConfigResource;

/// How often clients may be asked to send, in milliseconds.
pub(in crate::metadata) const INTERVAL_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;
/// What a client can be picked by.
const MATCHED: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The key `name` of a subscription.
pub(in crate::metadata) fn client_metrics_def(name: &str) -> Option<&'static ConfigDef> {
    CLIENT_METRICS.iter().find(|def| def.name == name)
}

/// Checks the patterns of a subscription: each a name of what is matched, `=`, and an expression.
/// The expression itself, in Java's language, is nobody's here to read.
pub(in crate::metadata) fn check_patterns(patterns: &[String]) -> Result<(), InvalidConfig> {
    let is_pattern = |pattern: &String| {
        pattern.split_once('=').is_some_and(|(name, expression)| {
            MATCHED.contains(&name.trim()) && !expression.is_empty() && !expression.contains('=')
        })
    };
    match patterns.iter().find(|pattern| !is_pattern(pattern)) {
        Some(bad) => {
            let why = format!("Illegal client matching pattern: {bad}");
            Err(InvalidConfig(why))
        }
        None => Ok(()),
    }
}

impl ConfigView<'_> {
    /// Every key of the subscription `name`, which need not exist.
    #[must_use]
    pub fn describe_client_metrics(&self, name: &str) -> Vec<ConfigEntry> {
        let set = self.set_on(&ConfigResource::client_metrics(name));
        let describe = |def: &'static ConfigDef| {
            let own = set.and_then(|set| def.parse(set.get(def.name)?).ok());
            let value = own.clone().unwrap_or_else(|| def.default_value()).to_text();
            let synonym = own.map(|_| ConfigSynonym {
                name: def.name.to_owned(),
                value: value.clone(),
                source: ConfigSource::ClientMetrics,
            });
            entry(def, value, synonym.into_iter().collect(), false)
        };
        CLIENT_METRICS.iter().map(describe).collect()
    }
}

const fn def(
    name: &'static str,
    kind: ConfigKind,
    default: &'static str,
    check: Check,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default: Some(default),
        check,
        update: Update::ClusterWide,
        mark: Mark::Reported(NO_METRICS),
        doc,
    }
}

#[rustfmt::skip]
static CLIENT_METRICS: &[ConfigDef] = &[
    def("interval.ms", ConfigKind::Int, "300000", Check::Any,
        "How often clients are to send, in milliseconds."),
    def("match", ConfigKind::List, "", Check::Distinct,
        "Which clients are meant: a list of name=expression."),
    def("metrics", ConfigKind::List, "", Check::Distinct,
        "Which metrics are wanted: a list of how their names begin."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_known_name_and_an_expression() {
        let check = |pattern: &str| check_patterns(&[pattern.to_owned()]).is_ok();
        assert!(
            ["client_id=a.*", " client_source_port =9"]
                .into_iter()
                .all(check)
        );
        for bad in [
            "client_id",
            "client_id=",
            "=a",
            "version=1",
            "client_id=a=b",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }
}
