//! What reading batches allocates: nothing above twice the input plus 64 KiB before content that
//! large has appeared, whatever a header declares.
#![allow(unsafe_code, reason = "an allocator that counts is one by definition")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use ottla_log::codec::{compress, decompress};
use ottla_log::{BatchOptions, Codec, Limits, Record, Records, ValidBatches, build_batch};

/// The system's allocator, with a count of what this thread takes from it.
struct Counting;

thread_local! {
    static LARGEST: Cell<Option<usize>> = const { Cell::new(None) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|cell| {
            if let Some(largest) = cell.get() {
                cell.set(Some(largest.max(layout.size())));
            }
        });
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The largest single allocation of `work`.
fn largest<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.set(Some(0));
    let result = work();
    (result, LARGEST.take().expect("it was set"))
}

/// Decompresses, and compares what that takes with the input and `content`, the most that can
/// have appeared.
fn check(codec: Codec, block: &[u8], content: usize, what: &str) {
    let (result, largest) =
        largest(|| decompress(codec, block, &Limits::default()).map(|c| c.len()));
    let allowed = (2 * block.len()).max(4 * content) + 64 * 1024;
    assert!(
        largest <= allowed,
        "{codec:?}, {what}: {largest} bytes at once for {} bytes, {result:?}",
        block.len()
    );
}

#[test]
fn declared_sizes_reserve_nothing() {
    let mut one_segment = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    one_segment.extend((16_u64 << 20).to_le_bytes());
    one_segment.extend([0b0000_1001, 0, 0, b'a']);
    check(Codec::Zstd, &one_segment, 1, "a content of 16 MiB declared");
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 9, 0, 0, b'a'];
    check(Codec::Zstd, &wide, 1, "a window of 128 MiB declared");
    let mut both = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 17 << 3];
    both.extend((16_u64 << 20).to_le_bytes());
    both.extend([0b0000_1001, 0, 0, b'a']);
    check(Codec::Zstd, &both, 1, "both declared");
    let raw = [0x80, 0x80, 0x80, 8, 0, b'a'];
    check(Codec::Snappy, &raw, 1, "a raw block of 16 MiB declared");
    let framed = [
        b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xff",
        &raw[..],
    ]
    .concat();
    check(Codec::Snappy, &framed, 1, "a block of 2 GiB declared");
    let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0b0110_0000, 0b0111_0000, 0x73];
    frame.extend(2_u32.to_le_bytes());
    frame.extend([0x10, b'a']);
    frame.extend([0; 4]);
    check(Codec::Lz4, &frame, 1, "blocks of 4 MiB declared");
}

#[test]
fn room_grows_with_the_content() {
    for len in [0, 1, 1000, 100_000, 1_000_000] {
        let text: Vec<u8> = (0..len).map(|n: usize| (n * n / 100 % 251) as u8).collect();
        for content in [vec![7; len], text] {
            for codec in Codec::ALL {
                let block = compress(codec, None, &content);
                check(codec, &block, content.len(), "whole");
                for cut in [block.len() / 2, block.len().saturating_sub(1)] {
                    check(codec, &block[..cut], content.len(), "cut off");
                }
                for at in (0..block.len()).step_by(block.len() / 15 + 1) {
                    let mut damaged = block.clone();
                    damaged[at] ^= 0x55;
                    // Damage may ask for a run of one byte, which is of at most 128 KiB.
                    check(codec, &damaged, content.len().max(128 * 1024), "damaged");
                }
            }
        }
    }
}

#[test]
fn a_bomb_takes_no_more_than_twice_what_it_may_become() {
    let limits = Limits::default();
    let content = vec![0; 64 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let block = compress(codec, None, &content);
        let (result, largest) = largest(|| decompress(codec, &block, &limits).map(|c| c.len()));
        assert!(result.is_err(), "{codec:?}");
        let max = limits.decompressed_bytes_max(block.len());
        assert!(
            largest <= 2 * max + 64 * 1024,
            "{codec:?}: {largest} of {max}"
        );
    }
}

#[test]
fn parsing_batches_takes_little_and_reading_them_nothing() {
    let limits = Limits::default();
    let one = build_batch(&[Record::new("v")], &BatchOptions::default()).expect("it is small");
    for count in [1, 2, 100, 10_000] {
        let bytes = Bytes::from(one.repeat(count));
        let (parsed, largest) = largest(|| ValidBatches::parse(bytes.clone(), &limits));
        assert_eq!(parsed.expect("all are good").headers().len(), count);
        assert!(largest <= 2 * bytes.len(), "{count}: {largest}");
    }
    let mut bomb = one.to_vec();
    // 16 million records in one byte of content.
    bomb[23..27].copy_from_slice(&0x00ff_ffff_i32.to_be_bytes());
    bomb[57..61].copy_from_slice(&0x0100_0000_i32.to_be_bytes());
    let crc = ottla_log::crc::crc32c(&bomb[21..]);
    bomb[17..21].copy_from_slice(&crc.to_be_bytes());
    let (bad, largest) = largest(|| {
        let batches = ValidBatches::parse(bomb.into(), &limits).expect("its header is sound");
        let (header, batch) = batches.batches().next().expect("there is one");
        let records = Records::open(header, &batch, &limits).expect("it is not compressed");
        records.iter().filter(Result::is_err).count()
    });
    assert_eq!(bad, 1);
    assert!(largest <= 1024, "{largest}");
}
