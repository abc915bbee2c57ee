use proptest::prelude::*;

use super::*;

const COMPRESSED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn limits() -> Limits {
    Limits::default()
}

/// Bytes that look like records: some repetition, some noise.
fn sample(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut out = Vec::with_capacity(len + 64);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let user = state >> 20;
        out.extend(format!("{{\"user\":\"user-{user}\",\"amount\":{state}}}\n").bytes());
    }
    out.truncate(len);
    out
}

#[test]
fn names_and_numbers_read_back() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Codec::from_id(5), None);
    assert_eq!(Codec::from_name("producer"), None);
}

#[test]
fn every_size_reads_back() {
    for len in [
        0,
        1,
        2,
        15,
        100,
        32 * 1024,
        32 * 1024 + 1,
        64 * 1024 + 1,
        400_000,
    ] {
        let bytes = sample(len);
        for codec in Codec::ALL {
            let block = compress(codec, None, &bytes);
            let again = decompress(codec, &block, &limits());
            // Not compared by a macro that would print them.
            assert!(
                again.as_ref() == Ok(&bytes),
                "{codec:?} of {len} bytes: {:?}",
                again.err()
            );
        }
    }
}

#[test]
fn every_level_reads_back() {
    let bytes = sample(50_000);
    for level in [-200_000, -5, 0, 1, 3, 6, 9, 12, 19, 22, 99] {
        for codec in COMPRESSED {
            let block = compress(codec, Some(level), &bytes);
            assert_eq!(
                decompress(codec, &block, &limits()).as_deref(),
                Ok(&bytes[..])
            );
        }
    }
}

#[test]
fn several_members_frames_or_streams_are_one_content() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let mut block = compress(codec, None, b"one ");
        block.extend(compress(codec, None, b"two"));
        assert_eq!(
            decompress(codec, &block, &limits()).as_deref(),
            Ok(&b"one two"[..])
        );
    }
    let mut skippable = vec![0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    skippable.extend(compress(Codec::Zstd, None, b"content"));
    let content = decompress(Codec::Zstd, &skippable, &limits());
    assert_eq!(content.as_deref(), Ok(&b"content"[..]));
}

#[test]
fn raw_snappy_is_understood() {
    for len in [0, 1, 59, 60, 61, 300, 70_000] {
        let bytes = sample(len);
        let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        assert_eq!(
            decompress(Codec::Snappy, &raw, &limits()).as_deref(),
            Ok(&bytes[..])
        );
    }
}

#[test]
fn lz4_frames_of_other_encoders_are_understood() {
    // Both checksums and the size of the content, blocks of up to 4 MiB, one not compressed.
    let content = b"abcabcabcabcabcabc";
    let hash = |bytes: &[u8]| twox_hash::XxHash32::oneshot(0, bytes);
    let mut frame = 0x184d_2204_u32.to_le_bytes().to_vec();
    let mut descriptor = vec![0b0111_1100, 0b0111_0000];
    descriptor.extend((content.len() as u64).to_le_bytes());
    frame.extend(&descriptor);
    frame.push((hash(&descriptor) >> 8) as u8);
    frame.extend((content.len() as u32 | 1 << 31).to_le_bytes());
    frame.extend(content);
    frame.extend(hash(content).to_le_bytes());
    frame.extend([0; 4]);
    frame.extend(hash(content).to_le_bytes());
    assert_eq!(
        decompress(Codec::Lz4, &frame, &limits()).as_deref(),
        Ok(&content[..])
    );
    for at in 0..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x10;
        assert!(
            decompress(Codec::Lz4, &damaged, &limits()).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn nothing_comes_out_beyond_the_limit() {
    let bytes = vec![7; 1 << 20];
    for codec in COMPRESSED {
        let block = compress(codec, None, &bytes);
        let exact = Limits {
            decompressed_bytes_free: bytes.len(),
            decompressed_ratio_max: 1,
            ..limits()
        };
        assert_eq!(
            decompress(codec, &block, &exact).map(|b| b.len()),
            Ok(bytes.len())
        );
        let less = Limits {
            decompressed_bytes_free: bytes.len() - 1,
            ..exact
        };
        let refused = decompress(codec, &block, &less);
        assert!(
            matches!(refused, Err(CodecError::TooLarge { .. })),
            "{codec:?} {refused:?}"
        );
    }
}

#[test]
fn declared_sizes_are_not_believed() {
    // A raw Snappy block of 4 GiB, and one that gives less than it declares.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'];
    assert!(decompress(Codec::Snappy, &huge, &limits()).is_err());
    assert!(decompress(Codec::Snappy, &[2, 0, b'a'], &limits()).is_err());
    assert_eq!(
        decompress(Codec::Snappy, &[1, 0, b'a'], &limits()).as_deref(),
        Ok(&b"a"[..])
    );
    // A zstd frame of one segment that declares 1 GiB, then 8 MiB, and has one byte.
    for declared in [1_u64 << 30, 8 << 20, 2] {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
        frame.extend(declared.to_le_bytes());
        frame.extend([0b0000_1001, 0, 0, b'a']);
        assert!(
            decompress(Codec::Zstd, &frame, &limits()).is_err(),
            "{declared}"
        );
        frame[5..13].copy_from_slice(&1_u64.to_le_bytes());
        assert_eq!(
            decompress(Codec::Zstd, &frame, &limits()).as_deref(),
            Ok(&b"a"[..])
        );
    }
}

#[test]
fn a_window_beyond_the_limit_is_refused() {
    let frame = |exponent: u8| vec![0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0];
    assert_eq!(
        decompress(Codec::Zstd, &frame(17), &limits()),
        Ok(Vec::new())
    );
    assert!(decompress(Codec::Zstd, &frame(18), &limits()).is_err());
    assert!(decompress(Codec::Zstd, &frame(31), &limits()).is_err());
}

#[test]
fn what_is_cut_off_or_followed_by_anything_is_refused() {
    let bytes = sample(3000);
    for codec in COMPRESSED {
        let block = compress(codec, None, &bytes);
        for len in 0..block.len() {
            let cut = decompress(codec, &block[..len], &limits());
            // A stream of Snappy blocks has no end of its own.
            let may_end = codec == Codec::Snappy && len == HEADER_OF_SNAPPY;
            assert_eq!(cut.is_ok(), may_end, "{codec:?} cut to {len}: {cut:?}");
        }
        let mut longer = block;
        longer.extend(b"more");
        assert!(decompress(codec, &longer, &limits()).is_err(), "{codec:?}");
    }
}

const HEADER_OF_SNAPPY: usize = 16;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_decompressed_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400), with_magic in 0..5_u8
    ) {
        let magic: &[u8] = match with_magic {
            0 => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0],
            1 => b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
            2 => &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82],
            3 => &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58],
            _ => &[],
        };
        crate::fuzz::codecs(&[magic, &bytes].concat());
    }

    #[test]
    fn damaged_bytes_are_decompressed_or_refused(
        len in 0..5000_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for codec in COMPRESSED {
            let mut block = compress(codec, None, &sample(len));
            for (at, byte) in &damage {
                let at = at.index(block.len());
                block[at] ^= byte;
            }
            crate::fuzz::codecs(&block);
        }
    }

    #[test]
    fn any_content_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        for codec in COMPRESSED {
            let block = compress(codec, None, &bytes);
            let again = decompress(codec, &block, &limits());
            prop_assert_eq!(again.as_deref(), Ok(&bytes[..]));
        }
    }
}
