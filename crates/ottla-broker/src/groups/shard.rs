//! One shard of groups: the machine, its partition, its timers, and who waits for its answers.
//!
//! Inputs come one at a time, under one lock. Of each, the records are appended and replayed and
//! the timers set before the next; the answers are handed out with the offset up to which the log
//! must be durable before anybody hears of them. Where the log refuses an append and stays as it
//! was, so is the request. Where an append fails otherwise, or is never durable, the shard is lost
//! with all it remembers: the next one loads from the log.

mod append;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use ottla_coordinator::group::{
    Decision, GroupConfig, GroupRequest, GroupResponse, GroupShard, MemberKey, Now, WaiterId,
};
use ottla_log::{Codec, LeaderEpoch, Offset, Room, TopicId, TopicName};
use ottla_partition::metadata::Image;
use ottla_protocol::{ErrorCode, StrBytes};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use self::append::Failure;
use super::alarms::Alarms;
use super::memory::{Memory, Share};
use super::timers::Timers;
use super::{Groups, ShardId, Told, load};
use crate::core::BrokerCore;
use crate::gate::{Gate, Place};
use crate::partition::Partition;
use crate::session::Session;
use crate::timer::Timer;

/// The room that a request takes in the dirty budget until it is written: what most of them write,
/// and for those that write more a bound on how many are let in at a time.
const ROOM_BYTES: usize = 64 * 1024;

/// A shard of groups.
#[derive(Debug)]
pub(crate) struct Shard {
    id: ShardId,
    partition: Arc<Partition>,
    codec: Codec,
    /// How long other brokers may take to have what is answered.
    commit_timeout: Duration,
    timer: Timer,
    alarms: Arc<Alarms>,
    memory: Arc<Memory>,
    state: Mutex<State>,
    /// Whether the state is [`State::Lost`], for those who must not wait for its lock.
    is_lost: AtomicBool,
    /// Whether loading has come to its end, one way or the other.
    is_loaded: watch::Sender<bool>,
}

#[derive(Debug)]
enum State {
    /// The log is being read.
    Loading,
    Active(Box<Active>),
    /// The log says what cannot be understood; only a restart can help.
    Failed,
    /// Another shard is to take its place.
    Lost,
}

#[derive(Debug)]
struct Active {
    machine: GroupShard,
    /// What the machine holds in memory.
    share: Share,
    /// The term in which it was loaded.
    epoch: LeaderEpoch,
    timers: Timers,
    /// When the shard is to be woken next.
    alarm: Option<Duration>,
    waiting: HashMap<WaiterId, oneshot::Sender<Decided>, RandomState>,
    next_waiter: u64,
    /// When the last input came.
    last_input: Duration,
    /// Whether the log refused what was decided last.
    is_refused: bool,
    owed: Owed,
    published: Arc<ArcSwap<Image>>,
}

/// What nobody asks for again where the log refuses it: to forget the offsets of topics.
#[derive(Debug, Default)]
struct Owed {
    /// Of topics that were deleted since the load.
    deleted: Vec<(StrBytes, TopicId)>,
    /// Of topics that were not there any more at the load.
    missing: bool,
}

/// An answer that leaves once it is durable.
#[derive(Debug)]
struct Decided {
    response: GroupResponse,
    /// How far the log has to be durable.
    until: Offset,
    /// Whose session begins when it leaves.
    session: Option<MemberKey>,
}

impl Shard {
    /// A shard over `partition` that has still to be loaded.
    pub(super) fn new(id: ShardId, partition: Arc<Partition>, of: &Groups) -> Arc<Self> {
        Arc::new(Self {
            id,
            partition,
            codec: of.codec,
            commit_timeout: of.commit_timeout,
            timer: of.timer.clone(),
            alarms: Arc::clone(&of.alarms),
            memory: Arc::clone(&of.memory),
            state: Mutex::new(State::Loading),
            is_lost: AtomicBool::new(false),
            is_loaded: watch::Sender::new(false),
        })
    }

