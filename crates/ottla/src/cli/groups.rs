//! `ottla groups`: list, describe, delete, and `reset` for reset-offsets.

mod datetime;
mod reset;

use std::collections::BTreeMap;
use std::io::Write;

use ottla_protocol::client::StrBytes;
use ottla_protocol::client::consumer::assigned;
use ottla_protocol::client::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::client::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::client::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetFetchRequest,
};
use serde_json::{Value, json};

use super::args::GroupsCommand;
use super::client::{Client, ClientError, LATEST, Topic};

/// Of OffsetFetch and OffsetCommit: later versions know topics by their ids alone.
pub(crate) const NAMES_UP_TO: i16 = 9;

/// A partition by the name of its topic.
pub(crate) type Place = (String, i32);

/// Runs the command and prints its result to `out`.
pub(crate) fn run(command: &GroupsCommand, out: &mut dyn Write) -> Result<(), ClientError> {
    match command {
        GroupsCommand::List { json, broker } => {
            list(&mut Client::connect(&broker.bootstrap_server)?, *json, out)
        }
        GroupsCommand::Describe {
            group,
            json,
            broker,
        } => describe(
            &mut Client::connect(&broker.bootstrap_server)?,
            group,
            *json,
            out,
        ),
        GroupsCommand::Delete { group, broker } => {
            delete(&mut Client::connect(&broker.bootstrap_server)?, group, out)
        }
        GroupsCommand::ResetOffsets(args) => reset::run(args, out),
    }
}

fn list(client: &mut Client, as_json: bool, out: &mut dyn Write) -> Result<(), ClientError> {
    let mut groups = BTreeMap::new();
    for broker in client.broker_ids()? {
        let request = ListGroupsRequest::default();
        let answer = client.broker(broker)?.call("ListGroups", &request)?;
        ClientError::check(answer.error_code, None, || "listing groups".to_owned())?;
        groups.extend(
            answer
                .groups
                .into_iter()
                .map(|g| (g.group_id.to_string(), g)),
        );
    }
    for (id, group) in groups {
        let line = if as_json {
            json!({"group": id, "type": group.group_type.to_string(),
                   "protocolType": group.protocol_type.to_string(),
                   "state": group.group_state.to_string()})
            .to_string()
        } else {
            id
        };
        print(out, &line)?;
    }
    Ok(())
}

/// A row of what a group is told to have: a partition, where the group is and where it ends.
struct Row {
    place: Place,
    committed: Option<i64>,
    end: Option<i64>,
    /// The member that reads it, by its place in the list of members.
    member: Option<usize>,
}

fn describe(
    client: &mut Client,
    group: &str,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let described = look_up(client, group)?;
    let rows = rows(client, group, &described)?;
    if as_json {
        return print(out, &to_json(group, &described, &rows).to_string());
    }
    let count = described.members.len();
    let s = if count == 1 { "" } else { "s" };
    let (state, assignor) = (&*described.group_state, &*described.protocol_data);
    let by = match assignor {
        "" => String::new(),
        name => format!(", assigned by {name}"),
    };
    print(
        out,
        &format!("group {group}  {state}, {count} member{s}{by}"),
    )?;
    for member in &described.members {
        let instance = member.group_instance_id.as_ref();
        let instance = instance.map_or_else(String::new, |id| format!("  instance {id}"));
        let (id, host) = (&*member.member_id, &*member.client_host);
        print(out, &format!("  member {id}  {host}{instance}"))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    let width = rows
        .iter()
        .map(|row| row.place.0.len())
        .max()
        .unwrap_or(0)
        .max(5);
    let head = format!(
        "  {:width$}  partition      offset  end offset         lag  member",
        "topic"
    );
    print(out, &head)?;
    for row in &rows {
        let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let member = row.member.and_then(|at| described.members.get(at));
        let member = member.map_or("-", |member| &*member.member_id);
        let (topic, partition) = (&row.place.0, row.place.1);
        let (offset, end, lag) = (number(row.committed), number(row.end), number(row.lag()));
        let line = format!(
            "  {topic:width$}  {partition:>9}  {offset:>10}  {end:>10}  {lag:>10}  {member}"
        );
        print(out, &line)?;
    }
    Ok(())
}

impl Row {
    fn lag(&self) -> Option<i64> {
        Some(self.end? - self.committed?)
    }
}

fn to_json(group: &str, described: &DescribedGroup, rows: &[Row]) -> Value {
    let members = described.members.iter().map(|member| {
        json!({"member": member.member_id.to_string(),
               "instance": member.group_instance_id.as_ref().map(ToString::to_string),
               "client": member.client_id.to_string(), "host": member.client_host.to_string()})
    });
    let members: Vec<Value> = members.collect();
    let partitions = rows.iter().map(|row| {
        let member = row.member.and_then(|at| described.members.get(at));
        json!({"topic": row.place.0, "partition": row.place.1, "offset": row.committed,
               "endOffset": row.end, "lag": row.lag(),
               "member": member.map(|member| member.member_id.to_string())})
    });
    let partitions: Vec<Value> = partitions.collect();
    json!({"group": group, "state": described.group_state.to_string(),
           "protocolType": described.protocol_type.to_string(),
           "assignor": described.protocol_data.to_string(),
           "members": members, "partitions": partitions})
}

/// The group as its coordinator describes it. One that is not there is an error.
fn look_up(client: &mut Client, group: &str) -> Result<DescribedGroup, ClientError> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = client
        .coordinator(group)?
        .call("DescribeGroups", &request)?;
    let found = answer.groups.into_iter().next();
    let found = found.ok_or_else(|| ClientError::Input(format!("no group {group:?}")))?;
    ClientError::check(found.error_code, found.error_message.as_ref(), || {
        format!("describing group {group:?}")
    })?;
    Ok(found)
}

