//! What the commands ask of a cluster: topics, offsets, records; each request at the right broker.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::client::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::client::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use ottla_protocol::client::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::client::messages::metadata_response::MetadataResponseTopic;
use ottla_protocol::client::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::client::messages::{
    BrokerId, FetchRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, TopicName,
};
use ottla_protocol::client::{Request, StrBytes, Uuid};

use super::connection::{Connection, ConnectionError};

/// How long the broker may take over a request that changes something.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a fetch waits at the end of a partition.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// How much one fetch brings: of all partitions, and of one.
const FETCH_BYTES: i32 = 16 << 20;
const FETCH_PARTITION_BYTES: i32 = 4 << 20;

/// The special timestamps of ListOffsets.
pub(crate) const LATEST: i64 = -1;
/// As [`LATEST`], for the other end.
pub(crate) const EARLIEST: i64 = -2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("{doing} failed: {}", detail.as_deref().unwrap_or_else(|| code.message()))]
    Refused {
        doing: String,
        code: ErrorCode,
        detail: Option<String>,
    },
    #[error("topic {topic:?} has no partition {partition}")]
    NoPartition { topic: String, partition: i32 },
    #[error("{0}")]
    Input(String),
    #[error("{doing}: {source}")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
}

impl ClientError {
    /// Whether connecting anew may help.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_passing())
    }

    /// Whether a signal ended what was waited for.
    pub(crate) const fn is_stop(&self) -> bool {
        matches!(self, Self::Connection(ConnectionError::Stopped))
    }

    /// `Ok` for error code 0.
    pub(crate) fn check(
        code: i16,
        detail: Option<&StrBytes>,
        doing: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if code == ErrorCode::None.code() {
            return Ok(());
        }
        // A newer broker may know a code that this client does not.
        let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        let detail = detail.map(ToString::to_string);
        Err(Self::Refused {
            doing: doing(),
            code,
            detail,
        })
    }
}

/// A partition's records, as they came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) records: Bytes,
    /// Transactions whose records are to be left out: producer id and first offset.
    pub(crate) aborted: Vec<(i64, i64)>,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<PartitionInfo>,
}

/// A partition as the cluster describes it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionInfo {
    pub(crate) number: i32,
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
}

/// Connections to the brokers of a cluster.
#[derive(Debug)]
pub(crate) struct Client {
    bootstrap: Connection,
    /// `HOST:PORT` of each broker.
    addresses: BTreeMap<i32, String>,
    brokers: BTreeMap<i32, Connection>,
}

impl Client {
    /// Connects to the broker at `address`.
    pub(crate) fn connect(address: &str) -> Result<Self, ClientError> {
        let bootstrap = Connection::open(address)?;
        Ok(Self {
            bootstrap,
            addresses: BTreeMap::new(),
            brokers: BTreeMap::new(),
        })
    }

    /// Connects anew, where the broker was that was first connected to.
    pub(crate) fn reconnect(&mut self, address: &str) -> Result<(), ClientError> {
        *self = Self::connect(address)?;
        self.broker_ids().map(drop)
    }

    /// Asks the broker first connected to; for what any broker answers.
    pub(crate) fn call<R: Request>(
        &mut self,
        api: &'static str,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        Ok(self.bootstrap.call(api, request)?)
    }

    /// The topics of the cluster, or just `names`; a missing one is made if `create` and allowed.
    pub(crate) fn topics(
        &mut self,
        names: Option<&[&str]>,
        create: bool,
    ) -> Result<Vec<Topic>, ClientError> {
        let asked = names.map(|names| {
            let topic =
                |name: &&str| MetadataRequestTopic::default().with_name(Some(name_of(name)));
            names.iter().map(topic).collect()
        });
        let request = MetadataRequest::default()
            .with_topics(asked)
            .with_allow_auto_topic_creation(create);
        let answer = self.call("Metadata", &request)?;
        ClientError::check(answer.error_code, None, || "asking for metadata".to_owned())?;
        self.addresses = answer
            .brokers
            .iter()
            .map(|b| (b.node_id.0, address_of(&b.host, b.port)))
            .collect();
        answer.topics.into_iter().map(topic_of).collect()
    }

