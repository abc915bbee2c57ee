#![no_main]
ottla_fuzz::target!(
    ottla_partition::fuzz::config_value,
    ottla_fuzz::of_a_request
);
