use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ottla_log::vfs::{CrashPlan, MemVfs, Vfs};
use ottla_log::{
    AppendOptions, FlushMode, LogConfig, Offset, OsEntropy, Store, StoreOptions, SystemClock,
    Timestamp, World,
};
use ottla_partition::metadata::config::BrokerConfig;
use ottla_partition::metadata::controller::{CreateTopics, NewTopic};
use ottla_partition::metadata::quorum::{MetadataQuorum, Proposal, ProposeError};
use ottla_partition::metadata::{MetadataRecord, RemoveTopicRecord};

use super::log::MetadataLog;

use crate::options::{BrokerOptions, Storage};
use crate::running::RunningBroker;
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::start::start_blocking;

const DIR: &str = "/data";

/// A broker on `vfs` that writes a snapshot after each change, or practically never.
fn start(vfs: &Arc<MemVfs>, snapshot_bytes: u64) -> RunningBroker {
    start_in(vfs, snapshot_bytes, FlushMode::Sync)
}

fn start_in(vfs: &Arc<MemVfs>, snapshot_bytes: u64, flush: FlushMode) -> RunningBroker {
    let vfs: Arc<dyn Vfs> = Arc::<MemVfs>::clone(vfs);
    let mut options = BrokerOptions::new(Storage::Vfs(vfs, DIR.into()));
    let key = "metadata.log.max.record.bytes.between.snapshots";
    let pair = format!("{key}={snapshot_bytes}");
    options.config = Settings::gather(None, &[pair]).unwrap().config;
    options.flush = flush;
    start_blocking(options).unwrap()
}

fn create(broker: &RunningBroker, name: &str) {
    let request = CreateTopics {
        topics: vec![NewTopic::new(name)],
        validate_only: false,
    };
    let entropy = broker.core.entropy();
    let metadata = broker.core.metadata();
    let created = metadata.change(move |c| c.create_topics(&request, &*entropy));
    let created = broker.core.runtime().block_on(created).unwrap().unwrap();
    assert!(
        created.iter().all(|topic| topic.result.is_ok()),
        "{created:?}"
    );
}

fn topics(broker: &RunningBroker) -> Vec<String> {
    broker
        .core
        .metadata()
        .image()
        .topics()
        .map(|t| t.name.to_string())
        .collect()
}

fn snapshots(vfs: &MemVfs) -> usize {
    let dir = Path::new(DIR).join("kafka/__cluster_metadata-0");
    let names = vfs.list(&dir).unwrap();
    names
        .iter()
        .filter(|entry| entry.name.ends_with(".checkpoint"))
        .count()
}

#[test]
fn topics_survive_a_restart_from_the_log_and_from_a_snapshot() {
    for (snapshot_bytes, expected) in [(1, 2), (1 << 40, 0)] {
        let vfs = Arc::new(MemVfs::new());
        let broker = start(&vfs, snapshot_bytes);
        create(&broker, "a");
        create(&broker, "b");
        let image = broker.core.metadata().image();
        assert!(broker.shutdown_blocking().clean);
        assert_eq!(snapshots(&vfs), expected);

        let broker = start(&vfs, snapshot_bytes);
        assert_eq!(topics(&broker), ["a", "b"]);
        let again = broker.core.metadata().image();
        let id = |image: &ottla_partition::metadata::Image| image.topic("a").unwrap().id;
        assert_eq!(id(&image), id(&again), "the topic is the same one");
        create(&broker, "c");
        assert_eq!(topics(&broker), ["a", "b", "c"]);
    }
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    for flush in [FlushMode::Sync, FlushMode::Os] {
        survives_a_power_cut(flush);
    }
}

fn survives_a_power_cut(flush: FlushMode) {
    let vfs = Arc::new(MemVfs::new());
    let broker = start_in(&vfs, 1 << 40, flush);
    create(&broker, "a");
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    drop(broker);

    let broker = start_in(&Arc::new(image), 1 << 40, flush);
    assert_eq!(topics(&broker), ["a"], "{flush:?}");
    let epoch = |broker: &RunningBroker| {
        let image = broker.core.metadata().image();
        let topic = Arc::clone(image.topic("a").unwrap());
        topic.partition(0).unwrap().leader_epoch.get()
    };
    assert_eq!(
        epoch(&broker),
        1,
        "an unclean start raises the leader epoch"
    );
    assert!(broker.shutdown_blocking().clean);
}

