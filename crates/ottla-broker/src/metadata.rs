//! The cluster's metadata as this broker has it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_partition::metadata::Image;

/// The newest committed metadata.
#[derive(Debug)]
pub(crate) struct Metadata {
    image: ArcSwap<Image>,
}

impl Metadata {
    /// Metadata that stands at `image`.
    pub(crate) fn new(image: Image) -> Self {
        Self {
            image: ArcSwap::from_pointee(image),
        }
    }

    /// The newest committed image.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }
}
