//! What differs between two images: what a broker has to look at after a change.

use std::sync::Arc;

use super::{ConfigMap, Image, Topic};
use crate::metadata::map::Change;
use crate::metadata::record::ConfigResource;

/// What differs between an image and a newer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Topics that are new.
    pub created: Vec<Arc<Topic>>,
    /// Topics whose partitions changed: as they were and as they are.
    pub changed: Vec<(Arc<Topic>, Arc<Topic>)>,
    /// Topics that are gone. A topic deleted and created again by its name is here and among the
    /// created, with different ids.
    pub removed: Vec<Arc<Topic>>,
    /// Resources whose configuration changed; those of removed topics too, if they had any.
    pub configs: Vec<ConfigResource>,
    /// Whether any broker joined, left or changed.
    pub brokers: bool,
}

impl Delta {
    /// Whether nothing that a broker would look at differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Image {
    /// What differs between this image and `newer`. Costs little where `newer` came from this one
    /// by few changes.
    #[must_use]
    pub fn delta(&self, newer: &Self) -> Delta {
        let mut delta = Delta {
            brokers: self.brokers != newer.brokers,
            ..Delta::default()
        };
        for change in self.topics.changes(&newer.topics) {
            match change {
                Change::Added(_, topic) => delta.created.push(Arc::clone(topic)),
                Change::Removed(_, topic) => delta.removed.push(Arc::clone(topic)),
                Change::Changed(_, old, new) => {
                    delta.changed.push((Arc::clone(old), Arc::clone(new)));
                }
            }
        }
        let resource = |change: Change<'_, ConfigResource, Arc<ConfigMap>>| match change {
            Change::Added(resource, _)
            | Change::Changed(resource, _, _)
            | Change::Removed(resource, _) => resource.clone(),
        };
        let configs = self.configs.changes(&newer.configs);
        delta.configs = configs.into_iter().map(resource).collect();
        delta
    }
}
