//! Topics without a socket: the same partitions, checks and acknowledgements as for a client, asked
//! from inside the process.
//!
//! Everything runs on the broker's own runtime and answers over a channel, so that it works from
//! any executor or none. Nothing here keeps a broker alive: once it ends, its topics say so.

mod errors;
mod follow;
mod new_topic;
mod stream;

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use ottla_log::{
    AppendOptions, Appended, BatchOptions, Bound, Codec, Condition, Durability, Log, LogId,
    LogRecords, Offset, ProduceLimits, Record, Room, TopicId, TopicName, ValidBatches, build_batch,
    parse_produce,
};
use ottla_partition::metadata::controller::CreateTopics;
use ottla_partition::metadata::{Topic as Registered, is_internal_topic};
use ottla_partition::partition::Acks;
use ottla_protocol::ErrorCode;

use crate::core::BrokerCore;
use crate::gate::{Gate, Place};
use crate::partition::{Partition, Refusal, View};
use crate::running::RunningBroker;
use crate::runtime;
use crate::stop::Stop;
use crate::tasks::{Running, Tasks};

pub use errors::{AppendError, CreateTopicError, PartitionError, ReadError, ResetError};
pub use follow::{FollowedRecord, Follower, WaitError};
pub use new_topic::NewTopic;
pub use stream::{RecordStream, Records};

/// From this size on a batch that is to be compressed keeps no other task waiting.
const INLINE_COMPRESSED_MAX: usize = 256 * 1024;

/// A topic of a broker in this process, to write to and read from without a socket.
///
/// It stands for the topic as it was created: deleted and created anew under the same name it is
/// another one. It does not keep its broker alive.
#[derive(Clone, Debug)]
pub struct Topic {
    name: TopicName,
    id: TopicId,
    inside: Inside,
}

/// What a reader may see of records whose transaction is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Nothing from the first open transaction on, and nothing of aborted ones.
    ReadCommitted,
}

impl Isolation {
    /// What such a reader sees of `log` from `from` to `until`, where it ends.
    fn records(self, log: &Log, from: Offset, until: Offset) -> LogRecords {
        match self {
            Self::ReadUncommitted => log.records_until(from, Bound::Until(until)),
            Self::ReadCommitted => log.committed_records(from, until),
        }
    }

    /// Where such a reader ends.
    fn end_of(self, view: View) -> Offset {
        match self {
            Self::ReadUncommitted => view.high_watermark,
            Self::ReadCommitted => view.last_stable,
        }
    }
}

/// Where a partition begins and ends, as one consistent view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionEnds {
    /// The first offset there is.
    pub start: Offset,
    /// Where a reader of committed transactions ends.
    pub last_stable: Offset,
    /// Where every other reader ends: what is below is as safe as the broker makes it.
    pub high_watermark: Offset,
    /// The offset that the next record gets.
    pub end: Offset,
}

impl RunningBroker {
    /// Creates a topic. It is durable, and has leaders, when this returns.
    ///
    /// # Errors
    /// [`CreateTopicError`].
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Topic, CreateTopicError> {
        let (inside, name) = (self.inside(), topic.name().to_owned());
        let work = create(inside.enter()?, topic);
        let task = self.core.runtime().spawn(work);
        let id = task.await.unwrap_or(Err(CreateTopicError::Stopped))?;
        Topic::new(&name, id, inside)
    }

    /// As [`RunningBroker::create_topic`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`CreateTopicError`].
    pub fn create_topic_blocking(&self, topic: NewTopic) -> Result<Topic, CreateTopicError> {
        let (inside, name) = (self.inside(), topic.name().to_owned());
        let work = create(inside.enter()?, topic);
        let id = self.core.runtime().block_on(work);
        Topic::new(&name, id.unwrap_or(Err(CreateTopicError::Stopped))?, inside)
    }

