use proptest::prelude::*;

use super::*;
use crate::batch::EndTransactionMarker;
use crate::{BatchOptions, LeaderEpoch, Record, build_batch};

const NOW: i64 = 1_800_000_000_000;

fn limits() -> Limits {
    Limits::default()
}

fn request() -> ProduceLimits {
    ProduceLimits {
        zstd_allowed: true,
        max_message_bytes: 1_048_588,
    }
}

fn rules() -> ProduceRules {
    ProduceRules {
        now: Timestamp::new(NOW),
        ..ProduceRules::default()
    }
}

fn records() -> Vec<Record> {
    (0..3)
        .map(|n| {
            Record::new(format!("value {n}"))
                .with_key(format!("key {n}"))
                .with_header("h", "1")
                .with_header("h", "2")
                .with_timestamp(Timestamp::new(NOW - n))
        })
        .collect()
}

fn batch(options: &BatchOptions) -> Bytes {
    build_batch(&records(), options).unwrap()
}

fn plain() -> Bytes {
    batch(&BatchOptions::default())
}

/// The batch with `bytes` put at `position` and the checksum made anew.
fn altered(batch: &Bytes, position: usize, bytes: &[u8]) -> Bytes {
    let mut batch = batch.to_vec();
    batch[position..position + bytes.len()].copy_from_slice(bytes);
    let crc = crate::crc::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

fn parse(bytes: &Bytes) -> Result<ValidBatches, ProduceError> {
    parse_produce(bytes, &request(), &limits())
}

fn validate(bytes: &Bytes, rules: &ProduceRules) -> Result<Validated, ProduceError> {
    validate_produce(parse(bytes)?, rules, &limits())
}

fn kind(result: Result<impl Sized, ProduceError>) -> ProduceErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[test]
fn a_good_batch_passes_untouched() {
    let bytes = plain();
    let validated = validate(&bytes, &rules()).unwrap();
    assert_eq!(validated.batches.bytes(), &bytes);
    assert_eq!(validated.log_append_time, None);
}

#[test]
fn there_is_exactly_one_whole_batch() {
    let bytes = plain();
    assert_eq!(parse(&Bytes::new()).err(), Some(ProduceError::NoBatch));
    assert_eq!(parse(&bytes.slice(..11)).err(), Some(ProduceError::NoBatch));
    assert_eq!(parse(&bytes.slice(..16)).err(), Some(ProduceError::NoBatch));
    assert_eq!(
        parse(&bytes.slice(..bytes.len() - 1)).err(),
        Some(ProduceError::NoBatch)
    );
    let two: Bytes = [&bytes[..], &bytes[..]].concat().into();
    assert_eq!(parse(&two).err(), Some(ProduceError::MoreThanOneBatch));
    let and_a_part: Bytes = [&bytes[..], &bytes[..30]].concat().into();
    assert_eq!(parse(&and_a_part).unwrap().bytes(), &bytes);
    let and_garbage: Bytes = [&bytes[..], &[0xff; 30]].concat().into();
    assert_eq!(kind(parse(&and_garbage)), ProduceErrorKind::Corrupt);
}

#[test]
fn lengths_and_magic_are_checked_before_anything_else() {
    let bytes = plain();
    for length in [-1, 0, 13, 14, 48] {
        let altered = altered(&bytes, 8, &i32::to_be_bytes(length));
        assert_eq!(kind(parse(&altered)), ProduceErrorKind::Corrupt, "{length}");
    }
    let longer = altered(&bytes, 8, &i32::MAX.to_be_bytes());
    assert_eq!(parse(&longer).err(), Some(ProduceError::NoBatch));
    for magic in [0, 1] {
        let altered = altered(&bytes, 16, &[magic]);
        assert_eq!(kind(parse(&altered)), ProduceErrorKind::InvalidRecord);
    }
    for magic in [3, 0xff] {
        let altered = altered(&bytes, 16, &[magic]);
        assert_eq!(kind(parse(&altered)), ProduceErrorKind::Corrupt);
    }
}

#[test]
fn base_offset_comes_before_size_and_size_before_the_checksum() {
    let mut bytes = altered(&plain(), 0, &7_i64.to_be_bytes()).to_vec();
    bytes[17] ^= 1;
    let small = ProduceLimits {
        max_message_bytes: bytes.len() - 1,
        ..request()
    };
    let refusal =
        |bytes: &[u8]| parse_produce(&Bytes::copy_from_slice(bytes), &small, &limits()).err();
    assert_eq!(
        refusal(&bytes),
        Some(ProduceError::BaseOffset(Offset::new(7)))
    );
    bytes[..8].fill(0);
    let (size, max) = (bytes.len(), bytes.len() - 1);
    assert_eq!(refusal(&bytes), Some(ProduceError::TooLarge { size, max }));
    assert_eq!(kind(parse(&bytes.into())), ProduceErrorKind::Corrupt);
}

#[test]
fn zstd_needs_a_request_that_knows_it() {
    let bytes = batch(&BatchOptions {
        codec: Codec::Zstd,
        ..BatchOptions::default()
    });
    let old = ProduceLimits {
        zstd_allowed: false,
        ..request()
    };
    let refused = parse_produce(&bytes, &old, &limits());
    assert_eq!(kind(refused), ProduceErrorKind::UnsupportedCodec);
    assert!(parse(&bytes).is_ok());
}

#[test]
fn a_codec_that_does_not_exist_is_refused() {
    for codec in 5..8 {
        let bytes = altered(&plain(), 21, &i16::to_be_bytes(codec));
        assert_eq!(kind(parse(&bytes)), ProduceErrorKind::InvalidRecord);
    }
}

#[test]
fn there_are_as_many_records_as_offsets() {
    for (delta, count) in [
        (2, 2),
        (3, 3),
        (2, 0),
        (2, -1),
        (-1, 0),
        (2, 4),
        (i32::MAX, 3),
    ] {
        let bytes = altered(&plain(), 23, &i32::to_be_bytes(delta));
        let bytes = altered(&bytes, 57, &i32::to_be_bytes(count));
        assert_eq!(
            kind(validate(&bytes, &rules())),
            ProduceErrorKind::InvalidRecord
        );
    }
    // Both say four: then the bytes do not hold them.
    let bytes = altered(&plain(), 23, &3_i32.to_be_bytes());
    let bytes = altered(&bytes, 57, &4_i32.to_be_bytes());
    assert!(matches!(
        validate(&bytes, &rules()),
        Err(ProduceError::Malformed(BatchError::Record { index: 3, .. }))
    ));
    // Both say two: then bytes are left.
    let bytes = altered(&plain(), 23, &1_i32.to_be_bytes());
    let bytes = altered(&bytes, 57, &2_i32.to_be_bytes());
    assert!(matches!(
        validate(&bytes, &rules()),
        Err(ProduceError::Malformed(BatchError::TrailingBytes(_)))
    ));
}

#[test]
fn inner_offsets_are_consecutive() {
    for codec in Codec::ALL {
        let bytes = plain();
        // The offset delta of the second record: after its length, attributes, time delta.
        let first_len = usize::from(bytes[61] >> 1) + 1;
        let at = 61 + first_len + 3;
        assert_eq!(bytes[at], 2, "zigzag of 1");
        for delta in [0_u8, 4, 6, 1] {
            let bytes = altered(&bytes, at, &[delta]);
            let batch = parse(&bytes).unwrap();
            let header = *batch.single().unwrap();
            let bytes = if codec == Codec::None {
                bytes
            } else {
                let to = Compression { codec, level: None };
                recompress(header, &bytes[61..], to, usize::MAX)
                    .unwrap()
                    .bytes()
                    .clone()
            };
            assert_eq!(
                kind(validate(&bytes, &rules())),
                ProduceErrorKind::InvalidRecord,
                "{codec:?} {delta}"
            );
        }
    }
}

#[test]
fn control_batches_are_not_a_clients() {
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 0,
    };
    let options = BatchOptions {
        control: true,
        transactional: true,
        producer_id: 1.into(),
        producer_epoch: 0.into(),
        ..BatchOptions::default()
    };
    let bytes = build_batch(&[marker.to_record()], &options).unwrap();
    assert_eq!(
        validate(&bytes, &rules()).err(),
        Some(ProduceError::Control)
    );
}

