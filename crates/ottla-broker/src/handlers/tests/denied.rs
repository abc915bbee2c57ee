//! What one who may do nothing is answered: Kafka's code in Kafka's place, and never a word on
//! whether what was asked for exists.

use ottla_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    DescribeQuorumRequest, DescribeTopicPartitionsRequest, DescribeUserScramCredentialsRequest,
    ElectLeadersRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest,
};
use ottla_protocol::{fetch, messages, produce};

use super::*;

const CLUSTER: i16 = ErrorCode::ClusterAuthorizationFailed.code();
const TOPIC: i16 = ErrorCode::TopicAuthorizationFailed.code();
const GROUP: i16 = ErrorCode::GroupAuthorizationFailed.code();

/// A name as long as [`HERE`] that no topic has.
const NOWHERE: &str = "b";

/// What asks about the topic `name`, in every API that can.
fn about(name: &str) -> Vec<Request> {
    vec![
        metadata(name).into(),
        describe_topic(name).into(),
        create_topic(name).into(),
        delete_topic(name).into(),
        create_partitions(name).into(),
        describe_configs(2, name).into(),
        alter_configs(2, name).into(),
        incremental_alter_configs(2, name).into(),
        list_offsets(name).into(),
        epochs(name).into(),
        delete_records(name).into(),
        producers(name).into(),
        log_dirs(name).into(),
        produce(name).into(),
        fetch(name).into(),
    ]
}

#[test]
fn a_denial_does_not_tell_whether_a_topic_exists() {
    let cluster = Cluster::denying();
    for (of_one, of_none) in about(HERE).into_iter().zip(about(NOWHERE)) {
        let api = api::find(of_one.key()).expect("it is served");
        for version in api.versions.clone() {
            let told = |request: &Request, name: &str| {
                let answer = cluster.ask(version, request.clone());
                let answer = answer.map(|a| format!("{a:?}")).unwrap_or_default();
                answer.replace(&format!("\"{name}\""), "NAME")
            };
            let (exists, is_not) = (told(&of_one, HERE), told(&of_none, NOWHERE));
            assert_eq!(exists, is_not, "{} v{version}", api.name());
        }
    }
}

#[test]
fn topics_are_refused_one_by_one() {
    let cluster = Cluster::denying();
    let created = ask!(cluster, 7, CreateTopics, create_topic(NOWHERE));
    assert_eq!(created.topics[0].error_code, TOPIC);
    assert_eq!(
        created.topics[0].error_message.as_deref(),
        Some("Authorization failed.")
    );
    let deleted = ask!(cluster, 6, DeleteTopics, delete_topic(HERE));
    assert_eq!(deleted.responses[0].error_code, TOPIC);
    assert_eq!(deleted.responses[0].topic_id, Uuid::nil());
    let grown = ask!(cluster, 3, CreatePartitions, create_partitions(HERE));
    assert_eq!(grown.results[0].error_code, TOPIC);
    assert_eq!(grown.results[0].error_message, None);
    let described = ask!(cluster, 0, DescribeTopicPartitions, describe_topic(HERE));
    assert_eq!(described.topics[0].error_code, TOPIC);
    assert_eq!(described.topics[0].topic_id, Uuid::nil());
    assert_eq!(described.topics[0].topic_authorized_operations, i32::MIN);
    let metadata = ask!(cluster, 12, Metadata, metadata(HERE));
    assert_eq!(metadata.topics[0].error_code, TOPIC);
    assert_eq!(metadata.topics[0].topic_id, Uuid::nil());
}

#[test]
fn lists_of_everything_leave_out_what_may_not_be_seen() {
    let cluster = Cluster::denying();
    for version in 1..=13 {
        let all = MetadataRequest::default();
        let metadata = ask!(cluster, version, Metadata, all);
        assert!(metadata.topics.is_empty(), "v{version}: {metadata:?}");
        assert_eq!(metadata.brokers.len(), 3);
    }
    let all = DescribeTopicPartitionsRequest::default();
    assert!(
        ask!(cluster, 0, DescribeTopicPartitions, all)
            .topics
            .is_empty()
    );
}

#[test]
fn ids_do_not_tell_names() {
    let cluster = Cluster::denying();
    let id = cluster.topic_id(HERE);
    let asked = MetadataRequest {
        topics: Some(
            [messages::MetadataRequestTopic {
                topic_id: id,
                name: None,
            }]
            .into(),
        ),
        ..Default::default()
    };
    let metadata = ask!(cluster, 12, Metadata, asked);
    assert_eq!(
        (metadata.topics[0].error_code, &metadata.topics[0].name),
        (TOPIC, &None)
    );
    let deletion = |topic_id| DeleteTopicsRequest {
        topics: [messages::DeleteTopicState {
            name: None,
            topic_id,
        }]
        .into(),
        ..Default::default()
    };
    let deleted = ask!(cluster, 6, DeleteTopics, deletion(id));
    assert_eq!(
        (deleted.responses[0].error_code, &deleted.responses[0].name),
        (TOPIC, &None)
    );
    let unknown = Uuid::from_bytes([7; 16]);
    let deleted = ask!(cluster, 6, DeleteTopics, deletion(unknown));
    assert_eq!(
        deleted.responses[0].error_code,
        ErrorCode::UnknownTopicId.code()
    );
}

