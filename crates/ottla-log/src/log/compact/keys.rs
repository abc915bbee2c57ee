//! The newest offset of each key, in a bounded amount of memory.
//!
//! Keys are told apart by 128 bits of hash, as in Kafka, whose map does the same with MD5: two keys
//! that share them would be taken for one.

use std::hash::{DefaultHasher, Hasher};

use crate::Offset;

/// An entry: hash and offset. Kafka's has the same size.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: [u64; 2],
    /// -1 in a free slot.
    offset: i64,
}

const FREE: Slot = Slot {
    hash: [0; 2],
    offset: -1,
};

/// Open addressing over a fixed number of slots, filled to nine tenths.
#[derive(Debug)]
pub(super) struct KeyMap {
    slots: Vec<Slot>,
    used: usize,
    used_max: usize,
}

impl KeyMap {
    /// Room for `keys` keys, or for as many as fit into `bytes_max` bytes; always for one.
    pub(super) fn new(keys: usize, bytes_max: usize) -> Self {
        let fit = bytes_max / size_of::<Slot>();
        let wanted = keys.saturating_add(keys / 8).saturating_add(2);
        let slots = wanted.min(fit).max(2);
        Self {
            slots: vec![FREE; slots],
            used: 0,
            used_max: (slots - slots.div_ceil(10)).max(1),
        }
    }

    /// Notes that `key` occurs at `offset`, the largest so far; `false` where there is no room.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = hash(key);
        let Some(slot) = self.slot_of(hash) else {
            return false;
        };
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        if found.offset < 0 {
            if self.used == self.used_max {
                return false;
            }
            self.used += 1;
        }
        *found = Slot {
            hash,
            offset: offset.get(),
        };
        true
    }

    /// The largest offset noted for `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots.get(self.slot_of(hash(key))?)?;
        (slot.offset >= 0).then(|| Offset::new(slot.offset))
    }

    /// The slot that holds the hash, or the free one where it belongs.
    fn slot_of(&self, hash: [u64; 2]) -> Option<usize> {
        let len = self.slots.len();
        let first = usize::try_from(hash[0] % len as u64).ok()?;
        let around = (first..len).chain(0..first);
        around.into_iter().find(|at| {
            let slot = self.slots.get(*at);
            slot.is_some_and(|slot| slot.offset < 0 || slot.hash == hash)
        })
    }
}

fn hash(key: &[u8]) -> [u64; 2] {
    [1, 2].map(|half: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(half);
        hasher.write(key);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn keeps_the_newest_offset_of_each_key() {
        let mut map = KeyMap::new(1000, usize::MAX);
        let mut model = BTreeMap::new();
        for n in 0..5000_i64 {
            let key = (n * n % 1009).to_string();
            assert!(map.put(key.as_bytes(), Offset::new(n)));
            model.insert(key, n);
        }
        assert_eq!(map.used, model.len());
        for (key, offset) in model {
            assert_eq!(map.get(key.as_bytes()), Some(Offset::new(offset)));
        }
        assert_eq!(map.get(b"none"), None);
    }

    #[test]
    fn is_full_at_nine_tenths_and_takes_known_keys_then() {
        let mut map = KeyMap::new(usize::MAX, 100 * size_of::<Slot>());
        let key = |n: i64| n.to_be_bytes();
        for n in 0..90 {
            assert!(map.put(&key(n), Offset::new(n)), "{n}");
        }
        assert!(!map.put(&key(90), Offset::new(90)));
        assert_eq!(map.get(&key(90)), None);
        assert!(map.put(&key(3), Offset::new(91)));
        assert_eq!(map.get(&key(3)), Some(Offset::new(91)));
        assert_eq!(size_of::<Slot>(), 24);
    }
}
