//! One function per decoder that takes any bytes: the fuzz targets and the property tests call
//! these. Each returns, or the decoder has a bug. Not part of the API.

use bytes::Bytes;
use ottla_log::{LeaderEpoch, Limits, Offset};

use crate::metadata::config::{broker_defs, topic_defs};
use crate::metadata::{MetadataRecord, SnapshotId, read_snapshot};

/// One metadata record. What was read is written as it can be read again.
pub fn metadata_record(bytes: &[u8]) {
    if let Ok(record) = MetadataRecord::decode(&Bytes::copy_from_slice(bytes)) {
        let again = record.encode().expect("what was read is short enough");
        assert_eq!(MetadataRecord::decode(&again), Ok(record));
    }
}

/// A metadata snapshot, with right checksums as well: they would hide the rest.
pub fn metadata_snapshot(bytes: &[u8]) {
    snapshot_as_it_is(bytes);
    snapshot_as_it_is(&ottla_log::fuzz::with_right_checksums(bytes));
}

fn snapshot_as_it_is(bytes: &[u8]) {
    let id = SnapshotId {
        end: Offset::new(9),
        epoch: LeaderEpoch::new(0),
    };
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(image) = read_snapshot(bytes, id, "c", &Limits::default()) {
        assert_eq!(image.end(), id.end);
    }
}

/// A configuration value, as every key reads it. A value's own text is read as the same value.
pub fn config_value(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for def in topic_defs().iter().chain(broker_defs()) {
        if let Ok(value) = def.parse(&text)
            && let Some(written) = value.to_text()
        {
            let again = def.parse(&written).map(|value| value.to_text());
            assert_eq!(again, Ok(Some(written)), "{} {text:?}", def.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            metadata_record(&bytes);
            metadata_snapshot(&bytes);
            config_value(&bytes);
        }

        #[test]
        fn numbers_of_all_forms_are_survived(
            text in "[-+]?[0-9]{0,25}[.]?[0-9]{0,3}([eE][-+]?[0-9]{1,4})?[dfDF ,]{0,2}",
        ) {
            config_value(text.as_bytes());
        }
    }
}
