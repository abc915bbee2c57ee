//! A line per request, for whoever wants to see what clients do (`--trace-requests`).

pub(crate) mod summary;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_partition::metadata::Image;
use ottla_protocol::{ApiKey, ErrorCode, Request, Response};

use crate::runtime::Instant;

/// Is told once of each request that was read whole: when its answer is made, when it took effect
/// where it wants no answer, or when it was refused with its connection.
pub trait RequestTrace: fmt::Debug + Send + Sync {
    /// A request came to its end.
    fn answered(&self, line: &RequestLine);
}

/// The result of a request that got no answer though it wanted one: the connection was closed
/// instead.
const CLOSED: &str = "CLOSED";
/// The name of an API that nobody knows.
const UNKNOWN_API: &str = "UNKNOWN";

/// One request and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLine {
    /// What the client calls itself: any text of its choosing.
    pub client_id: Option<Arc<str>>,
    /// The API's name; `UNKNOWN` where Kafka has none with the key that was sent.
    pub api: &'static str,
    /// The version.
    pub version: i16,
    /// The first topic that the request names, or the id of one that is not there.
    pub topic: Option<String>,
    /// How many topics it names.
    pub topics: usize,
    /// The name of the first error in the answer, or `NONE`; `CLOSED` where the connection was
    /// closed instead of an answer.
    pub result: &'static str,
    /// From when the last byte of the request was read to when its answer was made, or whatever
    /// else became of it.
    pub took: Duration,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.client_id.as_deref().unwrap_or("-");
        let shown = client.chars().take(CLIENT_ID_MAX).collect::<String>();
        write!(f, "{shown:?} {} v{} ", self.api, self.version)?;
        match (&self.topic, self.topics) {
            (None, _) => f.write_str("-")?,
            (Some(topic), 0 | 1) => f.write_str(topic)?,
            (Some(topic), n) => write!(f, "{topic} (+{})", n - 1)?,
        }
        write!(f, " {} {}us", self.result, self.took.as_micros())
    }
}

/// How much of a client id a line shows.
const CLIENT_ID_MAX: usize = 100;

/// A request that is being traced. One that is dropped was closed: no way out of a request leaves
/// it without its line.
#[derive(Debug)]
pub(crate) struct Trace {
    to: Arc<dyn RequestTrace>,
    line: RequestLine,
    started: Instant,
}

impl Trace {
    /// Begins with what came first of a request that was read at `received`: it may be no request
    /// at all.
    pub(crate) fn new(to: &Arc<dyn RequestTrace>, frame: &[u8], received: Instant) -> Self {
        let number = |at: usize| match frame.get(at..at + 2) {
            Some(&[high, low]) => i16::from_be_bytes([high, low]),
            _ => -1,
        };
        Self {
            to: Arc::clone(to),
            line: RequestLine {
                client_id: None,
                api: ApiKey::from_key(number(0)).map_or(UNKNOWN_API, ApiKey::name),
                version: number(2),
                topic: None,
                topics: 0,
                result: CLOSED,
                took: Duration::ZERO,
            },
            started: received,
        }
    }

    /// Notes who asks.
    pub(crate) fn of(&mut self, client_id: Option<&Arc<str>>) {
        self.line.client_id = client_id.cloned();
    }

    /// Notes what is asked.
    pub(crate) fn asks(&mut self, request: &Request, image: &Image) {
        (self.line.topic, self.line.topics) = summary::topics(request, image);
    }

    /// Tells what was answered.
    pub(crate) fn answered(self, response: &Response) {
        self.done(summary::result(response));
    }

    /// Tells how a request without such an answer ended.
    pub(crate) fn done(mut self, result: ErrorCode) {
        self.line.result = result.name();
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.line.took = self.started.elapsed();
        self.to.answered(&self.line);
    }
}
