#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::produce, ottla_fuzz::of_a_batch);
