//! Requests that ask for as much as they can in few bytes: one list of many elements, no two with
//! the same text.

use ottla_protocol::api::Api;
use ottla_protocol::shape::{Kind, Shape};

/// What the texts of a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// As short as different names can be.
    Short,
    /// Long and of bytes that are quoted with escapes.
    Escaped,
}

/// Which request to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide {
    pub(crate) version: i16,
    /// The elements of the wide list.
    pub(crate) count: usize,
    /// How many lists stand before it.
    pub(crate) list: usize,
    /// The elements of the lists inside its elements.
    pub(crate) inside: usize,
    /// The value of every number.
    pub(crate) number: u8,
    pub(crate) text: Text,
}

impl Wide {
    /// The request's body; `None` where it has no such list.
    pub(crate) fn body(self, api: &Api) -> Option<Vec<u8>> {
        let mut writer = Writer {
            wide: self,
            flexible: api.is_flexible(self.version),
            lists: self.list,
            found: false,
            texts: 0,
            bytes: Vec::new(),
        };
        writer.fields(api.request);
        writer.found.then_some(writer.bytes)
    }
}

struct Writer {
    wide: Wide,
    flexible: bool,
    /// Lists still to be passed before the wide one.
    lists: usize,
    found: bool,
    texts: u32,
    bytes: Vec<u8>,
}

impl Writer {
    fn fields(&mut self, shape: &Shape) {
        let version = self.wide.version;
        for field in shape.fields.iter().filter(|f| f.is_in(version)) {
            if field.tag.is_none() {
                self.value(field.kind);
            }
        }
        if self.flexible {
            self.bytes.push(0);
        }
    }

    fn value(&mut self, kind: Kind) {
        match kind {
            Kind::Fixed(bytes) => {
                let zeros = bytes.saturating_sub(1);
                self.bytes.resize(self.bytes.len() + zeros, 0);
                self.bytes.push(self.wide.number);
            }
            Kind::Struct(shape) => self.fields(shape),
            Kind::Maybe(shape) => {
                self.bytes.push(1);
                self.fields(shape);
            }
            Kind::String => self.text(),
            Kind::Bytes => self.length(0, 4),
            Kind::Array(element) => {
                let count = match (self.found, self.lists) {
                    (true, _) => self.wide.inside,
                    (false, 0) => {
                        self.found = true;
                        self.wide.count
                    }
                    (false, _) => {
                        self.lists -= 1;
                        1
                    }
                };
                self.length(count, 4);
                (0..count).for_each(|_| self.value(element.kind));
            }
        }
    }

    /// A text that no other one of this request equals.
    fn text(&mut self) {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz012345";
        let digit = |place: u32| LETTERS[(self.texts >> (5 * place)) as usize % 32];
        let name = [digit(0), digit(1), digit(2)];
        self.texts += 1;
        let mut text = match self.wide.text {
            Text::Short => Vec::new(),
            Text::Escaped => vec![1; 1000],
        };
        text.extend_from_slice(&name);
        self.length(text.len(), 2);
        self.bytes.extend_from_slice(&text);
    }

    /// A length in a field of `classic` bytes where the version has no compact ones.
    fn length(&mut self, length: usize, classic: usize) {
        if !self.flexible {
            let all = (length as u32).to_be_bytes();
            return self.bytes.extend_from_slice(&all[4 - classic..]);
        }
        let mut value = length + 1;
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
