//! Reads lines in a thread of its own, so that what was read can be sent while none comes.

use std::io::{self, BufRead as _, BufReader, Read};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ottla_log::{Clock as _, SystemClock, Timestamp};

/// How much is handed over at once, where it is there at once.
const CHUNK_LINES: usize = 500;
const CHUNK_BYTES: usize = 512 << 10;

/// A line of input, without its end.
#[derive(Debug)]
pub(super) struct Line {
    /// Which one it is, from 1.
    pub(super) number: u64,
    /// When it was read.
    pub(super) at: Timestamp,
    pub(super) bytes: Vec<u8>,
}

/// What the reader has to tell.
#[derive(Debug)]
pub(super) enum Input {
    /// Lines that were there.
    Lines(Vec<Line>),
    /// The line of this number is longer than what was allowed.
    TooLong(u64),
    /// There is no more.
    End,
    /// The input cannot be read.
    Failed(io::Error),
}

/// Reads lines of at most `line_bytes_max` bytes from `input`. Ends with one of the other three
/// kinds of [`Input`], or when nobody listens.
pub(super) fn read(input: impl Read + Send + 'static, line_bytes_max: usize) -> Receiver<Input> {
    // One more is read while one is sent: what is held in memory stays small.
    let (to, from) = sync_channel(1);
    let mut reader = LineReader {
        input: BufReader::new(input),
        line_bytes_max,
        number: 0,
    };
    thread::spawn(move || reader.run(&to));
    from
}

struct LineReader<R> {
    input: BufReader<R>,
    line_bytes_max: usize,
    /// Of the line that was read last.
    number: u64,
}

impl<R: Read> LineReader<R> {
    fn run(&mut self, to: &SyncSender<Input>) {
        let clock = SystemClock::new();
        let (mut lines, mut bytes) = (Vec::new(), 0);
        let end = loop {
            match self.line() {
                Ok(Some(line)) if line.len() > self.line_bytes_max => {
                    break Input::TooLong(self.number);
                }
                Ok(Some(line)) => {
                    bytes += line.len();
                    lines.push(Line {
                        number: self.number,
                        at: clock.now(),
                        bytes: line,
                    });
                }
                Ok(None) => break Input::End,
                Err(error) => break Input::Failed(error),
            }
            let more = self.input.buffer().contains(&b'\n');
            if !more || lines.len() >= CHUNK_LINES || bytes >= CHUNK_BYTES {
                bytes = 0;
                if to.send(Input::Lines(mem::take(&mut lines))).is_err() {
                    return;
                }
            }
        };
        // Who went away has no use for the rest.
        let _ = to.send(Input::Lines(lines)).and_then(|()| to.send(end));
    }

    /// The next line; one that is too long as far as that is known.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        // The end of a line may have two bytes, and one more byte shows that it is too long.
        let limit = self.line_bytes_max.saturating_add(3) as u64;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &'static [u8], line_bytes_max: usize) -> (Vec<(u64, Vec<u8>)>, Input) {
        let from = read(input, line_bytes_max);
        let mut read = Vec::new();
        loop {
            match from.recv().unwrap() {
                Input::Lines(lines) => {
                    read.extend(lines.into_iter().map(|line| (line.number, line.bytes)));
                }
                end => return (read, end),
            }
        }
    }

    #[test]
    fn lines_are_bytes_up_to_their_end() {
        let (lines, end) = all(b"a\r\n\xff\0\r\r\n\nlast", 100);
        let expected: [&[u8]; 4] = [b"a", b"\xff\0\r", b"", b"last"];
        let numbered = (1..).zip(expected.map(<[u8]>::to_vec));
        assert_eq!(lines, numbered.collect::<Vec<_>>());
        assert!(matches!(end, Input::End));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_of_and_not_kept() {
        let (lines, end) = all(b"1234\r\n12345\n", 4);
        assert_eq!(lines.len(), 1);
        assert!(matches!(end, Input::TooLong(2)), "{end:?}");
        let (lines, end) = all(b"1234", 4);
        assert_eq!((lines.len(), matches!(end, Input::End)), (1, true));
    }
}
