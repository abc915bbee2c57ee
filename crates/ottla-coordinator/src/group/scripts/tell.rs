//! Answers and records as lines of a script.

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use crate::group::record::Record;
use crate::group::response::{DescribedGroup, FetchedPartition, GroupResponse, JoinedGroup};

pub(super) fn response(response: &GroupResponse) -> Vec<String> {
    vec![match response {
        GroupResponse::Join(joined) => join(joined),
        GroupResponse::Sync(synced) if synced.error == ErrorCode::None => {
            format!("assigned {}", bytes(&synced.assignment))
        }
        GroupResponse::Sync(synced) => synced.error.name().to_owned(),
        GroupResponse::Heartbeat(error) | GroupResponse::Delete(error) => verdict(*error, "done"),
        GroupResponse::Leave(left) => {
            let each = left.members.iter().map(|member| {
                let instance = member.instance_id.as_ref();
                let instance = instance.map_or(String::new(), |i| format!("/{i}"));
                format!(
                    "{}{instance} {}",
                    member.member_id,
                    verdict(member.error, "left")
                )
            });
            let mut lines: Vec<String> = each.collect();
            if left.error != ErrorCode::None {
                lines.push(left.error.name().to_owned());
            }
            return lines;
        }
        GroupResponse::OffsetCommit(committed) => partitions(&committed.topics, "committed"),
        GroupResponse::OffsetDelete(deleted) if deleted.error != ErrorCode::None => {
            deleted.error.name().to_owned()
        }
        GroupResponse::OffsetDelete(deleted) => partitions(&deleted.topics, "deleted"),
        GroupResponse::OffsetFetch(fetched) => {
            let topics = fetched.topics.iter().flat_map(|topic| {
                let each = topic.partitions.iter();
                each.map(|p| format!("{}-{}", topic.topic, offset(p)))
            });
            let told: Vec<String> = topics.collect();
            if told.is_empty() {
                "nothing".to_owned()
            } else {
                told.join(", ")
            }
        }
        GroupResponse::Describe(None) => "no such group".to_owned(),
        GroupResponse::Describe(Some(described)) => return describe(described),
        GroupResponse::List(groups) if groups.is_empty() => "no groups".to_owned(),
        GroupResponse::List(groups) => {
            let each = groups.iter().map(|group| {
                let kind = &group.protocol_type;
                format!(
                    "{} ({}, {:?}, {})",
                    group.group, group.group_type, &**kind, group.state
                )
            });
            return each.collect();
        }
    }]
}

fn verdict(error: ErrorCode, fine: &str) -> String {
    match error {
        ErrorCode::None => fine.to_owned(),
        error => error.name().to_owned(),
    }
}

fn bytes(bytes: &Bytes) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn join(joined: &JoinedGroup) -> String {
    if joined.error != ErrorCode::None {
        let error = joined.error.name();
        return if joined.member_id.is_empty() {
            error.to_owned()
        } else {
            format!("{error} as {}", joined.member_id)
        };
    }
    let mut said = format!(
        "joined generation {} as {}: {}, led by {}",
        joined.generation,
        joined.member_id,
        joined.protocol_name.as_deref().unwrap_or("no protocol"),
        joined.leader,
    );
    if !joined.members.is_empty() {
        let members = joined.members.iter().map(|m| m.member_id.to_string());
        said += &format!(", of {}", members.collect::<Vec<_>>().join(" "));
    }
    if joined.skip_assignment {
        said += ", which need not assign";
    }
    said
}

fn partitions(topics: &[(StrBytes, Vec<(i32, ErrorCode)>)], fine: &str) -> String {
    let each = topics.iter().flat_map(|(topic, partitions)| {
        let each = partitions.iter();
        each.map(move |(p, error)| format!("{topic}-{p} {}", verdict(*error, fine)))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn offset(partition: &FetchedPartition) -> String {
    let note = if partition.metadata.is_empty() {
        String::new()
    } else {
        format!(" {:?}", &*partition.metadata)
    };
    format!("{} {}{note}", partition.partition, partition.offset)
}

fn describe(group: &DescribedGroup) -> Vec<String> {
    let state = group.state.name();
    let kind = &*group.protocol_type;
    let mut lines = vec![format!("{state}, {kind:?} {:?}", &*group.protocol_name)];
    for member in &group.members {
        let instance = member.instance_id.as_ref();
        let instance = instance.map_or(String::new(), |i| format!("/{i}"));
        let has = bytes(&member.assignment);
        let says = member.metadata.len();
        lines.push(format!(
            "{}{instance} says {says} bytes, has {has}",
            member.member_id
        ));
    }
    lines
}

pub(super) fn record(record: &Record) -> String {
    match record {
        Record::Offset {
            group,
            topic,
            partition,
            committed,
        } => match committed {
            None => format!("forgets {group} {topic}-{partition}"),
            Some(committed) => {
                format!("records {group} {topic}-{partition} {}", committed.offset)
            }
        },
        Record::Group {
            group,
            metadata: None,
        } => format!("forgets {group}"),
        Record::Group {
            group,
            metadata: Some(metadata),
        } => {
            let members = metadata.members.iter().map(|m| m.member_id.to_string());
            let members: Vec<String> = members.collect();
            let members = if members.is_empty() {
                "nobody".to_owned()
            } else {
                members.join(" ")
            };
            format!(
                "records {group} generation {} of {members}",
                metadata.generation
            )
        }
        Record::Other(other) => {
            let group = other.group.as_deref().unwrap_or("a group");
            format!("forgets the record of type {} of {group}", other.kind)
        }
    }
}
