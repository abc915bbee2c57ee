//! Where a broker listens, and what it tells clients to connect to.
//!
//! What a broker advertises: what it was told to; else `localhost` where it is bound to both
//! loopback addresses; else the literal address it listens on; else, listening on every address,
//! the one the asking connection reached.

mod accept;
mod bind;
mod names;
mod rules;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub(crate) use accept::{AcceptSocket, Doorkeeper, Pass};
pub(crate) use bind::bind;
pub use names::listener_problems;
pub(crate) use rules::DoorRules;

use crate::session::Session;

/// The name of a listener that was given none.
const NAME_DEFAULT: &str = "PLAINTEXT";

/// A place to listen: `[NAME://]HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The listener's name; `None` takes `PLAINTEXT`.
    pub name: Option<String>,
    /// The address.
    pub host: ListenHost,
    /// The port; 0 takes a free one.
    pub port: u16,
}

/// The address part of a [`ListenerSpec`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenHost {
    /// 127.0.0.1 and, where the machine has it, `[::1]`. Written `localhost`.
    Loopback,
    /// Every address of the machine. Written as nothing, `*` or `[::]`.
    Any,
    /// One address; 0.0.0.0 stands for every IPv4 address, and for no other.
    Address(IpAddr),
    /// A name that the machine resolves.
    Name(String),
}

impl ListenerSpec {
    /// The loopback addresses of this machine.
    #[must_use]
    pub const fn loopback(port: u16) -> Self {
        Self {
            name: None,
            host: ListenHost::Loopback,
            port,
        }
    }
}

impl From<SocketAddr> for ListenerSpec {
    fn from(address: SocketAddr) -> Self {
        Self {
            name: None,
            host: ListenHost::Address(address.ip()),
            port: address.port(),
        }
    }
}

impl FromStr for ListenerSpec {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (name, host, port) = split(text)?;
        let host = match host {
            "" | "*" => ListenHost::Any,
            "localhost" => ListenHost::Loopback,
            host => host.parse().map_or_else(
                |_| ListenHost::Name(host.to_owned()),
                |address: IpAddr| {
                    if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
                        ListenHost::Any
                    } else {
                        ListenHost::Address(address)
                    }
                },
            ),
        };
        Ok(Self { name, host, port })
    }
}

impl fmt::Display for ListenerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}://")?;
        }
        match &self.host {
            ListenHost::Loopback => f.write_str("localhost")?,
            ListenHost::Any => f.write_str("*")?,
            ListenHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            ListenHost::Address(address) => write!(f, "{address}")?,
            ListenHost::Name(name) => f.write_str(name)?,
        }
        write!(f, ":{}", self.port)
    }
}

/// What clients are told to connect to: `[NAME://]HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertiseSpec {
    /// The listener it is for; `None` for the first.
    pub name: Option<String>,
    /// The host as clients shall see it.
    pub host: String,
    /// The port; 0 is the port listened on.
    pub port: u16,
}

impl FromStr for AdvertiseSpec {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (name, host, port) = split(text)?;
        let unspecified = host.parse::<IpAddr>().is_ok_and(|a| a.is_unspecified());
        if host.is_empty() || host == "*" || unspecified {
            return Err(InvalidEndpoint {
                text: text.to_owned(),
                why: "clients need a host they can connect to",
            });
        }
        Ok(Self {
            name,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for AdvertiseSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}://")?;
        }
        let host = self.host.clone();
        Endpoint {
            host,
            port: self.port,
        }
        .fmt(f)
    }
}

/// The name, the host without brackets, and the port of `[NAME://]HOST:PORT`.
fn split(text: &str) -> Result<(Option<String>, &str, u16), InvalidEndpoint> {
    let wrong = |why| InvalidEndpoint {
        text: text.to_owned(),
        why,
    };
    let (name, address) = match text.split_once("://") {
        Some((name, address)) => (Some(name), address),
        None => (None, text),
    };
    let named = |n: &str| {
        let mut letters = n.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if name.is_some_and(|n| !named(n)) {
        return Err(wrong(
            "a listener's name is a letter, then letters, digits, '_', '-', '.'",
        ));
    }
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| wrong("the port is missing: write HOST:PORT"))?;
    let port = port
        .parse()
        .map_err(|_| wrong("the port is not a number from 0 to 65535"))?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .ok_or_else(|| wrong("the bracket around the IPv6 address is not closed"))?,
        None if host.contains(':') => {
            return Err(wrong("write an IPv6 address in brackets: [::1]:9092"));
        }
        None => host,
    };
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err(wrong("the host has a character that no host name has"));
    }
    Ok((name.map(str::to_owned), host, port))
}

/// A text that names no place to listen or to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of the form [NAME://]HOST:PORT: {why}")]
pub struct InvalidEndpoint {
    text: String,
    why: &'static str,
}

/// A bound listener: one name, one port, one or two sockets.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) advertised: Advertised,
}

/// What a listener is advertised as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Advertised {
    /// The same to everyone.
    Fixed(Endpoint),
    /// The address that the asking connection reached, with this port.
    Reached(u16),
}

/// A host and a port for clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Listener {
    /// What the peer of `session` shall connect to.
    pub(crate) fn endpoint_for(&self, session: &Session) -> Endpoint {
        match &self.advertised {
            Advertised::Fixed(endpoint) => endpoint.clone(),
            Advertised::Reached(port) => Endpoint {
                host: session.local().map_or_else(
                    || "localhost".to_owned(),
                    |a| a.ip().to_canonical().to_string(),
                ),
                port: *port,
            },
        }
    }

    /// Whether each connection is told the address that it came in on.
    pub(crate) fn advertises_reached(&self) -> bool {
        matches!(self.advertised, Advertised::Reached(_))
    }

    /// What is written down for those who come in no connection: other brokers, the metadata log.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match &self.advertised {
            Advertised::Fixed(endpoint) => endpoint.clone(),
            Advertised::Reached(port) => Endpoint {
                host: "localhost".to_owned(),
                port: *port,
            },
        }
    }
}

impl Endpoint {
    /// What a broker is reached at that listens nowhere.
    pub(crate) fn in_process() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 0,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
