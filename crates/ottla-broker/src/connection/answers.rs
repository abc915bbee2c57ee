//! The writing half of a connection: waits for answers in their order, and sends them.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use ottla_log::vfs::FileRange;
use ottla_protocol::{
    EncodeError, Encoded, ErrorCode, RequestHeader, Response, Segment, encode_response,
    encode_unsupported_version,
};
use tokio::sync::OwnedSemaphorePermit;

use super::Fault;
use super::window::Window;
use crate::budget::Charge;
use crate::core::BrokerCore;
use crate::runtime::Runtime;
use crate::stream::{Pace, Piece, WriteSide};
use crate::trace::Trace;

/// Bytes of answers that are gathered into one write.
const GATHER_BYTES: u64 = 256 * 1024;
/// Below this a range of a file is read and sent with its neighbours; from here on sendfile is
/// cheaper than the copy.
pub(crate) const SENDFILE_MIN: u64 = 32 * 1024;

/// What a handler leaves to be sent.
#[allow(
    clippy::large_enum_variant,
    reason = "moved twice; a box for each answer costs more"
)]
pub(crate) enum Reply {
    /// The response.
    Now(Outgoing),
    /// The response comes once what it waits for is so. The request has taken effect.
    Later(Later),
    /// The request wants no response.
    Nothing,
    /// The connection is to be closed, for this reason, once the earlier answers are sent.
    Close(&'static str),
}

/// A response that waits for something.
pub(crate) type Later = Pin<Box<dyn Future<Output = Outgoing> + Send>>;

/// A response and the records that go with it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) response: Response,
    /// What the response's payloads stand for, by their index.
    pub(crate) payloads: Vec<FileRange>,
    /// What of it is in memory already and held of the budget.
    pub(crate) charge: Option<Charge>,
    /// The files that the payloads hold open.
    pub(crate) files: Option<OwnedSemaphorePermit>,
}

impl<R: Into<Response>> From<R> for Outgoing {
    fn from(response: R) -> Self {
        Self {
            response: response.into(),
            payloads: Vec::new(),
            charge: None,
            files: None,
        }
    }
}

impl From<Outgoing> for Reply {
    fn from(outgoing: Outgoing) -> Self {
        Self::Now(outgoing)
    }
}

impl<R: Into<Response>> From<R> for Reply {
    fn from(response: R) -> Self {
        Self::Now(response.into().into())
    }
}

/// The answer to one request, finished or not.
pub(crate) struct Answer {
    /// Without the client id.
    header: RequestHeader,
    state: State,
    charge: Charge,
    /// What its records hold.
    records: Option<Charge>,
    /// The files that they are in.
    files: Option<OwnedSemaphorePermit>,
    /// What it counted for in the window when it was put in.
    counted: u64,
    trace: Option<Trace>,
}

enum State {
    Waiting(Later),
    Ready(Vec<Piece>),
}

impl Answer {
    /// An answer whose response is there.
    pub(super) fn new(
        header: RequestHeader,
        outgoing: Outgoing,
        charge: Charge,
        trace: Option<Trace>,
    ) -> Result<Self, EncodeError> {
        let mut answer = Self {
            header,
            state: State::Ready(Vec::new()),
            charge,
            records: None,
            files: None,
            counted: 0,
            trace,
        };
        answer.encode(outgoing)?;
        answer.counted = answer.held();
        Ok(answer)
    }

    /// An answer whose response is still to come.
    pub(super) fn waiting(
        header: RequestHeader,
        later: Later,
        charge: Charge,
        trace: Option<Trace>,
    ) -> Self {
        let counted = charge.bytes();
        Self {
            header,
            state: State::Waiting(later),
            charge,
            records: None,
            files: None,
            counted,
            trace,
        }
    }

    /// The answer to a version of ApiVersions that is not served.
    pub(super) fn unsupported(
        header: RequestHeader,
        charge: Charge,
        trace: Option<Trace>,
    ) -> Result<Self, EncodeError> {
        if let Some(trace) = trace {
            trace.done(ErrorCode::UnsupportedVersion);
        }
        let encoded = encode_unsupported_version(&header)?;
        let mut answer = Self::waiting(header, Box::pin(std::future::pending()), charge, None);
        answer.take_over(encoded, Vec::new());
        answer.counted = answer.charge.bytes();
        Ok(answer)
    }

    fn held(&self) -> u64 {
        self.charge.bytes() + self.records.as_ref().map_or(0, Charge::bytes)
    }

    /// What it counts for in the window.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// Waits until the response is there.
    async fn ready(&mut self) -> Result<(), EncodeError> {
        if let State::Waiting(later) = &mut self.state {
            let outgoing = later.await;
            self.encode(outgoing)?;
        }
        Ok(())
    }

    /// Whether the response is there now.
    async fn try_ready(&mut self) -> Result<bool, EncodeError> {
        let State::Waiting(later) = &mut self.state else {
            return Ok(true);
        };
        match poll_fn(|cx| Poll::Ready(later.as_mut().poll(cx))).await {
            Poll::Pending => Ok(false),
            Poll::Ready(outgoing) => self.encode(outgoing).map(|()| true),
        }
    }

