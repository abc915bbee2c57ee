//! How fast a broker answers: a fresh process, a broker in process, a restart with 1,000
//! partitions, and how long creating and first filling them takes. With words as arguments only
//! these parts: `memory`, `fifty`, `fresh`, `thousand`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io;
use std::iter::repeat_with;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ottla_benches::conditions;
use ottla_benches::counted::CountedVfs;
use ottla_benches::process::BrokerProcess;
use ottla_benches::stats::{line, median, millis, repeat, sorted, summary, timed};
use ottla_benches::wire::Wire;
use ottla_log::{BatchOptions, Record, build_batch};
use ottla_protocol::client::StrBytes;
use ottla_protocol::client::messages::create_topics_request::CreatableTopic;
use ottla_protocol::client::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use ottla_protocol::client::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::client::messages::{
    ApiVersionsRequest, BrokerId, CreateTopicsRequest, ListOffsetsRequest, ProduceRequest,
    TopicName,
};

/// How often each figure is measured.
const RUNS: usize = 10;
/// How many partitions the large topic has.
const PARTITIONS: i32 = 1_000;
const TOPIC: &str = "thousand";

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    let only: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    if is_asked("memory") {
        let times = repeat(RUNS, in_process)?;
        println!(
            "{}",
            line("in process, in memory", summary(&times), "<= 1 ms")
        );
    }
    if is_asked("fifty") {
        let times = repeat(RUNS, fifty_in_parallel)?;
        let name = "50 brokers in parallel tests";
        println!("{}", line(name, summary(&times), "<= 1 s"));
    }
    if is_asked("fresh") {
        first_start()?;
    }
    if is_asked("thousand") {
        thousand_partitions()?;
    }
    Ok(())
}

fn first_start() -> io::Result<()> {
    let (count, cost) = own_syncs()?;
    let syncs = format!("{count} in {:.2} ms", millis(cost));
    println!("{}", line("syncs of a first start", syncs, ""));
    let target = format!("<= {:.2} ms (4 ms + syncs)", 4.0 + millis(cost));
    let times = repeat(RUNS, fresh)?;
    let name = "fresh directory to first answer";
    println!("{}", line(name, summary(&times), &target));
    Ok(())
}

fn thousand_partitions() -> io::Result<()> {
    let mut figures = [const { Vec::new() }; 5];
    // All removed at the end: ext4 looks for inodes that were not freed lately, so that making
    // files takes many times as long after thousands were deleted.
    let dirs = repeat_with(tempfile::tempdir).take(RUNS);
    for dir in &dirs.collect::<io::Result<Vec<_>>>()? {
        for (times, time) in figures.iter_mut().zip(thousand(dir.path())?) {
            times.push(time);
        }
    }
    let names = [
        ("1,000 partitions created", "<= 30 ms"),
        ("first acks=all record to each", "<= 150 ms"),
        ("restart after kill -9", "<= 100 ms"),
        ("clean stop", ""),
        ("restart after a clean stop", "<= 50 ms"),
    ];
    for ((name, target), times) in names.into_iter().zip(figures) {
        println!("{}", line(name, summary(&sorted(times)), target));
    }
    Ok(())
}

/// How many syncs a first start does itself, and the median of what they take.
fn own_syncs() -> io::Result<(u64, Duration)> {
    let mut count = 0;
    let times = repeat(RUNS, || {
        let dir = tempfile::tempdir()?;
        let disk = CountedVfs::default();
        let broker = ottla::Broker::builder().vfs(Arc::new(disk.clone()), dir.path());
        let broker = broker.start_blocking().map_err(io::Error::other)?;
        let (syncs, time) = disk.syncs();
        count = syncs;
        drop(broker);
        Ok::<_, io::Error>(time)
    })?;
    Ok((count, median(&times)))
}

/// From the start of a process with a fresh directory to its first answer.
fn fresh() -> io::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let (time, broker) = timed(|| answering(dir.path()));
    broker?.terminate()?;
    Ok(time)
}

