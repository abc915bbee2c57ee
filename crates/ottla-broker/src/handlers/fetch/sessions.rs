//! The fetch sessions of a broker: how many there may be, and which go when there are too many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::Entropy;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::session::FetchSession;
use crate::limits::Limits;

/// A session that was idle for so long makes room for any other.
const IDLE: Duration = Duration::from_secs(120);

/// The sessions of all clients.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    sessions_max: usize,
    partitions_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<i32, Kept>,
    /// Of all sessions together.
    partitions: usize,
}

#[derive(Debug)]
struct Kept {
    session: Arc<tokio::sync::Mutex<FetchSession>>,
    used: Duration,
    partitions: usize,
}

/// Why a request of a session is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSession {
    /// No such session, or it had to make room.
    NotFound,
    /// Another request of the session is under way.
    Busy,
}

impl FetchSessions {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            sessions_max: limits.fetch_sessions_max,
            partitions_max: limits.fetch_session_partitions_max,
            state: Mutex::default(),
        }
    }

    /// The session `id`, for one request.
    pub(super) fn get(
        &self,
        id: i32,
        now: Duration,
    ) -> Result<OwnedMutexGuard<FetchSession>, NoSession> {
        let mut state = self.state.lock();
        let kept = state.sessions.get_mut(&id).ok_or(NoSession::NotFound)?;
        kept.used = now;
        let session = Arc::clone(&kept.session).try_lock_owned();
        session.map_err(|_| NoSession::Busy)
    }

    /// The session `id` has room for `partitions` from now on. One that grows beyond what all may
    /// have together ends instead: its client begins anew, with a session if there is room.
    pub(super) fn resized(&self, id: i32, partitions: usize) -> Result<(), NoSession> {
        let mut state = self.state.lock();
        let kept = state.sessions.get_mut(&id).ok_or(NoSession::NotFound)?;
        let before = std::mem::replace(&mut kept.partitions, partitions);
        state.partitions = state.partitions - before + partitions;
        if partitions > before && state.partitions > self.partitions_max {
            state.remove(id);
            return Err(NoSession::NotFound);
        }
        Ok(())
    }

    /// Ends the session `id`, if there is such.
    pub(super) fn remove(&self, id: i32) {
        self.state.lock().remove(id);
    }

    /// Keeps `session` and gives it an id; 0 where there is no room for it.
    pub(super) fn keep(&self, session: FetchSession, now: Duration, entropy: &dyn Entropy) -> i32 {
        let partitions = session.weight();
        if partitions > self.partitions_max || self.sessions_max == 0 {
            return 0;
        }
        let mut state = self.state.lock();
        loop {
            let victim = if state.partitions + partitions > self.partitions_max {
                // One large session shall not drive out all the small ones.
                state.idle(now)
            } else if state.sessions.len() >= self.sessions_max {
                state.idle(now).or_else(|| state.smaller(partitions))
            } else {
                break;
            };
            let Some(victim) = victim else {
                return 0;
            };
            state.remove(victim);
        }
        let id = loop {
            let id = draw(entropy);
            if !state.sessions.contains_key(&id) {
                break id;
            }
        };
        state.partitions += partitions;
        let kept = Kept {
            session: Arc::new(tokio::sync::Mutex::new(session)),
            used: now,
            partitions,
        };
        state.sessions.insert(id, kept);
        id
    }
}

impl State {
    fn remove(&mut self, id: i32) {
        if let Some(kept) = self.sessions.remove(&id) {
            self.partitions -= kept.partitions;
        }
    }

    /// The session that is idle for longest, which makes room for any other.
    fn idle(&self, now: Duration) -> Option<i32> {
        let by_age = |(id, kept): &(&i32, &Kept)| (kept.used, **id);
        let (id, oldest) = self.sessions.iter().min_by_key(by_age)?;
        (now.saturating_sub(oldest.used) > IDLE).then_some(*id)
    }

    /// The smallest session, which makes room for one of more `partitions`.
    fn smaller(&self, partitions: usize) -> Option<i32> {
        let by_size = |(id, kept): &(&i32, &Kept)| (kept.partitions, **id);
        let (smallest_id, smallest) = self.sessions.iter().min_by_key(by_size)?;
        (smallest.partitions < partitions).then_some(*smallest_id)
    }
}

