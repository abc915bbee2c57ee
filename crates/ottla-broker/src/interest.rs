//! Who waits for a partition to change: the seam between partitions and fetches.
//!
//! A fetch holds one [`Interest`] and enters it with each of its partitions under a number of its
//! own choosing, a slot. A partition that changed marks the slot, once until the fetch looked, and
//! wakes the fetch. So a fetch of thousands of partitions looks only at those that changed, and
//! nothing polls.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a fetch waits with.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    marks: Mutex<Marks>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Marks {
    slots: Vec<u32>,
    /// Whether a slot is in `slots`.
    marked: Vec<bool>,
}

impl Interest {
    /// Notes that the partition in `slot` changed, and wakes who waits.
    pub(crate) fn mark(&self, slot: u32) {
        let index = slot as usize;
        let mut marks = self.marks.lock();
        if marks.marked.len() <= index {
            marks.marked.resize(index + 1, false);
        }
        if let Some(marked) = marks.marked.get_mut(index)
            && !std::mem::replace(marked, true)
        {
            marks.slots.push(slot);
            drop(marks);
            self.notify.notify_one();
        }
    }

    /// The slots that changed since the last call. A change from here on marks its slot again, so
    /// take the marks first and look at the partitions then.
    pub(crate) fn take(&self) -> Vec<u32> {
        let mut marks = self.marks.lock();
        let slots = std::mem::take(&mut marks.slots);
        for slot in &slots {
            if let Some(marked) = marks.marked.get_mut(*slot as usize) {
                *marked = false;
            }
        }
        slots
    }

    /// Returns when a slot may have been marked since the last [`Interest::take`].
    pub(crate) async fn changed(&self) {
        let notified = self.notify.notified();
        if self.marks.lock().slots.is_empty() {
            notified.await;
        }
    }
}

/// Those who wait for one partition.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    watchers: Vec<Watcher>,
    next_id: u64,
}

#[derive(Debug)]
struct Watcher {
    id: u64,
    interest: Weak<Interest>,
    slot: u32,
}

impl Watchers {
    /// Enters `interest`, to be marked at `slot`; the answer is for [`Watchers::leave`].
    pub(crate) fn enter(&self, interest: &Arc<Interest>, slot: u32) -> u64 {
        let mut list = self.list.lock();
        let id = list.next_id;
        list.next_id += 1;
        list.watchers.push(Watcher {
            id,
            interest: Arc::downgrade(interest),
            slot,
        });
        id
    }

    /// Takes out who got `id` when it entered.
    pub(crate) fn leave(&self, id: u64) {
        let mut list = self.list.lock();
        if let Some(index) = list.watchers.iter().position(|w| w.id == id) {
            list.watchers.swap_remove(index);
        }
    }

    /// Tells everyone that the partition changed.
    pub(crate) fn changed(&self) {
        let list = self.list.lock();
        for watcher in &list.watchers {
            if let Some(interest) = watcher.interest.upgrade() {
                interest.mark(watcher.slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_slot_is_marked_once_until_it_was_looked_at() {
        let interest = Arc::new(Interest::default());
        let watchers = Watchers::default();
        let id = watchers.enter(&interest, 3);
        watchers.changed();
        watchers.changed();
        assert_eq!(interest.take(), [3]);
        assert_eq!(interest.take(), []);
        watchers.changed();
        assert_eq!(interest.take(), [3]);
        watchers.leave(id);
        watchers.changed();
        assert_eq!(interest.take(), []);
    }

    #[test]
    fn a_change_before_the_wait_is_not_missed() {
        let interest = Interest::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(pin!(interest.changed()).poll(&mut cx), Poll::Pending);
        interest.mark(0);
        assert_eq!(pin!(interest.changed()).poll(&mut cx), Poll::Ready(()));
        interest.take();
        // The wake-up is spent or stale; the marks decide.
        let mut wait = pin!(interest.changed());
        while wait.as_mut().poll(&mut cx).is_ready() {
            wait.set(interest.changed());
        }
        interest.mark(1);
        assert_eq!(wait.poll(&mut cx), Poll::Ready(()));
    }
}
