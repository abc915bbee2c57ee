//! The files for a whole data directory, entry by entry, for people.

use std::path::Path;

use crate::checkpoint::{self, CleanShutdown, MetaProperties};
use crate::inspect::{Entry, Value};
use crate::store::data_dir::{KAFKA, OWN};
use crate::store::format_file::{FormatFile, Unusable};
use crate::store::journal::{Key, Scan, ScanError, What};
use crate::store::offsets::{self, OFFSETS};
use crate::store::opening::HIGH_WATERMARKS;
use crate::store::rounds::{CLEANED, HAS_DATA, LOG_STARTS, MARKER, RECOVERY_POINTS};
use crate::store::stopped::{self, STOPPED};
use crate::store::{has_data, seals};
use crate::vfs::Vfs;
use crate::{Limits, LogId, StorageError};

/// Where such a file may be, from the data directory on.
pub(crate) fn files() -> [(&'static str, &'static str); 12] {
    [
        (KAFKA, "meta.properties"),
        (KAFKA, MARKER),
        (KAFKA, RECOVERY_POINTS),
        (KAFKA, LOG_STARTS),
        (KAFKA, CLEANED),
        (KAFKA, HIGH_WATERMARKS),
        (OWN, "format"),
        (OWN, HAS_DATA),
        (OWN, OFFSETS),
        (OWN, STOPPED),
        (OWN, "journal-0"),
        (OWN, "journal-1"),
    ]
}

/// Where the seals are, from the data directory on.
pub(crate) fn seals() -> [&'static str; 2] {
    [OWN, seals::SEALS]
}

/// What the file at `path` says; `None` where its name is none of these.
///
/// # Errors
/// [`StorageError`] where it cannot be read, or is damaged.
pub(crate) fn dump(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<Entry>>, StorageError> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if matches!(name, "journal-0" | "journal-1") {
        let area = usize::from(name == "journal-1");
        return journal(vfs, path, area).map(Some);
    }
    if name == OFFSETS {
        return own_offsets(vfs, path).map(Some);
    }
    let decode: fn(&[u8]) -> Result<Vec<Entry>, String> = match name {
        "meta.properties" => meta,
        "format" => format,
        MARKER => mark,
        HAS_DATA => |bytes| {
            Ok(has_data::decode(bytes)?
                .iter()
                .map(|(id, topic)| of_log(id, vec![("topicId", Value::Text(topic.to_string()))]))
                .collect())
        },
        STOPPED => |bytes| {
            Ok(stopped::decode(bytes)?
                .iter()
                .map(|(id, left)| {
                    of_log(
                        id,
                        vec![
                            ("topicId", Value::Text(left.topic_id.to_string())),
                            ("endOffset", Value::Number(left.end.get())),
                            (
                                "segments",
                                Value::Number(left.segments.len().try_into().unwrap_or(i64::MAX)),
                            ),
                        ],
                    )
                })
                .collect())
        },
        RECOVERY_POINTS | LOG_STARTS | CLEANED | HIGH_WATERMARKS => |bytes| {
            let offsets = checkpoint::decode_offsets(bytes).map_err(|e| e.to_string())?;
            let entry = |(id, offset): (&LogId, &crate::Offset)| {
                of_log(id, vec![("offset", Value::Number(offset.get()))])
            };
            Ok(offsets.iter().map(entry).collect())
        },
        _ => return Ok(None),
    };
    let bytes = checkpoint::read(vfs, path, Limits::default().checkpoint_bytes_max)?;
    let entries = decode(&bytes.unwrap_or_default());
    entries.map(Some).map_err(|why| corrupt(path, why))
}

fn of_log(id: &LogId, mut rest: Entry) -> Entry {
    let mut entry = vec![
        ("topic", Value::Text(id.topic().to_string())),
        ("partition", Value::Number(id.partition().into())),
    ];
    entry.append(&mut rest);
    entry
}

fn meta(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let meta = MetaProperties::decode(bytes).map_err(|e| e.to_string())?;
    let directory_id = meta.directory_id.map(|id| id.to_string());
    Ok(vec![vec![
        ("clusterId", Value::Text(meta.cluster_id)),
        ("nodeId", Value::Number(meta.node_id.into())),
        ("directoryId", Value::Text(directory_id.unwrap_or_default())),
    ]])
}

