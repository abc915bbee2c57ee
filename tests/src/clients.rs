//! Real clients, each running the same list of scenarios against a broker of its own.
//!
//! A runner is a small program in the client's language (`tests/clients/`). It is told where to
//! connect (`BOOTSTRAP_SERVERS`) and talks to the harness in lines, on its standard output and
//! input; [`script`] explains them.

pub mod ledger;
pub mod report;
pub mod script;

use std::{path::Path, process::Command};

use crate::{
    Error,
    broker::{Broker, Kind},
    tools,
};

pub use script::{Outcome, Verdict};

/// What every client does: the name that a runner reports, and what it means.
pub const SCENARIOS: [(&str, &str); 27] = [
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
];

/// One client at one version.
#[derive(Debug)]
pub struct Client {
    /// As `--only` and the report name it.
    pub name: &'static str,
    /// What it is, for the report.
    pub title: &'static str,
    command: fn(&Self) -> Result<Command, Error>,
}

/// All clients, in the order of the report.
pub const CLIENTS: [Client; 7] = [
    Client {
        name: "java-4.4.0",
        title: "Java kafka-clients 4.4.0",
        command: java,
    },
    Client {
        name: "java-4.3.1",
        title: "Java kafka-clients 4.3.1",
        command: java,
    },
    Client {
        name: "java-3.9.1",
        title: "Java kafka-clients 3.9.1",
        command: java,
    },
    Client {
        name: "kafka-tools",
        title: "Apache Kafka's command-line tools",
        command: kafka_tools,
    },
    Client {
        name: "python",
        title: "Python confluent-kafka",
        command: python,
    },
    Client {
        name: "kcat",
        title: "kcat",
        command: kcat,
    },
    Client {
        name: "franz-go",
        title: "Go franz-go",
        command: franz_go,
    },
];

/// Broker settings of a client run: Kafka's defaults, but internal and new topics stay small.
const SETTINGS: [(&str, &str); 1] = [("offsets.topic.num.partitions", "1")];

impl Client {
    /// Installs what the client needs, starts a broker and runs every scenario against it.
    ///
    /// # Errors
    /// When something is missing on this machine, or broker or runner cannot be started.
    pub fn run(&self, against: Kind) -> Result<Outcome, Error> {
        let mut command = (self.command)(self)?;
        let mut broker = Broker::start(against, &SETTINGS)?;
        command.env("BOOTSTRAP_SERVERS", broker.address().to_string());
        command.env("LOG_DIR", broker.log_dir());
        script::run(&mut command, &mut broker)
    }
}

fn java(client: &Client) -> Result<Command, Error> {
    let version = client.name.trim_start_matches("java-");
    let mut command = jvm(&tools::kafka_clients(version)?);
    command.arg(tools::client_source("java/Scenarios.java"));
    Ok(command)
}

fn kafka_tools(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("kafka-tools/scenarios.sh"));
    command.env("KAFKA_JARS", tools::kafka()?.join("*"));
    Ok(command)
}

fn python(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new(tools::python()?);
    command
        .arg("-u")
        .arg(tools::client_source("python/scenarios.py"));
    Ok(command)
}

fn kcat(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("kcat/scenarios.sh"));
    command.env("KCAT", tools::kcat()?);
    Ok(command)
}

fn franz_go(_: &Client) -> Result<Command, Error> {
    Ok(Command::new(tools::franz_go()?))
}

/// A JVM that starts fast: one compiler tier, the small collector.
fn jvm(jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
    command.arg("-cp").arg(jars.join("*"));
    command
}
