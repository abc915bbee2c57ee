//! What is refused, and how.

use super::*;

const NOT_COORDINATOR: i16 = ErrorCode::NotCoordinator.code();

#[test]
fn a_cluster_without_groups_makes_no_topic_for_those_who_only_look() {
    let alone = Alone::start();
    let none = administrator("g");
    assert_eq!(alone.heartbeat(&none), NOT_COORDINATOR);
    let synced = ask!(alone, 5, SyncGroup, none.sync(&[]));
    assert_eq!(synced.error_code, NOT_COORDINATOR);
    let left = ask!(
        alone,
        5,
        LeaveGroup,
        m::LeaveGroupRequest {
            group_id: text("g"),
            ..Default::default()
        }
    );
    assert_eq!(left.error_code, NOT_COORDINATOR);
    let listed = ask!(alone, 5, ListGroups, m::ListGroupsRequest::default());
    assert_eq!((listed.error_code, listed.groups.len()), (0, 0));
    let described = ask!(
        alone,
        6,
        DescribeGroups,
        m::DescribeGroupsRequest {
            groups: [text("g")].into(),
            ..Default::default()
        }
    );
    assert_eq!(described.groups[0].error_code, NOT_COORDINATOR);
    assert!(alone.image().topic("__consumer_offsets").is_none());
    // One who commits is there to stay.
    assert_eq!(alone.commit(&none, &[(0, 1)]), [0]);
    assert!(alone.image().topic("__consumer_offsets").is_some());
}

#[test]
fn members_of_nothing_are_refused_in_the_place_of_their_api() {
    let alone = Alone::start();
    alone.find("g");
    let nameless = administrator("");
    let invalid = ErrorCode::InvalidGroupId.code();
    let joined = ask!(alone, 9, JoinGroup, join("", "me"));
    assert_eq!((joined.error_code, &*joined.member_id), (invalid, "me"));
    assert_eq!((joined.generation_id, joined.protocol_name), (-1, None));
    let joined = ask!(alone, 6, JoinGroup, join("", "me"));
    assert_eq!(joined.protocol_name.as_deref(), Some(""));
    assert_eq!(alone.heartbeat(&nameless), invalid);
    let synced = ask!(alone, 5, SyncGroup, nameless.sync(&[]));
    assert_eq!(synced.error_code, invalid);
    let mut silent = nameless.sync(&[]);
    silent.protocol_name = None;
    let synced = ask!(alone, 5, SyncGroup, silent);
    let inconsistent = ErrorCode::InconsistentGroupProtocol.code();
    assert_eq!(synced.error_code, inconsistent);
    let mut hasty = join("g", "");
    hasty.session_timeout_ms = 5999;
    let joined = ask!(alone, 9, JoinGroup, hasty);
    assert_eq!(joined.error_code, ErrorCode::InvalidSessionTimeout.code());
}

#[test]
fn commits_are_refused_partition_by_partition() {
    let alone = Alone::start();
    alone.find("g");
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let mut request = administrator("g").commit(&[(0, 1), (6, 2)]);
    let other = administrator("g").commit(&[(0, 3)]);
    request
        .topics
        .extend(of_topic(other, "nowhere", Uuid::nil()).topics);
    let told = ask!(alone, 9, OffsetCommit, request.clone());
    let told: Vec<_> = told
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (&*t.name, p.partition_index, p.error_code))
        })
        .collect();
    let expected = [(TOPIC, 6, unknown), (TOPIC, 0, 0), ("nowhere", 0, unknown)];
    assert_eq!(told, expected);
    assert_eq!(alone.committed("g"), [(0, 1)]);
    // By ids: one of no topic.
    let request = of_topic(request, "", Uuid::from_bytes([7; 16]));
    let told = ask!(alone, 10, OffsetCommit, request);
    let code = ErrorCode::UnknownTopicId.code();
    assert!(
        told.topics
            .iter()
            .all(|t| t.partitions.iter().all(|p| p.error_code == code))
    );
}

#[test]
fn offsets_of_a_deleted_topic_are_gone() {
    let alone = Alone::start();
    let member = alone.member("g");
    alone.create("short-lived", 1);
    let request = of_topic(member.commit(&[(0, 7)]), "short-lived", Uuid::nil());
    let told = ask!(alone, 9, OffsetCommit, request);
    assert_eq!(told.topics[0].partitions[0].error_code, 0);
    assert_eq!(alone.commit(&member, &[(1, 1)]), [0]);
    alone.delete("short-lived");
    assert_eq!(alone.committed("g"), [(1, 1)]);
}

/// What is committed for these partitions of the topic, asked for by its name and by its id.
fn named(alone: &Alone, group: &str, partitions: &[i32]) -> [Vec<i64>; 2] {
    [
        (9, text(TOPIC), Uuid::nil()),
        (10, text(""), alone.topic_id()),
    ]
    .map(|(version, name, id)| {
        let topic = m::OffsetFetchRequestTopics {
            name,
            topic_id: id,
            partition_indexes: partitions.to_vec(),
        };
        let group = m::OffsetFetchRequestGroup {
            group_id: text(group),
            topics: Some([topic].into()),
            ..Default::default()
        };
        let request = m::OffsetFetchRequest {
            groups: [group].into(),
            ..Default::default()
        };
        let told = ask!(alone, version, OffsetFetch, request);
        let topics = &told.groups[0].topics;
        let partitions = topics.iter().flat_map(|topic| &topic.partitions);
        let told = partitions.map(|p| (p.error_code, p.committed_offset));
        told.inspect(|(code, _)| assert_eq!(*code, 0))
            .map(|(_, offset)| offset)
            .collect()
    })
}

