//! What a message looks like on the wire, as data: the guard walks it, tests build messages from
//! it, and the same table of fields that makes it makes the codec (`fields.rs`).

/// What one value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// So many bytes: a number, a flag, a UUID.
    Fixed(usize),
    /// A length of two bytes or a varint, then UTF-8.
    String,
    /// A length of four bytes or a varint, then any bytes.
    Bytes,
    /// A count of four bytes or a varint, then the elements.
    Array(&'static Element),
    /// The fields of a struct.
    Struct(&'static Shape),
    /// A byte below zero for "none", or another one and the fields of a struct.
    Maybe(&'static Shape),
}

/// The elements of an array.
#[derive(Debug)]
pub struct Element {
    /// What each looks like.
    pub kind: Kind,
    /// The memory that each takes decoded, without what it refers to.
    pub memory: usize,
}

/// A struct.
#[derive(Debug)]
pub struct Shape {
    /// Its name in Kafka's schemas.
    pub name: &'static str,
    /// The memory that it takes decoded, without what it refers to.
    pub memory: usize,
    /// Its fields in the order of the wire; tagged ones may stand anywhere.
    pub fields: &'static [FieldShape],
}

/// A field of a struct.
#[derive(Debug)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// The first version that has it.
    pub first: i16,
    /// The last version that has it.
    pub last: i16,
    /// The first version in which it may be null; `i16::MAX` where it never may.
    pub null_from: i16,
    /// Its number, where it is a tagged field.
    pub tag: Option<u32>,
    /// What its value looks like.
    pub kind: Kind,
}

impl FieldShape {
    /// Whether `version` has the field.
    #[must_use]
    pub const fn is_in(&self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether the field may be null in `version`.
    #[must_use]
    pub const fn may_be_null(&self, version: i16) -> bool {
        version >= self.null_from && self.null_from != i16::MAX
    }
}

impl Shape {
    /// The fewest bytes that such a struct has in `version`.
    #[must_use]
    pub fn wire_bytes_min(&self, version: i16, flexible: bool) -> usize {
        let fields = self.fields.iter().filter(|f| f.is_in(version));
        let plain = fields.filter(|f| f.tag.is_none());
        let bytes: usize = plain
            .map(|f| f.kind.wire_bytes_min(version, flexible))
            .sum();
        bytes + usize::from(flexible)
    }
}

impl Kind {
    /// The fewest bytes that such a value has in `version`.
    #[must_use]
    pub fn wire_bytes_min(&self, version: i16, flexible: bool) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::String | Self::Bytes | Self::Array(_) if flexible => 1,
            Self::String => 2,
            Self::Bytes | Self::Array(_) => 4,
            Self::Struct(shape) => shape.wire_bytes_min(version, flexible),
            Self::Maybe(_) => 1,
        }
    }
}