    /// The topic `name`, if there is one.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Topic> {
        let image = self.core.metadata().image();
        image.topic(name).map(|topic| Topic {
            name: topic.name.clone(),
            id: topic.id,
            inside: self.inside(),
        })
    }

    /// Makes the broker as good as new without a restart: topics with their records are gone when
    /// this returns, groups with their offsets, and configuration that was set since the start.
    /// Clients stay connected; members of groups are told to join anew. Producer ids go on, so that
    /// nobody's id is given to another.
    ///
    /// # Errors
    /// [`ResetError`].
    pub async fn reset(&self) -> Result<(), ResetError> {
        let work = reset(self.inside().enter()?);
        let task = self.core.runtime().spawn(work);
        task.await.unwrap_or(Err(ResetError::Stopped))
    }

    /// As [`RunningBroker::reset`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`ResetError`].
    pub fn reset_blocking(&self) -> Result<(), ResetError> {
        let work = reset(self.inside().enter()?);
        let done = self.core.runtime().block_on(work);
        done.unwrap_or(Err(ResetError::Stopped))
    }

    fn inside(&self) -> Inside {
        Inside {
            core: Arc::downgrade(&self.core),
            stop: self.stopper.stop(),
            tasks: self.tasks.clone(),
        }
    }
}

impl Topic {
    fn new(name: &str, id: TopicId, inside: Inside) -> Result<Self, CreateTopicError> {
        let name = TopicName::new(name).map_err(|error| CreateTopicError::Refused {
            name: name.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self { name, id, inside })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// How many partitions it has; 0 once it, or its broker, is gone.
    #[must_use]
    pub fn partitions(&self) -> usize {
        let Ok(inside) = self.inside.enter() else {
            return 0;
        };
        let image = inside.core.metadata().image();
        let topic = image.topic_by_id(self.id);
        topic.map_or(0, |topic| topic.partitions.len())
    }

    /// Appends `records` to a partition, as one batch: all of them, or none. Returns once they are
    /// as safe as `options` ask, by default as safe as the broker makes records.
    ///
    /// The append begins with the first poll. From then on it goes on, even where the future is
    /// dropped.
    ///
    /// # Errors
    /// [`AppendError`]; a refused condition says what the next offset is.
    pub async fn append(
        &self,
        partition: i32,
        records: &[Record],
        options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        let (inside, batch) = self.begin_append(records, options)?;
        let core = Arc::clone(&inside.core);
        let work = append(inside, self.clone(), partition, batch, options);
        let task = core.runtime().spawn(work);
        drop(core);
        task.await
            .unwrap_or_else(|_| Err(PartitionError::Stopped.into()))
    }

    /// As [`Topic::append`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_blocking(
        &self,
        partition: i32,
        records: &[Record],
        options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        let (inside, batch) = self.begin_append(records, options)?;
        let core = Arc::clone(&inside.core);
        let work = append(inside, self.clone(), partition, batch, options);
        let done = core.runtime().block_on(work);
        done.unwrap_or_else(|| Err(PartitionError::Stopped.into()))
    }

    /// Reads a partition from the offset `from` on. The stream ends where the partition does for
    /// such a reader at this moment; read again from there for what is appended later.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(
        &self,
        partition: i32,
        from: Offset,
        isolation: Isolation,
    ) -> Result<RecordStream, ReadError> {
        let inside = self.inside.enter()?;
        let core = Arc::clone(&inside.core);
        let task = (core.runtime()).spawn(read(inside, self.clone(), partition, from, isolation));
        drop(core);
        task.await
            .unwrap_or_else(|_| Err(PartitionError::Stopped.into()))
    }

