//! Our answers beside Apache Kafka's, which are kept in `tests/goldens/`; offline, without a JDK.

use std::{
    net::ToSocketAddrs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use ottla::Broker;
use ottla_tests::differential::{
    Allowance,
    cases::{GROUPS, Group},
    differences,
};

/// The answers to a group, from a broker in this process.
fn ask(group: &Group, allowance: &mut Allowance) -> Vec<String> {
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
    let found = differences(group, address.expect("a listener"), allowance);
    drop(broker);
    found.unwrap_or_else(|error| vec![error.to_string()])
}

#[test]
fn we_answer_as_kafka_does() {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        let mut allowance = Allowance::ours();
        while let Some(group) = GROUPS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let lines = ask(group, &mut allowance);
            found.extend(
                lines
                    .into_iter()
                    .map(|line| format!("{}: {line}", group.name)),
            );
        }
        (found, allowance)
    };
    let mut allowance = Allowance::ours();
    let mut found = Vec::new();
    thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            let (lines, used) = thread.join().expect("no panic");
            found.extend(lines);
            allowance.merge(&used);
        }
    });
    found.extend(allowance.unused());
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}
