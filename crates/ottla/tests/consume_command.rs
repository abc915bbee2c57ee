//! `ottla consume`, and what all commands make of a broker that misbehaves.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use ottla::{AppendOptions, Broker, NewTopic, Record};

fn ottla(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(args.split(' '));
    command
}

/// What a command that fails says.
fn failure(args: &str, bootstrap: &str) -> String {
    let output = ottla(args)
        .env("OTTLA_BOOTSTRAP_SERVER", bootstrap)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{args}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn append(broker: &Broker, value: &'static str) {
    let orders = broker.topic("orders").unwrap();
    let records = [Record::new(value)];
    let appended = orders.append_blocking(0, &records, AppendOptions::default());
    appended.unwrap();
}

/// Passes connections on, until they are cut.
struct Proxy {
    address: String,
    listener: TcpListener,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: listener.local_addr().unwrap().to_string(),
            listener,
            open: Arc::default(),
        }
    }

    fn start(&self, broker: String) {
        let listener = self.listener.try_clone().unwrap();
        let open = Arc::clone(&self.open);
        let copy = |from: &TcpStream, to: &TcpStream| {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        };
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(broker) = TcpStream::connect(&broker) else {
                    return;
                };
                copy(&client, &broker);
                copy(&broker, &client);
                open.lock().unwrap().push(client);
            }
        });
    }

    /// Ends all connections; returns how many there were.
    fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        for stream in &open {
            // The other side may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        open.len()
    }
}

#[test]
fn a_follower_outlives_its_connections() {
    let proxy = Proxy::new();
    let broker = Broker::builder().in_memory().advertise(&*proxy.address);
    let broker = broker.start_blocking().unwrap();
    broker
        .create_topic_blocking(NewTopic::new("orders"))
        .unwrap();
    let address = broker.listeners().remove(0).addresses.remove(0);
    proxy.start(address.to_string());
    for (args, before, after) in [
        ("consume orders --follow", "1", "2"),
        ("consume orders --follow --group g", "3", "4"),
    ] {
        append(&broker, before);
        let mut command = ottla(args);
        command.args(["--bootstrap-server", &proxy.address]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wait_for = |value: &str| assert!(lines.any(|line| line.unwrap() == value));
        wait_for(before);
        assert!(proxy.cut() > 0);
        append(&broker, after);
        wait_for(after);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("closed the connection"), "{told}");
        assert!(told.contains("trying to reconnect"), "{told}");
    }
}

#[test]
fn an_offset_that_is_not_there_is_refused_with_those_that_are() {
    let broker = Broker::builder().in_memory().start_blocking().unwrap();
    broker
        .create_topic_blocking(NewTopic::new("orders"))
        .unwrap();
    append(&broker, "first");
    for args in [
        "consume orders --from 99999",
        "consume orders --from 99999 --follow",
    ] {
        let told = failure(args, broker.bootstrap_servers());
        assert!(
            told.contains("from 0, and its next record gets 1"),
            "{told}"
        );
    }
    let at_end = ottla("consume orders --from 1")
        .args(["-b", broker.bootstrap_servers()])
        .output()
        .unwrap();
    assert!(at_end.status.success() && at_end.stdout.is_empty());
}

#[test]
fn an_address_without_a_port_is_told_how_to_write() {
    let told = failure("topics list", "nohost");
    assert!(told.contains("write HOST:PORT"), "{told}");
}

#[test]
fn a_server_that_lies_about_lengths_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lying = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        // The answer to ApiVersions 3: the request's id, no error, 2^31 - 1 entries.
        let mut answer = vec![0, 0, 0, 11];
        answer.extend_from_slice(&request[4..8]);
        answer.extend_from_slice(b"\0\0\x80\x80\x80\x80\x08");
        stream.write_all(&answer).unwrap();
    });
    let told = failure("topics list", &address);
    assert!(told.contains("claims 2147483647 elements"), "{told}");
    lying.join().unwrap();
}
