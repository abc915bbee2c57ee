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

    /// The session `id` has `partitions` now.
    pub(super) fn resized(&self, id: i32, partitions: usize) {
        let mut state = self.state.lock();
        if let Some(kept) = state.sessions.get_mut(&id) {
            let before = std::mem::replace(&mut kept.partitions, partitions);
            state.partitions = state.partitions - before + partitions;
        }
    }

    /// Ends the session `id`, if there is such.
    pub(super) fn remove(&self, id: i32) {
        self.state.lock().remove(id);
    }

    /// Keeps `session` and gives it an id; 0 where there is no room for it.
    pub(super) fn keep(&self, session: FetchSession, now: Duration, entropy: &dyn Entropy) -> i32 {
        let partitions = session.len();
        if partitions > self.partitions_max || self.sessions_max == 0 {
            return 0;
        }
        let mut state = self.state.lock();
        while state.sessions.len() >= self.sessions_max
            || state.partitions + partitions > self.partitions_max
        {
            let Some(victim) = state.victim(now, partitions) else {
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

    /// Who makes room for a session of `partitions`: one that is idle, the longest first; else the
    /// smallest that is smaller.
    fn victim(&self, now: Duration, partitions: usize) -> Option<i32> {
        let oldest = self
            .sessions
            .iter()
            .min_by_key(|(id, kept)| (kept.used, **id));
        let (oldest_id, oldest) = oldest?;
        if now.saturating_sub(oldest.used) > IDLE {
            return Some(*oldest_id);
        }
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
    use ottla_protocol::Seq;
    use ottla_protocol::fetch::{FetchPartition, FetchTopic};

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
        sessions.resized(one, 2);
        assert_ne!(sessions.keep(session(8), SECOND, &entropy), 0);
        assert_eq!(sessions.keep(session(11), SECOND, &entropy), 0);
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
