//! Adding partitions to topics.

use std::collections::BTreeSet;

use ottla_log::Entropy;
use ottla_protocol::ErrorCode;

use super::error::{ApiError, ApiResult};
use super::placement;
use super::{Controller, Decision, PARTITIONS_PER_REQUEST_MAX, repeated};
use crate::BrokerId;
use crate::metadata::record::MetadataRecord;

/// How many partitions a topic shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: String,
    /// How many partitions it shall have in all.
    pub count: i32,
    /// The replicas of each new partition; `None` to have them chosen.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
    /// Whether the asker may alter the topic.
    pub may_alter: bool,
}

/// What became of one topic's new partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedPartitions {
    /// The topic.
    pub topic: String,
    /// Whether it has them, or why not.
    pub result: ApiResult<()>,
}

impl Controller<'_> {
    /// Decides about a request to add partitions. Results come in the order of the request; a
    /// name that comes twice has one result, a refusal.
    pub fn create_partitions(
        &self,
        topics: &[NewPartitions],
        validate_only: bool,
        entropy: &dyn Entropy,
    ) -> Decision<Vec<CreatedPartitions>> {
        let twice = repeated(topics.iter().map(|topic| &*topic.topic));
        let mut answered = BTreeSet::new();
        let mut records = Vec::new();
        let mut outcome = Vec::with_capacity(topics.len());
        for topic in topics {
            if !answered.insert(&*topic.topic) {
                continue;
            }
            let result = if twice.contains(&*topic.topic) {
                let why = "Duplicate topic name.";
                Err(ApiError::new(ErrorCode::InvalidRequest, why))
            } else if topic.may_alter {
                self.add_partitions(topic, entropy, &mut records)
            } else {
                Err(ApiError::new(ErrorCode::TopicAuthorizationFailed, ""))
            };
            outcome.push(CreatedPartitions {
                topic: topic.topic.clone(),
                result,
            });
        }
        if validate_only {
            records.clear();
        }
        Decision { records, outcome }
    }

    fn add_partitions(
        &self,
        request: &NewPartitions,
        entropy: &dyn Entropy,
        records: &mut Vec<MetadataRecord>,
    ) -> ApiResult<()> {
        let topic = self
            .image
            .topic(&request.topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let has = topic.partitions.len();
        let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidPartitions, why));
        let additional = match usize::try_from(request.count) {
            Ok(count) if count == has => {
                return invalid(format!("Topic already has {has} partition(s)."));
            }
            Ok(count) if count > has => count - has,
            _ => {
                return invalid(format!(
                    "The topic {} currently has {has} partition(s); {} would not be an increase.",
                    topic.name, request.count
                ));
            }
        };
        if records.len() + additional > PARTITIONS_PER_REQUEST_MAX {
            return Err(ApiError::new(
                ErrorCode::PolicyViolation,
                "Unable to perform excessively large batch operation.",
            ));
        }
        let replicas = topic.replication_factor();
        let replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
        let assignments = match &request.assignments {
            Some(assignments) => {
                self.check_new_assignments(assignments, has, additional, replicas)?;
                assignments.clone()
            }
            None => placement::place(self.image, additional, replication_factor, entropy)?,
        };
        self.check_some_active(&assignments, replication_factor)?;
        let first = i32::try_from(has).unwrap_or(i32::MAX);
        for (number, replicas) in (first..).zip(&assignments) {
            let record = self.new_partition(topic.id, number, replicas);
            records.push(MetadataRecord::Partition(record));
        }
        Ok(())
    }

    fn check_new_assignments(
        &self,
        assignments: &[Vec<BrokerId>],
        has: usize,
        additional: usize,
        replication_factor: usize,
    ) -> ApiResult<()> {
        let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, why));
        if assignments.len() != additional {
            return invalid(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
                 were specified.",
                assignments.len()
            ));
        }
        for (number, replicas) in (has..).zip(assignments) {
            self.check_replicas(replicas, Some(replication_factor))?;
            if !replicas.iter().any(|id| self.image.is_active(*id)) {
                return invalid(format!(
                    "All brokers specified in the manual partition assignment for partition \
                     {number} are fenced or in controlled shutdown."
                ));
            }
        }
        Ok(())
    }
}