    /// The topic `name`, which must exist unless `create` lets the broker make it.
    pub(crate) fn topic(&mut self, name: &str, create: bool) -> Result<Topic, ClientError> {
        let found = self.topics(Some(&[name]), create)?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| ClientError::Input(format!("no topic {name:?}")))
    }

    /// The offset of the first record at or after `timestamp`, or one of the special ones.
    pub(crate) fn offset(
        &mut self,
        topic: &Topic,
        partition: i32,
        timestamp: i64,
        read_committed: bool,
    ) -> Result<i64, ClientError> {
        let asked = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        let asked = ListOffsetsTopic::default()
            .with_name(name_of(&topic.name))
            .with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(read_committed))
            .with_topics(vec![asked]);
        let answer = self
            .leader(topic, partition)?
            .call("ListOffsets", &request)?;
        let found = answer.topics.iter().flat_map(|t| &t.partitions).next();
        let found = found.ok_or_else(|| no_partition(topic, partition))?;
        let doing = || format!("asking for the offsets of {}-{partition}", topic.name);
        ClientError::check(found.error_code, None, doing)?;
        Ok(found.offset)
    }

    /// Writes one encoded batch and returns its first record's offset; `None` for acks=0.
    pub(crate) fn produce(
        &mut self,
        topic: &Topic,
        partition: i32,
        batch: Bytes,
        acks: i16,
    ) -> Result<Option<i64>, ClientError> {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch));
        let data = TopicProduceData::default()
            .with_name(name_of(&topic.name))
            .with_topic_id(topic.id)
            .with_partition_data(vec![data]);
        let timeout = i32::try_from(REQUEST_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let request = ProduceRequest::default()
            .with_acks(acks)
            .with_timeout_ms(timeout)
            .with_topic_data(vec![data]);
        let leader = self.leader(topic, partition)?;
        if acks == 0 {
            leader.send("Produce", &request)?;
            return Ok(None);
        }
        let answer = leader.call("Produce", &request)?;
        let done = answer
            .responses
            .iter()
            .flat_map(|t| &t.partition_responses)
            .next();
        let done = done.ok_or_else(|| no_partition(topic, partition))?;
        let doing = || format!("writing to {}-{partition}", topic.name);
        ClientError::check(done.error_code, done.error_message.as_ref(), doing)?;
        Ok(Some(done.base_offset))
    }

    /// The records from each of `positions` (partition, offset) that `broker` leads.
    pub(crate) fn fetch(
        &mut self,
        topic: &Topic,
        broker: i32,
        positions: &[(i32, i64)],
        read_committed: bool,
    ) -> Result<Vec<Fetched>, ClientError> {
        let partition = |(partition, offset): &(i32, i64)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_current_leader_epoch(-1)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(FETCH_PARTITION_BYTES)
        };
        let asked = FetchTopic::default()
            .with_topic(name_of(&topic.name))
            .with_topic_id(topic.id)
            .with_partitions(positions.iter().map(partition).collect());
        let wait = i32::try_from(FETCH_WAIT.as_millis()).unwrap_or(i32::MAX);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(wait)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_isolation_level(i8::from(read_committed))
            .with_session_epoch(-1)
            .with_topics(vec![asked]);
        let answer = self.broker(broker)?.call("Fetch", &request)?;
        ClientError::check(answer.error_code, None, || {
            format!("reading {}", topic.name)
        })?;
        let mut fetched = Vec::new();
        for partition in answer.responses.into_iter().flat_map(|t| t.partitions) {
            let number = partition.partition_index;
            let doing = || format!("reading {}-{number}", topic.name);
            ClientError::check(partition.error_code, None, doing)?;
            let aborted = partition.aborted_transactions.unwrap_or_default();
            fetched.push(Fetched {
                partition: number,
                records: partition.records.unwrap_or_default(),
                aborted: aborted
                    .iter()
                    .map(|t| (t.producer_id.0, t.first_offset))
                    .collect(),
            });
        }
        Ok(fetched)
    }

    /// The broker that keeps the group `group`.
    pub(crate) fn coordinator(&mut self, group: &str) -> Result<&mut Connection, ClientError> {
        let key = StrBytes::from_string(group.to_owned());
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![key]);
        let answer = self.call("FindCoordinator", &request)?;
        let found = answer.coordinators.into_iter().next();
        let none = || ClientError::Input(format!("no broker keeps group {group:?} now"));
        let found = found.ok_or_else(none)?;
        ClientError::check(found.error_code, found.error_message.as_ref(), || {
            format!("looking for the coordinator of group {group:?}")
        })?;
        let id = found.node_id.0;
        self.addresses
            .insert(id, address_of(&found.host, found.port));
        self.broker(id)
    }

    /// The brokers of the cluster.
    pub(crate) fn broker_ids(&mut self) -> Result<Vec<i32>, ClientError> {
        self.topics(Some(&[]), false)?;
        Ok(self.addresses.keys().copied().collect())
    }

    fn leader(&mut self, topic: &Topic, partition: i32) -> Result<&mut Connection, ClientError> {
        let info = topic.partitions.iter().find(|p| p.number == partition);
        let leader = info.ok_or_else(|| no_partition(topic, partition))?.leader;
        self.broker(leader)
    }

    /// The broker `id`.
    pub(crate) fn broker(&mut self, id: i32) -> Result<&mut Connection, ClientError> {
        if !self.brokers.contains_key(&id) {
            let unknown = || ClientError::Input(format!("the cluster has no broker {id} now"));
            let connection = Connection::open(self.addresses.get(&id).ok_or_else(unknown)?)?;
            self.brokers.insert(id, connection);
        }
        Ok(self.brokers.get_mut(&id).expect("it was just put there"))
    }

    /// Closes the connections on which an answer may still come; all but the first one.
    pub(crate) fn forget_brokers(&mut self) {
        self.brokers.clear();
    }
}

fn address_of(host: &StrBytes, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{}]:{port}", host.as_str()),
        false => format!("{}:{port}", host.as_str()),
    }
}

/// A topic's name in the form the messages want.
pub(crate) fn name_of(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn no_partition(topic: &Topic, partition: i32) -> ClientError {
    ClientError::NoPartition {
        topic: topic.name.clone(),
        partition,
    }
}

fn topic_of(topic: MetadataResponseTopic) -> Result<Topic, ClientError> {
    let name = topic.name.map_or_else(String::new, |n| n.0.to_string());
    ClientError::check(topic.error_code, None, || {
        format!("looking up topic {name:?}")
    })?;
    let mut partitions: Vec<PartitionInfo> = Vec::new();
    for partition in topic.partitions {
        partitions.push(PartitionInfo {
            number: partition.partition_index,
            leader: partition.leader_id.0,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.iter().map(|b| b.0).collect(),
            isr: partition.isr_nodes.iter().map(|b| b.0).collect(),
        });
    }
    partitions.sort_by_key(|p| p.number);
    Ok(Topic {
        name,
        id: topic.topic_id,
        partitions,
    })
}
