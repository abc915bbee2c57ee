//! Consumer groups of the classic protocol: their members, and what administrators ask.

use serde_json::{Value, json};

use super::{Result, every};
use crate::{
    Error,
    differential::{codec::bytes, recorder::Recorder},
};

/// A consumer's subscription to the topic `orders`, as the protocol `consumer` has it.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff";
/// Another one, to no topic.
const OTHER: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";
/// Its partition 0.
const ASSIGNMENT: &[u8] = b"\0\0\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";

/// Finds the coordinator and waits until it has loaded its groups, which takes Kafka a moment.
pub(super) fn ready(r: &Recorder, group: &str) -> Result {
    for _ in 0..10_000 {
        let found = r.ask("FindCoordinator", 2, &json!({"key": group}))?;
        let asked = json!({"groupId": group, "topics": []});
        let fetched = r.ask("OffsetFetch", 2, &asked)?;
        if found["errorCode"] == 0 && fetched["errorCode"] == 0 {
            return Ok(());
        }
    }
    Err(Error::failed("no coordinator"))
}

pub(super) fn join(group: &str, member: &str) -> Value {
    json!({"groupId": group, "sessionTimeoutMs": 30_000, "rebalanceTimeoutMs": 60_000,
           "memberId": member, "protocolType": "consumer",
           "protocols": [{"name": "range", "metadata": bytes(SUBSCRIPTION)}]})
}

/// A member in a generation.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) generation: i64,
}

impl Member {
    fn of(group: &str, joined: &Value) -> std::result::Result<Self, Error> {
        match (joined["memberId"].as_str(), joined["generationId"].as_i64()) {
            (Some(id), Some(generation)) if joined["errorCode"] == 0 => Ok(Self {
                group: group.to_owned(),
                id: id.to_owned(),
                generation,
            }),
            _ => Err(Error::failed(format!("nobody joined: {joined}"))),
        }
    }

    fn asks(&self) -> Value {
        json!({"groupId": self.group, "generationId": self.generation, "memberId": self.id})
    }

    fn sync(&self, assignments: &[(&str, &[u8])]) -> Value {
        let assignments = assignments
            .iter()
            .map(|(member, text)| json!({"memberId": member, "assignment": bytes(text)}));
        let mut body = self.asks();
        body["assignments"] = assignments.collect();
        body["protocolType"] = json!("consumer");
        body["protocolName"] = json!("range");
        body
    }

    fn leave(&self) -> Value {
        json!({"groupId": self.group, "memberId": self.id, "members": [{"memberId": self.id}]})
    }
}

/// A group with one member that has its assignment.
pub(super) fn stable(r: &Recorder, group: &str) -> std::result::Result<Member, Error> {
    ready(r, group)?;
    let told = r.ask("JoinGroup", 4, &join(group, ""))?;
    let id = told["memberId"].as_str().unwrap_or_default();
    let member = Member::of(group, &r.ask("JoinGroup", 4, &join(group, id))?)?;
    r.ask("SyncGroup", 3, &member.sync(&[(&member.id, ASSIGNMENT)]))?;
    Ok(member)
}

pub(super) fn lives(r: &mut Recorder) -> Result {
    ready(r, "any")?;
    for version in every("JoinGroup") {
        let group = format!("life-v{version}");
        let mut joined = r.one("JoinGroup", "a new member", version, &join(&group, ""))?;
        if version >= 4 {
            let id = joined["memberId"].as_str().unwrap_or_default();
            joined = r.one(
                "JoinGroup",
                "with the id it was given",
                version,
                &join(&group, id),
            )?;
        }
        let member = Member::of(&group, &joined)?;
        let sync = version.min(5);
        let early = member.sync(&[]);
        let assigned = member.sync(&[(&member.id, ASSIGNMENT)]);
        r.one(
            "Heartbeat",
            "before the assignment",
            version.min(4),
            &member.asks(),
        )?;
        if version == 9 {
            r.one("SyncGroup", "without assignments", sync, &early)?;
        } else {
            r.one("SyncGroup", "the leader's", sync, &assigned)?;
        }
        r.one("SyncGroup", "again", sync, &early)?;
        r.one(
            "Heartbeat",
            "in a stable group",
            version.min(4),
            &member.asks(),
        )?;
        let again = r.one(
            "JoinGroup",
            "the leader again",
            version,
            &join(&group, &member.id),
        )?;
        let next = Member::of(&group, &again)?;
        r.one(
            "Heartbeat",
            "of the generation before",
            version.min(4),
            &member.asks(),
        )?;
        r.one(
            "SyncGroup",
            "of the generation before",
            sync,
            &member.sync(&[]),
        )?;
        r.one("LeaveGroup", "of a member", version.min(5), &next.leave())?;
        r.one(
            "LeaveGroup",
            "of one who left",
            version.min(5),
            &next.leave(),
        )?;
        r.one("Heartbeat", "of one who left", version.min(4), &next.asks())?;
        r.one("SyncGroup", "of one who left", sync, &next.sync(&[]))?;
        r.one(
            "JoinGroup",
            "of one who left",
            version,
            &join(&group, &next.id),
        )?;
    }
    Ok(())
}

