//! Tests of a whole store, over a file system in memory.

mod basics;
mod crashes;
mod deleting;
mod faults;
pub(super) mod golden;
mod history;
mod journal;
pub(super) mod kit;
mod pairs;
mod rot;
mod rounds;
mod scrub;
mod seals;
mod stopped;
mod threads;
mod transactions;
mod verify;
