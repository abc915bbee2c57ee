//! The settings a broker is started with, gathered from a `server.properties` file and single
//! `KEY=VALUE` pairs, and checked together before anything is opened.
//!
//! Which keys there are, and what they allow, is in `ottla_partition::metadata::config`; here they
//! are read, and those that the shell itself heeds become its own types.

mod listeners;
mod properties;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ottla_log::FlushMode;
use ottla_partition::metadata::config::{
    BrokerConfig, ConfigProblem, ConfigWarning, address_counts, broker_def, known_broker_keys,
};

pub(crate) use self::listeners::secured;
use crate::limits::Limits;
use crate::listener::{AdvertiseSpec, ListenerSpec};

/// How alike two keys must be for one to be suggested for the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.85;

/// Everything the settings say, checked.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The static configuration of the broker, as `DescribeConfigs` shows it.
    pub config: BrokerConfig,
    /// Where to listen (`listeners`); empty where nothing says.
    pub listen: Vec<ListenerSpec>,
    /// What to tell clients (`advertised.listeners`); empty where nothing says.
    pub advertise: Vec<AdvertiseSpec>,
    /// The data directory (`log.dirs`, `log.dir`).
    pub data: Option<PathBuf>,
    /// When a record counts as written (`ottla.flush.mode`).
    pub flush: Option<FlushMode>,
    /// The id of this broker (`node.id`, `broker.id`).
    pub node_id: Option<i32>,
    /// The bounds, with what the settings change of them.
    pub limits: Limits,
    /// What a user should know of settings that have no effect here.
    pub warnings: Vec<String>,
}

/// One setting on its way, with where it came from.
#[derive(Debug)]
struct Given {
    key: String,
    value: String,
    origin: Origin,
}

/// Where a setting was given.
#[derive(Clone, Debug)]
enum Origin {
    File(String, usize),
    Pair,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name, line) => write!(f, "{name}:{line}: "),
            Self::Pair => Ok(()),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(problems))]
pub struct InvalidSettings {
    /// The problems, in the order in which the settings were given.
    pub problems: Vec<String>,
}

fn list(problems: &[String]) -> String {
    match problems {
        [one] => format!("a setting is wrong: {one}"),
        many => {
            let count = many.len();
            let lines: Vec<String> = many
                .iter()
                .map(|problem| format!("\n  {problem}"))
                .collect();
            format!(
                "{count} settings are wrong; nothing was started:{}",
                lines.concat()
            )
        }
    }
}

impl Settings {
    /// Gathers the settings of `file` (its name and its text) and then of `pairs` (`KEY=VALUE`),
    /// which go before those of the file.
    ///
    /// # Errors
    /// Every problem there is: keys nobody knows, each with the nearest known one; values out of
    /// their range; security that is not implemented.
    pub fn gather(file: Option<(&str, &str)>, pairs: &[String]) -> Result<Self, InvalidSettings> {
        let (settings, problems) = Self::read(file, pairs);
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(InvalidSettings { problems })
        }
    }

    /// As [`Settings::gather`]: what can be made of the settings, and every problem there is, for
    /// who has more to check. Nothing is to be started with them where there is a problem.
    #[must_use]
    pub fn read(file: Option<(&str, &str)>, pairs: &[String]) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut given = Vec::new();
        if let Some((name, text)) = file {
            read_file(name, text, &mut given, &mut problems);
        }
        for pair in pairs {
            match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => given.push(Given {
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                    origin: Origin::Pair,
                }),
                _ => problems.push(format!("{pair:?} is not of the form KEY=VALUE")),
            }
        }
        let texts = given.iter().map(|g| (g.key.clone(), g.value.clone()));
        let mut settings = Self::default();
        let (config, warnings, found) = BrokerConfig::read(texts);
        let line = |w: ConfigWarning| format!("{} has no effect: {}", w.key, w.why);
        settings.warnings = warnings.into_iter().map(line).collect();
        settings.config = config;
        problems.extend(found.iter().map(|p| explain(p, &given)));
        settings.heed(&mut problems);
        (settings, problems)
    }

    /// Takes over what the shell itself heeds.
    fn heed(&mut self, problems: &mut Vec<String>) {
        let (listen, advertise, found) = listeners::listeners(&self.config);
        self.listen = listen;
        self.advertise = advertise;
        problems.extend(found);
        let text = |key: &str| self.config.text(key).filter(|text| !text.is_empty());
        self.data = text("log.dirs")
            .or_else(|| text("log.dir"))
            .map(PathBuf::from);
        self.flush = text("ottla.flush.mode").and_then(|mode| match mode {
            "sync" => Some(FlushMode::Sync),
            "os" => Some(FlushMode::Os),
            _ => None,
        });
        let id = number::<i32>(&self.config, "node.id");
        self.node_id = id
            .or_else(|| number(&self.config, "broker.id"))
            .filter(|id| *id >= 0);
        self.limits = limits(&self.config);
    }
}