pub(super) fn refused(r: &mut Recorder) -> Result {
    let member = stable(r, "g")?;
    let with = |key: &str, value: Value| {
        let mut body = join("g", "");
        body[key] = value;
        body
    };
    let foreign = json!([{"name": "foreign", "metadata": bytes(OTHER)}]);
    for (what, body) in [
        ("an empty group id", join("", "")),
        ("an unknown member", join("g", "nobody")),
        ("an unknown member of no group", join("none", "nobody")),
        ("a short session", with("sessionTimeoutMs", json!(5_999))),
        ("a long session", with("sessionTimeoutMs", json!(1_800_001))),
        (
            "another type of group",
            with("protocolType", json!("connect")),
        ),
        ("an empty type of group", with("protocolType", json!(""))),
        ("no protocols", with("protocols", json!([]))),
        ("protocols that no other has", with("protocols", foreign)),
    ] {
        r.all("JoinGroup", what, |_| body.clone())?;
    }
    let nobody = |group: &str, generation: i64| Member {
        group: group.to_owned(),
        id: "nobody".to_owned(),
        generation,
    };
    let later = Member {
        generation: 7,
        ..member.clone()
    };
    for (what, member) in [
        ("an empty group id", nobody("", 1)),
        ("an unknown member", nobody("g", 1)),
        ("a member of no group", nobody("none", 1)),
        ("another generation", later),
    ] {
        r.all("Heartbeat", what, |_| member.asks())?;
        r.all("SyncGroup", what, |_| member.sync(&[]))?;
        r.all("LeaveGroup", what, |_| member.leave())?;
        if what == "another generation" {
            break;
        }
    }
    let member = stable(r, "named")?;
    for (key, value) in [
        ("protocolType", json!("connect")),
        ("protocolName", json!("other")),
        ("protocolType", Value::Null),
        ("protocolName", Value::Null),
    ] {
        let mut body = member.sync(&[]);
        body[key] = value.clone();
        let what = format!("{key} is {value}");
        r.all("SyncGroup", &what, |_| body.clone())?;
    }
    r.versions(
        "LeaveGroup",
        "of nobody",
        3..=5,
        |_| json!({"groupId": "named"}),
    )?;
    let some = json!({"groupId": "named", "members": [
        {"memberId": "nobody"}, {"memberId": "", "groupInstanceId": "no-instance"},
        {"memberId": member.id, "reason": "enough"}]});
    r.one(
        "LeaveGroup",
        "of some who are there and some who are not",
        5,
        &some,
    )?;
    Ok(())
}

/// Two members, which wait for each other.
pub(super) fn rebalances(r: &mut Recorder) -> Result {
    for version in every("JoinGroup") {
        let group = format!("two-v{version}");
        let first = stable(r, &group)?;
        let id = match version {
            0..=3 => String::new(),
            _ => {
                let told = r.ask("JoinGroup", version, &join(&group, ""))?;
                told["memberId"].as_str().unwrap_or_default().to_owned()
            }
        };
        let second = r.begin("JoinGroup", version, &join(&group, &id))?;
        wait_for(r, &first, 27)?;
        r.one(
            "Heartbeat",
            "while others join",
            version.min(4),
            &first.asks(),
        )?;
        r.one(
            "SyncGroup",
            "while others join",
            version.min(5),
            &first.sync(&[]),
        )?;
        r.one(
            "DescribeGroups",
            "while others join",
            version.min(6),
            &describe(&[&group]),
        )?;
        let led = r.one(
            "JoinGroup",
            "the leader of two",
            version,
            &join(&group, &first.id),
        )?;
        let joined = r.end("the other of two", second)?;
        let (leader, other) = (Member::of(&group, &led)?, Member::of(&group, &joined)?);
        let parked = r.begin("SyncGroup", version.min(5), &other.sync(&[]))?;
        r.one(
            "Heartbeat",
            "while the leader assigns",
            version.min(4),
            &other.asks(),
        )?;
        r.one(
            "DescribeGroups",
            "while the leader assigns",
            version.min(6),
            &describe(&[&group]),
        )?;
        let assigned = leader.sync(&[(&leader.id, ASSIGNMENT), (&other.id, b"other")]);
        r.one("SyncGroup", "the leader of two", version.min(5), &assigned)?;
        r.end("the other of two", parked)?;
        r.one(
            "JoinGroup",
            "a follower that changes nothing",
            version,
            &join(&group, &other.id),
        )?;
        r.one(
            "DescribeGroups",
            "two members",
            version.min(6),
            &describe(&[&group]),
        )?;
        r.one(
            "LeaveGroup",
            "the other of two",
            version.min(5),
            &other.leave(),
        )?;
        r.one(
            "Heartbeat",
            "when another left",
            version.min(4),
            &leader.asks(),
        )?;
    }
    Ok(())
}

/// Asks until a member's heartbeat is answered with this code: what others asked has arrived then.
fn wait_for(r: &Recorder, member: &Member, code: i64) -> Result {
    for _ in 0..10_000 {
        if r.ask("Heartbeat", 3, &member.asks())?["errorCode"] == code {
            return Ok(());
        }
    }
    Err(Error::failed("what another member asked never arrived"))
}

