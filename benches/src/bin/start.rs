//! How fast a broker answers: a fresh process, a broker in process, a restart with 1,000
//! partitions, and how long creating and first filling them takes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use ottla_benches::conditions;
use ottla_benches::process::BrokerProcess;
use ottla_benches::stats::{repeat, summary, timed};
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
    println!(
        "fresh process to first answer: {}",
        summary(&repeat(RUNS, || fresh().unwrap_or_default()))
    );
    println!(
        "in process, in memory:         {}",
        summary(&repeat(RUNS, in_process))
    );
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..RUNS {
        for (times, time) in figures.iter_mut().zip(thousand()?) {
            times.push(time);
        }
    }
    let names = [
        "1,000 partitions created:      ",
        "first acks=all record to each: ",
        "restart after a clean stop:    ",
        "restart after kill -9:         ",
    ];
    for (name, mut times) in names.iter().zip(figures) {
        times.sort_unstable();
        println!("{name}{}", summary(&times));
    }
    Ok(())
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

fn in_process() -> Duration {
    let (time, broker) = timed(|| ottla::Broker::builder().in_memory().start_blocking());
    drop(broker.expect("an in-memory broker starts"));
    time
}

/// Creates the large topic, fills it, restarts cleanly and after a kill.
fn thousand() -> io::Result<[Duration; 4]> {
    let dir = tempfile::tempdir()?;
    let broker = answering(dir.path())?;
    let mut wire = Wire::connect(broker.address())?;
    let started = Instant::now();
    create(&mut wire)?;
    ends(&mut wire)?;
    let created = started.elapsed();
    let (filled, result) = timed(|| fill(&mut wire));
    result?;
    broker.terminate()?;
    let (clean, broker) = timed(|| restarted(dir.path()));
    broker?.kill()?;
    let (killed, broker) = timed(|| restarted(dir.path()));
    broker?.terminate()?;
    Ok([created, filled, clean, killed])
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
