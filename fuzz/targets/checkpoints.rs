#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::checkpoints, ottla_fuzz::of_a_request);
