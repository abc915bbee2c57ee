//! A broker inside a program, as the program sees it.
#![allow(
    clippy::needless_collect,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all threads start before one is waited for; a test fails by a panic"
)]

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ottla::vfs::{Fault, FaultVfs, MemVfs, Operation, Rule, Vfs};

use ottla::{
    AppendError, AppendOptions, Broker, Clock as _, Condition, CreateTopicError, Durability,
    Isolation, NewTopic, Offset, PartitionError, ReadError, Record, TestClock, Topic,
};

fn in_memory() -> Broker {
    Broker::builder().in_memory().start_blocking().unwrap()
}

fn values(topic: &Topic, partition: i32) -> Vec<String> {
    values_in(topic, partition, Offset::ZERO)
}

fn values_from(topic: &Topic, from: i64) -> Vec<String> {
    values_in(topic, 0, Offset::new(from))
}

fn values_in(topic: &Topic, partition: i32, from: Offset) -> Vec<String> {
    let read = topic.read_blocking(partition, from, Isolation::ReadCommitted);
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let value = |record: Result<ottla::OwnedRecord, ReadError>| record.unwrap().value.unwrap();
    read.unwrap().into_iter().map(|r| text(&value(r))).collect()
}

fn append(topic: &Topic, partition: i32, value: &'static str) -> Offset {
    let records = [Record::new(value)];
    let appended = topic.append_blocking(partition, &records, AppendOptions::default());
    appended.unwrap().end
}

async fn round_trip(broker: &Broker) {
    let topic = broker.create_topic(NewTopic::new("t")).await.unwrap();
    let records = [Record::new("a").with_key("k"), Record::new("b")];
    let appended = topic.append(0, &records, AppendOptions::default()).await;
    assert_eq!(appended.unwrap().end, Offset::new(2));
    let ends = topic.ends(0).await.unwrap();
    assert_eq!(
        (ends.start, ends.high_watermark, ends.end),
        (0.into(), 2.into(), 2.into())
    );
    let mut stream = topic
        .read(0, Offset::ZERO, Isolation::ReadUncommitted)
        .await
        .unwrap();
    append(&topic, 0, "later");
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (first.offset, first.key.as_deref()),
        (Offset::ZERO, Some(&b"k"[..]))
    );
    assert_eq!(
        stream.next().await.unwrap().unwrap().value.as_deref(),
        Some(&b"b"[..])
    );
    assert!(
        stream.next().await.is_none(),
        "ends where the partition ended at the call"
    );
    assert_eq!(stream.end(), Offset::new(2));
    assert!(
        broker
            .create_topic_blocking(NewTopic::new("from inside"))
            .is_err()
    );
}

#[test]
fn works_inside_another_runtime_of_either_kind() {
    let multi = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let single = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for foreign in [multi, single] {
        foreign.block_on(async {
            let broker = Broker::builder().in_memory().start().await.unwrap();
            round_trip(&broker).await;
            assert!(broker.shutdown().await.clean);
            let broker = in_memory();
            round_trip(&broker).await;
            drop(broker);
        });
    }
}

#[test]
fn works_without_a_runtime() {
    let broker = Broker::builder()
        .in_memory()
        .without_listener()
        .start_blocking()
        .unwrap();
    assert_eq!(broker.bootstrap_servers(), "");
    let topic = broker
        .create_topic_blocking(NewTopic::new("orders").partitions(3))
        .unwrap();
    assert_eq!((topic.name(), topic.partitions()), ("orders", 3));
    append(&topic, 2, "created");
    append(&broker.topic("orders").unwrap(), 2, "paid");
    assert_eq!(values(&topic, 2), ["created", "paid"]);
    assert_eq!(values(&topic, 0), [""; 0]);
    assert!(broker.shutdown_blocking().clean);
}

