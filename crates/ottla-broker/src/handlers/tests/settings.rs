//! Settings that change while the broker runs, and what clients are told of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ottla_log::{
    BatchOptions, ProducerEpoch, ProducerId, Record, Sequence, TestClock, build_batch,
};
use ottla_protocol::messages;
use ottla_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use super::*;
use crate::listener::ListenerSpec;

fn start(change: impl FnOnce(&mut BrokerOptions)) -> Cluster {
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.listen = vec![ListenerSpec::loopback(0)];
    change(&mut options);
    Cluster {
        broker: start_blocking(options).expect("a broker in memory starts"),
        session: Arc::new(Session::in_process()),
    }
}

/// Sets `key` for all brokers.
fn set(cluster: &Cluster, key: &str, value: &str) {
    let config = messages::IncrementalAlterableConfig {
        name: text(key),
        config_operation: 0,
        value: Some(text(value)),
    };
    let request = messages::IncrementalAlterConfigsRequest {
        resources: [messages::IncrementalAlterConfigsResource {
            resource_type: 4,
            resource_name: text(""),
            configs: [config].into(),
        }]
        .into(),
        ..Default::default()
    };
    let altered = ask!(cluster, 1, IncrementalAlterConfigs, request);
    assert_eq!(altered.responses[0].error_code, 0, "{altered:?}");
}

/// A connection that asks for the versions of the broker.
fn connect(cluster: &Cluster) -> TcpStream {
    let mut stream = TcpStream::connect(cluster.broker.listeners()[0].addresses[0]).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    // Where it is closed already there will be no answer, which is what is looked for.
    let _ = stream.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff");
    stream
}

/// Whether a connection gets an answer, and not its end.
fn is_let_in(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4]) {
        Ok(n) => n > 0,
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("the broker hangs"),
        Err(_) => false,
    }
}

#[test]
fn bounds_of_connections_change_while_the_broker_runs() {
    let cluster = start(|_| {});
    let mut first = connect(&cluster);
    assert!(is_let_in(&mut first));
    let key = "max.connections.per.ip.overrides";
    set(&cluster, key, "127.0.0.1:1");
    assert!(!is_let_in(&mut connect(&cluster)), "the first is the one");
    set(&cluster, key, "127.0.0.1:9");
    assert!(is_let_in(&mut connect(&cluster)));
}

#[test]
fn clients_are_told_the_bounds_that_hold() {
    let cluster = start(|options| options.limits.connections_max = 17);
    let shown = |key: &str| {
        let request = messages::DescribeConfigsRequest {
            resources: [messages::DescribeConfigsResource {
                resource_type: 4,
                resource_name: text("1"),
                configuration_keys: Some([text(key)].into()),
            }]
            .into(),
            ..Default::default()
        };
        let described = ask!(cluster, 4, DescribeConfigs, request);
        let value = described.results[0].configs[0].value.clone();
        value.map(|value| value.to_string())
    };
    let is = |key: &str, value: &str| assert_eq!(shown(key).as_deref(), Some(value), "{key}");
    is("max.connections", "17");
    is("max.connections.per.ip", "512");
    is("max.connection.creation.rate", "200");
    is("socket.listen.backlog.size", "1024");
    set(&cluster, "max.connections", "18");
    is("max.connections", "18");
}

#[test]
fn idle_producers_are_forgotten_when_the_setting_says() {
    let clock = TestClock::ticking();
    let of_broker = Arc::new(clock.clone());
    let cluster = start(|options| options.clock = of_broker);
    cluster.create(HERE, &[&[1]]);
    let batch = BatchOptions {
        producer_id: ProducerId::new(7),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(0),
        ..BatchOptions::default()
    };
    let records = build_batch(&[Record::new("x")], &batch).unwrap();
    let partition = PartitionProduceData {
        index: 0,
        records: Some(records),
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: [TopicProduceData {
            name: text(HERE),
            partition_data: [partition].into_iter().collect(),
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    };
    let produced = ask!(cluster, 9, Produce, request);
    let code = produced.responses[0].partition_responses[0].error_code;
    assert_eq!(code, 0);
    let known = || {
        let request = messages::DescribeProducersRequest {
            topics: [messages::DescribeProducersTopic {
                name: text(HERE),
                partition_indexes: vec![0],
            }]
            .into(),
        };
        let described = ask!(cluster, 0, DescribeProducers, request);
        described.topics[0].partitions[0].active_producers.len()
    };
    assert_eq!(known(), 1);
    // Less than the day that is Kafka's default.
    clock.advance(Duration::from_secs(3600));
    set(&cluster, "producer.id.expiration.ms", "60000");
    // The broker looks after its logs in the background.
    while known() != 0 {
        std::thread::yield_now();
    }
}
