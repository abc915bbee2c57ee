//! One blocking connection to a broker, which speaks the newest version of each API that both
//! sides know.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::client::messages::ApiVersionsRequest;
use ottla_protocol::client::{
    ClientCodecError, Request, StrBytes, decode_response, encode_request,
};

/// How long connecting may take, for each address of the name.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take; longer than any wait that a request asks for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a signal is looked for while an answer is waited for.
const SIGNAL_POLL: Duration = Duration::from_millis(100);
/// The largest answer that is read: Kafka's `fetch.max.bytes` and room for one large batch.
const ANSWER_BYTES_MAX: usize = 160 << 20;
/// The version every broker since 2.4 answers.
const API_VERSIONS_VERSION: i16 = 3;

/// What went wrong with a broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConnectionError {
    #[error("{address:?} is no address of a broker: write HOST:PORT, for example localhost:9092")]
    Address { address: String },
    #[error("cannot connect to {address}: {source}; is a broker running there? (`ottla serve`)")]
    Connect { address: String, source: io::Error },
    #[error("the broker at {address} closed the connection while {doing}; does it still run?")]
    Closed {
        address: String,
        doing: &'static str,
    },
    #[error("{address} has not answered {api} for {} s", waited.as_secs())]
    Late {
        address: String,
        api: &'static str,
        waited: Duration,
    },
    #[error("stopped by a signal")]
    Stopped,
    #[error("the connection to {address} broke while {doing}: {source}")]
    Broken {
        address: String,
        doing: &'static str,
        source: io::Error,
    },
    #[error("{address} does not speak {api}")]
    Unsupported { address: String, api: &'static str },
    #[error("{address} answered {bytes} bytes at once, more than the {ANSWER_BYTES_MAX} allowed")]
    TooLarge { address: String, bytes: i64 },
    #[error("{address}: {source}")]
    Codec {
        address: String,
        source: ClientCodecError,
    },
    #[error("{address} answered another request than the one asked")]
    OutOfOrder { address: String },
}

impl ConnectionError {
    /// Whether connecting anew may help.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Closed { .. } | Self::Broken { .. } | Self::Late { .. }
        )
    }
}

/// How long an answer is waited for, and what ends the wait before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) timeout: Duration,
    pub(crate) stop: Option<&'a AtomicBool>,
}

/// Of a request that the broker answers when it can.
const PATIENCE: Patience<'static> = Patience {
    timeout: ANSWER_TIMEOUT,
    stop: None,
};

/// A connection to one broker.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    stream: TcpStream,
    correlation_id: i32,
    /// The versions of each API that the broker speaks.
    versions: BTreeMap<i16, (i16, i16)>,
}

impl Connection {
    /// Connects to `address` (`HOST:PORT`) and asks what it speaks.
    pub(crate) fn open(address: &str) -> Result<Self, ConnectionError> {
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            let address = address.to_owned();
            return Err(ConnectionError::Address { address });
        }
        let stream = connect(address).map_err(|source| ConnectionError::Connect {
            address: address.to_owned(),
            source,
        })?;
        let mut connection = Self {
            address: address.to_owned(),
            stream,
            correlation_id: 0,
            versions: BTreeMap::from([(
                ApiVersionsRequest::KEY,
                (API_VERSIONS_VERSION, API_VERSIONS_VERSION),
            )]),
        };
        let ask = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("ottla-cli"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = connection.call("ApiVersions", &ask)?;
        let ranges = answer.api_keys.iter();
        connection.versions = ranges
            .map(|a| (a.api_key, (a.min_version, a.max_version)))
            .collect();
        Ok(connection)
    }

    /// Sends `request` and waits for its answer. `api` names it in errors.
    pub(crate) fn call<R: Request>(
        &mut self,
        api: &'static str,
        request: &R,
    ) -> Result<R::Response, ConnectionError> {
        self.call_up_to(i16::MAX, api, request)
    }

    /// As [`Connection::call`], for a request whose answer may take long.
    pub(crate) fn call_patiently<R: Request>(
        &mut self,
        patience: Patience<'_>,
        api: &'static str,
        request: &R,
    ) -> Result<R::Response, ConnectionError> {
        let version = self.send(api, request)?;
        self.answer::<R>(version, api, patience)
    }

    /// As [`Connection::call`], in no newer version than `newest`.
    pub(crate) fn call_up_to<R: Request>(
        &mut self,
        newest: i16,
        api: &'static str,
        request: &R,
    ) -> Result<R::Response, ConnectionError> {
        let version = self.send_up_to(newest, api, request)?;
        self.answer::<R>(version, api, PATIENCE)
    }

