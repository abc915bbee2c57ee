//! `ottla log verify`: a line for each finding.

use std::path::Path;

use ottla_log::Limits;
use ottla_log::inspect::{Finding, KeptTail, kept_tails, verify};
use ottla_log::vfs::Vfs;
use serde_json::json;

use super::{LogError, Printer, logs_at};

/// Checks the logs at `path`; whether they are sound.
pub(super) fn run(vfs: &dyn Vfs, path: &Path, out: &mut Printer<'_>) -> Result<bool, LogError> {
    let limits = Limits::default();
    let (mut findings, mut logs, mut segments, mut batches, mut records) = (0_u64, 0_u64, 0, 0, 0);
    for dir in logs_at(vfs, path)? {
        let mut failed = None;
        let verified = verify(vfs, &dir, &limits, &mut |finding| {
            findings += 1;
            if let Err(error) = print(out, &finding) {
                failed.get_or_insert(error);
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        logs += 1;
        segments += verified.segments;
        batches += verified.batches;
        records += verified.records;
    }
    for tail in kept_tails(vfs, path)? {
        print_kept(out, &tail)?;
    }
    out.line(
        || {
            let found = match findings {
                0 => "no finding".to_owned(),
                1 => "1 finding".to_owned(),
                many => format!("{many} findings"),
            };
            format!(
                "{found} in {logs} logs, {segments} segments, {batches} batches, {records} records"
            )
        },
        || {
            json!({"findings": findings, "logs": logs, "segments": segments, "batches": batches,
                "records": records})
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

fn print(out: &mut Printer<'_>, finding: &Finding) -> Result<(), LogError> {
    let path = finding.path.display();
    out.line(
        || match finding.position {
            Some(at) => format!("{path}: byte {at}: {}", finding.what),
            None => format!("{path}: {}", finding.what),
        },
        || json!({"file": path.to_string(), "position": finding.position, "what": finding.what}),
    )?;
    Ok(())
}
