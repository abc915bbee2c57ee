//! Our answers beside Apache Kafka's, which are kept in `tests/goldens/`; offline, without a JDK.

use std::{
    net::ToSocketAddrs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use ottla::Broker;
use ottla_tests::differential::{
    cases::{GROUPS, Group},
    differences,
};

/// The answers to a group, from a broker in this process.
fn ask(group: &Group) -> Vec<String> {
    let mut builder = Broker::builder().in_memory();
    for (key, value) in group.settings {
        builder = builder.config(key, value);
    }
    let broker = builder.start_blocking().expect("a broker");
    let address = broker
        .bootstrap_servers()
        .to_socket_addrs()
        .expect("an address")
        .next();
    let found = differences(group, address.expect("a listener"));
    drop(broker);
    found.unwrap_or_else(|error| vec![error.to_string()])
}

#[test]
fn we_answer_as_kafka_does() {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(group) = GROUPS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let lines = ask(group);
            found.extend(
                lines
                    .into_iter()
                    .map(|line| format!("{}: {line}", group.name)),
            );
        }
        found
    };
    let found: Vec<String> = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}
