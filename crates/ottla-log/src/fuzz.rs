//! One function per decoder that takes any bytes: the fuzz targets and the property tests call
//! these. Each returns, or the decoder has a bug. Not part of the API.

use std::sync::Arc;

use bytes::Bytes;

use crate::crc::crc32c;
use crate::derived::Derived as _;
use crate::index::{SealedOffsetIndex, SealedTimeIndex};
use crate::producer_state::ProducerState;
use crate::validate::{Compression, ProduceLimits, ProduceRules, parse_produce, validate_produce};
use crate::vfs::{Mapped, Mapping};
use crate::{
    BatchHeader, Codec, LeaderEpoch, Limits, Offset, Records, Timestamp, TimestampType,
    ValidBatches,
};
use crate::{checkpoint, codec};

/// A journal of any rounds.
pub fn journal(bytes: &[u8]) {
    crate::store::fuzz::scan(bytes);
}

/// A store's directory with any changes.
pub fn recovery(bytes: &[u8]) {
    crate::store::fuzz::recovery(bytes);
}

/// All text checkpoints.
pub fn checkpoints(bytes: &[u8]) {
    if let Ok(offsets) = checkpoint::decode_offsets(bytes) {
        let again = checkpoint::encode_offsets(offsets.iter().map(|(id, o)| (id, *o)));
        assert_eq!(checkpoint::decode_offsets(&again), Ok(offsets));
    }
    if let Ok(epochs) = checkpoint::decode_epochs(bytes) {
        let again = checkpoint::encode_epochs(epochs.iter().copied());
        assert_eq!(checkpoint::decode_epochs(&again), Ok(epochs));
    }
    let _ = checkpoint::MetaProperties::decode(bytes);
    let _ = checkpoint::PartitionMetadata::decode(bytes);
    let _ = checkpoint::CleanShutdown::decode(bytes);
}

/// The producer snapshot, with a right checksum as well: it would hide the rest.
pub fn producer_snapshot(bytes: &[u8]) {
    let limits = Limits::default();
    let mut sealed = vec![0, 1];
    sealed.extend(crc32c(bytes).to_be_bytes());
    sealed.extend(bytes);
    for bytes in [bytes, &sealed] {
        if let Ok(state) = ProducerState::load(bytes, Offset::ZERO, &limits) {
            let again = ProducerState::load(&state.snapshot(), Offset::ZERO, &limits);
            assert_eq!(again, Ok(state));
        }
    }
}

/// All decompressors.
pub fn codecs(bytes: &[u8]) {
    let limits = Limits {
        decompressed_bytes_free: 1 << 20,
        ..Limits::default()
    };
    for codec in Codec::ALL {
        if let Ok(content) = codec::decompress(codec, bytes, &limits) {
            assert!(content.len() <= limits.decompressed_bytes_max(bytes.len()));
        }
    }
}

/// `bytes` with the checksum of each batch made right, as far as they look like batches: a wrong
/// one would hide the rest.
#[must_use]
pub fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut rest = &mut out[..];
    while let Some(length) = rest.get(8..12).and_then(|length| length.first_chunk()) {
        let size = usize::try_from(i32::from_be_bytes(*length)).ok();
        let size = size.map(|length| length + BatchHeader::OVERHEAD);
        let Some(size) = size.filter(|size| (BatchHeader::LEN..=rest.len()).contains(size)) else {
            break;
        };
        let (batch, after) = rest.split_at_mut(size);
        let crc = crc32c(&batch[BatchHeader::CRC_FROM..]);
        batch[BatchHeader::CRC_POSITION..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        rest = after;
    }
    out
}

/// The bytes of a produce request for one partition. What passes has to be sound.
pub fn produce(bytes: &[u8]) {
    produce_as_they_are(bytes);
    produce_as_they_are(&with_right_checksums(bytes));
}

