//! Kafka's error codes: number, name, whether a client may simply try again, and a text.
//!
//! The numbers and names are the protocol's; the texts are ours and say what a user can do where
//! there is something to do. This module does not map errors of the log or of the machines to
//! codes: whoever answers a request does that.

use std::fmt;

/// Declares the codes, one line each: variant, number, name, `retry` where Kafka's own clients
/// treat the code as retriable, and the text.
macro_rules! codes {
    ($(
        $(#[$meta:meta])*
        $variant:ident = $code:literal, $name:literal, $retry:ident, $text:literal;
    )+) => {
        /// The result of a request, of one of its topics, or of one of its partitions.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $text] $(#[$meta])* $variant = $code,)+
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code with this number; `None` where Kafka 4.4 knows none.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Kafka's name of the code, for example `NOT_LEADER_OR_FOLLOWER`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, as one sentence without a full stop.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Whether a client that gets the code may send the same request again, perhaps to
            /// another broker, and expect it to succeed.
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(Self::$variant => codes!(@retry $retry),)+
                }
            }
        }
    };
    (@retry retry) => { true };
    (@retry no) => { false };
}

codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", no,
        "the broker failed in a way that has no code of its own; its log says more";
    #[default]
    None = 0, "NONE", no,
        "no error";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", no,
        "the offset is below the log's start or above its end";
    CorruptMessage = 2, "CORRUPT_MESSAGE", retry,
        "the record batch does not match its checksum or has no valid structure";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retry,
        "this broker knows no such topic or partition";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", no,
        "the fetch size is not valid";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retry,
        "the partition has no leader at the moment";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retry,
        "this broker does not lead the partition, or holds no replica of it";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retry,
        "the request was not finished within its time";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", no,
        "the broker is not available";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retry,
        "the replica of this partition is not available on this broker";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", no,
        "the record batch is larger than max.message.bytes of its topic";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", no,
        "the controller moved to another broker";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", no,
        "the metadata text of the offset commit is too long";
    NetworkException = 13, "NETWORK_EXCEPTION", retry,
        "the connection ended before the response arrived";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retry,
        "the coordinator is still loading its state";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retry,
        "the coordinator is not available";
    NotCoordinator = 16, "NOT_COORDINATOR", retry,
        "this broker is not the coordinator asked for";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", no,
        "the topic's name is not valid, or its kind does not allow the operation";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", no,
        "the record batch is larger than a segment of its topic may be";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retry,
        "too few replicas are in sync (min.insync.replicas); nothing was written";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retry,
        "the records were written, but to fewer in-sync replicas than asked for";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", no,
        "acks must be -1, 0 or 1";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", no,
        "the generation is not the group's current one";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", no,
        "the member's protocol type or protocols do not fit those of the group";
    InvalidGroupId = 24, "INVALID_GROUP_ID", no,
        "the group id is not valid";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", no,
        "the group has no member with this id";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", no,
        "the session timeout is outside the range that the broker allows";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", no,
        "the group is rebalancing; the member must join again";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", no,
        "the offset commit is too large to be stored";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", no,
        "not authorised for this topic";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", no,
        "not authorised for this group";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", no,
        "not authorised for this operation on the cluster";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", no,
        "the record's timestamp is outside the range that its topic allows";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", no,
        "the broker does not offer this SASL mechanism";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", no,
        "the request does not fit the state of the authentication";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", no,
        "the broker does not support this version of the request";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", no,
        "a topic with this name exists already";
    InvalidPartitions = 37, "INVALID_PARTITIONS", no,
        "the number of partitions is not valid";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", no,
        "the replication factor is below 1 or above the number of live brokers";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", no,
        "the replica assignment is not valid";
    InvalidConfig = 40, "INVALID_CONFIG", no,
        "the configuration is not valid";
    NotController = 41, "NOT_CONTROLLER", retry,
        "this broker is not the active controller";
    InvalidRequest = 42, "INVALID_REQUEST", no,
        "the request contradicts itself or the protocol";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", no,
        "the format of the stored records does not support the request";
    PolicyViolation = 44, "POLICY_VIOLATION", no,
        "the request violates a policy of the broker";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", no,
        "the producer's sequence number does not follow the last one";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", no,
        "the producer's sequence number was used before";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", no,
        "the producer's epoch is older than the current one";
    InvalidTxnState = 48, "INVALID_TXN_STATE", no,
        "the transaction is not in a state that allows the operation";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", no,
        "the producer id does not belong to this transactional id";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", no,
        "the transaction timeout is above transaction.max.timeout.ms";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retry,
        "another operation on this transaction is still under way";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", no,
        "the marker comes from a coordinator that was replaced";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", no,
        "not authorised for this transactional id";
    SecurityDisabled = 54, "SECURITY_DISABLED", no,
        "the broker has no authorizer, so there are no ACLs";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", no,
        "the operation was not tried, because another part of the request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retry,
        "the partition's storage failed; the broker's log says how";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", no,
        "the broker has no such log directory";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", no,
        "the authentication failed";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", no,
        "the broker holds no state of this producer id";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", no,
        "a reassignment of the partition is under way";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", no,
        "delegation tokens are switched off";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", no,
        "there is no such delegation token";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", no,
        "the principal neither owns the delegation token nor may renew it";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", no,
        "requests about delegation tokens need an authenticated connection";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", no,
        "not authorised for this delegation token";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", no,
        "the delegation token has expired";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", no,
        "principals of this type are not supported";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", no,
        "the group still has members";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", no,
        "there is no group with this id";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retry,
        "the broker does not know this fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retry,
        "the epoch of the fetch session is not the expected one";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retry,
        "the leader has no listener by the name of the one the request came in on";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", no,
        "delete.topic.enable is false on this broker";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retry,
        "the client's leader epoch is older than the broker's";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retry,
        "the client's leader epoch is newer than the broker's";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", no,
        "this version of the request does not allow the records' compression";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", no,
        "the epoch of the broker is no longer the current one";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retry,
        "the new leader cannot tell the offset yet";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", no,
        "the member must join again with the id that it was just given";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retry,
        "the preferred leader is not available";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", no,
        "the group is full";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", no,
        "another member took over this group instance id";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retry,
        "no replica is eligible to become the leader";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retry,
        "the partition needs no election";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", no,
        "no reassignment of the partition is under way";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", no,
        "the group is subscribed to the topic";
    InvalidRecord = 87, "INVALID_RECORD", no,
        "the broker's checks refuse the record";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retry,
        "the offset is part of a transaction that is still open";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retry,
        "the quota is used up";
    ProducerFenced = 90, "PRODUCER_FENCED", no,
        "a newer producer uses the same transactional id";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", no,
        "there is no such resource";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", no,
        "the request names the same resource twice";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", no,
        "the credential does not meet the rules";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", no,
        "the voters that the two sides know are not the same";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", no,
        "the version of the update is not valid";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", no,
        "the features could not be changed";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", no,
        "the principal of a forwarded request could not be read";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", no,
        "there is no such snapshot";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", no,
        "the position lies outside the snapshot";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retry,
        "this broker knows no topic with this id";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", no,
        "the broker id is in use by a live broker";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", no,
        "no broker is registered with this id";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retry,
        "the topic id in the request is not the one of the log";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", no,
        "the cluster id in the request is not the one of this cluster";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", no,
        "there is no such transactional id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retry,
        "the fetch session mixes topic ids and topic names";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", no,
        "a replica of the new ISR is not eligible";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", no,
        "the partition's state was changed, and with it the leader";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", no,
        "the offset was moved to tiered storage";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", no,
        "the member's epoch is fenced; it must give up its partitions and rejoin";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", no,
        "another member still uses the instance id";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", no,
        "the broker does not know the assignor";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", no,
        "the member's epoch is out of date; it must heartbeat before it tries again";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", no,
        "the request was sent to an endpoint of another type";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", no,
        "endpoints of this type are not supported";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", no,
        "no controller is known by this id";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", no,
        "the telemetry subscription is unknown or out of date";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", no,
        "the telemetry is larger than the broker accepts";
    InvalidRegistration = 119, "INVALID_REGISTRATION", no,
        "the controller refuses the registration";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", no,
        "the transaction failed; abort it to go on with this transactional id";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", no,
        "the record is not in a state that allows the acknowledgement";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retry,
        "the broker does not know this share session";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retry,
        "the epoch of the share session is not the expected one";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", no,
        "the state epoch is not the coordinator's";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", no,
        "the voter key is not the receiving replica's";
    DuplicateVoter = 126, "DUPLICATE_VOTER", no,
        "the voter is one already";
    VoterNotFound = 127, "VOTER_NOT_FOUND", no,
        "there is no such voter";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", no,
        "the regular expression is not valid";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", no,
        "the client takes this broker for another one; it must bootstrap again";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", no,
        "the topology is not valid";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", no,
        "the epoch of the topology is not valid";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", no,
        "the epoch of the topology is out of date";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retry,
        "the broker holds as many share sessions as it may";
    GroupDeletionFailed = 134, "GROUP_DELETION_FAILED", no,
        "the group could not be deleted; its own message says why";
    StreamsTopologyDescriptionUpdateFailed = 135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", no,
        "the description of the topology could not be updated";
    ControllerIdNotRegistered = 136, "CONTROLLER_ID_NOT_REGISTERED", no,
        "no controller with this id is registered";
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_read_back() {
        for (expected, code) in (-1..).zip(ErrorCode::ALL) {
            assert_eq!(code.code(), expected, "{code:?}");
            assert_eq!(ErrorCode::from_code(expected), Some(*code));
        }
        assert_eq!(ErrorCode::ALL.len(), 138);
        assert_eq!(ErrorCode::from_code(137), None);
        assert_eq!(ErrorCode::default(), ErrorCode::None);
    }

    #[test]
    fn names_are_the_variants_in_capitals() {
        for code in ErrorCode::ALL {
            let folded = code.name().replace('_', "").to_lowercase();
            assert_eq!(folded, format!("{code:?}").to_lowercase());
        }
    }

    #[test]
    fn texts_differ() {
        let mut texts: Vec<&str> = ErrorCode::ALL.iter().map(|c| c.message()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn an_independent_table_agrees_on_what_to_retry() {
        use kafka_protocol::ResponseError;
        let differs = |code: &&ErrorCode| {
            let theirs = ResponseError::try_from_code(code.code());
            let known = theirs.filter(|t| !matches!(t, ResponseError::Unknown(_)));
            known.is_some_and(|t| t.is_retriable() != code.is_retriable())
        };
        let found: Vec<&ErrorCode> = ErrorCode::ALL.iter().filter(differs).collect();
        // Kafka made this one retriable after that table was written.
        assert_eq!(found, [&ErrorCode::ConcurrentTransactions]);
    }
}