    /// As [`Topic::read`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_blocking(
        &self,
        partition: i32,
        from: Offset,
        isolation: Isolation,
    ) -> Result<RecordStream, ReadError> {
        let inside = self.inside.enter()?;
        let core = Arc::clone(&inside.core);
        let work = read(inside, self.clone(), partition, from, isolation);
        let done = core.runtime().block_on(work);
        done.unwrap_or_else(|| Err(PartitionError::Stopped.into()))
    }

    /// Where a partition begins and ends.
    ///
    /// # Errors
    /// [`PartitionError`].
    pub async fn ends(&self, partition: i32) -> Result<PartitionEnds, PartitionError> {
        let inside = self.inside.enter()?;
        let core = Arc::clone(&inside.core);
        let task = core.runtime().spawn(ends(inside, self.clone(), partition));
        drop(core);
        task.await.unwrap_or(Err(PartitionError::Stopped))
    }

    /// As [`Topic::ends`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`PartitionError`].
    pub fn ends_blocking(&self, partition: i32) -> Result<PartitionEnds, PartitionError> {
        let inside = self.inside.enter()?;
        let core = Arc::clone(&inside.core);
        let done = core
            .runtime()
            .block_on(ends(inside, self.clone(), partition));
        done.unwrap_or(Err(PartitionError::Stopped))
    }

    /// What an append does on its caller's thread.
    fn begin_append(
        &self,
        records: &[Record],
        options: AppendOptions,
    ) -> Result<(Entered, Bytes), AppendError> {
        let inside = self.inside.enter()?;
        if is_internal_topic(self.name()) {
            return Err(AppendError::Internal {
                name: self.name.to_string(),
            });
        }
        let batch = BatchOptions {
            codec: options.codec,
            now: inside.core.timer().now(),
            ..BatchOptions::default()
        };
        let batch = build_batch(records, &batch).map_err(ottla_log::AppendError::from)?;
        Ok((inside, batch))
    }
}

/// The way into a broker, which does not keep it alive.
#[derive(Clone, Debug)]
struct Inside {
    core: Weak<BrokerCore>,
    stop: Stop,
    tasks: Tasks,
}

/// A broker that does something for its own process. A clean end waits for it.
#[derive(Debug)]
struct Entered {
    core: Arc<BrokerCore>,
    stop: Stop,
    _running: Running,
}

impl Inside {
    /// Enters the broker; `Stopped` once its end was asked for.
    fn enter(&self) -> Result<Entered, PartitionError> {
        // Counted first and asked then: an end that was asked for in between waits.
        let running = self.tasks.running();
        if self.stop.is_requested() {
            return Err(PartitionError::Stopped);
        }
        let core = self.core.upgrade().ok_or(PartitionError::Stopped)?;
        Ok(Entered {
            core,
            stop: self.stop.clone(),
            _running: running,
        })
    }
}

impl Entered {
    /// The partition `number` of `topic`, which this broker leads.
    async fn partition(
        &self,
        topic: &Topic,
        number: i32,
    ) -> Result<(Arc<Partition>, LogId), PartitionError> {
        let image = self.core.metadata().image();
        let id = LogId::new(topic.name.clone(), number);
        let registered: &Registered =
            (image.topic_by_id(topic.id)).ok_or_else(|| PartitionError::NoTopic {
                name: topic.name.to_string(),
            })?;
        let Some(registration) = registered.partition(number) else {
            let partitions = registered.partitions.len();
            return Err(PartitionError::NoPartition { id, partitions });
        };
        if registration.leader != Some(self.core.node_id()) {
            return Err(PartitionError::NotLeader { id });
        }
        let opened = self.core.open_partition(registered, number).await;
        Ok((opened?, id))
    }
}

async fn create(inside: Entered, topic: NewTopic) -> Result<TopicId, CreateTopicError> {
    let name = topic.name().to_owned();
    let request = CreateTopics {
        topics: vec![topic.into_request()],
        validate_only: false,
    };
    let entropy = inside.core.entropy();
    let metadata = inside.core.metadata();
    let created = metadata.change(move |c| c.create_topics(&request, &*entropy));
    let refused = |why| CreateTopicError::Refused {
        name: name.clone(),
        why,
    };
    let created = created.await.map_err(|error| refused(error.to_string()))?;
    let result = created.into_iter().next().map(|topic| topic.result);
    match result {
        Some(Ok(done)) => Ok(done.topic_id),
        Some(Err(error)) if error.code == ErrorCode::TopicAlreadyExists => {
            Err(CreateTopicError::Exists { name })
        }
        Some(Err(error)) => Err(refused(error.message)),
        None => Err(refused("the controller gave no answer".to_owned())),
    }
}

async fn reset(inside: Entered) -> Result<(), ResetError> {
    let done = inside.core.metadata().change(|c| c.reset());
    done.await
        .map_err(|error| ResetError::Refused(error.to_string()))
}

