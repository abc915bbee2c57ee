//! What may differ between two runs of the same broker is replaced by a word for it: ids, ports,
//! the time, free disk space; and error texts, which are for people.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

/// Lists of these APIs keep their order, which the protocol promises; others are sorted.
const ORDERED: [&str; 2] = ["Fetch", "DescribeTopicPartitions"];
/// How far from the present a timestamp may be and still stand for "now".
const NOW_MS: i64 = 600_000;
/// The source of a config that nobody has set.
const DEFAULT_CONFIG: i64 = 5;
/// Broker configs that say where a broker runs.
const PLACES: [&str; 4] = [
    "advertised.listeners",
    "controller.quorum.bootstrap.servers",
    "listeners",
    "log.dirs",
];

/// The length of a UUID as text.
const UUID_LEN: usize = 36;

/// The facts of one broker's run.
#[derive(Debug)]
pub struct Normaliser {
    /// Topic ids, as text, to topic names.
    pub topic_ids: BTreeMap<String, String>,
    started_ms: i64,
}

impl Normaliser {
    /// For a run that starts now.
    pub fn new() -> Self {
        Self {
            topic_ids: BTreeMap::new(),
            started_ms: now_ms(),
        }
    }

    /// The answer of `api` at `version` as it should be from any broker. Names that end with the
    /// version (`-v7`) lose it, so that versions with the same answer look the same.
    pub fn apply(&self, api: &str, version: i16, answer: &Value) -> Value {
        let suffix = format!("-v{version}");
        Pass {
            facts: self,
            api,
            suffix: &suffix,
        }
        .value("", answer)
    }
}

/// One answer's way through.
struct Pass<'a> {
    facts: &'a Normaliser,
    api: &'a str,
    suffix: &'a str,
}

impl Pass<'_> {
    fn value(&self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(elements) => self.list(name, elements),
            Value::String(text) => self.text(name, text),
            Value::Number(_) => self.number(name, value),
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    fn object(&self, fields: &Map<String, Value>) -> Value {
        let named = fields.get("name").and_then(Value::as_str);
        let is_place = named.is_some_and(|name| PLACES.contains(&name));
        let fields = fields.iter().map(|(name, value)| {
            let value = match value {
                Value::String(_) if is_place && name == "value" => Value::from("<place>"),
                other => self.value(name, other),
            };
            (name.clone(), value)
        });
        Value::Object(fields.collect())
    }

    fn list(&self, name: &str, elements: &[Value]) -> Value {
        // The whole list of a topic's configs is compared where it is asked for.
        let is_default = |config: &Value| config["configSource"] == DEFAULT_CONFIG;
        let brief = self.api == "CreateTopics" && name == "configs";
        let (kept, left) = elements
            .iter()
            .partition::<Vec<_>, _>(|v| !(brief && is_default(v)));
        let mut list: Vec<Value> = kept.iter().map(|value| self.value(name, value)).collect();
        if !ORDERED.contains(&self.api) && list.iter().all(Value::is_object) {
            list.sort_by_cached_key(Value::to_string);
        }
        if !left.is_empty() {
            list.push(Value::from(format!("<{} defaults>", left.len())));
        }
        Value::Array(list)
    }

    fn number(&self, name: &str, value: &Value) -> Value {
        let is_now = |time: i64| (time - self.facts.started_ms).abs() < NOW_MS;
        let word = match (name, value.as_i64().unwrap_or_default()) {
            ("port", 1..) => "<port>",
            ("sessionId", 1..) => "<session>",
            ("totalBytes" | "usableBytes", 1..) => "<bytes>",
            ("finalizedFeaturesEpoch", 0..) => "<epoch>",
            ("highWatermark" | "logEndOffset", 1..) if self.api == "DescribeQuorum" => "<offset>",
            (_, time) if is_now(time) => "<now>",
            _ => return value.clone(),
        };
        Value::from(word)
    }

    fn text(&self, name: &str, text: &str) -> Value {
        if let Some(topic) = self.facts.topic_ids.get(text) {
            let topic = topic.strip_suffix(self.suffix).unwrap_or(topic);
            return Value::from(format!("<id of {topic}>"));
        }
        match name {
            "errorMessage" | "batchIndexErrorMessage" | "documentation" => Value::from("<text>"),
            "replicaDirectoryId" => Value::from("<directory>"),
            "host" => Value::from("<host>"),
            "logDir" => Value::from("<dir>"),
            "clusterId" => Value::from("<cluster>"),
            "memberId" | "leader" => Value::from(without_uuid(text)),
            // Topic ids are random; the first hundred ids are reserved and mean something.
            "topicId" if !text.starts_with("AAAAAAAAAAAAAAAAAAAA") => Value::from("<a new id>"),
            _ => Value::from(text.replace(self.suffix, "")),
        }
    }
}

/// A member's id with a word for the chance in it.
fn without_uuid(id: &str) -> String {
    let prefix = id.len().checked_sub(UUID_LEN);
    match prefix.and_then(|at| id.split_at_checked(at)) {
        Some((prefix, uuid)) if uuid.bytes().filter(|b| *b == b'-').count() == 4 => {
            format!("{prefix}<uuid>")
        }
        _ => id.to_owned(),
    }
}

impl Default for Normaliser {
    fn default() -> Self {
        Self::new()
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is before the year 292 million")
}
