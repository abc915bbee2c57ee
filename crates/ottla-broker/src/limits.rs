//! Every bound that stands between a peer and the machine, in one struct.
//!
//! The bounds of parsing (records in a batch, decompressed bytes and the like) belong to
//! `ottla_log::Limits`; those of decoding a request to `ottla-protocol`'s guard.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ottla_partition::metadata::config::{BrokerConfig, ConfigKind, broker_def};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What peers may ask of a broker. Each bound is finite by default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes that requests, decompression and responses may hold in memory together. The default
    /// is a quarter of the machine's (or the container's) memory, between 32 MiB and 4 GiB.
    pub budget_bytes: u64,
    /// The largest request, in bytes after its length field (`socket.request.max.bytes`).
    pub request_bytes_max: u32,
    /// The same for requests that bring no records: everything but Produce.
    pub small_request_bytes_max: u32,
    /// What decoding one request and answering what it lists may take besides its own bytes.
    /// The default is the budget, but at most 128 MiB: lists of about 100,000 topics or
    /// partitions.
    pub request_memory_max: u64,
    /// The largest answer to one Fetch, in bytes of records (`fetch.max.bytes`). One batch that is
    /// larger by itself is still sent.
    pub fetch_bytes_max: u32,

    /// Connections in all (`max.connections`).
    pub connections_max: usize,
    /// Connections from one address other than a loopback address (`max.connections.per.ip`), and
    /// at most seven eighths of all there may be: some are left for others.
    pub connections_per_address_max: usize,
    /// The same for single addresses, loopback ones too, in its place
    /// (`max.connections.per.ip.overrides`).
    pub connections_per_address_overrides: BTreeMap<IpAddr, usize>,
    /// New connections a second from one address other than a loopback address
    /// (`max.connection.creation.rate`); what comes sooner waits for its turn, alone.
    pub connection_rate_max: u32,
    /// Connections of one listener that wait to be accepted (`socket.listen.backlog.size`).
    pub listen_backlog: u32,
    /// File descriptors of the process that connections leave to storage and everything else.
    pub reserved_files: usize,

    /// Requests of one connection that may be appended but unanswered.
    pub window_requests_max: usize,
    /// Bytes of one connection's unanswered requests and unsent responses, above which it reads no
    /// further request.
    pub window_bytes_max: u64,

    /// From the accept to the first complete request header.
    pub first_header_timeout: Duration,
    /// How long a request's body may take before it must come at `body_rate_min`.
    pub body_grace: Duration,
    /// Bytes a second at which a body must come after `body_grace`, averaged over its time.
    pub body_rate_min: u64,
    /// How long a connection may ask nothing (`connections.max.idle.ms`); very long for "for ever".
    pub idle_timeout: Duration,
    /// How long a peer may take no byte of a response.
    pub write_stall_timeout: Duration,
    /// How long responses that are sent together may take before the peer must have taken them at
    /// `answer_rate_min`.
    pub answer_grace: Duration,
    /// Bytes a second at which a peer must take its responses after `answer_grace`, averaged over
    /// their time.
    pub answer_rate_min: u64,
    /// The same as `body_grace` and `answer_grace` while requests wait for the budget, from then
    /// on.
    pub pressed_grace: Duration,
    /// The same as `body_rate_min` and `answer_rate_min` while requests wait for the budget.
    pub pressed_rate_min: u64,

    /// How long requests in hand may take to finish once the end of the broker was asked for.
    pub finish_timeout: Duration,
    /// How long the end waits for a peer with requests in hand to have read its answers. Part of
    /// `finish_timeout`.
    pub drain_timeout: Duration,
    /// How long closing the store may take after `finish_timeout`; what takes longer is left to
    /// the next start, which recovers.
    pub close_timeout: Duration,

    /// Incremental fetch sessions (`max.incremental.fetch.session.cache.slots`).
    pub fetch_sessions_max: usize,
    /// Partitions that all fetch sessions remember together.
    pub fetch_session_partitions_max: usize,
    /// Topics that one Metadata request may create.
    pub auto_create_topics_max: usize,
    /// Groups and subscriptions to client metrics whose configuration one request may ask for:
    /// each has one, whether it exists or not.
    pub described_groups_max: usize,
    /// Bytes that all groups may take in memory: their members, and the offsets that they have
    /// committed. What would take more is refused. The default is as much as `budget_bytes`.
    pub groups_bytes_max: u64,
    /// Producers that one DescribeProducers request is told of.
    pub described_producers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let budget_bytes = budget_for(memory_of_the_machine());
        Self {
            budget_bytes,
            request_bytes_max: 100 * MIB as u32,
            small_request_bytes_max: 8 * MIB as u32,
            request_memory_max: budget_bytes.min(128 * MIB),
            fetch_bytes_max: 55 * MIB as u32,
            connections_max: 4096,
            connections_per_address_max: 512,
            connections_per_address_overrides: BTreeMap::new(),
            connection_rate_max: 200,
            listen_backlog: 1024,
            reserved_files: 640,
            window_requests_max: 1024,
            window_bytes_max: 16 * MIB,
            first_header_timeout: Duration::from_secs(5),
            body_grace: Duration::from_secs(10),
            body_rate_min: KIB,
            idle_timeout: Duration::from_secs(600),
            write_stall_timeout: Duration::from_secs(30),
            answer_grace: Duration::from_secs(30),
            answer_rate_min: 16 * KIB,
            pressed_grace: Duration::from_secs(5),
            pressed_rate_min: 256 * KIB,
            finish_timeout: Duration::from_millis(1000),
            drain_timeout: Duration::from_millis(250),
            close_timeout: Duration::from_millis(900),
            fetch_sessions_max: 1000,
            fetch_session_partitions_max: 200_000,
            auto_create_topics_max: 100,
            described_groups_max: 1_000,
            groups_bytes_max: budget_bytes,
            described_producers_max: 1 << 16,
        }
    }
}

