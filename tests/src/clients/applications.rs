//! What tools, applications and one library do that the others do not: lists of scenarios beside
//! [`SCENARIOS`](super::SCENARIOS).

use super::Scenario;

/// A group at work, in the hand of an operator.
const LIVE: Scenario = (
    "group-live",
    "a group with a member: described; what would take its offsets away is refused",
);

/// Readers of what Ottla's log wrote, for while no client can write a transaction.
pub const JAVA: [Scenario; 3] = [
    LIVE,
    (
        "transactions",
        "committed, aborted and open: read_committed gets the first, read_uncommitted all",
    ),
    (
        "transactions-compacted",
        "of a compacted topic, each key's newest committed record, and nothing aborted",
    ),
];

/// Apache Kafka's command-line tools.
pub const TOOLS: [Scenario; 7] = [
    LIVE,
    (
        "elect-leaders",
        "preferred and unclean: the tool is told that no election is needed",
    ),
    (
        "streams-reset",
        "a Streams application's offsets go back to the beginning, its internal topics are deleted",
    ),
    (
        "dump-transactions",
        "Kafka's reader of log files finds every transaction as it was written, and no fault",
    ),
    (
        "dump-compacted",
        "likewise after a compaction; all indexes are sound",
    ),
    (
        "dump-offsets",
        "Kafka's decoder of group offsets reads what a group committed",
    ),
    (
        "recompressed",
        "each codec into each compression.type: stored as Apache Kafka stores it",
    ),
];

/// Kafka Connect in standalone mode.
pub const CONNECT: [Scenario; 4] = [
    (
        "files",
        "lines of a file go to a topic and from there to another file, in order",
    ),
    (
        "connect-restart",
        "Connect stopped and started: both files go on where they were, no line twice",
    ),
    (
        "broker-restart",
        "the broker restarted while lines are on their way: every line arrives",
    ),
    (
        "broker-kill",
        "the broker killed with SIGKILL while lines are on their way: every line arrives",
    ),
];

/// A word count with a state store, a changelog and a repartition topic, at least once.
pub const STREAMS: [Scenario; 5] = [
    (
        "count",
        "each word is counted once, in the output and in the store",
    ),
    (
        "internal-topics",
        "the changelog is compacted, the repartition topic kept until it is purged",
    ),
    (
        "app-restart",
        "closed and started in the middle, its store gone: rebuilt from the changelog",
    ),
    (
        "broker-restart",
        "the broker restarted in the middle: no word is missed",
    ),
    (
        "broker-kill",
        "the broker killed with SIGKILL in the middle: no word is missed",
    ),
];

/// A service with a listener in a group and a template, as Spring Boot configures them.
pub const SPRING: [Scenario; 4] = [
    (
        "template",
        "what the template sends, the listener gets, in the order of each key",
    ),
    (
        "resume",
        "the service stopped and started: it goes on after what it committed",
    ),
    (
        "broker-restart",
        "the broker restarted while the service sends and listens: nothing lost",
    ),
    (
        "broker-kill",
        "the broker killed with SIGKILL while the service sends and listens: nothing lost",
    ),
];

/// The Kafka page of Quarkus's Dev UI, in a browser.
pub const QUARKUS: [Scenario; 6] = [
    (
        "topics",
        "the topics with their partitions and how many records they hold",
    ),
    (
        "records",
        "a topic's records with partition, offset, key, value and headers",
    ),
    (
        "groups",
        "a live group, its member, and how far that is behind in each partition",
    ),
    ("cluster", "the cluster's id and its broker"),
    (
        "changes",
        "a topic made and a record sent in the page, the topic deleted there",
    ),
    ("log", "no error in Quarkus's log and none in the browser's"),
];
