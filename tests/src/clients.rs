//! Real clients, each running the same list of scenarios against a broker of its own.
//!
//! A runner is a small program in the client's language (`tests/clients/`). It is told where to
//! connect (`BOOTSTRAP_SERVERS`) and talks to the harness in lines, on its standard output and
//! input; [`script`] explains them.

pub mod applications;
pub mod client;
pub mod groups;
pub mod ledger;
pub mod report;
pub mod run;
pub mod script;

pub use client::{CLIENTS, Client};
pub use script::{Outcome, Verdict};

/// The name that a runner reports, and what happens.
pub type Scenario = (&'static str, &'static str);

/// What every client does.
pub const SCENARIOS: [Scenario; 35] = [
    ("connect", "bootstrap, see one broker and the cluster id"),
    (
        "create-topic",
        "three partitions and a config; a second time it exists already",
    ),
    (
        "produce-none",
        "keyed records with headers, read back the same",
    ),
    ("produce-gzip", "the same with gzip"),
    ("produce-snappy", "the same with snappy"),
    ("produce-lz4", "the same with lz4"),
    ("produce-zstd", "the same with zstd"),
    ("acks-0", "records sent without an answer arrive"),
    (
        "acks-1",
        "records acknowledged by the leader are at the acknowledged offsets",
    ),
    (
        "acks-all",
        "records acknowledged by all in-sync replicas, likewise",
    ),
    (
        "idempotence",
        "five requests in flight, no record doubled or out of order",
    ),
    ("consume-beginning", "by assignment, from the first record"),
    ("consume-end", "by assignment, only records that come after"),
    ("consume-offset", "by assignment, from an offset"),
    (
        "consume-timestamp",
        "by assignment, from the first record at or after a time",
    ),
    (
        "unknown-topic",
        "a topic that is not there is refused as such",
    ),
    ("auto-create", "producing to a new name makes the topic"),
    (
        "oversize-record",
        "a record over max.message.bytes is refused, the next one taken",
    ),
    ("delete-records", "the log start moves up"),
    ("create-partitions", "a topic grows; it cannot shrink"),
    (
        "delete-topic",
        "a deleted topic is gone; the same name again is an empty topic",
    ),
    (
        "describe-configs",
        "topic and broker configs with their sources",
    ),
    (
        "alter-configs",
        "set, read back, refuse nonsense, back to the default",
    ),
    ("log-dirs", "sizes of partitions on the broker's disk"),
    (
        "dump-log",
        "Kafka's own reader of log files finds no fault in ours",
    ),
    ("restart", "the broker restarted in the middle of producing"),
    (
        "kill",
        "the broker killed with SIGKILL in the middle of producing",
    ),
    (
        "group-admin",
        "a group listed, described, its offsets read and reset, deleted",
    ),
    (
        "group-members",
        "three members over six partitions: one joins, one leaves, one is killed",
    ),
    (
        "group-cooperative",
        "a rebalance takes from a member only what another one gets",
    ),
    (
        "group-static",
        "a static member comes back and nobody else is disturbed",
    ),
    (
        "group-pattern",
        "a topic that appears later and matches is taken in",
    ),
    (
        "group-restart",
        "the broker restarted in the middle of a rebalance and of commits",
    ),
    (
        "group-kill",
        "the broker killed with SIGKILL in the middle of a rebalance and of commits",
    ),
    (
        "group-clock",
        "on a broker in a test: its clock is moved past a killed member's session",
    ),
];
