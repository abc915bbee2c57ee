#![no_main]
ottla_fuzz::target!(ottla_protocol::fuzz::answers, ottla_fuzz::of_an_answer);
