//! Records of `__consumer_offsets` against the bytes that Kafka itself writes.

use proptest::prelude::*;

use super::*;

const GOLDEN: &str = include_str!("../../../testdata/offsets.txt");

/// A line of the golden file: name, version, key, value.
struct Line {
    name: &'static str,
    version: i16,
    key: Bytes,
    value: Option<Bytes>,
}

fn unhex(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn lines(name: &str) -> Vec<Line> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        Line {
            name: words[0],
            version: words[1].parse().unwrap(),
            key: unhex(words[2]),
            value: Some(words[3]).filter(|word| *word != "-").map(unhex),
        }
    });
    let lines: Vec<Line> = lines.filter(|line| line.name.starts_with(name)).collect();
    assert!(!lines.is_empty(), "no golden bytes of {name}");
    lines
}

#[test]
fn offsets_of_every_version_are_read_and_written_as_kafka_does() {
    let mut versions = Vec::new();
    for line in lines("OffsetCommit") {
        let Ok(Key::Offset(key)) = Key::decode(&line.key) else {
            panic!("the key of version {}", line.version);
        };
        let (group, topic) = ("group".into(), "topic".into());
        let partition = 5;
        assert_eq!(
            key,
            OffsetCommitKey {
                group,
                topic,
                partition
            }
        );
        assert_eq!(key.encode().unwrap(), line.key);
        let Some(bytes) = line.value else { continue };
        let value = OffsetCommitValue::decode(&bytes).unwrap();
        if value != empty() {
            assert_eq!(value, offset(line.version));
        }
        if value.version() == line.version {
            assert_eq!(value.encode().unwrap(), bytes);
            versions.push(line.version);
        }
    }
    assert_eq!(versions, [1, 4, 4], "the versions that are written");
}

fn empty() -> OffsetCommitValue {
    OffsetCommitValue {
        expire_timestamp: -1,
        ..OffsetCommitValue::default()
    }
}

fn offset(version: i16) -> OffsetCommitValue {
    let id = Uuid::from_u64_pair(0x1112_1314_1516_1701, 0x2122_2324_2526_2701);
    OffsetCommitValue {
        offset: 1_234_567_890_123,
        leader_epoch: if version >= 3 { 7 } else { -1 },
        metadata: "note".into(),
        commit_timestamp: 1_700_000_000_000,
        expire_timestamp: if version == 1 { 1_700_000_060_000 } else { -1 },
        topic_id: if version >= 4 { id } else { Uuid::nil() },
    }
}

#[test]
fn groups_of_every_version_are_read_and_written_as_kafka_does() {
    let mut written = 0;
    for line in lines("GroupMetadata") {
        let key = GroupMetadataKey {
            group: "group".into(),
        };
        assert_eq!(Key::decode(&line.key), Ok(Key::Group(key.clone())));
        assert_eq!(key.encode().unwrap(), line.key);
        let Some(bytes) = line.value else { continue };
        let value = GroupMetadataValue::decode(&bytes).unwrap();
        if value.members.is_empty() {
            assert_eq!((value.generation, &value.leader), (10, &None));
        } else {
            assert_eq!(value, group(line.version));
        }
        if line.version == GroupMetadataValue::VERSION {
            assert_eq!(value.encode().unwrap(), bytes);
            written += 1;
        }
    }
    assert_eq!(written, 2);
}

fn group(version: i16) -> GroupMetadataValue {
    let member = GroupMember {
        member_id: "member".into(),
        group_instance_id: (version >= 3).then(|| "instance".into()),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: if version >= 1 { 300_000 } else { -1 },
        session_timeout: 45_000,
        subscription: Bytes::from_static(&[1, 2, 3]),
        assignment: Bytes::from_static(&[4, 5]),
    };
    GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 9,
        protocol: Some("range".into()),
        leader: Some("member".into()),
        current_state_timestamp: if version >= 2 { 1_700_000_000_000 } else { -1 },
        members: vec![member],
    }
}

#[test]
fn offsets_of_before_kafka_0_9_are_read() {
    let line = &lines("LegacyOffsetCommit")[0];
    assert!(matches!(Key::decode(&line.key), Ok(Key::Offset(_))));
    let value = OffsetCommitValue::decode(line.value.as_ref().unwrap());
    assert_eq!(value.unwrap(), offset(0));
}

#[test]
fn records_of_other_groups_are_known_by_their_group() {
    for (prefix, count) in [("Consumer", 6), ("Share", 2), ("Streams", 2)] {
        let lines = lines(prefix);
        assert_eq!(lines.len(), count);
        for line in lines {
            let Ok(Key::Other { kind, group }) = Key::decode(&line.key) else {
                panic!("{}", line.name);
            };
            assert!(is_known(kind));
            assert_eq!(group.as_deref(), Some("group"), "{}", line.name);
        }
    }
}

#[test]
fn a_type_that_kafka_does_not_know_is_no_error() {
    let key = Bytes::from_static(&[0, 99, 1, 2, 3]);
    let other = Key::Other {
        kind: 99,
        group: None,
    };
    assert_eq!(Key::decode(&key), Ok(other));
}

#[test]
fn a_value_of_a_newer_version_is_refused() {
    let value = Bytes::from_static(&[0, 5, 0, 0]);
    let refused = OffsetCommitValue::decode(&value).unwrap_err();
    let text = "a record OffsetCommitValue has the version 5; 0 to 4 are known";
    assert_eq!(refused.to_string(), text);
    assert!(GroupMetadataValue::decode(&value).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..64),
        kind in 0i16..24,
    ) {
        let _ = Key::decode(&Bytes::from(bytes.clone()));
        bytes.splice(0..0, kind.to_be_bytes());
        let bytes = Bytes::from(bytes);
        let _ = Key::decode(&bytes);
        let _ = OffsetCommitValue::decode(&bytes);
        let _ = GroupMetadataValue::decode(&bytes);
    }

    #[test]
    fn cut_records_are_refused(version in 0i16..=4, cut in 1usize..30) {
        for line in lines("GroupMetadata").into_iter().chain(lines("OffsetCommit")) {
            let Some(value) = line.value.filter(|_| line.version == version) else { continue };
            let cut = value.slice(..value.len().saturating_sub(cut));
            if line.name == "GroupMetadata" {
                prop_assert!(GroupMetadataValue::decode(&cut).is_err());
            } else {
                prop_assert!(OffsetCommitValue::decode(&cut).is_err());
            }
        }
    }
}
