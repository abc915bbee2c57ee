//! Where we may answer otherwise than Apache Kafka, and why. Everything else that differs fails the
//! comparison.

use std::collections::BTreeSet;

use serde_json::Value;

/// A difference that is known.
#[derive(Debug)]
struct Known {
    /// How the section's title begins.
    section: &'static str,
    /// How the field's path begins, with `[]` for any place in a list.
    path: &'static str,
    /// Which values may stand for each other.
    values: Values,
}

/// Which of our values may stand for Kafka's.
#[derive(Debug)]
enum Values {
    /// A list where Kafka's is empty.
    FromNone,
    /// These two.
    Are(&'static str, &'static str),
    /// A list of which each element with this field's value is Kafka's, or not Kafka's at all.
    Part(&'static str),
}

use Values::{Are, FromNone, Part};

const fn known(section: &'static str, path: &'static str, values: Values) -> Known {
    Known {
        section,
        path,
        values,
    }
}

const PRODUCED_CODE: &str = ".responses[].partitionResponses[].errorCode";
const PRODUCED_OFFSET: &str = ".responses[].partitionResponses[].baseOffset";
const NEGATIVE_LIMIT: &str = "Fetch: a negative limit";
const MAY_BE_CREATED: &str = "Metadata: a topic that may be created";
const STAMPED: &str = "Produce: LogAppendTime set by the client";
const FETCHED_CODE: &str = ".responses[].partitions[].errorCode";
const LISTED_CODE: &str = ".topics[].partitions[].errorCode";

/// A text where Kafka has null.
const SAYS_WHY: Values = Are("null", "\"<text>\"");

/// What differs on purpose.
const ALLOWED: &[Known] = &[
    // Nobody reads the metrics that clients push, and they are not decompressed for nobody.
    known(
        "PushTelemetry: metrics, that are not zstd",
        ".errorCode",
        Are("87", "0"),
    ),
    // Records that no consumer can place, or stamped by their producer, are refused; Kafka stores
    // them (docs/decisions/020).
    known(
        "Produce: records out of order",
        PRODUCED_CODE,
        Are("0", "87"),
    ),
    known(
        "Produce: records out of order",
        PRODUCED_OFFSET,
        Are("0", "-1"),
    ),
    known(
        "Produce: a gap between records",
        PRODUCED_CODE,
        Are("0", "87"),
    ),
    known(
        "Produce: a gap between records",
        PRODUCED_OFFSET,
        Are("0", "-1"),
    ),
    known(STAMPED, PRODUCED_CODE, Are("0", "32")),
    known(STAMPED, PRODUCED_OFFSET, Are("0", "-1")),
    known(STAMPED, PRODUCED_OFFSET, Are("1", "-1")),
    known(
        STAMPED,
        ".responses[].partitionResponses[].recordErrors",
        Are(
            "[]",
            r#"[{"batchIndex":0,"batchIndexErrorMessage":"<text>"}]"#,
        ),
    ),
    // What does not decode is an invalid record; Kafka's exception for it has no code of its own.
    known(
        "Produce: records that are nonsense",
        PRODUCED_CODE,
        Are("-1", "87"),
    ),
    known("Produce: an unknown codec", PRODUCED_CODE, Are("-1", "87")),
    known("Produce: gzip that is not", PRODUCED_CODE, Are("-1", "87")),
    known(
        "Produce: snappy that is not",
        PRODUCED_CODE,
        Are("-1", "87"),
    ),
    known("Produce: lz4 that is not", PRODUCED_CODE, Are("-1", "87")),
    known("Produce: zstd that is not", PRODUCED_CODE, Are("-1", "87")),
    // The answer to a batch sent again where the producer's own times count: Kafka puts its
    // timestamp where the append time belongs. Of a time that the log stamped both tell it.
    known(
        "Produce: ",
        ".responses[].partitionResponses[].logAppendTimeMs",
        Are("1700000000000", "-1"),
    ),
    // Kafka trips over these and answers "unknown server error"; we serve what can be served, and
    // call the rest an invalid request.
    known(NEGATIVE_LIMIT, FETCHED_CODE, Are("-1", "0")),
    known(
        NEGATIVE_LIMIT,
        ".responses[].partitions[].highWatermark",
        Are("-1", "4"),
    ),
    known(
        NEGATIVE_LIMIT,
        ".responses[].partitions[].lastStableOffset",
        Are("-1", "4"),
    ),
    known(
        NEGATIVE_LIMIT,
        ".responses[].partitions[].logStartOffset",
        Are("-1", "0"),
    ),
    known(
        NEGATIVE_LIMIT,
        ".responses[].partitions[].records",
        FromNone,
    ),
    known(
        "Fetch: an unknown isolation level",
        FETCHED_CODE,
        Are("-1", "42"),
    ),
    known(
        "Fetch: an unknown isolation level",
        ".errorCode",
        Are("-1", "42"),
    ),
    known(
        "Fetch: an unknown isolation level",
        ".responses[].partitions[].abortedTransactions",
        Are("[]", "null"),
    ),
    known(
        "ListOffsets: an unknown isolation level",
        LISTED_CODE,
        Are("-1", "42"),
    ),
    known(
        "Metadata: neither id nor name",
        ".topics[].errorCode",
        Are("-1", "42"),
    ),
    known(
        "Metadata: neither id nor name",
        ".errorCode",
        Are("-1", "42"),
    ),
    known(
        "CreatePartitions: more than can be",
        ".results[].errorCode",
        Are("-1", "44"),
    ),
    known(
        "IncrementalAlterConfigs: an unknown operation",
        ".responses[].errorCode",
        Are("-1", "42"),
    ),
    // A client is no replica, whatever it says.
    known("ListOffsets: as replica 1", LISTED_CODE, Are("0", "29")),
    known(
        "ListOffsets: as replica 1",
        ".topics[].partitions[].offset",
        Are("9", "-1"),
    ),
    known(
        "ListOffsets: as replica 1",
        ".topics[].partitions[].leaderEpoch",
        Are("0", "-1"),
    ),
    // We serve fewer APIs and finalise fewer features; ApiVersions itself up to Kafka 4.4's.
    known("ApiVersions: ", ".apiKeys", Part("apiKey")),
    known("ApiVersions: ", ".supportedFeatures", Part("name")),
    known("ApiVersions: ", ".finalizedFeatures", Part("name")),
    // An auto-created topic is there, with its leaders, in the answer that created it.
    known(MAY_BE_CREATED, ".topics[].errorCode", Are("3", "0")),
    known(MAY_BE_CREATED, ".topics[].partitions", FromNone),
    known(
        MAY_BE_CREATED,
        ".topics[].topicId",
        Are("\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"<a new id>\""),
    ),
    // Who asks for a name that can never be learns it at once.
    known(
        "Metadata: a name too much like another's",
        ".topics[].errorCode",
        Are("3", "17"),
    ),
    // A broker's config that nobody knows is a typing mistake (docs/decisions/061).
    known(
        "AlterConfigs: a broker's unknown key",
        ".responses[].errorCode",
        Are("0", "42"),
    ),
    known(
        "IncrementalAlterConfigs: a broker's unknown key",
        ".responses[].errorCode",
        Are("0", "42"),
    ),
    known(
        "CreateTopics: a config with blanks",
        ".topics[].configs[].value",
        Are("\" 7 \"", "\"7\""),
    ),
    known(
        "DescribeConfigs: all configs of the broker",
        ".results[].configs",
        Part("name"),
    ),
    // No logger here has a level of its own (docs/decisions/061).
    known(
        "DescribeConfigs: the broker's loggers",
        ".results[].configs",
        Part("name"),
    ),
    known(
        "IncrementalAlterConfigs: an unknown logger, do what nobody knows",
        ".responses[].errorCode",
        Are("-1", "42"),
    ),
    // We say why in words where Kafka has a code alone. What words say is for people and nowhere
    // compared; that there are any is.
    known(
        "Produce: ",
        ".responses[].partitionResponses[].errorMessage",
        SAYS_WHY,
    ),
    known("CreatePartitions: ", ".results[].errorMessage", SAYS_WHY),
    known(
        "AlterConfigs: a broker's unknown key",
        ".responses[].errorMessage",
        SAYS_WHY,
    ),
    known(
        "IncrementalAlterConfigs: a broker's unknown key",
        ".responses[].errorMessage",
        SAYS_WHY,
    ),
    known(
        "IncrementalAlterConfigs: an unknown operation",
        ".responses[].errorMessage",
        SAYS_WHY,
    ),
    known(
        "IncrementalAlterConfigs: an unknown logger, do what nobody knows",
        ".responses[].errorMessage",
        SAYS_WHY,
    ),
    // One node is controller and broker on one listener.
    known(
        "DescribeQuorum: ",
        ".nodes[].listeners[].name",
        Are("\"CONTROLLER\"", "\"PLAINTEXT\""),
    ),
];

/// What may differ in a comparison, and what of it was needed.
#[derive(Clone, Debug)]
pub struct Allowance {
    allowed: &'static [Known],
    /// The places in `allowed` that held.
    used: BTreeSet<usize>,
}

impl Allowance {
    /// What we may answer otherwise than Kafka.
    #[must_use]
    pub const fn ours() -> Self {
        Self {
            allowed: ALLOWED,
            used: BTreeSet::new(),
        }
    }

