//! The features (KIP-584) that this broker can do something with, and their levels.

use ottla_partition::metadata::Image;
use ottla_protocol::api_versions::Feature;

/// The features of this broker, from the lowest to the highest level that it supports. What is not
/// here (transactions of version 2, KIP-848 groups) no client takes this broker to have.
pub(crate) const SUPPORTED: &[(&str, i16, i16)] = &[
    // Kafka's own range of 4.3: any of its clusters can be taken over, or take over.
    ("metadata.version", 7, 30),
    ("eligible.leader.replicas.version", 0, 1),
];

/// The supported features with the levels that the cluster has switched on.
pub(crate) fn of(image: &Image) -> Vec<Feature> {
    let feature = |&(name, min, max): &(&'static str, i16, i16)| Feature {
        name,
        min,
        max,
        level: image.feature_level(name),
    };
    SUPPORTED.iter().map(feature).collect()
}
