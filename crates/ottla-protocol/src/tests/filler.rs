//! Makes messages of a shape: valid bytes, filled by chance from a seed, and where their lengths
//! stand. Also part of the crate's integration tests, so that it uses nothing but the shapes.

use crate::shape::{FieldShape, Kind, Shape};

/// How a message is to be filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) version: i16,
    pub(crate) flexible: bool,
    /// The most elements of an array.
    pub(crate) elements_max: u64,
    /// Whether nullable fields are null at times.
    pub(crate) nulls: bool,
    /// Whether there are tagged fields that nobody knows.
    pub(crate) strangers: bool,
}

/// A filled message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    /// Each length or count in the bytes.
    pub(crate) lengths: Vec<Length>,
}

/// A length in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) at: usize,
    pub(crate) width: Width,
}

/// How a length is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Two,
    Four,
    /// A varint of so many bytes.
    Varint(usize),
}

/// Fills a message of `shape`.
pub(crate) fn fill(shape: &Shape, style: Style, seed: u64) -> Filled {
    let mut filler = Filler {
        style,
        chance: Chance(seed),
        filled: Filled::default(),
    };
    filler.fields(shape);
    filler.filled
}

/// A sequence of numbers that looks like chance (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

struct Filler {
    style: Style,
    chance: Chance,
    filled: Filled,
}

impl Filler {
    fn fields(&mut self, shape: &Shape) {
        let style = self.style;
        let here: Vec<&FieldShape> = shape
            .fields
            .iter()
            .filter(|f| f.is_in(style.version))
            .collect();
        for field in here.iter().filter(|f| f.tag.is_none()) {
            self.value(field.kind, field.may_be_null(style.version));
        }
        if style.flexible {
            let mut known: Vec<&&FieldShape> = here.iter().filter(|f| f.tag.is_some()).collect();
            known.retain(|_| !self.chance.one_in(3));
            known.sort_by_key(|f| f.tag);
            let strangers = if style.strangers {
                self.chance.below(3)
            } else {
                0
            };
            self.varint(known.len() as u64 + strangers);
            for field in known {
                let tag = field.tag.expect("only tagged fields are here");
                let nullable = field.may_be_null(style.version);
                self.tagged(tag, |filler| filler.value(field.kind, nullable));
            }
            for stranger in 0..strangers {
                let size = self.chance.below(9) as usize;
                self.tagged(1000 + stranger as u32, |filler| filler.noise(size));
            }
        }
    }

    /// A tagged field whose value `write` writes.
    fn tagged(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.filled);
        write(self);
        let inner = std::mem::replace(&mut self.filled, outer);
        self.varint(tag.into());
        self.length(inner.bytes.len() as u64, Some(false));
        let base = self.filled.bytes.len();
        let moved = inner.lengths.iter().map(|l| Length {
            at: l.at + base,
            ..*l
        });
        self.filled.lengths.extend(moved);
        self.filled.bytes.extend_from_slice(&inner.bytes);
    }

    fn value(&mut self, kind: Kind, nullable: bool) {
        let null = nullable && self.style.nulls && self.chance.one_in(4);
        match kind {
            Kind::Fixed(1) => self.filled.bytes.push(self.chance.below(2) as u8),
            Kind::Fixed(bytes) => self.number(bytes),
            Kind::Struct(shape) => self.fields(shape),
            Kind::Maybe(_) if null => self.filled.bytes.push(0xff),
            Kind::Maybe(shape) => {
                self.filled.bytes.push(1);
                self.fields(shape);
            }
            _ if null => self.null(kind),
            Kind::String => {
                const TEXTS: &[&str] = &["", "a", "topic-1", "caf\u{e9}", "0123456789012345678"];
                let text = TEXTS[self.chance.below(TEXTS.len() as u64) as usize];
                self.string_length(text.len() as u64);
                self.filled.bytes.extend_from_slice(text.as_bytes());
            }
            Kind::Bytes => {
                let size = self.chance.below(40);
                self.length(size, None);
                self.noise(size as usize);
            }
            Kind::Array(element) => {
                let count = self.chance.below(self.style.elements_max + 1);
                self.length(count, None);
                (0..count).for_each(|_| self.value(element.kind, false));
            }
        }
    }

    /// Numbers are small, negative, or anything.
    fn number(&mut self, bytes: usize) {
        let number = match self.chance.below(4) {
            0 => 0,
            1 => self.chance.below(100),
            2 => u64::MAX,
            _ => self.chance.next(),
        };
        let wide = [number.to_be_bytes(), self.chance.next().to_be_bytes()].concat();
        self.filled
            .bytes
            .extend_from_slice(&wide[8_usize.saturating_sub(bytes)..][..bytes]);
    }

    fn noise(&mut self, size: usize) {
        for _ in 0..size {
            let byte = self.chance.next() as u8;
            self.filled.bytes.push(byte);
        }
    }

    fn null(&mut self, kind: Kind) {
        let null: &[u8] = match kind {
            _ if self.style.flexible => &[0],
            Kind::String => &[0xff; 2],
            _ => &[0xff; 4],
        };
        self.filled.bytes.extend_from_slice(null);
    }

    fn string_length(&mut self, length: u64) {
        if self.style.flexible {
            return self.length(length, None);
        }
        let at = self.filled.bytes.len();
        let width = Width::Two;
        self.filled.lengths.push(Length { at, width });
        self.filled
            .bytes
            .extend_from_slice(&(length as i16).to_be_bytes());
    }

    /// A length; `Some(false)` for one that is a varint and not one higher.
    fn length(&mut self, length: u64, raised: Option<bool>) {
        let at = self.filled.bytes.len();
        let width = if self.style.flexible {
            self.varint(length + u64::from(raised.unwrap_or(true)));
            Width::Varint(self.filled.bytes.len() - at)
        } else {
            self.filled
                .bytes
                .extend_from_slice(&(length as i32).to_be_bytes());
            Width::Four
        };
        self.filled.lengths.push(Length { at, width });
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.filled.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.filled.bytes.push(value as u8);
    }
}