    /// Reads the log; an empty one at once, any other on the pool for work that blocks.
    pub(super) fn load(self: &Arc<Self>, core: &BrokerCore, config: GroupConfig) {
        let ends = self.partition.log().ends();
        let machine = GroupShard::new(config);
        let published = core.metadata().published();
        if ends.start == ends.end {
            return self.begin(machine, self.partition.leader_epoch(), published);
        }
        let this = Arc::clone(self);
        core.runtime().spawn_blocking(move || {
            let epoch = this.partition.leader_epoch();
            match load::replay(&this.partition, machine) {
                Ok(machine) => this.begin(machine, epoch, published),
                Err(error) => {
                    let partition = this.partition.id();
                    tracing::error!(%partition, %error, "the groups of a partition are lost");
                    *this.state.lock() = State::Failed;
                    this.is_loaded.send_replace(true);
                }
            }
        });
    }

    fn begin(&self, machine: GroupShard, epoch: LeaderEpoch, published: Arc<ArcSwap<Image>>) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Loading) {
            return;
        }
        *state = State::Active(Box::new(Active {
            machine,
            share: Share::new(&self.memory),
            epoch,
            timers: Timers::default(),
            alarm: None,
            waiting: HashMap::default(),
            next_waiter: 0,
            last_input: Duration::ZERO,
            is_refused: false,
            owed: Owed::default(),
            published,
        }));
        self.drive(&mut state, GroupShard::loaded);
        // A topic whose deletion is not published yet is forgotten when it is: that waits for the
        // lock.
        self.forget_missing(&mut state);
        drop(state);
        self.is_loaded.send_replace(true);
    }

    /// Returns when the shard is loaded, or will not be.
    pub(crate) async fn loaded(&self) {
        // An error would mean that the sender is gone, which `self` holds.
        let _ = self.is_loaded.subscribe().wait_for(|loaded| *loaded).await;
    }

    /// Whether another shard is to take its place.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Gives everything up: who waits is told to ask again, elsewhere or later.
    pub(super) fn lose(&self) {
        self.set_lost(&mut self.state.lock());
        self.is_loaded.send_replace(true);
    }

    fn set_lost(&self, state: &mut State) {
        *state = State::Lost;
        self.is_lost.store(true, Ordering::Release);
    }

    /// Waits until there is room for what `request` may have written; who drops it lets the next
    /// one in. Under the lock of the shard nobody may wait for a disk: other requests would wait
    /// for the lock, each on a worker.
    pub(super) async fn room(&self, core: &BrokerCore, request: &GroupRequest) -> Option<Room> {
        let only_reads = matches!(
            request,
            GroupRequest::Heartbeat(_)
                | GroupRequest::OffsetFetch(_)
                | GroupRequest::Describe(_)
                | GroupRequest::List(_)
        );
        if only_reads {
            return None;
        }
        // Why there is none the append is told, too.
        core.room(&self.partition, ROOM_BYTES).await.ok()
    }

    /// Asks the machine.
    pub(super) fn ask(
        self: &Arc<Self>,
        session: &Arc<Session>,
        request: GroupRequest,
    ) -> Result<Asked, ErrorCode> {
        let mut state = self.state.lock();
        // What a test's clock has passed has happened before the request.
        self.fire(&mut state);
        let active = match &mut *state {
            State::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
            State::Failed | State::Lost => return Err(ErrorCode::NotCoordinator),
            State::Active(active) => active,
        };
        let waiter = WaiterId::new(active.next_waiter);
        active.next_waiter += 1;
        let (tell, told) = oneshot::channel();
        active.waiting.insert(waiter, tell);
        self.drive(&mut state, |machine, now| {
            machine.handle(now, waiter, request)
        });
        Ok(Asked {
            shard: Arc::clone(self),
            session: Arc::clone(session),
            told,
        })
    }

    /// What `look` sees in the machine; `None` where there is none to ask.
    pub(super) fn look<R>(&self, look: impl FnOnce(&GroupShard) -> R) -> Option<R> {
        match &*self.state.lock() {
            State::Active(active) => Some(look(&active.machine)),
            State::Loading | State::Failed | State::Lost => None,
        }
    }

    /// Timers may be due.
    pub(super) fn wake(&self) {
        let mut state = self.state.lock();
        if let State::Active(active) = &mut *state {
            active.alarm = None;
        }
        self.fire(&mut state);
        self.plan(&mut state);
    }

    /// These topics are gone, and so are the offsets in them.
    pub(super) fn topics_deleted(&self, gone: &[(TopicName, TopicId)]) {
        let name = |name: &TopicName| StrBytes::from_string(name.as_str().to_owned());
        let gone = gone.iter().map(|(topic, id)| (name(topic), *id));
        let gone: Vec<_> = gone.collect();
        let mut state = self.state.lock();
        self.fire(&mut state);
        self.forget_deleted(&mut state, gone);
    }

    fn forget_deleted(&self, state: &mut State, gone: Vec<(StrBytes, TopicId)>) {
        self.drive(state, |machine, _| machine.topics_deleted(&gone));
        if let State::Active(active) = state
            && active.is_refused
        {
            active.owed.deleted.extend(gone);
        }
    }

    fn forget_missing(&self, state: &mut State) {
        let State::Active(active) = state else {
            return;
        };
        let image = active.published.load_full();
        let topic_id = |name: &str| image.topic(name).map(|topic| topic.id);
        self.drive(state, |machine, _| machine.topics_found(topic_id));
        if let State::Active(active) = state {
            active.owed.missing |= active.is_refused;
        }
    }

    /// Does what the log refused, now that it takes records again.
    fn forget_owed(&self, state: &mut State) {
        let State::Active(active) = state else {
            return;
        };
        if active.is_refused {
            return;
        }
        let Owed { deleted, missing } = std::mem::take(&mut active.owed);
        if !deleted.is_empty() {
            self.forget_deleted(state, deleted);
        }
        if missing {
            self.forget_missing(state);
        }
    }

    fn fire(&self, state: &mut State) {
        let now = self.timer.monotonic();
        while let State::Active(active) = state
            && let Some((due, key)) = active.timers.take_due(now)
        {
            let at = self.timer.comes_at(due);
            self.drive_at(at, state, |machine, now| machine.timer(now, &key));
        }
    }

    /// Hands the machine an input and carries out what it decides.
    fn drive(&self, state: &mut State, input: impl FnOnce(&mut GroupShard, Now) -> Decision) {
        self.drive_at(self.timer.monotonic(), state, input);
    }

    fn drive_at(
        &self,
        at: Duration,
        state: &mut State,
        input: impl FnOnce(&mut GroupShard, Now) -> Decision,
    ) {
        let State::Active(active) = state else {
            return;
        };
        let now = self.input_at(at, active);
        active.machine.allow(active.share.room());
        let decision = input(&mut active.machine, now);
        if let Err(error) = self.carry_out(active, decision) {
            let partition = self.partition.id();
            tracing::error!(%partition, %error, "the groups of a partition are loaded anew");
            self.set_lost(state);
            return;
        }
        active.share.set(active.machine.bytes_held());
        self.forget_owed(state);
        self.plan(state);
    }

    /// The time of an input that comes `at`, or after the one before.
    fn input_at(&self, at: Duration, active: &mut Active) -> Now {
        active.last_input = active.last_input.max(at);
        Now {
            monotonic: active.last_input,
            wall: self.timer.now(),
        }
    }

    fn carry_out(&self, active: &mut Active, decision: Decision) -> Result<(), Failure> {
        let (decision, until) = self.remember(active, decision)?;
        for change in decision.timers {
            active.timers.change(change);
        }
        let is_durable = self.is_durable(until);
        // The append may have taken its time.
        let now = self.input_at(self.timer.comes_at(active.last_input), active);
        for answer in decision.answers {
            let mut session = answer.session;
            if is_durable && let Some(key) = session.take() {
                active.machine.answered(now, &key);
            }
            let decided = Decided {
                response: answer.response,
                until,
                session,
            };
            // Whoever waited may be gone.
            let unheard = match active.waiting.remove(&answer.waiter) {
                Some(waiter) => waiter.send(decided).err(),
                None => Some(decided),
            };
            if let Some(key) = unheard.and_then(|unheard| unheard.session) {
                active.machine.answered(now, &key);
            }
        }
        Ok(())
    }

    /// An answer leaves that begins a session, or nobody is there to get it.
    fn answered(&self, key: &MemberKey) {
        let mut state = self.state.lock();
        self.fire(&mut state);
        if let State::Active(active) = &mut *state {
            let now = self.input_at(self.timer.monotonic(), active);
            active.machine.answered(now, key);
        }
    }

    /// Sees that the shard is woken when its first timer is due.
    fn plan(&self, state: &mut State) {
        let State::Active(active) = state else {
            return;
        };
        if let Some(first) = active.timers.first()
            && active.alarm.is_none_or(|alarm| first < alarm)
        {
            active.alarm = Some(first);
            self.alarms.set(self.id, first);
        }
    }

    /// Returns when the log is durable up to `until`; where it will not be, the shard is lost.
    async fn durable(&self, until: Offset, session: &Session) -> Result<(), ErrorCode> {
        if self.is_durable(until) {
            return Ok(());
        }
        let gate = Arc::new(Gate::new(1));
        let deadline = self.timer.after(self.commit_timeout);
        let waiter = self.partition.acknowledge(until, &gate, 0, deadline);
        let forget = Forget(&self.partition, waiter);
        if self.partition.is_replicated() {
            // Nobody knows when other brokers will have it.
            tokio::select! {
                biased;
                () = gate.open() => {}
                () = self.timer.until(deadline) => return Err(ErrorCode::CoordinatorNotAvailable),
                () = session.hurried() => return Err(ErrorCode::CoordinatorNotAvailable),
            }
        } else {
            // This broker's own sync takes as long as it takes.
            gate.open().await;
        }
        drop(forget);
        match gate.place(0) {
            Place::Settled(ErrorCode::None) => Ok(()),
            // The log has it; that it is on too few brokers to be sure of takes nothing back.
            Place::Settled(
                ErrorCode::NotEnoughReplicasAfterAppend | ErrorCode::RequestTimedOut,
            ) => Err(ErrorCode::CoordinatorNotAvailable),
            _ => {
                self.lose();
                Err(ErrorCode::NotCoordinator)
            }
        }
    }

    fn is_durable(&self, until: Offset) -> bool {
        self.partition.view().high_watermark >= until
    }
}

