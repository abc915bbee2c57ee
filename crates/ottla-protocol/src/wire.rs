//! The primitives of the wire format: bounds-checked reading from a slice, and what can be wrong.
//!
//! Nothing here allocates: a length is compared with what remains before a byte is taken, and what
//! is taken is borrowed. The format is Kafka's: big-endian integers, zigzag-free unsigned varints,
//! lengths either as integers ("classic") or as varints one higher than the length ("compact",
//! KIP-482).

use thiserror::Error;

/// What is wrong with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A value goes on past the end.
    #[error("{wanted} bytes are needed where {left} are left")]
    Truncated {
        /// The bytes that the value needs.
        wanted: usize,
        /// The bytes that are left.
        left: usize,
    },
    /// The message ends before its bytes do.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A varint of more than 32 bits.
    #[error("a varint has more than 32 bits")]
    Varint,
    /// A length below -1.
    #[error("a length is {0}")]
    NegativeLength(i32),
    /// A null where none is allowed.
    #[error("a value that cannot be null is null")]
    Null,
    /// More elements than the bytes that are left could hold.
    #[error("an array claims {count} elements where {left} bytes are left")]
    Count {
        /// The elements that the array claims.
        count: usize,
        /// The bytes that are left.
        left: usize,
    },
    /// A string that is longer than strings may be.
    #[error("a string has {0} bytes, more than {STRING_BYTES_MAX}")]
    LongString(usize),
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A tagged field that is longer or shorter than its size says.
    #[error("a tagged field has not the size that it says")]
    TagSize,
    /// More bytes of tagged fields than a header may have.
    #[error("more than {0} bytes of tagged fields")]
    Tags(usize),
    /// The message would take more memory than its size justifies.
    #[error("the message would expand to {decoded} bytes, more than {limit}")]
    Expands {
        /// The memory that the decoded message would take.
        decoded: usize,
        /// The most that is allowed for its size.
        limit: usize,
    },
}

/// The bytes that a string may have: what a classic length can say. Kafka refuses longer ones where
/// their length is compact, too; bytes and arrays may be longer.
pub(crate) const STRING_BYTES_MAX: usize = 32_767;

/// A position in some bytes, from which values are taken in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Fault::Truncated {
                wanted: count,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Fault::Truncated {
                wanted: N,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Fault> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Fault> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned varint of at most 32 bits. Like Kafka, a longer encoding than needed is read as
    /// the number it stands for, as long as it fits five bytes.
    pub(crate) fn varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                return Err(Fault::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Varint)
    }

    /// The length before a string: `None` is null.
    pub(crate) fn string_length(&mut self, compact: bool) -> Result<Option<usize>, Fault> {
        let length = match compact {
            true => self.compact_length()?,
            false => length(i32::from(self.i16()?))?,
        };
        match length {
            Some(bytes) if bytes > STRING_BYTES_MAX => Err(Fault::LongString(bytes)),
            length => Ok(length),
        }
    }

    /// The length before bytes or an array: `None` is null.
    pub(crate) fn length(&mut self, compact: bool) -> Result<Option<usize>, Fault> {
        if compact {
            return self.compact_length();
        }
        length(self.i32()?)
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Fault> {
        let raised = self.varint()? as usize;
        Ok(raised.checked_sub(1))
    }

    /// The next tagged field: its tag and its bytes.
    pub(crate) fn tagged(&mut self) -> Result<(u32, Self), Fault> {
        let tag = self.varint()?;
        let size = self.varint()? as usize;
        Ok((tag, Self::new(self.take(size)?)))
    }
}

/// The length that a classic length prefix means.
fn length(prefix: i32) -> Result<Option<usize>, Fault> {
    match usize::try_from(prefix) {
        Ok(length) => Ok(Some(length)),
        Err(_) if prefix == -1 => Ok(None),
        Err(_) => Err(Fault::NegativeLength(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u32, Fault> {
        Cursor::new(bytes).varint()
    }

    #[test]
    fn varints_of_32_bits_are_read_and_longer_ones_refused() {
        assert_eq!(varint(&[0x00]), Ok(0));
        assert_eq!(varint(&[0x7f]), Ok(127));
        assert_eq!(varint(&[0x80, 0x01]), Ok(128));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(varint(&[0x81, 0x80, 0x80, 0x80, 0x00]), Ok(1));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Fault::Varint));
        assert_eq!(
            varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
            Err(Fault::Varint)
        );
        let truncated = Err(Fault::Truncated { wanted: 1, left: 0 });
        assert_eq!(varint(&[]), truncated);
        assert_eq!(varint(&[0x80]), truncated);
    }

    #[test]
    fn lengths_know_null_and_refuse_negative_ones() {
        let classic = |bytes: &[u8]| Cursor::new(bytes).length(false);
        assert_eq!(classic(&[0, 0, 0, 7]), Ok(Some(7)));
        assert_eq!(classic(&[0xff; 4]), Ok(None));
        assert_eq!(
            classic(&[0xff, 0xff, 0xff, 0xfe]),
            Err(Fault::NegativeLength(-2))
        );
        assert_eq!(classic(&[0x80, 0, 0]).map_err(|_| ()), Err(()));
        let string = |bytes: &[u8]| Cursor::new(bytes).string_length(false);
        assert_eq!(string(&[0x7f, 0xff]), Ok(Some(32_767)));
        assert_eq!(string(&[0x80, 0x00]), Err(Fault::NegativeLength(-32_768)));
        assert_eq!(Cursor::new(&[0]).string_length(true), Ok(None));
        // The same bound for compact ones, whose length is one less than the number.
        let compact = |bytes: &[u8]| Cursor::new(bytes).string_length(true);
        assert_eq!(compact(&[0x80, 0x80, 0x02]), Ok(Some(32_767)));
        assert_eq!(compact(&[0x81, 0x80, 0x02]), Err(Fault::LongString(32_768)));
        assert_eq!(
            Cursor::new(&[0x81, 0x80, 0x02]).length(true),
            Ok(Some(32_768))
        );
        assert_eq!(Cursor::new(&[1]).length(true), Ok(Some(0)));
    }

    #[test]
    fn nothing_is_taken_past_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert!(cursor.take(4).is_err());
        assert_eq!(cursor.left(), 3);
        assert_eq!(cursor.i16(), Ok(0x0102));
        assert!(cursor.i32().is_err());
        assert_eq!(cursor.take(1), Ok([3].as_slice()));
        assert_eq!(cursor.left(), 0);
    }
}