    fn answer<R: Request>(
        &mut self,
        version: i16,
        api: &'static str,
        patience: Patience<'_>,
    ) -> Result<R::Response, ConnectionError> {
        let frame = self.receive(api, patience)?;
        let (id, response) = decode_response::<R>(frame, version).map_err(|e| self.codec(e))?;
        if id == self.correlation_id {
            Ok(response)
        } else {
            Err(ConnectionError::OutOfOrder {
                address: self.address.clone(),
            })
        }
    }

    /// Sends `request` and returns the version it was sent in; for requests without an answer.
    pub(crate) fn send<R: Request>(
        &mut self,
        api: &'static str,
        request: &R,
    ) -> Result<i16, ConnectionError> {
        self.send_up_to(i16::MAX, api, request)
    }

    fn send_up_to<R: Request>(
        &mut self,
        newest: i16,
        api: &'static str,
        request: &R,
    ) -> Result<i16, ConnectionError> {
        let version = self
            .version::<R>(newest)
            .ok_or_else(|| ConnectionError::Unsupported {
                address: self.address.clone(),
                api,
            })?;
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = encode_request(request, version, self.correlation_id, "ottla-cli")
            .map_err(|e| self.codec(e))?;
        self.stream
            .write_all(&frame)
            .map_err(|source| self.broken("sending a request", source))?;
        Ok(version)
    }

    /// The newest version of `R` that both sides know, up to `newest`.
    fn version<R: Request>(&self, newest: i16) -> Option<i16> {
        let (min, max) = *self.versions.get(&R::KEY)?;
        let newest = max.min(R::VERSIONS.max).min(newest);
        (newest >= min && newest >= R::VERSIONS.min).then_some(newest)
    }

    /// The length of the next answer.
    fn await_length(
        &mut self,
        api: &'static str,
        patience: Patience<'_>,
    ) -> Result<i32, ConnectionError> {
        let begun = Instant::now();
        let doing = "waiting for an answer";
        let mut prefix = [0; 4];
        let mut filled = 0;
        while let Some(rest) = prefix.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.stream.read(rest) {
                Ok(0) => return Err(self.broken(doing, io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => filled += read,
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(doing, error)),
            }
            if filled == prefix.len() {
                break;
            }
            if patience
                .stop
                .is_some_and(|stop| stop.load(Ordering::Relaxed))
            {
                return Err(ConnectionError::Stopped);
            }
            let waited = begun.elapsed();
            if waited >= patience.timeout {
                let address = self.address.clone();
                return Err(ConnectionError::Late {
                    address,
                    api,
                    waited,
                });
            }
        }
        Ok(i32::from_be_bytes(prefix))
    }

    fn receive(
        &mut self,
        api: &'static str,
        patience: Patience<'_>,
    ) -> Result<Bytes, ConnectionError> {
        let set = |stream: &TcpStream, timeout| stream.set_read_timeout(Some(timeout));
        let doing = "waiting for an answer";
        let short = set(&self.stream, SIGNAL_POLL);
        short.map_err(|source| self.broken(doing, source))?;
        let length = self.await_length(api, patience)?;
        let long = set(&self.stream, ANSWER_TIMEOUT);
        long.map_err(|source| self.broken(doing, source))?;
        let bytes = usize::try_from(length)
            .ok()
            .filter(|n| *n <= ANSWER_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| ConnectionError::TooLarge {
            address: self.address.clone(),
            bytes: i64::from(length),
        })?;
        let mut frame = Vec::new();
        // Grows as the bytes arrive: a broken broker's length costs nothing.
        let read = (&self.stream).take(bytes as u64).read_to_end(&mut frame);
        let read = read.map_err(|source| self.broken("reading an answer", source))?;
        if read < bytes {
            let ended = io::Error::new(io::ErrorKind::UnexpectedEof, format!("{api} was cut off"));
            return Err(self.broken("reading an answer", ended));
        }
        Ok(Bytes::from(frame))
    }

    fn broken(&self, doing: &'static str, source: io::Error) -> ConnectionError {
        let address = self.address.clone();
        let is_end = matches!(
            source.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        match is_end {
            true => ConnectionError::Closed { address, doing },
            false => ConnectionError::Broken {
                address,
                doing,
                source,
            },
        }
    }

    fn codec(&self, source: ClientCodecError) -> ConnectionError {
        ConnectionError::Codec {
            address: self.address.clone(),
            source,
        }
    }
}

/// As which a read's timeout shows depends on the system.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Tries every address that the name stands for.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