    /// Nothing: Kafka beside its own answers.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            allowed: &[],
            used: BTreeSet::new(),
        }
    }

    /// Whether `ours` may stand where Kafka has `kafka`; notes what allows it.
    pub(super) fn allows(&mut self, title: &str, path: &str, kafka: &Value, ours: &Value) -> bool {
        let path = without_places(path);
        let holds = |known: &Known| {
            title.starts_with(known.section)
                && path.starts_with(known.path)
                && known.values.hold(kafka, ours)
        };
        let held = self.allowed.iter().position(holds);
        self.used.extend(held);
        held.is_some()
    }

    /// Takes over what another part of the same comparison needed.
    pub fn merge(&mut self, other: &Self) {
        self.used.extend(&other.used);
    }

    /// What was allowed and not needed, a line each: we answer as Kafka does by now, or nobody asks
    /// any more. Only a comparison of all groups says so.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let unused = self
            .allowed
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.used.contains(at));
        let line = |(_, known): (usize, &Known)| {
            format!(
                "nothing needs the exemption of {:?} at {:?}, {:?}; remove it from allowed.rs",
                known.section, known.path, known.values
            )
        };
        unused.map(line).collect()
    }
}

impl Values {
    fn hold(&self, kafka: &Value, ours: &Value) -> bool {
        match self {
            FromNone => {
                kafka.as_array().is_some_and(Vec::is_empty)
                    && ours.as_array().is_some_and(|ours| !ours.is_empty())
            }
            Are(theirs, mine) => {
                let (kafka, ours) = (kafka.to_string(), ours.to_string());
                kafka == *theirs && ours == *mine
            }
            Part(key) => match (kafka.as_array(), ours.as_array()) {
                (Some(theirs), Some(mine)) => mine.iter().all(|element| {
                    let same = |other: &&Value| other[key] == element[key];
                    theirs
                        .iter()
                        .find(same)
                        .is_none_or(|other| agree(other, element))
                }),
                _ => false,
            },
        }
    }
}

/// Whether an element of a list says the same but for versions and values that have a default of
/// their own.
fn agree(kafka: &Value, ours: &Value) -> bool {
    const OF_FEATURE: [&str; 4] = [
        "minVersion",
        "maxVersion",
        "minVersionLevel",
        "maxVersionLevel",
    ];
    const OF_CONFIG: [&str; 5] = [
        "value",
        "configSource",
        "synonyms",
        "documentation",
        "readOnly",
    ];
    let (Some(theirs), Some(mine)) = (kafka.as_object(), ours.as_object()) else {
        return false;
    };
    match theirs.get("apiKey").and_then(Value::as_i64) {
        // Served up to the version of Kafka 4.4.
        Some(18 | 42) => return true,
        Some(_) => return theirs == mine,
        None => {}
    }
    let may_differ = |name: &str| OF_FEATURE.contains(&name) || OF_CONFIG.contains(&name);
    let mut names = theirs.keys().filter(|name| !may_differ(name));
    names.all(|name| theirs.get(name) == mine.get(name))
}

/// `.topics[3].name` as `.topics[].name`.
fn without_places(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !(inside && c.is_ascii_digit())
        })
        .collect()
}