#[test]
fn fifty_brokers_live_side_by_side() {
    let start = |number: usize| {
        thread::spawn(move || {
            let broker = in_memory();
            let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
            for _ in 0..=number {
                append(&topic, 0, "x");
            }
            (broker, topic)
        })
    };
    let starting: Vec<_> = (0..50).map(start).collect();
    let started: Vec<_> = starting.into_iter().map(|t| t.join().unwrap()).collect();
    let mut servers: Vec<&str> = started.iter().map(|(b, _)| b.bootstrap_servers()).collect();
    servers.sort_unstable();
    servers.dedup();
    assert_eq!(servers.len(), 50);
    for (number, (_, topic)) in started.iter().enumerate() {
        assert_eq!(values(topic, 0).len(), number + 1);
    }
}

#[test]
fn a_condition_lets_one_of_many_writers_through() {
    let broker = in_memory();
    let topic = broker
        .create_topic_blocking(NewTopic::new("account"))
        .unwrap();
    let attempt = |topic: &Topic| {
        let options = AppendOptions {
            condition: Condition::NextOffset(Offset::ZERO),
            ..AppendOptions::default()
        };
        topic.append_blocking(0, &[Record::new("a"), Record::new("b")], options)
    };
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let topic = topic.clone();
            thread::spawn(move || attempt(&topic))
        })
        .collect();
    let results: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        let AppendError::Condition { expected, end, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!((expected, end), (Offset::ZERO, Offset::new(2)));
    }
    assert_eq!(values(&topic, 0), ["a", "b"]);
}

#[test]
fn what_cannot_be_done_is_named() {
    let broker = in_memory();
    let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    let again = broker
        .create_topic_blocking(NewTopic::new("t"))
        .unwrap_err();
    assert!(matches!(again, CreateTopicError::Exists { .. }), "{again}");
    let bad = NewTopic::new("u").config("retention.ms", "soon");
    let bad = broker.create_topic_blocking(bad).unwrap_err();
    assert!(matches!(bad, CreateTopicError::Refused { .. }), "{bad}");
    assert!(broker.create_topic_blocking(NewTopic::new("../x")).is_err());
    assert!(broker.topic("u").is_none());
    let missing = topic.ends_blocking(1).unwrap_err();
    assert!(
        matches!(missing, PartitionError::NoPartition { partitions: 1, .. }),
        "{missing}"
    );
    let beyond = topic
        .read_blocking(0, Offset::new(1), Isolation::ReadCommitted)
        .unwrap_err();
    assert!(matches!(beyond, ReadError::Log(_)), "{beyond}");
    let small = NewTopic::new("small").config("max.message.bytes", 100);
    let small = broker.create_topic_blocking(small).unwrap();
    let large = [Record::new(vec![0; 200])];
    let large = small
        .append_blocking(0, &large, AppendOptions::default())
        .unwrap_err();
    assert!(matches!(large, AppendError::Log(_)), "{large}");
    drop(broker);
    let gone = topic.ends_blocking(0).unwrap_err();
    assert!(matches!(gone, PartitionError::Stopped), "{gone}");
    assert_eq!(topic.partitions(), 0);
}

#[test]
fn a_restart_keeps_every_durable_record() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        Broker::builder()
            .data_dir(dir.path())
            .start_blocking()
            .unwrap()
    };
    let broker = start();
    let topic = broker
        .create_topic_blocking(NewTopic::new("t").partitions(2))
        .unwrap();
    append(&topic, 0, "first");
    assert!(broker.shutdown_blocking().clean);

    let broker = start();
    let topic = broker.topic("t").unwrap();
    assert_eq!(values(&topic, 0), ["first"]);
    append(&topic, 0, "second");
    let written = AppendOptions {
        durability: Durability::Written,
        ..AppendOptions::default()
    };
    topic
        .append_blocking(1, &[Record::new("written")], written)
        .unwrap();
    let cluster = broker.cluster_id().to_owned();
    drop(broker);

    let broker = start_options(dir.path()).start_blocking().unwrap();
    let topic = broker.topic("t").unwrap();
    assert_eq!(broker.cluster_id(), cluster);
    assert_eq!(values(&topic, 0), ["first", "second"]);
    assert_eq!(
        values(&topic, 1),
        ["written"],
        "a kill of the process takes nothing back"
    );
}

