//! Takes requests off a stream, one frame after the other.
//!
//! Memory follows what a peer really sent, never what it announced: a frame's buffer grows by at
//! most its own size again as bytes arrive, its room is charged to the budget before, and reading
//! pauses while the budget is spent. An idle connection holds no buffer at all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ApiKey;
use ottla_protocol::frame::{self, LENGTH_BYTES, Received, Stranger};

use crate::budget::{Account, Budget, Charge};
use crate::limits::Limits;
use crate::runtime::{self, Instant};
use crate::stream::ReadSide;

/// How much is read at a time while nothing is known of what comes.
const CHUNK: usize = 16 * 1024;
/// The first buffer of a frame that does not fit a chunk.
const BODY_START: usize = 64 * 1024;
/// From the key to the length of the client id: what a header has at least.
const HEADER_FIXED: usize = 10;

/// A request as it came, without its length field.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// What it holds of the budget.
    pub(crate) charge: Charge,
    /// When its last byte was read.
    pub(crate) received: Instant,
}

/// Why a connection yields no further frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer closed the connection within a request")]
    Cut,
    #[error("{0}")]
    Frame(#[from] frame::FrameError),
    #[error("a request of {0} bytes has no header")]
    Short(usize),
    #[error(
        "a request of {bytes} bytes to API {key}; only Produce may have more than {max}: \
         ask in several requests"
    )]
    Large { key: i16, bytes: usize, max: u32 },
    #[error("{}", .0.advice())]
    Stranger(Stranger),
    #[error("no request header within {0:?} of connecting")]
    NoHeader(Duration),
    #[error("a request's body comes at less than {0} bytes a second")]
    SlowBody(u64),
    #[error("no request for {0:?}")]
    Idle(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The frames of one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    read: ReadSide,
    limits: Arc<Limits>,
    account: Arc<Account>,
    /// Bytes behind the last frame, from `at` on.
    ahead: Vec<u8>,
    at: usize,
    /// The room in `ahead`, while it is kept for longer than a read takes.
    behind: Charge,
    /// When the last of them was read.
    read_at: Instant,
    /// When the peer connected, until its first header was complete.
    opened: Option<Instant>,
}

/// The frame that is being received.
#[derive(Debug)]
struct Incoming {
    body: Vec<u8>,
    /// The room in `body`, which is charged.
    held: usize,
    len: usize,
    charge: Charge,
    clock: BodyClock,
}

impl Frames {
    pub(crate) fn new(read: ReadSide, limits: Arc<Limits>, account: Arc<Account>) -> Self {
        let mut behind = account.charge();
        // It waits for the requests before it, and so must keep the overdraft from nobody.
        behind.park();
        Self {
            behind,
            read_at: Instant::now(),
            read,
            limits,
            account,
            ahead: Vec::new(),
            at: 0,
            opened: Some(Instant::now()),
        }
    }

    /// Returns when the peer has closed its direction.
    pub(crate) async fn closed(&self) {
        self.read.closed().await;
    }

    /// The next frame.
    ///
    /// Not safe to drop while pending, except to close the connection.
    pub(crate) async fn next(&mut self) -> Result<Frame, FrameError> {
        let len = loop {
            match self.announced()? {
                Some(len) => break len,
                None => self.read_ahead().await?,
            }
        };
        self.at += LENGTH_BYTES;
        let mut charge = self.account.charge();
        let here = self.unread().len().min(len);
        let mut clock = BodyClock::new();
        let held = if here == len { len } else { room(here, len) };
        if !charge.try_grow(held as u64) {
            self.account_for_ahead();
            clock.wait_for(&mut charge, held as u64).await;
        }
        if here == len {
            self.opened = None;
            let bytes = self.take(len);
            self.account_for_ahead();
            return Ok(Frame {
                bytes,
                charge,
                received: self.read_at,
            });
        }
        let mut body = Vec::new();
        body.reserve_exact(held);
        body.extend_from_slice(self.unread());
        (self.ahead, self.at) = (Vec::new(), 0);
        self.account_for_ahead();
        self.rest_of(Incoming {
            body,
            held,
            len,
            charge,
            clock,
        })
        .await
    }

