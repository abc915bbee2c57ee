//! Creating topics.

use std::collections::{BTreeMap, BTreeSet};

use ottla_log::{Entropy, LeaderEpoch, TopicId, TopicName};
use ottla_protocol::ErrorCode;

use super::error::{ApiError, ApiResult, invalid_topic_name};
use super::placement;
use super::{Controller, Decision, PARTITIONS_PER_REQUEST_MAX, RECORDS_PER_REQUEST_MAX, repeated};
use crate::metadata::config::{ConfigEntry, validate_topic_config};
use crate::metadata::image::{Broker, ConfigMap};
use crate::metadata::record::{
    ConfigRecord, ConfigResource, MetadataRecord, PartitionRecord, TopicRecord,
};
use crate::{BrokerId, DirectoryId, PartitionEpoch};

/// A request to create topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopics {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Whether only to say what would happen.
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the broker's default or where `assignments` say it.
    pub partitions: i32,
    /// How many replicas each; -1 for the broker's default or where `assignments` say it.
    pub replication_factor: i16,
    /// The replicas of each partition, by number; empty to have them chosen.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// The configuration keys to set.
    pub configs: Vec<(String, Option<String>)>,
    /// Whether the asker may create it.
    pub may_create: bool,
    /// Whether the asker may see its configuration.
    pub may_describe_configs: bool,
}

impl NewTopic {
    /// The topic `name` with the broker's defaults, for an asker who may do everything.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
            may_create: true,
            may_describe_configs: true,
        }
    }
}

/// What became of one topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// The topic, or why there is none.
    pub result: ApiResult<TopicCreated>,
}

/// A topic once it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCreated {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each of them has.
    pub replication_factor: i16,
    /// Its configuration; `None` where the asker may not see it (nor the two counts, then).
    pub configs: Option<Vec<ConfigEntry>>,
}

/// The metadata log's own topic, which nobody creates.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The longest value of a configuration key, in bytes.
pub(super) const CONFIG_VALUE_LEN_MAX: usize = 32_767;

