//! Brokers leave no thread and no file behind. The only test of its process, whose threads and
//! files it counts.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::Duration;

use ottla::{AppendOptions, Broker, NewTopic, Record};

/// The threads and open files of this process, the two files that count them included.
fn counts() -> (usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

fn use_broker(dir: &std::path::Path, clean: bool) {
    let broker = Broker::builder().data_dir(dir).start_blocking().unwrap();
    let in_memory = Broker::builder().in_memory().start_blocking().unwrap();
    for broker in [&broker, &in_memory] {
        let topic = broker.create_topic_blocking(NewTopic::new("t")).unwrap();
        let records = [Record::new("a")];
        topic
            .append_blocking(0, &records, AppendOptions::default())
            .unwrap();
    }
    let client = std::net::TcpStream::connect(broker.bootstrap_servers()).unwrap();
    if clean {
        assert!(broker.shutdown_blocking().clean);
        assert!(in_memory.shutdown_blocking().clean);
    } else {
        drop((broker, in_memory));
    }
    drop(client);
}

#[test]
fn a_broker_that_ends_leaves_no_thread_and_no_file() {
    let base = counts();
    for clean in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        use_broker(dir.path(), clean);
        // Neither way of ending waits for threads, and only the kernel tells when they are gone.
        let mut now = counts();
        for _ in 0..1_000 {
            if now == base {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            now = counts();
        }
        assert_eq!(now, base, "threads and files after an end, clean: {clean}");
    }
}
