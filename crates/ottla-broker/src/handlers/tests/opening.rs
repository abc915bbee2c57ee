//! Logs that cannot be opened, as requests find them.

use ottla_log::TestClock;
use ottla_log::vfs::{Fault, FaultVfs, MemVfs, Rule};
use ottla_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::{ErrorCode, Seq};

use super::*;
use crate::embed::NewTopic;

const TOPIC: &str = "orders";

fn start(vfs: &FaultVfs) -> RunningBroker {
    let storage = Storage::Vfs(Arc::new(vfs.clone()), "/data".into());
    let mut options = BrokerOptions::new(storage);
    // So that no log is opened but by a request.
    options.clock = Arc::new(TestClock::frozen());
    start_blocking(options).unwrap()
}

fn name() -> StrBytes {
    StrBytes::from_static_str(TOPIC)
}

/// What an answer says of the partition.
type ErrorOf = fn(Response) -> i16;

/// A request of each kind that takes the partition.
fn requests() -> [(Request, ErrorOf); 3] {
    let batch = ottla_log::build_batch(
        &[ottla_log::Record::new("v")],
        &ottla_log::BatchOptions::default(),
    );
    let produce = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: Seq::from([TopicProduceData {
            name: name(),
            partition_data: Seq::from([PartitionProduceData {
                index: 0,
                records: Some(batch.unwrap()),
            }]),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let fetch = FetchRequest {
        topics: Seq::from([FetchTopic {
            topic: name(),
            partitions: Seq::from([FetchPartition {
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }]),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let list = ListOffsetsRequest {
        replica_id: -1,
        topics: Seq::from([ListOffsetsTopic {
            name: name(),
            partitions: Seq::from([ListOffsetsPartition {
                timestamp: -1,
                ..Default::default()
            }]),
        }]),
        ..Default::default()
    };
    [
        (produce.into(), |response| match response {
            Response::Produce(told) => told.responses[0].partition_responses[0].error_code,
            other => panic!("{other:?}"),
        }),
        (fetch.into(), |response| match response {
            Response::Fetch(told) => told.responses[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }),
        (list.into(), |response| match response {
            Response::ListOffsets(told) => told.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }),
    ]
}

fn ask(broker: &RunningBroker, request: Request) -> Response {
    let context = Context {
        core: Arc::clone(&broker.core),
        session: Arc::new(Session::in_process()),
        image: broker.core.metadata().image(),
        version: match request {
            Request::ListOffsets(_) => 5,
            _ => 12,
        },
        client_id: None,
        failed: Failed::default(),
    };
    let answer = broker.core.runtime().block_on(async move {
        let mut charge = context.core.budget().charge();
        match handle(context, request, &mut charge).await {
            Reply::Now(outgoing) => outgoing,
            Reply::Later(later) => later.await,
            Reply::Nothing | Reply::Close(_) => panic!("no answer"),
        }
    });
    answer.unwrap().response
}

#[test]
fn a_log_that_cannot_be_opened_is_tried_once_a_request() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let broker = start(&vfs);
    let topic = broker.create_topic_blocking(NewTopic::new(TOPIC)).unwrap();
    let record = ottla_log::Record::new("v");
    topic
        .append_blocking(0, &[record], ottla_log::AppendOptions::default())
        .unwrap();
    assert!(!broker.shutdown_blocking().abandoned);
    for (request, error_of) in requests() {
        let broker = start(&vfs);
        // The first call of each opening is its last one.
        vfs.inject(Rule::new(Fault::Io).at("*/orders-0*"));
        for _ in 0..2 {
            vfs.forget_calls();
            let error = error_of(ask(&broker, request.clone()));
            assert_eq!(error, ErrorCode::KafkaStorageError.code(), "{request:?}");
            let calls = vfs.calls();
            let failed = calls.iter().filter(|call| call.fault.is_some());
            assert_eq!(failed.count(), 1, "{request:?}: {calls:?}");
        }
        vfs.heal();
        assert_eq!(error_of(ask(&broker, request)), 0);
        assert!(!broker.shutdown_blocking().abandoned);
    }
}
