//! The direction to the peer: memory and ranges of files, in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::net::tcp::OwnedWriteHalf;

use super::Pace;
use crate::runtime::Runtime;

/// The most slices one call hands to the machine.
const SLICES_MAX: usize = 64;
/// The most bytes of a file one call hands to the machine, so that one connection does not keep a
/// worker from the others.
const FILE_BYTES_MAX: usize = 512 * 1024;

/// Something to send.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    /// Bytes of a file that never change and never go while they are queued.
    File {
        file: Arc<File>,
        position: u64,
        len: u64,
    },
}

impl Piece {
    /// How many bytes are left of it.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }
}

/// The direction to the peer.
#[derive(Debug)]
pub(crate) struct WriteSide {
    to: To,
}

#[derive(Debug)]
enum To {
    Tcp(OwnedWriteHalf),
    Pipe(WriteHalf<DuplexStream>),
}

impl WriteSide {
    pub(super) fn tcp(half: OwnedWriteHalf) -> Self {
        Self { to: To::Tcp(half) }
    }

    pub(super) fn pipe(half: WriteHalf<DuplexStream>) -> Self {
        Self { to: To::Pipe(half) }
    }

    /// Whether ranges of files can be sent without reading them first.
    pub(crate) fn sends_files(&self) -> bool {
        cfg!(target_os = "linux") && matches!(self.to, To::Tcp(_))
    }

    /// Sends all of `pieces`.
    ///
    /// # Errors
    /// `TimedOut` where the peer takes longer than `pace` allows; else what the machine says.
    pub(crate) async fn write_all(
        &mut self,
        runtime: &Runtime,
        pieces: &mut VecDeque<Piece>,
        pace: &mut Pace<'_>,
    ) -> io::Result<()> {
        while let Some(first) = pieces.front() {
            if first.len() == 0 {
                pieces.pop_front();
                continue;
            }
            let sent = match (&mut self.to, first) {
                (To::Tcp(half), Piece::Bytes(_)) => send_memory(half, pieces, pace).await?,
                (
                    To::Tcp(half),
                    Piece::File {
                        file,
                        position,
                        len,
                    },
                ) => {
                    let len =
                        usize::try_from(*len).map_or(FILE_BYTES_MAX, |l| l.min(FILE_BYTES_MAX));
                    warm(runtime, file, *position, len).await?;
                    send_file(half, file, *position, len, pace).await?
                }
                (To::Pipe(half), Piece::Bytes(bytes)) => pace.wait(half.write(bytes)).await?,
                (To::Pipe(_), Piece::File { .. }) => {
                    return Err(io::Error::other("a pipe was handed a range of a file"));
                }
            };
            advance(pieces, sent);
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    pub(crate) async fn shutdown(&mut self) {
        // The peer may be gone already, which is as good.
        let _ = match &mut self.to {
            To::Tcp(half) => half.shutdown().await,
            To::Pipe(half) => half.shutdown().await,
        };
    }
}

/// Sends slices from the front of `pieces` up to the first range of a file.
async fn send_memory(
    half: &OwnedWriteHalf,
    pieces: &VecDeque<Piece>,
    pace: &mut Pace<'_>,
) -> io::Result<usize> {
    loop {
        let result = {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                let Piece::Bytes(bytes) = piece else { break };
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            half.try_write_vectored(slices.get(..count).unwrap_or_default())
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                pace.wait(half.writable()).await?;
            }
            other => return other,
        }
    }
}

/// Sends `len` bytes of `file`, or the first part of them.
#[cfg(target_os = "linux")]
async fn send_file(
    half: &OwnedWriteHalf,
    file: &File,
    position: u64,
    len: usize,
    pace: &mut Pace<'_>,
) -> io::Result<usize> {
    let socket = half.as_ref();
    loop {
        let result = socket.try_io(tokio::io::Interest::WRITABLE, || {
            let mut from = position;
            Ok(rustix::fs::sendfile(socket, file, Some(&mut from), len)?)
        });
        match result {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a segment file is shorter than the range that was to be sent of it",
                ));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                pace.wait(half.writable()).await?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(not(target_os = "linux"))]
async fn send_file(
    _: &OwnedWriteHalf,
    _: &File,
    _: u64,
    _: usize,
    _: &mut Pace<'_>,
) -> io::Result<usize> {
    Err(io::Error::other("this machine has no sendfile we know"))
}

/// Brings a range into the page cache on the blocking pool where it is not there, so that
/// sendfile never waits for a disk on a worker.
#[cfg(target_os = "linux")]
async fn warm(runtime: &Runtime, file: &Arc<File>, position: u64, len: usize) -> io::Result<()> {
    let last = position + (len as u64).saturating_sub(1);
    if is_cached(file, position) && is_cached(file, last) {
        return Ok(());
    }
    let file = Arc::clone(file);
    let read = runtime.spawn_blocking(move || {
        use std::os::unix::fs::FileExt;
        let mut page = vec![0; 64 * 1024];
        let end = position + len as u64;
        let mut at = position;
        while at < end {
            match file.read_at(&mut page, at)? {
                0 => break,
                n => at += n as u64,
            }
        }
        Ok(())
    });
    read.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

#[cfg(not(target_os = "linux"))]
async fn warm(_: &Runtime, _: &Arc<File>, _: u64, _: usize) -> io::Result<()> {
    Ok(())
}

/// Whether the byte at `position` can be read without the disk. A file system that cannot tell
/// counts as cached: asking the pool for every range would cost more than it saves.
#[cfg(target_os = "linux")]
fn is_cached(file: &File, position: u64) -> bool {
    !matches!(
        read_nowait(file, &mut [0], position),
        Err(rustix::io::Errno::AGAIN)
    )
}

#[cfg(target_os = "linux")]
fn read_nowait(file: &File, buffer: &mut [u8], position: u64) -> rustix::io::Result<usize> {
    let mut buffers = [io::IoSliceMut::new(buffer)];
    let nowait = rustix::io::ReadWriteFlags::NOWAIT;
    rustix::io::preadv2(file, &mut buffers, position, nowait)
}

/// Fills `buffer` from `position` on if that needs no disk; whether it did.
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], position: u64) -> bool {
    #[cfg(target_os = "linux")]
    return read_nowait(file, buffer, position).is_ok_and(|n| n == buffer.len());
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = (file, buffer, position);
        false
    };
}

