//! What each API does, one file per family: a function of the context and the request.
//!
//! A handler reads the metadata image it was given and no other, so that one answer never mixes
//! two states of the cluster, and asks the authorizer before it says anything about a resource.
//! It answers for this node of a cluster of any size: what another node leads is refused with that
//! node's address. Authorisation, the image and the session all come in with the [`Context`], which
//! is how the tests run handlers in a cluster of three brokers.
//!
//! To serve another API: its row in `ottla_protocol::api`, a function here, an arm in [`handle`].

pub(crate) mod api_versions;
mod auto_create;
mod cluster;
mod codes;
mod configs;
mod delete_records;
mod describe_topics;
pub(crate) mod fetch;
mod find_coordinator;
mod groups;
mod leaders;
mod list_offsets;
mod log_dirs;
mod metadata;
mod produce;
pub(crate) mod producer_ids;
mod producers;
mod security;
pub(crate) mod state_cost;
mod telemetry;
#[cfg(test)]
mod tests;
mod topics;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::{Timestamp, TopicId};
use ottla_partition::metadata::config::ConfigView;
use ottla_partition::metadata::{Broker, Image, Topic};
use ottla_protocol::{ApiKey, ErrorCode, Request};
use parking_lot::Mutex;

use crate::authorizer::{AclOperation, Resource};
use crate::budget::Charge;
use crate::connection::Reply;
use crate::core::BrokerCore;
use crate::listener::Endpoint;
use crate::partition::Partition;
use crate::partitions::{Failure, OpenPartitionError};
use crate::session::Session;

/// What a handler knows besides the request itself.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) core: Arc<BrokerCore>,
    pub(crate) session: Arc<Session>,
    /// The cluster as it was when the request came in.
    pub(crate) image: Arc<Image>,
    pub(crate) version: i16,
    /// What the client calls itself in this request.
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) failed: Failed,
}

/// Partitions that could not be opened for a request, until it takes them: then it hears why, and
/// the opening, which may have read much, is not done for it twice. Another request tries again.
#[derive(Debug, Default)]
pub(crate) struct Failed(Mutex<BTreeMap<(TopicId, i32), OpenPartitionError>>);

impl Failed {
    fn note(&self, failures: Vec<Failure>) {
        let failures = failures.into_iter();
        let failures = failures.map(|failure| ((failure.topic, failure.number), failure.error));
        self.0.lock().extend(failures);
    }

    fn take(&self, topic: TopicId, number: i32) -> Option<OpenPartitionError> {
        self.0.lock().remove(&(topic, number))
    }
}

impl Clone for Failed {
    /// Knows of none: what failed is told once.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Context {
    /// Whether the peer may do `operation` on `resource`.
    pub(crate) fn allows(&self, operation: AclOperation, resource: Resource<'_>) -> bool {
        let authorizer = self.core.authorizer();
        authorizer.allows(&self.session, operation, resource)
    }

    /// Whether the peer may do `operation` on the topic `name`.
    pub(crate) fn allows_topic(&self, operation: AclOperation, name: &str) -> bool {
        self.allows(operation, Resource::Topic(name))
    }

    /// What the peer may do on `resource` out of `operations`, as a field of bits.
    pub(crate) fn allowed_bits(&self, operations: &[AclOperation], resource: Resource<'_>) -> i32 {
        let allowed = |op: &&AclOperation| self.allows(**op, resource);
        operations
            .iter()
            .filter(allowed)
            .fold(0, |bits, op| bits | op.bit())
    }

    /// The configuration as this node sees it.
    pub(crate) fn config(&self) -> ConfigView<'_> {
        self.core.config(&self.image)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.core.timer().now()
    }

    /// Opens the partitions in `asked` that a restart left unopened, before the request takes them
    /// one by one.
    pub(crate) async fn open_together(&self, asked: impl Iterator<Item = (Arc<Topic>, i32)>) {
        let node = Some(self.core.node_id());
        let is_led =
            |topic: &Topic, number| topic.partition(number).is_some_and(|p| p.leader == node);
        let asked = asked.filter(|(topic, number)| is_led(topic, *number));
        let partitions = self.core.partitions();
        let failures = partitions.open_together(self.core.runtime(), asked).await;
        self.failed.note(failures);
    }

    /// The partition `number` of `topic`, which this broker leads; or why not.
    pub(crate) async fn partition(
        &self,
        topic: &Topic,
        number: i32,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let registration = topic.partition(number);
        let registration = registration.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if registration.leader != Some(self.core.node_id()) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let opened = match self.failed.take(topic.id, number) {
            Some(error) => Err(error),
            None => self.core.open_partition(topic, number).await,
        };
        match opened {
            Ok(partition) => Ok(partition),
            Err(error) => {
                let is_failure = matches!(error, OpenPartitionError::Log(_));
                if is_failure && let Some(more) = self.core.complaints().logs.pass() {
                    tracing::warn!(%error, more, "a request needs a log that cannot be opened");
                }
                Err(codes::of_open(&error))
            }
        }
    }

    /// Where the peer reaches `broker`, by the listener that it came in on; `None` where the
    /// broker has no listener of that name.
    pub(crate) fn endpoint(&self, broker: &Broker) -> Option<Endpoint> {
        self.core.endpoint_for(&self.session, broker)
    }
}

