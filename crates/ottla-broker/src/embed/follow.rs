//! Records of a topic as they come, over all its partitions: for a test that waits for what the
//! program under it writes.
//!
//! Nothing polls: a follower that has read everything is woken by the partitions. Waiting goes by
//! real time, whatever clock the broker has, so that a test that waits in vain ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::{LogId, LogRecords, Offset, OwnedRecord};

use super::{Entered, Isolation, PartitionError, ReadError, Topic};
use crate::interest::Interest;
use crate::partition::{Partition, Watch};
use crate::runtime::{self, Instant};

/// How many records of a partition are read ahead at once.
const AHEAD: usize = 256;

/// Follows a topic from the beginning of each partition; made by [`Topic::follow`].
///
/// It remembers how far it has read: what one call returned, the next does not return again.
#[derive(Debug)]
pub struct Follower {
    topic: Topic,
    isolation: Isolation,
    position: Position,
    /// Read, and not asked for yet.
    ahead: VecDeque<FollowedRecord>,
    /// How many records were handed out or looked at.
    seen: usize,
}

/// The next offset of each partition; of one that is missing, where it starts.
type Position = Vec<Offset>;

/// A record, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowedRecord {
    /// Its partition.
    pub partition: i32,
    /// The record, which knows its offset.
    pub record: OwnedRecord,
}

/// Why a record that was waited for is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over.
    #[error("waited {within:?} in vain for a record of the topic {topic:?}; {seen} were seen")]
    Elapsed {
        /// The topic's name.
        topic: String,
        /// How long.
        within: Duration,
        /// How many records the follower has seen since it began.
        seen: usize,
    },
    /// The topic cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Topic {
    /// Follows the topic from the beginning of each partition.
    #[must_use]
    pub fn follow(&self, isolation: Isolation) -> Follower {
        Follower {
            topic: self.clone(),
            isolation,
            position: Position::new(),
            ahead: VecDeque::new(),
            seen: 0,
        }
    }

    /// The first record that `is_it`, of those that are there or come `within` this time.
    ///
    /// # Errors
    /// [`WaitError`].
    pub async fn wait_for(
        &self,
        within: Duration,
        is_it: impl FnMut(&FollowedRecord) -> bool,
    ) -> Result<FollowedRecord, WaitError> {
        self.follow(Isolation::default()).find(within, is_it).await
    }

    /// As [`Topic::wait_for`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_for_blocking(
        &self,
        within: Duration,
        is_it: impl FnMut(&FollowedRecord) -> bool,
    ) -> Result<FollowedRecord, WaitError> {
        self.follow(Isolation::default())
            .find_blocking(within, is_it)
    }
}

impl Follower {
    /// The next record. Within a partition they come in their order; a record of another partition
    /// may come earlier than it was written.
    ///
    /// # Errors
    /// [`WaitError`]. Nothing is lost: a later call goes on.
    pub async fn next(&mut self, within: Duration) -> Result<FollowedRecord, WaitError> {
        self.find(within, |_| true).await
    }

