//! How long a client that joins a fresh group waits for its first record: with Ottla and with
//! Apache Kafka in turns, in one warmed-up process of each client.
//!
//! What every request took the broker stands in Ottla's request trace; the rest of the time is the
//! client's own. A runner is started with `FIRST_TOPIC`, the name of a topic with one record. It
//! reads lines `ADDRESS GROUP`. For each it makes a consumer with its library's defaults, but from
//! the earliest record, waits for the first one, leaves the group, and then writes
//! `first MICROSECONDS`: from making the consumer to that record.
#![expect(clippy::print_stdout, reason = "a run tells a person what it does")]

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    Error,
    broker::{Broker, Kind},
    clients::client::jvm,
    differential::{
        batch::{Batch, record},
        recorder::Recorder,
    },
    tools,
};

/// The topic with one record.
const TOPIC: &str = "first";
/// Groups that are not counted, of each client and broker: virtual machines compile meanwhile.
const WARM_UP: usize = 5;
/// No client needs nearly as long for one group; past it, it hangs.
const WITHIN: Duration = Duration::from_secs(60);
/// How often to ask until the trace has been read as far as it is written; each is a round trip.
const ATTEMPTS: usize = 10_000;
/// How the requests of [`Recorder`] begin in the trace.
const OURS: &str = "\"differential\" ";

/// A client by its name, and what starts its runner. rskafka has no groups, spring-kafka is the
/// Java client, and Kafka's tools are processes that start a virtual machine each.
type Runner = (&'static str, fn(&str) -> Result<Command, Error>);

const RUNNERS: [Runner; 12] = [
    ("java-4.4.0", java),
    ("java-4.3.1", java),
    ("java-3.9.1", java),
    ("python", python),
    ("kcat", kcat),
    ("franz-go", go),
    ("kafka-python", python),
    ("aiokafka", python),
    ("sarama", go),
    ("kafka-go", go),
    ("kafkajs", node),
    ("platformatic", node),
];

/// Measures `groups` fresh groups of each client that `only` begins the names of, of all when it is
/// empty, with each broker, and prints a table.
///
/// # Errors
/// When a broker or a runner cannot be started, or a client gets no record.
pub fn run(only: &[String], groups: usize) -> Result<(), Error> {
    let ottla = Broker::start_with(Kind::Ottla, &[], &["--trace-requests"])?;
    let kafka = Broker::start(Kind::Kafka, &[])?;
    fill(ottla.address())?;
    fill(kafka.address())?;
    let mut trace = Trace {
        broker: &ottla,
        read: 0,
    };
    println!("| client | with Ottla, ms | with Apache Kafka, ms | our part, ms | requests |");
    println!("|---|---|---|---|---|");
    for (name, command) in RUNNERS {
        if !only.is_empty() && !only.iter().any(|begin| name.starts_with(&**begin)) {
            continue;
        }
        let mut client = Session::start(command(name)?)?;
        let (mut with_us, mut with_kafka) = (Vec::new(), Vec::new());
        let (mut ours, mut requests) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP + groups {
            let group = format!("{name}-{round}");
            trace.next()?;
            let took_us = client.first(&ottla, &group)?;
            let part = sum(&trace.next()?);
            let took_kafka = client.first(&kafka, &group)?;
            if round >= WARM_UP {
                with_us.push(took_us);
                with_kafka.push(took_kafka);
                ours.push(part.0);
                requests.push(part.1);
            }
        }
        client.end()?;
        requests.sort_unstable();
        let requests = requests.get(requests.len() / 2).copied();
        println!(
            "| {name} | {} | {} | {} | {} |",
            summary(with_us),
            summary(with_kafka),
            summary(ours),
            requests.unwrap_or_default()
        );
    }
    Ok(())
}

fn java(name: &str) -> Result<Command, Error> {
    let mut command = jvm(&tools::java("java", name.trim_start_matches("java-"))?);
    command.arg("First");
    Ok(command)
}

fn python(name: &str) -> Result<Command, Error> {
    let mut command = Command::new(tools::python(name)?);
    let source = format!("{name}/first.py");
    command.arg("-u").arg(tools::client_source(&source));
    Ok(command)
}

fn kcat(_: &str) -> Result<Command, Error> {
    let mut command = Command::new("bash");
    command.arg(tools::client_source("kcat/first.sh"));
    command.env("KCAT", tools::kcat()?);
    Ok(command)
}

fn go(name: &str) -> Result<Command, Error> {
    Ok(Command::new(tools::go(name)?))
}

fn node(name: &str) -> Result<Command, Error> {
    let (node, folder) = tools::node("node")?;
    let mut command = Command::new(node);
    command.args(["first.mjs", name]).current_dir(folder);
    Ok(command)
}

/// Makes the topic, with its record.
fn fill(address: SocketAddr) -> Result<(), Error> {
    let mut recorder = Recorder::new(address);
    // The record is from the past, and Kafka looks for such 30 s after its start.
    recorder.topics_of(1, [TOPIC], &[("retention.ms", "-1")])?;
    let records = Batch::of([record("key", "value")]).value();
    let topic = json!({"name": TOPIC, "partitionData": [{"index": 0, "records": records}]});
    let body = json!({"acks": -1, "timeoutMs": 30_000, "topicData": [topic]});
    let answer = recorder.ask("Produce", 9, &body)?;
    if answer["responses"][0]["partitionResponses"][0]["errorCode"] == 0 {
        return Ok(());
    }
    Err(Error::failed(format!("the record was not taken: {answer}")))
}

/// A running runner, killed when dropped.
struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Session {
    fn start(mut command: Command) -> Result<Self, Error> {
        command.env("FIRST_TOPIC", TOPIC);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let doing = format!("start {command:?}");
        let mut child = command.spawn().map_err(Error::io(doing))?;
        let (sender, lines) = mpsc::channel();
        let output = child.stdout.take();
        thread::spawn(move || {
            let lines = output
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            lines,
        })
    }

    /// How long a fresh group took with `broker`.
    fn first(&mut self, broker: &Broker, group: &str) -> Result<Duration, Error> {
        let (kind, address) = (broker.kind(), broker.address());
        let stdin = self.stdin.as_mut();
        let written = stdin.map_or(Ok(()), |stdin| writeln!(stdin, "{address} {group}"));
        written.map_err(Error::io("talk to the runner"))?;
        loop {
            let line = self.lines.recv_timeout(WITHIN);
            let line = line.map_err(|_| {
                Error::failed(format!(
                    "no first record for {group} from {kind} within {WITHIN:?}"
                ))
            })?;
            // A library may write to standard output, too.
            if let Some(micros) = line.strip_prefix("first ").and_then(|it| it.parse().ok()) {
                return Ok(Duration::from_micros(micros));
            }
        }
    }

    fn end(mut self) -> Result<(), Error> {
        self.stdin = None;
        let status = self
            .child
            .wait()
            .map_err(Error::io("wait for the runner"))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::failed(format!("the runner ended with {status}")))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Gone already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a broker writes about its requests.
struct Trace<'a> {
    broker: &'a Broker,
    /// How far it was read.
    read: usize,
}

impl Trace<'_> {
    /// The lines since the last call. Behind them stands a request of our own.
    fn next(&mut self) -> Result<String, Error> {
        let recorder = Recorder::new(self.broker.address());
        for _ in 0..ATTEMPTS {
            recorder.ask("ApiVersions", 0, &json!({}))?;
            let output = self.broker.output();
            let new = output.get(self.read..).unwrap_or_default();
            let new = new.rfind('\n').and_then(|end| new.get(..=end));
            let new = new.unwrap_or_default();
            if new.lines().any(|line| line.starts_with(OURS)) {
                self.read += new.len();
                return Ok(new.to_owned());
            }
        }
        Err(Error::failed("the broker does not trace its requests"))
    }
}

