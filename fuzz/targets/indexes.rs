#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::indexes, ottla_fuzz::of_a_request);
