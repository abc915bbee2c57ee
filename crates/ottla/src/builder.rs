//! How a broker is described before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_broker::{
    AdvertiseSpec, BrokerOptions, InvalidSettings, ListenerSpec, Settings, Storage,
    listener_problems,
};
use ottla_log::vfs::Vfs;
use ottla_log::{Clock, Entropy, FlushMode, SeededEntropy};

use crate::Broker;

/// How long the end of an embedded broker waits for its disk: nobody kills it meanwhile, and a
/// stop that is not clean would surprise the next start.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a broker listens that was told nothing: a free port.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Describes a broker; made by [`Broker::builder`].
///
/// Without a word about listeners it listens on a free port of 127.0.0.1; without a word about
/// storage it lives in memory. Of a method here and a setting of Kafka's that means the same
/// (`listeners`, `advertised.listeners`, `log.dirs`, `ottla.flush.mode`) the method wins.
#[derive(Clone, Debug)]
pub struct BrokerBuilder {
    storage: Option<Storage>,
    listen: Option<Vec<String>>,
    advertise: Vec<String>,
    flush: Option<FlushMode>,
    settings: Vec<String>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
}

/// Why a broker did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What was asked for is wrong; all that is wrong, at once.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The machine or the data directory refuses it.
    #[error(transparent)]
    Start(#[from] ottla_broker::StartError),
}

impl BrokerBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            storage: None,
            listen: None,
            advertise: Vec::new(),
            flush: None,
            settings: Vec::new(),
            clock: None,
            entropy: None,
        }
    }

    /// Keeps everything in memory, gone with the broker.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.storage = Some(Storage::InMemory);
        self
    }

    /// Keeps everything in this directory, which is made where it is missing.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.storage = Some(Storage::Dir(dir.into()));
        self
    }

    /// Keeps everything in this directory of another file system, for example one that fails or
    /// loses what was not synced when the test says so.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>, dir: impl Into<PathBuf>) -> Self {
        self.storage = Some(Storage::Vfs(vfs, dir.into()));
        self
    }

    /// Listens here, `[NAME://]HOST:PORT`; may be called more than once. Port 0 is a free one.
    #[must_use]
    pub fn listen(mut self, listener: impl Into<String>) -> Self {
        self.listen.get_or_insert_default().push(listener.into());
        self
    }

    /// Listens nowhere: the broker is used from this process alone.
    #[must_use]
    pub fn without_listener(mut self) -> Self {
        self.listen = Some(Vec::new());
        self
    }

    /// Tells clients to connect here, `[NAME://]HOST:PORT`, instead of where the broker listens.
    #[must_use]
    pub fn advertise(mut self, endpoint: impl Into<String>) -> Self {
        self.advertise.push(endpoint.into());
        self
    }

    /// When a record counts as written. In a directory the default is [`FlushMode::Sync`].
    #[must_use]
    pub const fn flush(mut self, mode: FlushMode) -> Self {
        self.flush = Some(mode);
        self
    }

    /// One of Kafka's settings, such as `num.partitions`. One without effect here is warned of
    /// through `tracing`.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push(format!("{key}={}", value.to_string()));
        self
    }

    /// Takes the time from this clock, for example a [`crate::TestClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Draws ids from this seed, so that a run can be repeated.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.entropy = Some(Arc::new(SeededEntropy::new(seed)));
        self
    }

    /// Starts the broker. May be awaited on any executor.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self) -> Result<Broker, StartError> {
        Ok(Broker::new(ottla_broker::start(self.options()?).await?))
    }

    /// As [`BrokerBuilder::start`], and blocks the calling thread, whatever thread that is.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_blocking(self) -> Result<Broker, StartError> {
        Ok(Broker::new(ottla_broker::start_blocking(self.options()?)?))
    }

    fn options(self) -> Result<BrokerOptions, InvalidSettings> {
        let mut problems = Vec::new();
        let listen: Option<Vec<ListenerSpec>> =
            self.listen.map(|listen| parse_all(&listen, &mut problems));
        let advertise: Vec<AdvertiseSpec> = parse_all(&self.advertise, &mut problems);
        let all_read = problems.is_empty();
        let (settings, found) = Settings::read(None, &self.settings);
        problems.extend(found);
        // The settings advertise the listeners of the settings.
        let advertise = match listen.is_none() && advertise.is_empty() {
            true => settings.advertise,
            false => advertise,
        };
        let listen = match listen {
            Some(listen) => listen,
            None if settings.listen.is_empty() => vec![ListenerSpec::from(LISTEN_DEFAULT)],
            None => settings.listen,
        };
        // An address to advertise may belong to a listener that could not be read.
        let advertised = if all_read { &advertise[..] } else { &[] };
        problems.extend(listener_problems(&listen, advertised));
        if !problems.is_empty() {
            return Err(InvalidSettings { problems });
        }
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let configured = settings.data.map_or(Storage::InMemory, Storage::Dir);
        let mut options = BrokerOptions::new(self.storage.unwrap_or(configured));
        options.listen = listen;
        options.advertise = advertise;
        options.flush = self.flush.or(settings.flush).unwrap_or(options.flush);
        options.node_id = settings.node_id.unwrap_or(options.node_id);
        options.limits = settings.limits;
        options.limits.close_timeout = CLOSE_TIMEOUT;
        options.config = settings.config;
        options.clock = self.clock.unwrap_or(options.clock);
        options.entropy = self.entropy.unwrap_or(options.entropy);
        Ok(options)
    }
}

fn parse_all<T: std::str::FromStr<Err: ToString>>(
    texts: &[String],
    problems: &mut Vec<String>,
) -> Vec<T> {
    let mut parsed = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(value) => parsed.push(value),
            Err(error) => problems.push(T::Err::to_string(&error)),
        }
    }
    parsed
}
