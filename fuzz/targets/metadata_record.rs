#![no_main]
ottla_fuzz::target!(
    ottla_partition::fuzz::metadata_record,
    ottla_fuzz::of_a_request
);
