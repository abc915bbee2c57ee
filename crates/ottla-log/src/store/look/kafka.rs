//! Apache Kafka's files for a whole log.dir.

use std::collections::BTreeMap;
use std::path::Path;

use super::Looker;
use crate::checkpoint::{self, CleanShutdown, MetaProperties};
use crate::store::format_file::FormatFile;
use crate::store::offsets::{LogOffsets, Offsets};
use crate::store::opening::HIGH_WATERMARKS;
use crate::store::rounds::{CLEANED, LOG_STARTS, RECOVERY_POINTS, for_kafka};
use crate::{LogId, Offset};

/// A checkpoint file, what it says, and where ours has the same.
type Compared = (
    &'static str,
    BTreeMap<LogId, Offset>,
    fn(&LogOffsets) -> Offset,
);

impl Looker<'_> {
    pub(super) fn meta(&mut self, format: &FormatFile) {
        let path = self.kafka.join("meta.properties");
        let Some(bytes) = self.read(&path) else {
            return self.find(&path, None, "it is missing, or cannot be read");
        };
        let meta = match MetaProperties::decode(&bytes) {
            Ok(meta) => meta,
            Err(error) => return self.find(&path, None, error.to_string()),
        };
        if meta.directory_id != Some(format.directory_id) {
            let what = format!("directory.id is not {}, as in format", format.directory_id);
            self.find(&path, None, what);
        }
        let noted = format.cluster_id.as_ref();
        if let Some(noted) = noted.filter(|noted| **noted != meta.cluster_id) {
            let what = format!("cluster.id is not {noted:?}, as in format");
            self.find(&path, None, what);
        }
    }

    /// Whether the clean mark is ours. What nobody leaves there is found.
    pub(super) fn clean_mark(&mut self, path: &Path, mark: &[u8]) -> bool {
        let decoded = CleanShutdown::decode(mark);
        let is_whole = match decoded {
            Some(decoded) => decoded.encode() == mark && decoded.broker_epoch >= -1,
            // As Kafka left it before 3.6.
            None => mark.is_empty(),
        };
        if !is_whole {
            self.find(path, None, "neither we nor Apache Kafka leave such a mark");
        }
        decoded == Some(CleanShutdown::OURS)
    }

    /// The checkpoint files. `own` is what counts in their place; else they do.
    pub(super) fn kafkas(&mut self, own: Option<&Offsets>) {
        let is_clean = self.look.said.is_clean;
        let (points, starts) = (self.offsets(RECOVERY_POINTS), self.offsets(LOG_STARTS));
        let cleaned = self.offsets(CLEANED);
        self.look.said.high_watermarks = self.offsets(HIGH_WATERMARKS);
        let Some(own) = own else {
            let found = &mut self.look.said.offsets;
            for (id, offset) in points {
                found.entry(id).or_default().recovery_point = offset;
            }
            for (id, offset) in starts {
                found.entry(id).or_default().log_start = offset;
            }
            for (id, offset) in cleaned {
                found.entry(id).or_default().cleaned = offset;
            }
            return;
        };
        if is_clean {
            for (name, expected) in for_kafka(own) {
                let path = self.kafka.join(name);
                if self.read(&path) != expected {
                    self.find(
                        &path,
                        None,
                        "it is not what the clean stop left, by ottla/offsets",
                    );
                }
            }
            return;
        }
        let compared: [Compared; 3] = [
            (RECOVERY_POINTS, points, |of| of.recovery_point),
            (LOG_STARTS, starts, |of| of.log_start),
            (CLEANED, cleaned, |of| of.cleaned),
        ];
        for (name, said, of) in compared {
            let differs = |(id, offset): &(&LogId, &Offset)| {
                own.get(id).is_none_or(|own| of(own) != **offset)
            };
            let count = said.iter().filter(differs).count();
            if count > 0 {
                let path = self.kafka.join(name);
                let what =
                    format!("of {count} logs it is not as new as ottla/offsets, which counts");
                self.note(&path, what);
            }
        }
    }

    fn offsets(&mut self, name: &str) -> BTreeMap<LogId, Offset> {
        let path = self.kafka.join(name);
        let decoded = self.decoded(&path, checkpoint::decode_offsets);
        decoded.unwrap_or_default()
    }
}
