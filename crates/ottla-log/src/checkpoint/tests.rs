use proptest::prelude::*;

use super::*;
use crate::TopicId;

fn id(topic: &str, partition: i32) -> LogId {
    LogId::new(TopicName::new(topic).unwrap(), partition)
}

#[test]
fn offsets_are_written_as_kafka_writes_them() {
    let offsets = BTreeMap::from([(id("b", 0), Offset::new(7)), (id("a.x", 12), Offset::ZERO)]);
    let bytes = encode_offsets(offsets.iter().map(|(id, o)| (id, *o)));
    assert_eq!(bytes, b"0\n2\na.x 12 0\nb 0 7\n");
    assert_eq!(decode_offsets(&bytes), Ok(offsets));
    assert_eq!(decode_offsets(b"0\n0\n"), Ok(BTreeMap::new()));
}

#[test]
fn epochs_are_written_as_kafka_writes_them() {
    let epochs = vec![
        (LeaderEpoch::new(0), Offset::ZERO),
        (LeaderEpoch::new(3), Offset::new(100)),
    ];
    let bytes = encode_epochs(epochs.iter().copied());
    assert_eq!(bytes, b"0\n2\n0 0\n3 100\n");
    assert_eq!(decode_epochs(&bytes), Ok(epochs));
}

#[test]
fn what_is_not_a_checkpoint_is_refused_with_its_line() {
    let line = |bytes: &[u8]| decode_offsets(bytes).unwrap_err().line;
    assert_eq!(line(b""), 1);
    assert_eq!(line(b"1\n0\n"), 1);
    assert_eq!(line(b"0\n"), 2);
    assert_eq!(line(b"0\n-1\n"), 2);
    assert_eq!(line(b"0\n99999999999999999999\n"), 2);
    assert_eq!(line(b"0\n2\na 0 0\n"), 2);
    assert_eq!(line(b"0\n0\na 0 0\n"), 2);
    assert_eq!(line(b"0\n1\na 0\n"), 3);
    assert_eq!(line(b"0\n1\na 0 0 0\n"), 3);
    assert_eq!(line(b"0\n1\na 0 -5\n"), 3);
    assert_eq!(line(b"0\n1\na 2147483648 0\n"), 3);
    assert_eq!(line(b"0\n1\n../x 0 0\n"), 3);
    assert_eq!(line(b"0\n2\na 0 1\na 0 2\n"), 4);
    assert_eq!(line(b"0\n1\n\xff 0 2\n"), 3);
}

#[test]
fn meta_properties_read_back_and_from_kafka() {
    let meta = MetaProperties {
        cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".into(),
        node_id: 1,
        directory_id: Some(TopicId::from_bytes([9; 16])),
    };
    assert_eq!(MetaProperties::decode(&meta.encode()), Ok(meta));
    let kafka = b"#\n#Sat Nov 21 08:00:00 UTC 2026\ncluster.id=x\\:y\ndirectory.id=\
        AQEBAQEBAQEBAQEBAQEBAQ\nnode.id=3\nversion=1\n";
    let meta = MetaProperties::decode(kafka).unwrap();
    assert_eq!(meta.cluster_id, "x:y");
    assert_eq!(meta.directory_id, Some(TopicId::from_bytes([1; 16])));
    let loose = b"  ! c\r\nversion : 1\nnode.id 3\ncluster.id=a\\\n   b\\u0041\nunknown\n";
    let meta = MetaProperties::decode(loose).unwrap();
    assert_eq!((meta.cluster_id.as_str(), meta.node_id), ("abA", 3));
    assert_eq!(meta.directory_id, None);
}

#[test]
fn what_is_not_meta_properties_is_refused() {
    for bad in [
        &b""[..],
        b"version=0\ncluster.id=a\nnode.id=1\n",
        b"version=1\nnode.id=1\n",
        b"version=1\ncluster.id=\nnode.id=1\n",
        b"version=1\ncluster.id=a\nnode.id=-1\n",
        b"version=1\ncluster.id=a\nnode.id=1\ndirectory.id=short\n",
        b"version=1\ncluster.id=\\uD800\nnode.id=1\n",
        b"version=1\ncluster.id=\\u00\nnode.id=1\n",
        b"\xff",
    ] {
        assert!(MetaProperties::decode(bad).is_err(), "{bad:?} passed");
    }
}

#[test]
fn partition_metadata_reads_back() {
    let metadata = PartitionMetadata {
        topic_id: TopicId::from_bytes([1; 16]),
    };
    let bytes = metadata.encode();
    assert_eq!(bytes, b"version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ");
    assert_eq!(PartitionMetadata::decode(&bytes), Ok(metadata));
    let mut with_newline = bytes;
    with_newline.push(b'\n');
    assert_eq!(PartitionMetadata::decode(&with_newline), Ok(metadata));
    for bad in [
        &b""[..],
        b"version: 1\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ",
        b"version: 0\n",
        b"version: 0\ntopic_id: AQ",
        b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        b"version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ\nmore",
    ] {
        assert!(PartitionMetadata::decode(bad).is_err(), "{bad:?} passed");
    }
}

#[test]
fn the_clean_marker_reads_back() {
    let marker = CleanShutdown { broker_epoch: 27 };
    assert_eq!(marker.encode(), br#"{"version":0,"brokerEpoch":27}"#);
    assert_eq!(CleanShutdown::decode(&marker.encode()), Some(marker));
    assert_eq!(
        CleanShutdown::decode(b" { \"brokerEpoch\" : 27 , \"version\" : 0 }\n"),
        Some(marker)
    );
    for bad in [
        &b""[..],
        b"{}",
        b"{\"version\":1,\"brokerEpoch\":2}",
        b"\xff",
        b"[1]",
    ] {
        assert_eq!(CleanShutdown::decode(bad), None, "{bad:?} passed");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::checkpoints(&bytes);
    }

    #[test]
    fn any_cluster_id_reads_back(cluster_id in "\\PC{1,20}|[ \t\\\\=:#!\n\r]{1,8}") {
        let meta = MetaProperties { cluster_id, node_id: 0, directory_id: None };
        // Characters beyond the 16-bit plane are written as two units, which Java joins.
        prop_assume!(meta.cluster_id.chars().all(|c| (c as u32) < 0x1_0000));
        prop_assert_eq!(MetaProperties::decode(&meta.encode()), Ok(meta));
    }
}
