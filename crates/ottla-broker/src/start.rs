//! Starts a broker.

use std::io;
use std::net::SocketAddr;

/// Why a broker did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process listens there.
    #[error("{address} is in use (another Kafka?); run with --listen {next}")]
    PortInUse {
        /// The address.
        address: SocketAddr,
        /// An address to try.
        next: SocketAddr,
    },
    /// The machine refuses the address.
    #[error("cannot listen on {spec}: {source}; is it an address of this machine?")]
    Listen {
        /// The listener as it was given.
        spec: String,
        /// What the machine says.
        source: io::Error,
    },
    /// A host name has no address.
    #[error("cannot find the address of {host:?} to listen on: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the machine says.
        source: io::Error,
    },
    /// Two listeners have one name.
    #[error("two listeners are named {name}; each --listen NAME:// needs a name of its own")]
    DuplicateListener {
        /// The name.
        name: String,
    },
    /// An advertised address belongs to no listener.
    #[error("--advertise names the listener {name}, but there is no --listen {name}://...")]
    AdvertiseWithoutListener {
        /// The name.
        name: String,
    },
}
