//! One function per decoder that takes any bytes: the fuzz targets and the property tests call
//! these. Each returns, or the decoder has a bug. Not part of the API.

use crate::crc::crc32c;
use crate::derived::Derived as _;
use crate::producer_state::ProducerState;
use crate::{Limits, Offset, checkpoint};

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