async fn append(
    inside: Entered,
    topic: Topic,
    number: i32,
    batch: Bytes,
    options: AppendOptions,
) -> Result<Appended, AppendError> {
    let (partition, id) = inside.partition(&topic, number).await?;
    let image = inside.core.metadata().image();
    let config = inside.core.config(&image).topic_config(topic.name());
    let limits = ProduceLimits {
        zstd_allowed: true,
        max_message_bytes: config.max_message_bytes as usize,
    };
    let batches = parse_produce(&batch, &limits, inside.core.log_limits());
    let batches = batches.map_err(ottla_log::AppendError::from)?;
    // The log writes the offsets in place where it alone holds the bytes.
    drop(batch);
    let acks = match options.durability {
        Durability::Durable => Acks::All,
        Durability::Written => Acks::Leader,
    };
    let room = inside.core.room(&partition, batches.bytes().len()).await;
    let room = room.map_err(|error| AppendError::refused(&id, error.into()))?;
    let appended = append_to(&partition, room, batches, acks, options)
        .map_err(|refusal| AppendError::refused(&id, refusal))?;
    if acks == Acks::All {
        acknowledged(&inside, &partition, &id, &appended).await?;
    }
    Ok(appended)
}

fn append_to(
    partition: &Partition,
    room: Room,
    batches: ValidBatches,
    acks: Acks,
    options: AppendOptions,
) -> Result<Appended, Refusal> {
    let condition: Condition = options.condition;
    let large = batches.bytes().len() > INLINE_COMPRESSED_MAX;
    if large && options.codec != Codec::None {
        return runtime::block_in_place(|| partition.append_in(room, condition, batches, acks));
    }
    partition.append_in(room, condition, batches, acks)
}

/// Returns once what was appended is as safe as acks=all makes it.
async fn acknowledged(
    inside: &Entered,
    partition: &Partition,
    id: &LogId,
    appended: &Appended,
) -> Result<(), AppendError> {
    let gate = Arc::new(Gate::new(1));
    // As long as it takes: who wants to wait less drops the future.
    let never = inside.core.timer().after(Duration::MAX);
    partition.acknowledge(appended.end, &gate, 0, never);
    let mut stop = inside.stop.clone();
    tokio::select! {
        biased;
        () = gate.open() => {}
        () = stop.abandoned() => {}
    }
    let why = match gate.place(0) {
        Place::Settled(ErrorCode::None) => return Ok(()),
        Place::Settled(code) => code.message(),
        Place::NotAsked | Place::Pending => "the broker has stopped",
    };
    Err(AppendError::NotAcknowledged {
        id: id.clone(),
        why,
    })
}

async fn read(
    inside: Entered,
    topic: Topic,
    number: i32,
    from: Offset,
    isolation: Isolation,
) -> Result<RecordStream, ReadError> {
    let (partition, id) = inside.partition(&topic, number).await?;
    let view = partition.view();
    if from < view.start || from > view.end {
        return Err(ReadError::Log(ottla_log::ReadError::OffsetOutOfRange {
            id,
            asked: from,
            start: view.start,
            end: view.end,
        }));
    }
    let until = isolation.end_of(view);
    let records = isolation.records(partition.log(), from, until);
    Ok(RecordStream::new(
        topic.inside,
        records,
        from < until,
        until,
    ))
}

async fn ends(inside: Entered, topic: Topic, number: i32) -> Result<PartitionEnds, PartitionError> {
    let (partition, _) = inside.partition(&topic, number).await?;
    let view = partition.view();
    Ok(PartitionEnds {
        start: view.start,
        last_stable: view.last_stable,
        high_watermark: view.high_watermark,
        end: view.end,
    })
}

/// Runs `work` on the pool for work that blocks, if the broker is still there.
fn on_the_pool<T, W>(inside: &Inside, work: W) -> Result<impl Future<Output = Option<T>>, ReadError>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let entered = inside.enter()?;
    let core = Arc::clone(&entered.core);
    let task = core.runtime().spawn_blocking(move || {
        let result = work();
        drop(entered);
        result
    });
    Ok(async move { task.await.ok() })
}
