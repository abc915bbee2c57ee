//! What is asked: groups of requests, each group against a broker of its own.

mod cluster;
mod configs;
mod fetch;
mod frames;
mod group_offsets;
mod groups;
mod metadata;
mod observed;
mod offsets;
mod produce;
mod topics;

use serde_json::json;

use super::{batch::Batch, recorder::Recorder, schema::Api};
use crate::Error;

type Result = std::result::Result<(), Error>;

/// Requests that are asked of one broker, and kept in one file.
#[derive(Debug)]
pub struct Group {
    /// The file's name in `tests/goldens/`.
    pub name: &'static str,
    /// Broker settings.
    pub settings: Settings,
    /// Asks.
    pub run: fn(&mut Recorder) -> Result,
}

/// All groups.
pub const GROUPS: &[Group] = &[
    group("produce-accepted", &[], produce::accepted),
    group("produce-wrong-place", NO_AUTO_CREATE, produce::wrong_place),
    group("produce-wrong-batches", &[], produce::wrong_batches),
    group("produce-topic-rules", &[], produce::topic_rules),
    group("produce-idempotence", &[], produce::idempotence),
    group("fetch-data", &[], fetch::data),
    group("fetch-errors", &[], fetch::errors),
    group("fetch-epochs", &[], fetch::epochs),
    group("fetch-sessions", &[], fetch::sessions),
    group("list-offsets", &[], offsets::list_offsets),
    group("offset-for-leader-epoch", &[], offsets::leader_epochs),
    group("delete-records", &[], offsets::delete_records),
    group("api-versions", &[], metadata::api_versions),
    group("metadata", NO_AUTO_CREATE, metadata::metadata),
    group("metadata-auto-creation", &[], metadata::auto_creation),
    group("describe-cluster", &[], metadata::describe_cluster),
    group("describe-topic-partitions", &[], metadata::describe_topics),
    group("find-coordinator", &[], metadata::find_coordinator),
    group("create-topics", &[], topics::create),
    group("create-topics-refused", &[], topics::create_refused),
    group("delete-topics", &[], topics::delete),
    group("create-partitions", &[], topics::partitions),
    group("describe-configs", &[], configs::describe),
    group("describe-configs-broker", &[], configs::describe_broker),
    group("describe-configs-others", &[], configs::other_resources),
    group("incremental-alter-configs", &[], configs::incremental),
    group("alter-configs", &[], configs::alter),
    group("init-producer-id", &[], cluster::producer_ids),
    group("describe-log-dirs", &[], cluster::log_dirs),
    group("elect-leaders", &[], cluster::elections),
    group("list-partition-reassignments", &[], cluster::reassignments),
    group("describe-quorum", &[], cluster::quorum),
    group("groups-lives", ONE_SHARD, groups::lives),
    group("groups-refused", ONE_SHARD, groups::refused),
    group("groups-rebalances", ONE_SHARD, groups::rebalances),
    group("groups-static", ONE_SHARD, groups::static_members),
    group("groups-administered", ONE_SHARD, groups::administered),
    group("offset-commit", ONE_SHARD, group_offsets::committed),
    group("offset-commit-fenced", ONE_SHARD, group_offsets::fenced),
    group("offset-fetch", ONE_SHARD, group_offsets::fetched),
    group("offset-delete", ONE_SHARD, group_offsets::deleted),
    group("list-config-resources", &[], observed::config_resources),
    group("describe-producers", &[], observed::producers),
    group("telemetry", &[], observed::telemetry),
    group("security", &[], cluster::security),
    group("frames", &[], frames::frames),
    group("versions", &[], frames::versions),
];

type Settings = &'static [(&'static str, &'static str)];

const NO_AUTO_CREATE: Settings = &[("auto.create.topics.enable", "false")];

/// All groups in one partition, which Kafka has loaded sooner than fifty.
const ONE_SHARD: Settings = &[("offsets.topic.num.partitions", "1")];

const fn group(name: &'static str, settings: Settings, run: fn(&mut Recorder) -> Result) -> Group {
    Group {
        name,
        settings,
        run,
    }
}

/// The versions of an API, as Kafka has them.
fn every(api: &str) -> impl Iterator<Item = i16> + use<> {
    Api::named(api).versions.clone()
}

/// A topic name for each version of an API, so that every version finds the same state.
fn versions_of(topic: &str, api: &str) -> impl Iterator<Item = String> {
    every(api).map(move |version| format!("{topic}-v{version}"))
}

/// Writes a batch to a partition, so that there is something to ask for.
fn produce_to(r: &Recorder, topic: &str, partition: i32, batch: &Batch) -> Result {
    let body = json!({"acks": -1, "timeoutMs": 10_000, "topicData": [
        {"name": topic, "partitionData": [{"index": partition, "records": batch.value()}]}]});
    let answer = r.ask("Produce", 9, &body)?;
    match answer["responses"][0]["partitionResponses"][0]["errorCode"].as_i64() {
        Some(0) => Ok(()),
        _ => Err(Error::failed(format!(
            "a batch to {topic} was refused: {answer}"
        ))),
    }
}

/// Writes one small record to a topic's first partition.
fn produce_one(r: &Recorder, topic: &str) -> Result {
    produce_to(r, topic, 0, &Batch::one())
}

/// A new producer id. Kafka asks its controller for the first block of ids and answers "loading"
/// meanwhile.
fn producer_id(r: &Recorder) -> std::result::Result<i64, Error> {
    let body = json!({"transactionalId": null, "transactionTimeoutMs": 60_000});
    for _ in 0..10_000 {
        let answer = r.ask("InitProducerId", 4, &body)?;
        if let (Some(0), Some(id)) = (answer["errorCode"].as_i64(), answer["producerId"].as_i64()) {
            return Ok(id);
        }
    }
    Err(Error::failed("no producer id"))
}
