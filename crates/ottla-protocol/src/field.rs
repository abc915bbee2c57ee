//! How each type of a field is read and written: the codec below the table of fields.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use thiserror::Error;
use uuid::Uuid;

use crate::guard::Encoding;
use crate::seq::Seq;
use crate::shape::{Element, Kind};
use crate::wire::{Cursor, Fault};

/// The form of one value: the version of its message, whether that is a flexible one (KIP-482),
/// and whether the value may be null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) version: i16,
    pub(crate) flexible: bool,
    pub(crate) nullable: bool,
}

impl Form {
    /// The form of a message as a whole.
    pub(crate) const fn of(encoding: Encoding) -> Self {
        Self {
            version: encoding.version,
            flexible: encoding.flexible,
            nullable: true,
        }
    }

    pub(crate) const fn never_null(self) -> Self {
        Self {
            nullable: false,
            ..self
        }
    }
}

/// A type that fields can have.
pub(crate) trait Field: Sized {
    /// What it looks like on the wire.
    const KIND: Kind;
    /// Whether it can hold null.
    const NULLABLE: bool = false;

    /// Takes one value.
    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault>;

    /// Writes the value.
    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError>;
}

/// Bytes to read values from; what is read of strings and bytes shares their memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) cursor: Cursor<'a>,
    whole: &'a Bytes,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(whole: &'a Bytes) -> Self {
        Self {
            cursor: Cursor::new(whole),
            whole,
        }
    }

    /// The next `length` bytes, not copied.
    fn share(&mut self, length: usize) -> Result<Bytes, Fault> {
        Ok(self.whole.slice_ref(self.cursor.take(length)?))
    }

    /// The next tagged field: its tag and its bytes.
    pub(crate) fn tagged(&mut self) -> Result<(u32, Self), Fault> {
        let (tag, cursor) = self.cursor.tagged()?;
        let whole = self.whole;
        Ok((tag, Self { cursor, whole }))
    }

    /// The value of a tagged field, which has nothing else in it.
    pub(crate) fn only<F: Field>(mut self, form: Form) -> Result<F, Fault> {
        let value = F::read(&mut self, form)?;
        match self.cursor.left() {
            0 => Ok(value),
            _ => Err(Fault::TagSize),
        }
    }

    /// The count of an array, at most what the bytes left could hold.
    fn count<T: Field>(&mut self, form: Form) -> Result<Option<usize>, Fault> {
        let Some(count) = self.cursor.length(form.flexible)? else {
            return null(form);
        };
        let least = T::KIND.wire_bytes_min(form.version, form.flexible).max(1);
        let left = self.cursor.left();
        if count > left / least {
            return Err(Fault::Count { count, left });
        }
        Ok(Some(count))
    }
}

/// A null was read: fine where the form allows it.
fn null<T>(form: Form) -> Result<Option<T>, Fault> {
    if form.nullable {
        Ok(None)
    } else {
        Err(Fault::Null)
    }
}

/// Where encoded bytes go.
pub(crate) trait Sink {
    /// Appends a copy of `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Appends `bytes`, copied or not.
    fn share(&mut self, bytes: &Bytes) {
        self.put(bytes);
    }

    /// Appends `length` bytes that the caller has elsewhere, as its payload number `index`.
    fn payload(&mut self, index: usize, length: usize) -> Result<(), EncodeError>;

    /// Appends an unsigned varint.
    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            // The low seven bits with the mark that more follow; the cast drops the others.
            self.put(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }
}

impl Sink for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn payload(&mut self, index: usize, _: usize) -> Result<(), EncodeError> {
        Err(EncodeError::Payload { index })
    }
}

/// Counts the bytes that it is given: the size of a tagged field stands before the field.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    pub(crate) bytes: usize,
}

impl Sink for Measure {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn payload(&mut self, _: usize, length: usize) -> Result<(), EncodeError> {
        self.bytes += length;
        Ok(())
    }
}

