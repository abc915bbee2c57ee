//! The consumer groups that this broker keeps: one shard for each partition of
//! `__consumer_offsets` that it leads.
//!
//! What a group does is decided in `ottla_coordinator`. Here its decisions are carried out: records
//! are appended, timers set, answers held back until what they tell is durable. A shard is loaded
//! from its log before it decides: those with a log on the disk in the background after a start,
//! or sooner where somebody asks for one; the others when they are first asked for.

mod alarms;
mod config;
mod load;
mod memory;
mod shard;
mod timers;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_coordinator::group::{GroupConfig, GroupRequest, GroupResponse, GroupShard};
use ottla_log::{Codec, LogId, TopicId};
use ottla_partition::BrokerId;
use ottla_partition::metadata::config::BrokerConfig;
use ottla_partition::metadata::{Image, Topic};
use ottla_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::core::BrokerCore;
use crate::limits::Limits;
use crate::session::Session;
use crate::stop::Stop;
use crate::timer::Timer;

use alarms::Alarms;
use memory::Memory;
pub(crate) use shard::{Asked, Shard};
pub(crate) use topic::{OFFSETS_TOPIC, partition_of};

/// A partition of the topic: of which topic, should it be made anew, and its number.
type ShardId = (TopicId, i32);

/// The groups of this broker.
#[derive(Debug)]
pub(crate) struct Groups {
    node: BrokerId,
    config: GroupConfig,
    codec: Codec,
    commit_timeout: Duration,
    timer: Timer,
    alarms: Arc<Alarms>,
    memory: Arc<Memory>,
    shards: Mutex<BTreeMap<ShardId, Arc<Shard>>>,
    /// Partitions with a log on the disk that the loader behind the start has still to see loaded.
    unloaded: Mutex<BTreeSet<i32>>,
}

impl Groups {
    /// The groups of the broker `node`, which `config` and `limits` give rules for, none of them
    /// loaded.
    pub(crate) fn new(
        node: BrokerId,
        config: &BrokerConfig,
        limits: &Limits,
        timer: Timer,
    ) -> Self {
        Self {
            node,
            config: config::of_groups(config),
            codec: config::codec(config),
            commit_timeout: config::commit_timeout(config),
            timer,
            alarms: Arc::default(),
            memory: Memory::new(limits.groups_bytes_max),
            shards: Mutex::default(),
            unloaded: Mutex::default(),
        }
    }

    /// Asks the shard of the group `name`.
    pub(crate) async fn ask(
        &self,
        core: &Arc<BrokerCore>,
        session: &Arc<Session>,
        name: &str,
        request: GroupRequest,
    ) -> Result<Asked, ErrorCode> {
        let image = core.metadata().image();
        let topic = image
            .topic(OFFSETS_TOPIC)
            .ok_or(ErrorCode::NotCoordinator)?;
        let shard = self.shard(core, topic, name).await?;
        let _room = shard.room(core, &request).await;
        shard.ask(session, request)
    }

    /// As [`Groups::ask`], where the group may become the first one of the cluster.
    pub(crate) async fn ask_anew(
        &self,
        core: &Arc<BrokerCore>,
        session: &Arc<Session>,
        name: &str,
        request: GroupRequest,
    ) -> Result<Asked, ErrorCode> {
        topic::ensure(core).await?;
        self.ask(core, session, name, request).await
    }

    /// Makes the topic that groups are kept in where there is none.
    pub(crate) async fn ensure_topic(&self, core: &Arc<BrokerCore>) -> Result<(), ErrorCode> {
        topic::ensure(core).await
    }

    /// Returns once the group `name` can be asked about, where this broker keeps it.
    pub(crate) async fn prepare(&self, core: &Arc<BrokerCore>, image: &Image, name: &str) {
        let Some(topic) = image.topic(OFFSETS_TOPIC) else {
            return;
        };
        if let Ok(shard) = self.shard(core, topic, name).await {
            shard.loaded().await;
        }
    }

