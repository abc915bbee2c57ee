//! Every API of groups, in every version that is served.

use super::*;

#[test]
fn a_member_lives_in_every_version() {
    let alone = Alone::start();
    for version in 0..=9_i16 {
        let group = format!("joined-with-v{version}");
        alone.find(&group);
        let id = match version {
            0..=3 => String::new(),
            _ => {
                let told = ask!(alone, version, JoinGroup, join(&group, ""));
                assert_eq!(told.error_code, ErrorCode::MemberIdRequired.code());
                told.member_id.to_string()
            }
        };
        let joined = ask!(alone, version, JoinGroup, join(&group, &id));
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (0, 1),
            "v{version}"
        );
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.members.len(), 1);
        assert_eq!(&*joined.members[0].metadata, SUBSCRIPTION);
        let named = (version >= 7).then_some("consumer");
        assert_eq!(joined.protocol_type.as_deref(), named);
        let member = Member {
            group: text(&group),
            id: joined.member_id,
            generation: 1,
        };
        let sync = version.min(5);
        let synced = ask!(alone, sync, SyncGroup, member.sync(&[(&member.id, b"six")]));
        assert_eq!((synced.error_code, &*synced.assignment), (0, &b"six"[..]));
        let beat = version.min(4);
        let beaten = ask!(alone, beat, Heartbeat, member.heartbeat());
        assert_eq!(beaten.error_code, 0, "v{beat}");
        let leave = version.min(5);
        let left = ask!(alone, leave, LeaveGroup, leaving(leave, &member));
        assert_eq!(left.error_code, 0, "v{leave}");
        let again = ask!(alone, leave, LeaveGroup, leaving(leave, &member));
        let unknown = ErrorCode::UnknownMemberId.code();
        match leave {
            0..=2 => assert_eq!(again.error_code, unknown, "v{leave}"),
            _ => assert_eq!(again.members[0].error_code, unknown, "v{leave}"),
        }
    }
}

fn leaving(version: i16, member: &Member) -> m::LeaveGroupRequest {
    let mut request = m::LeaveGroupRequest {
        group_id: member.group.clone(),
        ..Default::default()
    };
    match version {
        0..=2 => request.member_id = member.id.clone(),
        _ => request.members.push(m::MemberIdentity {
            member_id: member.id.clone(),
            ..Default::default()
        }),
    }
    request
}

#[test]
fn offsets_are_committed_and_fetched_in_every_version() {
    let alone = Alone::start();
    let id = alone.topic_id();
    let member = alone.member("g");
    for version in 2..=10_i16 {
        let offset = i64::from(version) * 100;
        let mut request = member.commit(&[(1, offset)]);
        if version == 10 {
            request = of_topic(request, "", id);
        }
        let told = ask!(alone, version, OffsetCommit, request);
        let topic = &told.topics[0];
        assert_eq!(topic.partitions[0].error_code, 0, "v{version}");
        assert_eq!(topic.topic_id == id, version == 10);
        assert_eq!(alone.committed("g"), [(1, offset)]);
    }
    for version in 1..=7_i16 {
        let told = ask!(alone, version, OffsetFetch, fetch_of_one("g"));
        assert_eq!(told.error_code, 0);
        let topic = &told.topics[0];
        assert_eq!(&*topic.name, TOPIC);
        let told: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.committed_offset, p.metadata.as_deref(), p.error_code))
            .collect();
        assert_eq!(
            told,
            [(1000, Some("note"), 0), (-1, Some(""), 0)],
            "v{version}"
        );
        assert_eq!(topic.partitions[0].committed_leader_epoch, 0);
    }
    for version in 8..=10_i16 {
        let told = ask!(alone, version, OffsetFetch, fetch_of_many(version, id));
        let codes: Vec<_> = told.groups.iter().map(|g| g.error_code).collect();
        assert_eq!(codes, [0, 0]);
        let topic = &told.groups[0].topics[0];
        assert_eq!(topic.topic_id == id, version == 10);
        let offsets = topic.partitions.iter().map(|p| p.committed_offset);
        assert_eq!(offsets.collect::<Vec<_>>(), [1000, -1], "v{version}");
        // A group that nobody has heard of has no offsets, and that is no error.
        assert!(told.groups[1].topics.is_empty());
    }
}

fn fetch_of_one(group: &str) -> m::OffsetFetchRequest {
    m::OffsetFetchRequest {
        group_id: text(group),
        topics: Some(
            [m::OffsetFetchRequestTopic {
                name: text(TOPIC),
                partition_indexes: vec![1, 2],
            }]
            .into(),
        ),
        ..Default::default()
    }
}

fn fetch_of_many(version: i16, id: Uuid) -> m::OffsetFetchRequest {
    let mut topic = m::OffsetFetchRequestTopics {
        partition_indexes: vec![1, 2],
        ..Default::default()
    };
    match version {
        10.. => topic.topic_id = id,
        _ => topic.name = text(TOPIC),
    }
    let group = |name: &str, topics| m::OffsetFetchRequestGroup {
        group_id: text(name),
        topics,
        ..Default::default()
    };
    m::OffsetFetchRequest {
        groups: [group("g", Some([topic].into())), group("unheard-of", None)].into(),
        ..Default::default()
    }
}

