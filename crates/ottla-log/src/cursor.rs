//! Reading numbers and slices from untrusted bytes: nothing is handed out beyond what remains.

/// A place in untrusted bytes. After an error the place is unspecified.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The bytes end before the value does, or the value is not encoded by the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

type Read<T> = Result<T, Malformed>;

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A zigzag varint of at most 5 bytes that fits an `i32`.
    #[inline]
    pub(crate) fn varint(&mut self) -> Read<i32> {
        if let Some(small) = self.small() {
            return Ok(small);
        }
        let raw = u32::try_from(self.unsigned(5)?).map_err(|_| Malformed("a varint is too big"))?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A zigzag varint of at most 10 bytes that fits an `i64`.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Read<i64> {
        if let Some(small) = self.small() {
            return Ok(i64::from(small));
        }
        let raw = self.unsigned(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A varint of one or two bytes, which nearly all are.
    #[inline]
    fn small(&mut self) -> Option<i32> {
        let (raw, rest) = match self.rest {
            [a, rest @ ..] if *a < 0x80 => (i32::from(*a), rest),
            [a, b, rest @ ..] if *b < 0x80 => (i32::from(*a & 0x7f) | i32::from(*b) << 7, rest),
            _ => return None,
        };
        self.rest = rest;
        Some((raw >> 1) ^ -(raw & 1))
    }

    fn unsigned(&mut self, len_max: usize) -> Read<u64> {
        let mut value = 0_u64;
        for (place, &byte) in self.rest.iter().take(len_max).enumerate() {
            // The tenth byte has room for one bit.
            if place == 9 && byte > 1 {
                return Err(Malformed("a varint is too big"));
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(place + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed(if self.rest.len() < len_max {
            "it ends early"
        } else {
            "a varint is too long"
        }))
    }

    /// Bytes after their varint length; -1 stands for none.
    #[inline]
    pub(crate) fn varint_bytes(&mut self) -> Read<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Ok(None),
            len => {
                let len = usize::try_from(len).map_err(|_| Malformed("a length is negative"))?;
                self.take(len).map(Some)
            }
        }
    }
}

/// Appends `value` as a zigzag varint.
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// How many bytes [`put_varlong`] appends.
pub(crate) const fn varlong_len(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varlongs_read_back(value: i64) {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varlong_len(value));
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varlong(), Ok(value));
            prop_assert_eq!(cursor.remaining(), 0);
        }

        #[test]
        fn varints_read_back_or_say_too_big(value: i64) {
            for value in [value, value >> 33, value >> 58] {
                let mut bytes = Vec::new();
                put_varlong(&mut bytes, value);
                let read = Cursor::new(&bytes).varint();
                match i32::try_from(value) {
                    Ok(small) => prop_assert_eq!(read, Ok(small)),
                    Err(_) => prop_assert!(read.is_err()),
                }
            }
        }
    }

    #[test]
    fn ends_and_overlong_varints_are_errors() {
        assert!(Cursor::new(&[0x80]).varint().is_err());
        assert!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f])
                .varint()
                .is_err()
        );
        assert!(
            Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0])
                .varint()
                .is_err()
        );
        assert!(Cursor::new(&[0xff; 11]).varlong().is_err());
        assert!(Cursor::new(&[3, b'a']).varint_bytes().is_err());
        assert_eq!(Cursor::new(&[1]).varint_bytes(), Ok(None));
        assert_eq!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(),
            Ok(i32::MIN)
        );
    }
}
