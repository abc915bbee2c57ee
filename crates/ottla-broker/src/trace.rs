//! A line per request, for whoever wants to see what clients do (`--trace-requests`).

pub(crate) mod summary;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_partition::metadata::Image;
use ottla_protocol::{ErrorCode, Request, RequestHeader, Response};

use crate::runtime::Instant;

/// Is told of each request once its answer is made.
pub trait RequestTrace: fmt::Debug + Send + Sync {
    /// A request was answered.
    fn answered(&self, line: &RequestLine);
}

/// One request and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLine {
    /// What the client calls itself: any text of its choosing.
    pub client_id: Option<Arc<str>>,
    /// The API's name.
    pub api: &'static str,
    /// The version.
    pub version: i16,
    /// The first topic that the request names, or the id of one that is not there.
    pub topic: Option<String>,
    /// How many topics it names.
    pub topics: usize,
    /// The name of the first error in the answer, or `NONE`.
    pub result: &'static str,
    /// From the last byte of the request to the answer.
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

/// A request that is being traced.
#[derive(Debug)]
pub(crate) struct Trace {
    to: Arc<dyn RequestTrace>,
    line: RequestLine,
    started: Instant,
}

impl Trace {
    /// Notes what is asked.
    pub(crate) fn new(
        to: &Arc<dyn RequestTrace>,
        header: &RequestHeader,
        client_id: Option<&Arc<str>>,
        request: &Request,
        image: &Image,
    ) -> Self {
        let (topic, topics) = summary::topics(request, image);
        Self {
            to: Arc::clone(to),
            line: RequestLine {
                client_id: client_id.cloned(),
                api: header.api_key.name(),
                version: header.api_version,
                topic,
                topics,
                result: ErrorCode::None.name(),
                took: Duration::ZERO,
            },
            started: Instant::now(),
        }
    }

    /// Tells what was answered.
    pub(crate) fn answered(self, response: &Response) {
        self.done(summary::result(response));
    }

    /// Tells how a request without an answer ended.
    pub(crate) fn done(mut self, result: ErrorCode) {
        self.line.result = result.name();
        self.line.took = self.started.elapsed();
        self.to.answered(&self.line);
    }
}
