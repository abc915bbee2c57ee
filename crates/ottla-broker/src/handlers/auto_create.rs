//! Topics that are made because somebody asked for them.

use std::collections::BTreeMap;

use ottla_partition::metadata::controller::{ApiError, CreateTopics, NewTopic};
use ottla_partition::metadata::is_internal_topic;
use ottla_protocol::ErrorCode;

use super::Context;
use crate::authorizer::{AclOperation, Resource};
use crate::groups::OFFSETS_TOPIC;

/// Why topics that were asked for are still missing.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    refusals: BTreeMap<String, ErrorCode>,
}

impl Outcome {
    /// The reason that `name` was not made; `None` where nobody tried.
    pub(crate) fn refusal(&self, name: &str) -> Option<ErrorCode> {
        self.refusals.get(name).copied()
    }
}

/// Makes the topics `names` with the broker's defaults if that is switched on and the asker may.
/// The context's image has them afterwards, so that the same answer tells their leaders. The topic
/// of the groups is made as their coordinator makes it, as Kafka does.
pub(crate) async fn create(context: &mut Context, mut names: Vec<String>) -> Outcome {
    let mut outcome = Outcome::default();
    let enabled = context.config().broker("auto.create.topics.enable");
    if names.is_empty() || enabled.boolean() == Some(false) {
        return outcome;
    }
    names.sort_unstable();
    names.dedup();
    if !context.allows(AclOperation::Create, Resource::Cluster) {
        let may = |name: &String| context.allows_topic(AclOperation::Create, name);
        for denied in names.iter().filter(|name| !may(name)) {
            let code = ErrorCode::TopicAuthorizationFailed;
            outcome.refusals.insert(denied.clone(), code);
        }
        names.retain(|name| !outcome.refusals.contains_key(name));
    }
    if names.iter().any(|name| name == OFFSETS_TOPIC) {
        // Not with the defaults: retention would delete what groups committed.
        if let Err(code) = context.core.groups().ensure_topic(&context.core).await {
            outcome.refusals.insert(OFFSETS_TOPIC.to_owned(), code);
        }
    }
    // The others that the cluster keeps for itself are made by what keeps them.
    names.retain(|name| !is_internal_topic(name));
    // The rest gets its turn when the client asks again.
    names.truncate(context.core.limits().auto_create_topics_max);
    let request = CreateTopics {
        topics: names.iter().map(NewTopic::new).collect(),
        validate_only: false,
    };
    let entropy = context.core.entropy().clone();
    let change = context
        .core
        .metadata()
        .change(move |controller| controller.create_topics(&request, &*entropy));
    match change.await {
        Ok(topics) => {
            for topic in topics {
                if let Err(error) = topic.result {
                    outcome.refusals.insert(topic.name, code_of(&error));
                }
            }
        }
        Err(error) => {
            tracing::warn!(%error, "cannot create the topics that a client asked for");
            for name in names {
                outcome.refusals.insert(name, ErrorCode::LeaderNotAvailable);
            }
        }
    }
    context.image = context.core.metadata().image();
    outcome
}

/// What the asker is told. One who only wants to know a topic does not learn why its creation
/// failed, except that the name can never be; the rest it may try again.
fn code_of(error: &ApiError) -> ErrorCode {
    match error.code {
        ErrorCode::InvalidTopicException => ErrorCode::InvalidTopicException,
        _ => ErrorCode::UnknownTopicOrPartition,
    }
}