/// An id from 1 to the largest.
fn draw(entropy: &dyn Entropy) -> i32 {
    loop {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        let id = i32::from_be_bytes(bytes) & i32::MAX;
        if id > 0 {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_log::SeededEntropy;
    use ottla_protocol::fetch::{FetchPartition, FetchTopic};
    use ottla_protocol::{Seq, StrBytes};

    use super::*;

    fn sessions(sessions_max: usize, partitions_max: usize) -> FetchSessions {
        FetchSessions::new(&Limits {
            fetch_sessions_max: sessions_max,
            fetch_session_partitions_max: partitions_max,
            ..Limits::default()
        })
    }

    fn session(partitions: i32) -> FetchSession {
        let topic = FetchTopic {
            partitions: (0..partitions)
                .map(|partition| FetchPartition {
                    partition,
                    ..FetchPartition::default()
                })
                .collect(),
            ..FetchTopic::default()
        };
        FetchSession::new(false, &Seq::from([topic]))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_house_takes_only_larger_sessions() {
        let sessions = sessions(2, 100);
        let entropy = SeededEntropy::new(1);
        let one = sessions.keep(session(1), SECOND, &entropy);
        let two = sessions.keep(session(2), SECOND, &entropy);
        assert_eq!(sessions.keep(session(1), SECOND, &entropy), 0);
        let three = sessions.keep(session(3), SECOND, &entropy);
        assert_ne!(three, 0);
        assert_eq!(sessions.get(one, SECOND).unwrap_err(), NoSession::NotFound);
        assert!(sessions.get(two, SECOND).is_ok());
    }

    #[test]
    fn idle_sessions_make_room_for_any() {
        let sessions = sessions(2, 100);
        let entropy = SeededEntropy::new(1);
        let one = sessions.keep(session(5), SECOND, &entropy);
        let two = sessions.keep(session(5), SECOND, &entropy);
        drop(sessions.get(one, 100 * SECOND));
        assert_ne!(sessions.keep(session(1), 122 * SECOND, &entropy), 0);
        assert!(sessions.get(one, 122 * SECOND).is_ok());
        assert_eq!(
            sessions.get(two, 122 * SECOND).unwrap_err(),
            NoSession::NotFound
        );
    }

    #[test]
    fn the_partitions_of_all_sessions_are_bounded() {
        let sessions = sessions(10, 10);
        let entropy = SeededEntropy::new(1);
        let one = sessions.keep(session(6), SECOND, &entropy);
        assert_eq!(sessions.keep(session(5), SECOND, &entropy), 0);
        // Nor does a larger one drive it out.
        assert_eq!(sessions.keep(session(8), SECOND, &entropy), 0);
        sessions.resized(one, 2).unwrap();
        assert_ne!(sessions.keep(session(8), SECOND, &entropy), 0);
        assert_eq!(sessions.keep(session(11), SECOND, &entropy), 0);
    }

    #[test]
    fn a_session_that_outgrows_its_room_ends() {
        let sessions = sessions(10, 10);
        let entropy = SeededEntropy::new(1);
        let one = sessions.keep(session(6), SECOND, &entropy);
        let two = sessions.keep(session(2), SECOND, &entropy);
        assert_eq!(sessions.resized(one, 8), Ok(()));
        assert_eq!(sessions.resized(one, 9), Err(NoSession::NotFound));
        assert_eq!(sessions.get(one, SECOND).unwrap_err(), NoSession::NotFound);
        assert_eq!(sessions.resized(one, 1), Err(NoSession::NotFound));
        assert!(sessions.get(two, SECOND).is_ok());
        assert_ne!(sessions.keep(session(8), SECOND, &entropy), 0);
    }

    #[test]
    fn long_names_take_the_room_of_many_partitions() {
        let named = |length: usize| {
            let topic = FetchTopic {
                topic: StrBytes::from_string("x".repeat(length)),
                partitions: Seq::from([FetchPartition::default()]),
                ..FetchTopic::default()
            };
            FetchSession::new(false, &Seq::from([topic]))
        };
        assert_eq!(named(249).weight(), 1);
        assert_eq!(named(32_767).weight(), 128);
        let sessions = sessions(10, 100);
        let entropy = SeededEntropy::new(1);
        assert_eq!(sessions.keep(named(32_767), SECOND, &entropy), 0);
    }

    #[test]
    fn a_session_serves_one_request_at_a_time() {
        let sessions = sessions(10, 10);
        let id = sessions.keep(session(1), SECOND, &SeededEntropy::new(1));
        let held = sessions.get(id, SECOND).unwrap();
        assert_eq!(sessions.get(id, SECOND).unwrap_err(), NoSession::Busy);
        drop(held);
        assert!(sessions.get(id, SECOND).is_ok());
        sessions.remove(id);
        assert_eq!(sessions.get(id, SECOND).unwrap_err(), NoSession::NotFound);
    }
}
