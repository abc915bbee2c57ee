//! The benchmark harness: a broker process to measure, a bare connection to it, and medians.
//!
//! Figures are printed with their conditions and never asserted.

pub mod conditions;
pub mod counted;
pub mod process;
pub mod stats;
pub mod wire;
