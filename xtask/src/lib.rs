//! What `cargo xtask` does: the steps of the check, and the house rules as tests.

pub mod bench;
pub mod budget;
pub mod check;
pub mod deny;
pub mod examples;
pub mod fuzz;
pub mod mutants;
pub mod nightly;
pub mod runs;
pub mod step;
pub mod style;
