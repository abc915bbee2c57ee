//! An event log that speaks the Kafka protocol, inside a program: the real broker, with its clock,
//! its entropy and its disk in the caller's hand.
//!
//! ```
//! use ottla::{AppendOptions, Broker, Isolation, NewTopic, Offset, Record};
//!
//! let broker = Broker::builder().in_memory().start_blocking()?;
//! let orders = broker.create_topic_blocking(NewTopic::new("orders").partitions(3))?;
//! // Any Kafka client connects to broker.bootstrap_servers(); or, without a socket:
//! let created = Record::new("created").with_key("o-1");
//! orders.append_blocking(0, &[created], AppendOptions::default())?;
//! for record in orders.read_blocking(0, Offset::ZERO, Isolation::ReadCommitted)? {
//!     assert_eq!(record?.value.as_deref(), Some(&b"created"[..]));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything that waits is there twice: `async` for any executor, and `_blocking` for any thread,
//! also one that drives an executor.
//!
//! A broker runs on a runtime of its own, which all brokers of a process share: it starts from any
//! async runtime or none. [`Broker::shutdown`] ends it cleanly; dropped, it ends at once, as after
//! a kill, without blocking the thread that drops it.

mod broker;
mod builder;
#[cfg(feature = "cli")]
pub mod cli;

pub use broker::Broker;
pub use builder::{BrokerBuilder, StartError};
pub use ottla_broker::{
    AppendError, CreateTopicError, FollowedRecord, Follower, Isolation, ListenerInfo, NewTopic,
    PartitionEnds, PartitionError, ReadError, RecordStream, Records, ResetError, ShutdownReport,
    Topic, WaitError,
};
pub use ottla_log::{
    AppendOptions, Appended, Clock, Codec, Condition, Durability, Entropy, FlushMode, Header,
    Offset, OwnedRecord, Record, SeededEntropy, SystemClock, TestClock, Timestamp, vfs,
};

/// What the guide shows compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TESTING.md")]
struct Guide;