#[test]
fn administrators_see_groups_in_every_version() {
    let alone = Alone::start();
    let member = alone.member("g");
    for version in 0..=6_i16 {
        let request = m::DescribeGroupsRequest {
            groups: [text("g"), text("none")].into(),
            include_authorized_operations: version >= 3,
        };
        let told = ask!(alone, version, DescribeGroups, request);
        let (group, none) = (&told.groups[0], &told.groups[1]);
        assert_eq!(&*group.group_state, "Stable");
        assert_eq!(
            (&*group.protocol_type, &*group.protocol_data),
            ("consumer", "range")
        );
        assert_eq!(group.members[0].member_id, member.id);
        assert_eq!(&*group.members[0].client_id, "tester");
        assert_eq!(&*group.members[0].client_host, "/127.0.0.1");
        assert_eq!(&*group.members[0].member_assignment, b"all");
        let bits = if version >= 3 {
            0b1101_0100_1000
        } else {
            i32::MIN
        };
        assert_eq!(group.authorized_operations, bits, "v{version}");
        assert_eq!(&*none.group_state, "Dead");
        let code = if version >= 6 {
            ErrorCode::GroupIdNotFound
        } else {
            ErrorCode::None
        };
        assert_eq!(none.error_code, code.code(), "v{version}");
    }
    for version in 0..=5_i16 {
        let listed = list(&alone, version, &[], &[]);
        assert_eq!(listed, ["g consumer Stable classic"], "v{version}");
    }
    assert_eq!(
        list(&alone, 4, &["stable"], &[]),
        ["g consumer Stable classic"]
    );
    assert!(list(&alone, 4, &["Empty"], &[]).is_empty());
    assert_eq!(list(&alone, 5, &[], &["Classic"]).len(), 1);
    assert!(list(&alone, 5, &[], &["consumer"]).is_empty());
}

fn list(alone: &Alone, version: i16, states: &[&str], types: &[&str]) -> Vec<String> {
    let request = m::ListGroupsRequest {
        states_filter: states.iter().map(|s| text(s)).collect(),
        types_filter: types.iter().map(|s| text(s)).collect(),
    };
    let listed = ask!(alone, version, ListGroups, request);
    assert_eq!(listed.error_code, 0);
    let line = |g: &m::list_groups_response::ListedGroup| {
        let (name, kind) = (&*g.group_id.0, &*g.protocol_type);
        format!("{name} {kind} {} {}", &*g.group_state, &*g.group_type)
    };
    listed.groups.iter().map(line).collect()
}

#[test]
fn groups_and_offsets_are_deleted_in_every_version() {
    let alone = Alone::start();
    let member = alone.member("busy");
    for version in 0..=3_i16 {
        alone.find("old");
        assert_eq!(alone.commit(&administrator("old"), &[(0, 5)]), [0]);
        let request = m::DeleteGroupsRequest {
            groups_names: [text("old"), text("busy"), text("none"), text("old")].into(),
        };
        let told = ask!(alone, version, DeleteGroups, request);
        let told: Vec<_> = told
            .results
            .iter()
            .map(|r| (&*r.group_id, ErrorCode::from_code(r.error_code)))
            .collect();
        let expected = [
            ("old", Some(ErrorCode::None)),
            ("busy", Some(ErrorCode::NonEmptyGroup)),
            ("none", Some(ErrorCode::GroupIdNotFound)),
        ];
        assert_eq!(told, expected, "v{version}");
        assert!(alone.committed("old").is_empty());
    }
    assert_eq!(alone.commit(&member, &[(0, 5), (1, 6)]), [0, 0]);
    let request = |group: &str| m::OffsetDeleteRequest {
        group_id: text(group),
        topics: [m::OffsetDeleteRequestTopic {
            name: text(TOPIC),
            partitions: [0, 77]
                .map(|partition_index| m::OffsetDeleteRequestPartition { partition_index })
                .into(),
        }]
        .into(),
    };
    let told = ask!(alone, 0, OffsetDelete, request("busy"));
    assert_eq!(told.error_code, 0);
    let codes = told.topics[0].partitions.iter();
    let codes: Vec<_> = codes.map(|p| (p.partition_index, p.error_code)).collect();
    assert_eq!(
        codes,
        [(77, ErrorCode::UnknownTopicOrPartition.code()), (0, 0)]
    );
    assert_eq!(alone.committed("busy"), [(1, 6)]);
    let told = ask!(alone, 0, OffsetDelete, request("none"));
    assert_eq!(told.error_code, ErrorCode::GroupIdNotFound.code());
}

#[test]
fn coordinators_are_found_in_every_version() {
    let alone = Alone::start();
    assert!(alone.image().topic("__consumer_offsets").is_none());
    for version in 0..=3_i16 {
        let request = m::FindCoordinatorRequest {
            key: text("g"),
            ..Default::default()
        };
        let found = ask!(alone, version, FindCoordinator, request);
        assert_eq!((found.error_code, found.node_id.0), (0, 1), "v{version}");
    }
    for version in 4..=6_i16 {
        let request = m::FindCoordinatorRequest {
            coordinator_keys: [text("g"), text("h")].into(),
            ..Default::default()
        };
        let found = ask!(alone, version, FindCoordinator, request);
        let found = found.coordinators.iter();
        let found: Vec<_> = found
            .map(|c| (&*c.key, c.error_code, c.node_id.0))
            .collect();
        assert_eq!(found, [("g", 0, 1), ("h", 0, 1)]);
    }
    let image = alone.image();
    let topic = image.topic("__consumer_offsets").expect("it was made");
    assert_eq!(topic.partitions.len(), 50);
    let config = alone.broker.core.config(&image);
    let set = config
        .set_on_topic("__consumer_offsets")
        .expect("it has configs");
    let set: Vec<_> = set.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let expected = [
        "cleanup.policy=compact",
        "compression.type=producer",
        "segment.bytes=104857600",
    ];
    assert_eq!(set, expected);
}