#[test]
fn a_producer_id_needs_a_sequence() {
    let options = BatchOptions {
        producer_id: 5.into(),
        producer_epoch: 0.into(),
        ..BatchOptions::default()
    };
    assert!(matches!(
        validate(&batch(&options), &rules()),
        Err(ProduceError::Sequence {
            producer_id: 5,
            sequence: -1
        })
    ));
    let numbered = BatchOptions {
        base_sequence: 0.into(),
        ..options
    };
    assert!(validate(&batch(&numbered), &rules()).is_ok());
}

#[test]
fn compacted_topics_need_keys_and_every_missing_one_is_named() {
    let mut records = records();
    records[0].key = None;
    records[2].key = None;
    records[2].timestamp = Some(Timestamp::new(0));
    let rules = ProduceRules {
        keys_required: true,
        before_max_ms: 1000,
        ..rules()
    };
    for codec in Codec::ALL {
        let options = BatchOptions {
            codec,
            ..BatchOptions::default()
        };
        let bytes = build_batch(&records, &options).unwrap();
        let refused = validate(&bytes, &rules).unwrap_err();
        assert_eq!(
            refused.kind(),
            ProduceErrorKind::InvalidRecord,
            "the key comes first"
        );
        let indexes: Vec<_> = refused.record_errors().iter().map(|e| e.index).collect();
        assert_eq!(indexes, [0, 2]);
    }
    assert!(validate(&plain(), &rules).is_ok());
}

