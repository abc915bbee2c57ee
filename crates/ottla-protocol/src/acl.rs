//! The words of authorisation: which operation on what kind of resource (KIP-11), with their
//! numbers on the wire, and in which way a request needs one.

use crate::ErrorCode;

/// A kind of thing that an operation can be allowed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
#[non_exhaustive]
pub enum ResourceType {
    /// A topic, by name.
    Topic = 2,
    /// A consumer group, by id.
    Group = 3,
    /// The cluster as a whole; its resource name is always `kafka-cluster`.
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
    /// A delegation token, by id.
    DelegationToken = 6,
    /// A user, by name.
    User = 7,
}

impl ResourceType {
    /// The code that says "not authorised" for a resource of this kind.
    #[must_use]
    pub const fn denial(self) -> ErrorCode {
        match self {
            Self::Topic => ErrorCode::TopicAuthorizationFailed,
            Self::Group => ErrorCode::GroupAuthorizationFailed,
            Self::Cluster | Self::User => ErrorCode::ClusterAuthorizationFailed,
            Self::TransactionalId => ErrorCode::TransactionalIdAuthorizationFailed,
            Self::DelegationToken => ErrorCode::DelegationTokenAuthorizationFailed,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        self as i8
    }
}

/// What is done to a resource. The number is also the bit in an authorized-operations field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are Kafka's and say it")]
pub enum AclOperation {
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
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

impl AclOperation {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        self as i8
    }

    /// The operation's bit in an authorized-operations field.
    #[must_use]
    pub const fn bit(self) -> i32 {
        1 << self.code()
    }
}

/// One thing that a request must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// On what kind of resource.
    pub resource: ResourceType,
    /// What is done to it.
    pub operation: AclOperation,
    /// For which part of the request, and what a denial does.
    pub scope: Scope,
}

/// For which part of a request something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the request as a whole; denied, all of it is refused with [`ResourceType::denial`].
    Request,
    /// For each resource that the request names; denied, that entry answers
    /// [`ResourceType::denial`] and the others are not affected. A resource that is not named
    /// ("all topics") is left out without a word, and one named by id is answered as unknown.
    Entry,
    /// Granted, it stands for all the entries at once; denied, the needs of the entries decide.
    Cover,
    /// Granted, the answer holds or does more; denied, it does not, and is otherwise the same.
    Extra,
}
