//! The broker: the only crate with sockets, timers and threads.

mod authorizer;
mod budget;
mod connection;
mod core;
mod cost;
mod embed;
mod features;
mod flusher;
mod gate;
mod groups;
mod handlers;
mod interest;
mod leaving;
mod limits;
mod listener;
mod local;
mod log_gate;
mod maintenance;
mod metadata;
mod options;
mod partition;
mod partitions;
mod running;
mod runtime;
mod session;
mod settings;
mod start;
mod stop;
mod stream;
mod tasks;
mod timer;
mod trace;
mod upkeep;

pub use authorizer::{AclOperation, AllowAll, Authorizer, DenyAll, Resource};
pub use embed::{
    AppendError, CreateTopicError, FollowedRecord, Follower, Isolation, NewTopic, PartitionEnds,
    PartitionError, ReadError, RecordStream, Records, ResetError, Topic, WaitError,
};
pub use limits::Limits;
pub use listener::{AdvertiseSpec, InvalidEndpoint, ListenHost, ListenerSpec, listener_problems};
pub use local::LocalConnection;
pub use options::{BrokerOptions, Storage};
pub use running::{ListenerInfo, RunningBroker, ShutdownReport};
pub use session::{Principal, Session, Software};
pub use settings::{InvalidSettings, Settings};
pub use start::{StartError, start, start_blocking};
pub use trace::{RequestLine, RequestTrace};

#[cfg(test)] // where the filler of the protocol's tests looks for it
use ottla_protocol::shape;