#[test]
fn an_offset_of_a_former_topic_of_the_name_is_none() {
    let alone = Alone::start();
    let admin = administrator("g");
    alone.find("g");
    assert_eq!(alone.commit(&admin, &[(0, 1)]), [0]);
    assert_eq!(named(&alone, "g", &[0]), [[1], [1]]);
    // Who commits looks at the topics before the deletion, and is heard after it.
    let before = alone.context(9);
    alone.delete(TOPIC);
    alone.create(TOPIC, 6);
    let late = Alone::begin_in(before, admin.commit(&[(0, 7), (1, 8)]));
    let told = response!(alone.finish(late), OffsetCommit);
    assert!(told.topics[0].partitions.iter().all(|p| p.error_code == 0));
    assert_eq!(named(&alone, "g", &[0, 1]), [[-1, -1], [-1, -1]]);
    assert_eq!(alone.committed("g"), []);
    // What is committed for the topic that there is takes its place.
    assert_eq!(alone.commit(&admin, &[(1, 3)]), [0]);
    assert_eq!(named(&alone, "g", &[0, 1]), [[-1, 3], [-1, 3]]);
    assert_eq!(alone.committed("g"), [(1, 3)]);
}

#[test]
fn a_topic_of_groups_that_is_deleted_takes_its_groups_along() {
    let alone = Alone::start();
    let member = alone.member("g");
    alone.delete("__consumer_offsets");
    assert_eq!(alone.heartbeat(&member), NOT_COORDINATOR);
    alone.find("g");
    assert_eq!(alone.heartbeat(&member), ErrorCode::UnknownMemberId.code());
}

#[test]
fn one_who_may_do_nothing_learns_nothing_of_groups() {
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.authorizer = Arc::new(DenyAll);
    let broker = start_blocking(options).expect("it starts");
    let session = Arc::new(Session::in_process());
    let alone = Alone { broker, session };
    let denied = ErrorCode::GroupAuthorizationFailed.code();
    let peer = administrator("g");
    for version in 0..=9 {
        let joined = ask!(alone, version, JoinGroup, join("g", "me"));
        assert_eq!((joined.error_code, &*joined.member_id), (denied, ""));
    }
    assert_eq!(alone.heartbeat(&peer), denied);
    let synced = ask!(alone, 5, SyncGroup, peer.sync(&[]));
    assert_eq!(synced.error_code, denied);
    for version in 0..=5 {
        let request = m::LeaveGroupRequest {
            group_id: text("g"),
            ..Default::default()
        };
        let left = ask!(alone, version, LeaveGroup, request);
        assert_eq!((left.error_code, left.members.len()), (denied, 0));
    }
    assert_eq!(alone.commit(&peer, &[(0, 1), (9, 1)]), [denied, denied]);
    let listed = ask!(alone, 5, ListGroups, m::ListGroupsRequest::default());
    assert_eq!((listed.error_code, listed.groups.len()), (0, 0));
    let described = ask!(
        alone,
        6,
        DescribeGroups,
        m::DescribeGroupsRequest {
            groups: [text("g")].into(),
            include_authorized_operations: true,
        }
    );
    assert_eq!(described.groups[0].error_code, denied);
    let deleted = ask!(
        alone,
        3,
        DeleteGroups,
        m::DeleteGroupsRequest {
            groups_names: [text("g")].into(),
        }
    );
    assert_eq!(deleted.results[0].error_code, denied);
    let deleted = ask!(
        alone,
        0,
        OffsetDelete,
        m::OffsetDeleteRequest {
            group_id: text("g"),
            ..Default::default()
        }
    );
    assert_eq!(deleted.error_code, denied);
    assert!(alone.image().topic("__consumer_offsets").is_none());
}

#[test]
fn fetched_offsets_are_denied_where_each_version_has_a_place_for_it() {
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.authorizer = Arc::new(DenyAll);
    let broker = start_blocking(options).expect("it starts");
    let session = Arc::new(Session::in_process());
    let alone = Alone { broker, session };
    let denied = ErrorCode::GroupAuthorizationFailed.code();
    let topics = m::OffsetFetchRequestTopic {
        name: text(TOPIC),
        partition_indexes: vec![0],
    };
    let request = m::OffsetFetchRequest {
        group_id: text("g"),
        topics: Some([topics].into()),
        ..Default::default()
    };
    let told = ask!(alone, 1, OffsetFetch, request.clone());
    assert_eq!(told.topics[0].partitions[0].error_code, denied);
    for version in 2..=7 {
        let told = ask!(alone, version, OffsetFetch, request.clone());
        assert_eq!((told.error_code, told.topics.len()), (denied, 0));
    }
    for version in 8..=10 {
        let group = m::OffsetFetchRequestGroup {
            group_id: text("g"),
            topics: None,
            ..Default::default()
        };
        let request = m::OffsetFetchRequest {
            groups: [group].into(),
            ..Default::default()
        };
        let told = ask!(alone, version, OffsetFetch, request);
        assert_eq!(told.groups[0].error_code, denied);
    }
}

#[test]
fn a_shard_that_is_busy_holds_up_nobody_who_looks_for_one() {
    let alone = Alone::start();
    alone.find("g");
    let looked = alone.broker.core.groups().look(&alone.image(), "g", |_| {
        // The shard cannot be asked before this ends, and can be found.
        alone.find("g");
        alone.find("other");
    });
    assert_eq!(looked, Some(()));
}
