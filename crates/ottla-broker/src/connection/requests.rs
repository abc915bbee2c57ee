//! The reading half of a connection: takes requests in, lets them take effect one after the other,
//! and puts their answers in the window.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::{Checked, DecodeError, ErrorCode, RequestHeader};

use super::frames::{Frame, FrameError, Frames};
use super::window::Window;
use super::{Answer, Fault, Reply};
use crate::budget::Charge;
use crate::core::BrokerCore;
use crate::cost;
use crate::handlers::{self, Context, Failed, state_cost};
use crate::session::Session;
use crate::stop::Stop;

/// How long a name of a client is kept between its requests.
const CLIENT_ID_KEPT: usize = 256;

pub(super) struct Requests<'a> {
    core: &'a Arc<BrokerCore>,
    session: &'a Arc<Session>,
    window: &'a Window,
    stop: Stop,
    /// What the client called itself last; most never change it. A long name is forgotten with its
    /// request.
    client_id: Option<Arc<str>>,
}

impl<'a> Requests<'a> {
    pub(super) fn new(
        core: &'a Arc<BrokerCore>,
        session: &'a Arc<Session>,
        window: &'a Window,
        stop: Stop,
    ) -> Self {
        Self {
            core,
            session,
            window,
            stop,
            client_id: None,
        }
    }

    /// Returns when the peer sends no more or the broker stops.
    pub(super) async fn run(&mut self, frames: &mut Frames) -> Result<(), Fault> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.stop.requested() => return Ok(()),
                frame = next(frames, self.window) => frame,
            };
            match frame {
                Ok(frame) => {
                    // Boxed: a connection that waits for its next request holds no room for it.
                    Box::pin(self.request(frame, frames)).await?;
                    self.client_id.take_if(|id| id.len() > CLIENT_ID_KEPT);
                }
                Err(FrameError::Closed) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }

    async fn request(&mut self, frame: Frame, frames: &Frames) -> Result<(), Fault> {
        let Frame {
            bytes,
            mut charge,
            received,
        } = frame;
        // Dropped on any way out, it tells that the request was closed.
        let mut trace = self.core.trace(&bytes, received);
        let (header, body) = self.header(bytes)?;
        if let Some(trace) = &mut trace {
            trace.of(self.client_id.as_ref());
        }
        charge.room().await;
        let checked = match Checked::new(&header, body) {
            Err(DecodeError::UnsupportedVersion { .. }) => {
                self.window
                    .push(Answer::unsupported(header, charge, trace)?);
                return Ok(());
            }
            other => other.map_err(|e| Fault::decode(&header, e))?,
        };
        let answering = self.charge_for(&header, &checked, &mut charge).await?;
        let request = checked.decode().map_err(|e| Fault::decode(&header, e))?;
        let context = Context {
            core: Arc::clone(self.core),
            session: Arc::clone(self.session),
            image: self.core.metadata().image(),
            version: header.api_version,
            client_id: self.client_id.clone(),
            failed: Failed::default(),
        };
        if let Some(trace) = &mut trace {
            trace.asks(&request, &context.image);
        }
        let telling = state_cost::of(&context, &request);
        charge.grow(telling).await;
        let mut handling = Box::pin(handlers::handle(context, request, &mut charge));
        let reply = tokio::select! {
            biased;
            reply = &mut handling => reply,
            () = self.hurry(frames) => {
                // What only waits for more to happen answers now.
                self.session.hurry();
                (&mut handling).await
            }
        };
        drop(handling);
        let answer = match reply {
            Reply::Nothing => {
                if let Some(trace) = trace {
                    trace.done(ErrorCode::None);
                }
                return Ok(());
            }
            Reply::Close(why) => return Err(Fault::Refused(why)),
            Reply::Now(outgoing) => Answer::new(header, outgoing, charge, trace)?,
            Reply::Later(later) => {
                // The request is used up; what is to be said of it is not yet.
                charge.shrink_to(answering.saturating_add(telling));
                Answer::waiting(header, later, charge, trace)
            }
        };
        self.window.push(answer);
        Ok(())
    }

    /// Takes what decoding a request and answering it will need; returns the latter part.
    async fn charge_for(
        &self,
        header: &RequestHeader,
        checked: &Checked,
        charge: &mut Charge,
    ) -> Result<u64, Fault> {
        let size = checked.size();
        let answering = cost::of_answering(size.elements as u64, size.text as u64);
        let needed = (size.memory as u64).saturating_add(answering);
        let limit = self.core.limits().request_memory_max;
        if needed > limit {
            return Err(Fault::TooMuch {
                api: header.api_key.name(),
                elements: size.elements,
                needed,
                limit,
            });
        }
        charge.grow(needed).await;
        Ok(answering)
    }

    /// The header and the body. The header holds no part of the frame afterwards, so that a
    /// handler who owns the body owns its memory.
    fn header(&mut self, frame: Bytes) -> Result<(RequestHeader, Bytes), Fault> {
        let (mut header, body) = RequestHeader::decode(&frame)?;
        let client_id = header.client_id.take();
        if client_id.as_deref() != self.client_id.as_deref() {
            self.client_id = client_id.as_deref().map(Arc::from);
        }
        Ok((header, body))
    }

    /// Returns when a request that waits should be answered at once: nobody is there to wait for
    /// the answer, or the broker stops.
    async fn hurry(&self, frames: &Frames) {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = frames.closed() => {}
        }
    }
}

async fn next(frames: &mut Frames, window: &Window) -> Result<Frame, FrameError> {
    window.room().await;
    frames.next().await
}
