#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::producer_snapshot, ottla_fuzz::of_a_request);