    /// Receives the rest of a frame straight into its own buffer.
    async fn rest_of(&mut self, mut incoming: Incoming) -> Result<Frame, FrameError> {
        let Incoming {
            body,
            held,
            len,
            charge,
            clock,
        } = &mut incoming;
        let budget = Arc::clone(self.account.budget());
        while body.len() < *len {
            if header_is_complete(body) {
                self.opened = None;
            }
            if body.len() == *held {
                let larger = room(body.len(), *len);
                clock.wait_for(charge, (larger - *held) as u64).await;
                *held = larger;
            }
            let more = *held - body.len();
            let received = body.len() as u64;
            let deadline = match self.opened {
                Some(opened) => opened + self.limits.first_header_timeout,
                None => clock.deadline(&self.limits, received, &budget),
            };
            let read = runtime::timeout_at(deadline, self.read.read(body, more));
            let n = tokio::select! {
                biased;
                n = read => n,
                // There is less time now.
                () = clock.pressure(&budget) => continue,
            };
            let n = match n {
                None if self.opened.is_some() => return Err(self.no_header()),
                None if clock.is_relieved(&budget) => continue,
                None => return Err(FrameError::SlowBody(clock.rate(&self.limits))),
                Some(n) => n?,
            };
            if n == 0 {
                return Err(FrameError::Cut);
            }
        }
        self.opened = None;
        Ok(Frame {
            bytes: incoming.body.into(),
            charge: incoming.charge,
            received: Instant::now(),
        })
    }

    /// Whether the peer has sent more than was taken.
    pub(crate) fn has_more(&self) -> bool {
        !self.unread().is_empty() || self.read.has_more()
    }

    /// Reads and drops what the peer sends, until it closes its direction or the time is over.
    ///
    /// A socket that is closed with bytes unread resets the connection, and then a peer that sends
    /// loses the answers which it has not read yet.
    pub(crate) async fn drain(&mut self, within: Duration) {
        (self.ahead, self.at) = (Vec::new(), 0);
        let dropped = async {
            while self
                .read
                .read(&mut self.ahead, CHUNK)
                .await
                .is_ok_and(|n| n > 0)
            {
                self.ahead.clear();
            }
        };
        runtime::timeout(within, dropped).await;
    }

    /// The length that the next frame announces, once that much of it is there.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let max = usize::try_from(self.limits.request_bytes_max).unwrap_or(usize::MAX);
        let frame = match frame::inspect(self.unread(), max) {
            Ok(Received::Partial { frame: None, .. }) => return Ok(None),
            Ok(Received::Partial { frame: Some(n), .. } | Received::Whole { frame: n }) => n,
            Err(refused) => {
                let first = self.opened.is_some();
                let guess = first.then(|| Stranger::guess(self.unread())).flatten();
                return Err(guess.map_or(FrameError::Frame(refused), FrameError::Stranger));
            }
        };
        match frame - LENGTH_BYTES {
            short @ 0..HEADER_FIXED => Err(FrameError::Short(short)),
            len => self.allowed(len),
        }
    }

    /// `len` if the API asked for may have requests of that length; `None` while it is not known
    /// which that is.
    fn allowed(&self, len: usize) -> Result<Option<usize>, FrameError> {
        let max = self.limits.small_request_bytes_max;
        if usize::try_from(max).is_ok_and(|max| len <= max) {
            return Ok(Some(len));
        }
        match self.unread().get(LENGTH_BYTES..LENGTH_BYTES + 2) {
            Some(&[high, low]) => match i16::from_be_bytes([high, low]) {
                key if key == ApiKey::Produce.key() => Ok(Some(len)),
                key => Err(FrameError::Large {
                    key,
                    bytes: len,
                    max,
                }),
            },
            _ => Ok(None),
        }
    }

    fn unread(&self) -> &[u8] {
        self.ahead.get(self.at..).unwrap_or_default()
    }

    /// Waits for more of the bytes behind the last frame.
    async fn read_ahead(&mut self) -> Result<(), FrameError> {
        self.ahead.drain(..self.at);
        self.at = 0;
        // What is there is less than a header: a peer that sends no more of it holds no more room.
        self.ahead.shrink_to_fit();
        self.account_for_ahead();
        let (started, wait) = match self.opened {
            Some(opened) => (opened, self.limits.first_header_timeout),
            None if self.ahead.is_empty() => (Instant::now(), self.limits.idle_timeout),
            None => (Instant::now(), self.limits.body_grace),
        };
        let begun = !self.ahead.is_empty();
        let read = self.read.read(&mut self.ahead, CHUNK);
        match runtime::timeout_at(started + wait, read).await {
            Some(Ok(0)) if begun => Err(FrameError::Cut),
            Some(Ok(0)) => Err(FrameError::Closed),
            Some(Ok(_)) => {
                self.read_at = Instant::now();
                Ok(())
            }
            Some(Err(e)) => Err(e.into()),
            None if self.opened.is_some() => Err(self.no_header()),
            None if begun => Err(FrameError::SlowBody(self.limits.body_rate_min)),
            None => Err(FrameError::Idle(wait)),
        }
    }

    /// Charges the room behind the last frame, or gives it back.
    fn account_for_ahead(&mut self) {
        let room = self.ahead.capacity() as u64;
        if room != self.behind.bytes() {
            self.behind.set(room);
        }
    }

    fn no_header(&self) -> FrameError {
        FrameError::NoHeader(self.limits.first_header_timeout)
    }

    /// Takes a frame of `len` bytes that is wholly there. Nobody else holds its memory, so that a
    /// handler may write into it.
    fn take(&mut self, len: usize) -> Bytes {
        let whole = self.unread().len() == len;
        if whole && len >= self.ahead.capacity() / 2 {
            let mut bytes = Bytes::from(std::mem::take(&mut self.ahead));
            let _length_fields = bytes.split_to(self.at);
            self.at = 0;
            return bytes;
        }
        let bytes = Bytes::copy_from_slice(self.unread().get(..len).unwrap_or_default());
        self.at += len;
        if whole {
            (self.ahead, self.at) = (Vec::new(), 0);
        }
        bytes
    }
}

