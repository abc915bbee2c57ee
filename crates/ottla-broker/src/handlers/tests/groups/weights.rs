//! What answers take that tell of a group's state is known before they are made.

use crate::handlers::state_cost;

use super::*;

impl Alone {
    /// What is charged for telling the state's part of the answer, and how large that answer is.
    fn charged(&self, version: i16, request: impl Into<Request>) -> (u64, u64) {
        let (header, request) = over_the_wire(version, &request.into());
        let charged = state_cost::of(&self.context(version), &request);
        let response = self.ask(version, request).expect("it is answered");
        let encoded = encode_response(&header, &response).expect("it was encoded before");
        let bytes = encoded.segments.iter().map(|part| part.len() as u64);
        (charged, bytes.sum())
    }
}

fn all_of(groups: &[&str]) -> m::OffsetFetchRequest {
    let group = |name: &&str| m::OffsetFetchRequestGroup {
        group_id: text(name),
        topics: None,
        ..Default::default()
    };
    m::OffsetFetchRequest {
        groups: groups.iter().map(group).collect(),
        ..Default::default()
    }
}

#[test]
fn all_offsets_of_a_group_are_charged_once_and_in_every_version() {
    let alone = Alone::start();
    alone.find("group");
    let offsets: Vec<(i32, i64)> = (0..6).map(|p| (p, 7)).collect();
    alone.commit(&administrator("group"), &offsets);
    for version in 8..=9 {
        let (charged, answer) = alone.charged(version, all_of(&["group"]));
        assert!(
            charged >= answer && charged >= 6 * 512,
            "{charged} {answer}"
        );
        let (twice, _) = alone.charged(version, all_of(&["group", "group"]));
        assert_eq!(twice, charged);
        assert_eq!(alone.charged(version, all_of(&["nobody"])).0, 0);
    }
    for version in 2..=7 {
        let request = m::OffsetFetchRequest {
            group_id: text("group"),
            topics: None,
            ..Default::default()
        };
        let (charged, answer) = alone.charged(version, request);
        assert!(charged >= answer && charged > 0, "v{version}: {charged}");
    }
}

#[test]
fn members_and_groups_are_charged_by_what_they_say() {
    let alone = Alone::start();
    let member = alone.member("group");
    let describe = |names: &[&str]| m::DescribeGroupsRequest {
        groups: names.iter().map(|name| text(name)).collect(),
        ..Default::default()
    };
    for version in 0..=6 {
        let (charged, answer) = alone.charged(version, describe(&["group"]));
        let said = (member.id.len() + SUBSCRIPTION.len()) as u64;
        assert!(charged >= answer && charged >= 512 + said, "v{version}");
        assert_eq!(
            alone.charged(version, describe(&["group", "group"])).0,
            charged
        );
    }
    alone.commit(&administrator("another"), &[(0, 1)]);
    let (charged, answer) = alone.charged(5, m::ListGroupsRequest::default());
    assert!(charged >= answer && charged >= 2 * 512, "{charged}");
}

#[test]
fn producers_are_charged_by_the_partitions_that_know_them() {
    let alone = Alone::start();
    let describe = |numbers: &[i32]| m::DescribeProducersRequest {
        topics: [m::DescribeProducersTopic {
            name: text(TOPIC),
            partition_indexes: numbers.to_vec(),
        }]
        .into(),
    };
    // What a log knows is not known before it is open.
    let (unopened, _) = alone.charged(0, describe(&[0]));
    let (opened, answer) = alone.charged(0, describe(&[0]));
    assert!(unopened > opened && opened == 0 && answer > 0);
    let told = ask!(alone, 0, DescribeProducers, describe(&[0, 0]));
    let codes: Vec<i16> = told.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [0, ErrorCode::InvalidRequest.code()]);
}