#[test]
fn timestamps_have_to_be_near_now() {
    let rules = ProduceRules {
        before_max_ms: 1000,
        after_max_ms: 10,
        ..rules()
    };
    let of = |timestamp: i64| {
        let record = Record::new("v").with_timestamp(Timestamp::new(timestamp));
        let good = Record::new("v").with_timestamp(Timestamp::new(NOW));
        let bytes = build_batch(&[good, record], &BatchOptions::default()).unwrap();
        validate(&bytes, &rules).map(|v| v.batches.headers()[0].max_timestamp.get())
    };
    for good in [NOW, NOW - 1000, NOW + 10, -1] {
        assert_eq!(of(good), Ok(NOW.max(good)));
    }
    for bad in [NOW - 1001, NOW + 11, 0, -2, i64::MAX] {
        let refused = of(bad).unwrap_err();
        assert_eq!(refused.kind(), ProduceErrorKind::InvalidTimestamp);
        assert_eq!(refused.record_errors()[0].index, 1);
    }
    // The defaults: nothing is too old, one hour ahead is the end.
    let defaults = ProduceRules {
        now: Timestamp::new(NOW),
        ..ProduceRules::default()
    };
    let of = |timestamp: i64| {
        let record = Record::new("v").with_timestamp(Timestamp::new(timestamp));
        validate(
            &build_batch(&[record], &BatchOptions::default()).unwrap(),
            &defaults,
        )
        .is_ok()
    };
    assert!(of(i64::MIN) && of(0) && of(NOW + 3_600_000));
    assert!(!of(NOW + 3_600_001) && !of(i64::MAX));
}

#[test]
fn a_batch_cannot_claim_the_brokers_time() {
    let bytes = batch(&BatchOptions {
        timestamp_type: TimestampType::LogAppendTime,
        now: Timestamp::new(NOW),
        ..BatchOptions::default()
    });
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let rules = ProduceRules {
            timestamp_type,
            ..rules()
        };
        let refused = validate(&bytes, &rules).unwrap_err();
        assert_eq!(refused.kind(), ProduceErrorKind::InvalidTimestamp);
        assert_eq!(refused.record_errors().len(), 3);
    }
}

#[test]
fn log_append_time_is_stamped_with_the_checksum() {
    let rules = ProduceRules {
        timestamp_type: TimestampType::LogAppendTime,
        before_max_ms: 0,
        ..rules()
    };
    for codec in Codec::ALL {
        let bytes = batch(&BatchOptions {
            codec,
            ..BatchOptions::default()
        });
        let validated = validate(&bytes, &rules).unwrap();
        assert_eq!(validated.log_append_time, Some(Timestamp::new(NOW)));
        let again = ValidBatches::parse(validated.batches.bytes().clone(), &limits()).unwrap();
        assert_eq!(again.headers(), validated.batches.headers());
        let header = again.single().unwrap();
        assert_eq!(header.max_timestamp.get(), NOW);
        assert_eq!(
            header.attributes.timestamp_type(),
            TimestampType::LogAppendTime
        );
        for record in &Records::open(header, again.bytes(), &limits()).unwrap() {
            assert_eq!(record.unwrap().timestamp.get(), NOW);
        }
        assert_eq!(
            &again.bytes()[61..],
            &bytes[61..],
            "the records stay as they are"
        );
    }
}

