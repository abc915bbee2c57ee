#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::recovery, ottla_fuzz::of_a_batch);
