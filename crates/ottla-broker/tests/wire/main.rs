//! A broker in memory, spoken to over TCP by a client that knows nothing but the protocol.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod client;
mod traced;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, broker, fetch, produce, topic_id};
use ottla_broker::{BrokerOptions, Storage};
use ottla_log::{BatchOptions, Record, TestClock, build_batch};
use ottla_partition::metadata::config::BrokerConfig;
use ottla_protocol::client::messages::{ApiVersionsRequest, FetchRequest, ProduceRequest};

fn batch(texts: &[&str]) -> Bytes {
    let record = |text: &&str| Record::new(text.as_bytes().to_vec());
    let records: Vec<Record> = texts.iter().map(record).collect();
    let options = BatchOptions {
        now: ottla_log::Timestamp::new(1_700_000_000_000),
        ..BatchOptions::default()
    };
    build_batch(&records, &options).unwrap()
}

#[test]
fn records_come_back_in_every_version() {
    let (broker, address) = broker();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "versions");
    let mut next = 0;
    for version in 3..=13 {
        let sent = batch(&["one", "two"]);
        let response = client.call(&produce(id, "versions", version, -1, sent), version);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0, "produce v{version}");
        assert_eq!(partition.base_offset, next);
        next += 2;
    }
    for version in 4..=18 {
        let response = client.call(&fetch(id, "versions", version, 0, 0), version);
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "fetch v{version}");
        assert_eq!(partition.high_watermark, next);
        let records = partition.records.as_ref().unwrap();
        let whole = batch(&["one", "two"]).len() * 11;
        assert_eq!(records.len(), whole, "fetch v{version}");
    }
    drop(broker);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (broker, address) = broker();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "pipelined");
    let mut ids = Vec::new();
    for round in 0..200 {
        let text = format!("record {round}");
        ids.push((
            true,
            client.send(&produce(id, "pipelined", 9, -1, batch(&[&text])), 9),
        ));
        ids.push((false, client.send(&ApiVersionsRequest::default(), 0)));
    }
    let mut offset = 0;
    for (is_produce, correlation_id) in ids {
        if is_produce {
            let response = client.receive::<ProduceRequest>(9, correlation_id);
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, offset));
            offset += 1;
        } else {
            client.receive::<ApiVersionsRequest>(0, correlation_id);
        }
    }
    drop(broker);
}

#[test]
fn a_long_poll_is_woken_by_an_append_and_not_before() {
    let (broker, address) = broker();
    let mut reader = Client::connect(address);
    let mut writer = Client::connect(address);
    let id = topic_id(&mut writer, "polled");
    // An hour: only the append can answer it within this test's life.
    let waiting = reader.send(&fetch(id, "polled", 12, 0, 3_600_000), 12);
    reader.expect_nothing_yet();
    writer.call(&produce(id, "polled", 9, 1, batch(&["wake up"])), 9);
    let response = reader.receive::<FetchRequest>(12, waiting);
    let records = response.responses[0].partitions[0]
        .records
        .as_ref()
        .unwrap();
    assert_eq!(records.len(), batch(&["wake up"]).len());
    drop(broker);
}

#[test]
fn a_session_tells_only_what_changed() {
    let (broker, address) = broker();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "session");
    client.call(&produce(id, "session", 9, -1, batch(&["first"])), 9);

    let mut first = fetch(id, "session", 13, 0, 0);
    first.session_epoch = 0;
    let response = client.call(&first, 13);
    assert_eq!(response.responses.len(), 1);
    let session = response.session_id;
    assert_ne!(session, 0);

    let mut next = fetch(id, "session", 13, 1, 0);
    (next.session_id, next.session_epoch) = (session, 1);
    let response = client.call(&next, 13);
    assert_eq!((response.error_code, response.responses.len()), (0, 0));

    client.call(&produce(id, "session", 9, -1, batch(&["second"])), 9);
    next.session_epoch = 2;
    next.topics.clear();
    let response = client.call(&next, 13);
    let records = response.responses[0].partitions[0]
        .records
        .as_ref()
        .unwrap();
    assert_eq!(records.len(), batch(&["second"]).len());

    // The same epoch again, and a session that nobody has.
    assert_eq!(client.call(&next, 13).error_code, 71);
    (next.session_id, next.session_epoch) = (session ^ 1, 1);
    assert_eq!(client.call(&next, 13).error_code, 70);
    drop(broker);
}

#[test]
fn a_failed_produce_without_acks_closes_the_connection() {
    let (broker, address) = broker();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "silent");
    client.send(&produce(id, "silent", 9, 0, batch(&["kept"])), 9);
    client.call(&ApiVersionsRequest::default(), 0);
    client.send(&produce(id, "missing", 9, 0, batch(&["lost"])), 9);
    client.expect_closed();

    let mut client = Client::connect(address);
    let response = client.call(&fetch(id, "silent", 12, 0, 0), 12);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    drop(broker);
}

