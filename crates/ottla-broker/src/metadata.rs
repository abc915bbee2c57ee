//! The cluster's metadata as this broker has it, and how it changes.
//!
//! A change is decided by the controller on the newest image, proposed to the quorum as one batch,
//! and replayed and published once it is committed; only then is it answered. Changes are made one
//! at a time. On one node the metadata log is the quorum: committed is durable.

mod log;
mod signal;
mod snapshots;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_log::vfs::Vfs;
use ottla_log::{
    FlushMode, LeaderEpoch, LogConfig, LogError, ReadError, StorageError, Store, Timestamp, TopicId,
};
use ottla_partition::BrokerId;
use ottla_partition::metadata::config::{BrokerConfig, broker_def};
use ottla_partition::metadata::controller::{ApiError, Controller, Decision};
use ottla_partition::metadata::quorum::{MetadataQuorum, Proposal, ProposeError};
use ottla_partition::metadata::{Image, ReplayError};
use ottla_protocol::ErrorCode;
use tokio::sync::Mutex;

use crate::runtime::Runtime;
use crate::timer::Timer;
use log::MetadataLog;

/// The topic of the metadata log.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// Why the metadata could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    /// The broker is on its way out.
    #[error("the broker is shutting down; ask again once it is back")]
    Stopping,
    /// The metadata log did not take the change, or did not make it durable. The node stops.
    #[error("the metadata log failed, and the broker stops: {0}; see its log, then restart it")]
    Failed(Arc<StorageError>),
    /// The disk is full; nothing has changed.
    #[error("the change was not made: {0}")]
    NoSpace(Arc<StorageError>),
    /// The quorum did not take the change; nothing has changed.
    #[error("the change was not made: {0}")]
    Refused(ProposeError),
    /// A snapshot could not be written.
    #[error("cannot write a metadata snapshot: {0}")]
    Snapshot(String),
    /// The disk failed.
    #[error("cannot read or write the metadata: {0}")]
    Storage(#[from] StorageError),
    /// The log begins behind the newest snapshot that can be read.
    #[error(
        "the metadata is incomplete: its newest readable snapshot ends at offset {snapshot}, and \
         its log begins at {log}; restore the directory of __cluster_metadata-0 from a copy"
    )]
    Gap {
        /// Where the snapshot ends.
        snapshot: i64,
        /// Where the log begins.
        log: i64,
    },
    /// The log could not be opened.
    #[error("cannot open the metadata log: {0}")]
    Open(Arc<LogError>),
    /// The log could not be read.
    #[error("cannot read the metadata log: {0}")]
    Read(Arc<ReadError>),
    /// A record in the log is not one.
    #[error("the metadata log has a record at offset {offset} that cannot be read: {why}")]
    Record {
        /// Where.
        offset: i64,
        /// What is wrong.
        why: String,
    },
    /// The records do not fit what is there.
    #[error("the metadata log cannot be replayed: {0}")]
    Replay(#[from] ReplayError),
}

impl From<ProposeError> for MetadataError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NoSpace(cause) => Self::NoSpace(cause),
            ProposeError::Failed(cause) => Self::Failed(cause),
            other => Self::Refused(other),
        }
    }
}

impl MetadataError {
    /// As a client is told.
    pub(crate) fn to_api(&self) -> ApiError {
        let code = match self {
            Self::Stopping => ErrorCode::BrokerNotAvailable,
            Self::Replay(_) | Self::Refused(_) => ErrorCode::UnknownServerError,
            _ => ErrorCode::KafkaStorageError,
        };
        ApiError::new(code, self.to_string())
    }
}

/// Is told of each new image before the change that made it is answered: the old one and the new.
type OnPublish = Box<dyn Fn(&Arc<Image>, &Arc<Image>) + Send + Sync>;
/// Is told when the metadata log failed: this node must not go on.
type OnFailure = Box<dyn Fn(&MetadataError) + Send + Sync>;

/// The newest committed metadata, and the only way to change it.
pub(crate) struct Metadata {
    runtime: Arc<Runtime>,
    state: Arc<State>,
    removed: BTreeSet<TopicId>,
}

struct State {
    runtime: Arc<Runtime>,
    node: BrokerId,
    at_start: BrokerConfig,
    timer: Timer,
    image: Arc<ArcSwap<Image>>,
    leader_epoch: LeaderEpoch,
    /// Held from a decision to its publication; `None` where nothing can change, in tests.
    log: Mutex<Option<MetadataLog>>,
    on_publish: OnceLock<OnPublish>,
    on_failure: OnceLock<OnFailure>,
}

