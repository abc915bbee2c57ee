//! The rows of the table, and what is made of them: the list of APIs, and the requests and
//! responses as one type each. To serve another API is to add its messages and a row here.

use bytes::Bytes;

use super::{Api, Listener};
use crate::acl::{AclOperation as Op, Need, ResourceType as On, Scope};
use crate::field::{EncodeError, Field, Form, Reader, Sink};
use crate::segments::Segments;
use crate::wire::Fault;
use crate::{ApiKey, api_versions, fetch, messages, produce};

const BROKER: &[Listener] = &[Listener::Broker];
const BOTH: &[Listener] = &[Listener::Broker, Listener::Controller];
/// No version is flexible.
const NEVER: i16 = i16::MAX;

const fn need(scope: Scope, resource: On, operation: Op) -> Need {
    Need {
        resource,
        operation,
        scope,
    }
}

/// Declares the table, one row for each API. A response is `own` where it is declared in a table
/// of fields, and `cold` where the independent codec writes it.
macro_rules! apis {
    ($($key:ident {
        versions: $versions:expr,
        $(advertised from: $advertised:literal,)?
        $(advertised: $shown:literal,)?
        flexible: $flexible:expr,
        listeners: $listeners:expr,
        needs: [$($scope:ident $resource:ident $operation:ident),*],
        request: $request:path,
        response: $codec:ident $response:path,
    })+) => {
        /// The APIs that are served, in the order of their keys.
        pub static APIS: &[Api] = &[$(Api {
            key: ApiKey::$key,
            versions: $versions,
            advertised_min: apis!(@or $versions $(, $advertised)?),
            advertised: apis!(@shown $($shown)?),
            flexible_from: $flexible,
            listeners: $listeners,
            needs: &[$(need(Scope::$scope, On::$resource, Op::$operation)),*],
            request: &<$request>::SHAPE,
        },)+];

        /// A request to any of the APIs that are served.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "a variant is the request of the API of its name")]
        pub enum Request {
            $($key($request),)+
        }

        impl Request {
            /// Which API it is for.
            #[must_use]
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Self::$key(_) => ApiKey::$key,)+
                }
            }

            /// Reads the body of a request to the API in the row `api` of the table.
            pub(crate) fn read(api: &Api, body: &Bytes, form: Form) -> Result<Self, Fault> {
                let mut input = Reader::new(body);
                match api.key {
                    $(ApiKey::$key => <$request>::read(&mut input, form).map(Self::$key),)+
                    // No row has another key.
                    _ => Err(Fault::Trailing(body.len())),
                }
            }

            /// Writes the body.
            pub(crate) fn write<S: Sink>(
                &self,
                out: &mut S,
                form: Form,
            ) -> Result<(), EncodeError> {
                match self {
                    $(Self::$key(request) => request.write(out, form),)+
                }
            }
        }

        $(impl From<$request> for Request {
            fn from(request: $request) -> Self {
                Self::$key(request)
            }
        })+

        /// A response of any of the APIs that are served.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "a variant is the response of the API of its name")]
        pub enum Response {
            $($key($response),)+
        }

        impl Response {
            /// Which API it is of.
            #[must_use]
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Self::$key(_) => ApiKey::$key,)+
                }
            }

            /// Writes the body.
            pub(crate) fn write(&self, out: &mut Segments, form: Form) -> Result<(), EncodeError> {
                match self {
                    $(Self::$key(response) => apis!(@write $codec response, out, form),)+
                }
            }
        }

        $(impl From<$response> for Response {
            fn from(response: $response) -> Self {
                Self::$key(response)
            }
        })+
    };
    (@or $versions:expr) => { *$versions.start() };
    (@or $versions:expr, $advertised:literal) => { $advertised };
    (@shown) => { true };
    (@shown $shown:literal) => { $shown };
    (@write own $response:ident, $out:ident, $form:ident) => { $response.write($out, $form) };
    (@write cold $response:ident, $out:ident, $form:ident) => {
        write_cold($response, $out, $form.version)
    };
}

/// Writes a response with the independent codec.
fn write_cold<R: kafka_protocol::protocol::Encodable>(
    response: &R,
    out: &mut Segments,
    version: i16,
) -> Result<(), EncodeError> {
    let written = response.encode(out.buffer(), version);
    written.map_err(|error| EncodeError::Cold(error.to_string()))
}

