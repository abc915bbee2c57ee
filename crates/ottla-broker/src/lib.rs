//! The broker: the only crate with sockets, timers and threads.

mod authorizer;
mod budget;
mod limits;
mod listener;
mod log_gate;
mod runtime;
mod session;
mod settings;
mod start;
mod stop;
mod stream;

pub use authorizer::{AllowAll, Authorizer, DenyAll, Operation, Resource};
pub use limits::Limits;
pub use listener::{AdvertiseSpec, InvalidEndpoint, ListenHost, ListenerSpec};
pub use session::{Principal, Session, Software};
pub use settings::{InvalidSettings, Settings};
pub use start::StartError;
