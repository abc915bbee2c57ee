//! What decoding a request allocates, over all APIs and versions: no single allocation above twice
//! the input plus 64 KiB, nothing at all in header and guard, and no more than the guard said.
#![allow(unsafe_code, reason = "an allocator that counts is one by definition")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::BytesMut;
use ottla_protocol::api::{APIS, Api};
use ottla_protocol::shape::{Kind, Shape};
use ottla_protocol::{Checked, RequestHeader, shape};

#[allow(dead_code, reason = "its other users are the crate's own tests")]
#[path = "../src/tests/filler.rs"]
mod filler;

use filler::{Chance, Style, Width, fill};

/// The system's allocator, with a count of what this thread takes from it.
struct Counting;

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    largest: usize,
    live: usize,
    peak: usize,
}

thread_local! {
    static COUNTS: Cell<Option<Counts>> = const { Cell::new(None) };
}

fn count(change: impl FnOnce(&mut Counts)) {
    let _ = COUNTS.try_with(|cell| {
        if let Some(mut counts) = cell.get() {
            change(&mut counts);
            cell.set(Some(counts));
        }
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|counts| {
            counts.largest = counts.largest.max(layout.size());
            counts.live += layout.size();
            counts.peak = counts.peak.max(counts.live);
        });
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|counts| counts.live = counts.live.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` allocates.
fn counted<T>(work: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.set(Some(Counts::default()));
    let result = work();
    let counts = COUNTS.take().expect("it was set");
    (result, counts)
}

/// Small allocations of the list of pieces and of the frame's owner, which the guard leaves out.
fn slack(memory: usize) -> usize {
    memory / 512 + 1024
}

/// Decodes a frame as the broker does and checks what that takes. Says whether it was valid.
fn decode(api: &Api, version: i16, body: &[u8]) -> bool {
    let what = format!("{} v{version}", api.name());
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&api.key.key().to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    frame.extend_from_slice(if api.is_flexible(version) { &[0] } else { &[] });
    frame.extend_from_slice(body);
    let frame = frame.freeze();
    let allowed = 2 * frame.len() + 64 * 1024;

    let (header, counts) = counted(|| RequestHeader::decode(&frame));
    let (header, body) = header.expect("the header is valid");
    assert!(counts.peak <= 64, "{what}: the header takes {counts:?}");

    let (checked, counts) = counted(|| Checked::new(&header, body));
    assert_eq!(counts.peak, 0, "{what}: the guard allocates {counts:?}");
    let Ok(checked) = checked else {
        return false;
    };
    let memory = checked.memory();
    let (request, counts) = counted(|| checked.decode());
    assert!(
        counts.largest <= allowed,
        "{what}: {counts:?} for {} bytes",
        frame.len()
    );
    let peak_max = memory + slack(memory);
    assert!(
        counts.peak <= peak_max,
        "{what}: {counts:?}, {memory} announced"
    );
    request.is_ok()
}

fn style(api: &Api, version: i16) -> Style {
    Style {
        version,
        flexible: api.is_flexible(version),
        elements_max: 3,
        nulls: true,
        strangers: true,
    }
}

fn every_version() -> impl Iterator<Item = (&'static Api, i16)> {
    APIS.iter()
        .flat_map(|api| api.versions.clone().map(move |v| (api, v)))
}

#[test]
fn valid_and_hostile_requests_take_no_more_than_allowed() {
    for (api, version) in every_version() {
        for seed in 0..20 {
            let filled = fill(api.request, style(api, version), seed);
            assert!(
                decode(api, version, &filled.bytes),
                "{} v{version}",
                api.name()
            );
            for length in &filled.lengths {
                let (width, bomb): (usize, &[u8]) = match length.width {
                    Width::Two => (2, &[0x7f, 0xff]),
                    Width::Four => (4, &[0x7f, 0xff, 0xff, 0xff]),
                    Width::Varint(width) => (width, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
                };
                let (before, after) = filled.bytes.split_at(length.at);
                let bytes = [before, bomb, &after[width..]].concat();
                assert!(!decode(api, version, &bytes), "a bomb passed");
            }
            let mut chance = Chance(seed);
            let mut noisy = filled.bytes;
            for _ in 0..4 {
                let at = chance.below(noisy.len() as u64) as usize;
                if let Some(byte) = noisy.get_mut(at) {
                    *byte = chance.next() as u8;
                }
            }
            decode(api, version, &noisy);
        }
    }
}

/// The smallest valid bytes of a value, but with `count` elements in the array `wide` steps away.
struct Minimal {
    version: i16,
    flexible: bool,
    count: usize,
    /// Arrays still to be passed before the one with many elements.
    wide: usize,
    found: bool,
    bytes: Vec<u8>,
}

impl Minimal {
    fn fields(&mut self, shape: &Shape) {
        let version = self.version;
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
            Kind::Fixed(bytes) => self.bytes.resize(self.bytes.len() + bytes, 0),
            Kind::Struct(shape) => self.fields(shape),
            Kind::Maybe(shape) => {
                self.bytes.push(1);
                self.fields(shape);
            }
            Kind::String | Kind::Bytes if self.flexible => self.bytes.push(1),
            Kind::String => self.bytes.extend_from_slice(&[0, 0]),
            Kind::Bytes => self.bytes.extend_from_slice(&[0; 4]),
            Kind::Array(element) => {
                let many = self.wide == 0 && !self.found;
                self.found |= many;
                self.wide = self.wide.saturating_sub(1);
                // One element on the way down, so that arrays inside it are reached.
                let count = if many {
                    self.count
                } else {
                    usize::from(!self.found)
                };
                self.put_count(count);
                (0..count).for_each(|_| self.value(element.kind));
            }
        }
    }

    fn put_count(&mut self, count: usize) {
        if !self.flexible {
            self.bytes.extend_from_slice(&(count as i32).to_be_bytes());
            return;
        }
        let mut value = count + 1;
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[test]
fn honest_lists_of_empty_elements_pass_in_small_pieces() {
    let mut lists = 0;
    for (api, version) in every_version() {
        for wide in 0.. {
            let mut minimal = Minimal {
                version,
                flexible: api.is_flexible(version),
                count: 8_000,
                wide,
                found: false,
                bytes: Vec::new(),
            };
            minimal.fields(api.request);
            if !minimal.found {
                break;
            }
            lists += 1;
            assert!(
                decode(api, version, &minimal.bytes),
                "{} v{version}",
                api.name()
            );
        }
    }
    assert!(lists > 150, "only {lists} lists were tried");
}
