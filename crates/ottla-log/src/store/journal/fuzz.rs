//! Any rounds in a journal's files, for the fuzz target and the property test.

use std::io::{self, IoSlice};
use std::path::Path;

use bytes::Buf;

use super::area_path;
use super::format::{self, BLOCK, Head, Key, What};
use super::scan::Scan;
use crate::vfs::{File, MemVfs, OpenMode, Vfs};

const KEY: Key = Key::new([7; 16]);
const DIR: &str = "/journal";

/// Rounds with right checksums, which would hide the rest, and whatever places, lengths and lists:
/// each takes 8 bytes of `bytes`, then its list. What counts of them is in order and there.
pub(crate) fn scan(bytes: &[u8]) {
    let vfs = MemVfs::volatile();
    write(&vfs, bytes).expect("a disk in memory takes all");
    let Ok(scan) = Scan::read(&vfs, Path::new(DIR), KEY) else {
        return;
    };
    let numbers = scan.rounds.iter().map(|round| round.sequence);
    assert!(numbers.is_sorted_by(|a, b| a < b), "rounds out of order");
    let mut ends = [0; 2];
    let mut places: Vec<_> = scan.rounds.iter().collect();
    places.sort_by_key(|round| round.data_position);
    for round in places {
        let lens = round.entries.iter().map(|entry| match entry.what {
            What::Data(range) => u64::from(range.len),
            _ => 0,
        });
        let len = lens.sum();
        let mut read = 0;
        let data = scan.data::<io::Error>(round.area, round.data_position, len, |piece| {
            read += piece.len() as u64;
            Ok(())
        });
        data.expect("the data of a round that counts is there");
        assert_eq!(read, len);
        let end = &mut ends[round.area];
        assert!(
            round.data_position >= *end,
            "the data of two rounds overlap"
        );
        *end = round.data_position + len;
    }
}

fn write(vfs: &MemVfs, mut bytes: &[u8]) -> io::Result<()> {
    vfs.create_dir(Path::new(DIR))?;
    let paths = [0, 1].map(|area| area_path(Path::new(DIR), area));
    while bytes.len() >= 8 {
        let area = usize::from(bytes.get_u8() & 1);
        let mut number = || u64::from(bytes.get_u8());
        let (sequence, previous, low) = (number(), number(), number());
        let (entry_count, data_blocks) = (bytes.get_u8(), bytes.get_u8());
        let list_len = usize::from(bytes.get_u16()).min(bytes.len());
        let (list, rest) = bytes.split_at(list_len);
        bytes = rest;
        let head = Head {
            sequence,
            previous,
            low,
            entry_count: entry_count.into(),
            entries_len: list_len as u32,
            data_len: u64::from(data_blocks) * 16,
            entries_crc: crc32fast::hash(list),
        };
        let file = vfs.open(&paths[area], OpenMode::Create)?;
        let start = file.len()?.next_multiple_of(BLOCK);
        let round = [&format::encode_head(KEY, &head)[..], list].concat();
        (&*file as &dyn File).write_all_at(&mut [IoSlice::new(&round)], start)?;
        // Some rounds lack the end of their data.
        let len = head.round_len().unwrap_or(0);
        file.set_len(
            start
                + if entry_count & 0x80 == 0 {
                    len
                } else {
                    len / 2
                },
        )?;
    }
    Ok(())
}
