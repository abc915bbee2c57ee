use proptest::prelude::*;

use super::*;
use crate::metadata::testing::{any_record, broker, partition, topic};

fn image(records: &[MetadataRecord]) -> Image {
    records.iter().fold(Image::new("c"), |image, record| {
        let next = image.replay(image.end(), std::slice::from_ref(record));
        next.unwrap_or(image)
    })
}

fn write(image: &Image) -> (SnapshotId, Bytes) {
    let epoch = LeaderEpoch::new(3);
    write_snapshot(image, epoch, Timestamp::new(5), Timestamp::new(7)).unwrap()
}

fn read(bytes: Bytes, id: SnapshotId) -> Result<Image, SnapshotError> {
    read_snapshot(bytes, id, "c", &Limits::default())
}

proptest! {
    #[test]
    fn a_snapshot_reads_back(records in prop::collection::vec(any_record(), 0..100)) {
        let image = image(&records);
        let (id, bytes) = write(&image);
        prop_assert_eq!(id.end, image.end());
        prop_assert_eq!(read(bytes, id).unwrap(), image);
    }

    #[test]
    fn a_damaged_snapshot_is_refused(
        records in prop::collection::vec(any_record(), 0..20),
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        let image = image(&records);
        let (id, bytes) = write(&image);
        let at = at.index(bytes.len());
        prop_assert!(read(bytes.slice(..at), id).is_err());
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << bit;
        // The checksum covers all but a batch's offset and leader epoch, which say nothing here.
        if let Ok(read) = read(Bytes::from(changed), id) {
            prop_assert_eq!(read, image);
        }
    }
}

#[test]
fn a_large_image_takes_several_batches() {
    let mut records = vec![topic(1, "a")];
    records.extend((0..3000).map(|number| partition(1, number)));
    let image = image(&records);
    let (id, bytes) = write(&image);
    let batches = ValidBatches::parse(bytes.clone(), &Limits::default()).unwrap();
    let counts: Vec<i32> = batches.headers().iter().map(|h| h.record_count).collect();
    assert_eq!(counts, [1, 1024, 1024, 953, 1]);
    let offsets: Vec<i64> = batches
        .headers()
        .iter()
        .map(|h| h.base_offset.get())
        .collect();
    assert_eq!(offsets, [0, 1, 1025, 2049, 3002]);
    assert!(
        batches
            .headers()
            .iter()
            .all(|h| h.leader_epoch == LeaderEpoch::new(3))
    );
    assert_eq!(read(bytes, id).unwrap(), image);
}

#[test]
fn a_snapshot_without_its_header_or_footer_is_not_complete() {
    let (id, bytes) = write(&image(&[topic(1, "a")]));
    let batches = ValidBatches::parse(bytes.clone(), &Limits::default()).unwrap();
    let sizes: Vec<usize> = batches
        .headers()
        .iter()
        .map(ottla_log::BatchHeader::size_bytes)
        .collect();
    let footer = bytes.len() - sizes[2];
    for part in [
        bytes.slice(..footer),
        bytes.slice(sizes[0]..),
        bytes.slice(footer..),
    ] {
        let error = read(part, id).unwrap_err();
        assert!(matches!(error, SnapshotError::Incomplete(_)), "{error}");
    }
    let doubled = [bytes.clone(), bytes].concat();
    assert!(read(Bytes::from(doubled), id).is_err());
}

/// Kafka's own file of the records that a cluster begins with, as its format command writes it.
#[test]
fn kafkas_bootstrap_file_is_read_and_ours_has_the_same_form() {
    let kafka = Bytes::from_static(include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/kafka/bootstrap.checkpoint"
    )));
    let id = SnapshotId {
        end: Offset::ZERO,
        epoch: LeaderEpoch::new(0),
    };
    let image = read(kafka.clone(), id).unwrap();
    let features: Vec<(&str, i16)> = image.features().collect();
    assert_eq!(features.len(), 6);
    assert!(features.contains(&("metadata.version", 30)));
    let epoch = LeaderEpoch::new(0);
    let (_, ours) = write_snapshot(&image, epoch, Timestamp::new(0), Timestamp::new(9)).unwrap();
    let values = |bytes: Bytes| {
        let limits = Limits::default();
        let batches = ValidBatches::parse(bytes, &limits).unwrap();
        let mut form = Vec::new();
        for (header, batch) in batches.batches() {
            let records = Records::open(header, &batch, &limits).unwrap();
            let records = records.into_iter().map(Result::unwrap);
            let records: Vec<_> = records.map(|r| (r.offset, r.key, r.value)).collect();
            form.push((header.base_offset, header.attributes, records));
        }
        form
    };
    assert_eq!(values(ours), values(kafka));
}

#[test]
fn a_bootstrap_file_has_everything_but_the_brokers() {
    let broker = MetadataRecord::RegisterBroker(broker(1, 0));
    let image = image(&[broker, topic(1, "a"), partition(1, 0)]);
    let bytes = write_bootstrap(&image, Timestamp::new(9)).unwrap();
    let id = SnapshotId {
        end: Offset::ZERO,
        epoch: LeaderEpoch::new(0),
    };
    let read = read(bytes, id).unwrap();
    assert_eq!(read.brokers().count(), 0);
    assert!(read.topics().eq(image.topics()));
}

#[test]
fn names_read_back() {
    let id = SnapshotId {
        end: Offset::new(49),
        epoch: LeaderEpoch::new(1),
    };
    assert_eq!(id.file_name(), "00000000000000000049-0000000001.checkpoint");
    assert_eq!(SnapshotId::from_file_name(&id.file_name()), Some(id));
    for bad in [
        "00000000000000000049-0000000001.checkpoint.part",
        "49-1.checkpoint",
        "0000000000000000004x-0000000001.checkpoint",
        "-0000000000000000049-0000000001.checkpoint",
        "bootstrap.checkpoint",
    ] {
        assert_eq!(SnapshotId::from_file_name(bad), None, "{bad}");
    }
}
