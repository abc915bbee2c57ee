//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// Who a peer was found to be.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    kind: Arc<str>,
    name: Arc<str>,
}

impl Principal {
    /// A user by name.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self {
            kind: "User".into(),
            name: name.into(),
        }
    }

    /// The peer of a listener that asks for no identity.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// One connection's peer and how it came in. The client id is not here: each request names its own.
#[derive(Debug)]
pub struct Session {
    principal: Principal,
    listener: usize,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    software: OnceLock<Software>,
    hurry: Hurry,
}

/// Whether requests of a session that only wait for more to happen should answer at once: nobody
/// is there any more, or the broker stops.
#[derive(Debug, Default)]
struct Hurry {
    asked: AtomicBool,
    notify: Notify,
}

/// How much is kept of each text that a client introduces itself by.
pub(crate) const INTRODUCTION_BYTES_MAX: usize = 256;

/// What is kept of `text`.
fn beginning(text: &str) -> &str {
    let end = text.floor_char_boundary(INTRODUCTION_BYTES_MAX);
    text.split_at(end).0
}

/// The client's name for itself (KIP-511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// For example `apache-kafka-java`.
    pub name: String,
    /// For example `4.3.1`.
    pub version: String,
}

impl Session {
    /// A peer `principal` that connected from `peer` to `local` of the broker's listener number
    /// `listener`.
    #[must_use]
    pub fn new(principal: Principal, listener: usize, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            principal,
            listener,
            peer: Some(peer),
            local: Some(local),
            software: OnceLock::new(),
            hurry: Hurry::default(),
        }
    }

    /// The peer of a connection inside this process.
    #[must_use]
    pub fn in_process() -> Self {
        Self {
            principal: Principal::anonymous(),
            listener: 0,
            peer: None,
            local: None,
            software: OnceLock::new(),
            hurry: Hurry::default(),
        }
    }

    /// Who the peer is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Which of the broker's listeners it came in on.
    #[must_use]
    pub fn listener(&self) -> usize {
        self.listener
    }

    /// The peer's address; `None` inside this process.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The peer's host; the loopback address inside this process.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.peer
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip())
    }

    /// The address of this machine that the peer reached.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// What the client said it is, once it did.
    #[must_use]
    pub fn software(&self) -> Option<&Software> {
        self.software.get()
    }

    /// The peer as a log line names it.
    pub(crate) fn peer_text(&self) -> String {
        self.peer
            .map_or_else(|| "in-process".to_owned(), |peer| peer.to_string())
    }

    /// Asks the waiting requests of this session to answer at once, now and from now on.
    pub(crate) fn hurry(&self) {
        self.hurry.asked.store(true, Ordering::Release);
        self.hurry.notify.notify_waiters();
    }

    /// Returns when waiting requests should answer at once.
    pub(crate) async fn hurried(&self) {
        let notified = self.hurry.notify.notified();
        if !self.hurry.asked.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Remembers what the client says it is; the first word counts. For as long as the connection
    /// lasts, so of a long name only its beginning.
    pub(crate) fn introduce(&self, name: &str, version: &str) {
        self.software.get_or_init(|| Software {
            name: beginning(name).to_owned(),
            version: beginning(version).to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_introduction_the_beginning_is_kept_and_the_first_counts() {
        let session = Session::in_process();
        // A letter of two bytes lies across the bound.
        session.introduce(&format!("x{}", "\u{e4}".repeat(10_000)), "4.3.1");
        session.introduce("other", "1");
        let software = session.software().unwrap();
        assert_eq!(software.name.len(), INTRODUCTION_BYTES_MAX - 1);
        assert!(software.name.capacity() <= INTRODUCTION_BYTES_MAX);
        assert_eq!(software.version, "4.3.1");
    }
}
