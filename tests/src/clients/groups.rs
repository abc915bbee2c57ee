//! Scenarios of consumer groups, which the harness directs: it fills a topic, starts members of a
//! group as processes of their own, lets them leave, kills them, stops the broker under them, and
//! judges what they say that they own, read and committed (`book`).
//!
//! A member is the client's runner with `MEMBER_GROUP` in its environment; `group` explains how
//! it is talked to.

mod book;
mod clock;
mod group;

use std::process::Command;

use self::group::{Group, How};
use super::Verdict;
use crate::{Error, broker::Broker};

/// The scenarios that the harness directs; a runner reports one only as not available.
const SCENARIOS: [(&str, Scenario); 6] = [
    ("group-members", members),
    ("group-cooperative", cooperative),
    ("group-static", static_members),
    ("group-pattern", pattern),
    ("group-restart", restart),
    ("group-kill", kill),
];

type Scenario = fn(&mut Group<'_>) -> Result<(), String>;

/// How a runner is started again as a member.
pub type Start<'a> = &'a dyn Fn() -> Result<Command, Error>;

/// Whether the harness directs the scenario `name`.
pub fn directs(name: &str) -> bool {
    name == clock::NAME || SCENARIOS.iter().any(|(known, _)| *known == name)
}

/// Runs the scenario `name`. What the members wrote besides goes to `remarks`.
pub fn run(
    name: &'static str,
    start: Start<'_>,
    broker: &mut Broker,
    remarks: &mut Vec<String>,
) -> Verdict {
    let (group, result) = if name == clock::NAME {
        match on_a_test_clock(start) {
            Ok(ended) => ended,
            Err(reason) => return Verdict::Fail(reason),
        }
    } else {
        let found = SCENARIOS.iter().find(|(known, _)| *known == name);
        let Some((_, scenario)) = found else {
            return Verdict::Fail("the harness does not know it".to_owned());
        };
        let mut group = Group::new(name, start, broker);
        let result = scenario(&mut group);
        (group, result)
    };
    let result = result.and_then(|()| group.check());
    match result {
        Ok(()) => Verdict::Ok,
        Err(reason) => {
            remarks.extend(
                group
                    .into_remarks()
                    .map(|remark| format!("{name}: {remark}")),
            );
            Verdict::Fail(reason)
        }
    }
}

/// The group, and how the scenario ended, on a broker in this process.
fn on_a_test_clock(start: Start<'_>) -> Result<(Group<'_>, Result<(), String>), String> {
    let host = clock::Host::start()?;
    let mut group = Group::at(clock::NAME, start, host.address()?);
    let result = host.session_ends(&mut group);
    Ok((group, result))
}

/// One joins, one leaves in order, one is killed; at the end all offsets are where they were left.
fn members(group: &mut Group<'_>) -> Result<(), String> {
    group.fill(6, 100)?;
    let session = How {
        session_ms: 3_000, // the time it takes to miss the one that is killed
        ..How::default()
    };
    let first = group.join(session)?;
    group.until_owned(&[(first, 6)])?;
    let second = group.join(session)?;
    group.until_owned(&[(first, 3), (second, 3)])?;
    let third = group.join(session)?;
    group.until_owned(&[(first, 2), (second, 2), (third, 2)])?;
    group.leave(third)?;
    group.until_owned(&[(first, 3), (second, 3)])?;
    group.kill(second);
    group.until_owned(&[(first, 6)])?;
    group.until_settled()?;
    group.leave(first)?;
    resumed(group)
}

/// A rebalance takes from a member only what another one gets.
fn cooperative(group: &mut Group<'_>) -> Result<(), String> {
    group.fill(6, 20)?;
    let how = How {
        cooperative: true,
        ..How::default()
    };
    let first = group.join(how)?;
    group.until_owned(&[(first, 6)])?;
    let second = group.join(how)?;
    group.until_owned(&[(first, 3), (second, 3)])?;
    group.expect_moves(first, 6, 3)?;
    group.leave(second)?;
    group.until_owned(&[(first, 6)])?;
    group.expect_moves(first, 9, 3)?;
    group.until_all_read()
}

/// A static member that comes back in time has what it had, and no other member is disturbed.
fn static_members(group: &mut Group<'_>) -> Result<(), String> {
    group.fill(6, 20)?;
    let how = |instance| How {
        instance: Some(instance),
        session_ms: 30_000, // nobody is to be missed
        ..How::default()
    };
    let first = group.join(how("one"))?;
    group.until_owned(&[(first, 6)])?;
    let second = group.join(how("two"))?;
    group.until_owned(&[(first, 3), (second, 3)])?;
    let (owned, moves) = (group.owned(first), group.moves(second));
    group.kill(first);
    let again = group.join(how("one"))?;
    group.until_owned(&[(again, 3), (second, 3)])?;
    if group.owned(again) != owned {
        let found = group.owned(again);
        return Err(format!("it came back to {found:?} instead of {owned:?}"));
    }
    if group.moves(second) != moves {
        return Err("the other member was disturbed".to_owned());
    }
    group.until_all_read()
}

/// A topic that appears later and matches is taken in.
fn pattern(group: &mut Group<'_>) -> Result<(), String> {
    group.fill_topic("group-pattern-1", 2, 20)?;
    let how = How {
        pattern: Some("^group-pattern-.*"),
        ..How::default()
    };
    let only = group.join(how)?;
    group.until_owned(&[(only, 2)])?;
    group.fill_topic("group-pattern-2", 2, 20)?;
    group.until_owned(&[(only, 4)])?;
    group.until_all_read()
}

fn restart(group: &mut Group<'_>) -> Result<(), String> {
    interrupted(group, Broker::restart)
}

fn kill(group: &mut Group<'_>) -> Result<(), String> {
    interrupted(group, Broker::kill)
}

/// The broker stops while two members commit and a third one takes partitions from them.
fn interrupted(
    group: &mut Group<'_>,
    how: fn(&mut Broker) -> Result<(), Error>,
) -> Result<(), String> {
    group.fill(6, 200)?;
    let first = group.join(How::default())?;
    let second = group.join(How::default())?;
    group.until_owned(&[(first, 3), (second, 3)])?;
    group.until_reads(60)?;
    let third = group.join(How::default())?;
    group.until_revoked(&[first, second])?;
    group.interrupt(how)?;
    group.until_owned(&[(first, 2), (second, 2), (third, 2)])?;
    group.until_settled()?;
    for member in [first, second, third] {
        group.leave(member)?;
    }
    resumed(group)
}

/// New records, and a new member that reads these and no others.
fn resumed(group: &mut Group<'_>) -> Result<(), String> {
    let ends = group.append(10)?;
    let last = group.join(How::default())?;
    group.until_all_read()?;
    group.expect_first_reads(last, &ends)
}