#[test]
fn a_wrong_largest_timestamp_is_set_right() {
    let bytes = altered(&plain(), 35, &1_i64.to_be_bytes());
    let validated = validate(&bytes, &rules()).unwrap();
    assert_eq!(validated.batches.bytes(), &plain());
}

#[test]
fn the_topics_codec_replaces_the_producers() {
    for from in Codec::ALL {
        let bytes = batch(&BatchOptions {
            codec: from,
            producer_id: 9.into(),
            producer_epoch: 1.into(),
            base_sequence: 4.into(),
            transactional: true,
            ..BatchOptions::default()
        });
        for to in Codec::ALL {
            let rules = ProduceRules {
                compression: Some(Compression {
                    codec: to,
                    level: None,
                }),
                ..rules()
            };
            let validated = validate(&bytes, &rules).unwrap();
            let again = ValidBatches::parse(validated.batches.bytes().clone(), &limits()).unwrap();
            let header = again.single().unwrap();
            assert_eq!(header.codec(), Some(to));
            assert_eq!(header, validated.batches.single().unwrap());
            assert!(header.attributes.is_transactional());
            assert_eq!(
                (header.producer_id.get(), header.base_sequence.get()),
                (9, 4)
            );
            let owned = Records::open(header, again.bytes(), &limits()).unwrap();
            let owned: Vec<_> = owned.into_iter().map(Result::unwrap).collect();
            assert_eq!(owned.len(), 3);
            assert_eq!(owned[2].value.as_deref(), Some(&b"value 2"[..]));
            assert_eq!(owned[2].headers.len(), 2);
            if from == to {
                assert_eq!(again.bytes(), &bytes);
            }
        }
    }
}

#[test]
fn a_batch_that_grows_by_another_codec_is_measured_again() {
    let record = Record::new(vec![0; 100_000]).with_timestamp(Timestamp::new(NOW));
    let options = BatchOptions {
        codec: Codec::Zstd,
        ..BatchOptions::default()
    };
    let bytes = build_batch(&[record], &options).unwrap();
    let rules = ProduceRules {
        max_message_bytes: 1000,
        compression: Some(Compression {
            codec: Codec::None,
            level: None,
        }),
        ..rules()
    };
    assert_eq!(kind(validate(&bytes, &rules)), ProduceErrorKind::TooLarge);
}

#[test]
fn a_block_that_does_not_decompress_is_refused() {
    for codec in 1..5 {
        let bytes = altered(&plain(), 21, &i16::to_be_bytes(codec));
        assert!(matches!(
            validate(&bytes, &rules()),
            Err(ProduceError::Malformed(BatchError::Decompress(_)))
        ));
    }
}

#[test]
fn record_errors_are_counted_beyond_those_that_are_listed() {
    let records = vec![Record::new("v"); 5000];
    let bytes = build_batch(&records, &BatchOptions::default()).unwrap();
    let rules = ProduceRules {
        keys_required: true,
        ..rules()
    };
    let Err(ProduceError::Records { errors, total, .. }) = validate(&bytes, &rules) else {
        panic!("keys are missing");
    };
    assert_eq!((errors.len(), total), (limits().record_errors_max, 5000));
}

#[test]
fn bytes_are_changed_in_place_where_nobody_else_holds_them() {
    let rules = ProduceRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..rules()
    };
    let address = |bytes: &Bytes| bytes.as_ptr();
    let alone = parse(&plain()).unwrap();
    let before = address(alone.bytes());
    let validated = validate_produce(alone, &rules, &limits()).unwrap();
    let assigned = validated
        .batches
        .into_assigned(7.into(), LeaderEpoch::new(1))
        .unwrap();
    assert_eq!(address(assigned.bytes()), before);

    let held = plain();
    let copy = held.to_vec();
    let shared = parse(&held).unwrap();
    let validated = validate_produce(shared, &rules, &limits()).unwrap();
    let assigned = validated
        .batches
        .into_assigned(7.into(), LeaderEpoch::new(1))
        .unwrap();
    assert_ne!(address(assigned.bytes()), address(&held));
    assert_eq!(held, copy, "what others hold does not change");
}

proptest! {
    #[test]
    fn damaged_requests_are_refused_or_give_sound_batches(
        codec in prop::sample::select(&Codec::ALL[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        seal: bool,
    ) {
        let mut bytes = batch(&BatchOptions { codec, ..BatchOptions::default() }).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        if seal {
            let crc = crate::crc::crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        } else {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        crate::fuzz::produce(&bytes);
    }
}