/// Takes a waiter out of its partition.
struct Forget<'a>(&'a Partition, Option<ottla_partition::partition::WaiterId>);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.1 {
            self.0.forget(waiter);
        }
    }
}

/// A request that the machine has, whose answer may be there or not.
#[derive(Debug)]
pub(crate) struct Asked {
    shard: Arc<Shard>,
    session: Arc<Session>,
    told: oneshot::Receiver<Decided>,
}

impl Asked {
    /// The answer, once it is there and durable. Where the session is in a hurry there is none
    /// that other members would have to be waited for.
    pub(crate) async fn answer(self) -> Told {
        self.held_answer().await.map(|(told, _)| told)
    }

    /// The same, and what begins the session of the member that it tells: for who has to wait for
    /// more before the answer leaves.
    pub(crate) async fn held_answer(
        mut self,
    ) -> Result<(GroupResponse, Option<BeginsSession>), ErrorCode> {
        let told = tokio::select! {
            biased;
            told = &mut self.told => told,
            () = self.session.hurried() => return Err(ErrorCode::NotCoordinator),
        };
        // Without a word the shard was lost.
        let decided = told.map_err(|_| ErrorCode::NotCoordinator)?;
        let begins = decided
            .session
            .map(|key| BeginsSession(Arc::clone(&self.shard), key));
        self.shard.durable(decided.until, &self.session).await?;
        Ok((decided.response, begins))
    }
}

impl Drop for Asked {
    /// What is on its way to nobody leaves at once.
    fn drop(&mut self) {
        self.told.close();
        if let Ok(decided) = self.told.try_recv()
            && let Some(key) = decided.session
        {
            self.shard.answered(&key);
        }
    }
}

/// Begins a session when an answer leaves, one way or the other.
#[derive(Debug)]
pub(crate) struct BeginsSession(Arc<Shard>, MemberKey);

impl Drop for BeginsSession {
    fn drop(&mut self) {
        self.0.answered(&self.1);
    }
}
