//! `cargo xtask`: the one command that checks everything.

fn main() {}
