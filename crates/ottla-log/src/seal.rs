//! Seals: checksums of a segment's bytes, a MiB at a time, and of its index files, in a file of
//! their own (`docs/FORMAT.md`). Kafka's checksums leave out a batch's base offset and leader
//! epoch, and its index files have none.
//!
//! Only the bytes of a seal, and the sums that go into one. When one is made, trusted or removed is
//! the log's business.

use crate::crc::crc32_ieee;
use crate::{Offset, TopicId};

/// How much of a segment one checksum covers.
pub(crate) const CHUNK: u64 = 1 << 20;

/// The longest segment that is sealed: Kafka's positions are 32-bit numbers with a sign.
const SIZE_MAX: u64 = i32::MAX as u64;

const MAGIC: &[u8; 8] = b"OTTLASEA";
const VERSION: u16 = 2;
/// Where the checksums of the chunks begin.
const HEAD: usize = 80;

/// The largest file of a seal.
pub(crate) const SEAL_BYTES_MAX: usize = HEAD + 4 * SIZE_MAX.div_ceil(CHUNK) as usize;

/// Length and checksum of a small file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSum {
    len: u32,
    crc: u32,
}

impl FileSum {
    /// The sum of a file's bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            // Index files are smaller than their segment.
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            crc: crc32_ieee(bytes),
        }
    }
}

/// What is known of the first bytes of a segment's file, and of its index files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Whose segment it is: a topic of the same name may have come after.
    pub(crate) topic_id: TopicId,
    pub(crate) base: Offset,
    /// How many bytes of the `.log` file are sealed.
    pub(crate) size: u64,
    /// The offset after the last batch in them.
    pub(crate) next: Offset,
    /// The index files of a segment of exactly that size.
    pub(crate) index: FileSum,
    pub(crate) time_index: FileSum,
    /// The transaction index likewise; of no bytes where there is none.
    pub(crate) txn_index: FileSum,
    /// The checksum of each chunk; the last one may be of less.
    pub(crate) chunks: Vec<u32>,
}

impl Seal {
    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + 4 * self.chunks.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.topic_id.to_bytes());
        out.extend_from_slice(&self.base.get().to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.next.get().to_be_bytes());
        for sum in [self.index, self.time_index, self.txn_index] {
            out.extend_from_slice(&sum.len.to_be_bytes());
            out.extend_from_slice(&sum.crc.to_be_bytes());
        }
        out.extend(self.chunks.iter().flat_map(|crc| crc.to_be_bytes()));
        let crc = crc32_ieee(out.get(12..).unwrap_or_default());
        if let Some(place) = out.get_mut(8..12) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
        out
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (head, chunks) = bytes.split_first_chunk::<HEAD>().ok_or("it is cut short")?;
        let mut fields = Fields(head);
        if fields.take() != *MAGIC {
            return Err("it is no seal");
        }
        let crc = u32::from_be_bytes(fields.take());
        if crc != crc32_ieee(bytes.get(12..).unwrap_or_default()) {
            return Err("it does not match its checksum");
        }
        if u16::from_be_bytes(fields.take()) != VERSION || fields.take() != [0; 2] {
            return Err("its version is not 2");
        }
        let mut seal = Self {
            topic_id: TopicId::from_bytes(fields.take()),
            base: Offset::new(i64::from_be_bytes(fields.take())),
            size: u64::from_be_bytes(fields.take()),
            next: Offset::new(i64::from_be_bytes(fields.take())),
            index: fields.sum(),
            time_index: fields.sum(),
            txn_index: fields.sum(),
            chunks: Vec::new(),
        };
        if seal.size > SIZE_MAX || seal.size.div_ceil(CHUNK) * 4 != chunks.len() as u64 {
            return Err("it has another number of checksums than its size asks for");
        }
        let crcs = chunks.chunks_exact(4).filter_map(|crc| crc.first_chunk());
        seal.chunks = crcs.map(|crc| u32::from_be_bytes(*crc)).collect();
        Ok(seal)
    }

    /// The bytes of chunk `index`.
    pub(crate) fn chunk(&self, index: usize) -> std::ops::Range<u64> {
        let from = index as u64 * CHUNK;
        from..(from + CHUNK).min(self.size)
    }

    /// The chunks that have a byte of `range`.
    pub(crate) fn chunks_of(&self, range: &std::ops::Range<u64>) -> std::ops::Range<usize> {
        let to = range.end.min(self.size);
        if range.start >= to {
            return 0..0;
        }
        // Below the number of checksums, which are in memory.
        (range.start / CHUNK) as usize..to.div_ceil(CHUNK) as usize
    }

    /// Whether `bytes` are those of chunk `index`.
    pub(crate) fn holds(&self, index: usize, bytes: &[u8]) -> bool {
        self.chunks.get(index) == Some(&crc32_ieee(bytes))
    }
}

