//! `DIR/ottla/has-data`: which logs hold data, so that a missing directory is a loss and never
//! "empty".
//!
//! The file is replaced as a whole from time to time; between two such times the journal's
//! creation and deletion entries say what changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{LogId, TopicId, TopicName};

use super::text;

/// The logs that hold data, each with its topic's id.
pub(super) type HasData = BTreeMap<LogId, TopicId>;

/// The file's content.
pub(super) fn encode(logs: &HasData) -> Vec<u8> {
    let mut out = String::from("version=1\n");
    for (id, topic_id) in logs {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{} {} {topic_id}", id.topic(), id.partition());
    }
    text::seal(out)
}

/// Reads the file's content.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<HasData, &'static str> {
    let text = text::unseal(bytes)?;
    let lines = text
        .strip_prefix("version=1\n")
        .ok_or("its version is not 1")?;
    let entries = lines
        .lines()
        .map(|line| entry(line).ok_or("a line is malformed"));
    entries.collect()
}

fn entry(line: &str) -> Option<(LogId, TopicId)> {
    let mut fields = line.split(' ');
    let topic = TopicName::new(fields.next()?).ok()?;
    let partition: i32 = fields.next()?.parse().ok().filter(|p| *p >= 0)?;
    let topic_id = TopicId::from_base64(fields.next()?)?;
    fields
        .next()
        .is_none()
        .then(|| (LogId::new(topic, partition), topic_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        let logs: HasData = (0..3)
            .map(|partition| {
                let id = LogId::new(TopicName::new("orders").unwrap(), partition);
                (id, TopicId::from_bytes([9; 16]))
            })
            .collect();
        assert_eq!(decode(&encode(&logs)), Ok(logs));
        assert_eq!(decode(&encode(&HasData::new())), Ok(HasData::new()));
    }

    #[test]
    fn malformed_lines_are_refused() {
        for bad in [
            "version=2\n",
            "version=1\na/b 0 AAAAAAAAAAAAAAAAAAAAAA\n",
            "version=1\na -1 AAAAAAAAAAAAAAAAAAAAAA\n",
            "version=1\na 0 short\n",
            "version=1\na 0 AAAAAAAAAAAAAAAAAAAAAA more\n",
            "version=1\n\n",
        ] {
            assert!(decode(&text::seal(bad.to_owned())).is_err(), "{bad:?}");
        }
    }
}
