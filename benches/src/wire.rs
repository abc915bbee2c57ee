//! A bare blocking connection with pipelining.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use ottla_protocol::client::{Request, decode_response, encode_request};

/// A connection to the broker under measurement.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next_id: i32,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next_id: 0 })
    }

    /// Sends `request` and waits for its answer.
    ///
    /// # Errors
    /// Where the connection breaks or the answer is not one.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// Sends `request` without waiting.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.next_id += 1;
        let frame = encode_request(request, version, self.next_id, "bench");
        self.stream.write_all(&frame.map_err(io::Error::other)?)
    }

    /// Waits for the answer to the oldest request that has none yet.
    ///
    /// # Errors
    /// Where the connection breaks or the answer is not one.
    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        let length = usize::try_from(i32::from_be_bytes(prefix)).map_err(io::Error::other)?;
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        let (_, response) =
            decode_response::<R>(Bytes::from(frame), version).map_err(io::Error::other)?;
        Ok(response)
    }
}
