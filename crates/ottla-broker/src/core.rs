//! What all parts of one running broker share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::{AppendError, Entropy, Room};
use ottla_partition::BrokerId;
use ottla_partition::metadata::config::{BrokerConfig, ConfigView};
use ottla_partition::metadata::{Broker, Image, Topic};
use tokio::sync::Semaphore;

use crate::authorizer::Authorizer;
use crate::budget::Budget;
use crate::groups::Groups;
use crate::handlers::fetch::FetchSessions;
use crate::handlers::producer_ids::ProducerIds;
use crate::limits::Limits;
use crate::listener::{Doorkeeper, Endpoint, Listener};
use crate::log_gate::Complaints;
use crate::metadata::Metadata;
use crate::partition::Partition;
use crate::partitions::{OpenPartitionError, Partitions};
use crate::runtime::{Instant, Runtime};
use crate::session::Session;
use crate::stop::Stop;
use crate::timer::Timer;
use crate::trace::{RequestTrace, Trace};

/// How long after a clean stop logs are left alone that nobody asks for.
const OPEN_AFTER: Duration = Duration::from_secs(30);
/// How many logs that nobody asks for are queued to be opened at a time.
const OPENED_TOGETHER: usize = 256;

/// One running broker.
pub(crate) struct BrokerCore {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) node_id: BrokerId,
    pub(crate) limits: Arc<Limits>,
    pub(crate) budget: Arc<Budget>,
    /// The settings it was started with.
    pub(crate) at_start: BrokerConfig,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) door: Arc<Doorkeeper>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) timer: Timer,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metadata: Metadata,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) fetch_sessions: FetchSessions,
    /// A permit for each segment file that answers hold open.
    pub(crate) answer_files: Arc<Semaphore>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) groups: Arc<Groups>,
    pub(crate) log_limits: ottla_log::Limits,
    pub(crate) trace: Option<Arc<dyn RequestTrace>>,
    pub(crate) complaints: Complaints,
}

impl BrokerCore {
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// This broker's id.
    pub(crate) fn node_id(&self) -> BrokerId {
        self.node_id
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A permit for each segment file that answers may hold open, whatever storage does with it.
    pub(crate) fn answer_files(&self) -> &Arc<Semaphore> {
        &self.answer_files
    }

    pub(crate) fn authorizer(&self) -> &dyn Authorizer {
        &*self.authorizer
    }

    /// The injected clock.
    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// The injected source of chance.
    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Keeps what happens again and again from filling the log.
    pub(crate) fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// The configuration in `image` as this broker sees it.
    pub(crate) fn config<'a>(&'a self, image: &'a Image) -> ConfigView<'a> {
        ConfigView::new(image, self.node_id, &self.at_start)
    }

    /// Where the peer of `session` reaches `broker`: what the listener it came in on is advertised
    /// as, here or there.
    pub(crate) fn endpoint_for(&self, session: &Session, broker: &Broker) -> Option<Endpoint> {
        let listener = self.listeners.get(session.listener());
        if broker.id == self.node_id {
            // Without a listener there are only connections inside this process.
            return Some(listener.map_or_else(Endpoint::in_process, |l| l.endpoint_for(session)));
        }
        let endpoint = match listener {
            Some(listener) => broker.endpoint(&listener.name),
            None => broker.endpoints.first(),
        };
        endpoint.map(|endpoint| Endpoint {
            host: endpoint.host.clone(),
            port: endpoint.port,
        })
    }

    pub(crate) fn partitions(&self) -> &Arc<Partitions> {
        &self.partitions
    }

    /// The partition `number` of `topic`, opened where it is not.
    pub(crate) async fn open_partition(
        &self,
        topic: &Topic,
        number: i32,
    ) -> Result<Arc<Partition>, OpenPartitionError> {
        self.partitions.open(&self.runtime, topic, number).await
    }

    /// Room for an append of `bytes` bytes to `partition`, waited for without holding a worker.
    pub(crate) async fn room(
        &self,
        partition: &Partition,
        bytes: usize,
    ) -> Result<Room, AppendError> {
        self.partitions.room(&self.runtime, partition, bytes).await
    }

    pub(crate) fn fetch_sessions(&self) -> &FetchSessions {
        &self.fetch_sessions
    }

    pub(crate) fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// The consumer groups that this broker keeps.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Opens the logs that were there at start: at once those whose tails a crash left unchecked,
    /// and after a clean stop a while later, so that retention reaches what nobody asks for. A
    /// request for one does not wait for its turn.
    pub(crate) async fn open_pending(&self, mut stop: Stop, clean: bool) {
        if self.partitions.unopened().is_empty() {
            return;
        }
        if clean {
            let rested = self.timer.until(self.timer.after(OPEN_AFTER));
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = rested => {}
            }
        }
        let unopened = self.partitions.unopened();
        for some in unopened.chunks(OPENED_TOGETHER) {
            let opening = self.partitions.open_behind(&self.runtime, some);
            let failures = tokio::select! {
                biased;
                () = stop.requested() => {
                    self.partitions.open_no_more();
                    return;
                }
                failures = opening => failures,
            };
            for error in failures {
                tracing::error!(%error, "a partition cannot be opened");
            }
        }
    }

    /// Bounds on what is parsed of records.
    pub(crate) fn log_limits(&self) -> &ottla_log::Limits {
        &self.log_limits
    }

    /// Begins to trace the request in `frame`, if requests are traced.
    pub(crate) fn trace(&self, frame: &[u8], received: Instant) -> Option<Trace> {
        let to = self.trace.as_ref()?;
        Some(Trace::new(to, frame, received))
    }
}

impl fmt::Debug for BrokerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerCore")
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}
