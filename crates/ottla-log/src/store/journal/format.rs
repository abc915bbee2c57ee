//! The bytes of one journal round. `docs/FORMAT.md` is the normative text; this module is its
//! code, and does no IO.
//!
//! ```text
//! round   = head, entries, data, zeros up to the next multiple of BLOCK
//! head    = magic[8] crc:u32 version:u16 flags:u16 sequence:u64 previous:u64 low:u64
//!           entry_count:u32 entries_len:u32 data_len:u64 entries_crc:u32        (60 bytes)
//! entry   = kind:u8 flags:u8 name_len:u8 name partition:i32 topic_id[16], then by kind
//!   1 data      segment_base:i64 position:u64 len:u32 crc:u32 end:i64     (its bytes are in data)
//!   2 ended     end:i64                                       (a round synced the files instead)
//!   3 settled   below:u64 end:i64      (rounds before `below` hold nothing of the log any more)
//!   4 started   log_start:i64
//!   5 deleted
//! ```
//!
//! All numbers are big-endian, all checksums CRC-32 (IEEE). The head's checksum begins with a key
//! that only the data directory knows, so that a record whose bytes look like a round is not taken
//! for one. The head covers the entry list's checksum, the list covers those of the data.

use bytes::BufMut;

use crate::{LogId, Offset, TopicId, TopicName};

/// Rounds begin at multiples of this many bytes, so that no write touches a block that holds an
/// older round.
pub(crate) const BLOCK: u64 = 4096;

/// The length of a round's head.
pub(crate) const HEAD_LEN: usize = 60;

/// The version of the round's layout.
const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"OTTLARND";

/// Set in an entry's flags where the log's directory is new: the log's "has data" note.
const CREATED: u8 = 1;

/// What separates this directory's rounds from bytes that only look like rounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// The key with these bytes.
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::fmt::Debug for Key {
    /// Keeps the key out of every text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The head of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The round's number. Each attempt has a higher one than any before.
    pub(crate) sequence: u64,
    /// The number of the round before it that was made durable; 0 for none. A round that no later
    /// one names as its previous was given up, and its data made durable in another way.
    pub(crate) previous: u64,
    /// The lowest sequence that a recovery still needs.
    pub(crate) low: u64,
    /// How many entries.
    pub(crate) entry_count: u32,
    /// Bytes of the entry list.
    pub(crate) entries_len: u32,
    /// Bytes of data after the entry list.
    pub(crate) data_len: u64,
    /// The entry list's checksum.
    pub(crate) entries_crc: u32,
}

impl Head {
    /// Where the data begins, counted from the round's first byte.
    pub(crate) fn data_start(&self) -> u64 {
        HEAD_LEN as u64 + u64::from(self.entries_len)
    }

    /// The round's length with its padding; `None` where no file could hold it.
    pub(crate) fn round_len(&self) -> Option<u64> {
        padded(self.data_start().checked_add(self.data_len)?)
    }
}

/// Where a round stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As [`Head::sequence`].
    pub(crate) sequence: u64,
    /// As [`Head::previous`].
    pub(crate) previous: u64,
    /// As [`Head::low`].
    pub(crate) low: u64,
}

/// One thing that a round says about one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which log.
    pub(crate) id: LogId,
    /// Of which topic: a log of the same name and another id is another log.
    pub(crate) topic_id: TopicId,
    /// What.
    pub(crate) what: What,
}

/// What an [`Entry`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// These bytes belong into the log's files.
    Data(Range),
    /// Everything below `end` is durable in the log's own files.
    Ended {
        /// The durable end.
        end: Offset,
        /// The log's directory is new.
        created: bool,
    },
    /// Nothing that a round before `below` says of the log counts, and its durable end is `end`.
    Settled {
        /// The first round whose entries count.
        below: u64,
        /// The durable end.
        end: Offset,
    },
    /// The log starts at `log_start`.
    Started {
        /// The first offset.
        log_start: Offset,
    },
    /// The log was deleted; nothing said of it before counts.
    Deleted,
}

/// Bytes of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Names the segment.
    pub(crate) segment_base: Offset,
    /// Where in the segment's file.
    pub(crate) position: u64,
    /// How many bytes.
    pub(crate) len: u32,
    /// Their checksum.
    pub(crate) crc: u32,
    /// The log end offset after them.
    pub(crate) end: Offset,
    /// The log's directory is new.
    pub(crate) created: bool,
}

/// Rounds `len` up to whole blocks.
pub(crate) fn padded(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(BLOCK)
}

/// The head and the entry list of a round whose data, in the entries' order, follow them.
///
/// # Panics
/// If the entry list is 4 GiB or longer: a round is split long before.
pub(crate) fn encode(key: Key, place: Place, entries: &[Entry]) -> Vec<u8> {
    let mut out = vec![0; HEAD_LEN];
    let mut data_len = 0;
    for entry in entries {
        encode_entry(entry, &mut out);
        if let What::Data(range) = entry.what {
            data_len += u64::from(range.len);
        }
    }
    let list = out.split_off(HEAD_LEN);
    let head = Head {
        sequence: place.sequence,
        previous: place.previous,
        low: place.low,
        entry_count: u32::try_from(entries.len()).expect("a round has fewer entries than bytes"),
        entries_len: u32::try_from(list.len()).expect("a round's entry list is below 4 GiB"),
        data_len,
        entries_crc: crc32fast::hash(&list),
    };
    let mut out = encode_head(key, &head);
    out.extend_from_slice(&list);
    out
}

