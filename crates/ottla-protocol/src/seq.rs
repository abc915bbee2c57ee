//! A list that grows in pieces, so that no single allocation is large.
//!
//! A decoded element can be many times as large as its bytes on the wire: an empty string is one
//! byte there and a pointer, a length and an owner here. As a `Vec`, an honest list of 10,000
//! short names would be one allocation of many times the request's size, which is what a hostile
//! request looks like too. In pieces, the memory of a list is bounded by the guard's sum alone.

use std::fmt;
use std::iter::FusedIterator;

/// The most bytes that one piece takes (unless a single element is larger).
const PIECE_BYTES_MAX: usize = 32 * 1024;

/// A list of a request's elements, in the order of the wire.
///
/// Built by decoding, or with [`FromIterator`] and [`Seq::push`]; read by iterating.
#[derive(Clone)]
pub struct Seq<T> {
    /// The only piece of most lists, held without a list of pieces around it.
    first: Vec<T>,
    /// Further pieces, none empty; each full but the last.
    rest: Vec<Vec<T>>,
}

impl<T> Seq<T> {
    /// The elements that one piece holds.
    const PIECE_LEN: usize = match PIECE_BYTES_MAX.checked_div(size_of::<T>()) {
        None | Some(0) => 1,
        Some(len) => len,
    };

    /// An empty list; takes no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// A list of `len` elements that `make` makes one by one; it takes the memory of these and
    /// no more.
    ///
    /// # Errors
    /// The first one of `make`.
    pub(crate) fn try_fill<E>(
        len: usize,
        mut make: impl FnMut() -> Result<T, E>,
    ) -> Result<Self, E> {
        let mut piece_of = |len: usize| -> Result<Vec<T>, E> {
            let mut piece = Vec::with_capacity(len);
            for _ in 0..len {
                piece.push(make()?);
            }
            Ok(piece)
        };
        let first_len = len.min(Self::PIECE_LEN);
        let first = piece_of(first_len)?;
        let mut left = len - first_len;
        let mut rest = Vec::with_capacity(left.div_ceil(Self::PIECE_LEN));
        while left > 0 {
            let piece_len = left.min(Self::PIECE_LEN);
            rest.push(piece_of(piece_len)?);
            left -= piece_len;
        }
        Ok(Self { first, rest })
    }

    /// Appends an element.
    pub fn push(&mut self, element: T) {
        if self.first.len() < Self::PIECE_LEN {
            self.first.push(element);
            return;
        }
        match self.rest.last_mut() {
            Some(piece) if piece.len() < Self::PIECE_LEN => piece.push(element),
            _ => {
                let mut piece = Vec::with_capacity(Self::PIECE_LEN);
                piece.push(element);
                self.rest.push(piece);
            }
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let full = self.rest.len().saturating_sub(1) * Self::PIECE_LEN;
        self.first.len() + full + self.rest.last().map_or(0, Vec::len)
    }

    /// Whether there is no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        match index.checked_sub(Self::PIECE_LEN) {
            None => self.first.get(index),
            Some(index) => self
                .rest
                .get(index / Self::PIECE_LEN)?
                .get(index % Self::PIECE_LEN),
        }
    }

    /// The first element.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.first.first()
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            piece: self.first.iter(),
            rest: self.rest.iter(),
        }
    }
}

impl<T> Default for Seq<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Seq<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: PartialEq> PartialEq for Seq<T> {
    fn eq(&self, other: &Self) -> bool {
        // Pieces are filled in one way only, so that equal lists have equal pieces.
        self.first == other.first && self.rest == other.rest
    }
}

impl<T> FromIterator<T> for Seq<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut seq = Self::new();
        seq.extend(elements);
        seq
    }
}

impl<T> Extend<T> for Seq<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T, const N: usize> From<[T; N]> for Seq<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

/// The elements of a [`Seq`], borrowed.
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    piece: std::slice::Iter<'a, T>,
    rest: std::slice::Iter<'a, Vec<T>>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        if let Some(element) = self.piece.next() {
            return Some(element);
        }
        self.piece = self.rest.next()?.iter();
        self.piece.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.piece.len() + self.rest.clone().map(Vec::len).sum::<usize>();
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}

impl<'a, T> IntoIterator for &'a Seq<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The elements of a [`Seq`], by value.
#[derive(Clone, Debug)]
pub struct IntoIter<T> {
    piece: std::vec::IntoIter<T>,
    rest: std::vec::IntoIter<Vec<T>>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some(element) = self.piece.next() {
            return Some(element);
        }
        self.piece = self.rest.next()?.into_iter();
        self.piece.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest: usize = self.rest.as_slice().iter().map(Vec::len).sum();
        let left = self.piece.len() + rest;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for IntoIter<T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> IntoIterator for Seq<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter {
            piece: self.first.into_iter(),
            rest: self.rest.into_iter(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_behaves_like_a_vec() {
        let piece = Seq::<u64>::PIECE_LEN;
        for len in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 7] {
            let expected: Vec<u64> = (0..len as u64).collect();
            let seq: Seq<u64> = expected.iter().copied().collect();
            assert_eq!(seq.len(), len);
            assert_eq!(seq.is_empty(), len == 0);
            assert_eq!(seq.iter().len(), len);
            assert_eq!(seq.first(), expected.first());
            assert!(seq.iter().eq(&expected));
            for index in [0, 1, len / 2, len.saturating_sub(1), len, len + piece] {
                assert_eq!(seq.get(index), expected.get(index), "{index} of {len}");
            }
            assert_eq!(seq, seq.clone());
            assert_eq!(seq.clone().into_iter().len(), len);
            assert_eq!(seq.into_iter().collect::<Vec<u64>>(), expected);
        }
    }

    #[test]
    fn pieces_stay_small() {
        let pushed: Seq<[u64; 5]> = (0..20_000).map(|i| [i; 5]).collect();
        let mut next = 0..20_000;
        let filled = Seq::try_fill(20_000, || next.next().map(|i| [i; 5]).ok_or(()));
        let filled = filled.unwrap();
        assert_eq!(pushed, filled);
        assert_eq!(filled.len(), 20_000);
        let largest = |seq: &Seq<[u64; 5]>| {
            let pieces = seq.rest.iter().chain([&seq.first]);
            pieces.map(Vec::capacity).max().unwrap() * 40
        };
        assert!(largest(&filled) <= PIECE_BYTES_MAX);
        // A first piece that grows does so by doubling.
        assert!(largest(&pushed) <= 2 * PIECE_BYTES_MAX);
        assert_eq!(Seq::try_fill(20_000, || Err::<u8, _>(7)), Err(7));
    }

    #[test]
    fn elements_larger_than_a_piece_stand_alone() {
        let seq: Seq<[u8; PIECE_BYTES_MAX + 1]> = std::iter::repeat_n([7; _], 3).collect();
        assert_eq!(seq.len(), 3);
        assert_eq!(seq.get(2), Some(&[7; _]));
    }
}
