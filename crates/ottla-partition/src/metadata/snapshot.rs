//! The file of a metadata snapshot: an image as it stood at one offset, in Kafka's format.
//!
//! `<20-digit end offset>-<10-digit epoch>.checkpoint` holds record batches with offsets of their
//! own from 0 on: a control batch with the header, batches of records, a control batch with the
//! footer. A file without its footer was not finished. Where files lie and when they are written
//! is not this module's business.

use bytes::{Bytes, BytesMut};
use ottla_log::{
    BatchError, BatchOptions, BuildError, LeaderEpoch, Limits, Offset, Record, Timestamp,
    ValidBatches, batch::Records, build_batch,
};
use ottla_protocol::persisted::control::{
    ControlRecord, SnapshotFooterRecord, SnapshotHeaderRecord,
};

use super::codec::CodecError;
use super::image::{Image, ReplayError};
use super::record::MetadataRecord;

#[cfg(test)]
mod tests;

/// The most records of one batch, as many as Kafka puts into one.
const BATCH_RECORDS_MAX: usize = 1024;
/// A batch that has reached this many bytes takes no further record.
const BATCH_BYTES_FULL: usize = 1 << 20;

/// Which snapshot: the state below an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// The offset behind the last record that the snapshot stands for.
    pub end: Offset,
    /// The quorum's epoch of that record.
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// The name of the snapshot's file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end.get(), self.epoch.get())
    }

    /// Reads a file's name; `None` where it is not that of a snapshot.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let id = Self {
            end: Offset::new(end.parse().ok()?),
            epoch: LeaderEpoch::new(epoch.parse().ok()?),
        };
        // Only the form that `file_name` writes.
        (id.end >= Offset::ZERO && id.epoch >= LeaderEpoch::new(0) && id.file_name() == name)
            .then_some(id)
    }
}

