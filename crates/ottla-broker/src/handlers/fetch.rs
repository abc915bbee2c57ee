//! Fetch: reads records from many partitions, waits for more where there are too few, and keeps
//! what a client reads in a session.

mod look;
mod respond;
mod session;
mod sessions;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::fetch::{FetchRequest, FetchResponse};
use tokio::sync::OwnedMutexGuard;

use super::Context;
use crate::budget::Charge;
use crate::connection::Outgoing;
use crate::cost;
use crate::timer::Deadline;

use look::{Look, Share, look};
pub(crate) use session::FetchSession;
pub(crate) use sessions::FetchSessions;
use sessions::NoSession;

/// A session's first request, which names all that the client wants.
const EPOCH_FIRST: i32 = 0;
/// A request outside of any session.
const EPOCH_NONE: i32 = -1;

pub(crate) async fn handle(
    context: Context,
    request: FetchRequest,
    charge: &mut Charge,
) -> Outgoing {
    let replica = match context.version {
        15.. => request.replica_state.replica_id,
        _ => request.replica_id,
    };
    if replica >= 0 {
        return respond::refuse_replica(&context, &request);
    }
    if !matches!(request.isolation_level, 0 | 1) {
        return respond::unknown_isolation(context.version, &request).into();
    }
    let held = match Held::begin(&context, &request) {
        Ok(held) => held,
        Err(code) => {
            let response = FetchResponse {
                error_code: code.code(),
                ..FetchResponse::default()
            };
            return response.into();
        }
    };
    let mut fetch = Fetch::new(context, held, &request, charge.another());
    drop(request);
    fetch.run(charge).await;
    respond::respond(fetch)
}

/// One fetch under way.
#[derive(Debug)]
pub(super) struct Fetch {
    context: Context,
    session: Held,
    bytes_min: u64,
    bytes_max: u64,
    committed_only: bool,
    deadline: Option<Deadline>,
    /// What the last look at each slot found, by turn.
    looks: BTreeMap<u64, (u32, Look)>,
    /// The bytes of records among them.
    bytes: u64,
    /// What the records take that are in memory, and what is told of a session's partitions.
    charge: Charge,
}

/// The partitions of a request.
#[derive(Debug)]
pub(super) enum Held {
    /// Of this request alone; kept as a session afterwards if the client asked for one.
    Own { session: FetchSession, keep: bool },
    /// Of a session.
    Kept {
        id: i32,
        session: OwnedMutexGuard<FetchSession>,
    },
}

impl Held {
    fn begin(context: &Context, request: &FetchRequest) -> Result<Self, ErrorCode> {
        let sessions = context.core.fetch_sessions();
        let (id, epoch) = (request.session_id, request.session_epoch);
        let uses_ids = context.version >= 13;
        if matches!(epoch, EPOCH_FIRST | EPOCH_NONE) {
            sessions.remove(id);
            return Ok(Self::Own {
                session: FetchSession::new(uses_ids, &request.topics),
                keep: epoch == EPOCH_FIRST,
            });
        }
        let now = context.core.timer().monotonic();
        let mut session = sessions.get(id, now).map_err(|e| match e {
            NoSession::NotFound => ErrorCode::FetchSessionIdNotFound,
            NoSession::Busy => ErrorCode::InvalidFetchSessionEpoch,
        })?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_ids != uses_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.epoch = next_epoch(epoch);
        session.update(&request.topics, &request.forgotten_topics_data);
        let resized = sessions.resized(id, session.weight());
        resized.map_err(|_| ErrorCode::FetchSessionIdNotFound)?;
        if session.len() == 0 {
            sessions.remove(id);
            return Ok(Self::Own {
                session: FetchSession::new(uses_ids, &request.topics),
                keep: false,
            });
        }
        Ok(Self::Kept { id, session })
    }
}

impl Deref for Held {
    type Target = FetchSession;