/// Connections that are let in however few descriptors there are.
const CONNECTIONS_MIN: usize = 16;
/// Files that storage may keep open however few descriptors there are, and at most.
const STORAGE_FILES: RangeInclusive<usize> = 512..=8192;
/// Files that answers may keep open however few descriptors there are, and at most.
const ANSWER_FILES: RangeInclusive<usize> = 64..=8192;

/// How the process's file descriptors are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// For connections.
    pub(crate) connections: usize,
    /// For connections, should there be more of them later: what the others leave.
    pub(crate) connections_most: usize,
    /// For segment files.
    pub(crate) storage: usize,
    /// For segment files that answers hold open after storage closed them.
    pub(crate) answers: usize,
}

impl Limits {
    /// What a request may hold while it waits for more to happen, however much others need it: half
    /// of the budget where every connection has one.
    pub(crate) fn parked_bytes_max(&self) -> u64 {
        self.budget_bytes / 2 / (self.connections_max.max(1) as u64)
    }

    /// Shares out the file descriptors that this process may have.
    pub(crate) fn files(&self) -> Files {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let all = limit
            .current
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        self.share_out(all)
    }

    /// Connections leave `reserved_files` to the rest; storage gets what they leave, without what
    /// `reserved_files` has beyond the least that storage needs. Of that a part is for answers, and
    /// of what is left where there are more than enough.
    fn share_out(&self, all: usize) -> Files {
        let spare = all.saturating_sub(self.reserved_files).max(CONNECTIONS_MIN);
        let connections = spare.min(self.connections_max);
        let least = *STORAGE_FILES.start();
        let others = self.reserved_files.saturating_sub(least);
        let storage = all.saturating_sub(connections).saturating_sub(others);
        let storage = storage.clamp(least, *STORAGE_FILES.end());
        let left = all.saturating_sub(connections).saturating_sub(storage);
        // As many are left to everything else.
        let answers = left.saturating_sub(*ANSWER_FILES.start());
        let answers = answers.clamp(*ANSWER_FILES.start(), *ANSWER_FILES.end());
        let left = all.saturating_sub(storage).saturating_sub(answers);
        Files {
            connections,
            connections_most: left.saturating_sub(others).max(connections),
            storage,
            answers,
        }
    }

