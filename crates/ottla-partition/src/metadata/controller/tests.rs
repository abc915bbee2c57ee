//! The controller on images of one and of three brokers.

mod configs;
mod kafka;
mod nodes;
mod reset;
mod topics;

use ottla_log::{Offset, SeededEntropy};
use ottla_protocol::ErrorCode;

use super::*;
use crate::metadata::image::Partition;
use crate::metadata::record::{BrokerEndpoint, SecurityProtocol};
use crate::{BrokerEpoch, DirectoryId, IncarnationId};

/// A cluster whose decisions take effect at once.
struct Cluster {
    image: Image,
    node: BrokerId,
    at_start: BrokerConfig,
    entropy: SeededEntropy,
}

impl Cluster {
    /// A cluster of nothing yet, seen by the first of these brokers.
    fn empty(brokers: &[i32]) -> Self {
        Self {
            image: Image::new("c"),
            node: id(brokers[0]),
            at_start: BrokerConfig::default(),
            entropy: SeededEntropy::new(7),
        }
    }

    /// A cluster with these brokers, unfenced.
    fn of(brokers: &[i32]) -> Self {
        let mut cluster = Self::empty(brokers);
        cluster.run(|c, _| c.bootstrap());
        for broker in brokers {
            cluster.join(*broker);
        }
        cluster
    }

    fn with_settings(mut self, settings: &[(&str, &str)]) -> Self {
        let owned = settings.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        self.at_start = BrokerConfig::new(owned).unwrap().0;
        self
    }

    /// Decides, commits, replays; the outcome.
    fn run<T>(&mut self, decide: impl FnOnce(Controller<'_>, &SeededEntropy) -> Decision<T>) -> T {
        let controller = Controller::new(&self.image, self.node, &self.at_start);
        let decision = decide(controller, &self.entropy);
        let end = self.image.end();
        self.image = self.image.replay(end, &decision.records).unwrap();
        decision.outcome
    }

    fn join(&mut self, broker: i32) {
        let epoch = self
            .run(|c, _| c.register_broker(&registration(broker, 0), true, false))
            .unwrap();
        self.run(|c, _| c.unfence_broker(id(broker), epoch))
            .unwrap();
    }

    fn epoch(&self, broker: i32) -> BrokerEpoch {
        self.image.broker(id(broker)).unwrap().epoch
    }

    fn fence(&mut self, broker: i32) {
        let epoch = self.epoch(broker);
        self.run(|c, _| c.fence_broker(id(broker), epoch)).unwrap();
    }

    fn unfence(&mut self, broker: i32) {
        let epoch = self.epoch(broker);
        self.run(|c, _| c.unfence_broker(id(broker), epoch))
            .unwrap();
    }

    fn create(&mut self, topic: NewTopic) -> ApiResult<TopicCreated> {
        let request = CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        let mut created = self.run(|c, entropy| c.create_topics(&request, entropy));
        created.remove(0).result
    }

    /// A topic of one partition on these replicas.
    fn create_on(&mut self, name: &str, replicas: &[i32]) {
        let mut topic = NewTopic::new(name);
        topic.assignments = vec![(0, ids(replicas))];
        self.create(topic).unwrap();
    }

    fn partition(&self, topic: &str) -> &Partition {
        self.image.topic(topic).unwrap().partition(0).unwrap()
    }

    /// `leader epoch isr/elr` of a topic's partition 0, for short assertions.
    fn state(&self, topic: &str) -> String {
        let p = self.partition(topic);
        let list = |ids: &[BrokerId]| {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            ids.join(",")
        };
        let leader = p.leader.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut text = format!("{leader} e{} isr {}", p.leader_epoch, list(&p.isr));
        if !p.elr.is_empty() {
            text += &format!(" elr {}", list(&p.elr));
        }
        if !p.last_known_elr.is_empty() {
            text += &format!(" last {}", list(&p.last_known_elr));
        }
        if p.recovering {
            text += " recovering";
        }
        text
    }
}

fn id(broker: i32) -> BrokerId {
    BrokerId::new(broker)
}

fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().map(|broker| id(*broker)).collect()
}

fn registration(broker: i32, run: u8) -> Registration {
    Registration {
        broker_id: id(broker),
        incarnation_id: IncarnationId::from_bytes([run; 16]),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: format!("broker-{broker}"),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: Vec::new(),
        rack: None,
        log_dirs: vec![DirectoryId::from_bytes([200 + run; 16])],
    }
}

fn refusal<T: std::fmt::Debug>(result: ApiResult<T>) -> (ErrorCode, String) {
    let error = result.unwrap_err();
    (error.code, error.message)
}

fn code<T: std::fmt::Debug>(result: ApiResult<T>) -> ErrorCode {
    result.unwrap_err().code
}

#[test]
fn a_cluster_begins_with_its_features() {
    let mut cluster = Cluster::of(&[1]);
    assert_eq!(cluster.image.feature_level("metadata.version"), 30);
    let end = cluster.image.end();
    cluster.run(|c, _| c.bootstrap());
    assert_eq!(cluster.image.end(), end, "nothing to begin twice");
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut cluster = Cluster::of(&[1, 2]);
    let (one, two) = (cluster.epoch(1), cluster.epoch(2));
    let mut first = cluster
        .run(|c, _| c.allocate_producer_ids(id(1), one))
        .unwrap();
    let second = cluster
        .run(|c, _| c.allocate_producer_ids(id(2), two))
        .unwrap();
    let taken: Vec<i64> = std::iter::from_fn(|| first.take())
        .map(ottla_log::ProducerId::get)
        .collect();
    assert_eq!(taken, (0..1000).collect::<Vec<_>>());
    assert_eq!(second.first.get(), 1000);
    let stale = cluster.run(|c, _| c.allocate_producer_ids(id(1), two));
    assert_eq!(code(stale), ErrorCode::StaleBrokerEpoch);
    let unknown = cluster.run(|c, _| c.allocate_producer_ids(id(9), two));
    assert_eq!(code(unknown), ErrorCode::BrokerIdNotRegistered);
    assert!(cluster.image.end() > Offset::ZERO);
}