fn start_options(dir: &Path) -> ottla::BrokerBuilder {
    Broker::builder().data_dir(dir)
}

#[test]
fn a_dropped_broker_frees_its_port() {
    let broker = in_memory();
    let address = broker.bootstrap_servers().to_owned();
    drop(broker);
    let again = Broker::builder().in_memory().listen(&address);
    let again = again.start_blocking().unwrap();
    assert_eq!(again.bootstrap_servers(), address);
}

#[test]
fn a_test_clock_stamps_the_records() {
    let clock = TestClock::frozen();
    let builder = Broker::builder().in_memory().clock(Arc::new(clock.clone()));
    let broker = builder.start_blocking().unwrap();
    let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    let before = clock.now();
    append(&topic, 0, "a");
    clock.advance(Duration::from_secs(3600));
    append(&topic, 0, "b");
    let read = topic
        .read_blocking(0, Offset::ZERO, Isolation::ReadCommitted)
        .unwrap();
    let times: Vec<i64> = read
        .into_iter()
        .map(|r| r.unwrap().timestamp.get())
        .collect();
    assert_eq!(times, [before.get(), before.get() + 3_600_000]);
}

/// Whether a segment file of the first partition of `t` is there, under whatever name.
fn has_segments(vfs: &MemVfs) -> bool {
    let names = vfs.list(Path::new("data/kafka/t-0")).unwrap_or_default();
    names.iter().any(|entry| entry.name.contains(".log"))
}

#[test]
fn a_week_passes_and_old_records_go() {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let clock = TestClock::frozen();
    let vfs = MemVfs::new().with_clock(Arc::new(clock.clone()));
    let start = || {
        let builder = Broker::builder().vfs(Arc::new(vfs.clone()), "data");
        let builder = builder.clock(Arc::new(clock.clone())).without_listener();
        builder.start_blocking().unwrap()
    };
    let broker = start();
    let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    for value in ["a", "b", "c"] {
        append(&topic, 0, value);
    }
    clock.advance(WEEK);
    append(&topic, 0, "keeps the others company: they share a segment");
    clock.advance(Duration::from_secs(600));
    assert_eq!(values(&topic, 0).len(), 4);
    clock.advance(WEEK);
    while topic.ends_blocking(0).unwrap().start != Offset::new(4) {
        thread::yield_now();
    }
    while has_segments(&vfs) {
        clock.advance(Duration::from_secs(60));
        thread::yield_now();
    }
    assert_eq!(append(&topic, 0, "d"), Offset::new(5));
    assert_eq!(values_from(&topic, 4), ["d"]);
    assert!(broker.shutdown_blocking().clean);

    // What nobody asks for after a restart grows old, too.
    clock.advance(WEEK);
    assert!(has_segments(&vfs));
    let broker = start();
    while has_segments(&vfs) {
        clock.advance(Duration::from_secs(300));
        thread::yield_now();
    }
    let topic = broker.topic("t").unwrap();
    let ends = topic.ends_blocking(0).unwrap();
    assert_eq!((ends.start, ends.end), (Offset::new(5), Offset::new(5)));
}

