//! The topic that groups are kept in, however it comes to be.

use super::*;
use crate::groups::OFFSETS_TOPIC;

fn metadata_of(name: &str) -> m::MetadataRequest {
    m::MetadataRequest {
        topics: Some(
            [m::MetadataRequestTopic {
                name: Some(text(name)),
                ..Default::default()
            }]
            .into(),
        ),
        allow_auto_topic_creation: true,
        ..Default::default()
    }
}

fn config_of(alone: &Alone, key: &str) -> Option<String> {
    let request = m::DescribeConfigsRequest {
        resources: [m::DescribeConfigsResource {
            resource_type: 2,
            resource_name: text(OFFSETS_TOPIC),
            configuration_keys: Some([text(key)].into()),
        }]
        .into(),
        ..Default::default()
    };
    let told = ask!(alone, 4, DescribeConfigs, request);
    let value = told.results[0].configs[0].value.as_ref();
    value.map(ToString::to_string)
}

#[test]
fn whoever_only_asks_for_it_gets_the_one_that_keeps_groups() {
    let alone = Alone::start();
    let told = ask!(alone, 12, Metadata, metadata_of(OFFSETS_TOPIC));
    let topic = &told.topics[0];
    assert_eq!((topic.error_code, topic.is_internal), (0, true));
    assert_eq!(topic.partitions.len(), 50);
    let policy = config_of(&alone, "cleanup.policy");
    assert_eq!(policy.as_deref(), Some("compact"));
}

#[test]
fn what_no_coordinator_keeps_yet_is_not_made() {
    let alone = Alone::start();
    for name in ["__transaction_state", "__share_group_state"] {
        let told = ask!(alone, 12, Metadata, metadata_of(name));
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(told.topics[0].error_code, unknown, "{name}");
        assert!(alone.image().topic(name).is_none(), "{name}");
    }
}