/// How large the buffer of a frame of `len` bytes may be once `received` of them came.
fn room(received: usize, len: usize) -> usize {
    len.min(received.saturating_mul(2).max(BODY_START))
}

/// Whether the fixed fields and the client id of a request header are there.
fn header_is_complete(body: &[u8]) -> bool {
    let Some(&[high, low]) = body.get(HEADER_FIXED - 2..HEADER_FIXED) else {
        return false;
    };
    let client_id = usize::try_from(i16::from_be_bytes([high, low])).unwrap_or(0);
    body.len() >= HEADER_FIXED + client_id
}

/// When a body must be there: a grace, then a rate; less of both while others wait for the budget,
/// from then on. The time in which the broker itself did not read does not count.
#[derive(Debug)]
struct BodyClock {
    started: Instant,
    /// When others were first seen to wait, and what had come by then.
    pressed: Option<(Instant, u64)>,
}

impl BodyClock {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            pressed: None,
        }
    }

    fn deadline(&mut self, limits: &Limits, received: u64, budget: &Budget) -> Instant {
        let after =
            |bytes: u64, rate: u64| Duration::from_millis(bytes.saturating_mul(1000) / rate.max(1));
        let whole = self.started + limits.body_grace + after(received, limits.body_rate_min);
        if !budget.is_pressed() {
            self.pressed = None;
            return whole;
        }
        let (since, before) = *self
            .pressed
            .get_or_insert_with(|| (Instant::now(), received));
        let came = received.saturating_sub(before);
        whole.min(since + limits.pressed_grace + after(came, limits.pressed_rate_min))
    }

    /// Returns when others begin to wait.
    async fn pressure(&self, budget: &Budget) {
        match self.pressed {
            None => budget.pressed().await,
            Some(_) => std::future::pending().await,
        }
    }

    /// Whether others waited and do so no more.
    fn is_relieved(&self, budget: &Budget) -> bool {
        self.pressed.is_some() && !budget.is_pressed()
    }

    /// The rate that was asked for last.
    fn rate(&self, limits: &Limits) -> u64 {
        match self.pressed {
            None => limits.body_rate_min,
            Some(_) => limits.pressed_rate_min,
        }
    }

    async fn wait_for(&mut self, charge: &mut Charge, bytes: u64) {
        if !charge.try_grow(bytes) {
            let paused = Instant::now();
            charge.grow(bytes).await;
            let paused = paused.elapsed();
            self.started += paused;
            // Nobody waits who gets what it waits for, and then the time begins anew.
            self.pressed = None;
        }
    }
}

#[cfg(test)]
mod tests;
