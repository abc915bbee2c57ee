//! The small files beside the segments, in Kafka's formats: encoding, decoding, atomic writing.
//!
//! Encoding and decoding are pure; only [`write_atomically`] and [`read`] touch a disk. Where the
//! files lie and when they are written is the store's and the log's business.

mod files;
mod meta;

pub(crate) use files::read_open;
pub use files::{read, write_atomically};
pub(crate) use meta::{CleanShutdown, MetaProperties, PartitionMetadata};

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{LeaderEpoch, LogId, Offset, TopicName};

/// Why the content of such a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(crate) struct CheckpointError {
    /// Which line, counted from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl CheckpointError {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Self {
            line,
            why: why.into(),
        }
    }
}

/// `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`,
/// `replication-offset-checkpoint`, `cleaner-offset-checkpoint`: an offset for each log.
pub(crate) fn encode_offsets<'a>(
    offsets: impl ExactSizeIterator<Item = (&'a LogId, Offset)>,
) -> Vec<u8> {
    let mut text = head(offsets.len());
    for (id, offset) in offsets {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {} {offset}", id.topic(), id.partition());
    }
    text.into_bytes()
}

/// Reads what [`encode_offsets`] writes.
pub(crate) fn decode_offsets(bytes: &[u8]) -> Result<BTreeMap<LogId, Offset>, CheckpointError> {
    let mut offsets = BTreeMap::new();
    for (line, fields) in entries(bytes)? {
        let [topic, partition, offset] = fields_of(line, fields)?;
        let topic = TopicName::new(topic).map_err(|e| CheckpointError::new(line, e.to_string()))?;
        let id = LogId::new(topic, natural(line, partition)?);
        let offset = Offset::new(natural(line, offset)?);
        if offsets.insert(id, offset).is_some() {
            return Err(CheckpointError::new(line, "the partition occurs twice"));
        }
    }
    Ok(offsets)
}

/// `leader-epoch-checkpoint`: the first offset of each leader epoch, both rising.
pub(crate) fn encode_epochs(
    epochs: impl ExactSizeIterator<Item = (LeaderEpoch, Offset)>,
) -> Vec<u8> {
    let mut text = head(epochs.len());
    for (epoch, start) in epochs {
        let _ = writeln!(text, "{epoch} {start}");
    }
    text.into_bytes()
}

/// Reads what [`encode_epochs`] writes; whether the entries rise is for the cache to check.
pub(crate) fn decode_epochs(bytes: &[u8]) -> Result<Vec<(LeaderEpoch, Offset)>, CheckpointError> {
    let mut epochs = Vec::new();
    for (line, fields) in entries(bytes)? {
        let [epoch, start] = fields_of(line, fields)?;
        epochs.push((
            LeaderEpoch::new(natural(line, epoch)?),
            Offset::new(natural(line, start)?),
        ));
    }
    Ok(epochs)
}

/// Version and number of entries.
fn head(count: usize) -> String {
    format!("0\n{count}\n")
}

/// The lines after the head, numbered; there must be as many as it says.
fn entries(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, CheckpointError> {
    let text = text(bytes)?;
    let mut lines = (1_usize..).zip(text.lines());
    let version = lines.next().map(|(_, line)| line);
    if version != Some("0") {
        let why = format!("the version is {version:?}, only 0 is supported");
        return Err(CheckpointError::new(1, why));
    }
    let declared: usize = match lines.next() {
        Some((line, count)) => natural(line, count)?,
        None => return Err(CheckpointError::new(2, "the number of entries is missing")),
    };
    let found = lines.clone().count();
    if found != declared {
        let why = format!("{declared} entries are announced, {found} are there");
        return Err(CheckpointError::new(2, why));
    }
    Ok(lines)
}

fn text(bytes: &[u8]) -> Result<&str, CheckpointError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        CheckpointError::new(line, "it is not UTF-8")
    })
}

/// Exactly `N` fields, separated by blanks.
fn fields_of<const N: usize>(line: usize, text: &str) -> Result<[&str; N], CheckpointError> {
    let mut fields = text.split_ascii_whitespace();
    let mut found = [""; N];
    for place in &mut found {
        *place = fields
            .next()
            .ok_or_else(|| CheckpointError::new(line, format!("{N} fields are needed")))?;
    }
    match fields.next() {
        None => Ok(found),
        Some(_) => Err(CheckpointError::new(line, format!("more than {N} fields"))),
    }
}

/// A number that is not negative.
fn natural<T: TryFrom<i64>>(line: usize, text: &str) -> Result<T, CheckpointError> {
    let number = text.parse::<i64>().ok().filter(|n| *n >= 0);
    number
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| CheckpointError::new(line, format!("{text:?} is not a number that fits")))
}

#[cfg(test)]
mod tests;
