//! The guard: a walk over a message's bytes, by its shape, before anything of it is decoded.
//!
//! It allocates nothing, touches each length once and refuses what lies: lengths past the end,
//! more elements than the bytes could hold, nulls where none may be. It adds up the memory that the
//! decoded message will take, so that this can be charged before it is spent, and refuses what
//! would grow beyond [`EXPANSION_MAX`] times its size. What follows the message is its caller's
//! matter: behind a request it is passed over.
//!
//! It does not look into strings or bytes: whether text is UTF-8 the codec checks, and record
//! batches are the log's matter. Its depth is that of the shape, which is finite.

use thiserror::Error;

use crate::shape::{Element, Kind, Shape};
use crate::wire::{Cursor, Fault};

/// How many times its size on the wire a message may take in memory.
pub const EXPANSION_MAX: usize = 64;
/// What a message may take in memory whatever its size.
pub const MEMORY_FREE: usize = 4096;

/// How a message is encoded: its version, and whether that is a flexible one (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The version.
    pub version: i16,
    /// Compact lengths and tagged fields.
    pub flexible: bool,
}

/// How much a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The memory that it takes decoded, beyond its own bytes.
    pub memory: usize,
    /// The elements of all its lists together. Whatever a message asks for, it asks for by these.
    pub elements: usize,
    /// The bytes of all its texts together. What is said of them may repeat them.
    pub text: usize,
}

/// Walks `body`, which must begin with one message of `shape`; says how much it is. What follows
/// the message is not looked at, as Kafka does not: librdkafka 2.16 sends three stray bytes behind
/// a Metadata request of version 13.
///
/// # Errors
/// [`Malformed`] says what is wrong, in which field, and where.
pub fn check(shape: &'static Shape, encoding: Encoding, body: &[u8]) -> Result<Size, Malformed> {
    let mut walk = Walk {
        cursor: Cursor::new(body),
        encoding,
        size: Size {
            memory: shape.memory,
            ..Size::default()
        },
        memory_max: body
            .len()
            .saturating_mul(EXPANSION_MAX)
            .saturating_add(MEMORY_FREE),
        field: shape.name,
    };
    match walk.fields(shape) {
        Ok(()) => Ok(walk.size),
        Err(fault) => Err(Malformed {
            message: shape.name,
            field: walk.field,
            position: body.len() - walk.cursor.left(),
            fault,
        }),
    }
}

/// Bytes that are not the message that they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} is malformed at byte {position}, in {field}: {fault}")]
pub struct Malformed {
    /// The name of the message.
    pub message: &'static str,
    /// The name of the field, or of the message.
    pub field: &'static str,
    /// How many bytes of the message were good.
    pub position: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// A walk under way.
struct Walk<'a> {
    cursor: Cursor<'a>,
    encoding: Encoding,
    /// What was walked over.
    size: Size,
    memory_max: usize,
    /// The field that is walked over, for the error.
    field: &'static str,
}

impl Walk<'_> {
    fn fields(&mut self, shape: &Shape) -> Result<(), Fault> {
        let version = self.encoding.version;
        for field in shape.fields {
            if field.tag.is_none() && field.is_in(version) {
                self.field = field.name;
                self.value(field.kind, field.may_be_null(version))?;
            }
        }
        if self.encoding.flexible {
            self.tagged(shape)?;
        }
        Ok(())
    }

    /// The tagged fields at the end of a struct: known ones are walked, others passed over, since
    /// decoding drops them.
    fn tagged(&mut self, shape: &Shape) -> Result<(), Fault> {
        let version = self.encoding.version;
        for _ in 0..self.cursor.varint()? {
            let (tag, inside) = self.cursor.tagged()?;
            let mut known = shape.fields.iter().filter(|f| f.is_in(version));
            let Some(field) = known.find(|f| f.tag == Some(tag)) else {
                continue;
            };
            self.field = field.name;
            let after = std::mem::replace(&mut self.cursor, inside);
            self.value(field.kind, field.may_be_null(version))?;
            if self.cursor.left() > 0 {
                return Err(Fault::TagSize);
            }
            self.cursor = after;
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, may_be_null: bool) -> Result<(), Fault> {
        let compact = self.encoding.flexible;
        let length = match kind {
            Kind::Fixed(bytes) => return self.cursor.take(bytes).map(drop),
            Kind::Struct(shape) => return self.fields(shape),
            Kind::Maybe(shape) => {
                return match self.cursor.i8()? {
                    ..0 if may_be_null => Ok(()),
                    ..0 => Err(Fault::Null),
                    0.. => self.fields(shape),
                };
            }
            Kind::String => self.cursor.string_length(compact)?,
            Kind::Bytes | Kind::Array(_) => self.cursor.length(compact)?,
        };
        match (length, kind) {
            (None, _) if may_be_null => Ok(()),
            (None, _) => Err(Fault::Null),
            (Some(count), Kind::Array(element)) => self.array(element, count),
            (Some(length), kind) => {
                if matches!(kind, Kind::String) {
                    self.size.text = self.size.text.saturating_add(length);
                }
                self.cursor.take(length).map(drop)
            }
        }
    }

    fn array(&mut self, element: &Element, count: usize) -> Result<(), Fault> {
        let Encoding { version, flexible } = self.encoding;
        let least = element.kind.wire_bytes_min(version, flexible).max(1);
        let left = self.cursor.left();
        if count > left / least {
            return Err(Fault::Count { count, left });
        }
        // No overflow: the count is at most the bytes of a frame, and an element's size small.
        let size = &mut self.size;
        size.elements = size.elements.saturating_add(count);
        size.memory = size
            .memory
            .saturating_add(count.saturating_mul(element.memory));
        if size.memory > self.memory_max {
            return Err(Fault::Expands {
                decoded: size.memory,
                limit: self.memory_max,
            });
        }
        if let Kind::Fixed(bytes) = element.kind {
            return self.cursor.take(count * bytes).map(drop);
        }
        for _ in 0..count {
            self.value(element.kind, false)?;
        }
        Ok(())
    }
}
