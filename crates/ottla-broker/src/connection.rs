//! One connection: frame, header, budget, decode, dispatch, and the answers in order.
//!
//! Reading and writing are two halves of one task, joined by the [`Window`]. The reading half goes
//! on to the next request as soon as one has taken effect; what an answer still waits for (a sync,
//! an acknowledgement) is waited for by the writing half, which sends answers in the order of their
//! requests. Whatever goes wrong with a connection ends this connection and nothing else.

mod answers;
mod frames;
mod requests;
mod window;

use std::io;
use std::sync::Arc;

use ottla_protocol::{DecodeError, EncodeError, HeaderError, RequestHeader};

pub(crate) use answers::{Answer, Outgoing, Reply, SENDFILE_MIN};

use answers::Answers;
use frames::{FrameError, Frames};
use requests::Requests;
use window::Window;

use crate::core::BrokerCore;
use crate::session::Session;
use crate::stop::Stop;
use crate::stream::Stream;

/// Why a connection ends before its peer closes it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("a {api} request of version {version} cannot be read: {source}")]
    Decode {
        api: &'static str,
        version: i16,
        source: DecodeError,
    },
    #[error(
        "answering a {api} request that lists {elements} things may take {needed} bytes of memory, \
         more than the {limit} allowed; ask for them in several requests"
    )]
    TooMuch {
        api: &'static str,
        elements: usize,
        needed: u64,
        limit: u64,
    },
    #[error("{0}")]
    Refused(&'static str),
    #[error("cannot encode a response: {0}")]
    Encode(#[from] EncodeError),
    #[error("cannot send a response: {0}")]
    Io(#[from] io::Error),
}

impl Fault {
    fn decode(header: &RequestHeader, source: DecodeError) -> Self {
        Self::Decode {
            api: header.api_key.name(),
            version: header.api_version,
            source,
        }
    }
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    core: Arc<BrokerCore>,
    stream: Stream,
    session: Arc<Session>,
    mut stop: Stop,
) {
    let _panic = PanicNote(Arc::clone(&session));
    let requests_stop = stop.clone();
    let ended = tokio::select! {
        biased;
        () = stop.abandoned() => return,
        ended = run(&core, stream, &session, requests_stop) => ended,
    };
    if let Err(fault) = ended {
        complain(&core, &session, &fault);
    }
}

/// Both halves in one task. What fails while writing ends both at once; what fails while reading
/// lets the answers that are owed leave first.
async fn run(
    core: &Arc<BrokerCore>,
    stream: Stream,
    session: &Arc<Session>,
    stop: Stop,
) -> Result<(), Fault> {
    let (read, write) = stream.split()?;
    let window = Window::new(core.limits());
    let account = core.budget().account();
    let mut frames = Frames::new(read, Arc::clone(core.limits()), account);
    let stopping = stop.clone();
    let requests = async {
        let ended = Requests::new(core, session, &window, stop)
            .run(&mut frames)
            .await;
        let in_hand = window.is_owing();
        window.close();
        Ok((ended, in_hand))
    };
    let answers = Answers::new(core, &window, write).run();
    let ((read, in_hand), ()) = tokio::try_join!(biased; requests, answers)?;
    // Also a peer that was owed nothing may not have read its last answer yet.
    if stopping.is_requested() && (in_hand || frames.has_more()) {
        frames.drain(core.limits().drain_timeout).await;
    }
    read
}

/// Tells the operator why a connection was ended, unless that is everyday business.
fn complain(core: &BrokerCore, session: &Session, fault: &Fault) {
    let peer = session.peer_text();
    let everyday = match fault {
        Fault::Io(_) => true,
        Fault::Frame(e) => !matches!(e, FrameError::Frame(_) | FrameError::Stranger(_)),
        _ => false,
    };
    if everyday {
        tracing::debug!(%peer, "ended a connection: {fault}");
    } else if let Some(more) = core.complaints().connections.pass() {
        tracing::warn!(%peer, more, "closed a connection: {fault}");
    }
}

/// Notes in the log that a panic ended a connection; the runtime keeps it from ending more.
struct PanicNote(Arc<Session>);

impl Drop for PanicNote {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                peer = %self.0.peer_text(),
                "a request made the broker panic; its connection is closed. This is a bug: \
                 please report it with the lines above"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // What only a request or an answer needs is boxed while there is one.
        assert!(size(serve) <= 3072, "{} bytes", size(serve));
    }
}
