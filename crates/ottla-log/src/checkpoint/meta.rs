//! Files that say what a directory is: `meta.properties`, `partition.metadata`, the clean marker.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{CheckpointError, natural, text};
use crate::TopicId;

/// `meta.properties`: whose data directory this is. Version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    /// The cluster the node belongs to.
    pub(crate) cluster_id: String,
    /// The node.
    pub(crate) node_id: i32,
    /// The directory's own id; Kafka before 3.7 wrote none.
    pub(crate) directory_id: Option<TopicId>,
}

impl MetaProperties {
    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = String::from("#\n");
        let mut put = |key: &str, value: &str| {
            let _ = writeln!(text, "{key}={}", escape(value));
        };
        put("version", "1");
        put("cluster.id", &self.cluster_id);
        put("node.id", &self.node_id.to_string());
        if let Some(id) = self.directory_id {
            put("directory.id", &id.to_base64());
        }
        text.into_bytes()
    }

    /// Reads the file's content; keys that it does not know are passed over, as Kafka does.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let properties = properties(text(bytes)?)?;
        let field = |key: &str| {
            let missing = || CheckpointError::new(1, format!("{key} is missing"));
            properties.get(key).ok_or_else(missing)
        };
        let (line, version) = field("version")?;
        if version != "1" {
            let why = format!("the version is {version:?}, only 1 is supported");
            return Err(CheckpointError::new(*line, why));
        }
        let (line, node_id) = field("node.id")?;
        let node_id = natural(*line, node_id)?;
        let (line, cluster_id) = field("cluster.id")?;
        if cluster_id.is_empty() {
            return Err(CheckpointError::new(*line, "cluster.id is empty"));
        }
        let directory_id = match properties.get("directory.id") {
            None => None,
            Some((line, text)) => Some(uuid(*line, text)?),
        };
        Ok(Self {
            cluster_id: cluster_id.clone(),
            node_id,
            directory_id,
        })
    }
}

/// `partition.metadata`: whose partition a directory holds. Version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionMetadata {
    /// The topic's id.
    pub(crate) topic_id: TopicId,
}

impl PartitionMetadata {
    /// The file's content.
    pub(crate) fn encode(self) -> Vec<u8> {
        format!("version: 0\ntopic_id: {}", self.topic_id).into_bytes()
    }

    /// Reads the file's content.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut lines = text(bytes)?.lines();
        let mut field = |line: usize, key: &str| {
            let value = lines.next().and_then(|l| l.strip_prefix(key));
            value.ok_or_else(|| CheckpointError::new(line, format!("{key:?} is missing")))
        };
        let version = field(1, "version: ")?;
        if version != "0" {
            let why = format!("the version is {version:?}, only 0 is supported");
            return Err(CheckpointError::new(1, why));
        }
        let topic_id = uuid(2, field(2, "topic_id: ")?)?;
        if topic_id == TopicId::ZERO {
            return Err(CheckpointError::new(2, "the topic id is the one for none"));
        }
        if lines.next().is_some() {
            return Err(CheckpointError::new(3, "more than two lines"));
        }
        Ok(Self { topic_id })
    }
}

/// `.kafka_cleanshutdown`: present after a clean stop, whatever is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CleanShutdown {
    /// The broker's epoch at the stop.
    pub(crate) broker_epoch: i64,
}

impl CleanShutdown {
    /// What our own clean stop leaves: no broker epoch is known here, which Kafka takes -1 for.
    pub(crate) const OURS: Self = Self { broker_epoch: -1 };

    /// The file's content.
    pub(crate) fn encode(self) -> Vec<u8> {
        format!("{{\"version\":0,\"brokerEpoch\":{}}}", self.broker_epoch).into_bytes()
    }

    /// Reads the file's content; `None` where it does not say an epoch, as in Kafka before 3.6,
    /// which left the file empty.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let inside = text.strip_prefix('{')?.strip_suffix('}')?;
        let mut version = None;
        let mut broker_epoch = None;
        for pair in inside.split(',') {
            let (key, value) = pair.split_once(':')?;
            let value: i64 = value.trim().parse().ok()?;
            match key.trim() {
                "\"version\"" => version = Some(value),
                "\"brokerEpoch\"" => broker_epoch = Some(value),
                _ => {}
            }
        }
        (version? == 0).then_some(Self {
            broker_epoch: broker_epoch?,
        })
    }
}

fn uuid(line: usize, text: &str) -> Result<TopicId, CheckpointError> {
    let id = TopicId::from_base64(text);
    id.ok_or_else(|| CheckpointError::new(line, format!("{text:?} is not an id")))
}

/// The pairs of a Java properties file, each with its line. The last of equal keys counts.
fn properties(text: &str) -> Result<BTreeMap<String, (usize, String)>, CheckpointError> {
    let mut found = BTreeMap::new();
    let mut lines = (1_usize..).zip(text.lines());
    while let Some((number, first)) = lines.next() {
        let mut line = first.trim_start_matches(BLANKS).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        // An odd number of backslashes at the end joins the next line.
        while line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next.trim_start_matches(BLANKS));
        }
        let (key, value) = split_pair(&line);
        let key = unescape(number, key)?;
        found.insert(key, (number, unescape(number, value)?));
    }
    Ok(found)
}

const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

/// Splits at the first separator that is not escaped: blanks with at most one `=` or `:` in them.
fn split_pair(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (BLANKS.contains(&c) || matches!(c, '=' | ':'));
        escaped = !escaped && c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

fn unescape(line: usize, text: &str) -> Result<String, CheckpointError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 4);
                let decoded = code.and_then(char::from_u32);
                let bad = || CheckpointError::new(line, format!("\\u{digits} is no character"));
                out.push(decoded.ok_or_else(bad)?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// Escapes a value as Java's `Properties.store` does.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        match c {
            ' ' if index == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
    out
}