/// Writes a tagged field: its tag, the size of its value, the value.
pub(crate) fn write_tagged<F: Field, S: Sink>(
    out: &mut S,
    tag: u32,
    value: &F,
    form: Form,
) -> Result<(), EncodeError> {
    let mut measure = Measure::default();
    value.write(&mut measure, form)?;
    out.varint(tag);
    out.varint(u32::try_from(measure.bytes).map_err(|_| too_long(measure.bytes))?);
    value.write(out, form)
}

/// Why a message cannot be encoded: a mistake of the one who made it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string or a list is longer than its length field can say.
    #[error("a value of length {length} is longer than its encoding allows")]
    TooLong {
        /// The length.
        length: usize,
    },
    /// A null in a version that does not know it.
    #[error("a value is null in version {version}, which does not allow that")]
    Null {
        /// The version.
        version: i16,
    },
    /// A payload in a message that cannot be sent in segments.
    #[error("payload {index} is not allowed here: only Fetch responses are sent in segments")]
    Payload {
        /// The payload's number.
        index: usize,
    },
    /// The response is not one to the request.
    #[error("a response to {response} was made for a request to {request}")]
    WrongResponse {
        /// What was asked.
        request: crate::ApiKey,
        /// What was answered.
        response: crate::ApiKey,
    },
    /// The codec of another crate refused the message.
    #[error("{0}")]
    Cold(String),
}

fn too_long(length: usize) -> EncodeError {
    EncodeError::TooLong { length }
}

fn put_null<S: Sink>(out: &mut S, form: Form, classic: &[u8]) -> Result<(), EncodeError> {
    if !form.nullable {
        let version = form.version;
        return Err(EncodeError::Null { version });
    }
    if form.flexible {
        out.varint(0);
    } else {
        out.put(classic);
    }
    Ok(())
}

/// Writes a length of four bytes or a varint.
pub(crate) fn put_length<S: Sink>(
    out: &mut S,
    length: usize,
    form: Form,
) -> Result<(), EncodeError> {
    let classic = i32::try_from(length).map_err(|_| too_long(length))?;
    if form.flexible {
        // Cannot overflow: a positive i32 and one more is a u32.
        out.varint(classic.unsigned_abs() + 1);
    } else {
        out.put(&classic.to_be_bytes());
    }
    Ok(())
}

fn put_text<S: Sink>(out: &mut S, text: &str, form: Form) -> Result<(), EncodeError> {
    let length = i16::try_from(text.len()).map_err(|_| too_long(text.len()))?;
    if form.flexible {
        put_length(out, text.len(), form)?;
    } else {
        out.put(&length.to_be_bytes());
    }
    out.put(text.as_bytes());
    Ok(())
}

/// Numbers, most significant byte first.
macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Field for $number {
            const KIND: Kind = Kind::Fixed(size_of::<Self>());

            fn read(input: &mut Reader<'_>, _: Form) -> Result<Self, Fault> {
                input.cursor.array().map(Self::from_be_bytes)
            }

            fn write<S: Sink>(&self, out: &mut S, _: Form) -> Result<(), EncodeError> {
                out.put(&self.to_be_bytes());
                Ok(())
            }
        }
    )+};
}

numbers!(i8 i16 u16 i32 u32 i64 f64);

impl Field for bool {
    const KIND: Kind = Kind::Fixed(1);

    fn read(input: &mut Reader<'_>, _: Form) -> Result<Self, Fault> {
        Ok(input.cursor.i8()? != 0)
    }

    fn write<S: Sink>(&self, out: &mut S, _: Form) -> Result<(), EncodeError> {
        out.put(&[u8::from(*self)]);
        Ok(())
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Fixed(16);

    fn read(input: &mut Reader<'_>, _: Form) -> Result<Self, Fault> {
        input.cursor.array().map(Self::from_bytes)
    }

    fn write<S: Sink>(&self, out: &mut S, _: Form) -> Result<(), EncodeError> {
        out.put(self.as_bytes());
        Ok(())
    }
}

impl Field for Option<StrBytes> {
    const KIND: Kind = Kind::String;
    const NULLABLE: bool = true;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        let Some(length) = input.cursor.string_length(form.flexible)? else {
            return null(form);
        };
        let text = StrBytes::from_utf8(input.share(length)?);
        text.map(Some).map_err(|_| Fault::Utf8)
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        match self {
            Some(text) => put_text(out, text, form),
            None => put_null(out, form, &[0xff; 2]),
        }
    }
}

