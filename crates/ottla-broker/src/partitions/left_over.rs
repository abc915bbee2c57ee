//! Logs that are on the disk at start and belong to no topic of the metadata.
//!
//! Where the metadata log says that the topic was removed, the node ended between that and the
//! deletion of the topic's logs: the deletion is done now. Of any other nobody knows whether it is
//! needed: the metadata may be older than the logs, put back from a copy. It is set aside as
//! `-stray` and kept, as Kafka does. Either way its name is free, and no stop waits for it.

use std::collections::BTreeSet;

use ottla_log::{FoundLog, LogId, Store, TopicId};
use ottla_partition::metadata::Image;

use crate::metadata::METADATA_TOPIC;

/// Clears them away. What cannot be is told; the store tries again to delete it.
pub(crate) fn clear(store: &Store, image: &Image, removed: &BTreeSet<TopicId>) {
    let found = store.found().into_iter();
    let is_nobodys =
        |log: &FoundLog| log.id.topic().as_str() != METADATA_TOPIC && !has_topic(image, log);
    // What was noted may be older than the directory: Kafka may have run since.
    let nobodys = found.filter(&is_nobodys).map(|mut log| {
        log.topic_id = store.topic_id_on_disk(&log.id).or(log.topic_id);
        log
    });
    let nobodys = nobodys.filter(is_nobodys);
    let is_removed = |log: &FoundLog| log.topic_id.is_some_and(|id| removed.contains(&id));
    let (deleted, strays): (Vec<_>, Vec<_>) = nobodys.partition(is_removed);
    let ids = |logs: Vec<FoundLog>| -> Vec<LogId> { logs.into_iter().map(|log| log.id).collect() };
    if !deleted.is_empty() {
        let deleted = ids(deleted);
        tracing::info!(
            logs = deleted.len(),
            "deleting logs of topics that were deleted"
        );
        if let Err(error) = store.delete_all(&deleted) {
            tracing::error!(%error, "the logs of a deleted topic are not deleted yet");
        }
    }
    if let Err(error) = store.set_aside(&ids(strays)) {
        tracing::error!(%error, "a log that belongs to no topic cannot be set aside");
    }
}

/// Whether the metadata have the partition of `log`. A directory that does not say whose it is
/// belongs to the topic of its name.
fn has_topic(image: &Image, log: &FoundLog) -> bool {
    let topic = image.topic(log.id.topic().as_str());
    topic.is_some_and(|topic| {
        let is_its = log.topic_id.is_none_or(|id| id == topic.id);
        is_its && topic.partition(log.id.partition()).is_some()
    })
}
