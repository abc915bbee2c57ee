//! Requests that are valid on the wire and odd otherwise: repeated, empty, negative, unknown.

use ottla_protocol::messages;

use super::*;

const INVALID: i16 = ErrorCode::InvalidRequest.code();

fn describe(resources: &[(i8, &str)]) -> messages::DescribeConfigsRequest {
    let resource = |&(kind, name): &(i8, &str)| messages::DescribeConfigsResource {
        resource_type: kind,
        resource_name: text(name),
        configuration_keys: None,
    };
    messages::DescribeConfigsRequest {
        resources: resources.iter().map(resource).collect(),
        include_synonyms: true,
        include_documentation: true,
    }
}

#[test]
fn a_resource_is_described_once_however_often_it_is_named() {
    let cluster = Cluster::open();
    let once = ask!(cluster, 4, DescribeConfigs, describe(&[(4, "1")]));
    assert!(once.results[0].configs.len() > 100);
    let often = ask!(cluster, 4, DescribeConfigs, describe(&[(4, "1"); 1000]));
    assert_eq!(often.results.len(), 1000);
    assert_eq!(often.results[0], once.results[0]);
    let rest = &often.results[1..];
    assert!(
        rest.iter()
            .all(|r| r.error_code == INVALID && r.configs.is_empty())
    );
}

#[test]
fn so_many_groups_are_described_at_a_time() {
    let cluster = Cluster::open();
    let most = cluster.core().limits().described_groups_max;
    let names: Vec<String> = (0..=most).map(|number| format!("group-{number}")).collect();
    let mut resources: Vec<(i8, &str)> = names.iter().map(|name| (32, &**name)).collect();
    resources.push((4, "1"));
    let described = ask!(cluster, 4, DescribeConfigs, describe(&resources));
    let codes: Vec<i16> = described.results.iter().map(|r| r.error_code).collect();
    let mut expected = vec![0; most];
    expected.extend([INVALID, 0]);
    assert_eq!(codes, expected);
}

#[test]
fn an_unknown_kind_of_resource_refuses_the_whole_request() {
    let cluster = Cluster::open();
    let described = ask!(
        cluster,
        4,
        DescribeConfigs,
        describe(&[(2, HERE), (3, "x")])
    );
    let codes: Vec<i16> = described.results.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [INVALID, INVALID]);
}

#[test]
fn brokers_and_loggers_are_described_by_this_node_only() {
    let cluster = Cluster::open();
    let asked = [(4, "2"), (4, "one"), (8, ""), (8, "2"), (8, "1"), (4, "")];
    let described = ask!(cluster, 4, DescribeConfigs, describe(&asked));
    let told = described.results.iter();
    let told = told.map(|r| (r.error_code, r.error_message.as_deref().unwrap_or("-")));
    let told: Vec<_> = told.collect();
    let other = "Unexpected broker id, expected 1 or empty string, but received 2";
    let expected = [
        (INVALID, other),
        (INVALID, "Broker id must be an integer, but it is: one"),
        (INVALID, "Broker id must not be empty"),
        (INVALID, "Unexpected broker id, expected 1 but received 2"),
        (0, ""),
        (0, ""),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_topic_is_told_once_however_often_it_is_named() {
    let cluster = Cluster::open();
    let named = |_| messages::MetadataRequestTopic {
        topic_id: Uuid::nil(),
        name: Some(text(HERE)),
    };
    let asked = messages::MetadataRequest {
        topics: Some((0..1000).map(named).collect()),
        ..Default::default()
    };
    let metadata = ask!(cluster, 13, Metadata, asked);
    assert_eq!(metadata.topics.len(), 1);
    assert_eq!(metadata.topics[0].partitions.len(), 2);
}

#[test]
fn a_page_begins_at_a_topic_that_is_asked_for() {
    let cluster = Cluster::open();
    let page = |topics: &[&str], cursor: (&str, i32)| {
        let name = |name: &&str| messages::TopicRequest { name: text(name) };
        let asked = messages::DescribeTopicPartitionsRequest {
            topics: topics.iter().map(name).collect(),
            response_partition_limit: -1,
            cursor: Some(messages::Cursor {
                topic_name: text(cursor.0),
                partition_index: cursor.1,
            }),
        };
        ask!(cluster, 0, DescribeTopicPartitions, asked)
    };
    for cursor in [(THERE, -1), ("other", 0), (HERE, i32::MIN)] {
        let refused = page(&[THERE], cursor);
        assert_eq!(refused.topics[0].error_code, INVALID, "{cursor:?}");
    }
    let first = page(&[], ("", 0));
    assert_eq!(first.topics[0].partitions.len(), 1, "one at least");
    let next = first.next_cursor.expect("there is more");
    assert_eq!((&**next.topic_name, next.partition_index), (HERE, 1));
    let past = page(&[], (HERE, i32::MAX));
    assert!(past.topics[0].partitions.is_empty());
}

#[test]
fn the_quorum_is_told_where_it_alone_is_asked_for() {
    let cluster = Cluster::open();
    let ask_for = |topics: &[(&str, &[i32])]| {
        let partition = |n: &i32| messages::DescribeQuorumPartition {
            partition_index: *n,
        };
        let topic = |&(name, numbers): &(&str, &[i32])| messages::DescribeQuorumTopic {
            topic_name: text(name),
            partitions: numbers.iter().map(partition).collect(),
        };
        let asked = messages::DescribeQuorumRequest {
            topics: topics.iter().map(topic).collect(),
        };
        let told = ask!(cluster, 2, DescribeQuorum, asked);
        let partitions = told.topics.into_iter().flat_map(|t| t.partitions);
        partitions.map(|p| p.error_code).collect::<Vec<_>>()
    };
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let metadata = crate::metadata::METADATA_TOPIC;
    assert_eq!(ask_for(&[(metadata, &[0])]), [0]);
    assert_eq!(ask_for(&[(metadata, &[0, 0])]), [unknown, unknown]);
    assert_eq!(ask_for(&[(metadata, &[1])]), [unknown]);
    assert_eq!(ask_for(&[(HERE, &[0])]), [unknown]);
}

#[test]
fn elections_of_too_many_partitions_or_long_names_stay_small() {
    let cluster = Cluster::open();
    let elect = |name: &str, count: i32| {
        let topic = messages::ElectLeadersTopic {
            topic: text(name),
            partitions: (0..count).collect(),
        };
        let asked = messages::ElectLeadersRequest {
            topic_partitions: Some([topic].into()),
            ..Default::default()
        };
        ask!(cluster, 2, ElectLeaders, asked)
    };
    let refused = elect(HERE, 10_001);
    assert_eq!(refused.error_code, ErrorCode::PolicyViolation.code());
    let long = elect(&"x".repeat(30_000), 3);
    let texts = long.replica_election_results[0].partition_result.iter();
    for text in texts.map(|p| p.error_message.as_deref().unwrap_or_default()) {
        assert!(text.len() < 300, "{} bytes", text.len());
    }
}