/// Without the key, which is nobody's business.
fn format(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let format = FormatFile::decode(bytes).map_err(|unusable| match unusable {
        Unusable::Newer(version) => format!("version {version} is newer than this program"),
        Unusable::Damaged(why) => why.to_owned(),
    })?;
    Ok(vec![vec![
        ("version", Value::Number(1)),
        ("directoryId", Value::Text(format.directory_id.to_string())),
        (
            "clusterId",
            Value::Text(format.cluster_id.unwrap_or_default()),
        ),
    ]])
}

fn mark(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mark = CleanShutdown::decode(bytes);
    let epoch = mark.map(|mark| ("brokerEpoch", Value::Number(mark.broker_epoch)));
    Ok(vec![epoch.into_iter().collect()])
}

fn own_offsets(vfs: &dyn Vfs, path: &Path) -> Result<Vec<Entry>, StorageError> {
    let own = path.parent().unwrap_or_else(|| Path::new("."));
    let found = offsets::read(vfs, own, Limits::default().checkpoint_bytes_max)?;
    let Some(offsets) = found.offsets else {
        return Err(corrupt(
            path,
            found.damage.unwrap_or("it is missing").to_owned(),
        ));
    };
    let half = found
        .damage
        .map(|why| vec![("damagedHalf", Value::Text(why.to_owned()))]);
    let entries = offsets.iter().map(|(id, of)| {
        of_log(
            id,
            vec![
                ("recoveryPoint", Value::Number(of.recovery_point.get())),
                ("logStart", Value::Number(of.log_start.get())),
                ("cleanedUpTo", Value::Number(of.cleaned.get())),
            ],
        )
    });
    Ok(half.into_iter().chain(entries).collect())
}

/// The rounds of one area that count.
fn journal(vfs: &dyn Vfs, path: &Path, area: usize) -> Result<Vec<Entry>, StorageError> {
    let own = path.parent().unwrap_or_else(|| Path::new("."));
    let format = own.join("format");
    let bytes = checkpoint::read(vfs, &format, Limits::default().checkpoint_bytes_max)?;
    let decoded = FormatFile::decode(&bytes.unwrap_or_default());
    let Ok(FormatFile { key, .. }) = decoded else {
        return Err(corrupt(
            &format,
            "without it no round is told from other bytes".to_owned(),
        ));
    };
    let scan = scan(vfs, own, key)?;
    let mut entries = Vec::new();
    for round in scan.rounds.iter().filter(|round| round.area == area) {
        let mut position = round.data_position;
        for entry in &round.entries {
            let mut fields = vec![("round", signed(round.sequence))];
            fields.append(&mut of_log(
                &entry.id,
                vec![("topicId", Value::Text(entry.topic_id.to_string()))],
            ));
            fields.append(&mut what(entry.what, &mut position));
            entries.push(fields);
        }
    }
    Ok(entries)
}

fn scan(vfs: &dyn Vfs, own: &Path, key: Key) -> Result<Scan, StorageError> {
    Scan::look(vfs, own, key).map_err(|error| match error {
        ScanError::Storage(error) => error,
        ScanError::Damaged(damage) => StorageError::Corrupt {
            path: damage.path,
            position: damage.position,
            why: damage.why,
        },
    })
}

fn what(what: What, position: &mut u64) -> Entry {
    let number = Value::Number;
    match what {
        What::Data(range) => {
            let at = *position;
            *position += u64::from(range.len);
            vec![
                ("data", signed(at)),
                ("bytes", number(range.len.into())),
                ("segment", number(range.segment_base.get())),
                ("position", signed(range.position)),
                ("endOffset", number(range.end.get())),
            ]
        }
        What::Ended { end, .. } => vec![("ended", number(end.get()))],
        What::Settled { below, end } => {
            vec![
                ("settledBelow", signed(below)),
                ("endOffset", number(end.get())),
            ]
        }
        What::Started { log_start } => vec![("started", number(log_start.get()))],
        What::Deleted => vec![("deleted", number(1))],
    }
}

fn signed(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn corrupt(path: &Path, why: String) -> StorageError {
    StorageError::Corrupt {
        path: path.to_path_buf(),
        position: 0,
        why,
    }
}
