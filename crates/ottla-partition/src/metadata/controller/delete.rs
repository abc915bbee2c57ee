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
    /// or an id that comes twice has one result, a refusal.
    pub fn delete_topics(&self, topics: &[DeleteTopic]) -> Decision<Vec<DeletedTopic>> {
        if self.config().broker("delete.topic.enable").boolean() == Some(false) {
            let refuse = |topic: &DeleteTopic| DeletedTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                result: Err(ErrorCode::TopicDeletionDisabled.into()),
            };
            return Decision::unchanged(topics.iter().map(refuse).collect());
        }
        let key = |topic: &DeleteTopic| (topic.name.clone(), topic.topic_id);
        let twice = repeated(topics.iter().map(key));
        let mut answered = BTreeSet::new();
        let mut deleted = BTreeSet::new();
        let mut records = Vec::new();
        let mut outcome = Vec::with_capacity(topics.len());
        for topic in topics {
            if !answered.insert(key(topic)) {
                continue;
            }
            let (found, result) = self.delete_topic(topic, twice.contains(&key(topic)));
            let result = result.and_then(|id| {
                if deleted.insert(id) {
                    let record = RemoveTopicRecord { topic_id: id };
                    records.push(MetadataRecord::RemoveTopic(record));
                    Ok(())
                } else {
                    Err(invalid(
                        "The provided topic name maps to an ID that was already supplied.",
                    ))
                }
            });
            outcome.push(DeletedTopic { result, ..found });
        }
        Decision { records, outcome }
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

fn invalid(why: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, why)
}

fn denied() -> ApiError {
    ErrorCode::TopicAuthorizationFailed.into()
}