    fn encode(&mut self, outgoing: Outgoing) -> Result<(), EncodeError> {
        if let Some(trace) = self.trace.take() {
            trace.answered(&outgoing.response);
        }
        let encoded = encode_response(&self.header, &outgoing.response)?;
        self.records = outgoing.charge;
        self.files = outgoing.files;
        self.take_over(encoded, outgoing.payloads);
        Ok(())
    }

    fn take_over(&mut self, encoded: Encoded, payloads: Vec<FileRange>) {
        let mut payloads: Vec<_> = payloads.into_iter().map(Some).collect();
        let mut pieces = Vec::with_capacity(encoded.segments.len());
        let mut held = 0;
        for segment in encoded.segments {
            match segment {
                Segment::Bytes(bytes) => {
                    held += bytes.len() as u64;
                    pieces.push(Piece::Bytes(bytes));
                }
                Segment::Payload { index, length } => {
                    let range = payloads.get_mut(index).and_then(Option::take);
                    let range = range.expect("a payload is named once, and there");
                    assert_eq!(range.len(), length as u64, "a payload's announced length");
                    append(&mut pieces, range);
                }
            }
        }
        self.charge.set(held);
        self.state = State::Ready(pieces);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("header", &self.header)
            .field("ready", &matches!(self.state, State::Ready(_)))
            .finish_non_exhaustive()
    }
}

fn append(pieces: &mut Vec<Piece>, range: FileRange) {
    match range {
        FileRange::Fd {
            file,
            position,
            len,
        } => pieces.push(Piece::File {
            file,
            position,
            len,
        }),
        // The memory is the in-memory disk's own, not held for this response.
        FileRange::Chunks(chunks) => pieces.extend(chunks.into_iter().map(Piece::Bytes)),
    }
}

/// Sends the answers of one connection.
pub(super) struct Answers<'a> {
    core: &'a BrokerCore,
    window: &'a Window,
    write: WriteSide,
    pieces: VecDeque<Piece>,
    /// Answers whose pieces are being sent.
    sending: Vec<Answer>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(core: &'a BrokerCore, window: &'a Window, write: WriteSide) -> Self {
        Self {
            core,
            window,
            write,
            pieces: VecDeque::new(),
            sending: Vec::new(),
        }
    }

    /// Returns when the window is closed and everything was sent.
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        while let Some(answer) = self.window.next().await {
            // Boxed: a connection that owes no answer holds no room for it.
            Box::pin(self.answer(answer)).await?;
        }
        self.write.shutdown().await;
        Ok(())
    }

    /// Sends an answer once it is there, and with it those behind it that are there by then.
    async fn answer(&mut self, mut answer: Answer) -> Result<(), Fault> {
        answer.ready().await?;
        let mut gathered = self.enqueue(answer).await?;
        while gathered < GATHER_BYTES {
            let Some(mut next) = self.window.try_next() else {
                break;
            };
            if !next.try_ready().await? {
                self.window.put_back(next);
                break;
            }
            gathered += self.enqueue(next).await?;
        }
        self.send().await
    }

    /// Appends what an answer sends; returns how many bytes that is.
    async fn enqueue(&mut self, mut answer: Answer) -> Result<u64, Fault> {
        let mut bytes = 0;
        if let State::Ready(pieces) = &mut answer.state {
            for piece in pieces.drain(..) {
                bytes += piece.len();
                let piece = match piece {
                    Piece::File {
                        file,
                        position,
                        len,
                    } if len < SENDFILE_MIN || !self.write.sends_files() => {
                        answer.charge.grow(len).await;
                        Piece::Bytes(read(self.core.runtime(), file, position, len).await?)
                    }
                    other => other,
                };
                self.pieces.push_back(piece);
            }
        }
        self.sending.push(answer);
        Ok(bytes)
    }

    async fn send(&mut self) -> Result<(), Fault> {
        let (runtime, limits) = (self.core.runtime(), self.core.limits());
        let bytes = self.pieces.iter().map(Piece::len).sum();
        let mut pace = Pace::new(limits, self.core.budget(), bytes);
        let written = self
            .write
            .write_all(runtime, &mut self.pieces, &mut pace)
            .await;
        written?;
        let counted = self.sending.iter().map(Answer::counted).sum();
        self.window.sent(self.sending.len(), counted);
        self.sending.clear();
        if self.sending.capacity() > SENDING_KEPT {
            self.sending = Vec::new();
        }
        Ok(())
    }
}

/// How many answers an idle connection keeps room for.
const SENDING_KEPT: usize = 4;

/// The bytes of a range, from the page cache or, where they are not in it, by way of the pool.
async fn read(runtime: &Runtime, file: Arc<File>, position: u64, len: u64) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let mut buffer = vec![0; len];
    if crate::stream::read_cached(&file, &mut buffer, position) {
        return Ok(buffer.into());
    }
    let read = runtime.spawn_blocking(move || {
        use std::os::unix::fs::FileExt;
        file.read_exact_at(&mut buffer, position)?;
        Ok(Bytes::from(buffer))
    });
    read.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}