/// What the requests of clients took together, and how many they were. A Fetch waits for records.
fn sum(lines: &str) -> (Duration, usize) {
    let theirs = |line: &&str| !line.starts_with(OURS) && !line.contains("\" Fetch v");
    let took = |line: &str| line.rsplit_once(' ')?.1.strip_suffix("us")?.parse().ok();
    let all = lines.lines().filter(theirs).filter_map(took);
    all.fold((Duration::ZERO, 0), |(sum, count), micros| {
        (sum + Duration::from_micros(micros), count + 1)
    })
}

/// The median, least and most, in milliseconds.
fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    let ms = |time: Duration| {
        let ms = time.as_secs_f64() * 1e3;
        let decimals = if ms < 10.0 { 1 } else { 0 };
        format!("{ms:.decimals$}")
    };
    let last = times.len().saturating_sub(1);
    let (median, least, most) = (at(times.len() / 2), at(0), at(last));
    format!("{} ({}-{})", ms(median), ms(least), ms(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_all_of_a_clients_requests_but_those_that_wait() {
        let lines = "\"a b\" JoinGroup v9 - MEMBER_ID_REQUIRED 40us\n\
                     \"a b\" JoinGroup v9 - NONE 60us\n\
                     \"a b\" Fetch v17 first NONE 500000us\n\
                     \"differential\" ApiVersions v0 - NONE 7us\n\
                     a warning of the broker's\n";
        assert_eq!(sum(lines), (Duration::from_micros(100), 2));
    }

    #[test]
    fn a_summary_has_median_least_and_most() {
        let times = [30.4, 1.04, 20.0].map(|ms: f64| Duration::from_secs_f64(ms / 1e3));
        assert_eq!(summary(times.to_vec()), "20 (1.0-30)");
    }
}
