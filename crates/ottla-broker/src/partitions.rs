//! The partitions that this broker leads, each opened when somebody first asks for it.
//!
//! Which partitions there are is the metadata image's matter; here are those that are open. A log
//! that was on the disk at start is opened on the blocking pool, since its recovery may read much,
//! and several of them at a time (`partitions/openers.rs`); one that was not has nothing to read
//! and is opened at once. Logs whose tails a crash left unchecked are opened in the background, and
//! sooner where a request wants one.

pub(crate) mod left_over;
mod openers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use ottla_log::{
    AppendError, Entropy, FlushMode, Log, LogError, LogId, LogOptions, Offset, Room, Store, TopicId,
};
use ottla_partition::BrokerId;
use ottla_partition::metadata::config::{BrokerConfig, ConfigView, TopicConfig};
use ottla_partition::metadata::{
    ConfigResourceKind, Delta, Image, Partition as Registration, Topic,
};
use ottla_partition::partition::ReplicaConfig;
use parking_lot::{Mutex, RwLock};

use crate::partition::Partition;
use crate::runtime::{self, Runtime};
use crate::timer::Timer;
use crate::upkeep::Upkeep;
use openers::{Asked, Openers, ToCome};

/// Parts of the map of open partitions, so that two workers seldom want the same lock.
const SHARDS: usize = 16;

type Shard = RwLock<HashMap<(TopicId, i32), Arc<Partition>, RandomState>>;

/// The configuration that was worked out last: of which image and topic, and what it is.
type LastConfig = Option<(Weak<Image>, TopicId, Arc<TopicConfig>)>;

/// The open partitions of this broker.
#[derive(Debug)]
pub(crate) struct Partitions {
    node: BrokerId,
    store: Store,
    flush: FlushMode,
    at_start: BrokerConfig,
    timer: Timer,
    entropy: Arc<dyn Entropy>,
    /// The newest image, which everything here follows.
    published: Arc<ArcSwap<Image>>,
    upkeep: Arc<Upkeep>,
    shards: [Shard; SHARDS],
    /// Logs that were on the disk at start and have not been opened.
    unopened: Mutex<BTreeSet<LogId>>,
    openers: Arc<Openers>,
    last_config: Mutex<LastConfig>,
    /// Held by the one append that waits for room in the dirty budget; the others queue for it.
    waits_for_room: tokio::sync::Mutex<()>,
}

/// A partition that is to be opened: what the image says of it.
#[derive(Clone, Debug)]
struct Wanted {
    id: LogId,
    topic_id: TopicId,
    options: LogOptions,
    replica: ReplicaConfig,
    registration: Registration,
    /// The image that says so.
    image: Arc<Image>,
}

/// Why a partition cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum OpenPartitionError {
    /// There is no such partition, or no longer.
    #[error("the topic of {id} was deleted")]
    Deleted {
        /// Which log it would be.
        id: LogId,
    },
    /// Its log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A partition that could not be opened.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) topic: TopicId,
    pub(crate) number: i32,
    pub(crate) error: OpenPartitionError,
}

impl Partitions {
    /// The partitions of the broker `node`, none of them open.
    pub(crate) fn new(
        node: BrokerId,
        store: Store,
        flush: FlushMode,
        at_start: BrokerConfig,
        timer: Timer,
        entropy: Arc<dyn Entropy>,
        published: Arc<ArcSwap<Image>>,
    ) -> Self {
        let unopened = store.found().into_iter().map(|log| log.id).collect();
        Self {
            node,
            store,
            flush,
            at_start,
            timer,
            entropy,
            published,
            upkeep: Arc::default(),
            shards: Default::default(),
            unopened: Mutex::new(unopened),
            openers: Arc::default(),
            last_config: Mutex::default(),
            waits_for_room: tokio::sync::Mutex::default(),
        }
    }

    /// The partition if it is open.
    pub(crate) fn get(&self, topic: TopicId, number: i32) -> Option<Arc<Partition>> {
        self.shard(topic, number)
            .read()
            .get(&(topic, number))
            .cloned()
    }

