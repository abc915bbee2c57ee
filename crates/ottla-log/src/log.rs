//! One partition: an append-only sequence of record batches over segment files.
//!
//! [`Log`] is what programs hold, `LogCore` what the store holds. What a log does is split by
//! topic: `append` and `roll` write, `read`, `records` and `time` read, `truncate` cuts, `sync` is
//! the flusher's side, `open` and `recover` bring it up.

mod aborted;
mod append;
mod boundaries;
mod check;
mod compact;
mod config;
mod core;
mod cut;
pub(crate) mod dir;
mod ends;
mod epochs;
mod errors;
mod findings;
mod handle;
pub(crate) mod handles;
mod health;
#[cfg(test)]
pub(crate) mod kit;
mod left;
mod leftovers;
mod maintain;
mod observe;
mod open;
mod progress;
mod read;
mod recall;
mod records;
mod recover;
mod replay;
mod retention;
mod roll;
mod room;
mod scrub;
mod seal;
mod seam;
mod slice;
mod sync;
#[cfg(test)]
mod tests;
mod time;
mod truncate;
mod way;

pub use append::{Appended, Condition, LeaderAppend};
pub use config::{FlushMode, LogConfig, LogOptions};
pub use ends::Ends;
pub use errors::{AppendError, ReadError, TruncateError};
pub use handle::{AppendOptions, Durability, Log};
pub use observe::LogObserver;
pub use open::LogError;
pub use read::Bound;
pub use records::LogRecords;
pub use room::Room;
pub use seam::{CutTail, DurabilityTicket, LogRecovery, Maintenance};
pub use slice::{BatchSlice, CommittedSlice};
pub use time::TimedOffset;

pub(crate) use check::Checker;
pub(crate) use core::LogCore;
pub(crate) use cut::KEPT;
pub(crate) use dir::{empty, file_in};
pub(crate) use findings::Findings;
pub(crate) use handles::Handles;
pub(crate) use left::Left;
pub(crate) use scrub::ScrubPlace;
pub(crate) use seal::STOP_BYTES_MAX;
pub(crate) use seam::{
    Checkpoints, FlushTarget, Flusher, Journaled, Known, LogShared, SyncedFiles, Written,
};
pub(crate) use way::Way;
