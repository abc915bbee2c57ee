use std::sync::Arc;

use ottla_log::vfs::MemVfs;
use ottla_log::{
    BatchOptions, Limits, Origin, ProducerEpoch, ProducerId, Record, Sequence, build_batch,
};

use super::*;
use crate::embed::NewTopic;
use crate::options::{BrokerOptions, Storage};
use crate::running::RunningBroker;
use crate::start::start_blocking;

/// A batch of a transaction: a record, or the marker that commits it.
fn batch(is_marker: bool) -> ValidBatches {
    let options = BatchOptions {
        now: Timestamp::new(1),
        producer_id: ProducerId::new(1),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(if is_marker { -1 } else { 0 }),
        transactional: true,
        control: is_marker,
        ..BatchOptions::default()
    };
    let record = match is_marker {
        // Of version 0 both, of a coordinator of epoch 0.
        true => Record::new(vec![0; 6]).with_key(vec![0, 0, 0, 1]),
        false => Record::new("v"),
    };
    let bytes = build_batch(&[record], &options).unwrap();
    ValidBatches::parse(bytes, &Limits::default()).unwrap()
}

fn last_stable(partition: &Partition) -> (i64, i64) {
    let view = partition.view();
    (view.last_stable.get(), view.high_watermark.get())
}

/// The first partition of a new topic.
fn partition(broker: &RunningBroker) -> Arc<Partition> {
    broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    let topic = Arc::clone(broker.core.metadata().image().topic("t").unwrap());
    let core = Arc::clone(&broker.core);
    let opened = async move { core.open_partition(&topic, 0).await };
    broker.core.runtime().block_on(opened).unwrap().unwrap()
}

#[test]
fn a_transaction_is_stable_once_its_marker_is_committed() {
    let synced = Storage::Vfs(Arc::new(MemVfs::new()), "/data".into());
    for storage in [Storage::InMemory, synced] {
        let broker = start_blocking(BrokerOptions::new(storage)).unwrap();
        let partition = partition(&broker);
        let durable = || partition.log().ticket().wait().unwrap();

        partition.append(batch(false), Acks::All).unwrap();
        durable();
        assert_eq!(last_stable(&partition), (0, 1), "the transaction is open");

        let mut context = LeaderAppend::new(Timestamp::new(1), LeaderEpoch::new(0));
        context.origin = Origin::Coordinator;
        let log = partition.log();
        log.append_as_leader(batch(true), &context).unwrap();
        partition.drive(|replica, now| replica.appended(now, log.ends().end));
        durable();
        assert_eq!(last_stable(&partition), (2, 2), "its end is committed");
    }
}
