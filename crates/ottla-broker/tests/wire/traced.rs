//! What is told of each request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ottla_broker::{BrokerOptions, RequestLine, RequestTrace, RunningBroker, Storage};
use ottla_protocol::client::messages::{ApiVersionsRequest, FetchRequest};

use crate::batch;
use crate::client::{self, Client, produce, topic_id};

/// Keeps the lines.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<RequestLine>>);

impl RequestTrace for Lines {
    fn answered(&self, line: &RequestLine) {
        self.0.lock().unwrap().push(line.clone());
    }
}

impl Lines {
    /// API, version, topic and result of each line since the last call.
    fn take(&self) -> Vec<(&'static str, i16, Option<String>, &'static str)> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        let told = |line: RequestLine| (line.api, line.version, line.topic, line.result);
        lines.into_iter().map(told).collect()
    }
}

fn traced() -> (RunningBroker, SocketAddr, Arc<Lines>) {
    let lines = Arc::new(Lines::default());
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.trace = Some(Arc::<Lines>::clone(&lines));
    let (broker, address) = client::start_with(options);
    (broker, address, lines)
}

#[test]
fn every_request_has_one_line_whatever_becomes_of_it() {
    let (broker, address, lines) = traced();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "traced");
    let topic = || Some("traced".to_owned());
    assert_eq!(lines.take(), [("Metadata", 12, topic(), "NONE")]);
    client.call(&produce(id, "traced", 9, -1, batch(&["x"])), 9);
    assert_eq!(lines.take(), [("Produce", 9, topic(), "NONE")]);
    // No answer is wanted; the next request's comes after it took effect.
    client.send(&produce(id, "traced", 9, 0, batch(&["x"])), 9);
    client.call(&ApiVersionsRequest::default(), 0);
    assert_eq!(
        lines.take(),
        [
            ("Produce", 9, topic(), "NONE"),
            ("ApiVersions", 0, None, "NONE")
        ]
    );
    client.send(&produce(id, "missing", 9, 0, batch(&["x"])), 9);
    client.expect_closed();
    let missing = Some("missing".to_owned());
    assert_eq!(lines.take(), [("Produce", 9, missing, "CLOSED")]);
    drop(broker);
}

#[test]
fn what_is_refused_has_a_line_too() {
    let (broker, address, lines) = traced();
    let refused: [(&[u8], _); 4] = [
        // A version of ApiVersions that is not served is answered all the same.
        (
            b"\0\0\0\x0b\0\x12\x7f\0\0\0\0\x01\xff\xff\0",
            ("ApiVersions", 0x7f00, None, "UNSUPPORTED_VERSION"),
        ),
        (
            b"\0\0\0\x0a\0\x03\x7f\xff\0\0\0\x01\xff\xff",
            ("Metadata", 0x7fff, None, "CLOSED"),
        ),
        (
            b"\0\0\0\x0a\x7f\xff\0\x02\0\0\0\x01\xff\xff",
            ("UNKNOWN", 2, None, "CLOSED"),
        ),
        // Metadata with an array of 2^31 - 1 topics.
        (
            b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff",
            ("Metadata", 1, None, "CLOSED"),
        ),
    ];
    for (bytes, line) in refused {
        let mut client = Client::connect(address);
        client.send_bytes(bytes);
        client.finish();
        while client.try_receive_bytes().is_some() {}
        assert_eq!(lines.take(), [line], "{bytes:?}");
    }
    drop(broker);
}

/// A request that comes with another one waits for it, and that is a part of its time.
#[test]
fn the_time_begins_with_the_last_byte() {
    let (broker, address, lines) = traced();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "polled");
    lines.take();
    let fetch = client::fetch(id, "polled", 12, 0, 50);
    let fetch = client.frame(&fetch, 12);
    let versions = client.frame(&ApiVersionsRequest::default(), 0);
    client.send_bytes(&[fetch, versions].concat());
    client.try_receive::<FetchRequest>(12).unwrap();
    client.try_receive::<ApiVersionsRequest>(0).unwrap();
    let lines = lines.0.lock().unwrap();
    let apis: Vec<_> = lines.iter().map(|line| line.api).collect();
    assert_eq!(apis, ["Fetch", "ApiVersions"]);
    assert!(lines[1].took >= lines[0].took, "{lines:?}");
    drop(broker);
}
