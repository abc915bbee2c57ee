//! Apache Kafka takes over a data directory: it starts on a copy of what Ottla left, with
//! the topics and their ids from a `bootstrap.checkpoint`, and gives its clients the same records.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ottla::{AppendOptions, NewTopic};
use ottla_log::{Clock as _, LogOptions, OwnedRecord, Record, Store, StoreOptions, SystemClock};
use ottla_partition::metadata::{Image, MetadataRecord, write_bootstrap};

use crate::{
    Error,
    broker::{Broker, Kind},
    clients::client::jvm,
    tools,
    transactions::{self, Fate, Told},
};

const METADATA_LOG: &str = "__cluster_metadata-0";
const PLAIN_RECORDS: usize = 1000;

/// Writes, hands over, reads; the answer is whether everything was found.
///
/// # Errors
/// When something is missing on this machine, Kafka does not start, or its records are others.
#[expect(clippy::print_stdout, reason = "a run tells a person what it does")]
pub fn run() -> Result<bool, Error> {
    let dir = tempfile::tempdir().map_err(Error::io("create a temporary directory"))?;
    let (ours, theirs) = (dir.path().join("ottla"), dir.path().join("kafka"));
    let plain = write_plain(&ours)?;
    let written = transactions::write(&ours, "transactions", false)?;
    let compacted = transactions::write(&ours, "compacted", true)?;
    let bootstrap = bootstrap(&ours)?;
    copy(&ours.join("kafka"), &theirs)?;
    let path = theirs.join("bootstrap.checkpoint");
    fs::write(&path, bootstrap).map_err(Error::path("write", &path))?;

    let kafka = Broker::start_on(Some(&theirs), Kind::Kafka, &[], &[])?;
    same("plain", &plain, &read(&kafka, "plain", "read_uncommitted")?)?;
    let all: Vec<String> = written.iter().map(Told::place).collect();
    same(
        "transactions",
        &all,
        &read(&kafka, "transactions", "read_uncommitted")?,
    )?;
    let committed: Vec<String> = committed(&written).map(Told::place).collect();
    same(
        "transactions, committed",
        &committed,
        &read(&kafka, "transactions", "read_committed")?,
    )?;
    check_compacted(&compacted, &read(&kafka, "compacted", "read_committed")?)?;
    let complaints = kafka.output();
    if let Some(line) = complaints.lines().find(|line| line.contains("ERROR")) {
        return Err(Error::failed(format!("Kafka complains: {line}")));
    }
    println!(
        "Apache Kafka {} found {} records of 3 topics",
        tools::KAFKA_VERSION,
        plain.len() + all.len() + compacted.len()
    );
    Ok(true)
}

/// A broker's data directory with three topics; the records of one, as [`Told::place`] has them.
fn write_plain(data: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::failed(format!("in process: {error}"));
    let broker = ottla::Broker::builder().data_dir(data).without_listener();
    let broker = broker.start_blocking().map_err(|error| failed(&error))?;
    let compacted = NewTopic::new("compacted").config("cleanup.policy", "compact");
    for topic in [NewTopic::new("transactions"), compacted] {
        let topic = broker.create_topic_blocking(topic);
        append(&topic.map_err(|error| failed(&error))?, 0)?;
    }
    let plain = NewTopic::new("plain").config("segment.bytes", 1 << 20);
    let plain = broker.create_topic_blocking(plain);
    let plain = plain.map_err(|error| failed(&error))?;
    let written = (0..PLAIN_RECORDS).map(|number| append(&plain, number));
    let written = written.collect::<Result<Vec<_>, _>>()?;
    drop(plain);
    let _ = broker.shutdown_blocking();
    Ok(written)
}

