use bytes::Bytes;
use ottla_log::batch::Records;
use ottla_log::{Limits, ValidBatches};
use proptest::prelude::*;

use super::*;
use crate::metadata::testing::{any_record, partition, topic};

proptest! {
    #[test]
    fn a_record_reads_back(record in any_record()) {
        let bytes = record.encode().unwrap();
        prop_assert_eq!(MetadataRecord::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn a_cut_or_changed_record_never_panics(
        record in any_record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let bytes = record.encode().unwrap();
        let at = at.index(bytes.len());
        prop_assert!(MetadataRecord::decode(&bytes.slice(..at)).is_err());
        let mut changed = bytes.to_vec();
        changed[at] ^= byte;
        let _ = MetadataRecord::decode(&Bytes::from(changed));
    }
}

/// The data records of a snapshot file that Kafka 4.3.1 wrote.
fn kafka_records() -> Vec<Bytes> {
    let bytes = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/kafka/00000000000000000049-0000000001.checkpoint"
    ));
    let limits = Limits::default();
    let batches = ValidBatches::parse(Bytes::from_static(bytes), &limits).unwrap();
    let mut values = Vec::new();
    for (header, batch) in batches.batches() {
        if !header.attributes.is_control() {
            let records = Records::open(header, &batch, &limits).unwrap();
            values.extend(records.into_iter().map(|r| r.unwrap().value.unwrap()));
        }
    }
    values
}

#[test]
fn kafkas_records_are_read_and_written_byte_for_byte() {
    let mut kinds = Vec::new();
    for bytes in kafka_records() {
        let Ok(record) = MetadataRecord::decode(&bytes) else {
            // The registration of a controller, which is not kept here.
            assert_eq!(bytes[1], 27);
            continue;
        };
        let written = record.encode().unwrap();
        if matches!(record, MetadataRecord::RegisterBroker(_)) {
            // Kafka adds an empty list of cordoned directories.
            assert_eq!(MetadataRecord::decode(&written).unwrap(), record);
        } else {
            assert_eq!(written, bytes, "{record:?}");
        }
        kinds.push(bytes[1]);
    }
    kinds.dedup();
    assert_eq!(
        kinds,
        [12, 0, 2, 3, 4],
        "features, broker, topic, partitions, configs"
    );
}

#[test]
fn what_means_nothing_here_is_refused() {
    let refused = |record: wire::Record| {
        let version = record.version_at(METADATA_VERSION_LEVEL);
        MetadataRecord::decode(&record.encode(version).unwrap()).unwrap_err()
    };
    let MetadataRecord::Partition(good) = partition(1, 0) else {
        panic!("a partition");
    };
    let bad = |change: fn(&mut wire::PartitionRecord)| {
        let mut record = partition_to_wire(&good);
        change(&mut record);
        refused(record.into())
    };
    for error in [
        bad(|record| record.partition_id = -1),
        bad(|record| record.leader = -2),
        bad(|record| record.leader_recovery_state = 2),
        refused(
            wire::TopicRecord {
                name: "../x".into(),
                topic_id: Uuid::nil(),
            }
            .into(),
        ),
        refused(
            wire::ConfigRecord {
                resource_type: 3,
                resource_name: "t".into(),
                name: "k".into(),
                value: None,
            }
            .into(),
        ),
    ] {
        assert!(matches!(error, CodecError::Meaning { .. }), "{error:?}");
    }
    let newer = topic(1, "a").encode().unwrap();
    let mut newer = newer.to_vec();
    newer[2] = 9;
    let error = MetadataRecord::decode(&Bytes::from(newer)).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
}
