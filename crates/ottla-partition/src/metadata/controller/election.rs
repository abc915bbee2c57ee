//! Electing leaders on request.

use ottla_log::TopicName;
use ottla_protocol::ErrorCode;

use super::change::{Change, Election};
use super::error::ApiResult;
use super::{ApiError, Controller, Decision};
use crate::metadata::record::MetadataRecord;

/// A request to elect leaders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectLeaders {
    /// How.
    pub election: ElectionType,
    /// Which topics' which partitions; `None` for all of them.
    pub topics: Option<Vec<(String, Vec<i32>)>>,
}

/// How to elect, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica, where there is no leader; committed records can be lost.
    Unclean,
}

impl ElectionType {
    /// The type with Kafka's `code`.
    ///
    /// # Errors
    /// `INVALID_REQUEST` where there is no such type.
    pub fn from_code(code: i8) -> ApiResult<Self> {
        match code {
            0 => Ok(Self::Preferred),
            1 => Ok(Self::Unclean),
            _ => Err(ApiError::new(
                ErrorCode::InvalidRequest,
                format!("Unknown election type {code}"),
            )),
        }
    }
}

/// What became of the elections in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectedTopic {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<ElectedPartition>,
}

/// What became of one election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectedPartition {
    /// The partition.
    pub number: i32,
    /// Whether it has the leader that was asked for, or why not.
    pub result: ApiResult<()>,
}

impl Controller<'_> {
    /// Decides about elections. Where all partitions were asked for, those that need none are
    /// left out of the answer.
    pub fn elect_leaders(&self, request: &ElectLeaders) -> Decision<Vec<ElectedTopic>> {
        let mut records = Vec::new();
        let mut elect = |topic: &str, number: i32| ElectedPartition {
            number,
            result: self.elect_leader(topic, number, request.election, &mut records),
        };
        let needs_none = |elected: &ElectedPartition| match &elected.result {
            Err(error) => error.code == ErrorCode::ElectionNotNeeded,
            Ok(()) => false,
        };
        let outcome = match &request.topics {
            Some(topics) => topics
                .iter()
                .map(|(topic, partitions)| ElectedTopic {
                    topic: topic.clone(),
                    partitions: partitions.iter().map(|n| elect(topic, *n)).collect(),
                })
                .collect(),
            None => self
                .image
                .topics()
                .map(|topic| ElectedTopic {
                    topic: topic.name.to_string(),
                    partitions: topic
                        .partitions
                        .keys()
                        .map(|number| elect(topic.name.as_str(), *number))
                        .filter(|elected| !needs_none(elected))
                        .collect(),
                })
                .collect(),
        };
        Decision { records, outcome }
    }

    fn elect_leader(
        &self,
        name: &str,
        number: i32,
        election: ElectionType,
        records: &mut Vec<MetadataRecord>,
    ) -> ApiResult<()> {
        let unknown = |what| ApiError::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = self
            .image
            .topic(name)
            // Said for each of its partitions: never more than a name can be.
            .ok_or_else(|| unknown(format!("No such topic as {}", shortened(name))))?;
        let partition = topic
            .partition(number)
            .ok_or_else(|| unknown(format!("No such partition as {name}-{number}")))?;
        let not_needed = match election {
            ElectionType::Preferred => {
                partition.leader.is_some() && partition.leader == partition.preferred_leader()
            }
            ElectionType::Unclean => partition.leader.is_some(),
        };
        if not_needed {
            return Err(ErrorCode::ElectionNotNeeded.into());
        }
        let change = Change {
            topic_id: topic.id,
            number,
            partition,
            isr: partition.isr.clone(),
            unclean_shutdown: None,
            min_isr: self.effective_min_isr(topic),
            has_elr: self.has_elr(),
            election: match election {
                ElectionType::Preferred => Election::Preferred,
                ElectionType::Unclean => Election::Unclean,
            },
            is_acceptable: &|id| self.image.is_active(id),
        };
        match change.record() {
            Some(record) => {
                records.push(MetadataRecord::PartitionChange(record));
                Ok(())
            }
            None => Err(match election {
                ElectionType::Preferred => ErrorCode::PreferredLeaderNotAvailable,
                ElectionType::Unclean => ErrorCode::EligibleLeadersNotAvailable,
            }
            .into()),
        }
    }
}

/// As much of a client's text as a topic's name may have.
fn shortened(name: &str) -> &str {
    let length = name.floor_char_boundary(TopicName::LEN_MAX);
    name.get(..length).unwrap_or_default()
}