impl Metadata {
    /// Opens the metadata log of `store`, or makes it, and replays what it holds. A change is
    /// answered once it is committed as `flush` says, or as the records of other logs are.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub(crate) fn open(
        store: &Store,
        vfs: &Arc<dyn Vfs>,
        runtime: &Arc<Runtime>,
        timer: &Timer,
        node: BrokerId,
        at_start: &BrokerConfig,
        flush: Option<FlushMode>,
    ) -> Result<Self, MetadataError> {
        let between = number(at_start, "metadata.log.max.record.bytes.between.snapshots");
        let mut config = log_config(at_start);
        config.flush = flush;
        let (mut log, image) =
            MetadataLog::open(store, vfs, runtime, between.unwrap_or(u64::MAX), config)?;
        let removed = log.take_removed();
        let opened = Self::with(runtime, timer, node, at_start, image, Some(log));
        Ok(Self { removed, ..opened })
    }

    /// Metadata that stands at `image` and refuses every change: for tests of handlers.
    #[cfg(test)]
    pub(crate) fn fixed(
        runtime: &Arc<Runtime>,
        timer: &Timer,
        node: BrokerId,
        at_start: &BrokerConfig,
        image: Image,
    ) -> Self {
        Self::with(runtime, timer, node, at_start, image, None)
    }

    fn with(
        runtime: &Arc<Runtime>,
        timer: &Timer,
        node: BrokerId,
        at_start: &BrokerConfig,
        image: Image,
        log: Option<MetadataLog>,
    ) -> Self {
        let leader_epoch = log
            .as_ref()
            .map_or(LeaderEpoch::new(1), MetadataLog::leader_epoch);
        let state = State {
            runtime: Arc::clone(runtime),
            node,
            at_start: at_start.clone(),
            timer: timer.clone(),
            image: Arc::new(ArcSwap::from_pointee(image)),
            leader_epoch,
            log: Mutex::new(log),
            on_publish: OnceLock::new(),
            on_failure: OnceLock::new(),
        };
        Self {
            runtime: Arc::clone(runtime),
            state: Arc::new(state),
            removed: BTreeSet::new(),
        }
    }

    /// The newest committed image.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.state.image.load_full()
    }

    /// Topics that were removed before this start, as far as the metadata log reaches back: what
    /// is still there of them is left over.
    pub(crate) const fn removed_before(&self) -> &BTreeSet<TopicId> {
        &self.removed
    }

    /// Where the newest committed image always is.
    pub(crate) fn published(&self) -> Arc<ArcSwap<Image>> {
        Arc::clone(&self.state.image)
    }

    /// The epoch in which this node leads the metadata log.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.state.leader_epoch
    }

    /// Calls `hook` with the old image and the new one at each change, from now on.
    pub(crate) fn on_publish(
        &self,
        hook: impl Fn(&Arc<Image>, &Arc<Image>) + Send + Sync + 'static,
    ) {
        assert!(
            self.state.on_publish.set(Box::new(hook)).is_ok(),
            "one hook is enough"
        );
    }

    /// Calls `hook` when the metadata log fails.
    pub(crate) fn on_failure(&self, hook: impl Fn(&MetadataError) + Send + Sync + 'static) {
        assert!(
            self.state.on_failure.set(Box::new(hook)).is_ok(),
            "one hook is enough"
        );
    }

    /// Lets the controller decide on the newest image, makes the decision durable, publishes it and
    /// returns its outcome. Runs on its own: dropping the future does not stop it halfway.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Controller<'_>) -> Decision<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, MetadataError>> + Send + 'static {
        let state = Arc::clone(&self.state);
        let task = self
            .runtime
            .spawn(async move { state.change(decide).await });
        async move { task.await.unwrap_or(Err(MetadataError::Stopping)) }
    }

    /// Ends all changes, so that the store can be closed.
    pub(crate) async fn close(&self) {
        self.state.log.lock().await.take();
    }

    /// Lets nothing change before `until` is over, as a change does that waits for the disk.
    #[cfg(test)]
    pub(crate) async fn hold<R>(&self, until: impl Future<Output = R>) -> R {
        let _log = self.state.log.lock().await;
        until.await
    }
}

/// The number that a broker started with `at_start` has for `key`, where it is none below 0.
fn number(at_start: &BrokerConfig, key: &str) -> Option<u64> {
    let value = broker_def(key).map(|def| at_start.value(def));
    u64::try_from(value?.number()?).ok()
}

/// How the metadata log is kept, as a broker started with `at_start` is told.
fn log_config(at_start: &BrokerConfig) -> LogConfig {
    let mut config = LogConfig::default();
    let bytes = number(at_start, "metadata.log.segment.bytes");
    let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok());
    config.segment_bytes = bytes.unwrap_or(config.segment_bytes);
    let ms = number(at_start, "metadata.log.segment.ms").map(Duration::from_millis);
    config.segment_ms = ms.unwrap_or(config.segment_ms);
    config
}

impl State {
    async fn change<T>(
        &self,
        decide: impl FnOnce(Controller<'_>) -> Decision<T>,
    ) -> Result<T, MetadataError> {
        let mut guard = self.log.lock().await;
        let log = guard.as_mut().ok_or(MetadataError::Stopping)?;
        let old = self.image.load_full();
        let decision = decide(Controller::new(&old, self.node, &self.at_start));
        if decision.records.is_empty() {
            return Ok(decision.outcome);
        }
        // Replayed before it is written: what cannot be replayed must never reach the log.
        let new = Arc::new(old.replay(old.end(), &decision.records)?);
        let now: Timestamp = self.timer.now();
        let proposal = Proposal {
            base: old.end(),
            records: &decision.records,
            now,
        };
        if let Err(error) = log.propose(proposal).await {
            let error = MetadataError::from(error);
            tracing::error!(%error, "the metadata did not change");
            if let (MetadataError::Failed(_), Some(hook)) = (&error, self.on_failure.get()) {
                // The log may or may not hold the batch: only a restart can tell.
                guard.take();
                hook(&error);
            }
            return Err(error);
        }
        self.image.store(Arc::clone(&new));
        if let Some(hook) = self.on_publish.get() {
            hook(&old, &new);
        }
        log.snapshot_if_due(&self.runtime, &new, now).await;
        Ok(decision.outcome)
    }
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.image().end();
        f.debug_struct("Metadata")
            .field("end", &end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
