//! Runs of the whole broker: real clients, differential, crash and kill.
