//! Brokers leave no thread and no file behind. The only test of its process, whose threads and
//! files it counts.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use ottla::{AppendOptions, Broker, NewTopic, Record};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The threads of this process.
fn threads() -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc/self/task").unwrap();
    let id = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.filter_map(|entry| id(entry.unwrap())).collect()
}

/// The open files of this process, the one that counts them included.
fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns when the thread is gone: neither way of ending a broker waits for its threads, and only
/// the kernel tells when they are.
fn wait_for_end_of(thread: i32) {
    // PIDFD_THREAD, from Linux 6.9 on.
    let of_thread = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
    let thread = Pid::from_raw(thread).unwrap();
    let opened = pidfd_open(thread, of_thread);
    let handle = match opened {
        Err(Errno::SRCH) => return,
        // An older kernel has no such signal.
        Err(Errno::INVAL) => return thread::yield_now(),
        opened => opened.unwrap(),
    };
    let mut handles = [PollFd::new(&handle, PollFlags::IN)];
    while rustix::event::poll(&mut handles, None) != Ok(1) {}
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
    let (base, files_before) = (threads(), files());
    for clean in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        use_broker(dir.path(), clean);
        while let Some(thread) = threads().difference(&base).next() {
            wait_for_end_of(*thread);
        }
        assert_eq!(files(), files_before, "files after an end, clean: {clean}");
    }
}
