use bytes::Buf as _;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Message;
use proptest::prelude::*;

use super::*;
use crate::shape::Shape;
use crate::tests::filler::{Filled, Length, Style, Width, fill};

fn filled(shape: &Shape, encoding: Encoding, seed: u64) -> Filled {
    let style = Style {
        version: encoding.version,
        flexible: encoding.flexible,
        elements_max: 3,
        nulls: true,
        strangers: true,
    };
    fill(shape, style, seed)
}

/// The message with a length in it that is a lie whatever it stands before.
fn with_bomb(filled: &Filled, length: Length) -> Vec<u8> {
    let (width, bomb): (usize, &[u8]) = match length.width {
        Width::Two => (2, &[0x7f, 0xff]),
        Width::Four => (4, &[0x7f, 0xff, 0xff, 0xff]),
        Width::Varint(bytes) => (bytes, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    };
    let (before, after) = filled.bytes.split_at(length.at);
    [before, bomb, &after[width..]].concat()
}

/// What the shape says of an answer is how the codec reads it, in every version that the codec
/// has; and no length in it can lie.
fn agree<R: Request>(seed: u64)
where
    R::Response: Message,
{
    let shape = shapes::answer(R::KEY).unwrap();
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        let what = format!("{} v{version} seed {seed}", shape.name);
        let flexible = R::header_version(version) >= FLEXIBLE_HEADER;
        let filled = filled(shape, Encoding { version, flexible }, seed);
        let header = match R::Response::header_version(version) {
            0 => &[0, 0, 0, 7][..],
            _ => &[0, 0, 0, 7, 0],
        };
        let decode = |body: &[u8]| {
            let frame = Bytes::from([header, body].concat());
            decode_response::<R>(frame, version)
        };
        let (id, _) = decode(&filled.bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(id, 7);
        for length in &filled.lengths {
            let refused = decode(&with_bomb(&filled, *length));
            assert!(refused.is_err(), "{what}: {length:?}");
        }
        let longer = decode(&[&filled.bytes[..], &[0]].concat());
        assert!(longer.is_err(), "{what}: a byte is left over");
    }
}

/// As [`agree`], of what members tell each other.
fn agree_on<M: Decodable + Message>(shape: &'static Shape, seed: u64) {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        let encoding = Encoding {
            version,
            flexible: false,
        };
        let filled = filled(shape, encoding, seed);
        assert!(guard::check(shape, encoding, &filled.bytes).is_ok());
        let mut bytes = Bytes::from(filled.bytes.clone());
        assert!(
            M::decode(&mut bytes, version).is_ok(),
            "v{version} seed {seed}"
        );
        assert!(!bytes.has_remaining(), "v{version} seed {seed}");
        for length in &filled.lengths {
            let bomb = with_bomb(&filled, *length);
            assert!(guard::check(shape, encoding, &bomb).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_codec_reads_answers_by_their_shapes(seed in any::<u64>()) {
        agree::<ApiVersionsRequest>(seed);
        agree::<CreateTopicsRequest>(seed);
        agree::<DeleteGroupsRequest>(seed);
        agree::<DeleteRecordsRequest>(seed);
        agree::<DeleteTopicsRequest>(seed);
        agree::<DescribeConfigsRequest>(seed);
        agree::<DescribeGroupsRequest>(seed);
        agree::<FetchRequest>(seed);
        agree::<FindCoordinatorRequest>(seed);
        agree::<HeartbeatRequest>(seed);
        agree::<JoinGroupRequest>(seed);
        agree::<LeaveGroupRequest>(seed);
        agree::<ListGroupsRequest>(seed);
        agree::<ListOffsetsRequest>(seed);
        agree::<MetadataRequest>(seed);
        agree::<OffsetCommitRequest>(seed);
        agree::<OffsetFetchRequest>(seed);
        agree::<ProduceRequest>(seed);
        agree::<SyncGroupRequest>(seed);
        agree_on::<ConsumerProtocolSubscription>(&shapes::SUBSCRIPTION, seed);
        agree_on::<ConsumerProtocolAssignment>(&shapes::ASSIGNMENT, seed);
    }
}

#[test]
fn an_answer_that_claims_two_thousand_million_entries_is_refused() {
    // ApiVersions, version 3: an id, no error, and a count of 2^31 - 1.
    let frame = Bytes::from_static(b"\0\0\0\x07\0\0\x80\x80\x80\x80\x08");
    let refused = decode_response::<ApiVersionsRequest>(frame, 3).map(drop);
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("claims 2147483647 elements"), "{said}");
}

#[test]
fn an_answer_of_unknown_shape_is_refused() {
    let frame = Bytes::from_static(b"\0\0\0\x07\0\0\0\0\0\0\0\0");
    let refused = decode_response::<EndTxnRequest>(frame, 3).map(drop);
    assert!(matches!(refused, Err(ClientCodecError::Unread { api: 26 })));
}
