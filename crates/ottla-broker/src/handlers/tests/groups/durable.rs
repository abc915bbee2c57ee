//! Nobody is told of what a power cut could still take back.

use super::rebalance::over_a_disk;
use super::*;

fn describe(group: &str) -> m::DescribeGroupsRequest {
    m::DescribeGroupsRequest {
        groups: [text(group)].into(),
        ..Default::default()
    }
}

fn fetch(group: &str) -> m::OffsetFetchRequest {
    m::OffsetFetchRequest {
        groups: [m::OffsetFetchRequestGroup {
            group_id: text(group),
            topics: None,
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    }
}

#[test]
fn no_answer_leaves_before_it_is_durable() {
    let (vfs, _, alone) = over_a_disk();
    let member = alone.member("g");
    // Once more, when nothing is written: each of them is there without having to wait.
    let nobody = administrator("nobody");
    let requests: [(i16, Request); 6] = [
        (4, member.heartbeat().into()),
        (5, member.sync(&[]).into()),
        (9, fetch("g").into()),
        (5, describe("g").into()),
        (5, m::ListGroupsRequest::default().into()),
        // Refused: an administrator commits to no group that has members.
        (
            9,
            Member {
                group: text("g"),
                ..nobody
            }
            .commit(&[(1, 1)])
            .into(),
        ),
    ];
    for (version, request) in &requests {
        alone.at_once(*version, request.clone());
    }
    vfs.stall_syncs();
    let mut parked = vec![alone.park(9, member.commit(&[(0, 7)]))];
    for (version, request) in &requests {
        parked.push(alone.park(*version, request.clone()));
    }
    vfs.go_on();
    for parked in parked {
        alone.finish(parked);
    }
    for (version, request) in requests {
        alone.at_once(version, request);
    }
    assert_eq!(alone.committed("g"), [(0, 7)]);
}
