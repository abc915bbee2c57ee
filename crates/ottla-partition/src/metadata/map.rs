//! A sorted map that is cheap to clone and cheap to change one entry of.
//!
//! Entries lie in sorted chunks, and the list of chunks is shared: a clone is one reference count,
//! a change copies the list of chunks (one pointer per [`CHUNK_LEN_MAX`] entries or fewer) and one
//! chunk. A batch of changes to a map nobody else holds copies nothing. Lookups are two binary
//! searches.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The most entries of one chunk. The copy of a chunk and of a list of chunks balance at the
/// square root of the map's length: 64 suits some thousands of entries.
const CHUNK_LEN_MAX: usize = 64;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A persistent map in key order.
pub struct SortedMap<K, V> {
    /// No chunk is empty; keys rise within a chunk and from chunk to chunk.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> SortedMap<K, V> {
    /// A map with no entry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            chunks: Arc::new(Vec::new()),
            len: 0,
        }
    }

    /// How many entries the map has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the map has no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values in key order.
    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The value of `key`.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let at = search(chunk, key).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// Whether `key` has an entry.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get(key).is_some()
    }

    /// The entries from `key` on, in key order.
    pub fn range_from<Q>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let first = self.chunk_of(key).unwrap_or(0);
        let at = self.chunks.get(first).map_or(0, |chunk| {
            search(chunk, key).unwrap_or_else(|insert| insert)
        });
        self.chunks
            .iter()
            .skip(first)
            .flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
            .skip(at)
    }

    /// The index of the only chunk that may hold `key`: the last one that starts at or before it.
    fn chunk_of<Q>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.chunks
            .partition_point(|chunk| {
                chunk
                    .first()
                    .is_some_and(|(first, _)| first.borrow() <= key)
            })
            .checked_sub(1)
    }
}

impl<K: Ord, V: PartialEq> SortedMap<K, V> {
    /// What differs between this map and `newer`, in key order. Chunks that both share are passed
    /// over, so that this costs little where `newer` came from this map by few changes.
    pub fn changes<'a>(&'a self, newer: &'a Self) -> Vec<Change<'a, K, V>> {
        let mut changes = Vec::new();
        let (mut old, mut new) = (Walk::over(self), Walk::over(newer));
        loop {
            Walk::skip_shared(&mut old, &mut new);
            match (old.entry(), new.entry()) {
                (None, None) => return changes,
                (Some((key, value)), Some((new_key, _))) if key < new_key => {
                    changes.push(Change::Removed(key, value));
                    old.step();
                }
                (Some((key, value)), None) => {
                    changes.push(Change::Removed(key, value));
                    old.step();
                }
                (Some((key, before)), Some((new_key, after))) if key == new_key => {
                    if before != after {
                        changes.push(Change::Changed(key, before, after));
                    }
                    old.step();
                    new.step();
                }
                (_, Some((key, value))) => {
                    changes.push(Change::Added(key, value));
                    new.step();
                }
            }
        }
    }
}

/// One difference between a map and a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a, K, V> {
    /// The newer map has this entry, the older none of its key.
    Added(&'a K, &'a V),
    /// Both have an entry of this key, with these values.
    Changed(&'a K, &'a V, &'a V),
    /// The older map had this entry, the newer has none of its key.
    Removed(&'a K, &'a V),
}

/// A position in a map.
struct Walk<'a, K, V> {
    chunks: &'a [Chunk<K, V>],
    at: usize,
}

impl<'a, K, V> Walk<'a, K, V> {
    fn over(map: &'a SortedMap<K, V>) -> Self {
        Self {
            chunks: &map.chunks,
            at: 0,
        }
    }

    fn entry(&self) -> Option<(&'a K, &'a V)> {
        let (key, value) = self.chunks.first()?.get(self.at)?;
        Some((key, value))
    }

    fn step(&mut self) {
        self.at += 1;
        if self
            .chunks
            .first()
            .is_some_and(|chunk| self.at == chunk.len())
        {
            self.next_chunk();
        }
    }

    fn next_chunk(&mut self) {
        self.chunks = self.chunks.get(1..).unwrap_or_default();
        self.at = 0;
    }

    fn skip_shared(old: &mut Self, new: &mut Self) {
        while let ([a, ..], [b, ..]) = (old.chunks, new.chunks)
            && (old.at, new.at) == (0, 0)
            && Arc::ptr_eq(a, b)
        {
            old.next_chunk();
            new.next_chunk();
        }
    }
}

impl<K: Ord + Clone, V: Clone> SortedMap<K, V> {
    /// Sets `key` to `value`; returns the value it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.chunk_of(&key).unwrap_or(0);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(shared) = chunks.get_mut(index) else {
            chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        };
        let chunk = Arc::make_mut(shared);
        let at = match search(chunk, &key) {
            Ok(at) => {
                let entry = chunk.get_mut(at)?;
                return Some(std::mem::replace(&mut entry.1, value));
            }
            Err(at) => at,
        };
        chunk.insert(at, (key, value));
        self.len += 1;
        if chunk.len() > CHUNK_LEN_MAX {
            // Keys that arrive in order leave full chunks behind them.
            let keep = if at + 1 == chunk.len() {
                CHUNK_LEN_MAX
            } else {
                chunk.len() / 2
            };
            let rest = chunk.split_off(keep);
            chunks.insert(index + 1, Arc::new(rest));
        }
        None
    }

    /// Removes `key`; returns the value it had.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key)?;
        let at = search(self.chunks.get(index)?, key).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(index)?);
        let (_, value) = chunk.remove(at);
        let left = chunk.len();
        self.len -= 1;
        if left == 0 {
            chunks.remove(index);
        } else if !merge(chunks, index) && index > 0 {
            merge(chunks, index - 1);
        }
        Some(value)
    }

    /// The value of `key`, to be changed in place.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key)?;
        let at = search(self.chunks.get(index)?, key).ok()?;
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(index)?;
        Arc::make_mut(chunk).get_mut(at).map(|(_, value)| value)
    }
}

