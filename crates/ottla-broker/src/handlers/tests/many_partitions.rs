//! Requests about many partitions at a time, over a disk that may be slow.

use std::time::{Duration, Instant};

use ottla_log::vfs::{FaultVfs, MemVfs};
use ottla_log::{Offset, TestClock};
use ottla_protocol::messages;
use ottla_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use super::*;

const PARTITIONS: i32 = 40;

fn start(vfs: &FaultVfs) -> Cluster {
    let storage = Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into());
    let mut options = BrokerOptions::new(storage);
    options.clock = Arc::new(TestClock::frozen());
    Cluster {
        broker: start_blocking(options).expect("it starts"),
        session: Arc::new(Session::in_process()),
    }
}

/// A record in each partition.
fn produce(cluster: &Cluster) {
    let record = ottla_log::Record::new("x");
    let batch = ottla_log::build_batch(&[record], &ottla_log::BatchOptions::default()).unwrap();
    let partition = |index| PartitionProduceData {
        index,
        records: Some(batch.clone()),
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: [TopicProduceData {
            name: text(HERE),
            partition_data: (0..PARTITIONS).map(partition).collect(),
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    };
    let produced = ask!(cluster, 9, Produce, request);
    let partitions = &produced.responses[0].partition_responses;
    assert!(partitions.iter().all(|p| p.error_code == 0));
}

fn delete_records() -> messages::DeleteRecordsRequest {
    let partition = |partition_index| messages::DeleteRecordsPartition {
        partition_index,
        offset: -1,
    };
    messages::DeleteRecordsRequest {
        topics: [messages::DeleteRecordsTopic {
            name: text(HERE),
            partitions: (0..PARTITIONS).map(partition).collect(),
        }]
        .into(),
        timeout_ms: 1000,
    }
}

#[test]
fn records_of_many_partitions_are_deleted_before_one_is_waited_for() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let cluster = start(&vfs);
    cluster.create(HERE, &[&[1][..]; PARTITIONS as usize]);
    produce(&cluster);
    let image = cluster.core().metadata().image();
    let topic = image.topic(HERE).expect("it was created").id;
    let has_begun = |number| {
        let partition = cluster.core().partitions().get(topic, number);
        partition.is_some_and(|p| p.log().ends().start == Offset::new(1))
    };
    vfs.stall_syncs();
    let deleted = std::thread::scope(|scope| {
        let deleting = scope.spawn(|| ask!(cluster, 2, DeleteRecords, delete_records()));
        // A disk that does not answer keeps none of them from its beginning.
        let patience = Instant::now() + Duration::from_secs(60);
        while !(0..PARTITIONS).all(has_begun) && Instant::now() < patience {
            std::thread::yield_now();
        }
        let all_begun = (0..PARTITIONS).all(has_begun);
        vfs.go_on();
        assert!(all_begun, "each partition waits for the one before");
        deleting.join().expect("it does not panic")
    });
    let partitions = &deleted.topics[0].partitions;
    assert_eq!(partitions.len(), PARTITIONS as usize);
    for partition in partitions {
        assert_eq!((partition.error_code, partition.low_watermark), (0, 1));
    }
}
