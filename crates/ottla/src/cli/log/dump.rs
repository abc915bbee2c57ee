//! `ottla log dump`: what the files of a log hold.

use std::path::Path;

use ottla_log::inspect::{
    self, Damage, EpochStart, FoundBatch, InspectedFile, OffsetIndexEntry, Piece, ProducerEntry,
    TimeIndexEntry, other_files, read_epochs, read_offset_index, read_other, read_producers,
    read_segment, read_time_index, read_topic_id, read_txn_index,
};
use ottla_log::vfs::Vfs;
use ottla_log::{
    AbortedTransaction, BatchError, BatchHeader, Limits, Offset, OwnedRecord, StorageError,
    TimestampType,
};
use serde_json::{Value, json};

use super::super::record_json::{bytes_to_json, fields};
use super::{LogError, Printer, logs_at};

/// Prints the file at `path`, or all files of the logs there.
pub(super) fn run(
    vfs: &dyn Vfs,
    path: &Path,
    records: bool,
    out: &mut Printer<'_>,
) -> Result<(), LogError> {
    let mut dump = Dump { vfs, records, out };
    let stat = vfs.stat(path);
    let stat = stat.map_err(|e| StorageError::io("look at", path, e))?;
    if stat.is_some_and(|stat| !stat.is_dir) {
        if let Some(file) = InspectedFile::of(path) {
            return dump.file(path, file);
        }
        return match dump.other(path)? {
            true => Ok(()),
            false => Err(LogError::NoLogFile {
                path: path.display().to_string(),
            }),
        };
    }
    for path in other_files(vfs, path) {
        dump.other(&path)?;
    }
    for dir in logs_at(vfs, path)? {
        let entries = vfs.list(&dir);
        let entries = entries.map_err(|e| StorageError::io("list", &dir, e))?;
        let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        for path in names.into_iter().map(|name| dir.join(name)) {
            if let Some(file) = InspectedFile::of(&path) {
                dump.file(&path, file)?;
            }
        }
    }
    Ok(())
}

struct Dump<'a, 'b> {
    vfs: &'a dyn Vfs,
    records: bool,
    out: &'a mut Printer<'b>,
}

impl Dump<'_, '_> {
    fn file(&mut self, path: &Path, file: InspectedFile) -> Result<(), LogError> {
        let name = path.display();
        self.out
            .line(|| name.to_string(), || json!({"file": name.to_string()}))?;
        match file {
            InspectedFile::Segment(base) => self.segment(path, base),
            InspectedFile::OffsetIndex(base) => {
                self.list(&read_offset_index(self.vfs, path, base)?)
            }
            InspectedFile::TimeIndex(base) => self.list(&read_time_index(self.vfs, path, base)?),
            InspectedFile::TxnIndex(_) => self.list(&read_txn_index(self.vfs, path)?),
            InspectedFile::Producers(offset) => self.list(&read_producers(self.vfs, path, offset)?),
            InspectedFile::Epochs => self.list(&read_epochs(self.vfs, path)?),
            InspectedFile::Metadata => {
                let id = read_topic_id(self.vfs, path)?.map(|id| id.to_string());
                let text = id.as_deref().unwrap_or("none").to_owned();
                let line = || format!("  topic id {text}");
                Ok(self.out.line(line, || json!({"topicId": id}))?)
            }
            _ => Ok(()),
        }
    }

    /// A file that is of no log; `false` where it is none that is known.
    fn other(&mut self, path: &Path) -> Result<bool, LogError> {
        let entries = match read_other(self.vfs, path) {
            Ok(Some(entries)) => entries,
            Ok(None) => return Ok(false),
            // The others may be whole.
            Err(error) => vec![vec![(
                "unreadable",
                inspect::Value::Text(error.to_string()),
            )]],
        };
        let name = path.display();
        self.out
            .line(|| name.to_string(), || json!({"file": name.to_string()}))?;
        self.list(&entries)?;
        Ok(true)
    }

    fn list<T: Entry>(&mut self, entries: &[T]) -> Result<(), LogError> {
        for entry in entries {
            self.out
                .line(|| format!("  {}", entry.text()), || entry.json())?;
        }
        Ok(())
    }

