//! What a broker is started with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::vfs::{MemVfs, RealVfs, Vfs};
use ottla_log::{Clock, Entropy, FlushMode, OsEntropy, SystemClock};
use ottla_partition::metadata::config::BrokerConfig;

use crate::authorizer::{AllowAll, Authorizer};
use crate::limits::Limits;
use crate::listener::{AdvertiseSpec, ListenerSpec};
use crate::trace::RequestTrace;

/// The node's id where nobody gives it one.
const NODE_ID_DEFAULT: i32 = 1;
/// The directory of a broker that lives in memory, in its own file system.
const MEMORY_DIR: &str = "/ottla";

/// Everything a broker is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerOptions {
    /// Where the data is.
    pub storage: Storage,
    /// Where to listen; nowhere where empty.
    pub listen: Vec<ListenerSpec>,
    /// What to tell clients, where that differs from where the broker listens.
    pub advertise: Vec<AdvertiseSpec>,
    /// When a record counts as written.
    pub flush: FlushMode,
    /// The bounds of what peers may ask.
    pub limits: Limits,
    /// The id of this node.
    pub node_id: i32,
    /// The cluster's id; drawn for a new directory where absent.
    pub cluster_id: Option<String>,
    /// Kafka's settings, as the broker was given them.
    pub config: BrokerConfig,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for ids.
    pub entropy: Arc<dyn Entropy>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Is told of each request that was answered.
    pub trace: Option<Arc<dyn RequestTrace>>,
}

/// Where a broker keeps its data.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In memory, gone with the broker. Written is durable there: the flush mode is `os`.
    InMemory,
    /// In a directory on the disk.
    Dir(PathBuf),
    /// In a directory of a file system of the caller's.
    Vfs(Arc<dyn Vfs>, PathBuf),
}

impl Storage {
    /// The directory, where it outlives the broker.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match self {
            Self::InMemory => None,
            Self::Dir(dir) | Self::Vfs(_, dir) => Some(dir),
        }
    }

    /// The file system and the directory in it.
    pub(crate) fn open(&self) -> (Arc<dyn Vfs>, PathBuf) {
        match self {
            Self::InMemory => (Arc::new(MemVfs::volatile()), PathBuf::from(MEMORY_DIR)),
            Self::Dir(dir) => (Arc::new(RealVfs::new()), dir.clone()),
            Self::Vfs(vfs, dir) => (Arc::clone(vfs), dir.clone()),
        }
    }
}

impl BrokerOptions {
    /// A broker that keeps its data in `storage`, listens nowhere, and takes its time and its
    /// chance from the machine.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        let flush = match storage {
            Storage::InMemory => FlushMode::Os,
            Storage::Dir(_) | Storage::Vfs(..) => FlushMode::Sync,
        };
        Self {
            storage,
            listen: Vec::new(),
            advertise: Vec::new(),
            flush,
            limits: Limits::default(),
            node_id: NODE_ID_DEFAULT,
            cluster_id: None,
            config: BrokerConfig::default(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            authorizer: Arc::new(AllowAll),
            trace: None,
        }
    }
}