/// What is committed, and what members are assigned, in the order of topics and partitions.
fn rows(
    client: &mut Client,
    group: &str,
    described: &DescribedGroup,
) -> Result<Vec<Row>, ClientError> {
    let mut places: BTreeMap<Place, (Option<i64>, Option<usize>)> = BTreeMap::new();
    for (place, offset) in committed(client, group)? {
        places.insert(place, (Some(offset), None));
    }
    for (at, member) in described.members.iter().enumerate() {
        for (topic, partitions) in assigned(&member.member_assignment).unwrap_or_default() {
            for partition in partitions {
                places.entry((topic.clone(), partition)).or_default().1 = Some(at);
            }
        }
    }
    let mut topics: BTreeMap<String, Option<Topic>> = BTreeMap::new();
    let mut rows = Vec::with_capacity(places.len());
    for (place, (committed, member)) in places {
        if !topics.contains_key(&place.0) {
            // A topic may be gone while its offsets are still there.
            topics.insert(place.0.clone(), client.topic(&place.0, false).ok());
        }
        let topic = topics.get(&place.0).and_then(Option::as_ref);
        let has = |topic: &&Topic| topic.partitions.iter().any(|p| p.number == place.1);
        let end = match topic.filter(has) {
            Some(topic) => Some(client.offset(topic, place.1, LATEST, false)?),
            None => None,
        };
        rows.push(Row {
            place,
            committed,
            end,
            member,
        });
    }
    Ok(rows)
}

/// Everything that the group has committed.
pub(crate) fn committed(
    client: &mut Client,
    group: &str,
) -> Result<BTreeMap<Place, i64>, ClientError> {
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(group_id(group))
        .with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let coordinator = client.coordinator(group)?;
    let answer = coordinator.call_up_to(NAMES_UP_TO, "OffsetFetch", &request)?;
    let doing = || format!("asking for the offsets of group {group:?}");
    let mut offsets = BTreeMap::new();
    for told in answer.groups {
        ClientError::check(told.error_code, None, doing)?;
        for topic in told.topics {
            for partition in topic.partitions {
                ClientError::check(partition.error_code, None, doing)?;
                let place = (topic.name.to_string(), partition.partition_index);
                if partition.committed_offset >= 0 {
                    offsets.insert(place, partition.committed_offset);
                }
            }
        }
    }
    Ok(offsets)
}

fn delete(client: &mut Client, group: &str, out: &mut dyn Write) -> Result<(), ClientError> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    let answer = client.coordinator(group)?.call("DeleteGroups", &request)?;
    for result in &answer.results {
        let doing = || format!("deleting group {group:?}");
        ClientError::check(result.error_code, None, doing)?;
        print(out, &format!("deleted group {group}"))?;
    }
    Ok(())
}

/// A group's id in the form the messages want.
pub(crate) fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

fn print(out: &mut dyn Write, line: &str) -> Result<(), ClientError> {
    let doing = "writing to standard output";
    writeln!(out, "{line}").map_err(|source| ClientError::Io { doing, source })
}
