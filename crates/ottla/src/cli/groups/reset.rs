//! `ottla groups reset-offsets`: where each partition's offset is moved to, and moving it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_protocol::ErrorCode;
use ottla_protocol::client::StrBytes;
use ottla_protocol::client::messages::OffsetCommitRequest;
use ottla_protocol::client::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use serde_json::json;

use super::{NAMES_UP_TO, Place, committed, datetime, group_id, look_up, print};
use crate::cli::args::{ResetArgs, ResetTo};
use crate::cli::client::{Client, ClientError, EARLIEST, LATEST, Topic, name_of};

/// The states of a group without members, in which others may move its offsets.
const INACTIVE: [&str; 2] = ["Empty", "Dead"];

pub(super) fn run(args: &ResetArgs, out: &mut dyn Write) -> Result<(), ClientError> {
    let group = &*args.group;
    let target = Target::of(&args.to)?;
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    check_inactive(&mut client, group)?;
    let before = committed(&mut client, group)?;
    let places = match args.all_topics {
        true => before.keys().cloned().collect(),
        false => named(&mut client, &args.topic)?,
    };
    if places.is_empty() {
        let text = format!("group {group:?} has no offsets to reset; name topics with --topic");
        return Err(ClientError::Input(text));
    }
    let mut topics: BTreeMap<&str, Topic> = BTreeMap::new();
    let mut moved = BTreeMap::new();
    for place in &places {
        if !topics.contains_key(&*place.0) {
            topics.insert(&place.0, client.topic(&place.0, false)?);
        }
        let topic = topics.get(&*place.0).expect("it was just put there");
        let to = target.offset(&mut client, topic, place, before.get(place).copied())?;
        moved.insert(place.clone(), to);
    }
    if args.execute {
        commit(&mut client, group, &moved)?;
    }
    show(args, &before, &moved, out)
}

/// A group that is not there yet may be given offsets, too.
fn check_inactive(client: &mut Client, group: &str) -> Result<(), ClientError> {
    let described = match look_up(client, group) {
        Ok(described) => described,
        Err(ClientError::Refused {
            code: ErrorCode::GroupIdNotFound,
            ..
        }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let state = &*described.group_state;
    if INACTIVE.contains(&state) {
        return Ok(());
    }
    Err(ClientError::Input(format!(
        "offsets can only be reset while group {group:?} has no members, but it is {state}; stop \
         its consumers first"
    )))
}

/// The partitions that `--topic` names: all of a topic, or those behind its colon.
fn named(client: &mut Client, asked: &[String]) -> Result<BTreeSet<Place>, ClientError> {
    let mut places = BTreeSet::new();
    for asked in asked {
        let (name, numbers) = match asked.rsplit_once(':') {
            Some((name, numbers)) => (name, Some(numbers)),
            None => (&**asked, None),
        };
        let topic = client.topic(name, false)?;
        let all: BTreeSet<i32> = topic.partitions.iter().map(|p| p.number).collect();
        let Some(numbers) = numbers else {
            places.extend(all.into_iter().map(|number| (name.to_owned(), number)));
            continue;
        };
        for number in numbers.split(',') {
            let wrong = || ClientError::Input(format!("{number:?} is no partition's number"));
            let partition: i32 = number.parse().map_err(|_| wrong())?;
            if !all.contains(&partition) {
                return Err(ClientError::NoPartition {
                    topic: name.to_owned(),
                    partition,
                });
            }
            places.insert((name.to_owned(), partition));
        }
    }
    Ok(places)
}

/// Where offsets are moved to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Earliest,
    Latest,
    Offset(i64),
    Time(i64),
    Shift(i64),
}

impl Target {
    fn of(to: &ResetTo) -> Result<Self, ClientError> {
        Ok(match to {
            ResetTo {
                to_offset: Some(offset),
                ..
            } => Self::Offset(*offset),
            ResetTo {
                to_datetime: Some(text),
                ..
            } => {
                let wrong = || {
                    let text = format!("{text:?} is no time of the form YYYY-MM-DDTHH:MM:SS.mmm");
                    ClientError::Input(text)
                };
                Self::Time(datetime::parse(text).ok_or_else(wrong)?)
            }
            ResetTo {
                shift_by: Some(count),
                ..
            } => Self::Shift(*count),
            ResetTo {
                to_earliest: true, ..
            } => Self::Earliest,
            // Clap demands one of the five.
            _ => Self::Latest,
        })
    }

    /// The new offset of `place`, which is now at `before`; never one that is not there.
    fn offset(
        self,
        client: &mut Client,
        topic: &Topic,
        place: &Place,
        before: Option<i64>,
    ) -> Result<i64, ClientError> {
        let partition = place.1;
        let mut at = |time| client.offset(topic, partition, time, false);
        let (first, end) = (at(EARLIEST)?, at(LATEST)?);
        let wanted = match self {
            Self::Earliest => first,
            Self::Latest => end,
            Self::Offset(offset) => offset,
            Self::Time(time) => match at(time.max(0))? {
                -1 => end,
                found => found,
            },
            Self::Shift(count) => {
                let none = || {
                    let text = format!(
                        "{}-{partition} has no committed offset to shift from",
                        topic.name
                    );
                    ClientError::Input(text)
                };
                before.ok_or_else(none)?.saturating_add(count)
            }
        };
        Ok(wanted.clamp(first, end))
    }
}

fn commit(
    client: &mut Client,
    group: &str,
    moved: &BTreeMap<Place, i64>,
) -> Result<(), ClientError> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), offset) in moved {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(StrBytes::default()));
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetCommitRequestTopic::default()
            .with_name(name_of(name))
            .with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect());
    let coordinator = client.coordinator(group)?;
    let answer = coordinator.call_up_to(NAMES_UP_TO, "OffsetCommit", &request)?;
    for topic in &answer.topics {
        for partition in &topic.partitions {
            ClientError::check(partition.error_code, None, || {
                let (name, number) = (topic.name.as_str(), partition.partition_index);
                format!("resetting the offset of {name}-{number} in group {group:?}")
            })?;
        }
    }
    Ok(())
}

fn show(
    args: &ResetArgs,
    before: &BTreeMap<Place, i64>,
    moved: &BTreeMap<Place, i64>,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let width = moved.keys().map(|(topic, _)| topic.len()).max();
    let width = width.unwrap_or(0).max(5);
    if !args.json {
        let head = format!("{:width$}  partition      offset  new offset", "topic");
        print(out, &head)?;
    }
    for (place, to) in moved {
        let (topic, partition) = place;
        let from = before.get(place);
        let line = if args.json {
            json!({"group": args.group, "topic": topic, "partition": partition,
                   "offset": from, "newOffset": to, "executed": args.execute})
            .to_string()
        } else {
            let from = from.map_or_else(|| "-".to_owned(), i64::to_string);
            format!("{topic:width$}  {partition:>9}  {from:>10}  {to:>10}")
        };
        print(out, &line)?;
    }
    if !args.execute && !args.json {
        print(out, "nothing was changed; --execute does it")?;
    }
    Ok(())
}
