//! Who may do what: the question each handler asks before it answers.
//!
//! Which operation on which resource an API needs stands in the handlers, next to what they do
//! with the answer, because the shape of a denial differs from API to API.

use std::fmt;

use crate::session::Session;

/// Decides whether the peer of a session may do something.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Whether `session`'s principal may do `operation` on `resource`.
    fn allows(&self, session: &Session, operation: Operation, resource: Resource<'_>) -> bool;
}

/// What may be done, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
#[allow(missing_docs, reason = "Kafka's own words")]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

impl Operation {
    /// The operations on a topic that Metadata and its kin report.
    pub const OF_TOPIC: &[Self] = &[
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::DescribeConfigs,
        Self::AlterConfigs,
    ];
    /// The operations on the cluster that Metadata and DescribeCluster report.
    pub const OF_CLUSTER: &[Self] = &[
        Self::Create,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
    ];
    /// The operations on a consumer group that DescribeGroups reports.
    pub const OF_GROUP: &[Self] = &[Self::Read, Self::Delete, Self::Describe];

    /// Its bit in an authorized-operations field.
    #[must_use]
    pub const fn bit(self) -> i32 {
        1 << (self as i8)
    }
}

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
    fn allows(&self, _: &Session, _: Operation, _: Resource<'_>) -> bool {
        true
    }
}

/// Allows nothing. For tests of what a denied peer is answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct DenyAll;

impl Authorizer for DenyAll {
    fn allows(&self, _: &Session, _: Operation, _: Resource<'_>) -> bool {
        false
    }
}