/// The number that was given for `key`; `None` where none was, so that our own default stays.
fn number<T: TryFrom<i64>>(config: &BrokerConfig, key: &str) -> Option<T> {
    config.text(key)?;
    config
        .value(broker_def(key)?)
        .number()
        .and_then(|n| T::try_from(n).ok())
}

/// How many bytes a second the scrub reads; 0 turns it off.
pub(crate) fn scrub_rate(config: &BrokerConfig) -> u64 {
    let def = broker_def("ottla.scrub.bytes.per.second");
    let rate = def.and_then(|def| config.value(def).number());
    rate.and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0)
}

/// The bounds that Kafka's keys change; one that is set above what its type here holds leaves the
/// default in place.
fn limits(config: &BrokerConfig) -> Limits {
    let mut limits = Limits::default();
    let set = |to: &mut usize, key: &str| *to = number(config, key).unwrap_or(*to);
    set(&mut limits.connections_max, "max.connections");
    set(
        &mut limits.connections_per_address_max,
        "max.connections.per.ip",
    );
    set(
        &mut limits.fetch_sessions_max,
        "max.incremental.fetch.session.cache.slots",
    );
    let set = |to: &mut u32, key: &str| *to = number(config, key).unwrap_or(*to);
    set(
        &mut limits.connection_rate_max,
        "max.connection.creation.rate",
    );
    set(&mut limits.request_bytes_max, "socket.request.max.bytes");
    set(&mut limits.fetch_bytes_max, "fetch.max.bytes");
    set(&mut limits.listen_backlog, "socket.listen.backlog.size");
    if let Some(ms) = number::<i64>(config, "connections.max.idle.ms") {
        // As in Kafka, a negative number means for ever.
        let ms = u64::try_from(ms).unwrap_or(i64::MAX as u64);
        limits.idle_timeout = Duration::from_millis(ms);
    }
    let overrides = config.text("max.connections.per.ip.overrides");
    if let Some(overrides) = overrides.and_then(address_counts) {
        limits.connections_per_address_overrides = overrides;
    }
    limits
}

fn read_file(name: &str, text: &str, given: &mut Vec<Given>, problems: &mut Vec<String>) {
    match properties::parse(text) {
        Ok(properties) => given.extend(properties.into_iter().map(|p| Given {
            key: p.key,
            value: p.value,
            origin: Origin::File(name.to_owned(), p.line),
        })),
        Err((line, what)) => problems.push(format!("{name}:{line}: {what}")),
    }
}

/// The problem with where it is and, for a key nobody knows, what was probably meant.
fn explain(problem: &ConfigProblem, given: &[Given]) -> String {
    let key = match problem {
        ConfigProblem::Unknown { key }
        | ConfigProblem::Invalid { key, .. }
        | ConfigProblem::Security { key } => key.as_str(),
        _ => "",
    };
    // Where a key was given twice the last one counts.
    let origin = given
        .iter()
        .rev()
        .find(|g| g.key == key)
        .map(|g| g.origin.to_string());
    let origin = origin.unwrap_or_default();
    match (problem, nearest(key)) {
        (ConfigProblem::Unknown { .. }, Some(near)) => {
            format!("{origin}{problem}; did you mean {near:?}?")
        }
        _ => format!("{origin}{problem}"),
    }
}

/// The known key that is most like `key`, if one is much like it.
fn nearest(key: &str) -> Option<&'static str> {
    let alike = |known: &&str| strsim::jaro_winkler(key, known);
    let near = known_broker_keys()
        .into_iter()
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&near) >= ALIKE_MIN).then_some(near)
}

#[cfg(test)]
mod tests;
