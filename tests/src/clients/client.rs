//! The clients: what each is called, and how its runner is installed and started.

use std::{ffi::OsStr, process::Command};

use super::{Outcome, SCENARIOS, Scenario, applications, script};
use crate::{
    Error,
    broker::{Broker, Kind},
    tools,
};

/// One client at one version.
#[derive(Debug)]
pub struct Client {
    /// As `--only` and the report name it.
    pub name: &'static str,
    /// What it is, for the report.
    pub title: &'static str,
    /// Whether it runs the list that all client libraries run.
    pub is_library: bool,
    /// Scenarios of its own.
    pub own: &'static [Scenario],
    command: fn(&Self) -> Result<Command, Error>,
}

/// All clients, in the order of the report.
pub const CLIENTS: [Client; 18] = [
    Client {
        own: &applications::JAVA,
        ..new("java-4.4.0", "Java kafka-clients 4.4.0", java)
    },
    Client {
        own: &applications::JAVA,
        ..new("java-4.3.1", "Java kafka-clients 4.3.1", java)
    },
    Client {
        own: &applications::JAVA,
        ..new("java-3.9.1", "Java kafka-clients 3.9.1", java)
    },
    Client {
        own: &applications::TOOLS,
        ..new(
            "kafka-tools",
            "Apache Kafka's command-line tools",
            kafka_tools,
        )
    },
    new("python", "Python confluent-kafka", python),
    new("kafka-python", "Python kafka-python", python),
    new("aiokafka", "Python aiokafka", python),
    new("kcat", "kcat", kcat),
    new("franz-go", "Go franz-go", go),
    new("sarama", "Go sarama", go),
    new("kafka-go", "Go segmentio/kafka-go", go),
    new("kafkajs", "Node KafkaJS", node),
    new("platformatic", "Node @platformatic/kafka", node),
    new("rskafka", "Rust rskafka", rust),
    application(
        "connect",
        "Kafka Connect, file source and sink",
        connect,
        &applications::CONNECT,
    ),
    application("streams", "Kafka Streams", streams, &applications::STREAMS),
    application(
        "spring-kafka",
        "Spring Boot with spring-kafka",
        spring,
        &applications::SPRING,
    ),
    application(
        "quarkus",
        "Quarkus Dev UI, its Kafka page",
        quarkus,
        &applications::QUARKUS,
    ),
];

/// Broker settings of a client run: Kafka's defaults, but internal topics stay small, and a member
/// that is killed is missed soon.
const SETTINGS: [(&str, &str); 2] = [
    ("offsets.topic.num.partitions", "1"),
    ("group.min.session.timeout.ms", "1000"),
];

const fn new(
    name: &'static str,
    title: &'static str,
    command: fn(&Client) -> Result<Command, Error>,
) -> Client {
    Client {
        name,
        title,
        is_library: true,
        own: &[],
        command,
    }
}

const fn application(
    name: &'static str,
    title: &'static str,
    command: fn(&Client) -> Result<Command, Error>,
    own: &'static [Scenario],
) -> Client {
    Client {
        name,
        title,
        is_library: false,
        own,
        command,
    }
}

impl Client {
    /// Installs and builds what the client needs, unless it is there.
    ///
    /// # Errors
    /// When something is missing on this machine, or cannot be built.
    pub fn install(&self) -> Result<(), Error> {
        (self.command)(self).map(drop)
    }

    /// Starts a broker and runs every scenario against it.
    ///
    /// # Errors
    /// When something is missing on this machine, or broker or runner cannot be started.
    pub fn run(&self, against: Kind) -> Result<Outcome, Error> {
        self.install()?;
        let mut broker = Broker::start(against, &SETTINGS)?;
        let (address, log_dir) = (broker.address().to_string(), broker.log_dir());
        let start = || {
            let mut command = (self.command)(self)?;
            command.env("BOOTSTRAP_SERVERS", &address);
            command.env("LOG_DIR", &log_dir);
            Ok(command)
        };
        script::run(&start, &mut broker, self.scenarios())
    }

    /// What it runs: the list of all libraries, when it is one, and then its own.
    pub fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        let shared: &[Scenario] = if self.is_library { &SCENARIOS } else { &[] };
        shared.iter().chain(self.own).copied()
    }
}

fn java(client: &Client) -> Result<Command, Error> {
    let version = client.name.trim_start_matches("java-");
    let mut command = jvm(&tools::java("java", version)?);
    command.arg("Scenarios");
    Ok(command)
}

fn streams(client: &Client) -> Result<Command, Error> {
    let mut command = jvm(&tools::java(client.name, tools::KAFKA_VERSION)?);
    command.arg("WordCount");
    Ok(command)
}

fn spring(client: &Client) -> Result<Command, Error> {
    let mut command = jvm(&tools::java(client.name, tools::SPRING_VERSION)?);
    command.arg("service.Service");
    Ok(command)
}

fn connect(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("connect/scenarios.sh"));
    command.env("KAFKA_JARS", tools::kafka()?.join("*"));
    Ok(command)
}

fn kafka_tools(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("kafka-tools/scenarios.sh"));
    command.env("KAFKA_JARS", tools::kafka()?.join("*"));
    Ok(command)
}

fn python(client: &Client) -> Result<Command, Error> {
    let mut command = Command::new(tools::python(client.name)?);
    let source = format!("{}/scenarios.py", client.name);
    command.arg("-u").arg(tools::client_source(&source));
    Ok(command)
}

fn kcat(_: &Client) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("kcat/scenarios.sh"));
    command.env("KCAT", tools::kcat()?);
    Ok(command)
}

fn go(client: &Client) -> Result<Command, Error> {
    Ok(Command::new(tools::go(client.name)?))
}

fn node(client: &Client) -> Result<Command, Error> {
    let (node, folder) = tools::node("node")?;
    let mut command = Command::new(node);
    command.arg(format!("{}.mjs", client.name));
    command.current_dir(folder);
    Ok(command)
}

fn quarkus(client: &Client) -> Result<Command, Error> {
    let mut command = node(client)?;
    command.env("QUARKUS", tools::quarkus()?);
    command.env("QUARKUS_VERSION", tools::QUARKUS_VERSION);
    command.env("CHROMIUM", tools::chromium()?);
    Ok(command)
}

fn rust(client: &Client) -> Result<Command, Error> {
    Ok(Command::new(tools::rust(client.name)?))
}

/// A JVM that starts fast: one compiler tier, the small collector.
pub(crate) fn jvm(class_path: &OsStr) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.arg("-cp").arg(class_path);
    command
}