fn append(topic: &ottla::Topic, number: usize) -> Result<String, Error> {
    let (key, value) = (format!("key-{number}"), format!("{number:0>4000}"));
    let record = Record::new(value.clone()).with_key(key.clone());
    let appended = topic.append_blocking(0, &[record], AppendOptions::default());
    let appended = appended.map_err(|error| Error::failed(format!("append: {error}")))?;
    Ok(format!("{} {key} {value}", appended.base_offset))
}

/// What Kafka begins its metadata log with: the topics of a stopped broker.
fn bootstrap(data: &Path) -> Result<bytes::Bytes, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::failed(format!("{METADATA_LOG}: {error}"));
    let opened = Store::open(data, StoreOptions::default()).map_err(|error| failed(&error))?;
    let store = opened.store;
    let log = store
        .log("__cluster_metadata", LogOptions::default())
        .map_err(|error| failed(&error))?;
    let image = Image::new(store.cluster_id());
    let mut records = Vec::new();
    for record in log.records(image.end()) {
        let record: OwnedRecord = record.map_err(|error| failed(&error))?;
        let value = record.value.unwrap_or_default();
        records.push(MetadataRecord::decode(&value).map_err(|error| failed(&error))?);
    }
    let image = image.replay(image.end(), &records);
    let image = image.map_err(|error| failed(&error))?;
    drop(log);
    store.close();
    write_bootstrap(&image, SystemClock::new().now()).map_err(|error| failed(&error))
}

/// Copies a directory and the directories in it, but not our metadata log.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::path("create", to))?;
    let entries = fs::read_dir(from).map_err(Error::path("list", from))?;
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == METADATA_LOG {
            continue;
        }
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(Error::path("copy to", &target))?;
        }
    }
    Ok(())
}

/// What a Java consumer gets: offset, key and value of each record.
fn read(kafka: &Broker, topic: &str, isolation: &str) -> Result<Vec<String>, Error> {
    let mut java = jvm(&tools::java("java", tools::KAFKA_VERSION)?);
    java.arg("Scenarios");
    java.env("BOOTSTRAP_SERVERS", kafka.address().to_string());
    java.env("READ_TOPIC", topic)
        .env("READ_ISOLATION", isolation);
    let output = java.output().map_err(Error::io("start java"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::failed(format!("{topic} cannot be read: {text}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

fn committed(told: &[Told]) -> impl Iterator<Item = &Told> {
    told.iter().filter(|record| record.fate == Fate::Committed)
}

/// The first record is the one that the topic was made with.
fn same(what: &str, expected: &[String], found: &[String]) -> Result<(), Error> {
    let first = usize::from(what != "plain");
    let found = found.get(first..).unwrap_or_default();
    let differs = expected.iter().zip(found).find(|(one, other)| one != other);
    if let Some((expected, found)) = differs {
        let text = format!("{what}: expected {expected:?}, found {found:?}");
        return Err(Error::failed(text));
    }
    if expected.len() == found.len() {
        return Ok(());
    }
    let (expected, found) = (expected.len(), found.len());
    Err(Error::failed(format!(
        "{what}: expected {expected} records, found {found}"
    )))
}

/// Each key's newest committed record is there, and nothing that was not committed.
fn check_compacted(told: &[Told], found: &[String]) -> Result<(), Error> {
    let found: BTreeSet<&str> = found.iter().skip(1).map(String::as_str).collect();
    let places: Vec<String> = committed(told).map(Told::place).collect();
    let known: BTreeSet<&str> = places.iter().map(String::as_str).collect();
    let newest: BTreeMap<&str, &String> = committed(told).map(Told::key).zip(&places).collect();
    if let Some(stray) = found.difference(&known).next() {
        return Err(Error::failed(format!(
            "compacted: {stray} is not committed"
        )));
    }
    if let Some(lost) = newest
        .values()
        .find(|place| !found.contains(place.as_str()))
    {
        return Err(Error::failed(format!("compacted: {lost} is lost")));
    }
    if found.len() * 2 >= known.len() {
        return Err(Error::failed("compacted: nothing was compacted"));
    }
    Ok(())
}