    /// As [`Follower::next`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn next_blocking(&mut self, within: Duration) -> Result<FollowedRecord, WaitError> {
        self.find_blocking(within, |_| true)
    }

    /// The next record that `is_it`; those before it are passed over.
    ///
    /// # Errors
    /// [`WaitError`].
    pub async fn find(
        &mut self,
        within: Duration,
        mut is_it: impl FnMut(&FollowedRecord) -> bool,
    ) -> Result<FollowedRecord, WaitError> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = self.find_ahead(&mut is_it) {
                return Ok(found);
            }
            let inside = self.enter()?;
            let core = Arc::clone(&inside.core);
            let task = core.runtime().spawn(self.look(inside, deadline));
            drop(core);
            let looked = task.await.unwrap_or_else(|_| Err(stopped()));
            self.take_in(looked, within)?;
        }
    }

    /// As [`Follower::find`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn find_blocking(
        &mut self,
        within: Duration,
        mut is_it: impl FnMut(&FollowedRecord) -> bool,
    ) -> Result<FollowedRecord, WaitError> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = self.find_ahead(&mut is_it) {
                return Ok(found);
            }
            let inside = self.enter()?;
            let core = Arc::clone(&inside.core);
            let looked = core.runtime().block_on(self.look(inside, deadline));
            drop(core);
            self.take_in(looked.unwrap_or_else(|| Err(stopped())), within)?;
        }
    }

    /// The next `count` records.
    ///
    /// # Errors
    /// [`WaitError`]. Nothing is lost: the records that did come are the next again.
    pub async fn take(
        &mut self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<FollowedRecord>, WaitError> {
        let deadline = Instant::now() + within;
        let mut taken = Vec::new();
        while taken.len() < count {
            match self.next(left(deadline)).await {
                Ok(record) => taken.push(record),
                Err(error) => return Err(self.put_back(taken, error)),
            }
        }
        Ok(taken)
    }

    /// As [`Follower::take`], and blocks the calling thread.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn take_blocking(
        &mut self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<FollowedRecord>, WaitError> {
        let deadline = Instant::now() + within;
        let mut taken = Vec::new();
        while taken.len() < count {
            match self.next_blocking(left(deadline)) {
                Ok(record) => taken.push(record),
                Err(error) => return Err(self.put_back(taken, error)),
            }
        }
        Ok(taken)
    }

    fn put_back(&mut self, taken: Vec<FollowedRecord>, error: WaitError) -> WaitError {
        self.seen -= taken.len();
        taken
            .into_iter()
            .rev()
            .for_each(|record| self.ahead.push_front(record));
        error
    }

    fn find_ahead(
        &mut self,
        is_it: &mut impl FnMut(&FollowedRecord) -> bool,
    ) -> Option<FollowedRecord> {
        while let Some(record) = self.ahead.pop_front() {
            self.seen += 1;
            if is_it(&record) {
                return Some(record);
            }
        }
        None
    }

    fn enter(&self) -> Result<Entered, WaitError> {
        Ok(self.topic.inside.enter().map_err(ReadError::from)?)
    }

    /// What to do in the broker; nothing is lost where it is given up.
    fn look(
        &self,
        inside: Entered,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Looked>, ReadError>> + Send + use<> {
        let (topic, position) = (self.topic.clone(), self.position.clone());
        look(inside, topic, position, self.isolation, deadline)
    }

    fn take_in(
        &mut self,
        looked: Result<Option<Looked>, ReadError>,
        within: Duration,
    ) -> Result<(), WaitError> {
        let looked = looked?.ok_or_else(|| WaitError::Elapsed {
            topic: self.topic.name().to_owned(),
            within,
            seen: self.seen,
        })?;
        self.position = looked.position;
        self.ahead.extend(looked.records);
        Ok(())
    }
}

/// What a look at the partitions yielded.
#[derive(Debug)]
struct Looked {
    records: Vec<FollowedRecord>,
    position: Position,
}

/// Reads what is behind `position`; where there is nothing, waits for it until `deadline`.
async fn look(
    inside: Entered,
    topic: Topic,
    mut position: Position,
    isolation: Isolation,
    deadline: Instant,
) -> Result<Option<Looked>, ReadError> {
    let interest = Arc::new(Interest::default());
    let mut watched: Vec<Watched> = Vec::new();
    let mut stop = inside.stop.clone();
    loop {
        // Marks first, partitions then: a change in between marks again.
        interest.take();
        watch_all(&inside, &topic, &interest, &mut watched).await?;
        let records = read_all(&inside, &watched, &mut position, isolation).await?;
        if !records.is_empty() {
            return Ok(Some(Looked { records, position }));
        }
        let changed = tokio::select! {
            biased;
            () = stop.requested() => return Err(PartitionError::Stopped.into()),
            changed = runtime::timeout_at(deadline, interest.changed()) => changed,
        };
        if changed.is_none() {
            return Ok(None);
        }
    }
}

/// A partition that wakes the follower.
#[derive(Debug)]
struct Watched {
    partition: Arc<Partition>,
    _watch: Watch,
}

/// Watches the partitions that the topic has gained.
async fn watch_all(
    inside: &Entered,
    topic: &Topic,
    interest: &Arc<Interest>,
    watched: &mut Vec<Watched>,
) -> Result<(), ReadError> {
    let image = inside.core.metadata().image();
    let count = image.topic_by_id(topic.id).map(|t| t.partitions.len());
    let count = count.ok_or_else(|| PartitionError::NoTopic {
        name: topic.name.to_string(),
    })?;
    for number in watched.len()..count {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let (partition, _) = inside.partition(topic, number).await?;
        let slot = u32::try_from(number).unwrap_or(u32::MAX);
        watched.push(Watched {
            _watch: partition.watch(interest, slot),
            partition,
        });
    }
    Ok(())
}

/// Reads on in each partition, and moves `position` behind what was read.
async fn read_all(
    inside: &Entered,
    watched: &[Watched],
    position: &mut Position,
    isolation: Isolation,
) -> Result<Vec<FollowedRecord>, ReadError> {
    position.resize(watched.len().max(position.len()), Offset::ZERO);
    let mut readers: Vec<(LogId, LogRecords)> = Vec::new();
    for (watched, next) in watched.iter().zip(position.iter_mut()) {
        let view = watched.partition.view();
        let until = isolation.end_of(view);
        *next = view.start.max(*next);
        if *next < until {
            let log = watched.partition.log();
            let records = isolation.records(log, *next, until);
            readers.push((log.id().clone(), records));
        }
    }
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    let reading = inside.core.runtime().spawn_blocking(move || {
        let mut found = Vec::new();
        for (id, records) in readers {
            for record in records.take(AHEAD) {
                found.push(FollowedRecord {
                    partition: id.partition(),
                    record: record?,
                });
            }
        }
        Ok(found)
    });
    let found: Result<Vec<FollowedRecord>, ottla_log::ReadError> =
        reading.await.map_err(|_| PartitionError::Stopped)?;
    let found = found?;
    for followed in &found {
        let index = usize::try_from(followed.partition).unwrap_or(usize::MAX);
        if let Some(next) = position.get_mut(index) {
            *next = followed.record.offset.plus(1);
        }
    }
    Ok(found)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn stopped() -> ReadError {
    PartitionError::Stopped.into()
}