/// The store on `vfs`, without a broker.
fn store(vfs: &Arc<MemVfs>) -> Store {
    let world = World {
        vfs: Arc::<MemVfs>::clone(vfs),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let opened = Store::open_in(world, DIR, StoreOptions::default());
    opened.unwrap().store
}

/// The store and the metadata log in it, and where that ends.
fn opened(vfs: &Arc<MemVfs>) -> (Store, MetadataLog, Offset) {
    let store = store(vfs);
    let vfs: Arc<dyn Vfs> = Arc::<MemVfs>::clone(vfs);
    let runtime = Runtime::shared().unwrap();
    let opened = MetadataLog::open(&store, &vfs, &runtime, u64::MAX, LogConfig::default());
    let (log, image) = opened.unwrap();
    (store, log, image.end())
}

fn propose_records(
    store: &Store,
    log: &mut MetadataLog,
    base: Offset,
    records: &[MetadataRecord],
) -> Result<Offset, ProposeError> {
    let proposal = Proposal {
        base,
        records,
        now: Timestamp::new(0),
    };
    let mut proposing = Box::pin(log.propose(proposal));
    let mut context = Context::from_waker(Waker::noop());
    // Without a flusher nothing is durable before it is asked for.
    match proposing.as_mut().poll(&mut context) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => {
            store.flush().unwrap();
            match proposing.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("it is durable, and nobody is told"),
            }
        }
    }
}

fn open_partition(broker: &RunningBroker, name: &str) -> Arc<crate::partition::Partition> {
    let topic = Arc::clone(broker.core.metadata().image().topic(name).unwrap());
    let core = Arc::clone(&broker.core);
    let opening = async move { core.open_partition(&topic, 0).await };
    broker.core.runtime().block_on(opening).unwrap().unwrap()
}

/// The directories of logs, without those that wait to be removed.
fn dirs(vfs: &MemVfs) -> Vec<String> {
    let entries = vfs.list(&Path::new(DIR).join("kafka")).unwrap();
    let dirs = entries.into_iter().filter(|entry| entry.is_dir);
    dirs.map(|entry| entry.name)
        .filter(|name| !name.ends_with("-delete"))
        .collect()
}

#[test]
fn a_crash_inside_a_deletion_leaves_no_log() {
    let vfs = Arc::new(MemVfs::new());
    let broker = start(&vfs, 1 << 40);
    for name in ["gone", "kept"] {
        create(&broker, name);
        let log = open_partition(&broker, name).log().clone();
        let record = ottla_log::Record::new("value");
        log.append(&[record], AppendOptions::default()).unwrap();
    }
    let topic_id = broker.core.metadata().image().topic("gone").unwrap().id;
    assert!(broker.shutdown_blocking().clean);
    // The removal is durable, and then the node is gone; and a log came from elsewhere.
    let (opened_store, mut log, end) = opened(&vfs);
    let remove = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id });
    propose_records(&opened_store, &mut log, end, &[remove]).unwrap();
    let stray = opened_store.log("elsewhere", ottla_log::LogOptions::default());
    let record = ottla_log::Record::new("needed");
    stray
        .unwrap()
        .append(&[record], AppendOptions::default())
        .unwrap();
    drop((log, opened_store));

    let broker = start(&vfs, 1 << 40);
    assert_eq!(topics(&broker), ["kept"]);
    open_partition(&broker, "kept");
    let names = dirs(&vfs);
    let (aside, others): (Vec<_>, Vec<_>) = names.iter().partition(|n| n.ends_with("-stray"));
    assert_eq!(others, ["__cluster_metadata-0", "kept-0"]);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].starts_with("elsewhere-0."), "{aside:?}");
    create(&broker, "gone");
    let again = open_partition(&broker, "gone");
    assert_eq!(again.log().ends().end, Offset::ZERO);
    assert!(broker.shutdown_blocking().clean, "no log is left unopened");
    assert_eq!(dirs(&vfs).len(), 3, "nothing else is set aside");
}

#[test]
fn a_batch_is_committed_whole_and_in_its_place_only() {
    let vfs = Arc::new(MemVfs::new());
    let records = [MetadataRecord::NoOp, MetadataRecord::NoOp];
    let propose = |store: &Store, log: &mut MetadataLog, base: i64| {
        propose_records(store, log, Offset::new(base), &records)
    };
    let (store, mut log, end) = opened(&vfs);
    assert_eq!(end, Offset::ZERO);
    assert_eq!(propose(&store, &mut log, 0).unwrap(), Offset::new(2));
    let stale = propose(&store, &mut log, 0);
    let Err(ProposeError::Stale { base, end }) = stale else {
        panic!("{stale:?}");
    };
    assert_eq!((base.get(), end.get()), (0, 2));
    let image = Arc::new(vfs.crash(&CrashPlan::SYNCED_ONLY));
    drop((log, store));
    let (store, mut log, end) = opened(&image);
    assert_eq!(
        end,
        Offset::new(2),
        "what was committed survives, the rest is not there"
    );
    assert_eq!(propose(&store, &mut log, 2).unwrap(), Offset::new(4));
}

#[test]
fn its_segments_are_as_the_settings_say() {
    let config = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        super::log_config(&BrokerConfig::new(owned).unwrap().0)
    };
    // Kafka's defaults are the log's.
    let (plain, own) = (config(&[]), LogConfig::default());
    assert_eq!(plain.segment_bytes, own.segment_bytes);
    assert_eq!(plain.segment_ms, own.segment_ms);
    let set = config(&[
        ("metadata.log.segment.bytes", "8388608"),
        ("metadata.log.segment.ms", "60000"),
    ]);
    assert_eq!(set.segment_bytes, 8 << 20);
    assert_eq!(set.segment_ms, std::time::Duration::from_secs(60));
}