/// Does what `request` asks, and says what to answer. What that takes besides what was charged for
/// the request already goes to `charge`.
///
/// May be dropped while pending: the connection is gone then. What must not stop halfway runs as a
/// task of its own.
pub(crate) async fn handle(context: Context, request: Request, charge: &mut Charge) -> Reply {
    match request {
        Request::ApiVersions(request) => api_versions::handle(&context, &request).into(),
        Request::Produce(request) => produce::handle(context, request, charge).await,
        Request::Fetch(request) => fetch::handle(context, request, charge).await.into(),
        Request::ListOffsets(request) => list_offsets::handle(&context, &request).await.into(),
        Request::OffsetForLeaderEpoch(request) => {
            list_offsets::for_leader_epoch(&context, &request)
                .await
                .into()
        }
        Request::InitProducerId(request) => producer_ids::init(&context, &request).await.into(),
        Request::FindCoordinator(request) => {
            find_coordinator::handle(context, &request).await.into()
        }
        Request::Metadata(request) => metadata::handle(context, request).await.into(),
        other => handle_group(&context, other, charge).await,
    }
}

/// What members of groups ask, and what is asked about groups.
async fn handle_group(context: &Context, request: Request, charge: &mut Charge) -> Reply {
    match request {
        Request::JoinGroup(request) => groups::join(context, request, charge).await.into(),
        Request::SyncGroup(request) => groups::sync(context, request, charge).await.into(),
        Request::Heartbeat(request) => groups::heartbeat(context, &request).await,
        Request::LeaveGroup(request) => groups::leave(context, &request).await,
        Request::OffsetCommit(request) => groups::commit(context, &request).await,
        Request::OffsetFetch(request) => groups::fetch(context, request).await,
        Request::OffsetDelete(request) => groups::delete_offsets(context, &request).await,
        Request::DescribeGroups(request) => groups::describe(context, &request).await.into(),
        Request::ListGroups(request) => groups::list(context, &request).await.into(),
        Request::DeleteGroups(request) => groups::delete(context, &request).await.into(),
        other => handle_admin(context, other).await,
    }
}

/// What administrators and tools ask.
async fn handle_admin(context: &Context, request: Request) -> Reply {
    match request {
        Request::CreateTopics(request) => topics::create(context, &request).await.into(),
        Request::DeleteTopics(request) => topics::delete(context, &request).await.into(),
        Request::CreatePartitions(request) => {
            topics::create_partitions(context, &request).await.into()
        }
        Request::DeleteRecords(request) => delete_records::handle(context, &request).await.into(),
        Request::DescribeLogDirs(request) => log_dirs::handle(context, &request).await.into(),
        Request::DescribeConfigs(request) => configs::describe(context, &request).into(),
        Request::AlterConfigs(request) => configs::alter(context, &request).await.into(),
        Request::IncrementalAlterConfigs(request) => {
            configs::incremental_alter(context, &request).await.into()
        }
        Request::ListConfigResources(request) => configs::list(context, &request).into(),
        Request::DescribeProducers(request) => producers::describe(context, &request).await.into(),
        Request::GetTelemetrySubscriptions(request) => {
            telemetry::subscriptions(context, &request).into()
        }
        Request::PushTelemetry(request) => telemetry::push(&request).into(),
        Request::DescribeCluster(request) => cluster::describe(context, &request).into(),
        Request::DescribeQuorum(request) => cluster::describe_quorum(context, &request).into(),
        Request::ElectLeaders(request) => cluster::elect_leaders(context, &request).await.into(),
        Request::ListPartitionReassignments(request) => {
            cluster::list_reassignments(context, &request).into()
        }
        Request::DescribeTopicPartitions(request) => {
            describe_topics::handle(context, &request).into()
        }
        other => handle_security(context, &other),
    }
}

/// What is asked about protections that are not there.
fn handle_security(context: &Context, request: &Request) -> Reply {
    match request {
        Request::SaslHandshake(_) => security::sasl_handshake().into(),
        Request::SaslAuthenticate(_) => security::sasl_authenticate().into(),
        Request::DescribeAcls(_) => security::describe_acls(context).into(),
        Request::CreateAcls(request) => security::create_acls(context, request).into(),
        Request::DeleteAcls(request) => security::delete_acls(context, request).into(),
        Request::DescribeClientQuotas(request) => {
            security::describe_quotas(context, request).into()
        }
        Request::DescribeUserScramCredentials(request) => {
            security::describe_scram(context, request).into()
        }
        other => unserved(other.key()),
    }
}

fn unserved(key: ApiKey) -> Reply {
    tracing::error!(%key, "a request has no handler; this is a bug");
    Reply::Close("the request has no handler")
}

#[cfg(test)]
mod testing;
