//! One function per decoder that takes any bytes: the fuzz targets and the property tests call
//! these. Each returns, or the decoder has a bug. Not part of the API.

use crate::checkpoint;

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
