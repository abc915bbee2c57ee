//! Record batches: built for requests, right or wrong in any field, and described from answers.

use std::borrow::Cow;

use crc_fast::CrcAlgorithm;
use serde_json::{Value, json};

use super::codec::{bytes, hex};

/// Bytes before the records.
const HEADER: usize = 61;
/// Where the CRC's range begins: at the attributes.
const CRC_FROM: usize = 21;
/// The time of all records that are not given another.
pub const TIME: i64 = 1_700_000_000_000;

/// A record of a batch.
#[derive(Clone, Debug)]
pub struct Record {
    key: Option<&'static str>,
    value: Option<Cow<'static, str>>,
    headers: Vec<(&'static str, Option<&'static str>)>,
    timestamp_delta: i64,
    offset_delta: Option<i64>,
}

/// A record without headers.
pub fn record(
    key: impl Into<Option<&'static str>>,
    value: impl Into<Option<&'static str>>,
) -> Record {
    Record {
        key: key.into(),
        value: value.into().map(Cow::Borrowed),
        headers: Vec::new(),
        timestamp_delta: 0,
        offset_delta: None,
    }
}

impl Record {
    /// A record without a key.
    pub fn of(value: String) -> Self {
        Self {
            value: Some(Cow::Owned(value)),
            ..record(None, None)
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, key: &'static str, value: impl Into<Option<&'static str>>) -> Self {
        self.headers.push((key, value.into()));
        self
    }

    /// At so many milliseconds after the batch's base timestamp.
    #[must_use]
    pub fn after(mut self, milliseconds: i64) -> Self {
        self.timestamp_delta = milliseconds;
        self
    }

    /// With this offset delta instead of its place in the batch.
    #[must_use]
    pub fn at(mut self, offset_delta: i64) -> Self {
        self.offset_delta = Some(offset_delta);
        self
    }

    fn bytes(&self, place: usize) -> Vec<u8> {
        let mut body = vec![0];
        write_zigzag(&mut body, self.timestamp_delta);
        write_zigzag(&mut body, self.offset_delta.unwrap_or(place as i64));
        write_optional(&mut body, self.key);
        write_optional(&mut body, self.value.as_deref());
        write_zigzag(&mut body, self.headers.len() as i64);
        for (key, value) in &self.headers {
            write_optional(&mut body, Some(key));
            write_optional(&mut body, *value);
        }
        let mut record = Vec::new();
        write_zigzag(&mut record, body.len() as i64);
        [record, body].concat()
    }
}

/// A batch of magic 2. Every field can be set to what it should not be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of the format")]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub magic: u8,
    pub crc: Option<u32>,
    pub attributes: i16,
    pub last_offset_delta: Option<i32>,
    pub base_timestamp: i64,
    pub max_timestamp: Option<i64>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: Option<i32>,
    pub records: Vec<Record>,
    /// Instead of the encoded records: what a codec made of them, or nonsense.
    pub payload: Option<Vec<u8>>,
    /// Bytes more, or fewer, that the length field speaks of.
    pub length_error: i32,
}

impl Batch {
    /// A right batch of these records.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            magic: 2,
            crc: None,
            attributes: 0,
            last_offset_delta: None,
            base_timestamp: TIME,
            max_timestamp: None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: None,
            records: records.into_iter().collect(),
            payload: None,
            length_error: 0,
        }
    }

    /// A right batch of one small record.
    pub fn one() -> Self {
        Self::of([record("key", "value")])
    }

    /// With one or more fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// From an idempotent producer.
    #[must_use]
    pub fn from_producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, sequence);
        self
    }

    /// With its records in a zstd frame, which holds them as they are in one raw block.
    #[must_use]
    pub fn zstd(mut self) -> Self {
        let records = self.bytes().split_off(HEADER);
        let size = u8::try_from(records.len()).expect("a small batch");
        let block = (u32::from(size) << 3 | 1).to_le_bytes();
        let frame = [
            0x28, 0xb5, 0x2f, 0xfd, 0x20, size, block[0], block[1], block[2],
        ];
        self.payload = Some([&frame, &*records].concat());
        self.attributes |= 4;
        self
    }

    /// As the value of a request's byte field.
    pub fn value(&self) -> Value {
        bytes(&self.bytes())
    }

    /// The batch's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let records = self
            .records
            .iter()
            .enumerate()
            .flat_map(|(i, record)| record.bytes(i));
        let payload = self.payload.clone().unwrap_or_else(|| records.collect());
        let count = self.records.len() as i32;
        let latest = self
            .records
            .iter()
            .map(|record| record.timestamp_delta)
            .max()
            .unwrap_or(0);
        let max_timestamp = self.max_timestamp.unwrap_or(self.base_timestamp + latest);

        let mut after_crc = Vec::new();
        after_crc.extend(self.attributes.to_be_bytes());
        after_crc.extend(self.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
        after_crc.extend(self.base_timestamp.to_be_bytes());
        after_crc.extend(max_timestamp.to_be_bytes());
        after_crc.extend(self.producer_id.to_be_bytes());
        after_crc.extend(self.producer_epoch.to_be_bytes());
        after_crc.extend(self.base_sequence.to_be_bytes());
        after_crc.extend(self.count.unwrap_or(count).to_be_bytes());
        after_crc.extend(payload);

        let length = (CRC_FROM - 12 + after_crc.len()) as i32 + self.length_error;
        let mut batch = Vec::new();
        batch.extend(self.base_offset.to_be_bytes());
        batch.extend(length.to_be_bytes());
        batch.extend(self.leader_epoch.to_be_bytes());
        batch.push(self.magic);
        batch.extend(self.crc.unwrap_or_else(|| crc32c(&after_crc)).to_be_bytes());
        batch.extend(after_crc);
        batch
    }
}

