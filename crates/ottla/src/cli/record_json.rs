//! A record as one JSON object: what `consume --json` prints and `produce --json` reads.
//!
//! Keys, values, and names and values of headers are text where they are UTF-8, else
//! `{"base64": "..."}`; `null` is a missing one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_log::{Header, OwnedRecord, Record, Timestamp};
use serde_json::{Map, Value, json};

/// What [`to_json`] writes and [`from_json`] passes over.
const PASSED_OVER: [&str; 3] = ["topic", "partition", "offset"];
const READ: [&str; 4] = ["timestamp", "key", "value", "headers"];

/// The object for `record` of `topic`-`partition`.
pub(crate) fn to_json(topic: &str, partition: i32, record: &OwnedRecord) -> Value {
    let mut object = fields(record);
    object["topic"] = json!(topic);
    object["partition"] = json!(partition);
    object
}

/// The object for a record alone.
pub(crate) fn fields(record: &OwnedRecord) -> Value {
    let header = |h: &Header| json!([bytes_to_json(Some(&h.key)), bytes_to_json(h.value.as_ref())]);
    json!({
        "offset": record.offset.get(),
        "timestamp": record.timestamp.get(),
        "key": bytes_to_json(record.key.as_ref()),
        "value": bytes_to_json(record.value.as_ref()),
        "headers": record.headers.iter().map(header).collect::<Vec<_>>(),
    })
}

/// The record in one line of input, or what is wrong with it; topic, partition and offset in it
/// are passed over.
pub(crate) fn from_json(line: &[u8]) -> Result<Record, String> {
    let parsed = serde_json::from_slice(line);
    let parsed: Value = parsed.map_err(|e| format!("not a record as JSON ({e})"))?;
    let object = parsed.as_object().ok_or("not an object of JSON")?;
    let known = |name: &&String| [&PASSED_OVER[..], &READ].concat().contains(&name.as_str());
    if let Some(name) = object.keys().find(|name| !known(name)) {
        return Err(format!(
            "no field of a record is called {name:?}; there are timestamp, key, value, headers"
        ));
    }
    let text = "is no text, {\"base64\": \"...\"} or null";
    let bytes =
        |name: &str, value| bytes_from_json(value).ok_or_else(|| format!("the {name} {text}"));
    let value = object.get("value");
    let value = value.ok_or("the value is missing; null is a tombstone's")?;
    let key = object.get("key").unwrap_or(&Value::Null);
    let mut record = Record {
        key: bytes("key", key)?,
        value: bytes("value", value)?,
        ..Record::default()
    };
    if let Some(timestamp) = object.get("timestamp") {
        let milliseconds = timestamp.as_i64();
        let milliseconds = milliseconds.ok_or("the timestamp is no number of milliseconds")?;
        record.timestamp = Some(Timestamp::new(milliseconds));
    }
    record.headers = headers_from_json(object).ok_or("the headers are no list of pairs")?;
    Ok(record)
}

fn headers_from_json(object: &Map<String, Value>) -> Option<Vec<Header>> {
    let mut headers = Vec::new();
    for pair in object
        .get("headers")
        .map_or(Some(&Vec::new()), Value::as_array)?
    {
        let [name, value] = pair.as_array()?.as_slice() else {
            return None;
        };
        headers.push(Header {
            key: bytes_from_json(name)??,
            value: bytes_from_json(value)?,
        });
    }
    Some(headers)
}

pub(crate) fn bytes_to_json(bytes: Option<&Bytes>) -> Value {
    match bytes.map(|b| std::str::from_utf8(b).map_err(|_| b)) {
        None => Value::Null,
        Some(Ok(text)) => json!(text),
        Some(Err(bytes)) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

/// `None` where `value` is not of the form; `Some(None)` for null.
#[expect(
    clippy::option_option,
    reason = "the outer one is an error, the inner one a null"
)]
fn bytes_from_json(value: &Value) -> Option<Option<Bytes>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(Bytes::from(text.clone()))),
        Value::Object(object) => {
            let text = object.get("base64")?.as_str()?;
            Some(Some(Bytes::from(STANDARD.decode(text).ok()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let record = OwnedRecord {
            offset: 7.into(),
            timestamp: Timestamp::new(1_700_000_000_000),
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(&[0xff, 0x00])),
            headers: vec![
                Header::new("a", Some(Bytes::from_static(b"1"))),
                Header::new("a", None),
                Header {
                    key: Bytes::from_static(b"\xfe"),
                    value: None,
                },
            ],
        };
        let line = to_json("t", 3, &record).to_string();
        let read = from_json(line.as_bytes()).unwrap();
        assert_eq!((read.key, read.value), (record.key, record.value));
        assert_eq!(read.headers, record.headers);
        assert_eq!(read.timestamp, Some(record.timestamp));
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        for line in [
            "",
            "[]",
            "{\"value\": 1}",
            "{\"key\": \"k\"}",
            "{\"value\": \"v\", \"keys\": \"k\"}",
            "{\"value\": \"v\", \"headers\": [1]}",
            "{\"value\": \"v\", \"headers\": [[null, \"v\"]]}",
            "{\"value\": {\"base64\": \"?\"}}",
        ] {
            assert!(from_json(line.as_bytes()).is_err(), "{line} passed");
        }
        assert_eq!(from_json(b"{\"value\": null}").unwrap().value, None);
    }
}
