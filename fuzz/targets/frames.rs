#![no_main]
ottla_fuzz::target!(ottla_protocol::fuzz::frames, ottla_fuzz::of_a_request);