/// A broker that has answered ApiVersions.
fn answering(data: &Path) -> io::Result<BrokerProcess> {
    let broker = BrokerProcess::start(data, &[])?;
    let ask = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("bench"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    Wire::connect(broker.address())?.call(3, &ask)?;
    Ok(broker)
}

fn in_process() -> io::Result<Duration> {
    let (time, broker) = timed(|| ottla::Broker::builder().in_memory().start_blocking());
    drop(broker.map_err(io::Error::other)?);
    Ok(time)
}

/// As many tests at once, each of which starts a broker, connects to it and stops it cleanly.
fn fifty_in_parallel() -> io::Result<Duration> {
    let one = || {
        let broker = ottla::Broker::builder().in_memory().start_blocking();
        let broker = broker.map_err(io::Error::other)?;
        let address = broker
            .bootstrap_servers()
            .parse()
            .map_err(io::Error::other)?;
        let mut wire = Wire::connect(address)?;
        wire.call(3, &ApiVersionsRequest::default())?;
        drop(wire);
        let report = broker.shutdown_blocking();
        if report.clean {
            Ok(())
        } else {
            Err(io::Error::other(format!("not a clean stop: {report:?}")))
        }
    };
    let (time, ended) = timed(|| {
        thread::scope(|scope| {
            let mut tests = Vec::new();
            tests.extend(repeat_with(|| scope.spawn(one)).take(50));
            let panicked = |_| Err(io::Error::other("a test panicked"));
            let mut tests = tests.into_iter();
            tests.try_for_each(|test| test.join().unwrap_or_else(panicked))
        })
    });
    ended.map(|()| time)
}

/// Creates the large topic and fills it, then restarts after a kill and after a clean stop.
///
/// The kill comes right after the last acknowledgement: nothing was synced to partition files.
fn thousand(dir: &Path) -> io::Result<[Duration; 5]> {
    let broker = answering(dir)?;
    let mut wire = Wire::connect(broker.address())?;
    let started = Instant::now();
    create(&mut wire)?;
    ends(&mut wire)?;
    let created = started.elapsed();
    let (filled, result) = timed(|| fill(&mut wire));
    result?;
    broker.kill()?;
    let (killed, broker) = timed(|| restarted(dir));
    let (stopped, result) = timed(|| broker.and_then(BrokerProcess::terminate));
    result?;
    if !dir.join("kafka/.kafka_cleanshutdown").exists() {
        println!("the stop was not clean: the next restart counts as clean and is not");
    }
    let (clean, broker) = timed(|| restarted(dir));
    broker?.terminate()?;
    Ok([created, filled, killed, stopped, clean])
}

/// A broker on a used directory, once it has answered for every partition.
fn restarted(data: &Path) -> io::Result<BrokerProcess> {
    let broker = answering(data)?;
    let found = ends(&mut Wire::connect(broker.address())?)?;
    assert!(
        found.iter().all(|end| *end == 1),
        "a partition lost its record: {found:?}"
    );
    Ok(broker)
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn create(wire: &mut Wire) -> io::Result<()> {
    let topic = CreatableTopic::default()
        .with_name(name())
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let answer = wire.call(7, &request)?;
    assert!(
        answer.topics.iter().all(|t| t.error_code == 0),
        "not created: {answer:?}"
    );
    Ok(())
}

/// The end offset of every partition.
fn ends(wire: &mut Wire) -> io::Result<Vec<i64>> {
    let partition = |number| {
        ListOffsetsPartition::default()
            .with_partition_index(number)
            .with_current_leader_epoch(-1)
            .with_timestamp(-1)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(name())
        .with_partitions((0..PARTITIONS).map(partition).collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let answer = wire.call(7, &request)?;
    let partitions = answer.topics.iter().flat_map(|t| &t.partitions);
    let mut ends = Vec::new();
    for partition in partitions {
        assert_eq!(
            partition.error_code, 0,
            "partition {}",
            partition.partition_index
        );
        ends.push(partition.offset);
    }
    Ok(ends)
}

/// One acks=all record to each partition, a request each, pipelined on one connection.
fn fill(wire: &mut Wire) -> io::Result<()> {
    let record = Record {
        value: Some("first".into()),
        timestamp: Some(0.into()),
        ..Record::default()
    };
    let batch = build_batch(&[record], &BatchOptions::default()).map_err(io::Error::other)?;
    for number in 0..PARTITIONS {
        let data = PartitionProduceData::default()
            .with_index(number)
            .with_records(Some(batch.clone()));
        let data = TopicProduceData::default()
            .with_name(name())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        wire.send(9, &request)?;
    }
    for _ in 0..PARTITIONS {
        let answer = wire.receive::<ProduceRequest>(9)?;
        let mut done = answer.responses.iter().flat_map(|t| &t.partition_responses);
        assert!(done.all(|p| p.error_code == 0), "not written: {answer:?}");
    }
    Ok(())
}