    /// The partition `number` of `topic`, opened where it is not.
    pub(crate) async fn open(
        self: &Arc<Self>,
        runtime: &Runtime,
        topic: &Topic,
        number: i32,
    ) -> Result<Arc<Partition>, OpenPartitionError> {
        if let Some(partition) = self.get(topic.id, number) {
            return Ok(partition);
        }
        let id = LogId::new(topic.name.clone(), number);
        if !self.unopened.lock().contains(&id) {
            return self.open_found(&id, topic.id);
        }
        let asked = Asked {
            id: id.clone(),
            topic: topic.id,
            is_urgent: true,
        };
        match self.ask(runtime, [asked]).pop() {
            Some(to_come) => to_come.opened().await,
            None => Err(LogError::Closed { id }.into()),
        }
    }

    /// Room for an append of `bytes` bytes to `partition`. Where there is none, one thread of the
    /// blocking pool waits for it, for one append after the other, and no worker does.
    pub(crate) async fn room(
        &self,
        runtime: &Runtime,
        partition: &Partition,
        bytes: usize,
    ) -> Result<Room, AppendError> {
        if let Some(room) = partition.log().try_room(bytes)? {
            return Ok(room);
        }
        let _turn = self.waits_for_room.lock().await;
        let log = partition.log().clone();
        let waiting = runtime.spawn_blocking(move || log.room(bytes));
        waiting.await.unwrap_or_else(|panic| {
            let id = partition.id().clone();
            tracing::error!(%panic, %id, "waiting for room panicked; this is a bug");
            Err(AppendError::Closed(id))
        })
    }

    /// Opens those of the partitions in `asked` that were on the disk at start and have not been
    /// opened, several at a time. Answers which could not be.
    pub(crate) async fn open_together(
        self: &Arc<Self>,
        runtime: &Runtime,
        asked: impl Iterator<Item = (Arc<Topic>, i32)>,
    ) -> Vec<Failure> {
        let asked = {
            let unopened = self.unopened.lock();
            if unopened.is_empty() {
                return Vec::new();
            }
            let asked = asked.filter_map(|(topic, number)| {
                let id = LogId::new(topic.name.clone(), number);
                unopened.contains(&id).then_some(Asked {
                    id,
                    topic: topic.id,
                    is_urgent: true,
                })
            });
            asked.collect::<Vec<_>>()
        };
        let to_come = self.ask(runtime, asked.iter().cloned());
        let mut failures = Vec::new();
        // The last first: most of the others are open by then, and need not wake this task.
        for (asked, opening) in asked.into_iter().zip(to_come).rev() {
            if let Err(error) = opening.opened().await {
                failures.push(Failure {
                    topic: asked.topic,
                    number: asked.id.partition(),
                    error,
                });
            }
        }
        failures
    }

    /// Opens the logs `ids` for nobody in particular: whatever a request waits for goes first.
    /// Answers why some could not be opened.
    pub(crate) async fn open_behind(
        self: &Arc<Self>,
        runtime: &Runtime,
        ids: &[LogId],
    ) -> Vec<OpenPartitionError> {
        let image = self.published.load_full();
        let asked = ids.iter().filter_map(|id| {
            let topic = image.topic(id.topic().as_str())?;
            Some(Asked {
                id: id.clone(),
                topic: topic.id,
                is_urgent: false,
            })
        });
        let mut failures = Vec::new();
        for opening in self.ask(runtime, asked).into_iter().rev() {
            failures.extend(opening.opened().await.err());
        }
        failures
    }

    /// Ends the opening of logs: what was not begun is left.
    pub(crate) fn open_no_more(&self) {
        self.openers.clear();
    }

    fn ask(
        self: &Arc<Self>,
        runtime: &Runtime,
        asked: impl IntoIterator<Item = Asked>,
    ) -> Vec<ToCome> {
        let this = Arc::clone(self);
        let open = move |id: &LogId, topic| this.open_found(id, topic);
        self.openers.ask(runtime, asked, open)
    }

