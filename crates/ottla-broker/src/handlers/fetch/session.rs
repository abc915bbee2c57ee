//! The partitions of one fetch, remembered over requests where the client keeps a session
//! (KIP-227).
//!
//! A partition has a slot. Slots that have to be looked at are `ready`, in the order of their
//! turns; the others have shown that there is nothing new and are marked by their partition when
//! there is. So a poll costs as much as changed, however many partitions the session has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_log::TopicId;
use ottla_protocol::Seq;
use ottla_protocol::fetch::{FetchPartition, FetchTopic, ForgottenTopic};

use crate::handlers::wire::topic_id;
use crate::interest::Interest;
use crate::partition::{Partition, Watch};

/// The partitions of one fetch or of one session.
#[derive(Debug)]
pub(crate) struct FetchSession {
    /// The epoch that the session's next request must have.
    pub(super) epoch: i32,
    /// Whether topics are named by their ids.
    pub(super) uses_ids: bool,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_key: HashMap<Key, u32>,
    /// What the keys weigh together.
    weight: usize,
    ready: BTreeMap<u64, u32>,
    next_turn: u64,
    interest: Arc<Interest>,
    /// Whether every partition that was found marks its slot.
    watching: bool,
}

/// What a session knows a partition by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) topic: TopicKey,
    pub(super) partition: i32,
}

/// Bytes of a name that weigh as much as a partition does: more than any topic's name has.
const NAME_BYTES: usize = 256;

impl Key {
    /// How many partitions' room this takes, with its name. No topic has a name so long that it
    /// weighs anything, but it can be asked for.
    pub(super) fn weight(&self) -> usize {
        match &self.topic {
            TopicKey::Name(name) => 1 + name.len() / NAME_BYTES,
            TopicKey::Id(_) => 1,
        }
    }
}

/// What a session knows a topic by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TopicKey {
    Name(Arc<str>),
    Id(TopicId),
}

/// One partition of a fetch.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// When it is its turn: the lower, the sooner.
    pub(super) turn: u64,
    pub(super) wants: Wants,
    /// What the client was told last; nothing yet or an error: `None`.
    pub(super) told: Option<Told>,
    pub(super) partition: Option<Arc<Partition>>,
    watch: Option<Watch>,
}

/// What the client wants of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) offset: i64,
    pub(super) bytes_max: i32,
    pub(super) current_leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
}

/// What the client was told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) high_watermark: i64,
    pub(super) log_start: i64,
}

impl FetchSession {
    /// The partitions of a request that names all it wants.
    pub(super) fn new(uses_ids: bool, topics: &Seq<FetchTopic>) -> Self {
        let mut session = Self {
            epoch: 1,
            uses_ids,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            weight: 0,
            ready: BTreeMap::new(),
            next_turn: 0,
            interest: Arc::default(),
            watching: false,
        };
        session.add(topics);
        session
    }

