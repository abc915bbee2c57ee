//! Requests from JSON to bytes and responses from bytes to JSON, by the table.
//!
//! The encoder writes what it is told, allowed or not. The decoder keeps everything: a tagged
//! field appears in the JSON exactly when it is on the wire, and bytes left over are an error.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    batch,
    schema::{Api, Field, Kind},
};

/// A byte field's value: what [`bytes`] makes of bytes.
const BYTES: &str = "bytes";
/// In a request's struct: tagged fields of no schema, as an object of tag number to text.
pub(crate) const UNKNOWN_TAGS: &str = "unknownTags";

/// The JSON that stands for a byte field's bytes.
pub fn bytes(bytes: &[u8]) -> Value {
    let mut object = Map::new();
    object.insert(BYTES.to_owned(), Value::from(hex(bytes)));
    Value::Object(object)
}

/// Bytes as hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a request. Fields that are not given have their defaults; those that `version` does
/// not have are left out.
///
/// # Panics
/// When `value` has a field that no version has, or of another type: the caller is wrong.
pub fn encode_request(api: &Api, version: i16, value: &Value) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::new(),
        version,
        flexible: api.is_flexible(version),
    };
    writer.fields(&api.request, value);
    writer.out
}

/// The JSON of a response's body.
///
/// # Errors
/// When the bytes are not such a response, to the last one.
pub fn decode_response(api: &Api, version: i16, body: &[u8]) -> Result<Value, String> {
    let mut reader = Reader {
        rest: body,
        version,
        flexible: api.is_flexible(version),
    };
    let value = reader.fields(&api.response)?;
    match reader.rest.len() {
        0 => Ok(value),
        left => Err(format!("{left} bytes left over after {value}")),
    }
}

struct Writer {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
}

impl Writer {
    fn fields(&mut self, fields: &[Field], value: &Value) {
        let given = value.as_object().expect("a struct is a JSON object");
        for name in given.keys().filter(|name| *name != UNKNOWN_TAGS) {
            assert!(
                fields.iter().any(|field| field.name == name),
                "no field is called {name}"
            );
        }
        let mut tagged = Vec::new();
        let version = self.version;
        for field in fields
            .iter()
            .filter(|field| field.versions.contains(&version))
        {
            match (field.tag, given.get(field.name)) {
                (None, value) => self.value(&field.kind, value.unwrap_or(&field.default)),
                (Some(tag), Some(value)) => {
                    let mut inner = Self {
                        out: Vec::new(),
                        ..*self
                    };
                    inner.value(&field.kind, value);
                    tagged.push((tag, inner.out));
                }
                (Some(_), None) => {}
            }
        }
        if !self.flexible {
            return;
        }
        let unknown = given.get(UNKNOWN_TAGS).and_then(Value::as_object);
        for (tag, text) in unknown.into_iter().flatten() {
            let text = text.as_str().expect("an unknown tag holds text");
            tagged.push((
                tag.parse().expect("a tag is a number"),
                text.as_bytes().to_vec(),
            ));
        }
        self.varint(tagged.len());
        for (tag, bytes) in tagged {
            self.varint(tag as usize);
            self.varint(bytes.len());
            self.out.extend(bytes);
        }
    }

    fn value(&mut self, kind: &Kind, value: &Value) {
        match kind {
            Kind::Bool => self.out.push(value.as_bool().expect("a bool").into()),
            Kind::Int8 => self.int::<i8>(value, |n| vec![n.to_be_bytes()[0]]),
            Kind::Int16 => self.int::<i16>(value, |n| n.to_be_bytes().to_vec()),
            Kind::Int32 => self.int::<i32>(value, |n| n.to_be_bytes().to_vec()),
            Kind::Int64 => self.int::<i64>(value, |n| n.to_be_bytes().to_vec()),
            Kind::Uint16 => self.int::<u16>(value, |n| n.to_be_bytes().to_vec()),
            Kind::Float64 => {
                self.out
                    .extend(value.as_f64().expect("a float").to_be_bytes());
            }
            Kind::String => {
                let text = value.as_str().map(str::as_bytes);
                assert!(text.is_some() || value.is_null(), "{value} is not a string");
                self.length(text.map(<[u8]>::len), LengthBytes::Two);
                self.out.extend(text.unwrap_or_default());
            }
            Kind::Uuid => {
                let id = value
                    .as_str()
                    .map(|text| URL_SAFE_NO_PAD.decode(text).expect("a uuid"));
                self.out.extend(id.unwrap_or_else(|| vec![0; 16]));
            }
            Kind::Bytes | Kind::Records => {
                let given = (!value.is_null()).then(|| unhex(value));
                self.length(given.as_ref().map(Vec::len), LengthBytes::Four);
                self.out.extend(given.unwrap_or_default());
            }
            Kind::List(element) => {
                let list = value.as_array();
                assert!(list.is_some() || value.is_null(), "{value} is not a list");
                self.length(list.map(Vec::len), LengthBytes::Four);
                list.into_iter()
                    .flatten()
                    .for_each(|value| self.value(element, value));
            }
            Kind::Struct { nullable: true, .. } if value.is_null() => self.out.push(0xff),
            Kind::Struct { fields, nullable } => {
                if *nullable {
                    self.out.push(1);
                }
                self.fields(fields, value);
            }
        }
    }