    fn segment(&mut self, path: &Path, base: Offset) -> Result<(), LogError> {
        let limits = Limits::default();
        let mut failed = None;
        read_segment(self.vfs, path, base, &limits, &mut |piece| {
            if failed.is_some() {
                return;
            }
            let printed = match piece {
                Piece::Batch(batch) => self.batch(&batch, &limits),
                Piece::Damage(damage) => self.damage(&damage),
                _ => Ok(()),
            };
            failed = printed.err();
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn batch(&mut self, batch: &FoundBatch, limits: &Limits) -> Result<(), LogError> {
        self.out
            .line(|| format!("  {}", text(batch)), || batch_json(batch))?;
        if !self.records {
            return Ok(());
        }
        match batch.records(limits) {
            Ok(records) => {
                for record in records {
                    self.record(record)?;
                }
                Ok(())
            }
            Err(error) => self.record(Err(error)),
        }
    }

    fn record(&mut self, record: Result<OwnedRecord, BatchError>) -> Result<(), LogError> {
        match record {
            Ok(record) => {
                self.out.line(|| record_text(&record), || fields(&record))?;
            }
            Err(error) => {
                let why = error.to_string();
                let line = format!("    unreadable: {why}");
                self.out.line(|| line, || json!({"unreadable": why}))?;
            }
        }
        Ok(())
    }

    fn damage(&mut self, damage: &Damage) -> Result<(), LogError> {
        let Damage {
            position,
            why,
            resumes,
            ..
        } = damage;
        self.out.line(
            || match resumes {
                Some(at) => format!("  byte {position}: damaged up to byte {at}: {why}"),
                None => format!("  byte {position}: no batch from here on: {why}"),
            },
            || json!({"position": position, "damage": why, "resumes": resumes}),
        )?;
        Ok(())
    }
}

/// An entry of a small file.
trait Entry {
    fn text(&self) -> String;
    fn json(&self) -> Value;
}

impl Entry for inspect::Entry {
    fn text(&self) -> String {
        let field = |(name, value): &(&str, inspect::Value)| match value {
            inspect::Value::Number(number) => format!("{name} {number}"),
            inspect::Value::Text(text) => format!("{name} {text:?}"),
            _ => (*name).to_owned(),
        };
        self.iter().map(field).collect::<Vec<_>>().join(", ")
    }

    fn json(&self) -> Value {
        let field = |(name, value): &(&str, inspect::Value)| {
            let value = match value {
                inspect::Value::Number(number) => json!(number),
                inspect::Value::Text(text) => json!(text),
                _ => Value::Null,
            };
            ((*name).to_owned(), value)
        };
        Value::Object(self.iter().map(field).collect())
    }
}

impl Entry for OffsetIndexEntry {
    fn text(&self) -> String {
        format!("offset {} at byte {}", self.offset, self.position)
    }

    fn json(&self) -> Value {
        json!({"offset": self.offset.get(), "position": self.position})
    }
}

impl Entry for TimeIndexEntry {
    fn text(&self) -> String {
        format!("timestamp {} at offset {}", self.timestamp, self.offset)
    }

    fn json(&self) -> Value {
        json!({"timestamp": self.timestamp.get(), "offset": self.offset.get()})
    }
}

impl Entry for AbortedTransaction {
    fn text(&self) -> String {
        format!(
            "producer {} aborted offsets {} to {}, last stable offset {}",
            self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset
        )
    }

    fn json(&self) -> Value {
        json!({
            "producerId": self.producer_id.get(),
            "firstOffset": self.first_offset.get(),
            "lastOffset": self.last_offset.get(),
            "lastStableOffset": self.last_stable_offset.get(),
        })
    }
}

impl Entry for EpochStart {
    fn text(&self) -> String {
        format!("leader epoch {} from offset {}", self.epoch, self.start)
    }

    fn json(&self) -> Value {
        json!({"leaderEpoch": self.epoch.get(), "startOffset": self.start.get()})
    }
}

impl Entry for ProducerEntry {
    fn text(&self) -> String {
        let open = self.transaction_start;
        let open = open.map_or_else(String::new, |o| format!(", transaction open since {o}"));
        format!(
            "producer {} epoch {}: last sequence {}, last offset {}, last timestamp {}, \
             coordinator epoch {}{open}",
            self.producer_id,
            self.epoch,
            self.last_sequence,
            self.last_offset,
            self.last_timestamp,
            self.coordinator_epoch
        )
    }

    fn json(&self) -> Value {
        json!({
            "producerId": self.producer_id.get(),
            "producerEpoch": self.epoch.get(),
            "lastSequence": self.last_sequence.get(),
            "lastOffset": self.last_offset.get(),
            "lastTimestamp": self.last_timestamp.get(),
            "coordinatorEpoch": self.coordinator_epoch,
            "transactionStart": self.transaction_start.map(Offset::get),
        })
    }
}

/// A batch in a line.
fn text(batch: &FoundBatch) -> String {
    let header = &batch.header;
    let mut text = format!(
        "byte {}: offsets {} to {}, {} records, {} bytes, leader epoch {}, {} {} to {}, {}",
        batch.position,
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.size_bytes(),
        header.leader_epoch,
        timestamps(header),
        header.base_timestamp,
        header.max_timestamp,
        codec(header),
    );
    if header.has_producer_id() {
        text += &format!(
            ", producer {} epoch {} sequence {}",
            header.producer_id, header.producer_epoch, header.base_sequence
        );
    }
    for (is_so, word) in [
        (header.attributes.is_transactional(), ", transactional"),
        (header.attributes.is_control(), ", control"),
        (header.attributes.has_delete_horizon(), ", delete horizon"),
    ] {
        if is_so {
            text += word;
        }
    }
    text
}

fn batch_json(batch: &FoundBatch) -> Value {
    let header = &batch.header;
    json!({
        "position": batch.position,
        "baseOffset": header.base_offset.get(),
        "lastOffset": header.last_offset().get(),
        "records": header.record_count,
        "bytes": header.size_bytes(),
        "leaderEpoch": header.leader_epoch.get(),
        "timestampType": timestamps(header),
        "baseTimestamp": header.base_timestamp.get(),
        "maxTimestamp": header.max_timestamp.get(),
        "codec": codec(header),
        "producerId": header.producer_id.get(),
        "producerEpoch": header.producer_epoch.get(),
        "baseSequence": header.base_sequence.get(),
        "isTransactional": header.attributes.is_transactional(),
        "isControl": header.attributes.is_control(),
        "hasDeleteHorizon": header.attributes.has_delete_horizon(),
        "crc": header.crc,
    })
}

fn codec(header: &BatchHeader) -> &'static str {
    header
        .codec()
        .map_or("unknown codec", ottla_log::Codec::name)
}

const fn timestamps(header: &BatchHeader) -> &'static str {
    match header.attributes.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn record_text(record: &OwnedRecord) -> String {
    let key = bytes_to_json(record.key.as_ref());
    let value = bytes_to_json(record.value.as_ref());
    let headers = record.headers.iter().map(|header| {
        let value = bytes_to_json(header.value.as_ref());
        format!(", header {:?} {value}", header.key_text())
    });
    format!(
        "    offset {}: timestamp {}, key {key}, value {value}{}",
        record.offset,
        record.timestamp,
        headers.collect::<String>()
    )
}
