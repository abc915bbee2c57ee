//! What fetches hold open, on a disk.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use ottla_log::vfs::FileRange;
use ottla_protocol::Seq;
use ottla_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use super::*;
use crate::connection::Outgoing;

const TOPIC: &str = "orders";
/// Of the first partition's batch, and of the second one's.
const RECORD_BYTES: [usize; 2] = [40_000, 100];

/// A broker that is alone, with two partitions that have a batch each.
struct OnDisk {
    broker: RunningBroker,
    session: Arc<Session>,
    _dir: tempfile::TempDir,
}

impl OnDisk {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = BrokerOptions::new(Storage::Dir(dir.path().join("data")));
        let disk = Self {
            broker: start_blocking(options).unwrap(),
            session: Arc::new(Session::in_process()),
            _dir: dir,
        };
        let topic = CreatableTopic {
            name: StrBytes::from_static_str(TOPIC),
            num_partitions: 2,
            replication_factor: 1,
            ..Default::default()
        };
        disk.finish(disk.ask(CreateTopicsRequest {
            topics: [topic].into(),
            timeout_ms: 1000,
            ..Default::default()
        }));
        let partition = |(index, length)| PartitionProduceData {
            index,
            records: Some(batch(length)),
        };
        disk.finish(disk.ask(ProduceRequest {
            acks: -1,
            timeout_ms: 1000,
            topic_data: Seq::from([TopicProduceData {
                name: StrBytes::from_static_str(TOPIC),
                partition_data: (0..).zip(RECORD_BYTES).map(partition).collect(),
                ..Default::default()
            }]),
            ..Default::default()
        }));
        disk
    }

    fn ask(&self, request: impl Into<Request>) -> Pin<Box<dyn Future<Output = Outgoing> + Send>> {
        let request = request.into();
        let context = Context {
            core: Arc::clone(&self.broker.core),
            session: Arc::clone(&self.session),
            image: self.broker.core.metadata().image(),
            // Topics go by their names.
            version: if matches!(request, Request::CreateTopics(_)) {
                7
            } else {
                12
            },
            client_id: None,
            failed: Failed::default(),
        };
        Box::pin(async move {
            let mut charge = context.core.budget().charge();
            match handle(context, request, &mut charge).await {
                Reply::Now(outgoing) => outgoing,
                Reply::Later(later) => later.await,
                Reply::Nothing | Reply::Close(_) => panic!("no answer"),
            }
        })
    }

    fn finish(&self, asked: impl Future<Output = Outgoing> + Send + 'static) -> Outgoing {
        self.broker.core.runtime().block_on(asked).unwrap()
    }

    /// How many files answers may hold open besides what they do.
    fn left(&self) -> usize {
        self.broker.core.answer_files().available_permits()
    }
}

fn batch(length: usize) -> bytes::Bytes {
    let record = ottla_log::Record::new(vec![7; length]);
    ottla_log::build_batch(&[record], &ottla_log::BatchOptions::default()).unwrap()
}

fn fetch(partitions: i32, bytes_min: i32) -> FetchRequest {
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: i32::MAX,
        min_bytes: bytes_min,
        topics: Seq::from([FetchTopic {
            topic: StrBytes::from_static_str(TOPIC),
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

/// Whether each of the payloads is in a file; they are of the right lengths.
fn are_files(outgoing: &Outgoing) -> Vec<bool> {
    let lengths = outgoing.payloads.iter().map(FileRange::len);
    let expected = RECORD_BYTES
        .iter()
        .map(|length| batch(*length).len() as u64);
    assert!(lengths.eq(expected.take(outgoing.payloads.len())));
    let payloads = outgoing.payloads.iter();
    payloads
        .map(|range| matches!(range, FileRange::Fd { .. }))
        .collect()
}

#[test]
fn an_answer_holds_files_of_long_ranges_while_there_are_any_left() {
    let disk = OnDisk::start();
    let all = disk.left();
    let answer = disk.finish(disk.ask(fetch(2, 1)));
    assert_eq!(are_files(&answer), [true, false]);
    assert_eq!(disk.left(), all - 1);
    drop(answer);
    assert_eq!(disk.left(), all);

    let files = Arc::clone(disk.broker.core.answer_files());
    let _others = files.try_acquire_many_owned(all as u32).unwrap();
    let answer = disk.finish(disk.ask(fetch(2, 1)));
    assert_eq!(are_files(&answer), [false, false]);
    let charged = answer.charge.as_ref().map_or(0, Charge::bytes);
    assert!(charged >= 40_000, "{charged}");
    drop(answer);
    assert_eq!(disk.broker.core.budget().used(), 0);
}

#[test]
fn a_fetch_that_waits_holds_no_file() {
    let disk = OnDisk::start();
    let all = disk.left();
    let mut waits = disk.ask(fetch(1, 1 << 20));
    let polled = disk.broker.core.runtime().block_on(async move {
        let is_pending = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending()));
        (is_pending.await, waits)
    });
    let (is_pending, waits) = polled.unwrap();
    assert!(is_pending);
    assert_eq!(disk.left(), all);
    // What it found is there when it is time to answer.
    disk.session.hurry();
    let answer = disk.finish(waits);
    assert_eq!(are_files(&answer), [true]);
    assert_eq!(disk.left(), all - 1);
}
