//! What the members of groups ask, what is asked about their offsets, and about groups.
//!
//! Here the wire meets the machine: who may ask, ids of topics and their names, what a version can
//! say. What a group does about it is decided in `ottla_coordinator`.

mod admin;
mod members;
mod offsets;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ottla_coordinator::group::GroupResponse;
use ottla_log::TopicId;
use ottla_protocol::{ErrorCode, Response, StrBytes};

pub(crate) use admin::{delete, describe, list};
pub(crate) use members::{heartbeat, join, leave, sync};
pub(crate) use offsets::{commit, delete_offsets, fetch};

use super::{AclOperation, Context, Resource};
use crate::connection::{Outgoing, Reply};
use crate::groups::{Asked, Told};

/// Whether the peer may do `operation` on the group `name`.
fn allows(context: &Context, operation: AclOperation, name: &str) -> bool {
    context.allows(operation, Resource::Group(name))
}

/// A text for an answer that may have to wait: it does not hold on to the memory of its request.
fn own(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.as_str().to_owned())
}

/// Answers once the group has, and that is durable. The request has taken effect.
fn when_told<F, R>(asked: Result<Asked, ErrorCode>, answer: F) -> Reply
where
    F: FnOnce(Told) -> R + Send + 'static,
    R: Into<Response>,
{
    match asked {
        Ok(asked) => Reply::Later(Box::pin(async move {
            Outgoing::from(answer(asked.answer().await))
        })),
        Err(code) => Reply::from(answer(Err(code))),
    }
}

/// The variant of an answer that its request gets.
macro_rules! answer {
    ($told:expr, $variant:ident) => {
        match $told {
            Ok(GroupResponse::$variant(response)) => Ok(response),
            Ok(other) => Err($crate::handlers::groups::unexpected(&other)),
            Err(code) => Err(code),
        }
    };
}
use answer;

fn unexpected(response: &GroupResponse) -> ErrorCode {
    tracing::error!(?response, "a group answers another question; this is a bug");
    ErrorCode::UnknownServerError
}

/// What a request names a topic by: its name or its id, and nothing for the other.
type TopicKey = (StrBytes, TopicId);

/// The results for partitions, gathered by topic in the order in which topics first came up.
#[derive(Debug)]
struct ByTopic<P> {
    topics: Vec<(TopicKey, Vec<P>)>,
    places: HashMap<TopicKey, usize, RandomState>,
}

impl<P> ByTopic<P> {
    fn new() -> Self {
        Self {
            topics: Vec::new(),
            places: HashMap::default(),
        }
    }

    fn add(&mut self, topic: TopicKey, partitions: impl IntoIterator<Item = P>) {
        let next = self.topics.len();
        let place = *self.places.entry(topic.clone()).or_insert(next);
        match self.topics.get_mut(place) {
            Some((_, of_topic)) => of_topic.extend(partitions),
            None => self.topics.push((topic, partitions.into_iter().collect())),
        }
    }
}