pub(super) fn encode_head(key: Key, head: &Head) -> Vec<u8> {
    let mut covered = Vec::with_capacity(HEAD_LEN);
    covered.put_u16(VERSION);
    covered.put_u16(0);
    covered.put_u64(head.sequence);
    covered.put_u64(head.previous);
    covered.put_u64(head.low);
    covered.put_u32(head.entry_count);
    covered.put_u32(head.entries_len);
    covered.put_u64(head.data_len);
    covered.put_u32(head.entries_crc);
    let mut out = Vec::with_capacity(HEAD_LEN + head.entries_len as usize);
    out.extend_from_slice(&MAGIC);
    out.put_u32(head_crc(key, &covered));
    out.extend_from_slice(&covered);
    out
}

fn head_crc(key: Key, covered: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&key.0);
    crc.update(covered);
    crc.finalize()
}

fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    let (kind, created) = match entry.what {
        What::Data(range) => (1, range.created),
        What::Ended { created, .. } => (2, created),
        What::Settled { .. } => (3, false),
        What::Started { .. } => (4, false),
        What::Deleted => (5, false),
    };
    let name = entry.id.topic().as_str();
    out.put_u8(kind);
    out.put_u8(if created { CREATED } else { 0 });
    out.put_u8(u8::try_from(name.len()).expect("a topic name has at most 249 characters"));
    out.extend_from_slice(name.as_bytes());
    out.put_i32(entry.id.partition());
    out.extend_from_slice(&entry.topic_id.to_bytes());
    match entry.what {
        What::Data(range) => {
            out.put_i64(range.segment_base.get());
            out.put_u64(range.position);
            out.put_u32(range.len);
            out.put_u32(range.crc);
            out.put_i64(range.end.get());
        }
        What::Ended { end, .. } => out.put_i64(end.get()),
        What::Settled { below, end } => {
            out.put_u64(below);
            out.put_i64(end.get());
        }
        What::Started { log_start } => out.put_i64(log_start.get()),
        What::Deleted => {}
    }
}

/// Whether `block` begins as a round does, were its head not to be believed.
pub(super) fn begins_a_round(block: &[u8]) -> bool {
    block.starts_with(&MAGIC)
}

/// Reads a head from the first bytes of a block; `None` where the block does not begin a round of
/// this directory.
pub(crate) fn decode_head(key: Key, block: &[u8]) -> Option<Head> {
    let mut rest = Cursor(block.get(..HEAD_LEN)?);
    if rest.take::<8>()? != MAGIC {
        return None;
    }
    let crc = rest.u32()?;
    if crc != head_crc(key, rest.0) {
        return None;
    }
    if u16::from_be_bytes(rest.take()?) != VERSION || rest.take::<2>()? != [0, 0] {
        return None;
    }
    let head = Head {
        sequence: rest.u64()?,
        previous: rest.u64()?,
        low: rest.u64()?,
        entry_count: rest.u32()?,
        entries_len: rest.u32()?,
        data_len: rest.u64()?,
        entries_crc: rest.u32()?,
    };
    (head.low <= head.sequence && head.previous < head.sequence).then_some(head)
}

/// Reads the entry list that `head` announces.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode_entries(head: &Head, list: &[u8]) -> Result<Vec<Entry>, &'static str> {
    if list.len() != head.entries_len as usize {
        return Err("the entry list is cut off");
    }
    if crc32fast::hash(list) != head.entries_crc {
        return Err("the entry list does not match its checksum");
    }
    let mut rest = Cursor(list);
    let mut entries = Vec::new();
    let mut data_len = 0_u64;
    for _ in 0..head.entry_count {
        let entry = decode_entry(&mut rest).ok_or("an entry is malformed")?;
        if let What::Data(range) = entry.what {
            data_len += u64::from(range.len);
        }
        entries.push(entry);
    }
    if !rest.0.is_empty() {
        return Err("bytes follow the last entry");
    }
    if data_len != head.data_len {
        return Err("the entries do not add up to the round's data");
    }
    Ok(entries)
}

