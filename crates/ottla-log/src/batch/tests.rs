use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    Codec, Header, LeaderEpoch, Limits, Offset, OwnedRecord, ProducerId, Record, Sequence,
    Timestamp,
};

fn limits() -> Limits {
    Limits::default()
}

fn three() -> Vec<Record> {
    vec![
        Record::new("one").with_timestamp(Timestamp::new(1000)),
        Record::tombstone("k").with_timestamp(Timestamp::new(1005)),
        Record::new("")
            .with_key("")
            .with_header("h", "x")
            .with_header("h", "y")
            .with_timestamp(Timestamp::new(990)),
    ]
}

fn build(records: &[Record]) -> Bytes {
    build_batch(records, &BatchOptions::default()).unwrap()
}

fn parse(bytes: &Bytes) -> Result<ValidBatches, BatchError> {
    ValidBatches::parse(bytes.clone(), &limits())
}

fn read(bytes: &Bytes) -> Result<Vec<OwnedRecord>, BatchError> {
    let batches = parse(bytes)?;
    let mut records = Vec::new();
    for (header, batch) in batches.batches() {
        for record in Records::open(header, &batch, &limits())? {
            records.push(record?);
        }
    }
    Ok(records)
}

/// The batch with `bytes` put at `position` and the checksum made anew.
fn altered(batch: &Bytes, position: usize, bytes: &[u8]) -> Bytes {
    let mut batch = batch.to_vec();
    batch[position..position + bytes.len()].copy_from_slice(bytes);
    reseal(&mut batch);
    batch.into()
}

