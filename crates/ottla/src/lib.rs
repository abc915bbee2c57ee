//! An event log that speaks the Kafka protocol, inside a program: the real broker, with its clock,
//! its entropy and its disk in the caller's hand.
//!
//! ```
//! use ottla::Broker;
//!
//! let broker = Broker::builder().in_memory().start_blocking()?;
//! // Any Kafka client connects to this:
//! println!("{}", broker.bootstrap_servers());
//! # Ok::<(), ottla::StartError>(())
//! ```
//!
//! A broker runs on a runtime of its own, which all brokers of a process share: it starts from any
//! async runtime or none. [`Broker::shutdown`] ends it cleanly; dropped, it ends at once, as after a
//! kill, without blocking the thread that drops it.

mod broker;
mod builder;
#[cfg(feature = "cli")]
pub mod cli;

pub use broker::Broker;
pub use builder::{BrokerBuilder, StartError};
pub use ottla_broker::{ListenerInfo, ShutdownReport};
pub use ottla_log::{
    Clock, Entropy, FlushMode, Header, Offset, OwnedRecord, Record, SeededEntropy, SystemClock,
    TestClock, Timestamp,
};
