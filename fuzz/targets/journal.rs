#![no_main]
ottla_fuzz::target!(ottla_log::fuzz::journal, ottla_fuzz::of_a_directory);
