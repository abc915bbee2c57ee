#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::batches, ottla_fuzz::of_a_small_batch);
