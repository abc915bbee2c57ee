//! A broker inside this process.

use std::fmt;

use ottla_broker::{
    CreateTopicError, ListenerInfo, NewTopic, ResetError, RunningBroker, ShutdownReport, Topic,
};

use crate::BrokerBuilder;

/// A running broker. Dropped, it ends at once; see [`Broker::shutdown`] for the clean way.
pub struct Broker {
    running: RunningBroker,
    bootstrap_servers: String,
}

impl Broker {
    /// Describes a broker to start.
    #[must_use]
    pub const fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    pub(crate) fn new(running: RunningBroker) -> Self {
        let listeners = running.listeners();
        let advertised: Vec<String> = listeners.into_iter().map(|l| l.advertised).collect();
        Self {
            running,
            bootstrap_servers: advertised.join(","),
        }
    }

    /// What a Kafka client takes as its `bootstrap.servers`; empty without a listener.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The listeners, in the order in which they were asked for.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        self.running.listeners()
    }

    /// The id of the cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.running.cluster_id()
    }

    /// Creates a topic. It is durable, and can be written to, when this returns. May be awaited on
    /// any executor.
    ///
    /// # Errors
    /// [`CreateTopicError`].
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Topic, CreateTopicError> {
        self.running.create_topic(topic).await
    }

    /// As [`Broker::create_topic`], and blocks the calling thread, whatever thread that is.
    ///
    /// # Errors
    /// [`CreateTopicError`].
    pub fn create_topic_blocking(&self, topic: NewTopic) -> Result<Topic, CreateTopicError> {
        self.running.create_topic_blocking(topic)
    }

    /// The topic `name`, if there is one.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.running.topic(name)
    }

    /// Makes the broker as good as new without a restart, for the next test: topics with their
    /// records are gone when this returns, groups with their offsets, and configuration that was
    /// set since the start. Clients stay connected; members of groups are told to join anew.
    ///
    /// # Errors
    /// [`ResetError`].
    pub async fn reset(&self) -> Result<(), ResetError> {
        self.running.reset().await
    }

    /// As [`Broker::reset`], and blocks the calling thread, whatever thread that is.
    ///
    /// # Errors
    /// [`ResetError`].
    pub fn reset_blocking(&self) -> Result<(), ResetError> {
        self.running.reset_blocking()
    }

    /// Ends the broker cleanly: requests in hand finish, everything is made durable, and the next
    /// start has nothing to recover. May be awaited on any executor.
    pub async fn shutdown(self) -> ShutdownReport {
        self.running.shutdown().await
    }

    /// As [`Broker::shutdown`], and blocks the calling thread.
    #[must_use]
    pub fn shutdown_blocking(self) -> ShutdownReport {
        self.running.shutdown_blocking()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .finish_non_exhaustive()
    }
}