#[test]
fn hostile_bytes_end_their_connection_and_no_other() {
    let (broker, address) = broker();
    let mut honest = Client::connect(address);
    honest.call(&ApiVersionsRequest::default(), 0);
    let hostile: [&[u8]; 8] = [
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0],
        &[0, 0, 0, 2, 0, 0],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        // An API key that nobody knows, and a version that nobody serves.
        b"\0\0\0\x0a\x7f\xff\0\0\0\0\0\x01\xff\xff",
        b"\0\0\0\x0a\0\x03\x7f\xff\0\0\0\x01\xff\xff",
        // Metadata v1 with an array of 2^31 - 1 topics.
        b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff",
    ];
    for bytes in hostile {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = [0; 16];
        let ended = stream.read(&mut answer);
        assert!(matches!(ended, Ok(0) | Err(_)), "{bytes:?} was answered");
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    drop(broker);
}

#[test]
fn internal_topics_and_unknown_acks_are_refused() {
    let (broker, address) = broker();
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "plain");
    let response = client.call(&produce(id, "plain", 9, 5, batch(&["x"])), 9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 21);
    let response = client.call(&produce(id, "../x", 9, -1, batch(&["x"])), 9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 3);
    drop(broker);
}

#[test]
fn a_restart_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, address) = client::broker_in(dir.path());
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "kept");
    client.call(&produce(id, "kept", 9, -1, batch(&["a", "b", "c"])), 9);
    let report = broker.shutdown_blocking();
    assert!(report.clean, "{report:?}");

    let (broker, address) = client::broker_in(dir.path());
    let mut client = Client::connect(address);
    let response = client.call(&fetch(id, "kept", 12, 0, 0), 12);
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark), (0, 3));
    let records = partition.records.as_ref().unwrap();
    assert_eq!(records.len(), batch(&["a", "b", "c"]).len());
    drop(broker);
}

#[test]
fn what_took_effect_is_answered_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = BrokerOptions::new(Storage::Dir(dir.path().to_path_buf()));
    // However slow this machine is.
    options.limits.finish_timeout = Duration::from_secs(60);
    options.limits.drain_timeout = Duration::from_secs(60);
    options.limits.close_timeout = Duration::from_secs(60);
    let (broker, address) = client::start_with(options);
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "busy");
    let mut writer = client.second_hand();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let writing = std::thread::spawn(move || {
        let request = produce(id, "busy", 9, -1, batch(&["x"]));
        while !is_over.load(Ordering::Relaxed) && writer.try_send(&request, 9) {}
    });
    let mut answered = 0;
    let mut answer = |client: &mut Client| {
        let response = client.try_receive::<ProduceRequest>(9)?;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, answered));
        answered += 1;
        Some(())
    };
    for _ in 0..100 {
        answer(&mut client).unwrap();
    }
    let ending = std::thread::spawn(move || broker.shutdown_blocking());
    while answer(&mut client).is_some() {}
    over.store(true, Ordering::Relaxed);
    drop(client);
    writing.join().unwrap();
    let report = ending.join().unwrap();
    assert!(report.clean && !report.abandoned, "{report:?}");

    let (broker, address) = client::broker_in(dir.path());
    let mut client = Client::connect(address);
    let response = client.call(&fetch(id, "busy", 12, 0, 0), 12);
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.high_watermark, answered);
    drop(broker);
}

#[test]
fn deleted_records_leave_the_disk_when_their_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::ticking();
    let mut options = BrokerOptions::new(Storage::Dir(dir.path().to_path_buf()));
    options.clock = Arc::new(clock.clone());
    let segment = ("log.segment.bytes".to_owned(), "1048576".to_owned());
    // The records' own time is of long ago.
    let retention = ("log.retention.ms".to_owned(), "-1".to_owned());
    options.config = BrokerConfig::new([segment, retention]).unwrap().0;
    let (broker, address) = client::start_with(options);
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, "cut");
    let large = "x".repeat(700_000);
    for _ in 0..3 {
        client.call(&produce(id, "cut", 9, -1, batch(&[&large])), 9);
    }
    let segments = || {
        let entries = std::fs::read_dir(dir.path().join("kafka/cut-0")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".log")).count()
    };
    assert_eq!(segments(), 3);
    assert_eq!(
        client
            .call(&client::delete_records("cut", 2), 2)
            .topics
            .len(),
        1
    );
    // Each call gives the broker a turn: first the files are marked, a minute later they go.
    clock.advance(Duration::from_secs(1));
    let marked = || {
        let entries = std::fs::read_dir(dir.path().join("kafka/cut-0")).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.any(|name| name.ends_with(".deleted"))
    };
    while !marked() {
        client.call(&ApiVersionsRequest::default(), 0);
    }
    clock.advance(Duration::from_secs(120));
    while segments() != 1 {
        client.call(&ApiVersionsRequest::default(), 0);
    }
    let response = client.call(&fetch(id, "cut", 12, 2, 0), 12);
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.log_start_offset), (0, 2));
    drop(broker);
}