    fn deref(&self) -> &FetchSession {
        match self {
            Self::Own { session, .. } => session,
            Self::Kept { session, .. } => session,
        }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut FetchSession {
        match self {
            Self::Own { session, .. } => session,
            Self::Kept { session, .. } => session,
        }
    }
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl Fetch {
    fn new(context: Context, session: Held, request: &FetchRequest, charge: Charge) -> Self {
        let size = |bytes: i32| u64::try_from(bytes).unwrap_or(0);
        let bytes_max = size(request.max_bytes).min(context.core.limits().fetch_bytes_max.into());
        let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
        let timer = context.core.timer();
        Self {
            bytes_min: size(request.min_bytes).min(bytes_max),
            bytes_max,
            committed_only: request.isolation_level == 1,
            deadline: (wait > 0).then(|| timer.after(Duration::from_millis(wait))),
            looks: BTreeMap::new(),
            bytes: 0,
            charge,
            session,
            context,
        }
    }

    /// Returns when there is enough to answer, or no more time.
    async fn run(&mut self, of_request: &mut Charge) {
        // What was marked since the session's last request is ready, too.
        self.session.take_marked();
        let ready = self.session.ready();
        self.look_at(ready).await;
        let Some(deadline) = self.deadline else {
            return;
        };
        while !self.is_enough() {
            // Nobody marked anything while this fetch had no interest yet: look once more.
            if self.session.watch_all() {
                let ready = self.session.ready();
                self.look_at(ready).await;
                continue;
            }
            let mut again = self.close_files();
            let came = self.more_came(deadline, of_request).await;
            if came {
                self.context.image = self.context.core.metadata().image();
                again.extend(self.session.take_marked());
                again.sort_unstable_by_key(|index| self.session.slot(*index).map(|s| s.turn));
                again.dedup();
            }
            self.look_at(again).await;
            if !came {
                return;
            }
        }
    }

    /// Holds no file from now on; the slots to look at again for that.
    fn close_files(&mut self) -> Vec<u32> {
        let mut closed = Vec::new();
        for (index, look) in self.looks.values_mut() {
            if let Look::Seen(seen) = look
                && seen.file.take().is_some()
            {
                self.bytes -= seen.records.take().map_or(0, |records| records.len());
                closed.push(*index);
            }
        }
        closed
    }

    /// Waits until something changed; `false` when it is time to answer: also where others wait for
    /// the memory that this fetch holds, and that is much.
    async fn more_came(&mut self, deadline: Deadline, of_request: &mut Charge) -> bool {
        let core = &self.context.core;
        let held = of_request.bytes() + self.charge.bytes();
        let gives_way = held > core.limits().parked_bytes_max();
        let needed = async {
            match gives_way {
                true => core.budget().pressed().await,
                false => std::future::pending().await,
            }
        };
        of_request.park();
        self.charge.park();
        let interest = self.session.interest();
        let came = tokio::select! {
            biased;
            () = interest.changed() => true,
            () = self.context.session.hurried() => false,
            () = needed => false,
            () = core.timer().until(deadline) => false,
        };
        of_request.resume();
        self.charge.resume();
        came
    }

    async fn look_at(&mut self, slots: Vec<u32>) {
        self.charge_for(&slots).await;
        look::open_together(&self.context, &self.session, &slots).await;
        for index in slots {
            let Some(turn) = self.session.slot(index).map(|slot| slot.turn) else {
                continue;
            };
            if let Some((_, before)) = self.looks.remove(&turn) {
                self.bytes -= before.bytes();
                let left = self.charge.bytes() - before.charged();
                drop(before);
                self.charge.shrink_to(left);
            }
            let share = Share {
                bytes_left: self.bytes_max.saturating_sub(self.bytes),
                is_first: self.bytes == 0,
                committed_only: self.committed_only,
            };
            let charge = &mut self.charge;
            let found = look(&self.context, &mut self.session, index, share, charge).await;
            if let Some(found) = found {
                self.bytes += found.bytes();
                self.looks.insert(turn, (index, found));
            }
        }
    }

    /// Charges what may be told of `slots`, where no request that listed them paid for it.
    async fn charge_for(&mut self, slots: &[u32]) {
        if matches!(self.session, Held::Own { .. }) {
            return;
        }
        let slots = slots.iter().filter_map(|index| self.session.slot(*index));
        let new = slots.filter(|slot| !self.looks.contains_key(&slot.turn));
        let more: usize = new.map(|slot| slot.key.weight()).sum();
        if more > 0 {
            self.charge.grow(cost::of_elements(more as u64)).await;
        }
    }

    fn is_enough(&self) -> bool {
        let mut looks = self.looks.values().map(|(_, look)| look);
        let missing = |look: &Look| matches!(look, Look::Missing(_));
        self.bytes >= self.bytes_min
            || looks.clone().any(Look::is_urgent)
            || self.looks.len() == self.session.len() && looks.all(missing)
    }
}