/// Takes `sent` bytes off the front.
fn advance(pieces: &mut VecDeque<Piece>, mut sent: usize) {
    while sent > 0 {
        let Some(first) = pieces.front_mut() else {
            return;
        };
        match first {
            Piece::Bytes(bytes) => {
                let n = sent.min(bytes.len());
                bytes.advance(n);
                sent -= n;
            }
            Piece::File { position, len, .. } => {
                let n = (sent as u64).min(*len);
                *position += n;
                *len -= n;
                sent -= n as usize;
            }
        }
        if first.len() == 0 {
            pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::budget::Budget;
    use crate::limits::Limits;
    use crate::stream::Stream;

    async fn connected() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, peer) = tokio::join!(listener.accept(), peer);
        (Stream::Tcp(accepted.unwrap().0), peer.unwrap())
    }

    fn pieces(file: &Arc<File>, len: u64) -> VecDeque<Piece> {
        VecDeque::from([
            Piece::Bytes(Bytes::from_static(b"head")),
            Piece::Bytes(Bytes::new()),
            Piece::File {
                file: Arc::clone(file),
                position: 3,
                len,
            },
            Piece::Bytes(Bytes::from_static(b"tail")),
        ])
    }

    fn data(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn memory_and_files_arrive_in_order() {
        let runtime = Runtime::shared().unwrap();
        let inner = Arc::clone(&runtime);
        let data = data(3_000_000);
        let mut temp = tempfile::tempfile().unwrap();
        temp.write_all(&data).unwrap();
        let file = Arc::new(temp);
        let received = runtime.block_on(async move {
            let (stream, mut peer) = connected().await;
            let (_read, mut write) = stream.split().unwrap();
            assert!(write.sends_files());
            let mut queue = pieces(&file, 2_999_997);
            let send = async {
                let (limits, budget) = (Limits::default(), Budget::new(0));
                let mut pace = Pace::new(&limits, &budget, 3_000_000);
                write
                    .write_all(&inner, &mut queue, &mut pace)
                    .await
                    .unwrap();
                write.shutdown().await;
            };
            let mut received = Vec::new();
            let (_, read) = tokio::join!(send, peer.read_to_end(&mut received));
            read.unwrap();
            received
        });
        let received = received.unwrap();
        let expected = [b"head".as_slice(), &data[3..], b"tail"].concat();
        assert!(received == expected, "{} bytes came", received.len());
    }

    #[test]
    fn a_file_that_is_too_short_ends_the_connection() {
        let runtime = Runtime::shared().unwrap();
        let inner = Arc::clone(&runtime);
        let mut temp = tempfile::tempfile().unwrap();
        temp.write_all(b"short").unwrap();
        let file = Arc::new(temp);
        let error = runtime.block_on(async move {
            let (stream, _peer) = connected().await;
            let (_read, mut write) = stream.split().unwrap();
            let mut queue = pieces(&file, 1000);
            let (limits, budget) = (Limits::default(), Budget::new(0));
            let mut pace = Pace::new(&limits, &budget, 1000);
            let sent = write.write_all(&inner, &mut queue, &mut pace).await;
            sent.unwrap_err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_peer_that_takes_nothing_is_given_up() {
        let runtime = Runtime::shared().unwrap();
        let inner = Arc::clone(&runtime);
        let error = runtime.block_on(async move {
            let (stream, _peer) = connected().await;
            let (_read, mut write) = stream.split().unwrap();
            let mut queue = VecDeque::from([Piece::Bytes(Bytes::from(vec![0; 64 << 20]))]);
            let limits = Limits {
                write_stall_timeout: Duration::from_millis(50),
                ..Limits::default()
            };
            let budget = Budget::new(0);
            let mut pace = Pace::new(&limits, &budget, 64 << 20);
            let sent = write.write_all(&inner, &mut queue, &mut pace).await;
            sent.unwrap_err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::TimedOut);
    }
}