/// Members that keep a name over their restarts (KIP-345).
pub(super) fn static_members(r: &mut Recorder) -> Result {
    ready(r, "any")?;
    for version in 5..=9 {
        let group = format!("static-v{version}");
        let named = |member: &str| {
            let mut body = join(&group, member);
            body["groupInstanceId"] = json!("one");
            body
        };
        let joined = r.one("JoinGroup", "a new static member", version, &named(""))?;
        let old = Member::of(&group, &joined)?;
        let with_name = |mut body: Value| {
            body["groupInstanceId"] = json!("one");
            body
        };
        let assigned = with_name(old.sync(&[(&old.id, ASSIGNMENT)]));
        r.one("SyncGroup", "of a static member", 5, &assigned)?;
        r.one("Heartbeat", "of a static member", 4, &with_name(old.asks()))?;
        let back = r.one(
            "JoinGroup",
            "a static member that is back",
            version,
            &named(""),
        )?;
        let new = Member::of(&group, &back)?;
        r.one("Heartbeat", "of the id before", 4, &with_name(old.asks()))?;
        r.one(
            "Heartbeat",
            "of the id before, without the name",
            4,
            &old.asks(),
        )?;
        r.one(
            "SyncGroup",
            "of the id before",
            5,
            &with_name(old.sync(&[])),
        )?;
        r.one("JoinGroup", "of the id before", version, &named(&old.id))?;
        r.one("Heartbeat", "of the id after", 4, &with_name(new.asks()))?;
        r.one("SyncGroup", "of the id after", 5, &with_name(new.sync(&[])))?;
        r.one(
            "DescribeGroups",
            "a static member",
            version.min(6),
            &describe(&[&group]),
        )?;
        let stranger = json!({"groupId": group,
            "members": [{"memberId": old.id, "groupInstanceId": "one"}]});
        r.one("LeaveGroup", "of the id before", 5, &stranger)?;
        let removed = json!({"groupId": group,
            "members": [{"memberId": "", "groupInstanceId": "one"}]});
        r.one("LeaveGroup", "of a name", version.min(5), &removed)?;
        r.one(
            "LeaveGroup",
            "of a name that left",
            version.min(5),
            &removed,
        )?;
    }
    Ok(())
}

fn describe(groups: &[&str]) -> Value {
    json!({"groups": groups, "includeAuthorizedOperations": true})
}

pub(super) fn administered(r: &mut Recorder) -> Result {
    ready(r, "any")?;
    r.all("ListGroups", "of none", |_| json!({}))?;
    let member = stable(r, "stable")?;
    r.topics(["orders"], &[])?;
    let commit = json!({"groupId": "simple", "topics": [{"name": "orders",
        "partitions": [{"partitionIndex": 0, "committedOffset": 1}]}]});
    r.ask("OffsetCommit", 5, &commit)?;
    let gone = stable(r, "empty")?;
    r.ask("LeaveGroup", 2, &gone.leave())?;
    r.all("ListGroups", "of three", |_| json!({}))?;
    for (what, states) in [
        ("stable", json!(["Stable"])),
        ("in small letters", json!(["stable", "empty"])),
        ("unknown", json!(["Sleeping"])),
        ("empty", json!(["Empty"])),
    ] {
        let body = json!({"statesFilter": states});
        r.versions("ListGroups", &format!("of a state, {what}"), [4, 5], |_| {
            body.clone()
        })?;
    }
    for (what, types) in [
        ("classic", json!(["classic"])),
        ("Classic", json!(["Classic"])),
        ("consumer", json!(["consumer"])),
        ("unknown", json!(["other"])),
    ] {
        let body = json!({"typesFilter": types});
        r.versions("ListGroups", &format!("of a type, {what}"), [5], |_| {
            body.clone()
        })?;
    }
    for group in ["stable", "simple", "empty", "none", ""] {
        r.all("DescribeGroups", &format!("{group:?}"), |_| {
            describe(&[group])
        })?;
    }
    r.all("DescribeGroups", "several", |_| {
        describe(&["stable", "none"])
    })?;
    r.all("DescribeGroups", "no group", |_| describe(&[]))?;
    for group in ["stable", "none", ""] {
        r.all(
            "DeleteGroups",
            &format!("{group:?}"),
            |_| json!({"groupsNames": [group]}),
        )?;
    }
    for version in every("DeleteGroups") {
        let group = format!("old-v{version}");
        let mut commit = commit.clone();
        commit["groupId"] = json!(group);
        r.ask("OffsetCommit", 5, &commit)?;
        let body = json!({"groupsNames": [group]});
        r.one("DeleteGroups", "of offsets alone", version, &body)?;
        r.one("DeleteGroups", "again", version, &body)?;
    }
    r.one("LeaveGroup", "the last one", 5, &member.leave())?;
    r.one(
        "DeleteGroups",
        "with members that left",
        2,
        &json!({"groupsNames": ["stable"]}),
    )?;
    Ok(())
}