apis! {
    Produce {
        versions: 3..=13,
        // librdkafka takes the lowest version for what codecs it may use (KAFKA-18659).
        advertised from: 0,
        flexible: 9,
        listeners: BROKER,
        needs: [Entry Topic Write, Request TransactionalId Write],
        request: produce::ProduceRequest,
        response: own produce::ProduceResponse,
    }
    Fetch {
        versions: 4..=18,
        flexible: 12,
        listeners: BOTH,
        needs: [Entry Topic Read],
        request: fetch::FetchRequest,
        response: own fetch::FetchResponse,
    }
    ListOffsets {
        versions: 1..=11,
        flexible: 6,
        listeners: BROKER,
        needs: [Entry Topic Describe],
        request: messages::ListOffsetsRequest,
        response: own messages::ListOffsetsResponse,
    }
    Metadata {
        versions: 0..=13,
        flexible: 9,
        listeners: BROKER,
        needs: [Entry Topic Describe, Extra Cluster Create, Extra Topic Create],
        request: messages::MetadataRequest,
        response: cold messages::MetadataResponse,
    }
    OffsetCommit {
        versions: 2..=10,
        flexible: 8,
        listeners: BROKER,
        needs: [Request Group Read, Entry Topic Read],
        request: messages::OffsetCommitRequest,
        response: own messages::OffsetCommitResponse,
    }
    OffsetFetch {
        versions: 1..=10,
        flexible: 6,
        listeners: BROKER,
        needs: [Entry Group Describe, Entry Topic Describe],
        request: messages::OffsetFetchRequest,
        response: own messages::OffsetFetchResponse,
    }
    FindCoordinator {
        versions: 0..=6,
        flexible: 3,
        listeners: BROKER,
        needs: [Entry Group Describe, Entry TransactionalId Describe],
        request: messages::FindCoordinatorRequest,
        response: cold messages::FindCoordinatorResponse,
    }
    JoinGroup {
        versions: 0..=9,
        flexible: 6,
        listeners: BROKER,
        needs: [Request Group Read],
        request: messages::JoinGroupRequest,
        response: cold messages::JoinGroupResponse,
    }
    Heartbeat {
        versions: 0..=4,
        flexible: 4,
        listeners: BROKER,
        needs: [Request Group Read],
        request: messages::HeartbeatRequest,
        response: cold messages::HeartbeatResponse,
    }
    LeaveGroup {
        versions: 0..=5,
        flexible: 4,
        listeners: BROKER,
        needs: [Request Group Read],
        request: messages::LeaveGroupRequest,
        response: cold messages::LeaveGroupResponse,
    }
    SyncGroup {
        versions: 0..=5,
        flexible: 4,
        listeners: BROKER,
        needs: [Request Group Read],
        request: messages::SyncGroupRequest,
        response: cold messages::SyncGroupResponse,
    }
    DescribeGroups {
        versions: 0..=6,
        flexible: 5,
        listeners: BROKER,
        needs: [Entry Group Describe],
        request: messages::DescribeGroupsRequest,
        response: cold messages::DescribeGroupsResponse,
    }
    ListGroups {
        versions: 0..=5,
        flexible: 3,
        listeners: BROKER,
        needs: [Cover Cluster Describe, Entry Group Describe],
        request: messages::ListGroupsRequest,
        response: cold messages::ListGroupsResponse,
    }
    SaslHandshake {
        versions: 0..=1,
        flexible: NEVER,
        listeners: BOTH,
        needs: [],
        request: messages::SaslHandshakeRequest,
        response: cold messages::SaslHandshakeResponse,
    }
    ApiVersions {
        versions: 0..=5,
        flexible: 3,
        listeners: BOTH,
        needs: [],
        request: api_versions::ApiVersionsRequest,
        response: own api_versions::ApiVersionsResponse,
    }
    CreateTopics {
        versions: 2..=7,
        flexible: 5,
        listeners: BOTH,
        needs: [Cover Cluster Create, Entry Topic Create, Extra Topic DescribeConfigs],
        request: messages::CreateTopicsRequest,
        response: cold messages::CreateTopicsResponse,
    }
    DeleteTopics {
        versions: 1..=6,
        flexible: 4,
        listeners: BOTH,
        needs: [Entry Topic Describe, Entry Topic Delete],
        request: messages::DeleteTopicsRequest,
        response: cold messages::DeleteTopicsResponse,
    }
    DeleteRecords {
        versions: 0..=2,
        flexible: 2,
        listeners: BROKER,
        needs: [Entry Topic Delete],
        request: messages::DeleteRecordsRequest,
        response: cold messages::DeleteRecordsResponse,
    }
    InitProducerId {
        // Version 6 is not stable in Kafka 4.4 and not offered by it.
        versions: 0..=5,
        flexible: 2,
        listeners: BROKER,
        needs: [Request TransactionalId Write, Request Cluster IdempotentWrite],
        request: messages::InitProducerIdRequest,
        response: cold messages::InitProducerIdResponse,
    }
    OffsetForLeaderEpoch {
        versions: 2..=4,
        flexible: 4,
        listeners: BROKER,
        needs: [Entry Topic Describe],
        request: messages::OffsetForLeaderEpochRequest,
        response: cold messages::OffsetForLeaderEpochResponse,
    }
    DescribeAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Describe],
        request: messages::DescribeAclsRequest,
        response: cold messages::DescribeAclsResponse,
    }
    CreateAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
        request: messages::CreateAclsRequest,
        response: cold messages::CreateAclsResponse,
    }
    DeleteAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
        request: messages::DeleteAclsRequest,
        response: cold messages::DeleteAclsResponse,
    }
    DescribeConfigs {
        versions: 1..=4,
        flexible: 4,
        listeners: BOTH,
        needs: [Entry Topic DescribeConfigs, Entry Cluster DescribeConfigs],
        request: messages::DescribeConfigsRequest,
        response: cold messages::DescribeConfigsResponse,
    }
    AlterConfigs {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [Entry Topic AlterConfigs, Entry Cluster AlterConfigs],
        request: messages::AlterConfigsRequest,
        response: cold messages::AlterConfigsResponse,
    }
    DescribeLogDirs {
        versions: 1..=5,
        flexible: 2,
        listeners: BROKER,
        needs: [Request Cluster Describe],
        request: messages::DescribeLogDirsRequest,
        response: own messages::DescribeLogDirsResponse,
    }
    SaslAuthenticate {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [],
        request: messages::SaslAuthenticateRequest,
        response: cold messages::SaslAuthenticateResponse,
    }
    CreatePartitions {
        versions: 0..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Entry Topic Alter],
        request: messages::CreatePartitionsRequest,
        response: cold messages::CreatePartitionsResponse,
    }
    DeleteGroups {
        versions: 0..=3,
        flexible: 2,
        listeners: BROKER,
        needs: [Entry Group Delete],
        request: messages::DeleteGroupsRequest,
        response: own messages::DeleteGroupsResponse,
    }
    ElectLeaders {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
        request: messages::ElectLeadersRequest,
        response: cold messages::ElectLeadersResponse,
    }
    IncrementalAlterConfigs {
        versions: 0..=1,
        flexible: 1,
        listeners: BOTH,
        needs: [Entry Topic AlterConfigs, Entry Cluster AlterConfigs],
        request: messages::IncrementalAlterConfigsRequest,
        response: cold messages::IncrementalAlterConfigsResponse,
    }
    ListPartitionReassignments {
        versions: 0..=0,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
        request: messages::ListPartitionReassignmentsRequest,
        response: cold messages::ListPartitionReassignmentsResponse,
    }
    OffsetDelete {
        versions: 0..=0,
        flexible: NEVER,
        listeners: BROKER,
        needs: [Request Group Delete, Entry Topic Read],
        request: messages::OffsetDeleteRequest,
        response: cold messages::OffsetDeleteResponse,
    }
    DescribeClientQuotas {
        versions: 0..=1,
        flexible: 1,
        listeners: BROKER,
        needs: [Request Cluster DescribeConfigs],
        request: messages::DescribeClientQuotasRequest,
        response: cold messages::DescribeClientQuotasResponse,
    }
    DescribeUserScramCredentials {
        versions: 0..=0,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
        request: messages::DescribeUserScramCredentialsRequest,
        response: cold messages::DescribeUserScramCredentialsResponse,
    }
    DescribeQuorum {
        versions: 0..=2,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
        request: messages::DescribeQuorumRequest,
        response: cold messages::DescribeQuorumResponse,
    }
    DescribeCluster {
        versions: 0..=2,
        flexible: 0,
        listeners: BOTH,
        needs: [Extra Cluster Describe],
        request: messages::DescribeClusterRequest,
        response: cold messages::DescribeClusterResponse,
    }
    DescribeProducers {
        versions: 0..=0,
        flexible: 0,
        listeners: BROKER,
        needs: [Entry Topic Read],
        request: messages::DescribeProducersRequest,
        response: cold messages::DescribeProducersResponse,
    }
    // Kafka answers these two always, and names them only where a plugin takes metrics: a client
    // that finds them would ask on every connection for nothing.
    GetTelemetrySubscriptions {
        versions: 0..=0,
        advertised: false,
        flexible: 0,
        listeners: BROKER,
        needs: [],
        request: messages::GetTelemetrySubscriptionsRequest,
        response: cold messages::GetTelemetrySubscriptionsResponse,
    }
    PushTelemetry {
        versions: 0..=0,
        advertised: false,
        flexible: 0,
        listeners: BROKER,
        needs: [],
        request: messages::PushTelemetryRequest,
        response: cold messages::PushTelemetryResponse,
    }
    ListConfigResources {
        versions: 0..=1,
        flexible: 0,
        listeners: BROKER,
        needs: [Request Cluster DescribeConfigs],
        request: messages::ListConfigResourcesRequest,
        response: cold messages::ListConfigResourcesResponse,
    }
    DescribeTopicPartitions {
        versions: 0..=0,
        flexible: 0,
        listeners: BROKER,
        needs: [Entry Topic Describe],
        request: messages::DescribeTopicPartitionsRequest,
        response: cold messages::DescribeTopicPartitionsResponse,
    }
}
