#![no_main]
ottla_fuzz::target!(ottla_coordinator::fuzz::groups, ottla_fuzz::of_a_batch);
