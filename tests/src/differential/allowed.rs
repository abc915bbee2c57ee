//! Where we may answer otherwise than Apache Kafka, and why, and what is still to be brought in
//! line. Everything else that differs fails the comparison.

use serde_json::Value;

/// A difference that is known.
struct Known {
    /// How the section's title begins.
    section: &'static str,
    /// How the field's path begins, with `[]` for any place in a list.
    path: &'static str,
    /// Which values may stand for each other.
    values: Values,
}

/// Which of our values may stand for Kafka's.
enum Values {
    /// Any.
    Any,
    /// These two.
    Are(&'static str, &'static str),
    /// A list of which each element with this field's value is Kafka's, or not Kafka's at all.
    Part(&'static str),
}

use Values::{Any, Are, Part};

const fn known(section: &'static str, path: &'static str, values: Values) -> Known {
    Known {
        section,
        path,
        values,
    }
}

const PRODUCED: &str = ".responses[].partitionResponses[]";
const PRODUCED_CODE: &str = ".responses[].partitionResponses[].errorCode";
const FETCHED_CODE: &str = ".responses[].partitions[].errorCode";

/// What differs on purpose.
const ALLOWED: &[Known] = &[
    // Records that no consumer can place, or stamped by their producer, are refused; Kafka stores
    // them (docs/decisions/020).
    known("Produce: records out of order", PRODUCED, Any),
    known("Produce: a gap between records", PRODUCED, Any),
    known("Produce: LogAppendTime set by the client", PRODUCED, Any),
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
    // Kafka tells the log start with a refusal or not, by where in its code it refused.
    known(
        "Produce: ",
        ".responses[].partitionResponses[].logStartOffset",
        Are("0", "-1"),
    ),
    known(
        "Produce: ",
        ".responses[].partitionResponses[].logStartOffset",
        Are("-1", "0"),
    ),
    // The answer to a batch sent again: Kafka puts its timestamp where the append time belongs.
    known(
        "Produce: ",
        ".responses[].partitionResponses[].logAppendTimeMs",
        Are("1700000000000", "-1"),
    ),
    // Kafka trips over these and answers "unknown server error"; we serve what can be served.
    known("Fetch: a negative limit", "", Any),
    known("Fetch: an unknown isolation level", "", Any),
    known("ListOffsets: an unknown isolation level", "", Any),
    known("Metadata: neither id nor name", "", Any),
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
    known("Fetch: as replica", FETCHED_CODE, Are("6", "29")),
    known(
        "Fetch: as replica",
        ".responses[].partitions[].currentLeader",
        Any,
    ),
    known("ListOffsets: as replica 1", ".topics[].partitions[]", Any),
    // We serve fewer APIs and finalise fewer features; ApiVersions itself up to Kafka 4.4's.
    known("ApiVersions: ", ".apiKeys[].maxVersion", Are("4", "5")),
    known("ApiVersions: ", ".apiKeys", Part("apiKey")),
    known("ApiVersions: ", ".supportedFeatures", Part("name")),
    known("ApiVersions: ", ".finalizedFeatures", Part("name")),
    // An auto-created topic is there, with its leaders, in the answer that created it.
    known("Metadata: a topic that may be created", ".topics[]", Any),
    known("Metadata: a name too much like another's", ".topics[]", Any),
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
    // Client metrics and groups have no configs here yet, transactions no coordinator.
    known(
        "DescribeConfigs: the kind",
        ".results[].errorCode",
        Are("0", "42"),
    ),
    known(
        "InitProducerId: an empty transactional id",
        ".errorCode",
        Are("42", "35"),
    ),
    // One node is controller and broker on one listener.
    known("DescribeQuorum: ", ".nodes", Any),
];

/// What is to be brought in line: small things that no known client depends on.
const OPEN: &[Known] = &[
    // What is asked for twice is answered once by Kafka.
    known("Metadata: a topic twice", ".topics", Any),
    known(
        "ListOffsets: a partition twice",
        ".topics[].partitions",
        Any,
    ),
    known(
        "DeleteRecords: a partition twice",
        ".topics[].partitions",
        Any,
    ),
    known(
        "Produce: a partition twice in a request",
        ".responses[].partitionResponses",
        Any,
    ),
    known(
        "DeleteTopics: a topic by id and another by the same name",
        ".responses",
        Any,
    ),
    known("Metadata: ids and names together", ".topics", Any),
    known("ListOffsets: no partitions", ".topics", Any),
    // An empty list and none mean the same; errors come last.
    known(
        "Fetch: ",
        ".responses[].partitions[].abortedTransactions",
        Are("[]", "null"),
    ),
    known(
        "Fetch: right and wrong topics together",
        ".responses[]",
        Any,
    ),
    // The cursor's corners.
    known("DescribeTopicPartitions: from ", "", Any),
    known(
        "DescribeTopicPartitions: a",
        ".topics[].topicAuthorizedOperations",
        Any,
    ),
    known(
        "ElectLeaders: an unknown kind",
        ".replicaElectionResults",
        Any,
    ),
    known(
        "DescribeClientQuotas: of an unknown entity",
        ".errorCode",
        Are("35", "42"),
    ),
];

/// Whether `ours` may stand where Kafka has `kafka`.
pub(super) fn is_allowed(title: &str, path: &str, kafka: &Value, ours: &Value) -> bool {
    // Texts are for people; both may say more, or nothing.
    if path.ends_with(".errorMessage") {
        return true;
    }
    let path = without_places(path);
    ALLOWED.iter().chain(OPEN).any(|known| {
        title.starts_with(known.section)
            && path.starts_with(known.path)
            && known.values.hold(kafka, ours)
    })
}

impl Values {
    fn hold(&self, kafka: &Value, ours: &Value) -> bool {
        match self {
            // Below the whole answer only: it is compared field by field first.
            Any => !kafka.is_object() || !ours.is_object(),
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
        Some(18) => return true,
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
