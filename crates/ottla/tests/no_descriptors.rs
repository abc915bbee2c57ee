//! A broker whose machine has no file descriptor left. The only test of its process, whose limit it
//! lowers.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};

use ottla::Broker;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than a broker needs by itself, and few enough to be used up.
const FILES_MAX: u64 = 256;

/// ApiVersions 0 of a client without a name.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Standard error of the broker's log.
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The test may have seen enough.
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ask(client: &mut TcpStream) {
    client.write_all(&REQUEST).unwrap();
    let mut head = [0; 8];
    client.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    assert_eq!(head[4..], [0, 0, 0, 7]);
    let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
    client.read_exact(&mut rest).unwrap();
    assert_eq!(rest[..2], [0, 0], "the error code");
}

#[test]
fn who_is_inside_is_served_and_who_waits_comes_in_later() {
    let (say, said) = mpsc::channel();
    tracing_subscriber::fmt()
        .with_writer(move || Lines(say.clone()))
        .init();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let lowered = Rlimit {
        current: Some(FILES_MAX),
        maximum,
    };
    setrlimit(Resource::Nofile, lowered).unwrap();

    let broker = Broker::builder().in_memory().start_blocking().unwrap();
    let mut inside = TcpStream::connect(broker.bootstrap_servers()).unwrap();
    ask(&mut inside);
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    // The one descriptor that is left is the client's own.
    held.pop();
    let mut waits = TcpStream::connect(broker.bootstrap_servers()).unwrap();
    while !said.recv().unwrap().contains("cannot accept a connection") {}
    ask(&mut inside);
    drop(held);
    ask(&mut waits);
    assert!(broker.shutdown_blocking().clean);
}
