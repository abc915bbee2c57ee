//! A client over one TCP connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ottla_broker::{BrokerOptions, ListenerSpec, RunningBroker, Storage, start_blocking};
use ottla_protocol::client::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use ottla_protocol::client::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::client::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::client::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::client::messages::{
    BrokerId, DeleteRecordsRequest, FetchRequest, MetadataRequest, ProduceRequest, TopicName,
};
use ottla_protocol::client::{Request, StrBytes, Uuid, decode_response, encode_request};

/// A broker in memory and where it listens.
pub(crate) fn broker() -> (RunningBroker, SocketAddr) {
    start(Storage::InMemory)
}

/// A broker in a directory and where it listens.
pub(crate) fn broker_in(dir: &Path) -> (RunningBroker, SocketAddr) {
    start(Storage::Dir(dir.to_path_buf()))
}

fn start(storage: Storage) -> (RunningBroker, SocketAddr) {
    start_with(BrokerOptions::new(storage))
}

/// A broker with `options` and where it listens.
pub(crate) fn start_with(mut options: BrokerOptions) -> (RunningBroker, SocketAddr) {
    options.listen = vec![ListenerSpec::loopback(0)];
    let broker = start_blocking(options).unwrap();
    let address = broker.listeners()[0].addresses[0];
    (broker, address)
}

pub(crate) struct Client {
    stream: TcpStream,
    sent: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // A test that hangs shall fail some day.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self { stream, sent: 0 }
    }

    /// Sends a request; its correlation id.
    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.sent += 1;
        let frame = encode_request(request, version, self.sent, "wire").unwrap();
        self.stream.write_all(&frame).unwrap();
        self.sent
    }

    /// The next response, which must be the one to `correlation_id`.
    pub(crate) fn receive<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).unwrap();
        let (id, response) = decode_response::<R>(Bytes::from(frame), version).unwrap();
        assert_eq!(id, correlation_id, "a response out of order");
        response
    }

    /// The same connection, for another thread to send on.
    pub(crate) fn second_hand(&self) -> Self {
        let stream = self.stream.try_clone().unwrap();
        Self { stream, sent: 0 }
    }

    /// Sends a request; false where the connection is closed.
    pub(crate) fn try_send<R: Request>(&mut self, request: &R, version: i16) -> bool {
        self.sent += 1;
        let frame = encode_request(request, version, self.sent, "wire").unwrap();
        self.stream.write_all(&frame).is_ok()
    }

    /// A request as it goes over the wire.
    pub(crate) fn frame<R: Request>(&mut self, request: &R, version: i16) -> Vec<u8> {
        self.sent += 1;
        let frame = encode_request(request, version, self.sent, "wire").unwrap();
        frame.to_vec()
    }

    /// Sends any bytes.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        // The broker may have closed the connection already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Bytes of an answer; `None` where the connection is closed.
    pub(crate) fn try_receive_bytes(&mut self) -> Option<usize> {
        let received = self.stream.read(&mut [0; 1024]);
        let hangs = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!received.as_ref().is_err_and(hangs), "the broker hangs");
        received.ok().filter(|n| *n > 0)
    }

    /// The next response, whatever it answers; `None` where the connection is closed.
    pub(crate) fn try_receive<R: Request>(&mut self, version: i16) -> Option<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        Some(decode_response::<R>(Bytes::from(frame), version).unwrap().1)
    }

    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let id = self.send(request, version);
        self.receive::<R>(version, id)
    }

    /// No byte of an answer is there. Says nothing of one that is on its way.
    pub(crate) fn expect_nothing_yet(&mut self) {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        assert!(peeked.is_err(), "answered too soon");
        self.stream.set_nonblocking(false).unwrap();
    }

    pub(crate) fn expect_closed(&mut self) {
        let ended = self.stream.read(&mut [0; 16]);
        assert!(matches!(ended, Ok(0) | Err(_)), "still open: {ended:?}");
    }
}

/// Asks for a topic, which makes it, and answers its id.
pub(crate) fn topic_id(client: &mut Client, name: &str) -> Uuid {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(true);
    let response = client.call(&request, 12);
    let topic = &response.topics[0];
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 1));
    assert_eq!(topic.partitions[0].leader_id, BrokerId(1));
    topic.topic_id
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// One batch for partition 0.
pub(crate) fn produce(
    id: Uuid,
    name: &str,
    version: i16,
    acks: i16,
    records: Bytes,
) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default().with_partition_data(vec![partition]);
    let topic = match version {
        13.. => topic.with_topic_id(id),
        _ => topic.with_name(topic_name(name)),
    };
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// Reads partition 0 from `offset` on, waiting up to `wait_ms` for a record.
pub(crate) fn fetch(id: Uuid, name: &str, version: i16, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_partitions(vec![partition]);
    let topic = match version {
        13.. => topic.with_topic_id(id),
        _ => topic.with_topic(topic_name(name)),
    };
    let request = FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    match version {
        0..=14 => request.with_replica_id(BrokerId(-1)),
        _ => request,
    }
}

/// Deletes the records of partition 0 below `offset`.
pub(crate) fn delete_records(name: &str, offset: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(topic_name(name))
        .with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic])
}
