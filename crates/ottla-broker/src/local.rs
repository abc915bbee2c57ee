//! A connection to a broker of this process, without a socket.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::connection;
use crate::running::RunningBroker;
use crate::session::Session;
use crate::stream::Stream;

/// A connection inside this process: Kafka's protocol, frame by frame. May be used from any
/// executor; the connection ends when dropped.
#[derive(Debug)]
pub struct LocalConnection {
    stream: DuplexStream,
}

impl RunningBroker {
    /// Connects to this broker without a socket.
    #[must_use]
    pub fn connect(&self) -> LocalConnection {
        let (ours, theirs) = Stream::pipe();
        let session = Arc::new(Session::in_process());
        let core = Arc::clone(&self.core);
        let serve = connection::serve(core, ours, session, self.stopper.stop());
        self.tasks.spawn(self.core.runtime(), serve);
        LocalConnection { stream: theirs }
    }
}

impl LocalConnection {
    /// Sends frames, each with its length field before it.
    ///
    /// # Errors
    /// The broker has ended the connection.
    pub async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames).await
    }

    /// The next response, without its length field.
    ///
    /// # Errors
    /// The broker has ended the connection.
    pub async fn receive(&mut self) -> io::Result<Bytes> {
        let length = self.stream.read_u32().await?;
        let mut frame = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.into())
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::client::messages::ApiVersionsRequest;
    use ottla_protocol::client::{decode_response, encode_request};

    use crate::options::{BrokerOptions, Storage};
    use crate::runtime::Runtime;
    use crate::start::start_blocking;

    #[test]
    fn a_broker_without_a_socket_answers() {
        let broker = start_blocking(BrokerOptions::new(Storage::InMemory)).unwrap();
        assert_eq!(broker.listeners(), []);
        let mut connection = broker.connect();
        let runtime = Runtime::shared().unwrap();
        let answer = runtime.block_on(async move {
            let request = encode_request(&ApiVersionsRequest::default(), 0, 7, "inside").unwrap();
            connection.send(&request).await.unwrap();
            connection.receive().await.unwrap()
        });
        let (id, response) = decode_response::<ApiVersionsRequest>(answer.unwrap(), 0).unwrap();
        assert_eq!((id, response.error_code), (7, 0));
    }

    #[test]
    fn a_shutdown_ends_connections() {
        let broker = start_blocking(BrokerOptions::new(Storage::InMemory)).unwrap();
        let mut connection = broker.connect();
        assert!(!broker.shutdown_blocking().abandoned);
        let runtime = Runtime::shared().unwrap();
        let ended = runtime.block_on(async move { connection.receive().await.is_err() });
        assert_eq!(ended, Some(true));
    }
}