    /// Opens the log `id` for the topic `topic` here and now.
    fn open_found(&self, id: &LogId, topic: TopicId) -> Result<Arc<Partition>, OpenPartitionError> {
        if let Some(partition) = self.get(topic, id.partition()) {
            return Ok(partition);
        }
        let Some(wanted) = self.wanted(id, topic) else {
            return Err(OpenPartitionError::Deleted { id: id.clone() });
        };
        self.open_now(&wanted)
    }

    /// What the newest image says of a partition; `None` where the topic is gone.
    fn wanted(&self, id: &LogId, topic_id: TopicId) -> Option<Wanted> {
        let image = self.published.load_full();
        let topic = image.topic_by_id(topic_id)?;
        let registration = topic.partition(id.partition())?.clone();
        let config = self.config_of(&image, topic);
        Some(Wanted {
            id: id.clone(),
            topic_id,
            options: LogOptions {
                topic_id: Some(topic_id),
                config: config.log_config(self.draw()),
            },
            replica: self.replica_config(&image, &config),
            registration,
            image,
        })
    }

    /// The configuration of `topic`, whose partitions are likely opened one after another.
    fn config_of(&self, image: &Arc<Image>, topic: &Topic) -> Arc<TopicConfig> {
        let mut last = self.last_config.lock();
        if let Some((of, id, config)) = &*last
            && of.as_ptr() == Arc::as_ptr(image)
            && *id == topic.id
        {
            return Arc::clone(config);
        }
        let config = Arc::new(self.view(image).topic_config(topic.name.as_str()));
        *last = Some((Arc::downgrade(image), topic.id, Arc::clone(&config)));
        config
    }

    /// Opens the log and puts the partition in the map. Two at once get the same.
    fn open_now(&self, wanted: &Wanted) -> Result<Arc<Partition>, OpenPartitionError> {
        let log = self.store.log(wanted.id.clone(), wanted.options.clone())?;
        self.unopened.lock().remove(&wanted.id);
        self.enter(wanted, log)
    }

    /// Puts the partition of `log` in the map, as the newest image has it.
    fn enter(&self, wanted: &Wanted, log: Log) -> Result<Arc<Partition>, OpenPartitionError> {
        let key = (wanted.topic_id, wanted.id.partition());
        let mut shard = self.shard(key.0, key.1).write();
        if let Some(partition) = shard.get(&key) {
            return Ok(Arc::clone(partition));
        }
        // The image is looked at under the lock: what is published from here on finds the
        // partition in the map. What was published before told nobody.
        let is_newest = Arc::ptr_eq(&self.published.load(), &wanted.image);
        let newer = (!is_newest).then(|| self.wanted(&wanted.id, wanted.topic_id));
        let wanted = match &newer {
            None => wanted,
            Some(Some(newer)) => {
                log.set_config(newer.options.config.clone());
                newer
            }
            Some(None) => {
                drop(shard);
                return Err(self.undo(&log));
            }
        };
        let partition = Partition::new(
            self.node,
            log,
            wanted.replica,
            &wanted.registration,
            self.timer.clone(),
            &self.upkeep,
        );
        shard.insert(key, Arc::clone(&partition));
        partition.opened();
        Ok(partition)
    }

    /// Deletes a log whose topic was deleted while it was opened: it must not stand in the way of
    /// a new topic's of the same name.
    fn undo(&self, log: &Log) -> OpenPartitionError {
        let id = log.id().clone();
        if let Err(error) = runtime::block_in_place(|| self.store.delete_open(log)) {
            tracing::error!(%id, %error, "the log of a deleted topic is not deleted yet");
        }
        OpenPartitionError::Deleted { id }
    }

    /// Lets go of a partition.
    fn close(&self, topic: TopicId, number: i32) {
        let open = self.shard(topic, number).write().remove(&(topic, number));
        if let Some(partition) = open {
            partition.retire();
        }
    }

    /// Follows a change of the metadata: lets go of topics that are gone and deletes their logs,
    /// tells partitions their new registrations and settings.
    pub(crate) fn apply(&self, old: &Image, new: &Image) {
        let delta = old.delta(new);
        self.remove(&delta);
        for (_, topic) in &delta.changed {
            for (number, registration) in topic.partitions.iter() {
                if let Some(partition) = self.get(topic.id, *number) {
                    partition.registered(registration);
                }
            }
        }
        self.reconfigure(new, &delta);
    }

