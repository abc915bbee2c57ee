//! One partition: an append-only sequence of record batches over segment files.

mod config;
mod core;
mod handles;
mod open;
mod seam;

pub use config::{FlushMode, LogConfig, LogOptions};
pub use open::LogError;
pub use seam::{CutTail, DurabilityTicket, LogRecovery, Maintenance};

pub(crate) use core::LogCore;
pub(crate) use handles::Handles;
pub(crate) use seam::{
    Checkpoints, FlushTarget, Flusher, Known, LogShared, SyncedFiles, Written, file_in,
};