fn reseal(batch: &mut [u8]) {
    let crc = crate::crc::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A batch of one record with these bytes, of which the header says `count`.
fn raw(records: &[u8], count: i32) -> Bytes {
    let mut bytes = build(&[Record::new("")])[..BatchHeader::LEN].to_vec();
    bytes.extend(records);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[23..27].copy_from_slice(&(count - 1).max(0).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    reseal(&mut bytes);
    bytes.into()
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let options = BatchOptions {
        base_offset: Offset::new(0x0102),
        leader_epoch: LeaderEpoch::new(3),
        producer_id: ProducerId::new(0x0405),
        producer_epoch: 6.into(),
        base_sequence: Sequence::new(7),
        transactional: true,
        ..BatchOptions::default()
    };
    let record = Record::new("v")
        .with_key("ke")
        .with_header("h", "w")
        .with_timestamp(Timestamp::new(0x0809));
    let bytes = build_batch(&[record], &options).unwrap();
    let expected_head = [
        &[0, 0, 0, 0, 0, 0, 1, 2][..], // base offset
        &[0, 0, 0, 63],                // length of the rest
        &[0, 0, 0, 3],                 // leader epoch
        &[2],                          // magic
    ]
    .concat();
    let expected_rest = [
        &[0, 0x10][..],            // attributes: transactional
        &[0, 0, 0, 0],             // last offset delta
        &[0, 0, 0, 0, 0, 0, 8, 9], // base timestamp
        &[0, 0, 0, 0, 0, 0, 8, 9], // max timestamp
        &[0, 0, 0, 0, 0, 0, 4, 5], // producer id
        &[0, 6],                   // producer epoch
        &[0, 0, 0, 7],             // base sequence
        &[0, 0, 0, 1],             // record count
        &[26, 0, 0, 0],            // length, attributes, deltas
        &[4, b'k', b'e'],
        &[2, b'v'],
        &[2, 2, b'h', 2, b'w'],
    ]
    .concat();
    assert_eq!(bytes[..17], expected_head);
    assert_eq!(bytes[21..], expected_rest);
    assert_eq!(
        bytes[17..21],
        crate::crc::crc32c(&expected_rest).to_be_bytes()
    );
}

#[test]
fn records_read_back_with_every_codec() {
    for codec in Codec::ALL {
        let options = BatchOptions {
            codec,
            base_offset: Offset::new(40),
            ..BatchOptions::default()
        };
        let bytes = build_batch(&three(), &options).unwrap();
        let header = *parse(&bytes).unwrap().single().unwrap();
        assert_eq!(header.codec(), Some(codec));
        assert_eq!(
            (header.base_offset.get(), header.last_offset().get()),
            (40, 42)
        );
        assert_eq!(header.max_timestamp.get(), 1005);
        let records = read(&bytes).unwrap();
        for (n, (read, wrote)) in records.iter().zip(three()).enumerate() {
            assert_eq!(read.offset.get(), 40 + n as i64);
            assert_eq!(Some(read.timestamp), wrote.timestamp);
            assert_eq!((&read.key, &read.value), (&wrote.key, &wrote.value));
            assert_eq!(read.headers, wrote.headers);
        }
        assert_eq!(records.len(), 3);
    }
}

#[test]
fn borrowed_records_are_the_owned_ones() {
    let bytes = build(&three());
    let batches = parse(&bytes).unwrap();
    let opened = Records::open(batches.single().unwrap(), &bytes, &limits()).unwrap();
    let owned: Vec<_> = read(&bytes).unwrap();
    for (borrowed, owned) in opened.iter().zip(&owned) {
        let borrowed = borrowed.unwrap();
        assert_eq!(
            (borrowed.offset, borrowed.timestamp),
            (owned.offset, owned.timestamp)
        );
        assert_eq!(borrowed.key, owned.key.as_deref());
        assert_eq!(borrowed.value, owned.value.as_deref());
        let headers: Vec<_> = borrowed.headers().collect();
        assert_eq!(headers.len(), owned.headers.len());
        for ((key, value), header) in headers.into_iter().zip(&owned.headers) {
            assert_eq!((key, value), (&header.key[..], header.value.as_deref()));
        }
    }
}

#[test]
fn owned_records_share_the_batchs_bytes() {
    let bytes = build(&[Record::new("a value")]);
    let records = read(&bytes).unwrap();
    let value = records[0].value.clone().unwrap();
    let range = bytes.as_ptr_range();
    assert!(range.contains(&value.as_ptr()), "no copy was made");
}

#[test]
fn header_keys_need_not_be_text() {
    let record = [22, 0, 0, 0, 1, 1, 4, 2, 0xff, 1, 2, b'k', 1];
    let mut record = record.to_vec();
    record[0] = 2 * (record.len() as u8 - 1);
    let records = read(&raw(&record, 1)).unwrap();
    assert_eq!(
        records[0].headers,
        [
            Header {
                key: Bytes::from_static(&[0xff]),
                value: None
            },
            Header::new("k", None)
        ]
    );
    assert_eq!(records[0].headers[0].key_text(), "\u{fffd}");
}

#[test]
fn timestamps_are_the_brokers_in_a_batch_of_append_time() {
    let options = BatchOptions {
        timestamp_type: TimestampType::LogAppendTime,
        now: Timestamp::new(5000),
        ..BatchOptions::default()
    };
    let bytes = build_batch(&three(), &options).unwrap();
    assert!(
        read(&bytes)
            .unwrap()
            .iter()
            .all(|r| r.timestamp.get() == 5000)
    );
}

#[test]
fn what_does_not_fit_a_batch_is_refused() {
    let options = BatchOptions::default();
    assert_eq!(build_batch(&[], &options), Err(BuildError::Empty));
    let span = [i64::MIN, i64::MAX].map(|t| Record::new("v").with_timestamp(Timestamp::new(t)));
    assert!(matches!(
        build_batch(&span, &options),
        Err(BuildError::TimestampSpan(..))
    ));
}

#[test]
fn leaders_assign_offsets_and_epoch_outside_the_checksum() {
    let two: Bytes = [build(&three()), build(&three()[..1])].concat().into();
    let batches = parse(&two).unwrap();
    assert_eq!((batches.headers().len(), batches.offset_count()), (2, 4));
    assert_eq!(batches.single(), None);
    let assigned = batches
        .into_assigned(Offset::new(100), LeaderEpoch::new(9))
        .unwrap();
    assert_eq!(
        (assigned.base_offset().get(), assigned.last_offset().get()),
        (100, 103)
    );
    assert_eq!(assigned.next_offset().get(), 104);
    let again = parse(assigned.bytes()).unwrap();
    assert_eq!(again.headers(), assigned.headers());
    let starts: Vec<_> = again
        .headers()
        .iter()
        .map(|h| h.base_offset.get())
        .collect();
    assert_eq!(starts, [100, 103]);
    assert!(again.headers().iter().all(|h| h.leader_epoch.get() == 9));
    assert_eq!(read(assigned.bytes()).unwrap().len(), 4);
}

#[test]
fn offsets_that_cannot_be_expressed_are_not_assigned() {
    for base in [-1, i64::MAX, i64::MAX - 2] {
        let batches = parse(&build(&three())).unwrap();
        let assigned = batches.into_assigned(Offset::new(base), LeaderEpoch::new(0));
        assert!(matches!(assigned, Err(BatchError::Counts { .. })), "{base}");
    }
    let batches = parse(&build(&three())).unwrap();
    assert!(
        batches
            .into_assigned(Offset::new(i64::MAX - 3), LeaderEpoch::new(0))
            .is_ok()
    );
}

#[test]
fn followers_keep_offsets_that_rise_with_gaps() {
    let at = |offset: i64| altered(&build(&three()), 0, &offset.to_be_bytes());
    let both = |a, b| {
        parse(&[at(a), at(b)].concat().into())
            .unwrap()
            .into_replicated()
    };
    let kept = both(10, 20).unwrap();
    assert_eq!(
        (kept.base_offset().get(), kept.next_offset().get()),
        (10, 23)
    );
    assert!(both(10, 13).is_ok());
    assert!(matches!(
        both(10, 12),
        Err(BatchError::Order {
            base_offset: 12,
            previous: 12
        })
    ));
    assert!(matches!(both(10, 0), Err(BatchError::Order { .. })));
}

#[test]
fn a_run_that_is_cut_off_is_read_as_far_as_it_goes() {
    let one = build(&three());
    let two: Bytes = [&one[..], &one[..]].concat().into();
    for len in 0..two.len() {
        let cut = two.slice(..len);
        let whole = ValidBatches::parse_whole(&cut, &limits());
        match len / one.len() {
            0 => assert_eq!(whole.err(), Some(BatchError::Empty)),
            n => assert_eq!(whole.unwrap().headers().len(), n),
        }
        if len % one.len() != 0 {
            assert!(
                matches!(parse(&cut), Err(BatchError::Truncated { .. })),
                "{len}"
            );
        }
    }
}

#[test]
fn each_damaged_byte_is_noticed_or_outside_the_checksum() {
    let bytes = build(&three());
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x40;
        let parsed = parse(&damaged.into());
        // Base offset and leader epoch are the leader's to write.
        let outside = (0..8).contains(&at) || (12..16).contains(&at);
        assert_eq!(parsed.is_ok(), outside, "byte {at}: {parsed:?}");
    }
}

#[test]
fn lengths_are_checked_before_they_are_used() {
    let bytes = build(&three());
    for length in [i32::MIN, -1, 0, 48] {
        let bad = altered(&bytes, 8, &length.to_be_bytes());
        assert!(
            matches!(parse(&bad), Err(BatchError::Length { .. })),
            "{length}"
        );
    }
    let long = altered(&bytes, 8, &i32::MAX.to_be_bytes());
    assert!(
        matches!(parse(&long), Err(BatchError::Length { .. })),
        "beyond the limit"
    );
    let longer = altered(&bytes, 8, &1000_i32.to_be_bytes());
    assert!(matches!(
        parse(&longer),
        Err(BatchError::Truncated { needed: 1012, .. })
    ));
    let small = Limits {
        batch_bytes_max: bytes.len() - 1,
        ..limits()
    };
    let refused = ValidBatches::parse(bytes.clone(), &small);
    assert!(matches!(refused, Err(BatchError::Length { .. })));
    let few = Limits {
        batches_max: 1,
        ..limits()
    };
    let refused = ValidBatches::parse([&bytes[..], &bytes[..]].concat().into(), &few);
    assert_eq!(refused.err(), Some(BatchError::TooManyBatches(1)));
    assert_eq!(parse(&Bytes::new()).err(), Some(BatchError::Empty));
    for magic in [0_u8, 1, 3, 0xff] {
        let old = altered(&bytes, 16, &[magic]);
        assert!(matches!(parse(&old), Err(BatchError::Magic { .. })));
    }
}

#[test]
fn counts_that_contradict_each_other_are_refused() {
    let bytes = build(&three());
    let with = |base: i64, delta: i32, count: i32| {
        let bytes = altered(&bytes, 0, &base.to_be_bytes());
        let bytes = altered(&bytes, 23, &delta.to_be_bytes());
        parse(&altered(&bytes, 57, &count.to_be_bytes()))
    };
    for (base, delta, count) in [
        (-1, 2, 3),
        (0, -1, 0),
        (0, 2, -1),
        (0, 2, 4),
        (i64::MAX - 2, 2, 3),
        (i64::MAX, 0, 0),
        (0, i32::MIN, i32::MIN),
    ] {
        let parsed = with(base, delta, count);
        assert!(
            matches!(parsed, Err(BatchError::Counts { .. })),
            "{base} {delta} {count}"
        );
    }
    // Compaction leaves fewer records than offsets, even none.
    for (base, delta, count) in [(0, 2, 0), (0, 9, 3), (i64::MAX - 3, 2, 3), (7, i32::MAX, 1)] {
        assert!(with(base, delta, count).is_ok(), "{base} {delta} {count}");
    }
    let few = Limits {
        records_per_batch_max: 2,
        ..limits()
    };
    let refused = ValidBatches::parse(bytes, &few);
    assert_eq!(
        refused.err(),
        Some(BatchError::TooMany {
            what: "records",
            max: 2
        })
    );
}

#[test]
fn a_compacted_batch_keeps_its_gaps() {
    // Two records of five offsets: the second and the fourth.
    let two = [
        16, 0, 0, 2, 2, b'a', 2, b'x', 0, 16, 0, 0, 6, 2, b'b', 2, b'y', 0,
    ];
    let bytes = altered(&raw(&two, 2), 23, &4_i32.to_be_bytes());
    let bytes = altered(&bytes, 0, &100_i64.to_be_bytes());
    let offsets: Vec<_> = read(&bytes)
        .unwrap()
        .iter()
        .map(|r| r.offset.get())
        .collect();
    assert_eq!(offsets, [101, 103]);
    assert_eq!(parse(&bytes).unwrap().headers()[0].next_offset().get(), 105);
}

#[test]
fn malformed_records_are_refused_each_for_its_reason() {
    let why = |record: &[u8]| match read(&raw(record, 1)) {
        Err(BatchError::Record { index: 0, why }) => why,
        other => panic!("{record:?} gave {other:?}"),
    };
    let early = "it ends early";
    assert_eq!(why(&[]), early);
    assert_eq!(why(&[12, 0]), early);
    assert_eq!(why(&[1]), "a length is negative");
    assert_eq!(why(&[12, 0, 0, 0, 1, 100, 0]), early);
    assert_eq!(why(&[12, 0, 0, 0, 3, 1, 0]), "a length is negative");
    assert_eq!(
        why(&[14, 0, 0, 0, 1, 1, 0, 0]),
        "it is longer than its fields"
    );
    assert_eq!(
        why(&[12, 0, 0, 2, 1, 1, 0]),
        "its offset does not fit the batch"
    );
    assert_eq!(
        why(&[12, 0, 0, 1, 1, 1, 0]),
        "its offset does not fit the batch"
    );
    assert_eq!(
        why(&[12, 0, 0, 0, 1, 1, 1]),
        "its number of headers cannot be right"
    );
    assert_eq!(
        why(&[12, 0, 0, 0, 1, 1, 2]),
        "its number of headers cannot be right"
    );
    assert_eq!(why(&[16, 0, 0, 0, 1, 1, 2, 1, 1]), "a header has no key");
    let bomb = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(why(&bomb), "its number of headers cannot be right");
    let late = altered(&build(&[Record::new("v")]), 27, &i64::MAX.to_be_bytes());
    let mut late = late.to_vec();
    late[63] = 2;
    reseal(&mut late);
    assert!(matches!(
        read(&late.into()),
        Err(BatchError::Record {
            why: "its timestamp overflows",
            ..
        })
    ));
    assert_eq!(
        read(&raw(&[12, 0, 0, 0, 1, 1, 0, 9], 1)).err(),
        Some(BatchError::TrailingBytes(1))
    );
    let few = Limits {
        headers_per_record_max: 1,
        ..limits()
    };
    let bytes = build(&three());
    let records = Records::open(parse(&bytes).unwrap().single().unwrap(), &bytes, &few).unwrap();
    let last = records.iter().last().unwrap();
    assert!(matches!(last, Err(BatchError::TooMany { max: 1, .. })));
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let bytes = raw(&[12, 0, 0, 0, 1, 1, 0, 9], 1);
    let batches = parse(&bytes).unwrap();
    let records = Records::open(batches.single().unwrap(), &bytes, &limits()).unwrap();
    let mut borrowed = records.iter();
    assert!(borrowed.next().unwrap().is_ok());
    assert!(borrowed.next().unwrap().is_err());
    assert!(borrowed.next().is_none() && borrowed.next().is_none());
    let mut owned = records.into_iter();
    assert!(owned.next().unwrap().is_ok());
    assert!(owned.next().unwrap().is_err());
    assert!(owned.next().is_none());
}

#[test]
fn last_sequences_wrap() {
    let of = |base: i32, delta: i32| {
        let mut header = *parse(&build(&three())).unwrap().single().unwrap();
        header.base_sequence = Sequence::new(base);
        header.last_offset_delta = delta;
        header.last_sequence().get()
    };
    assert_eq!(of(0, 2), 2);
    assert_eq!(of(i32::MAX, 0), i32::MAX);
    assert_eq!(of(i32::MAX, 1), 0);
    assert_eq!(of(i32::MAX, i32::MAX), i32::MAX - 1);
    assert_eq!(of(-1, 5), -1);
}

fn any_bytes(len: usize) -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..len).prop_map(Bytes::from))
}