    /// Asks every shard that this broker has, and that can be asked, for what writes nothing.
    pub(crate) async fn ask_all(
        &self,
        core: &Arc<BrokerCore>,
        session: &Arc<Session>,
        request: &GroupRequest,
    ) -> Result<Vec<Asked>, ErrorCode> {
        if !self.unloaded.lock().is_empty() {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        let image = core.metadata().image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else {
            return Ok(Vec::new());
        };
        let ids: Vec<ShardId> = self.shards.lock().keys().copied().collect();
        let mut asked = Vec::new();
        for (_, number) in ids.into_iter().filter(|(id, _)| *id == topic.id) {
            let shard = self.open(core, topic, number).await;
            match shard.and_then(|shard| shard.ask(session, request.clone())) {
                Ok(told) => asked.push(told),
                // What is not kept here any more is for its keeper to tell.
                Err(ErrorCode::NotCoordinator) => {}
                Err(code) => return Err(code),
            }
        }
        Ok(asked)
    }

    /// What `look` sees in the shard of the group `name`; `None` where it is not loaded, and asking
    /// it is refused.
    pub(crate) fn look<R>(
        &self,
        image: &Image,
        name: &str,
        look: impl FnOnce(&GroupShard) -> R,
    ) -> Option<R> {
        let topic = image.topic(OFFSETS_TOPIC)?;
        let number = partition_of(name, topic)?;
        self.find((topic.id, number))?.look(look)
    }

    /// What `look` sees in every shard that is loaded.
    pub(crate) fn look_at_all<R>(&self, look: impl Fn(&GroupShard) -> R) -> Vec<R> {
        let shards: Vec<Arc<Shard>> = self.shards.lock().values().cloned().collect();
        shards
            .iter()
            .filter_map(|shard| shard.look(&look))
            .collect()
    }

    /// The shard of the group `name`; it may still be loading.
    async fn shard(
        &self,
        core: &Arc<BrokerCore>,
        topic: &Topic,
        name: &str,
    ) -> Result<Arc<Shard>, ErrorCode> {
        let number = partition_of(name, topic).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.open(core, topic, number).await
    }

    /// The shard `number` of the topic.
    async fn open(
        &self,
        core: &Arc<BrokerCore>,
        topic: &Topic,
        number: i32,
    ) -> Result<Arc<Shard>, ErrorCode> {
        let leader = topic.partition(number).and_then(|p| p.leader);
        if leader != Some(self.node) {
            return Err(ErrorCode::NotCoordinator);
        }
        let id = (topic.id, number);
        if let Some(shard) = self.find(id) {
            return Ok(shard);
        }
        let opening = core.open_partition(topic, number).await;
        let partition = opening.map_err(|error| {
            tracing::error!(%error, "the groups of a partition cannot be loaded");
            ErrorCode::NotCoordinator
        })?;
        let (shard, is_new) = {
            let mut shards = self.shards.lock();
            match shards.get(&id).filter(|shard| !shard.is_lost()) {
                Some(shard) => (Arc::clone(shard), false),
                None => {
                    let shard = Shard::new(id, partition, self);
                    shards.insert(id, Arc::clone(&shard));
                    (shard, true)
                }
            }
        };
        if is_new {
            shard.load(core, self.config.clone());
        }
        Ok(shard)
    }

    fn find(&self, id: ShardId) -> Option<Arc<Shard>> {
        let shards = self.shards.lock();
        shards.get(&id).filter(|shard| !shard.is_lost()).cloned()
    }

    /// Notes which partitions have groups on the disk. Before the first request.
    pub(crate) fn found(&self, core: &BrokerCore) {
        let image = core.metadata().image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else {
            return;
        };
        let is_here = |number: &i32| {
            let id = LogId::new(topic.name.clone(), *number);
            let leader = topic.partition(*number).and_then(|p| p.leader);
            leader == Some(self.node) && core.partitions().is_unopened(&id)
        };
        let numbers = topic.partitions.iter().map(|(number, _)| *number);
        *self.unloaded.lock() = numbers.filter(is_here).collect();
    }

    /// Loads what was found on the disk, one partition after the other.
    pub(crate) async fn load_found(&self, core: &Arc<BrokerCore>, mut stop: Stop) {
        loop {
            let Some(number) = self.unloaded.lock().first().copied() else {
                return;
            };
            let loading = async {
                let image = core.metadata().image();
                let topic = image.topic(OFFSETS_TOPIC)?;
                let shard = self.open(core, topic, number).await.ok()?;
                shard.loaded().await;
                Some(())
            };
            tokio::select! {
                biased;
                () = stop.requested() => return,
                _ = loading => {}
            }
            self.unloaded.lock().remove(&number);
        }
    }

    /// Follows a change of the metadata: forgets offsets of topics that are gone, and shards of
    /// partitions that this broker does not lead any more.
    pub(crate) fn apply(&self, old: &Image, new: &Image) {
        let delta = old.delta(new);
        let is_touched = |topic: &Topic| topic.name.as_str() == OFFSETS_TOPIC;
        let is_changed = delta.changed.iter().any(|(_, topic)| is_touched(topic))
            || delta.removed.iter().any(|topic| is_touched(topic));
        if is_changed {
            self.resign(new);
        }
        let gone: Vec<_> = delta
            .removed
            .iter()
            .map(|topic| (topic.name.clone(), topic.id))
            .collect();
        if !gone.is_empty() {
            let shards: Vec<_> = self.shards.lock().values().cloned().collect();
            shards.iter().for_each(|shard| shard.topics_deleted(&gone));
        }
    }

    fn resign(&self, image: &Image) {
        let is_kept = |(topic, number): &ShardId| {
            let topic = image.topic_by_id(*topic);
            let leader = topic
                .and_then(|t| t.partition(*number))
                .and_then(|p| p.leader);
            leader == Some(self.node)
        };
        let mut lost = Vec::new();
        self.shards.lock().retain(|id, shard| {
            let kept = is_kept(id);
            if !kept {
                lost.push(Arc::clone(shard));
            }
            kept
        });
        lost.iter().for_each(|shard| shard.lose());
    }

    /// Wakes shards when their timers are due, until told to stop.
    pub(crate) async fn run(&self, mut stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.alarms.due(&self.timer) => {}
            }
            for id in self.alarms.take_due(self.timer.monotonic()) {
                if let Some(shard) = self.find(id) {
                    shard.wake();
                }
            }
        }
    }
}

/// What a shard says, once that is durable; the code where it says nothing.
pub(crate) type Told = Result<GroupResponse, ErrorCode>;
