//! `ottla log verify`: a line for each finding.

use std::io;
use std::path::Path;

use ottla_log::Limits;
use ottla_log::inspect::{Finding, KeptTail, Note, Report, kept_tails, verify_dir};
use ottla_log::vfs::Vfs;
use serde_json::json;

use super::{LogError, Printer, logs_at};

/// Checks what is at `path`; whether it is sound.
pub(super) fn run(vfs: &dyn Vfs, path: &Path, out: &mut Printer<'_>) -> Result<bool, LogError> {
    logs_at(vfs, path)?;
    let (mut findings, mut failed) = (0_u64, None);
    let verified = verify_dir(vfs, path, &Limits::default(), &mut |told| {
        let printed = match told {
            Report::Finding(finding) => {
                findings += 1;
                print(out, &finding)
            }
            Report::Note(note) => print_note(out, &note),
            _ => Ok(()),
        };
        if let Err(error) = printed {
            failed.get_or_insert(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    for tail in kept_tails(vfs, path)? {
        print_kept(out, &tail)?;
    }
    let (logs, segments, seals) = (verified.logs, verified.segments, verified.seals);
    let (batches, records) = (verified.batches, verified.records);
    out.line(
        || {
            let found = match findings {
                0 => "no finding".to_owned(),
                1 => "1 finding".to_owned(),
                many => format!("{many} findings"),
            };
            format!(
                "{found} in {logs} logs, {segments} segments, {seals} of them sealed, {batches} \
                 batches, {records} records"
            )
        },
        || {
            json!({"findings": findings, "logs": logs, "segments": segments, "seals": seals,
                "batches": batches, "records": records})
        },
    )?;
    Ok(findings == 0)
}

/// What was cut off is no finding: nobody was promised it.
fn print_kept(out: &mut Printer<'_>, tail: &KeptTail) -> Result<(), LogError> {
    let path = tail.path.display();
    out.line(
        || {
            format!(
                "{path}: {} bytes, cut off {} from offset {} on after an unclean stop, and kept",
                tail.bytes, tail.log, tail.offset
            )
        },
        || {
            json!({"kept": path.to_string(), "log": tail.log, "offset": tail.offset.get(),
                "bytes": tail.bytes})
        },
    )?;
    Ok(())
}

fn print(out: &mut Printer<'_>, finding: &Finding) -> io::Result<()> {
    let path = finding.path.display();
    out.line(
        || match finding.position {
            Some(at) => format!("{path}: byte {at}: {}", finding.what),
            None => format!("{path}: {}", finding.what),
        },
        || json!({"file": path.to_string(), "position": finding.position, "what": finding.what}),
    )
}

/// What is no loss by itself.
fn print_note(out: &mut Printer<'_>, note: &Note) -> io::Result<()> {
    let path = note.path.display();
    out.line(
        || format!("{path}: note: {}", note.what),
        || json!({"file": path.to_string(), "note": note.what}),
    )
}