impl Controller<'_> {
    /// Decides about a request to create topics. Results come in the order of the request; a name
    /// that comes twice has one result, a refusal.
    pub fn create_topics(
        &self,
        request: &CreateTopics,
        entropy: &dyn Entropy,
    ) -> Decision<Vec<CreatedTopic>> {
        let twice = repeated(request.topics.iter().map(|topic| &*topic.name));
        let mut answered = BTreeSet::new();
        let mut records = Vec::new();
        let mut outcome = Vec::with_capacity(request.topics.len());
        let too_many = self.are_too_many(&request.topics);
        for topic in &request.topics {
            if !answered.insert(&*topic.name) {
                continue;
            }
            let result = if twice.contains(&*topic.name) {
                Err(invalid_request("Duplicate topic name."))
            } else if let Some(error) = &too_many {
                Err(error.clone())
            } else {
                self.create_topic(topic, entropy, &mut records)
            };
            outcome.push(CreatedTopic {
                name: topic.name.clone(),
                result,
            });
        }
        if records.len() > RECORDS_PER_REQUEST_MAX {
            return Decision::unchanged(refuse_all(outcome, "batch operation"));
        }
        if request.validate_only {
            records.clear();
        }
        Decision { records, outcome }
    }

    /// Decides about one topic: its records are added to `records` where it is created.
    fn create_topic(
        &self,
        topic: &NewTopic,
        entropy: &dyn Entropy,
        records: &mut Vec<MetadataRecord>,
    ) -> ApiResult<TopicCreated> {
        let name = self.check_name(topic)?;
        let configs = self.check_configs(&topic.configs)?;
        let assignments = self.assign(topic, entropy)?;
        let topic_id = draw_topic_id(entropy);
        let replication_factor = assignments.first().map_or(0, Vec::len);
        let partitions = (0..).zip(&assignments);
        let partitions: Vec<MetadataRecord> = partitions
            .map(|(number, replicas)| {
                MetadataRecord::Partition(self.new_partition(topic_id, number, replicas))
            })
            .collect();
        let created = TopicCreated {
            topic_id,
            partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
            configs: topic
                .may_describe_configs
                .then(|| self.config().describe_topic_with(Some(&configs))),
        };
        let resource = ConfigResource::topic(name.as_str());
        records.push(MetadataRecord::Topic(TopicRecord { name, topic_id }));
        records.extend(configs.into_iter().map(|(name, value)| {
            MetadataRecord::Config(ConfigRecord {
                resource: resource.clone(),
                name,
                value: Some(value),
            })
        }));
        records.extend(partitions);
        Ok(created)
    }

    /// The name, where the asker may create a topic by it and none is in its way.
    fn check_name(&self, topic: &NewTopic) -> ApiResult<TopicName> {
        let name = &*topic.name;
        if name == CLUSTER_METADATA {
            return Err(invalid_request(
                "Creation of internal topic __cluster_metadata is prohibited.",
            ));
        }
        if !topic.may_create {
            return Err(ApiError::new(
                ErrorCode::TopicAuthorizationFailed,
                "Authorization failed.",
            ));
        }
        let invalid = |why| ApiError::new(ErrorCode::InvalidTopicException, why);
        let valid = TopicName::new(name).map_err(|error| invalid_topic_name(name, &error))?;
        if self.image.topic_id(name).is_some() {
            let why = format!("Topic '{name}' already exists.");
            return Err(ApiError::new(ErrorCode::TopicAlreadyExists, why));
        }
        match self.image.colliding_topic(name) {
            Some(other) => Err(invalid(format!(
                "Topic '{name}' collides with existing topic: {other}"
            ))),
            None => Ok(valid),
        }
    }

    /// The keys to set on a new topic, checked alone and together with the broker's defaults.
    fn check_configs(&self, configs: &[(String, Option<String>)]) -> ApiResult<ConfigMap> {
        let invalid = |why: String| ApiError::new(ErrorCode::InvalidConfig, why);
        let without_value: Vec<&str> = configs
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| &**name)
            .collect();
        if !without_value.is_empty() {
            let names = without_value.join(",");
            return Err(invalid(format!(
                "Null value not supported for topic configs: {names}"
            )));
        }
        let set: ConfigMap = configs
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().into(), value.as_deref()?.into())))
            .collect();
        self.check_topic_configs(&set)?;
        Ok(set)
    }

    /// Checks all the keys that a topic sets, as they would be.
    pub(super) fn check_topic_configs(&self, set: &ConfigMap) -> ApiResult<()> {
        let invalid = |why: String| ApiError::new(ErrorCode::InvalidConfig, why);
        if set.values().any(|value| value.len() > CONFIG_VALUE_LEN_MAX) {
            return Err(value_too_long());
        }
        let config = self.config();
        let pairs = set.iter().map(|(name, value)| (&**name, &**value));
        validate_topic_config(pairs, |def| config.topic_default(def))
            .map_err(|error| invalid(error.to_string()))
    }

    /// The replicas of each partition, as the request has them or as they are drawn.
    fn assign(&self, topic: &NewTopic, entropy: &dyn Entropy) -> ApiResult<Vec<Vec<BrokerId>>> {
        if !topic.assignments.is_empty() {
            return self.check_assignments(topic);
        }
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            return Err(ApiError::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        let partitions = match topic.partitions {
            -1 => self.default_number("num.partitions"),
            given => i64::from(given),
        };
        let replication_factor = match topic.replication_factor {
            -1 => self.default_number("default.replication.factor"),
            given => i64::from(given),
        };
        let partitions = usize::try_from(partitions).unwrap_or(0);
        let replication_factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
        let unable = |error: ApiError| {
            let why =
                format!("Unable to replicate the partition {replication_factor} time(s): {error}");
            ApiError::new(error.code, why)
        };
        let placed = placement::place(self.image, partitions, replication_factor, entropy)
            .map_err(unable)?;
        self.check_some_active(&placed, replication_factor)?;
        Ok(placed)
    }

    /// Each of `placed` must have a replica that can lead.
    pub(super) fn check_some_active(
        &self,
        placed: &[Vec<BrokerId>],
        replication_factor: i16,
    ) -> ApiResult<()> {
        let active = |replicas: &Vec<BrokerId>| replicas.iter().any(|id| self.image.is_active(*id));
        if placed.iter().all(active) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {replication_factor} time(s): All brokers are \
                 currently fenced or in controlled shutdown."
            ),
        ))
    }

    /// The replicas that the request names: partitions 0 and on, all with as many replicas.
    fn check_assignments(&self, topic: &NewTopic) -> ApiResult<Vec<Vec<BrokerId>>> {
        if topic.replication_factor != -1 {
            return Err(invalid_request(
                "A manual partition assignment was specified, but replication factor was not set \
                 to -1.",
            ));
        }
        if topic.partitions != -1 {
            return Err(invalid_request(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            ));
        }
        let invalid = |why: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, why);
        let mut by_number = BTreeMap::new();
        let mut replication_factor = None;
        for (number, replicas) in &topic.assignments {
            if by_number.insert(*number, replicas.clone()).is_some() {
                return Err(invalid(format!(
                    "Found multiple manual partition assignments for partition {number}"
                )));
            }
            self.check_replicas(replicas, replication_factor)?;
            replication_factor = Some(replicas.len());
            if !replicas.iter().any(|id| self.image.is_active(*id)) {
                return Err(invalid(format!(
                    "All brokers specified in the manual partition assignment for partition \
                     {number} are fenced or in controlled shutdown."
                )));
            }
        }
        if !(0..)
            .zip(by_number.keys())
            .all(|(at, number)| at == *number)
        {
            return Err(invalid(
                "partitions should be a consecutive 0-based integer sequence".to_owned(),
            ));
        }
        Ok(by_number.into_values().collect())
    }

    /// Checks one partition's replicas that a request names.
    pub(super) fn check_replicas(
        &self,
        replicas: &[BrokerId],
        replication_factor: Option<usize>,
    ) -> ApiResult<()> {
        let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, why));
        if replicas.is_empty() {
            return invalid(
                "The manual partition assignment includes an empty replica list.".to_owned(),
            );
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut previous = None;
        for id in sorted {
            if self.image.broker(id).is_none() {
                return invalid(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is \
                     registered."
                ));
            }
            if previous == Some(id) {
                return invalid(format!(
                    "The manual partition assignment includes the broker {id} more than once."
                ));
            }
            previous = Some(id);
        }
        match replication_factor {
            Some(expected) if expected != replicas.len() => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but \
                 this is not consistent with previous partitions, which have {expected} \
                 replica(s).",
                replicas.len()
            )),
            _ => Ok(()),
        }
    }

    /// The record of a new partition: the replicas that can lead are in sync, the first of them
    /// leads.
    pub(super) fn new_partition(
        &self,
        topic_id: TopicId,
        number: i32,
        replicas: &[BrokerId],
    ) -> PartitionRecord {
        let active = replicas
            .iter()
            .copied()
            .filter(|id| self.image.is_active(*id));
        let isr: Vec<BrokerId> = active.collect();
        let directory = |id: &BrokerId| {
            self.image
                .broker(*id)
                .map_or(DirectoryId::UNASSIGNED, Broker::default_directory)
        };
        PartitionRecord {
            partition_id: number,
            topic_id,
            replicas: replicas.to_vec(),
            leader: isr.first().copied(),
            isr,
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            recovering: false,
            leader_epoch: LeaderEpoch::new(0),
            partition_epoch: PartitionEpoch::new(0),
            directories: replicas.iter().map(directory).collect(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        }
    }

    /// The refusal of a request for more partitions than one may create.
    fn are_too_many(&self, topics: &[NewTopic]) -> Option<ApiError> {
        let count = |topic: &NewTopic| match (topic.assignments.len(), topic.partitions) {
            (0, -1) => usize::try_from(self.default_number("num.partitions")).unwrap_or(0),
            (0, partitions) => usize::try_from(partitions).unwrap_or(0),
            (assigned, _) => assigned,
        };
        let total = topics.iter().map(count).fold(0, usize::saturating_add);
        (total > PARTITIONS_PER_REQUEST_MAX).then(|| {
            ApiError::new(
                ErrorCode::PolicyViolation,
                "Excessively large number of partitions per request.",
            )
        })
    }

    fn default_number(&self, key: &str) -> i64 {
        self.config().broker(key).number().unwrap_or(1)
    }
}

fn invalid_request(why: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, why)
}

/// The refusal of a configuration value that is too long to be kept.
pub(super) fn value_too_long() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidConfig,
        format!(
            "The configuration value cannot be added because it exceeds the maximum value size \
             of {CONFIG_VALUE_LEN_MAX} bytes."
        ),
    )
}

/// Turns every success into a refusal of a batch that would be too long.
fn refuse_all(mut outcome: Vec<CreatedTopic>, what: &str) -> Vec<CreatedTopic> {
    for topic in outcome.iter_mut().filter(|topic| topic.result.is_ok()) {
        topic.result = Err(ApiError::new(
            ErrorCode::PolicyViolation,
            format!("Unable to perform excessively large {what}."),
        ));
    }
    outcome
}

/// A new topic's id: random, in the form of a version 4 UUID, which keeps it off the ids that
/// Kafka reserves, and never one that begins with a dash, which a command line would trip over.
fn draw_topic_id(entropy: &dyn Entropy) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        let id = TopicId::from_bytes(bytes);
        if !id.to_base64().starts_with('-') {
            return id;
        }
    }
}