impl Field for StrBytes {
    const KIND: Kind = Kind::String;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        Option::<Self>::read(input, form.never_null())?.ok_or(Fault::Null)
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        put_text(out, self, form)
    }
}

impl Field for Option<String> {
    const KIND: Kind = Kind::String;
    const NULLABLE: bool = true;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        let Some(length) = input.cursor.string_length(form.flexible)? else {
            return null(form);
        };
        let text = str::from_utf8(input.cursor.take(length)?);
        text.map(|t| Some(t.to_owned())).map_err(|_| Fault::Utf8)
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        match self {
            Some(text) => put_text(out, text, form),
            None => put_null(out, form, &[0xff; 2]),
        }
    }
}

impl Field for String {
    const KIND: Kind = Kind::String;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        Option::<Self>::read(input, form.never_null())?.ok_or(Fault::Null)
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        put_text(out, self, form)
    }
}

impl Field for Option<Bytes> {
    const KIND: Kind = Kind::Bytes;
    const NULLABLE: bool = true;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        match input.cursor.length(form.flexible)? {
            Some(length) => input.share(length).map(Some),
            None => null(form),
        }
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        match self {
            Some(bytes) => bytes.write(out, form),
            None => put_null(out, form, &[0xff; 4]),
        }
    }
}

impl Field for Bytes {
    const KIND: Kind = Kind::Bytes;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        Option::<Self>::read(input, form.never_null())?.ok_or(Fault::Null)
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        put_length(out, self.len(), form)?;
        out.share(self);
        Ok(())
    }
}

/// The elements of a list of `T`, as the shape has them.
struct Elements<T>(std::marker::PhantomData<T>);

impl<T: Field> Elements<T> {
    const ELEMENT: Element = Element {
        kind: T::KIND,
        memory: size_of::<T>(),
    };
}

/// The elements of a `Vec`, whose room is taken at once where they are no larger here than on the
/// wire, else as they are read: unlike a [`Seq`], it does not keep its single allocations small.
fn vec_of<T: Field>(input: &mut Reader<'_>, count: usize, form: Form) -> Result<Vec<T>, Fault> {
    const BYTES_AT_ONCE: usize = 32 * 1024;
    let room = input.cursor.left().max(BYTES_AT_ONCE) / size_of::<T>().max(1);
    let mut list = Vec::with_capacity(count.min(room));
    for _ in 0..count {
        list.push(T::read(input, form)?);
    }
    Ok(list)
}

fn seq_of<T: Field>(input: &mut Reader<'_>, count: usize, form: Form) -> Result<Seq<T>, Fault> {
    Seq::try_fill(count, || T::read(input, form))
}

macro_rules! lists {
    ($($list:ident by $read:ident,)+) => {$(
        impl<T: Field> Field for Option<$list<T>> {
            const KIND: Kind = Kind::Array(&Elements::<T>::ELEMENT);
            const NULLABLE: bool = true;

            fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
                match input.count::<T>(form)? {
                    Some(count) => $read(input, count, form.never_null()).map(Some),
                    None => Ok(None),
                }
            }

            fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
                match self {
                    Some(list) => list.write(out, form),
                    None => put_null(out, form, &[0xff; 4]),
                }
            }
        }

        impl<T: Field> Field for $list<T> {
            const KIND: Kind = Kind::Array(&Elements::<T>::ELEMENT);

            fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
                Option::<Self>::read(input, form.never_null())?.ok_or(Fault::Null)
            }

            fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
                put_length(out, self.len(), form)?;
                self.iter().try_for_each(|element| element.write(out, form.never_null()))
            }
        }
    )+};
}

lists!(Vec by vec_of, Seq by seq_of,);
