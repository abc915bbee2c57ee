//! The cluster's metadata as this broker has it.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_log::LeaderEpoch;
use ottla_partition::metadata::Image;
use ottla_partition::metadata::controller::{ApiError, Controller, Decision};
use ottla_protocol::ErrorCode;

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

/// The topic of the metadata log.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a change of the metadata was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    /// The broker is on its way out.
    #[error("the broker is shutting down; ask again once it is back")]
    Stopping,
}

impl MetadataError {
    /// As a client is told.
    pub(crate) fn to_api(&self) -> ApiError {
        ApiError::new(ErrorCode::KafkaStorageError, self.to_string())
    }
}

impl Metadata {
    /// The epoch in which this node leads the metadata log.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch::new(1)
    }

    pub(crate) fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Controller<'_>) -> Decision<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, MetadataError>> + Send {
        let _ = decide;
        async { Err(MetadataError::Stopping) }
    }
}