/// Takes fields off a head whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the fields are a head");
        self.0 = rest;
        *field
    }

    fn sum(&mut self) -> FileSum {
        FileSum {
            len: u32::from_be_bytes(self.take()),
            crc: u32::from_be_bytes(self.take()),
        }
    }
}

/// The checksums of a file that is read from its start, in pieces of any size.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkSums {
    hasher: crc32fast::Hasher,
    size: u64,
    done: Vec<u32>,
}

impl ChunkSums {
    /// Takes in the next bytes.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(CHUNK - self.size % CHUNK).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(part);
            self.size += part.len() as u64;
            if self.size.is_multiple_of(CHUNK) {
                self.done.push(std::mem::take(&mut self.hasher).finalize());
            }
            bytes = rest;
        }
    }

    /// How many bytes it has.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The checksum of each chunk.
    pub(crate) fn finish(mut self) -> Vec<u32> {
        if !self.size.is_multiple_of(CHUNK) {
            self.done.push(self.hasher.finalize());
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal() -> Seal {
        Seal {
            topic_id: TopicId::from_bytes(*b"0123456789abcdef"),
            base: Offset::new(42),
            size: CHUNK + 7,
            next: Offset::new(99),
            index: FileSum::of(b"123456789"),
            time_index: FileSum::of(b""),
            txn_index: FileSum::of(b"a"),
            chunks: vec![0x0102_0304, 0xa0b0_c0d0],
        }
    }

    /// The bytes that `docs/FORMAT.md` describes.
    #[test]
    fn has_the_bytes_of_the_format() {
        let mut golden = Vec::new();
        golden.extend_from_slice(b"OTTLASEA");
        golden.extend_from_slice(&[0x84, 0xe9, 0x29, 0x5a]);
        golden.extend_from_slice(&[0, 2, 0, 0]);
        golden.extend_from_slice(b"0123456789abcdef");
        golden.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 42]);
        golden.extend_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 7]);
        golden.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 99]);
        golden.extend_from_slice(&[0, 0, 0, 9, 0xcb, 0xf4, 0x39, 0x26]);
        golden.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(&[0, 0, 0, 1, 0xe8, 0xb7, 0xbe, 0x43]);
        golden.extend_from_slice(&[1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0]);
        assert_eq!(seal().encode(), golden);
        assert_eq!(Seal::decode(&golden), Ok(seal()));
    }

    #[test]
    fn no_flipped_bit_and_no_part_of_it_passes() {
        let bytes = seal().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Seal::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Seal::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn names_the_chunks_of_a_range() {
        let seal = seal();
        assert_eq!(seal.chunks_of(&(0..1)), 0..1);
        assert_eq!(seal.chunks_of(&(CHUNK - 1..CHUNK + 1)), 0..2);
        assert_eq!(seal.chunks_of(&(CHUNK..CHUNK + 1000)), 1..2);
        assert_eq!(seal.chunks_of(&(CHUNK + 7..CHUNK + 1000)), 0..0);
        assert_eq!(seal.chunk(1), CHUNK..CHUNK + 7);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Seal::decode(&bytes);
        }

        /// In whatever pieces the bytes come.
        #[test]
        fn sums_are_those_of_the_chunks(cuts in prop::collection::vec(0_usize..3 << 20, 0..6)) {
            let bytes: Vec<u8> = (0..(2_u32 << 20) + 77).map(|n| (n % 251) as u8).collect();
            let mut cuts = cuts;
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut sums, mut at) = (ChunkSums::default(), 0);
            for cut in cuts {
                let cut = cut.min(bytes.len());
                sums.add(&bytes[at..cut]);
                at = cut;
            }
            prop_assert_eq!(sums.size(), bytes.len() as u64);
            let expected: Vec<u32> = bytes.chunks(CHUNK as usize).map(crc32_ieee).collect();
            prop_assert_eq!(sums.finish(), expected);
        }
    }
}
