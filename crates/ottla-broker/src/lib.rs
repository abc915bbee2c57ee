//! The broker: the only crate with sockets, timers and threads.

mod authorizer;
mod budget;
mod connection;
mod core;
mod features;
mod handlers;
mod interest;
mod limits;
mod listener;
mod log_gate;
mod metadata;
mod runtime;
mod session;
mod settings;
mod start;
mod stop;
mod stream;
mod tasks;
mod timer;
mod trace;

pub use authorizer::{AclOperation, AllowAll, Authorizer, DenyAll, Resource};
pub use limits::Limits;
pub use listener::{AdvertiseSpec, InvalidEndpoint, ListenHost, ListenerSpec};
pub use session::{Principal, Session, Software};
pub use settings::{InvalidSettings, Settings};
pub use start::StartError;
pub use trace::{RequestLine, RequestTrace};
