#![no_main]
ottla_fuzz::target!(
    ottla_partition::fuzz::metadata_snapshot,
    ottla_fuzz::of_a_small_batch
);
