//! The byte stream of a connection: TCP, or a pipe inside this process.
//!
//! The reading side holds no buffer while it waits, so an idle connection costs no buffer. The
//! writing side sends memory by vectored writes and ranges of files by sendfile.

mod pace;
mod write;

use std::io;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, DuplexStream, ReadHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

pub(crate) use pace::Pace;
pub(crate) use write::{Piece, WriteSide, read_cached};

/// Bytes that a pipe inside this process holds in each direction before a writer waits.
const PIPE_BYTES: usize = 256 * 1024;

/// A connection's byte stream, both ways.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Pipe(DuplexStream),
}

impl Stream {
    /// Both ends of a connection inside this process.
    pub(crate) fn pipe() -> (Self, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        (Self::Pipe(ours), theirs)
    }

    /// The two directions. Answers leave at once, small ones too.
    pub(crate) fn split(self) -> io::Result<(ReadSide, WriteSide)> {
        Ok(match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                (ReadSide::Tcp(read), WriteSide::tcp(write))
            }
            Self::Pipe(pipe) => {
                let (read, write) = tokio::io::split(pipe);
                (ReadSide::Pipe(read), WriteSide::pipe(write))
            }
        })
    }
}

/// The direction from the peer.
#[derive(Debug)]
pub(crate) enum ReadSide {
    Tcp(OwnedReadHalf),
    Pipe(ReadHalf<DuplexStream>),
}

impl ReadSide {
    /// Waits for bytes and appends at most `max` of them to `buffer`, which gets exactly that much
    /// room, and only once there are any. Returns how many; 0 at the end of the stream.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => loop {
                half.readable().await?;
                match try_read(half, buffer, max) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    other => return other,
                }
            },
            Self::Pipe(half) => {
                buffer.reserve_exact(max);
                half.read_buf(&mut (&mut *buffer).limit(max)).await
            }
        }
    }

    /// Whether bytes of the peer lie unread, where closing the stream would make it lose others.
    pub(crate) fn has_more(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        match self {
            Self::Tcp(half) => {
                let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                recv(half.as_ref(), &mut [0; 1], look).is_ok_and(|(_, bytes)| bytes > 0)
            }
            Self::Pipe(_) => false,
        }
    }

    /// Returns when the peer has closed its direction, whatever it sent before. Never on a pipe,
    /// whose peer is part of this process, nor on a machine that does not tell.
    pub(crate) async fn closed(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Self::Tcp(half) = self {
            // Of all interests, this one is met by closing but not by mere data.
            while let Ok(ready) = half.ready(tokio::io::Interest::PRIORITY).await {
                if ready.is_read_closed() {
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

fn try_read(half: &OwnedReadHalf, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    buffer.reserve_exact(max);
    let result = half.try_read_buf(&mut (&mut *buffer).limit(max));
    if buffer.is_empty() {
        *buffer = Vec::new();
    }
    result
}
