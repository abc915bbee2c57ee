//! Deleting topics.

use std::collections::BTreeSet;

use ottla_log::TopicId;
use ottla_protocol::ErrorCode;

use super::error::{ApiError, ApiResult};
use super::{Controller, Decision, repeated};
use crate::metadata::record::{MetadataRecord, RemoveTopicRecord};

/// A topic to delete, by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTopic {
    /// Its name; `None` where the id says which.
    pub name: Option<String>,
    /// Its id; [`TopicId::ZERO`] where the name says which.
    pub topic_id: TopicId,
    /// Whether the asker may know that it exists.
    pub may_describe: bool,
    /// Whether the asker may delete it.
    pub may_delete: bool,
}

impl DeleteTopic {
    /// The topic `name`, for an asker who may do everything.
    #[must_use]
    pub fn by_name(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            topic_id: TopicId::ZERO,
            may_describe: true,
            may_delete: true,
        }
    }

    /// The topic with the id `topic_id`, for an asker who may do everything.
    #[must_use]
    pub const fn by_id(topic_id: TopicId) -> Self {
        Self {
            name: None,
            topic_id,
            may_describe: true,
            may_delete: true,
        }
    }
}

/// What became of one topic to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name, where the asker may know it.
    pub name: Option<String>,
    /// Its id, where it was found or asked for by it.
    pub topic_id: TopicId,
    /// Whether it is gone, or why not.
    pub result: ApiResult<()>,
}

impl Controller<'_> {
    /// Decides about a request to delete topics. Results come in the order of the request; a name
    /// or an id that comes twice has one result, a refusal, and so has a topic asked for by both.
    pub fn delete_topics(&self, topics: &[DeleteTopic]) -> Decision<Vec<DeletedTopic>> {
        if self.config().broker("delete.topic.enable").boolean() == Some(false) {
            let refuse = |topic: &DeleteTopic| DeletedTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                result: Err(ErrorCode::TopicDeletionDisabled.into()),
            };
            return Decision::unchanged(topics.iter().map(refuse).collect());
        }
        let twice = repeated(topics.iter().filter_map(key));
        let named = self.named_by_id_too(topics, &twice);
        let mut answered = BTreeSet::new();
        let mut records = Vec::new();
        let mut outcome = Vec::with_capacity(topics.len());
        for topic in topics {
            let key = key(topic);
            if key.is_some_and(|key| !answered.insert(key)) {
                continue;
            }
            let (found, result) =
                self.delete_topic(topic, key.is_some_and(|key| twice.contains(&key)));
            let result = match result {
                // One answer for both: that of the name.
                Ok(id) if named.contains(&id) && topic.name.is_none() => continue,
                Ok(id) if named.contains(&id) => Err(invalid(
                    "The provided topic name maps to an ID that was already supplied.",
                )),
                other => other,
            };
            let result = result.map(|topic_id| {
                let record = RemoveTopicRecord { topic_id };
                records.push(MetadataRecord::RemoveTopic(record));
            });
            outcome.push(DeletedTopic { result, ..found });
        }
        Decision { records, outcome }
    }

    /// The topics that the asker may delete and that are asked for by name and by id.
    fn named_by_id_too(
        &self,
        topics: &[DeleteTopic],
        twice: &BTreeSet<Key<'_>>,
    ) -> BTreeSet<TopicId> {
        let mut by_id = BTreeSet::new();
        let mut by_name = BTreeSet::new();
        for topic in topics {
            match key(topic) {
                // An id that comes twice still says that its topic was asked for by it.
                Some(Key::Id(id)) if topic.may_delete => {
                    by_id.insert(id);
                }
                Some(key @ Key::Name(name)) if topic.may_delete && !twice.contains(&key) => {
                    by_name.extend(self.image.topic_id(name));
                }
                _ => {}
            }
        }
        by_id.intersection(&by_name).copied().collect()
    }

    /// What to call the topic in the answer, and the id to delete or why not to.
    fn delete_topic(&self, topic: &DeleteTopic, twice: bool) -> (DeletedTopic, ApiResult<TopicId>) {
        let found = |name: Option<&str>, topic_id| DeletedTopic {
            name: name.map(str::to_owned),
            topic_id,
            result: Ok(()),
        };
        let name = topic.name.as_deref();
        let asked = found(name, topic.topic_id);
        match (name, topic.topic_id) {
            (None, TopicId::ZERO) => {
                let why = "Neither topic name nor id were specified.";
                (asked, Err(invalid(why)))
            }
            (Some(_), id) if id != TopicId::ZERO => {
                let why = "You may not specify both topic name and topic id.";
                (asked, Err(invalid(why)))
            }
            (Some(_), _) if twice => (asked, Err(invalid("Duplicate topic name."))),
            (None, _) if twice => (asked, Err(invalid("Duplicate topic id."))),
            (Some(name), _) => match self.image.topic_id(name) {
                _ if !topic.may_describe => (asked, Err(denied())),
                None => (asked, Err(ErrorCode::UnknownTopicOrPartition.into())),
                Some(_) if !topic.may_delete => (asked, Err(denied())),
                Some(id) => (found(Some(name), id), Ok(id)),
            },
            (None, id) => match self.image.topic_by_id(id) {
                None => (asked, Err(ErrorCode::UnknownTopicId.into())),
                Some(known) => {
                    let shown = topic.may_describe.then_some(known.name.as_str());
                    let result = topic.may_delete.then_some(id).ok_or_else(denied);
                    (found(shown, id), result)
                }
            },
        }
    }
}

/// How a topic is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Name(&'a str),
    Id(TopicId),
}

/// By what `topic` is asked for; `None` where that is both or neither.
fn key(topic: &DeleteTopic) -> Option<Key<'_>> {
    match (topic.name.as_deref(), topic.topic_id) {
        (Some(name), TopicId::ZERO) => Some(Key::Name(name)),
        (None, id) if id != TopicId::ZERO => Some(Key::Id(id)),
        _ => None,
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, why)
}

fn denied() -> ApiError {
    ErrorCode::TopicAuthorizationFailed.into()
}