/// Why a snapshot's bytes are none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are not whole record batches.
    #[error("the metadata snapshot is damaged: {0}")]
    Batch(#[from] BatchError),
    /// A record cannot be read or written.
    #[error("the metadata snapshot has a record that cannot be used: {0}")]
    Record(#[from] CodecError),
    /// The records do not fit one another.
    #[error("the metadata snapshot's records contradict one another: {0}")]
    Replay(#[from] ReplayError),
    /// A control record cannot be read or written.
    #[error("the metadata snapshot has a control record that cannot be used")]
    Control,
    /// The header is not at the beginning, or the footer not at the end.
    #[error("the metadata snapshot is not complete: it lacks its {0}")]
    Incomplete(&'static str),
    /// A batch of records cannot be built.
    #[error("the metadata snapshot cannot be written: {0}")]
    Build(#[from] BuildError),
}

/// The name and the content of the snapshot file of `image`, written at `now`, `epoch` being the
/// epoch of the image's last record and `appended` the time at which that was appended.
///
/// # Errors
/// [`SnapshotError`] where a record is too long; none that was read or decided is.
pub fn write_snapshot(
    image: &Image,
    epoch: LeaderEpoch,
    appended: Timestamp,
    now: Timestamp,
) -> Result<(SnapshotId, Bytes), SnapshotError> {
    let id = SnapshotId {
        end: image.end(),
        epoch,
    };
    let bytes = write_file(image.snapshot(), epoch, appended, now)?;
    Ok((id, bytes))
}

/// The content of a `bootstrap.checkpoint`: what Apache Kafka begins a new metadata log with, so
/// that it takes over topics by their ids. Brokers are left out; they register themselves.
///
/// # Errors
/// [`SnapshotError`] where a record is too long; none that was read or decided is.
pub fn write_bootstrap(image: &Image, now: Timestamp) -> Result<Bytes, SnapshotError> {
    let is_broker = |record: &MetadataRecord| matches!(record, MetadataRecord::RegisterBroker(_));
    let records = image.snapshot().filter(|record| !is_broker(record));
    write_file(records, LeaderEpoch::new(0), Timestamp::new(0), now)
}

fn write_file(
    records: impl Iterator<Item = MetadataRecord>,
    epoch: LeaderEpoch,
    appended: Timestamp,
    now: Timestamp,
) -> Result<Bytes, SnapshotError> {
    let mut writer = Writer::new(epoch, now);
    writer.control(&ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
        version: 0,
        last_contained_log_timestamp: appended.get(),
    }))?;
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    for record in records {
        let value = record.encode()?;
        batch_bytes += value.len();
        batch.push(Record::new(value));
        if batch.len() == BATCH_RECORDS_MAX || batch_bytes >= BATCH_BYTES_FULL {
            writer.batch(&batch, false)?;
            batch.clear();
            batch_bytes = 0;
        }
    }
    if !batch.is_empty() {
        writer.batch(&batch, false)?;
    }
    writer.control(&ControlRecord::SnapshotFooter(SnapshotFooterRecord {
        version: 0,
    }))?;
    Ok(writer.bytes.freeze())
}

/// Reads the content of the snapshot file `id` of the cluster `cluster_id`.
///
/// # Errors
/// [`SnapshotError`] where it is damaged, not complete, or from a newer version.
pub fn read_snapshot(
    bytes: Bytes,
    id: SnapshotId,
    cluster_id: &str,
    limits: &Limits,
) -> Result<Image, SnapshotError> {
    let batches = ValidBatches::parse(bytes, limits)?;
    let mut image = Image::new(cluster_id);
    let mut part = Part::Header;
    for (header, bytes) in batches.batches() {
        let records = Records::open(header, &bytes, limits)?;
        if header.attributes.is_control() {
            for record in &records {
                let record = record?;
                let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
                let control = ControlRecord::decode(record.key.unwrap_or_default(), &value)
                    .map_err(|_| SnapshotError::Control)?;
                part = part.after(control.as_ref())?;
            }
            continue;
        }
        if part != Part::Records {
            return Err(part.missing());
        }
        let mut decoded = Vec::new();
        for record in records {
            decoded.push(MetadataRecord::decode(&record?.value.unwrap_or_default())?);
        }
        image = image.replay(image.end(), &decoded)?;
    }
    match part {
        Part::Done => Ok(image.at_end(id.end)),
        unfinished => Err(unfinished.missing()),
    }
}

/// What a reader waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Records,
    Done,
}

impl Part {
    /// What comes after a control record. Those about the quorum's voters are passed over: they
    /// are the consensus engine's business.
    const fn after(self, control: Option<&ControlRecord>) -> Result<Self, SnapshotError> {
        match (self, control) {
            (Self::Header, Some(ControlRecord::SnapshotHeader(_))) => Ok(Self::Records),
            (Self::Records, Some(ControlRecord::SnapshotFooter(_))) => Ok(Self::Done),
            (Self::Records, Some(ControlRecord::SnapshotHeader(_)) | None)
            | (Self::Header | Self::Done, _) => Err(self.missing()),
            (Self::Records, Some(_)) => Ok(self),
        }
    }

    const fn missing(self) -> SnapshotError {
        SnapshotError::Incomplete(match self {
            Self::Header => "header at its beginning",
            Self::Records | Self::Done => "footer at its end",
        })
    }
}

/// Batches one after the other, with offsets from 0 on.
struct Writer {
    options: BatchOptions,
    bytes: BytesMut,
}

impl Writer {
    fn new(epoch: LeaderEpoch, now: Timestamp) -> Self {
        Self {
            options: BatchOptions {
                leader_epoch: epoch,
                now,
                ..BatchOptions::default()
            },
            bytes: BytesMut::new(),
        }
    }

    fn control(&mut self, record: &ControlRecord) -> Result<(), SnapshotError> {
        let value = record.value().map_err(|_| SnapshotError::Control)?;
        self.batch(&[Record::new(value).with_key(record.key())], true)
    }

    fn batch(&mut self, records: &[Record], control: bool) -> Result<(), SnapshotError> {
        let options = BatchOptions {
            control,
            ..self.options
        };
        self.bytes
            .extend_from_slice(&build_batch(records, &options)?);
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.options.base_offset = self.options.base_offset.plus(count);
        Ok(())
    }
}
