//! The guard: what is valid passes, what lies does not, and neither surprises.

use bytes::Bytes;
use proptest::prelude::*;

use super::filler::{Chance, Filled, Length, Style, Width, fill};
use super::header;
use crate::Checked;
use crate::api::{APIS, Api};
use crate::guard::{EXPANSION_MAX, MEMORY_FREE, check};
use crate::shape::{Kind, Shape};

fn filled(api: &Api, version: i16, elements_max: u64, seed: u64) -> Filled {
    let style = Style {
        version,
        flexible: api.is_flexible(version),
        elements_max,
        nulls: true,
        strangers: true,
    };
    fill(api.request, style, seed)
}

/// The message with another length in place of one of its own.
fn with_length(filled: &Filled, length: Length, replacement: &[u8]) -> Vec<u8> {
    let width = match length.width {
        Width::Two => 2,
        Width::Four => 4,
        Width::Varint(bytes) => bytes,
    };
    let (before, after) = filled.bytes.split_at(length.at);
    [before, replacement, &after[width..]].concat()
}

/// Lengths that are a lie whatever they stand before.
fn bombs(width: Width) -> &'static [&'static [u8]] {
    match width {
        Width::Two => &[&[0x7f, 0xff], &[0x80, 0x00], &[0xff, 0xfe]],
        Width::Four => &[
            &[0x7f, 0xff, 0xff, 0xff],
            &[0x10, 0, 0, 0],
            &[0x80, 0, 0, 0],
            &[0xff, 0xff, 0xff, 0xfe],
        ],
        Width::Varint(_) => &[
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff, 0xff, 0xff, 0xff, 0x07],
            &[0x80, 0x80, 0x80, 0x80, 0x01],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_valid_passes_and_what_lies_does_not(seed in any::<u64>()) {
        for api in APIS {
            for version in api.versions.clone() {
                let filled = filled(api, version, 3, seed);
                let encoding = api.encoding(version);
                let check = |bytes: &[u8]| check(api.request, encoding, bytes);
                prop_assert!(check(&filled.bytes).is_ok(), "{} v{}", api.name(), version);
                for length in &filled.lengths {
                    for bomb in bombs(length.width) {
                        let bytes = with_length(&filled, *length, bomb);
                        prop_assert!(check(&bytes).is_err(), "{} v{version}: {length:?} {bomb:?}",
                            api.name());
                    }
                }
                for cut in 0..filled.bytes.len() {
                    prop_assert!(check(&filled.bytes[..cut]).is_err());
                }
                let longer = [&filled.bytes[..], &[0]].concat();
                prop_assert_eq!(check(&longer).ok(), check(&filled.bytes).ok());
            }
        }
    }

    #[test]
    fn what_the_guard_passes_decodes(seed in any::<u64>()) {
        // Bytes that are nearly valid: the only fault that the guard leaves to decoding is text.
        for api in APIS {
            for version in api.versions.clone() {
                let mut chance = Chance(seed);
                let mut bytes = filled(api, version, 3, seed).bytes;
                for _ in 0..=chance.below(3) {
                    let at = chance.below(bytes.len() as u64) as usize;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = chance.next() as u8;
                    }
                }
                if let Ok(checked) = Checked::new(&header(api, version), Bytes::from(bytes)) {
                    let fault = checked.decode().err().map(|e| e.to_string());
                    prop_assert!(fault.is_none_or(|f| f.contains("UTF-8")));
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for api in APIS {
            for version in api.versions.clone() {
                let body = Bytes::copy_from_slice(&bytes);
                if let Ok(checked) = Checked::new(&header(api, version), body) {
                    let _ = checked.decode();
                }
            }
        }
    }
}

/// The most that one byte of an array's elements can grow to.
fn expansion(kind: Kind, version: i16, flexible: bool) -> usize {
    match kind {
        Kind::Fixed(_) | Kind::String | Kind::Bytes => 0,
        Kind::Struct(shape) | Kind::Maybe(shape) => expansion_of(shape, version, flexible),
        Kind::Array(element) => {
            let least = element.kind.wire_bytes_min(version, flexible).max(1);
            let own = element.memory.div_ceil(least);
            own.max(expansion(element.kind, version, flexible))
        }
    }
}

fn expansion_of(shape: &Shape, version: i16, flexible: bool) -> usize {
    let fields = shape.fields.iter().filter(|f| f.is_in(version));
    let each = fields.map(|f| expansion(f.kind, version, flexible));
    each.max().unwrap_or(0)
}

#[test]
fn no_valid_request_expands_beyond_the_limit() {
    for api in APIS {
        for version in api.versions.clone() {
            let grows = expansion_of(api.request, version, api.is_flexible(version));
            assert!(
                grows <= EXPANSION_MAX,
                "{} v{version} grows {grows} times",
                api.name()
            );
            assert!(api.request.memory <= MEMORY_FREE);
        }
    }
}

#[test]
fn depth_is_that_of_the_shape() {
    fn depth(kind: Kind) -> usize {
        match kind {
            Kind::Fixed(_) | Kind::String | Kind::Bytes => 0,
            Kind::Array(element) => 1 + depth(element.kind),
            Kind::Struct(shape) | Kind::Maybe(shape) => {
                1 + shape
                    .fields
                    .iter()
                    .map(|f| depth(f.kind))
                    .max()
                    .unwrap_or(0)
            }
        }
    }
    for api in APIS {
        let depth = depth(Kind::Struct(api.request));
        assert!(depth <= 6, "{} is {depth} deep", api.name());
    }
}

#[test]
fn the_reproducers_of_the_known_aborts_are_refused() {
    // Each made a codec without a guard ask for over 100 GB.
    let known: [(crate::ApiKey, i16, &[u8]); 3] = [
        (
            crate::ApiKey::CreateTopics,
            5,
            b"\xff\xff\xff\xff\x0f\0\0\0\0",
        ),
        (
            crate::ApiKey::Produce,
            9,
            b"\0\0\x01\0\0\0\x01\xff\xff\xff\xff\x0f\0\0\0\0",
        ),
        (crate::ApiKey::Metadata, 1, b"\x7f\xff\xff\xff\0\0\0\0"),
    ];
    for (key, version, body) in known {
        let api = crate::api::find(key).unwrap();
        let refused = Checked::new(&header(api, version), Bytes::from_static(body)).unwrap_err();
        assert!(refused.to_string().contains("elements"), "{refused}");
    }
}

#[test]
fn an_error_names_field_and_place() {
    let api = crate::api::find(crate::ApiKey::Metadata).unwrap();
    let refused = check(api.request, api.encoding(4), &[0; 4]).unwrap_err();
    let text = "MetadataRequest is malformed at byte 4, in allow_auto_topic_creation: \
                1 bytes are needed where 0 are left";
    assert_eq!(refused.to_string(), text);
}