    fn int<N: TryFrom<i64>>(&mut self, value: &Value, bytes: fn(N) -> Vec<u8>) {
        let number = value.as_i64().and_then(|number| N::try_from(number).ok());
        assert!(number.is_some(), "{value} is not such a number");
        self.out.extend(number.map(bytes).unwrap_or_default());
    }

    fn length(&mut self, length: Option<usize>, fixed: LengthBytes) {
        if self.flexible {
            return self.varint(length.map_or(0, |length| length + 1));
        }
        let length = length.map_or(-1, |length| i32::try_from(length).expect("a small request"));
        match fixed {
            LengthBytes::Two => {
                let length = i16::try_from(length).expect("a short string");
                self.out.extend(length.to_be_bytes());
            }
            LengthBytes::Four => self.out.extend(length.to_be_bytes()),
        }
    }

    fn varint(&mut self, number: usize) {
        write_varint(&mut self.out, number as u64);
    }
}

/// An unsigned variable-length integer: seven bits a byte, the lowest first.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How a length is written before the flexible versions.
#[derive(Clone, Copy)]
enum LengthBytes {
    Two,
    Four,
}

struct Reader<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
}

impl<'a> Reader<'a> {
    fn fields(&mut self, fields: &[Field]) -> Result<Value, String> {
        let mut object = Map::new();
        for field in fields {
            if field.tag.is_none() && field.versions.contains(&self.version) {
                let value = self
                    .value(&field.kind)
                    .map_err(|error| format!("{}: {error}", field.name))?;
                object.insert(field.name.to_owned(), value);
            }
        }
        if self.flexible {
            for _ in 0..self.varint()? {
                let tag = self.varint()?;
                let length = self.varint()?;
                let mut inner = Reader {
                    rest: self.take(length)?,
                    ..*self
                };
                let known = fields.iter().find(|field| {
                    field.tag.is_some_and(|known| known as usize == tag)
                        && field.versions.contains(&self.version)
                });
                let (name, value) = match known {
                    Some(field) => (field.name.to_owned(), inner.value(&field.kind)?),
                    None => (format!("tag {tag}"), bytes(inner.take(length)?)),
                };
                if !inner.rest.is_empty() {
                    return Err(format!("bytes left over in {name}"));
                }
                object.insert(name, value);
            }
        }
        Ok(Value::Object(object))
    }

    fn value(&mut self, kind: &Kind) -> Result<Value, String> {
        Ok(match kind {
            Kind::Bool => Value::from(self.array::<1>()? != [0]),
            Kind::Int8 => Value::from(i8::from_be_bytes(self.array()?)),
            Kind::Int16 => Value::from(i16::from_be_bytes(self.array()?)),
            Kind::Int32 => Value::from(i32::from_be_bytes(self.array()?)),
            Kind::Int64 => Value::from(i64::from_be_bytes(self.array()?)),
            Kind::Uint16 => Value::from(u16::from_be_bytes(self.array()?)),
            Kind::Float64 => Value::from(f64::from_be_bytes(self.array()?)),
            Kind::Uuid => Value::from(URL_SAFE_NO_PAD.encode(self.array::<16>()?)),
            Kind::String => match self.length(LengthBytes::Two)? {
                None => Value::Null,
                Some(length) => {
                    let text = str::from_utf8(self.take(length)?).map_err(|e| e.to_string())?;
                    Value::from(text)
                }
            },
            Kind::Bytes => match self.length(LengthBytes::Four)? {
                None => Value::Null,
                Some(length) => bytes(self.take(length)?),
            },
            Kind::Records => match self.length(LengthBytes::Four)? {
                None => Value::Null,
                Some(length) => batch::describe(self.take(length)?),
            },
            Kind::List(element) => match self.length(LengthBytes::Four)? {
                None => Value::Null,
                Some(length) => {
                    let elements = (0..length).map(|_| self.value(element));
                    Value::Array(elements.collect::<Result<_, _>>()?)
                }
            },
            Kind::Struct { fields, nullable } => {
                // A struct that may be null begins with a byte: -1 says that it is.
                if *nullable && self.array::<1>()? == [0xff] {
                    return Ok(Value::Null);
                }
                self.fields(fields)?
            }
        })
    }

    fn length(&mut self, fixed: LengthBytes) -> Result<Option<usize>, String> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1));
        }
        let length = match fixed {
            LengthBytes::Two => i16::from_be_bytes(self.array()?).into(),
            LengthBytes::Four => i32::from_be_bytes(self.array()?),
        };
        Ok(usize::try_from(length).ok())
    }

    fn varint(&mut self) -> Result<usize, String> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a varint of more than five bytes".to_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take returns as many bytes as asked"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| format!("{count} bytes wanted, {} there", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The bytes that a byte field's JSON stands for: those of [`bytes`], or a text's.
fn unhex(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    let digits = value[BYTES]
        .as_str()
        .expect("a byte field is text or made by bytes()");
    let pairs = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits"))
        .collect()
}