    /// `config` with what holds here wherever it does not say and Kafka's default is another: who
    /// asks for the settings is told what counts.
    pub(crate) fn told_in(&self, config: BrokerConfig) -> BrokerConfig {
        let overrides = self.connections_per_address_overrides.iter();
        let overrides: Vec<_> = overrides.map(|(a, n)| format!("{a}:{n}")).collect();
        let idle = u64::try_from(self.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        let numbers = [
            ("connections.max.idle.ms", idle),
            ("fetch.max.bytes", self.fetch_bytes_max.into()),
            (
                "max.connection.creation.rate",
                self.connection_rate_max.into(),
            ),
            ("max.connections", self.files().connections as u64),
            (
                "max.connections.per.ip",
                self.connections_per_address_max as u64,
            ),
            (
                "max.incremental.fetch.session.cache.slots",
                self.fetch_sessions_max as u64,
            ),
            ("socket.listen.backlog.size", self.listen_backlog.into()),
            ("socket.request.max.bytes", self.request_bytes_max.into()),
        ];
        let texts = numbers.map(|(key, n)| (key, n.min(most_of(key)).to_string()));
        let texts = texts.into_iter();
        let all = texts.chain([("max.connections.per.ip.overrides", overrides.join(","))]);
        all.fold(config, |config, (key, text)| {
            let default = broker_def(key).and_then(|def| def.default);
            match default == Some(text.as_str()) {
                true => config,
                false => config.or(key, &text),
            }
        })
    }
}

/// The largest number that `key` takes.
fn most_of(key: &str) -> u64 {
    match broker_def(key).map(|def| def.kind) {
        Some(ConfigKind::Int) => i32::MAX as u64,
        _ => i64::MAX as u64,
    }
}

/// A quarter of `memory` within bounds that make sense.
fn budget_for(memory: Option<u64>) -> u64 {
    (memory.unwrap_or(GIB) / 4).clamp(32 * MIB, 4 * GIB)
}

const GIB: u64 = 1024 * MIB;

/// The bytes of memory this process may use, as far as the machine says so.
fn memory_of_the_machine() -> Option<u64> {
    let container = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok());
    let machine = total_memory();
    match (container, machine) {
        (Some(a), Some(b)) => Some(u64::min(a, b)),
        (a, b) => a.or(b),
    }
}

#[cfg(target_os = "linux")]
fn total_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(KIB)
}

#[cfg(not(target_os = "linux"))]
fn total_memory() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_follows_the_memory_within_bounds() {
        assert_eq!(budget_for(Some(8 * GIB)), 2 * GIB);
        assert_eq!(budget_for(Some(MIB)), 32 * MIB);
        // "No limit" in a version 1 control group reads as a number near 2^63.
        assert_eq!(budget_for(Some(i64::MAX as u64)), 4 * GIB);
        assert_eq!(budget_for(None), 256 * MIB);
    }

    #[test]
    fn who_asks_for_the_settings_is_told_what_holds() {
        let limits = Limits {
            request_bytes_max: 7000,
            ..Limits::default()
        };
        let told = limits.told_in(BrokerConfig::default());
        let told: Vec<_> = told.iter().collect();
        let connections = limits.files().connections.to_string();
        let expected = [
            ("max.connection.creation.rate", "200"),
            ("max.connections", connections.as_str()),
            ("max.connections.per.ip", "512"),
            ("socket.listen.backlog.size", "1024"),
            ("socket.request.max.bytes", "7000"),
        ];
        assert_eq!(told, expected, "and nothing where Kafka's default holds");
        let given = [("max.connections".to_owned(), "5".to_owned())];
        let config = BrokerConfig::new(given).unwrap().0;
        assert_eq!(limits.told_in(config).text("max.connections"), Some("5"));
    }

    #[test]
    fn descriptors_are_shared_between_connections_and_storage() {
        let share = |all| {
            let files = Limits::default().share_out(all);
            (files.connections, files.storage, files.answers)
        };
        assert_eq!(share(20_000), (4096, 8192, 20_000 - 4096 - 8192 - 64));
        assert_eq!(share(8_000), (4096, 8_000 - 4096 - 128, 64));
        assert_eq!(share(1_024), (384, 512, 64));
        assert_eq!(
            share(256),
            (CONNECTIONS_MIN, 512, 64),
            "storage manages with what it gets"
        );
        assert_eq!(share(usize::MAX), (4096, 8192, 8192));
        let most = |all| Limits::default().share_out(all).connections_most;
        assert_eq!(most(1_024), 384, "all are shared out");
        assert_eq!(most(100_000), 100_000 - 2 * 8192 - 128);
    }
}
