//! The memory that all groups of a broker take together, and who takes how much of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ottla_coordinator::group::Room;

/// What all shards hold, and what they may.
#[derive(Debug)]
pub(super) struct Memory {
    most: usize,
    held: AtomicUsize,
    /// Whether it was said that there is no more.
    is_full: AtomicBool,
}

impl Memory {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            held: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
        })
    }

    /// What is left. The groups that there are may go on when there is no place for others: an
    /// eighth is theirs.
    fn room(&self) -> Room {
        let held = self.held.load(Ordering::Relaxed);
        let reserved = self.most / 8;
        Room {
            for_new: self.most.saturating_sub(held),
            for_known: self.most.saturating_add(reserved).saturating_sub(held),
        }
    }

    /// A shard holds `after` bytes where it held `before`.
    fn changed(&self, before: usize, after: usize) {
        let all = if after >= before {
            let more = after - before;
            self.held.fetch_add(more, Ordering::Relaxed) + more
        } else {
            let less = before - after;
            self.held.fetch_sub(less, Ordering::Relaxed) - less
        };
        // Told once, and again when there was room meanwhile.
        let nearly = self.most - self.most / 16;
        if all >= nearly {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                let most = self.most;
                tracing::warn!(
                    most,
                    "the groups here take nearly as much memory as they may \
                     (Limits::groups_bytes_max); new ones, and new offsets, will be refused"
                );
            }
        } else if all < self.most / 2 {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }
}

/// One shard's part of it.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Share {
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: 0,
        }
    }

    /// How much more the shard may hold.
    pub(super) fn room(&self) -> Room {
        self.memory.room()
    }

    /// The shard holds so much.
    pub(super) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.memory.changed(self.bytes, bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_what_there_is() {
        let memory = Memory::new(800);
        let (mut one, mut other) = (Share::new(&memory), Share::new(&memory));
        let room = |for_new, for_known| Room { for_new, for_known };
        assert_eq!(one.room(), room(800, 900));
        one.set(500);
        other.set(250);
        assert_eq!((one.room(), other.room()), (room(50, 150), room(50, 150)));
        one.set(600);
        assert_eq!(other.room(), room(0, 50));
        other.set(500);
        assert_eq!(other.room(), room(0, 0));
        one.set(100);
        assert_eq!(other.room(), room(200, 300));
        drop(other);
        assert_eq!(one.room(), room(700, 800));
    }
}
