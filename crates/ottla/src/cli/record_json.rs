//! A record as one JSON object: what `consume --json` prints and `produce --json` reads.
//!
//! Keys, values and header values are text where they are UTF-8, else `{"base64": "..."}`; `null`
//! is a missing one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_log::{Header, OwnedRecord, Record, Timestamp};
use serde_json::{Map, Value, json};

use super::client::ClientError;

/// The object for `record` of `topic`-`partition`.
pub(crate) fn to_json(topic: &str, partition: i32, record: &OwnedRecord) -> Value {
    let mut object = fields(record);
    object["topic"] = json!(topic);
    object["partition"] = json!(partition);
    object
}

/// The object for a record alone.
pub(crate) fn fields(record: &OwnedRecord) -> Value {
    let header = |h: &Header| json!([h.key_text(), bytes_to_json(h.value.as_ref())]);
    json!({
        "offset": record.offset.get(),
        "timestamp": record.timestamp.get(),
        "key": bytes_to_json(record.key.as_ref()),
        "value": bytes_to_json(record.value.as_ref()),
        "headers": record.headers.iter().map(header).collect::<Vec<_>>(),
    })
}

/// The record in one line of input; topic, partition and offset in it are passed over.
pub(crate) fn from_json(line: &str) -> Result<Record, ClientError> {
    let wrong = |what: &str| ClientError::Input(format!("not a record as JSON: {what}: {line:?}"));
    let parsed: Value = serde_json::from_str(line).map_err(|e| wrong(&e.to_string()))?;
    let object = parsed.as_object().ok_or_else(|| wrong("not an object"))?;
    let field = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(value) => bytes_from_json(value).ok_or_else(|| wrong(name)),
    };
    let mut record = Record {
        key: field("key")?,
        value: field("value")?,
        ..Record::default()
    };
    if let Some(timestamp) = object.get("timestamp") {
        let milliseconds = timestamp.as_i64().ok_or_else(|| wrong("timestamp"))?;
        record.timestamp = Some(Timestamp::new(milliseconds));
    }
    record.headers = headers_from_json(object).ok_or_else(|| wrong("headers"))?;
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
        headers.push(Header::new(name.as_str()?, bytes_from_json(value)?));
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
            ],
        };
        let line = to_json("t", 3, &record).to_string();
        let read = from_json(&line).unwrap();
        assert_eq!((read.key, read.value), (record.key, record.value));
        assert_eq!(read.headers, record.headers);
        assert_eq!(read.timestamp, Some(record.timestamp));
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        for line in [
            "",
            "[]",
            "{\"key\": 1}",
            "{\"headers\": [1]}",
            "{\"value\": {\"base64\": \"?\"}}",
        ] {
            assert!(from_json(line).is_err(), "{line} passed");
        }
    }
}
