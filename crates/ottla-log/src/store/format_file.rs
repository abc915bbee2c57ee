//! `DIR/ottla/format`: the version of the data directory and what belongs to it as a whole.
//!
//! It is written last at the first start, so that a directory without it was never used.

use std::fmt::Write as _;

use crate::TopicId;

use super::journal::Key;
use super::text;

/// The version that this code writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FormatFile {
    /// The directory's id, the same as in `meta.properties`.
    pub(super) directory_id: TopicId,
    /// The journal's key.
    pub(super) key: Key,
    /// The cluster that the directory belongs to, as in `meta.properties`, which has no checksum.
    pub(super) cluster_id: Option<String>,
}

/// Why the file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A newer program wrote it, with this version.
    Newer(u32),
    /// It is damaged.
    Damaged(&'static str),
}

impl FormatFile {
    /// The file's content.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = format!(
            "version={VERSION}\ndirectory.id={}\nkey=",
            self.directory_id
        );
        for byte in self.key.to_bytes() {
            let _ = write!(out, "{byte:02x}");
        }
        out.push('\n');
        if let Some(cluster_id) = &self.cluster_id {
            // Writing to a string does not fail.
            let _ = writeln!(out, "cluster.id={cluster_id}");
        }
        text::seal(out)
    }

    /// Reads the file's content.
    ///
    /// # Errors
    /// [`Unusable`]. Only the first line and the checksum are the same in all versions.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unusable> {
        let text = text::unseal(bytes).map_err(Unusable::Damaged)?;
        let mut lines = text.lines();
        let mut field = |prefix: &str| lines.next().and_then(|line| line.strip_prefix(prefix));
        let version = field("version=").and_then(|v| v.parse::<u32>().ok());
        match version {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => return Err(Unusable::Newer(newer)),
            _ => return Err(Unusable::Damaged("its version is no number")),
        }
        let directory_id = field("directory.id=").and_then(TopicId::from_base64);
        let key = field("key=").and_then(hex);
        let cluster_id = field("cluster.id=").map(str::to_owned);
        match (directory_id, key) {
            (Some(directory_id), Some(key)) => Ok(Self {
                directory_id,
                key,
                cluster_id,
            }),
            _ => Err(Unusable::Damaged("a line is missing")),
        }
    }
}

fn hex(digits: &str) -> Option<Key> {
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(digits, 16).ok()?;
    Some(Key::new(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        for cluster_id in [None, Some("home".to_owned())] {
            let file = FormatFile {
                directory_id: TopicId::from_bytes([3; 16]),
                key: Key::new([0xab; 16]),
                cluster_id,
            };
            assert_eq!(FormatFile::decode(&file.encode()), Ok(file));
        }
    }

    #[test]
    fn a_newer_version_is_named_whatever_follows_it() {
        let newer = text::seal("version=7\nsomething=else\n".to_owned());
        assert_eq!(FormatFile::decode(&newer), Err(Unusable::Newer(7)));
        let none = text::seal("version=0\n".to_owned());
        assert!(matches!(
            FormatFile::decode(&none),
            Err(Unusable::Damaged(_))
        ));
        assert!(matches!(FormatFile::decode(b""), Err(Unusable::Damaged(_))));
    }
}
