//! `DIR/ottla/stopped`: how a clean stop left each log, so that the next start opens it without
//! reading its files.
//!
//! Written and synced before the clean mark is left, and believed only where that mark is the one
//! that this program leaves: Apache Kafka may have run in between, and leaves its own. Losing the
//! file costs nothing but time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cursor::{Cursor, Malformed};
use crate::log::Left;
use crate::{LogId, Offset, TopicId, TopicName};

/// The file's name.
pub(super) const STOPPED: &str = "stopped";

const VERSION: u16 = 1;

/// How each log was left.
pub(super) type Stopped = BTreeMap<LogId, Arc<Left>>;

/// The file's content.
pub(super) fn encode(logs: &Stopped) -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    put_len(&mut body, logs.len());
    for (id, left) in logs {
        put(&mut body, id.topic().as_str().as_bytes());
        body.extend(id.partition().to_be_bytes());
        body.extend(left.topic_id.to_bytes());
        body.extend(left.end.get().to_be_bytes());
        put_len(&mut body, left.segments.len());
        for (base, size) in &left.segments {
            body.extend(base.get().to_be_bytes());
            body.extend(size.to_be_bytes());
        }
        put(&mut body, &left.epochs);
        put(&mut body, &left.producers);
    }
    let mut bytes = crc32fast::hash(&body).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// Reads the file's content.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<Stopped, &'static str> {
    let (crc, body) = bytes.split_first_chunk().ok_or("it ends early")?;
    if u32::from_be_bytes(*crc) != crc32fast::hash(body) {
        return Err("it does not match its checksum");
    }
    let mut cursor = Cursor::new(body);
    logs(&mut cursor).map_err(|Malformed(why)| why)
}

fn logs(cursor: &mut Cursor<'_>) -> Result<Stopped, Malformed> {
    if cursor.i16()? != i16::from_be_bytes(VERSION.to_be_bytes()) {
        return Err(Malformed("its version is not 1"));
    }
    let mut logs = Stopped::new();
    for _ in 0..cursor.u32()? {
        let (id, left) = log(cursor)?;
        logs.insert(id, Arc::new(left));
    }
    match cursor.remaining() {
        0 => Ok(logs),
        _ => Err(Malformed("something follows the last log")),
    }
}

fn log(cursor: &mut Cursor<'_>) -> Result<(LogId, Left), Malformed> {
    let name = std::str::from_utf8(bytes(cursor)?).ok();
    let name = name.and_then(|name| TopicName::new(name).ok());
    let name = name.ok_or(Malformed("a topic has a name that it cannot have"))?;
    let partition = cursor.i32()?;
    if partition < 0 {
        return Err(Malformed("a partition has a negative number"));
    }
    let topic_id = cursor.take(16)?.try_into();
    let topic_id = topic_id.map_err(|_| Malformed("it ends early"))?;
    let end = Offset::new(cursor.i64()?);
    let mut segments = Vec::new();
    for _ in 0..cursor.u32()? {
        let base = Offset::new(cursor.i64()?);
        let size = u64::try_from(cursor.i64()?).map_err(|_| Malformed("a size is negative"))?;
        segments.push((base, size));
    }
    let rises = segments.is_sorted_by(|(a, _), (b, _)| a < b);
    let (first, last) = (segments.first(), segments.last());
    let fits = first.is_some_and(|(base, _)| *base >= Offset::ZERO)
        && last.is_some_and(|(base, _)| *base <= end);
    if !rises || !fits {
        return Err(Malformed("the segments of a log are not in order"));
    }
    let left = Left {
        topic_id: TopicId::from_bytes(topic_id),
        end,
        segments,
        epochs: bytes(cursor)?.to_vec(),
        producers: bytes(cursor)?.to_vec(),
    };
    Ok((LogId::new(name, partition), left))
}

/// Bytes after their length.
fn bytes<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(cursor.u32()?).map_err(|_| Malformed("a length is too large"))?;
    cursor.take(len)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("what is counted here fits into memory many times");
    out.extend(len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped() -> Stopped {
        let id = |number| LogId::new(TopicName::new("orders").unwrap(), number);
        let left = |number: u8| Left {
            topic_id: TopicId::from_bytes([number; 16]),
            end: Offset::new(90),
            segments: vec![(Offset::new(3), 4096), (Offset::new(70), 100)],
            epochs: vec![number; 5],
            producers: Vec::new(),
        };
        (0..3_u8)
            .map(|number| (id(number.into()), Arc::new(left(number))))
            .collect()
    }

    #[test]
    fn reads_back() {
        assert_eq!(decode(&encode(&stopped())), Ok(stopped()));
        assert_eq!(decode(&encode(&Stopped::new())), Ok(Stopped::new()));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_passes() {
        let good = encode(&stopped());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(decode(&good[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn bytes_with_a_right_checksum_are_refused_where_they_make_no_sense() {
        let sealed = |body: &[u8]| {
            let mut bytes = crc32fast::hash(body).to_be_bytes().to_vec();
            bytes.extend(body);
            bytes
        };
        let good = encode(&stopped());
        let body = &good[4..];
        // Nothing of what follows is allocated by a length that is not there.
        for at in 0..body.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = body.to_vec();
                bad[at] = value;
                if let Ok(logs) = decode(&sealed(&bad)) {
                    assert!(logs.len() <= 3);
                }
            }
        }
        assert!(decode(&sealed(&[])).is_err());
        assert!(decode(&sealed(&[0, 2, 0, 0, 0, 0])).is_err(), "version 2");
        assert!(decode(&sealed(&[0, 1, 0, 0, 0, 0, 0])).is_err(), "a tail");
        assert!(decode(&sealed(&[0, 1, 0xff, 0xff, 0xff, 0xff])).is_err());
    }
}