#[test]
fn configs_are_refused_by_their_resource() {
    let cluster = Cluster::denying();
    for (kind, code) in [
        (2, TOPIC),
        (4, CLUSTER),
        (8, CLUSTER),
        (16, CLUSTER),
        (32, GROUP),
    ] {
        let name = if kind == 4 || kind == 8 { "1" } else { HERE };
        let described = ask!(cluster, 4, DescribeConfigs, describe_configs(kind, name));
        assert_eq!(described.results[0].error_code, code, "kind {kind}");
        assert!(described.results[0].configs.is_empty());
        assert_eq!(described.results[0].resource_type, kind);
    }
    for (kind, name, code) in [(2, HERE, TOPIC), (4, "1", CLUSTER), (4, "", CLUSTER)] {
        let altered = ask!(cluster, 2, AlterConfigs, alter_configs(kind, name));
        assert_eq!(altered.responses[0].error_code, code, "{kind} {name:?}");
        let request = incremental_alter_configs(kind, name);
        let altered = ask!(cluster, 1, IncrementalAlterConfigs, request);
        assert_eq!(altered.responses[0].error_code, code, "{kind} {name:?}");
    }
}

#[test]
fn what_is_the_clusters_is_refused_at_the_top() {
    let cluster = Cluster::denying();
    let quorum = DescribeQuorumRequest::default();
    assert_eq!(ask!(cluster, 2, DescribeQuorum, quorum).error_code, CLUSTER);
    let moving = ListPartitionReassignmentsRequest::default();
    assert_eq!(
        ask!(cluster, 0, ListPartitionReassignments, moving).error_code,
        CLUSTER
    );
    let scram = DescribeUserScramCredentialsRequest::default();
    assert_eq!(
        ask!(cluster, 0, DescribeUserScramCredentials, scram).error_code,
        CLUSTER
    );
    let acls = messages::DescribeAclsRequest::default();
    assert_eq!(ask!(cluster, 3, DescribeAcls, acls).error_code, CLUSTER);
    let creation = messages::CreateAclsRequest {
        creations: [messages::AclCreation::default()].into(),
    };
    assert_eq!(
        ask!(cluster, 3, CreateAcls, creation).results[0].error_code,
        CLUSTER
    );
    let deletion = messages::DeleteAclsRequest {
        filters: [messages::DeleteAclsFilter::default()].into(),
    };
    assert_eq!(
        ask!(cluster, 3, DeleteAcls, deletion).filter_results[0].error_code,
        CLUSTER
    );
    let resources = messages::ListConfigResourcesRequest::default();
    let resources = ask!(cluster, 1, ListConfigResources, resources);
    assert_eq!(resources.error_code, CLUSTER);
    assert!(resources.config_resources.is_empty());
    let quotas = messages::DescribeClientQuotasRequest::default();
    let quotas = ask!(cluster, 1, DescribeClientQuotas, quotas);
    assert_eq!((quotas.error_code, &quotas.entries), (CLUSTER, &None));
    // Who the brokers are is no secret; what the peer may do there is nothing.
    let asked = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        ..Default::default()
    };
    let described = ask!(cluster, 2, DescribeCluster, asked);
    assert_eq!(
        (
            described.error_code,
            described.cluster_authorized_operations
        ),
        (0, 0)
    );
}

#[test]
fn elections_are_refused_where_each_version_has_a_place_for_it() {
    let cluster = Cluster::denying();
    for version in 0..=2 {
        let request = ElectLeadersRequest {
            topic_partitions: Some(
                [messages::ElectLeadersTopic {
                    topic: text(HERE),
                    partitions: vec![0, 1],
                }]
                .into(),
            ),
            ..Default::default()
        };
        let refused = ask!(cluster, version, ElectLeaders, request);
        assert_eq!(refused.error_code, if version == 0 { 0 } else { CLUSTER });
        let partitions = &refused.replica_election_results[0].partition_result;
        let codes: Vec<i16> = partitions.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [CLUSTER, CLUSTER]);
    }
}

#[test]
fn records_are_refused_by_their_topic() {
    let cluster = Cluster::denying();
    let listed = ask!(cluster, 11, ListOffsets, list_offsets(HERE));
    assert_eq!(listed.topics[0].partitions[0].error_code, TOPIC);
    let ends = ask!(cluster, 4, OffsetForLeaderEpoch, epochs(HERE));
    assert_eq!(ends.topics[0].partitions[0].error_code, TOPIC);
    let deleted = ask!(cluster, 2, DeleteRecords, delete_records(HERE));
    assert_eq!(deleted.topics[0].partitions[0].error_code, TOPIC);
    let produced = ask!(cluster, 12, Produce, produce(HERE));
    assert_eq!(
        produced.responses[0].partition_responses[0].error_code,
        TOPIC
    );
    let fetched = ask!(cluster, 12, Fetch, fetch(HERE));
    assert_eq!(fetched.responses[0].partitions[0].error_code, TOPIC);
    let dirs = ask!(cluster, 5, DescribeLogDirs, log_dirs(HERE));
    assert_eq!((dirs.error_code, dirs.results.len()), (CLUSTER, 0));
}

