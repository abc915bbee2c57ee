//! Sans-IO state machines of the coordinators.
//!
//! [`group::GroupShard`] coordinates the classic consumer groups whose records lie in one
//! partition of `__consumer_offsets`.
//!
//! Nothing here does IO, locks, spawns, reads a clock or draws chance: time and entropy are
//! arguments, and the broker carries the decisions out. Requests and responses are plain structs
//! without versions: what a version means is a field.

#[doc(hidden)]
pub mod fuzz;
pub mod group;