    fn remove(&self, delta: &Delta) {
        let mut logs = Vec::new();
        for topic in &delta.removed {
            for (number, _) in topic.partitions.iter() {
                self.close(topic.id, *number);
                logs.push(LogId::new(topic.name.clone(), *number));
            }
        }
        if logs.is_empty() {
            return;
        }
        // Renames directories: not for a worker to wait for. A log that is being opened would keep
        // all changes of the metadata waiting: who opens it finds its topic gone, and deletes it.
        let deleted = runtime::block_in_place(|| self.store.delete_soon(&logs));
        let opening = deleted.unwrap_or_else(|error| {
            tracing::error!(%error, "the logs of a deleted topic are not deleted yet");
            logs.clone()
        });
        // A new log of such a name is opened where it may wait for the old one.
        let mut unopened = self.unopened.lock();
        for id in logs.iter().filter(|id| !opening.contains(id)) {
            unopened.remove(id);
        }
    }

    fn reconfigure(&self, image: &Image, delta: &Delta) {
        let all = delta
            .configs
            .iter()
            .any(|resource| resource.kind == ConfigResourceKind::Broker);
        let is_touched = |topic: &Topic| {
            all || delta.configs.iter().any(|resource| {
                resource.kind == ConfigResourceKind::Topic && *resource.name == *topic.name.as_str()
            })
        };
        if delta.configs.is_empty() {
            return;
        }
        for partition in self.all() {
            let Some(topic) = image.topic_by_id(partition.topic_id()) else {
                continue;
            };
            if is_touched(topic) {
                let config = self.view(image).topic_config(topic.name.as_str());
                partition.log().set_config(config.log_config(self.draw()));
                partition.configure(self.replica_config(image, &config));
                partition.needs_upkeep();
            }
        }
    }

    /// Every open partition.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let open = |shard: &Shard| shard.read().values().cloned().collect::<Vec<_>>();
        self.shards.iter().flat_map(open).collect()
    }

    /// The data directory.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// When the open logs are due to be looked after.
    pub(crate) fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// Whether the log `id` was on the disk at start and has not been opened.
    pub(crate) fn is_unopened(&self, id: &LogId) -> bool {
        self.unopened.lock().contains(id)
    }

    /// The logs that were on the disk at start and have not been opened, in order.
    pub(crate) fn unopened(&self) -> Vec<LogId> {
        self.unopened.lock().iter().cloned().collect()
    }

    /// The high watermark of each open partition, for the checkpoint.
    pub(crate) fn high_watermarks(&self) -> BTreeMap<LogId, Offset> {
        let entry = |p: Arc<Partition>| (p.id().clone(), p.view().high_watermark);
        self.all().into_iter().map(entry).collect()
    }

    fn view<'a>(&'a self, image: &'a Image) -> ConfigView<'a> {
        ConfigView::new(image, self.node, &self.at_start)
    }

    fn replica_config(&self, image: &Image, config: &TopicConfig) -> ReplicaConfig {
        ReplicaConfig {
            flush: config.flush.unwrap_or(self.flush),
            min_insync_replicas: config.min_insync_replicas,
            lag_max: self
                .view(image)
                .broker("replica.lag.time.max.ms")
                .number()
                .and_then(|ms| u64::try_from(ms).ok())
                .map_or(Duration::MAX, Duration::from_millis),
        }
    }

    /// A number for the jitter of a segment's age.
    fn draw(&self) -> u32 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    fn shard(&self, topic: TopicId, number: i32) -> &Shard {
        // A topic's id is drawn by a broker, so its last byte spreads well.
        let [.., last] = topic.to_bytes();
        let index = usize::from(last).wrapping_add(number.unsigned_abs() as usize) % SHARDS;
        self.shards.get(index).expect("a remainder of the length")
    }
}

#[cfg(test)]
mod tests;
