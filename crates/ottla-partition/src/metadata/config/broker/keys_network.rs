//! Broker keys about listeners, connections and requests.

use super::{INT_MAX, key};
use crate::metadata::config::def::{Check, ConfigDef, ConfigKind, Mark, Update};
use crate::metadata::config::reason::{
    NO_PURGATORY, NO_SECURITY, ONE_NODE, OS_BUFFERS, OWN_BUDGET, OWN_THREADS,
};

use Check::{AddressCounts, Any, AtLeast, DistinctNonEmpty};
use ConfigKind::{Int, List, Long, String as Str};
use Mark::{Effective, Reported};
use Update::{ClusterWide, PerBroker, ReadOnly};

#[rustfmt::skip]
pub(super) const NETWORK: &[ConfigDef] = &[
    key("advertised.listeners", List, None, DistinctNonEmpty, ReadOnly, Effective,
        "The addresses that clients are told, one for each listener, where they differ from \
         those the broker listens on."),
    key("background.threads", Int, Some("10"), AtLeast(1), ClusterWide, Reported(OWN_THREADS),
        "How many threads do background work."),
    key("connection.failed.authentication.delay.ms", Int, Some("100"),
        AtLeast(0), ReadOnly, Reported(NO_SECURITY),
        "How long a connection that failed to authenticate stays open."),
    key("connections.max.idle.ms", Long, Some("600000"), Any, ReadOnly, Effective,
        "How long a connection may be silent before it is closed."),
    key("early.start.listeners", List, None, DistinctNonEmpty, ReadOnly, Reported(ONE_NODE),
        "The listeners that open before the broker has caught up with the cluster."),
    key("fetch.max.bytes", Int, Some("57671680"), AtLeast(1024), ReadOnly, Effective,
        "The most bytes of records in one Fetch answer."),
    key("fetch.purgatory.purge.interval.requests", Int, Some("1000"),
        Any, ReadOnly, Reported(NO_PURGATORY),
        "How often Kafka sweeps finished Fetch requests out of its waiting room."),
    key("inter.broker.listener.name", Str, None, Any, ReadOnly, Reported(ONE_NODE),
        "The listener through which brokers talk to one another."),
    key("listener.security.protocol.map", Str,
        Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Any, PerBroker, Effective,
        "The security protocol of each listener name. Only PLAINTEXT is implemented; any other \
         is refused for a listener in use."),
    key("listeners", List, Some("PLAINTEXT://localhost:9092"),
        DistinctNonEmpty, PerBroker, Effective,
        "The addresses to listen on, as NAME://HOST:PORT. Port 0 takes a free one."),
    key("max.connection.creation.rate", Int, Some(INT_MAX),
        AtLeast(0), ClusterWide, Effective,
        "How many connections of one address other than a loopback address are served in a \
         second; what comes sooner waits for its turn."),
    key("max.connections", Int, Some(INT_MAX), AtLeast(0), ClusterWide, Effective,
        "How many connections may be open at a time."),
    key("max.connections.per.ip", Int, Some(INT_MAX), AtLeast(0), ClusterWide, Effective,
        "How many connections one address other than a loopback address may have open at a time."),
    key("max.connections.per.ip.overrides", Str, Some(""), AddressCounts, ClusterWide, Effective,
        "Bounds for single addresses, also loopback ones, in place of max.connections.per.ip, as \
         ADDRESS:COUNT; of names only localhost is known."),
    key("max.incremental.fetch.session.cache.slots", Int, Some("1000"),
        AtLeast(0), ReadOnly, Effective,
        "How many fetch sessions are kept for consumers that ask for changes only."),
    key("max.request.partition.size.limit", Int, Some("2000"), AtLeast(1), ReadOnly, Effective,
        "The most partitions in one answer to DescribeTopicPartitions."),
    key("num.io.threads", Int, Some("8"), AtLeast(1), ClusterWide, Reported(OWN_THREADS),
        "How many threads work on requests."),
    key("num.network.threads", Int, Some("3"), AtLeast(1), ClusterWide, Reported(OWN_THREADS),
        "How many threads read requests and write answers."),
    key("queued.max.request.bytes", Long, Some("-1"), Any, ReadOnly, Reported(OWN_BUDGET),
        "The most bytes of requests that wait for a thread."),
    key("queued.max.requests", Int, Some("500"), AtLeast(1), ReadOnly, Reported(OWN_BUDGET),
        "The most requests that wait for a thread."),
    key("request.timeout.ms", Int, Some("30000"), Any, ReadOnly, Reported(ONE_NODE),
        "How long one broker waits for the answer of another."),
    key("socket.connection.setup.timeout.max.ms", Long, Some("30000"),
        Any, ReadOnly, Reported(ONE_NODE),
        "The longest a broker waits for a connection to another."),
    key("socket.connection.setup.timeout.ms", Long, Some("10000"),
        Any, ReadOnly, Reported(ONE_NODE),
        "How long a broker first waits for a connection to another."),
    key("socket.listen.backlog.size", Int, Some("50"), AtLeast(1), ReadOnly, Effective,
        "How many connections may wait to be accepted."),
    key("socket.receive.buffer.bytes", Int, Some("102400"), Any, ReadOnly, Reported(OS_BUFFERS),
        "The size of a socket's receive buffer."),
    key("socket.request.max.bytes", Int, Some("104857600"), AtLeast(1), ReadOnly, Effective,
        "The largest request that is read."),
    key("socket.send.buffer.bytes", Int, Some("102400"), Any, ReadOnly, Reported(OS_BUFFERS),
        "The size of a socket's send buffer."),
];