fn crc32c(data: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, data) as u32
}

/// What a broker sent as records: a list of batches, the last of which may be cut off.
pub fn describe(mut records: &[u8]) -> Value {
    let mut batches = Vec::new();
    while !records.is_empty() {
        let length = records.get(8..12).and_then(|length| length.try_into().ok());
        let length = length.map_or(0, |length| 12 + i32::from_be_bytes(length).max(0) as usize);
        match records.split_at_checked(length) {
            Some((batch, rest)) if batch.len() >= HEADER => {
                batches.push(describe_batch(batch));
                records = rest;
            }
            _ => {
                batches.push(Value::from(format!(
                    "{} bytes of a cut-off batch",
                    records.len()
                )));
                break;
            }
        }
    }
    Value::Array(batches)
}

fn describe_batch(batch: &[u8]) -> Value {
    let int = |at: usize, size: usize| {
        let field = &batch[at..at + size];
        let first = if field[0] & 0x80 == 0 { 0 } else { -1 };
        field
            .iter()
            .fold(first, |number: i64, byte| number << 8 | i64::from(*byte))
    };
    let crc = u32::try_from(int(17, 4) & 0xffff_ffff).expect("masked to 32 bits");
    let attributes = int(21, 2);
    let payload = &batch[HEADER..];
    let compressed = attributes & 7 != 0;
    let records = if compressed {
        None
    } else {
        describe_records(payload)
    };
    json!({
        "baseOffset": int(0, 8),
        "leaderEpoch": int(12, 4),
        "magic": int(16, 1),
        "crcHolds": crc == crc32c(&batch[CRC_FROM..]),
        "attributes": attributes,
        "lastOffsetDelta": int(23, 4),
        "baseTimestamp": int(27, 8),
        "maxTimestamp": int(35, 8),
        "producerId": int(43, 8),
        "producerEpoch": int(51, 2),
        "baseSequence": int(53, 4),
        "count": int(57, 4),
        "records": records.unwrap_or_else(|| Value::from(hex(payload))),
    })
}

/// Each record as `OFFSET_DELTA TIMESTAMP_DELTA KEY=VALUE [HEADER=VALUE ...]`.
fn describe_records(mut rest: &[u8]) -> Option<Value> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = read_zigzag(&mut rest)?;
        let mut record = take(&mut rest, length)?;
        take(&mut record, 1)?;
        let timestamp = read_zigzag(&mut record)?;
        let offset = read_zigzag(&mut record)?;
        let key = read_text(&mut record)?;
        let value = read_text(&mut record)?;
        let mut text = format!("{offset} {timestamp} {key}={value}");
        for _ in 0..read_zigzag(&mut record)? {
            let (name, value) = (read_text(&mut record)?, read_text(&mut record)?);
            text += &format!(" {name}={value}");
        }
        records.push(text);
    }
    Some(Value::from(records))
}

fn take<'a>(rest: &mut &'a [u8], count: i64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(count).ok()?)?;
    *rest = left;
    Some(taken)
}

fn read_text(rest: &mut &[u8]) -> Option<String> {
    let length = read_zigzag(rest)?;
    if length < 0 {
        return Some("null".to_owned());
    }
    Some(format!(
        "{:?}",
        String::from_utf8_lossy(take(rest, length)?)
    ))
}

fn read_zigzag(rest: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

fn write_zigzag(out: &mut Vec<u8>, number: i64) {
    super::codec::write_varint(out, (number << 1 ^ number >> 63) as u64);
}

fn write_optional(out: &mut Vec<u8>, text: Option<&str>) {
    write_zigzag(out, text.map_or(-1, |text| text.len() as i64));
    out.extend(text.unwrap_or_default().as_bytes());
}