fn any_record() -> impl Strategy<Value = Record> {
    let header = ("\\PC{0,5}", any_bytes(5)).prop_map(|(key, value)| Header::new(key, value));
    let headers = prop::collection::vec(header, 0..4);
    let timestamp = prop::option::of((-1..i64::MAX / 4).prop_map(Timestamp::new));
    (any_bytes(20), any_bytes(200), headers, timestamp).prop_map(
        |(key, value, headers, timestamp)| Record {
            key,
            value,
            headers,
            timestamp,
        },
    )
}

proptest! {
    #[test]
    fn any_records_read_back(
        records in prop::collection::vec(any_record(), 1..30),
        codec in prop::sample::select(&Codec::ALL[..]),
        now in 0..i64::MAX / 4,
        base in 0..i64::MAX / 2,
    ) {
        let options = BatchOptions {
            codec,
            base_offset: Offset::new(base),
            now: Timestamp::new(now),
            ..BatchOptions::default()
        };
        let bytes = build_batch(&records, &options).unwrap();
        let read = read(&bytes).unwrap();
        prop_assert_eq!(read.len(), records.len());
        for (n, (read, wrote)) in read.into_iter().zip(records).enumerate() {
            prop_assert_eq!(read.offset.get(), base + n as i64);
            prop_assert_eq!(read.timestamp, wrote.timestamp.unwrap_or(options.now));
            prop_assert_eq!((read.key, read.value), (wrote.key, wrote.value));
            prop_assert_eq!(read.headers, wrote.headers);
        }
    }

    #[test]
    fn any_bytes_are_batches_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::batches(&bytes);
    }

    #[test]
    fn damaged_batches_are_read_or_refused(
        records in prop::collection::vec(any_record(), 1..6),
        codec in prop::sample::select(&Codec::ALL[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let options = BatchOptions { codec, ..BatchOptions::default() };
        let mut bytes = build_batch(&records, &options).unwrap().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        crate::fuzz::batches(&bytes);
        reseal(&mut bytes);
        crate::fuzz::batches(&bytes);
    }
}
