//! Handlers on node 1 of a cluster of three brokers whose metadata stand still.

use std::sync::Arc;

use ottla_log::vfs::MemVfs;
use ottla_log::{
    FlushMode, LeaderEpoch, Offset, SeededEntropy, Store, StoreOptions, SystemClock, TopicId,
    TopicName, World,
};
use ottla_partition::metadata::config::{BrokerConfig, ConfigView};
use ottla_partition::metadata::{
    BrokerEndpoint, Image, MetadataRecord, PartitionRecord, RegisterBrokerRecord, SecurityProtocol,
    TopicRecord,
};
use ottla_partition::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch};

use super::{Context, Failed};
use crate::authorizer::Authorizer;
use crate::budget::Budget;
use crate::core::BrokerCore;
use crate::groups::Groups;
use crate::handlers::fetch::FetchSessions;
use crate::handlers::producer_ids::ProducerIds;
use crate::limits::Limits;
use crate::listener::{DoorRules, Doorkeeper, ListenerSpec, bind};
use crate::log_gate::Complaints;
use crate::metadata::Metadata;
use crate::partitions::Partitions;
use crate::runtime::Runtime;
use crate::session::Session;
use crate::timer::Timer;

/// A topic with a partition led by each of the brokers 1, 2 and 3, in this order.
pub(super) const TOPIC: &str = "spread";
pub(super) const TOPIC_ID: TopicId = TopicId::from_bytes(*b"the topic spread");

fn register(id: i32) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: BrokerId::new(id),
        incarnation_id: IncarnationId::default(),
        broker_epoch: BrokerEpoch::new(id.into()),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: format!("broker-{id}"),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: Vec::new(),
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: Vec::new(),
    })
}

fn partition(leader: i32) -> MetadataRecord {
    let replicas = vec![BrokerId::new(leader)];
    MetadataRecord::Partition(PartitionRecord {
        partition_id: leader - 1,
        topic_id: TOPIC_ID,
        isr: replicas.clone(),
        directories: vec![DirectoryId::UNASSIGNED],
        replicas,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: Some(BrokerId::new(leader)),
        recovering: false,
        leader_epoch: LeaderEpoch::new(4),
        partition_epoch: PartitionEpoch::new(0),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    })
}

fn image() -> Image {
    let topic = MetadataRecord::Topic(TopicRecord {
        name: TopicName::new(TOPIC).unwrap(),
        topic_id: TOPIC_ID,
    });
    let brokers = (1..=3).map(register);
    let partitions = (1..=3).map(partition);
    let records: Vec<_> = brokers.chain([topic]).chain(partitions).collect();
    Image::new("three").replay(Offset::ZERO, &records).unwrap()
}

/// What a request of `version` comes with, from a peer judged by `authorizer`.
pub(super) fn context(version: i16, authorizer: Arc<dyn Authorizer>) -> Context {
    let runtime = Runtime::shared().unwrap();
    let clock = Arc::new(SystemClock::new());
    let entropy = Arc::new(SeededEntropy::new(1));
    let timer = Timer::new(Arc::clone(&clock) as _);
    let world = World {
        vfs: Arc::new(MemVfs::volatile()),
        clock,
        entropy: Arc::clone(&entropy) as _,
    };
    let mut options = StoreOptions::default();
    options.flush = FlushMode::Os;
    let store = Store::open_in(world, "/ottla", options).unwrap().store;
    let (node, config) = (BrokerId::new(1), BrokerConfig::default());
    let metadata = Metadata::fixed(&runtime, &timer, node, &config, image());
    let limits = Arc::new(Limits::default());
    let listeners = bind(&["127.0.0.1:0".parse::<ListenerSpec>().unwrap()], &[], 16).unwrap();
    let image = metadata.image();
    let rules = DoorRules::of(ConfigView::new(&image, node, &config), &limits);
    let door = Doorkeeper::new(rules);
    let core = BrokerCore {
        node_id: node,
        door,
        budget: Budget::new(limits.budget_bytes),
        fetch_sessions: FetchSessions::new(&limits),
        answer_files: Arc::new(tokio::sync::Semaphore::new(limits.files().answers)),
        producer_ids: ProducerIds::default(),
        groups: Arc::new(Groups::new(node, &config, &limits, timer.clone())),
        limits,
        log_limits: ottla_log::Limits::default(),
        partitions: Arc::new(Partitions::new(
            node,
            store,
            FlushMode::Os,
            config.clone(),
            timer.clone(),
            Arc::clone(&entropy) as _,
            metadata.published(),
        )),
        at_start: config,
        listeners: listeners
            .into_iter()
            .map(|(listener, _)| listener)
            .collect(),
        authorizer,
        timer,
        entropy,
        metadata,
        trace: None,
        complaints: Complaints::default(),
        runtime,
    };
    Context {
        image: core.metadata.image(),
        core: Arc::new(core),
        session: Arc::new(Session::in_process()),
        version,
        client_id: None,
        failed: Failed::default(),
    }
}