#[test]
fn of_a_compacted_topic_the_newest_of_each_key_stays() {
    let clock = TestClock::frozen();
    let builder = Broker::builder().in_memory().clock(Arc::new(clock.clone()));
    let broker = builder.start_blocking().unwrap();
    let topic = NewTopic::new("t")
        .config("cleanup.policy", "compact")
        .config("internal.segment.bytes", 2000)
        .config("min.cleanable.dirty.ratio", 0.01);
    let topic = broker.create_topic_blocking(topic).unwrap();
    for n in 0..60 {
        let record = Record::new(format!("{n}")).with_key(format!("k{}", n % 4));
        let appended = topic.append_blocking(0, &[record], AppendOptions::default());
        assert_eq!(appended.unwrap().base_offset, Offset::new(n));
    }
    assert_eq!(values(&topic, 0).len(), 60);
    clock.advance(Duration::from_secs(60));
    // What is left: the newest of each key in the sealed segments, and the active one.
    while values(&topic, 0).len() > 40 {
        thread::yield_now();
    }
    let left = values(&topic, 0);
    assert_eq!(left[left.len() - 4..], ["56", "57", "58", "59"]);
    let refused = topic.append_blocking(0, &[Record::new("no key")], AppendOptions::default());
    assert!(refused.is_err());
}

/// Whatever a full disk refuses to a first start, nothing is left, and there is room for the next.
#[test]
fn a_first_start_that_a_full_disk_refuses_leaves_nothing_behind() {
    const DIR: &str = "/data";
    let start = |vfs: FaultVfs| Broker::builder().vfs(Arc::new(vfs), DIR).start_blocking();
    for operation in [Operation::Create, Operation::CreateDir, Operation::Write] {
        let counted = FaultVfs::over(Arc::new(MemVfs::new()));
        drop(start(counted.clone()).unwrap());
        let calls = counted.calls();
        let calls = calls.iter().filter(|call| call.operation == operation);
        let mut refused = 0;
        for nth in 0..u64::try_from(calls.count()).unwrap() {
            let mem = MemVfs::new();
            let full = FaultVfs::over(Arc::new(mem.clone()));
            full.inject(Rule::new(Fault::NoSpace).on(operation).from(nth));
            if start(full).is_err() {
                refused += 1;
                let left = mem.stat(Path::new(DIR)).unwrap();
                assert_eq!(left, None, "{operation:?} {nth}");
            }
            start(FaultVfs::over(Arc::new(mem))).unwrap();
        }
        assert!(refused > 1, "{operation:?}: {refused}");
    }
}

#[test]
fn a_reset_broker_is_as_good_as_new() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Broker::builder().data_dir(dir.path()).start_blocking();
    let broker = start().unwrap();
    for round in 0..3 {
        let old = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
        assert_eq!(append(&old, 0, "a"), Offset::new(1), "round {round}");
        broker.reset_blocking().unwrap();
        assert!(broker.topic("t").is_none());
        let gone = old.append_blocking(0, &[Record::new("b")], AppendOptions::default());
        assert!(matches!(
            gone,
            Err(AppendError::Partition(PartitionError::NoTopic { .. }))
        ));
    }
    assert!(broker.shutdown_blocking().clean);
    let broker = start().unwrap();
    assert!(broker.topic("t").is_none());
    let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    assert_eq!(values(&topic, 0), [""; 0]);
}

#[test]
fn settings_of_listeners_and_directories_are_heeded() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let configured = || {
        Broker::builder()
            .config("log.dirs", data.display())
            .config("listeners", "PLAINTEXT://127.0.0.1:0")
            .config("advertised.listeners", "PLAINTEXT://broker.example:1234")
    };
    let broker = configured().start_blocking().unwrap();
    assert_eq!(broker.bootstrap_servers(), "broker.example:1234");
    assert_eq!(broker.listeners()[0].name, "PLAINTEXT");
    assert!(data.join("kafka").is_dir());
    assert!(broker.shutdown_blocking().clean);
    // A method wins over a setting.
    let other = dir.path().join("other");
    let broker = configured()
        .data_dir(&other)
        .listen("PLAINTEXT://127.0.0.1:0");
    let broker = broker.advertise("PLAINTEXT://other.example:1");
    let broker = broker.start_blocking().unwrap();
    assert_eq!(broker.bootstrap_servers(), "other.example:1");
    assert!(other.join("kafka").is_dir());
}
