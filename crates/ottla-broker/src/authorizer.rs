//! Who may do what: the question each handler asks before it answers.
//!
//! Which operation on which resource an API needs stands in the handlers, next to what they do
//! with the answer, because the shape of a denial differs from API to API.

use std::fmt;

pub use ottla_protocol::acl::AclOperation;

use crate::session::Session;

/// Decides whether the peer of a session may do something.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Whether `session`'s principal may do `operation` on `resource`.
    fn allows(&self, session: &Session, operation: AclOperation, resource: Resource<'_>) -> bool;
}

/// The operations on a topic that Metadata and its kin report.
pub(crate) const TOPIC_OPERATIONS: &[AclOperation] = &[
    AclOperation::Read,
    AclOperation::Write,
    AclOperation::Create,
    AclOperation::Delete,
    AclOperation::Alter,
    AclOperation::Describe,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
];
/// The operations on the cluster that Metadata and DescribeCluster report.
pub(crate) const CLUSTER_OPERATIONS: &[AclOperation] = &[
    AclOperation::Create,
    AclOperation::Alter,
    AclOperation::Describe,
    AclOperation::ClusterAction,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
    AclOperation::IdempotentWrite,
];

/// What something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic by its name.
    Topic(&'a str),
    /// A consumer group by its id.
    Group(&'a str),
    /// The cluster as a whole.
    Cluster,
    /// A transactional id.
    TransactionalId(&'a str),
}

/// Allows everything: a broker without access control.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Authorizer for AllowAll {
    fn allows(&self, _: &Session, _: AclOperation, _: Resource<'_>) -> bool {
        true
    }
}

/// Allows nothing. For tests of what a denied peer is answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct DenyAll;

impl Authorizer for DenyAll {
    fn allows(&self, _: &Session, _: AclOperation, _: Resource<'_>) -> bool {
        false
    }
}