fn produce_as_they_are(bytes: &[u8]) {
    let limits = Limits::default();
    let request = ProduceLimits {
        zstd_allowed: true,
        max_message_bytes: 1 << 20,
    };
    let Ok(batches) = parse_produce(&Bytes::copy_from_slice(bytes), &request, &limits) else {
        return;
    };
    let compression = |codec| Some(Compression { codec, level: None });
    for (timestamp_type, compression) in [
        (TimestampType::CreateTime, None),
        (TimestampType::CreateTime, compression(Codec::Lz4)),
        (TimestampType::LogAppendTime, compression(Codec::None)),
    ] {
        let rules = ProduceRules {
            now: Timestamp::new(1_800_000_000_000),
            timestamp_type,
            compression,
            ..ProduceRules::default()
        };
        let Ok(validated) = validate_produce(batches.clone(), &rules, &limits) else {
            continue;
        };
        let again = ValidBatches::parse(validated.batches.bytes().clone(), &limits);
        let again = again.expect("what was validated parses");
        for (header, batch) in again.batches() {
            let records = Records::open(header, &batch, &limits).expect("its records open");
            let count = records
                .iter()
                .inspect(|r| assert!(r.is_ok(), "{r:?}"))
                .count();
            assert_eq!(count, header.record_count as usize);
            let offsets = header.next_offset().get() - header.base_offset.get();
            assert_eq!(count as i64, offsets, "an offset for each record");
        }
    }
}

/// Any run of batches. What parses has to survive being read, assigned and cut.
pub fn batches(bytes: &[u8]) {
    batches_as_they_are(bytes);
    batches_as_they_are(&with_right_checksums(bytes));
}

fn batches_as_they_are(bytes: &[u8]) {
    let limits = Limits {
        decompressed_bytes_free: 1 << 20,
        ..Limits::default()
    };
    let _ = BatchHeader::parse(bytes);
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = ValidBatches::parse_whole(&bytes, &limits);
    let Ok(batches) = ValidBatches::parse(bytes.clone(), &limits) else {
        return;
    };
    for (header, batch) in batches.batches() {
        let _ = (header.last_sequence(), header.next_offset());
        let Ok(records) = Records::open(header, &batch, &limits) else {
            continue;
        };
        let borrowed = records
            .iter()
            .map(|record| record.map(|r| (r.offset, r.timestamp, r.headers().count())));
        let borrowed: Vec<_> = borrowed.collect();
        let owned = records
            .into_iter()
            .map(|record| record.map(|r| (r.offset, r.timestamp, r.headers.len())));
        assert!(owned.eq(borrowed), "both forms of the records are the same");
    }
    let _ = batches.clone().into_replicated();
    if let Ok(assigned) = batches.into_assigned(Offset::new(7), LeaderEpoch::new(1)) {
        let again = ValidBatches::parse(assigned.bytes().clone(), &limits);
        let again = again.expect("assigned batches parse");
        assert_eq!(again.headers(), assigned.headers());
    }
}

/// Both index files, with every look-up staying inside.
pub fn indexes(bytes: &[u8]) {
    #[derive(Debug)]
    struct File(Vec<u8>);
    impl Mapped for File {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }
    let file: Mapping = Arc::new(File(bytes.to_vec()));
    let base = Offset::new(100);
    let end = Offset::new(i64::MAX);
    if let Ok(index) = SealedOffsetIndex::open(base, Arc::clone(&file), end, u64::MAX) {
        for target in [i64::MIN, 0, 100, 1000, i64::MAX] {
            let _ = index.lookup(Offset::new(target));
        }
        // A log's segments end below the largest position there is.
        if index.check_all(end, i32::MAX as u64).is_ok() {
            let active = index.to_active(u32::MAX);
            assert!(active.len() <= index.len());
            // The first entry may be of the segment's first offset, which needs none.
            assert!(index.len() - active.len() <= 1, "entries do not rise");
            for target in [i64::MIN, 0, 100, 1000, i64::MAX].map(Offset::new) {
                assert_eq!(active.lookup(target), index.lookup(target));
            }
        }
    }
    if let Ok(index) = SealedTimeIndex::open(base, file, end) {
        for target in [i64::MIN, 0, 100, 1000, i64::MAX] {
            let _ = index.lookup(Timestamp::new(target));
        }
        if index.check_all(end).is_ok() {
            let _ = index.to_active(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_journal_and_any_directory_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            super::journal(&bytes);
            super::recovery(&bytes);
        }
    }
}