#[test]
fn ids_and_coordinators_are_refused() {
    let cluster = Cluster::denying();
    let idempotent = ask!(cluster, 5, InitProducerId, InitProducerIdRequest::default());
    assert_eq!(idempotent.error_code, CLUSTER);
    let asked = FindCoordinatorRequest {
        coordinator_keys: [text("g")].into(),
        ..Default::default()
    };
    let found = ask!(cluster, 6, FindCoordinator, asked);
    assert_eq!(found.coordinators[0].error_code, GROUP);
}

fn metadata(name: &str) -> MetadataRequest {
    MetadataRequest {
        topics: Some(
            [messages::MetadataRequestTopic {
                topic_id: Uuid::nil(),
                name: Some(text(name)),
            }]
            .into(),
        ),
        include_topic_authorized_operations: true,
        ..Default::default()
    }
}

fn describe_topic(name: &str) -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: [messages::TopicRequest { name: text(name) }].into(),
        ..Default::default()
    }
}

fn create_topic(name: &str) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics: [messages::CreatableTopic {
            name: text(name),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    }
}

fn delete_topic(name: &str) -> DeleteTopicsRequest {
    DeleteTopicsRequest {
        topics: [messages::DeleteTopicState {
            name: Some(text(name)),
            ..Default::default()
        }]
        .into(),
        topic_names: [text(name)].into(),
        ..Default::default()
    }
}

fn create_partitions(name: &str) -> CreatePartitionsRequest {
    CreatePartitionsRequest {
        topics: [messages::CreatePartitionsTopic {
            name: text(name),
            count: 5,
            assignments: None,
        }]
        .into(),
        ..Default::default()
    }
}

fn describe_configs(kind: i8, name: &str) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources: [messages::DescribeConfigsResource {
            resource_type: kind,
            resource_name: text(name),
            configuration_keys: None,
        }]
        .into(),
        ..Default::default()
    }
}

fn alter_configs(kind: i8, name: &str) -> AlterConfigsRequest {
    AlterConfigsRequest {
        resources: [messages::AlterConfigsResource {
            resource_type: kind,
            resource_name: text(name),
            configs: [].into(),
        }]
        .into(),
        ..Default::default()
    }
}

fn incremental_alter_configs(kind: i8, name: &str) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest {
        resources: [messages::IncrementalAlterConfigsResource {
            resource_type: kind,
            resource_name: text(name),
            configs: [].into(),
        }]
        .into(),
        ..Default::default()
    }
}

fn list_offsets(name: &str) -> ListOffsetsRequest {
    ListOffsetsRequest {
        replica_id: -1,
        topics: [messages::ListOffsetsTopic {
            name: text(name),
            partitions: [messages::ListOffsetsPartition {
                timestamp: -1,
                ..Default::default()
            }]
            .into(),
        }]
        .into(),
        ..Default::default()
    }
}

fn epochs(name: &str) -> OffsetForLeaderEpochRequest {
    OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: [messages::OffsetForLeaderTopic {
            topic: text(name),
            partitions: [messages::OffsetForLeaderPartition::default()].into(),
        }]
        .into(),
    }
}

fn delete_records(name: &str) -> DeleteRecordsRequest {
    DeleteRecordsRequest {
        topics: [messages::DeleteRecordsTopic {
            name: text(name),
            partitions: [messages::DeleteRecordsPartition::default()].into(),
        }]
        .into(),
        ..Default::default()
    }
}

fn producers(name: &str) -> messages::DescribeProducersRequest {
    messages::DescribeProducersRequest {
        topics: [messages::DescribeProducersTopic {
            name: text(name),
            partition_indexes: vec![0],
        }]
        .into(),
    }
}

fn log_dirs(name: &str) -> DescribeLogDirsRequest {
    DescribeLogDirsRequest {
        topics: Some(
            [messages::DescribableLogDirTopic {
                topic: text(name),
                partitions: vec![0],
            }]
            .into(),
        ),
    }
}

fn produce(name: &str) -> produce::ProduceRequest {
    produce::ProduceRequest {
        acks: -1,
        topic_data: [produce::TopicProduceData {
            name: text(name),
            partition_data: [produce::PartitionProduceData::default()].into(),
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    }
}

fn fetch(name: &str) -> fetch::FetchRequest {
    fetch::FetchRequest {
        topics: [fetch::FetchTopic {
            topic: text(name),
            partitions: [fetch::FetchPartition::default()].into(),
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    }
}
