//! The words of an input, and what they ask for.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_log::Offset;
use ottla_protocol::StrBytes;

use crate::group::request::{
    CommitPartition, CommitTopic, DeleteGroup, DescribeGroup, GroupRequest, Heartbeat, Identity,
    JoinGroup, LeaveGroup, LeavingMember, ListGroups, OffsetCommit, OffsetDelete, OffsetFetch,
    Protocol, SyncGroup, TopicPartitions,
};

/// The name of the input, who sends it, the group; then `name value` pairs and other words.
pub(super) struct Words<'a>(pub(super) Vec<&'a str>);

pub(super) fn text(word: &str) -> StrBytes {
    StrBytes::from_string(word.to_owned())
}

pub(super) fn time(word: &str) -> Duration {
    let parse = |digits: &str| digits.parse().unwrap();
    if let Some(millis) = word.strip_suffix("ms") {
        return Duration::from_millis(parse(millis));
    }
    let (digits, unit) = word.split_at(word.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => panic!("no such time: {word}"),
    };
    Duration::from_secs(parse(digits) * seconds)
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap()
}

/// What a consumer says that is subscribed to `topics`.
fn subscription(topics: &str) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    let topics: Vec<_> = topics.split(',').filter(|name| !name.is_empty()).collect();
    out.put_i32(i32::try_from(topics.len()).unwrap());
    for topic in topics {
        out.put_i16(i16::try_from(topic.len()).unwrap());
        out.put_slice(topic.as_bytes());
    }
    out.put_i32(-1);
    out.freeze()
}

/// `topic-3` as a topic and a partition.
fn topic_partition(word: &str) -> (StrBytes, i32) {
    let (topic, partition) = word.rsplit_once('-').unwrap();
    (text(topic), partition.parse().unwrap())
}

impl<'a> Words<'a> {
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|word| *word == name)?;
        self.0.get(at + 1).copied()
    }

    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        self.value(name).map(time)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.value(name).map(|word| word.parse().unwrap())
    }

    fn text(&self, name: &str) -> Option<StrBytes> {
        self.value(name).map(|word| text(word.trim_matches('"')))
    }

    fn version(&self) -> i64 {
        self.number("v").unwrap_or(9)
    }

    fn group(&self) -> StrBytes {
        text(self.0.get(2).expect("a group").trim_matches('"'))
    }

    fn identity(&self) -> Identity {
        Identity {
            member_id: self.text("member").unwrap_or_default(),
            instance_id: self.text("instance"),
            generation: i32::try_from(self.number("gen").unwrap_or(-1)).unwrap(),
        }
    }

    /// The words from the fourth on that are `topic-partition` or begin so.
    fn partitions(&self) -> Vec<&'a str> {
        let is_partition = |word: &&str| {
            let name = word.split('=').next().unwrap();
            let end = name.rsplit_once('-');
            end.is_some_and(|(topic, p)| topic.starts_with('t') && p.parse::<i32>().is_ok())
        };
        let rest = self.0.iter().skip(3).copied();
        rest.filter(is_partition).collect()
    }

    fn topic_partitions(&self) -> Vec<TopicPartitions> {
        let each = self.partitions().into_iter().map(topic_partition);
        each.map(|(topic, partition)| TopicPartitions {
            topic,
            partitions: vec![partition],
        })
        .collect()
    }

    pub(super) fn request(&self, entropy: StrBytes) -> Option<GroupRequest> {
        Some(match self.0[0] {
            "join" => GroupRequest::Join(self.join(entropy)),
            "sync" => GroupRequest::Sync(self.sync()),
            "heartbeat" => GroupRequest::Heartbeat(Heartbeat {
                group: self.group(),
                identity: self.identity(),
            }),
            "leave" => GroupRequest::Leave(self.leave()),
            "commit" => GroupRequest::OffsetCommit(self.commit()),
            "fetch" => GroupRequest::OffsetFetch(OffsetFetch {
                group: self.group(),
                topics: Some(self.topic_partitions()).filter(|topics| !topics.is_empty()),
            }),
            "delete-offsets" => GroupRequest::OffsetDelete(OffsetDelete {
                group: self.group(),
                topics: self.topic_partitions(),
            }),
            "describe" => GroupRequest::Describe(DescribeGroup {
                group: self.group(),
            }),
            "list" => GroupRequest::List(ListGroups {
                states: self.text("states").into_iter().collect(),
                types: self.text("types").into_iter().collect(),
            }),
            "delete" => GroupRequest::Delete(DeleteGroup {
                group: self.group(),
            }),
            _ => return None,
        })
    }

    fn join(&self, entropy: StrBytes) -> JoinGroup {
        let names = self.value("protocols").unwrap_or("range").split(',');
        let says = match (self.value("says"), self.value("topics")) {
            (Some(said), _) => Bytes::from(said.to_owned()),
            (None, topics) => subscription(topics.unwrap_or("t")),
        };
        let protocols = names.filter(|name| *name != "none").map(|name| Protocol {
            name: text(name),
            metadata: says.clone(),
        });
        JoinGroup {
            group: self.group(),
            member_id: self.text("member").unwrap_or_default(),
            instance_id: self.text("instance"),
            client_id: text(self.0[1]),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: millis(self.time("session").unwrap_or(Duration::from_secs(10))),
            rebalance_timeout_ms: millis(self.time("rebalance").unwrap_or(Duration::from_secs(60))),
            protocol_type: self.text("type").unwrap_or_else(|| "consumer".into()),
            protocols: protocols.collect(),
            entropy,
            requires_member_id: self.version() >= 4,
            can_skip_assignment: self.version() >= 9,
        }
    }

    fn sync(&self) -> SyncGroup {
        let assigns = self
            .0
            .iter()
            .skip(3)
            .filter_map(|word| word.split_once('='));
        SyncGroup {
            group: self.group(),
            identity: self.identity(),
            protocol_type: self.text("type"),
            protocol_name: self.text("protocol"),
            assignments: assigns
                .map(|(member, what)| (text(member), Bytes::from(what.to_owned())))
                .collect(),
        }
    }

    fn leave(&self) -> LeaveGroup {
        let members = self.0.iter().skip(3).map(|word| {
            let (member, instance) = match word.split_once('/') {
                Some((member, instance)) => (member, Some(text(instance))),
                None => (*word, None),
            };
            LeavingMember {
                member_id: text(member),
                instance_id: instance,
            }
        });
        LeaveGroup {
            group: self.group(),
            members: members.collect(),
        }
    }

    fn commit(&self) -> OffsetCommit {
        let partitions = self.partitions().into_iter();
        let topics = partitions.filter_map(|word| {
            let (place, what) = word.split_once('=')?;
            let (offset, note) = what.split_once(':').unwrap_or((what, ""));
            let (topic, partition) = topic_partition(place);
            let partition = CommitPartition {
                partition,
                offset: Offset::new(offset.parse().unwrap()),
                leader_epoch: None,
                metadata: text(note),
            };
            Some(CommitTopic {
                topic,
                topic_id: None,
                partitions: vec![partition],
            })
        });
        OffsetCommit {
            group: self.group(),
            identity: self.identity(),
            retention: self.time("retention"),
            names_unknown_group: self.version() >= 9,
            topics: topics.collect(),
        }
    }
}
