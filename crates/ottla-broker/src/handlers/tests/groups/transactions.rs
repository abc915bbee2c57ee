//! Offsets that were committed within transactions, by a broker that this directory had before.

use ottla_coordinator::group::{CommittedOffset, Record as GroupRecord};
use ottla_log::{
    BatchOptions, LeaderEpoch, Limits, Offset, Origin, ProducerEpoch, ProducerId, Record, Sequence,
    Timestamp, ValidBatches, build_batch,
};
use ottla_partition::partition::Acks;

use super::*;
use crate::groups::{OFFSETS_TOPIC, partition_of};
use crate::partition::Partition;

/// The partition that keeps the group.
fn partition(alone: &Alone, group: &'static str) -> Arc<Partition> {
    let (core, image) = (Arc::clone(&alone.broker.core), alone.image());
    let open = async move {
        let topic = image.topic(OFFSETS_TOPIC).expect("it was made");
        let number = partition_of(group, topic).expect("it has partitions");
        core.open_partition(topic, number).await
    };
    let opened = alone.broker.core.runtime().block_on(open);
    opened.expect("it ends").expect("it can be read")
}

fn append(partition: &Partition, producer: i64, record: Record, control: bool) {
    let options = BatchOptions {
        now: Timestamp::new(1),
        producer_id: ProducerId::new(producer),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(-1),
        transactional: true,
        control,
        ..BatchOptions::default()
    };
    let batch = build_batch(&[record], &options).expect("it is small");
    let batch = ValidBatches::parse(batch, &Limits::default()).expect("it was built");
    let appended = partition.append(Origin::Coordinator, batch, Acks::All);
    appended.expect("there is room");
}

/// Recent enough for nothing to be forgotten.
fn now() -> Timestamp {
    let now = ottla_log::SystemClock::new();
    ottla_log::Clock::now(&now)
}

/// A producer commits an offset within its transaction.
fn commit(partition: &Partition, producer: i64, (number, offset): (i32, i64)) {
    let committed = CommittedOffset {
        offset: Offset::new(offset),
        leader_epoch: Some(LeaderEpoch::new(0)),
        metadata: StrBytes::default(),
        committed_at: now(),
        expires_at: None,
        topic_id: None,
    };
    let record = GroupRecord::Offset {
        group: text("admin"),
        topic: text(TOPIC),
        partition: number,
        committed: Some(committed),
    };
    let (key, value) = record.encode().expect("it can be said");
    let mut record = Record::new(value.expect("an offset"));
    record.key = Some(key);
    append(partition, producer, record, false);
}

/// Ends the producer's transaction: of version 0, by a coordinator of epoch 0.
fn end(partition: &Partition, producer: i64, committed: bool) {
    let marker = Record::new(vec![0; 6]).with_key(vec![0, 0, 0, u8::from(committed)]);
    append(partition, producer, marker, true);
}

#[test]
fn offsets_of_transactions_count_once_these_are_committed() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    alone.find("admin");
    assert_eq!(alone.commit(&administrator("admin"), &[(0, 1)]), [0]);
    let log = partition(&alone, "admin");
    commit(&log, 1, (0, 100));
    end(&log, 1, false);
    commit(&log, 2, (1, 11));
    end(&log, 2, true);
    // From here on a transaction is open.
    commit(&log, 3, (0, 200));
    commit(&log, 4, (2, 22));
    end(&log, 4, true);
    commit(&log, 5, (1, 300));
    end(&log, 5, false);
    assert_eq!(alone.commit(&administrator("admin"), &[(3, 33)]), [0]);
    commit(&log, 3, (3, 400));
    drop(log);
    assert!(alone.broker.shutdown_blocking().clean);

    let alone = Alone::on(&vfs);
    alone.load_found();
    assert_eq!(
        alone.committed("admin"),
        [(0, 1), (1, 11), (2, 22), (3, 33)]
    );
}
