//! A peer that sends any bytes, and an honest one beside it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use ottla_broker::{BrokerOptions, RunningBroker, Storage};
use ottla_protocol::api::Api;

use crate::client::start_with;

/// A test that hangs shall fail some day.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a flood waits for the broker to take more.
const BRIEF: Duration = Duration::from_millis(300);

/// A broker whose end waits for all that it runs: what the next test counts is not of this one.
pub(crate) struct Served(Option<RunningBroker>);

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(broker) = self.0.take() {
            let _ = broker.shutdown_blocking();
        }
    }
}

/// A broker in memory with `change`d options, and where it listens.
pub(crate) fn broker(change: impl FnOnce(&mut BrokerOptions)) -> (Served, SocketAddr) {
    broker_in(Storage::InMemory, change)
}

/// As [`broker`], with its data in `storage`.
pub(crate) fn broker_in(
    storage: Storage,
    change: impl FnOnce(&mut BrokerOptions),
) -> (Served, SocketAddr) {
    let mut options = BrokerOptions::new(storage);
    change(&mut options);
    let (broker, address) = start_with(options);
    (Served(Some(broker)), address)
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer of so many bytes.
    Answered(usize),
    /// The broker closed the connection.
    Closed,
}

pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends `bytes`; false where the broker takes no more of them.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("the broker hangs"),
            Err(_) => false,
        }
    }

    /// Sends as much of `bytes` as is taken without somebody reading for long.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(BRIEF)).unwrap();
        // It may time out or be closed, which are the two things that shall happen.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        // The broker may have closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads one answer, whatever it says, without keeping it.
    pub(crate) fn end(&mut self) -> End {
        let mut length = [0; 4];
        if !self.fill(&mut length) {
            return End::Closed;
        }
        let length = u32::from_be_bytes(length) as usize;
        let mut left = length;
        let mut piece = [0; 16 * 1024];
        while left > 0 {
            let part = left.min(piece.len());
            if !self.fill(&mut piece[..part]) {
                return End::Closed;
            }
            left -= part;
        }
        End::Answered(length)
    }

    /// The length of an answer, of which nothing more is read; `None` where the broker closed the
    /// connection.
    pub(crate) fn begins(&mut self) -> Option<usize> {
        let mut length = [0; 4];
        self.fill(&mut length)
            .then(|| u32::from_be_bytes(length) as usize)
    }

    /// One whole answer, without its length.
    pub(crate) fn answer(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        if !self.fill(&mut length) {
            return None;
        }
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.fill(&mut answer).then_some(answer)
    }

    /// Sends `frame` as its last one and reads what comes of it, up to the connection's end: what
    /// the answer took is given back by then.
    pub(crate) fn ask_last(mut self, frame: &[u8]) -> End {
        self.send(frame);
        self.finish();
        let end = self.end();
        assert!(!self.fill(&mut [0]), "something follows the answer");
        end
    }

    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read_exact(buffer) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("the broker hangs"),
            Err(_) => false,
        }
    }
}

/// A request as it goes over the wire, with no client id.
pub(crate) fn frame(api: &Api, version: i16, body: &[u8]) -> Vec<u8> {
    let flexible = api.is_flexible(version);
    let length = 10 + usize::from(flexible) + body.len();
    let mut frame = (length as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&api.key.key().to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    frame.extend_from_slice(if flexible { &[0] } else { &[] });
    frame.extend_from_slice(body);
    frame
}