/// Makes one chunk of `index` and the next if they fit in half of one, so that chunks stay well
/// filled; says whether it did.
fn merge<K: Clone, V: Clone>(chunks: &mut Vec<Chunk<K, V>>, index: usize) -> bool {
    let (Some(chunk), Some(next)) = (chunks.get(index), chunks.get(index + 1)) else {
        return false;
    };
    if chunk.len() + next.len() > CHUNK_LEN_MAX / 2 {
        return false;
    }
    let next = chunks.remove(index + 1);
    if let Some(chunk) = chunks.get_mut(index) {
        Arc::make_mut(chunk).extend(next.iter().cloned());
    }
    true
}

/// Where `key` is in `chunk`, or where it would be.
fn search<K, V, Q>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize>
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    chunk.binary_search_by(|(probe, _)| probe.borrow().cmp(key))
}

impl<K, V> Clone for SortedMap<K, V> {
    fn clone(&self) -> Self {
        Self {
            chunks: Arc::clone(&self.chunks),
            len: self.len,
        }
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SortedMap<K, V> {
    /// Equal entries make equal maps, however they lie in chunks.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && (Arc::ptr_eq(&self.chunks, &other.chunks) || self.iter().eq(other.iter()))
    }
}

impl<K: Eq, V: Eq> Eq for SortedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, u8),
        Change(u16, u8),
        Remove(u16),
        /// Later operations must leave the clone alone.
        Keep,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            20 => (0u16..400, any::<u8>()).prop_map(|(k, v)| Op::Insert(k, v)),
            5 => (0u16..400, any::<u8>()).prop_map(|(k, v)| Op::Change(k, v)),
            10 => (0u16..400).prop_map(Op::Remove),
            1 => Just(Op::Keep),
        ]
    }

    fn assert_same(map: &SortedMap<u16, u8>, model: &BTreeMap<u16, u8>) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()), "{map:?} is not {model:?}");
        assert!(
            map.chunks
                .iter()
                .all(|c| !c.is_empty() && c.len() <= CHUNK_LEN_MAX)
        );
    }

    fn assert_changes(
        old: &SortedMap<u16, u8>,
        new: &SortedMap<u16, u8>,
        old_model: &BTreeMap<u16, u8>,
        new_model: &BTreeMap<u16, u8>,
    ) {
        let keys: BTreeSet<&u16> = old_model.keys().chain(new_model.keys()).collect();
        let expected: Vec<_> = keys
            .into_iter()
            .filter_map(|key| match (old_model.get(key), new_model.get(key)) {
                (Some(a), Some(b)) if a == b => None,
                (Some(a), Some(b)) => Some(Change::Changed(key, a, b)),
                (Some(a), None) => Some(Change::Removed(key, a)),
                (None, b) => Some(Change::Added(key, b?)),
            })
            .collect();
        assert_eq!(old.changes(new), expected);
    }

    proptest! {
        #[test]
        fn behaves_as_a_tree_map_and_never_changes_a_clone(
            ops in prop::collection::vec(op(), 0..600),
            from in 0u16..400,
        ) {
            let mut map = SortedMap::new();
            let mut model = BTreeMap::new();
            let mut kept = Vec::new();
            for op in ops {
                match op {
                    Op::Insert(k, v) => prop_assert_eq!(map.insert(k, v), model.insert(k, v)),
                    Op::Remove(k) => prop_assert_eq!(map.remove(&k), model.remove(&k)),
                    Op::Change(k, v) => {
                        prop_assert_eq!(map.get(&k), model.get(&k));
                        if let (Some(a), Some(b)) = (map.get_mut(&k), model.get_mut(&k)) {
                            *a = v;
                            *b = v;
                        }
                    }
                    Op::Keep => kept.push((map.clone(), model.clone())),
                }
            }
            assert_same(&map, &model);
            prop_assert!(map.range_from(&from).eq(model.range(from..)));
            for (kept, kept_model) in &kept {
                assert_same(kept, kept_model);
                assert_changes(kept, &map, kept_model, &model);
                assert_changes(&map, kept, &model, kept_model);
            }
        }
    }

    #[test]
    fn a_change_copies_one_chunk_of_many() {
        let before: SortedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let mut after = before.clone();
        after.insert(5_000, 1);
        let shared = before
            .chunks
            .iter()
            .zip(after.chunks.iter())
            .filter(|(a, b)| Arc::ptr_eq(a, b))
            .count();
        assert_eq!(shared + 1, before.chunks.len());
        assert_eq!(before.chunks.len(), 10_000usize.div_ceil(CHUNK_LEN_MAX));
    }

    #[test]
    fn removal_leaves_well_filled_chunks() {
        let mut map: SortedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        for n in (0..10_000).filter(|n| n % 100 != 0) {
            map.remove(&n);
        }
        assert_eq!(map.len(), 100);
        assert!(map.chunks.len() < 10, "{} chunks", map.chunks.len());
    }
}
