//! Back to the beginning, for tests that share a broker.

use super::{Controller, Decision};
use crate::metadata::config::ConfigView;
use crate::metadata::image::Image;
use crate::metadata::record::{
    ConfigRecord, ConfigResource, ConfigResourceKind, MetadataRecord, RemoveTopicRecord,
};

/// With ELR on, this setting must be the same for all brokers: it is kept in the metadata.
const MIN_ISR: &str = "min.insync.replicas";

impl Controller<'_> {
    /// Removes every topic and every configuration that was set since the cluster began. Nodes,
    /// features and the producer ids that were handed out stay: clients may still use those.
    pub fn reset(&self) -> Decision<()> {
        let kept = self.min_isr_at_start();
        let mut records = Vec::new();
        for (resource, keys) in self.image.configs() {
            // A topic's configuration goes with it.
            if resource.kind == ConfigResourceKind::Topic {
                continue;
            }
            for (name, value) in keys.iter() {
                if (resource, name) != (&kept.resource, &kept.name) {
                    records.push(MetadataRecord::Config(ConfigRecord {
                        resource: resource.clone(),
                        name: name.clone(),
                        value: None,
                    }));
                } else if Some(value) != kept.value.as_ref() {
                    records.push(MetadataRecord::Config(kept.clone()));
                }
            }
        }
        let remove = |topic_id| MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id });
        records.extend(self.image.topics().map(|topic| remove(topic.id)));
        Decision {
            records,
            outcome: (),
        }
    }

    /// The setting that the metadata begins with, as the node was started.
    pub(super) fn min_isr_at_start(&self) -> ConfigRecord {
        let nothing = Image::new("");
        let at_start = ConfigView::new(&nothing, self.node, self.at_start);
        ConfigRecord {
            resource: ConfigResource::all_brokers(),
            name: MIN_ISR.into(),
            value: at_start.broker(MIN_ISR).to_text().map(Into::into),
        }
    }
}