fn decode_entry(rest: &mut Cursor<'_>) -> Option<Entry> {
    let [kind, flags, name_len] = rest.take()?;
    let name = std::str::from_utf8(rest.slice(usize::from(name_len))?).ok()?;
    // The name becomes part of a path: the rule is checked again, whatever the checksum says.
    let topic = TopicName::new(name).ok()?;
    let partition = i32::from_be_bytes(rest.take()?);
    let topic_id = TopicId::from_bytes(rest.take()?);
    let created = match flags {
        0 => false,
        CREATED if kind <= 2 => true,
        _ => return None,
    };
    let what = match kind {
        1 => {
            let range = Range {
                segment_base: rest.offset()?,
                position: rest.u64()?,
                len: rest.u32()?,
                crc: rest.u32()?,
                end: rest.offset()?,
                created,
            };
            range.position.checked_add(u64::from(range.len))?;
            What::Data(range)
        }
        2 => What::Ended {
            end: rest.offset()?,
            created,
        },
        3 => What::Settled {
            below: rest.u64()?,
            end: rest.offset()?,
        },
        4 => What::Started {
            log_start: rest.offset()?,
        },
        5 => What::Deleted,
        _ => return None,
    };
    (partition >= 0).then(|| Entry {
        id: LogId::new(topic, partition),
        topic_id,
        what,
    })
}

/// Hands out what remains of some bytes, never more.
struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn slice(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn offset(&mut self) -> Option<Offset> {
        let offset = self.take().map(i64::from_be_bytes)?;
        (offset >= 0).then_some(Offset::new(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::new([7; 16]);
    const PLACE: Place = Place {
        sequence: 45,
        previous: 43,
        low: 40,
    };

    fn entry(what: What) -> Entry {
        Entry {
            id: LogId::new(TopicName::new("orders").unwrap(), 3),
            topic_id: TopicId::from_bytes([9; 16]),
            what,
        }
    }

    fn all_kinds() -> Vec<Entry> {
        let range = Range {
            segment_base: Offset::new(100),
            position: 4096,
            len: 11,
            crc: 5,
            end: Offset::new(120),
            created: true,
        };
        vec![
            entry(What::Data(range)),
            entry(What::Ended {
                end: Offset::new(7),
                created: false,
            }),
            entry(What::Settled {
                below: 44,
                end: Offset::new(8),
            }),
            entry(What::Started {
                log_start: Offset::new(6),
            }),
            entry(What::Deleted),
        ]
    }

    fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
        let head = decode_head(KEY, bytes)?;
        let end = usize::try_from(head.data_start()).unwrap();
        decode_entries(&head, bytes.get(HEAD_LEN..end)?).ok()
    }

    #[test]
    fn a_round_reads_back() {
        let bytes = encode(KEY, PLACE, &all_kinds());
        let head = decode_head(KEY, &bytes).unwrap();
        assert_eq!((head.sequence, head.previous, head.low), (45, 43, 40));
        assert_eq!(head.data_start(), bytes.len() as u64);
        assert_eq!(head.round_len(), Some(BLOCK));
        assert_eq!(read(&bytes), Some(all_kinds()));
    }

    /// The layout that docs/FORMAT.md fixes: a change here is a new version there.
    #[test]
    fn the_layout_is_fixed() {
        let place = Place {
            sequence: 3,
            previous: 2,
            low: 1,
        };
        let bytes = encode(KEY, place, &[entry(What::Deleted)]);
        let mut expected = b"OTTLARND".to_vec();
        expected.extend_from_slice(&bytes[8..12]);
        expected.extend_from_slice(&[0, 1, 0, 0]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&bytes[56..60]);
        expected.extend_from_slice(&[5, 0, 6]);
        expected.extend_from_slice(b"orders");
        expected.extend_from_slice(&[0, 0, 0, 3]);
        expected.extend_from_slice(&[9; 16]);
        assert_eq!(bytes, expected);
        assert_eq!(bytes[8..12], 0x7af4_ff22_u32.to_be_bytes());
    }

    #[test]
    fn another_key_is_another_journal() {
        let bytes = encode(KEY, PLACE, &all_kinds());
        assert_eq!(decode_head(Key::new([8; 16]), &bytes), None);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_passes() {
        let bytes = encode(KEY, PLACE, &all_kinds());
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(read(&bad), None, "bit {at}");
        }
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "cut at {len}");
        }
    }

    /// Checksums are no protection against a program that made them: every value is checked.
    #[test]
    fn malformed_entries_are_refused() {
        let good = |change: fn(&mut Vec<u8>)| {
            let mut list = Vec::new();
            encode_entry(&all_kinds()[0], &mut list);
            change(&mut list);
            let head = Head {
                sequence: 1,
                previous: 0,
                low: 1,
                entry_count: 1,
                entries_len: u32::try_from(list.len()).unwrap(),
                data_len: 11,
                entries_crc: crc32fast::hash(&list),
            };
            decode_entries(&head, &list).is_ok()
        };
        assert!(good(|_| {}));
        assert!(!good(|list| list[0] = 9), "an unknown kind");
        assert!(!good(|list| list[1] = 2), "an unknown flag");
        assert!(!good(|list| list[2] = 200), "a name beyond the end");
        assert!(!good(|list| list[4] = b'/'), "a name that is a path");
        assert!(!good(|list| list[9] = 0x80), "a negative partition");
        assert!(!good(|list| list[29] = 0x80), "a negative base offset");
        assert!(
            !good(|list| list[37..45].fill(0xff)),
            "a position that wraps"
        );
        assert!(!good(|list| list.push(0)), "bytes left over");
        assert!(!good(|list| list[48] = 12), "more data than the head says");
    }
}
