//! The broker: the only crate with sockets, timers and threads.