    /// The session itself, which leaves an empty one behind.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.uses_ids, &Seq::new());
        std::mem::replace(self, empty)
    }

    /// How many partitions.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many partitions' room the session takes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Takes in what a request of the session adds, changes and drops.
    pub(super) fn update(&mut self, topics: &Seq<FetchTopic>, forgotten: &Seq<ForgottenTopic>) {
        self.add(topics);
        for topic in forgotten {
            let name = self.topic_key(&topic.topic, topic_id(&topic.topic_id));
            for partition in &topic.partitions {
                self.forget(&Key {
                    topic: name.clone(),
                    partition: *partition,
                });
            }
        }
    }

    fn add(&mut self, topics: &Seq<FetchTopic>) {
        for topic in topics {
            let name = self.topic_key(&topic.topic, topic_id(&topic.topic_id));
            for partition in &topic.partitions {
                let key = Key {
                    topic: name.clone(),
                    partition: partition.partition,
                };
                self.want(key, Wants::of(partition));
            }
        }
    }

    fn topic_key(&self, name: &str, id: TopicId) -> TopicKey {
        if self.uses_ids {
            TopicKey::Id(id)
        } else {
            TopicKey::Name(name.into())
        }
    }

    fn want(&mut self, key: Key, wants: Wants) {
        if let Some(&index) = self.by_key.get(&key) {
            if let Some(slot) = self.slot_mut(index) {
                slot.wants = wants;
            }
            self.make_ready(index);
            return;
        }
        let slot = Slot {
            key: key.clone(),
            turn: self.take_turn(),
            wants,
            told: None,
            partition: None,
            watch: None,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).expect("a request has fewer partitions")
            }
        };
        if let Some(place) = self.slots.get_mut(index as usize) {
            *place = Some(slot);
        }
        self.weight += key.weight();
        self.by_key.insert(key, index);
        self.make_ready(index);
    }

    fn forget(&mut self, key: &Key) {
        let Some(index) = self.by_key.remove(key) else {
            return;
        };
        self.weight -= key.weight();
        let slot = self.slots.get_mut(index as usize).and_then(Option::take);
        if let Some(slot) = slot {
            self.ready.remove(&slot.turn);
        }
        self.free.push(index);
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    pub(super) fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(index as usize)?.as_ref()
    }

    pub(super) fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    fn make_ready(&mut self, index: u32) {
        if let Some(turn) = self.slot(index).map(|slot| slot.turn) {
            self.ready.insert(turn, index);
        }
    }

    /// The slots that have to be looked at, in their turns.
    pub(super) fn ready(&self) -> Vec<u32> {
        self.ready.values().copied().collect()
    }

    /// The slots that were marked since the last look. They are ready from now on.
    pub(super) fn take_marked(&mut self) -> Vec<u32> {
        let mut marked = self.interest.take();
        marked.retain(|index| self.slot(*index).is_some());
        for index in &marked {
            self.make_ready(*index);
        }
        marked.sort_unstable_by_key(|index| self.slot(*index).map(|slot| slot.turn));
        marked
    }

    /// Has the partition that was found for a slot mark it from now on, if that is done at all.
    pub(super) fn found(&mut self, index: u32, partition: &Arc<Partition>) {
        let (interest, watching) = (Arc::clone(&self.interest), self.watching);
        if let Some(slot) = self.slot_mut(index) {
            slot.partition = Some(Arc::clone(partition));
            slot.watch = watching.then(|| partition.watch(&interest, index));
        }
    }

    /// The partition of a slot is another one now, or none.
    pub(super) fn lost(&mut self, index: u32) {
        if let Some(slot) = self.slot_mut(index) {
            slot.partition = None;
            slot.watch = None;
        }
    }

    /// Has every partition mark its slot from now on; whether that is new. What happened before
    /// marks nothing, so all slots are ready then.
    pub(super) fn watch_all(&mut self) -> bool {
        if std::mem::replace(&mut self.watching, true) {
            return false;
        }
        let interest = Arc::clone(&self.interest);
        for (index, slot) in (0..).zip(&mut self.slots) {
            if let Some(slot) = slot {
                let partition = slot.partition.as_ref();
                slot.watch = partition.map(|partition| partition.watch(&interest, index));
                self.ready.insert(slot.turn, index);
            }
        }
        true
    }

    /// What marks slots.
    pub(super) fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.interest)
    }

    /// The client was answered about a slot. One that sent records goes to the end of the turns,
    /// so that each gets its share; one with nothing left is not looked at before it is marked.
    pub(super) fn answered(&mut self, index: u32, told: Option<Told>, rotate: bool, done: bool) {
        let turn = if rotate { Some(self.take_turn()) } else { None };
        let watching = self.watching;
        let Some(slot) = self.slot_mut(index) else {
            return;
        };
        slot.told = told;
        let old = slot.turn;
        let new = turn.unwrap_or(old);
        slot.turn = new;
        // A slot that nobody marks must stay ready.
        let keep = !done || !watching || slot.watch.is_none();
        self.ready.remove(&old);
        if keep {
            self.ready.insert(new, index);
        }
    }
}

impl Wants {
    fn of(partition: &FetchPartition) -> Self {
        Self {
            offset: partition.fetch_offset,
            bytes_max: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }
    }
}
