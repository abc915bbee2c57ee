//! The directories of `DIR/kafka/` by name.

use std::io;
use std::path::Path;

use crate::log::dir;
use crate::vfs::Vfs;
use crate::{Entropy, LogId};

/// Kafka's suffix for the directory of a deleted log.
pub(super) const DELETED: &str = "-delete";

/// Kafka's suffix for the directory of a log that belongs to no topic of the node.
pub(super) const STRAY: &str = "-stray";

/// Kafka's suffix for the directory of a log that moves in from another disk.
const FUTURE: &str = "-future";

/// What a directory's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DirKind {
    /// A log.
    Log(LogId),
    /// A deleted log, to be removed.
    Deleted,
    /// A log that was set aside.
    Aside,
    /// Nothing that Kafka or we would make.
    Stranger,
}

/// Tells what the directory `name` is.
pub(super) fn kind_of(name: &str) -> DirKind {
    if let Some(rest) = name.strip_suffix(DELETED) {
        // Only a name of our own or Kafka's making may be removed.
        return match is_aside(rest) {
            true => DirKind::Deleted,
            false => LogId::from_dir_name(name).map_or(DirKind::Stranger, DirKind::Log),
        };
    }
    if [STRAY, FUTURE]
        .iter()
        .any(|suffix| name.strip_suffix(suffix).is_some_and(is_aside))
    {
        return DirKind::Aside;
    }
    LogId::from_dir_name(name).map_or(DirKind::Stranger, DirKind::Log)
}

/// Whether `name` is `<topic>-<partition>.<32 hex digits>`. Kafka cuts a long topic's name here.
fn is_aside(name: &str) -> bool {
    let Some((log, hex)) = name.rsplit_once('.') else {
        return false;
    };
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    hex.len() == 32 && hex.bytes().all(is_hex) && LogId::from_dir_name(log).is_some()
}

/// Renames the directory of `id` in `root` to a name of the given kind that is free, and answers
/// that name.
pub(super) fn set_aside(
    vfs: &dyn Vfs,
    entropy: &dyn Entropy,
    root: &Path,
    id: &LogId,
    kind: &str,
) -> io::Result<String> {
    loop {
        let name = aside(id, kind, entropy);
        let to = root.join(&name);
        if vfs.stat(&to)?.is_none() {
            vfs.rename(&root.join(id.dir_name()), &to)?;
            return Ok(name);
        }
    }
}

/// A new name for the directory of `id`, of the given kind.
fn aside(id: &LogId, kind: &str, entropy: &dyn Entropy) -> String {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    dir::name_aside(id, u128::from_be_bytes(random), kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopicName;
    use crate::entropy::SeededEntropy;

    fn id(topic: &str, partition: i32) -> LogId {
        LogId::new(TopicName::new(topic).unwrap(), partition)
    }

    #[test]
    fn names_are_told_apart() {
        let hex = "0123456789abcdef0123456789abcdef";
        assert_eq!(kind_of("t-0"), DirKind::Log(id("t", 0)));
        assert_eq!(
            kind_of("__cluster_metadata-0"),
            DirKind::Log(id("__cluster_metadata", 0))
        );
        assert_eq!(kind_of(&format!("t-0.{hex}-delete")), DirKind::Deleted);
        assert_eq!(kind_of(&format!("t-0.{hex}-stray")), DirKind::Aside);
        assert_eq!(kind_of(&format!("t-0.{hex}-future")), DirKind::Aside);
        for stranger in [
            "t",
            "t-0-delete",
            "t.0123-delete",
            &format!("t-0.{hex}"),
            &format!("t-0.{}-delete", hex.to_uppercase()),
            &format!("t.{hex}-delete"),
            "remote-log-index-cache",
        ] {
            assert_eq!(kind_of(stranger), DirKind::Stranger, "{stranger}");
        }
    }

    #[test]
    fn a_name_to_set_aside_is_one_kafka_knows_and_the_file_system_takes() {
        let entropy = SeededEntropy::new(1);
        for topic in ["t", &"x".repeat(249)] {
            let name = aside(&id(topic, 12), DELETED, &entropy);
            assert!(name.len() <= 255, "{name}");
            assert_eq!(kind_of(&name), DirKind::Deleted);
            assert_ne!(name, aside(&id(topic, 12), DELETED, &entropy));
        }
    }
}
