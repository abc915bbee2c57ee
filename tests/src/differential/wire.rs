//! A connection that sends frames as told and says what came back, be it nothing.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::schema::Api;
use crate::Error;

/// Any broker answers well within this; only one that hangs does not.
const WITHIN: Duration = Duration::from_secs(30);
/// The key of ApiVersions, which every connection may ask.
const API_VERSIONS: i16 = 18;
/// The correlation id of the request that follows one which may stay unanswered.
const PROBE: i32 = i32::MAX;

/// What a broker did with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answered; these are the bytes after the correlation id.
    Response(Vec<u8>),
    /// It closed the connection.
    Closed,
    /// It answered the next request but not this one.
    Nothing,
}

/// A connection to a broker.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the broker does not accept.
    pub fn open(address: SocketAddr) -> Result<Self, Error> {
        let failed = || Error::io(format!("connect to {address}"));
        let stream = TcpStream::connect(address).map_err(failed())?;
        stream.set_read_timeout(Some(WITHIN)).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        Ok(Self { stream })
    }

    /// Sends a frame as it is, its length in front, and waits for the answer with this
    /// correlation id. A request that may stay unanswered is followed by one that may not.
    ///
    /// # Errors
    /// When the broker neither answers nor closes, or answers something else.
    pub fn ask(&mut self, frame: &[u8], correlation: i32, silent: bool) -> Result<Answer, Error> {
        let mut bytes = frame.to_vec();
        if silent {
            bytes.extend(framed(&request_header(API_VERSIONS, 0, PROBE, false)));
        }
        self.send(&bytes);
        self.answer(correlation, silent)
    }

    /// Sends bytes. The broker may close while we still write; what it said before is still to be
    /// read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Waits for the answer with this correlation id, or for that to the request behind a silent
    /// one.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn answer(&mut self, correlation: i32, silent: bool) -> Result<Answer, Error> {
        let Some(answer) = self.receive()? else {
            return Ok(Answer::Closed);
        };
        let (id, body) = answer
            .split_first_chunk()
            .ok_or_else(|| bad_frame("shorter than 4"))?;
        match i32::from_be_bytes(*id) {
            id if id == correlation => Ok(Answer::Response(body.to_vec())),
            PROBE if silent => Ok(Answer::Nothing),
            other => Err(bad_frame(&format!("with correlation id {other}"))),
        }
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("wait for an answer")(error)),
        }
        let length = usize::try_from(i32::from_be_bytes(length));
        let mut frame = vec![0; length.map_err(|_| bad_frame("of a negative length"))?];
        self.stream
            .read_exact(&mut frame)
            .map_err(Error::io("read an answer"))?;
        Ok(Some(frame))
    }
}

fn bad_frame(what: &str) -> Error {
    Error::failed(format!("the broker sent a frame {what}"))
}

/// A request's header: version 2, with tagged fields, for flexible requests; else version 1.
pub fn request_header(key: i16, version: i16, correlation: i32, flexible: bool) -> Vec<u8> {
    let client = b"differential";
    let mut header = Vec::new();
    header.extend(key.to_be_bytes());
    header.extend(version.to_be_bytes());
    header.extend(correlation.to_be_bytes());
    header.extend((client.len() as i16).to_be_bytes());
    header.extend(client);
    if flexible {
        header.push(0);
    }
    header
}

/// A frame: the length, then the bytes.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).expect("a frame of less than 2 GiB");
    [&length.to_be_bytes(), bytes].concat()
}

/// The body of a response, without the tagged fields of a flexible response's header. The answer
/// to ApiVersions never has them: a client that asks for it knows no versions yet.
///
/// # Errors
/// When the header has tagged fields: no broker has any to send.
pub fn response_body<'a>(api: &Api, version: i16, after_id: &'a [u8]) -> Result<&'a [u8], String> {
    if !api.is_flexible(version) || api.key == API_VERSIONS {
        return Ok(after_id);
    }
    match after_id.split_first() {
        Some((0, body)) => Ok(body),
        _ => Err(format!(
            "a response header that is not empty: {after_id:02x?}"
        )),
    }
}
