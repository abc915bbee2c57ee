//! Starts a broker: first the listeners, which are most likely refused, then the data directory,
//! the metadata, and last whatever serves requests. A refused start leaves nothing behind.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use ottla_log::{FlushMode, OpenError, Store, StoreOptions, World};
use ottla_partition::BrokerId;
use ottla_partition::metadata::config::ConfigView;
use ottla_partition::metadata::controller::Registration;
use ottla_partition::metadata::{BrokerEndpoint, BrokerFeature, Image, SecurityProtocol};
use ottla_partition::{DirectoryId, IncarnationId};

use crate::budget::Budget;
use crate::connection;
use crate::core::BrokerCore;
use crate::features;
use crate::flusher::Flusher;
use crate::groups::Groups;
use crate::handlers::fetch::FetchSessions;
use crate::handlers::producer_ids::ProducerIds;
use crate::leaving;
use crate::listener::{self, AcceptSocket, DoorRules, Doorkeeper, Listener, Pass};
use crate::log_gate::Complaints;
use crate::maintenance;
use crate::metadata::{Metadata, MetadataError};
use crate::options::{BrokerOptions, Storage};
use crate::partitions::{Partitions, left_over};
use crate::running::RunningBroker;
use crate::runtime::{self, Runtime};
use crate::session::{Principal, Session};
use crate::settings::{self, InvalidSettings};
use crate::stop::{self, Stop};
use crate::stream::Stream;
use crate::tasks::Tasks;
use crate::timer::Timer;

/// Starts a broker. May be awaited on any executor; the broker runs on a runtime of its own.
///
/// # Errors
/// [`StartError`].
pub async fn start(options: BrokerOptions) -> Result<RunningBroker, StartError> {
    let runtime = Runtime::shared().map_err(StartError::Runtime)?;
    let (done, started) = tokio::sync::oneshot::channel();
    let task = assemble(Arc::clone(&runtime), options);
    runtime.spawn(async move {
        // Nobody waits any more: what was started is dropped, and so ended.
        let _ = done.send(task.await);
    });
    started.await.unwrap_or(Err(StartError::Panicked))
}

/// As [`start`], and blocks the calling thread.
///
/// # Errors
/// [`StartError`].
pub fn start_blocking(options: BrokerOptions) -> Result<RunningBroker, StartError> {
    let runtime = Runtime::shared().map_err(StartError::Runtime)?;
    let started = runtime.block_on(assemble(Arc::clone(&runtime), options));
    started.unwrap_or(Err(StartError::Panicked))
}

/// What a start needs a thread that may block for.
struct Opened {
    listeners: Vec<(Listener, Vec<TcpListener>)>,
    store: Store,
    metadata: Metadata,
}

fn open(
    options: &BrokerOptions,
    runtime: &Arc<Runtime>,
    timer: &Timer,
) -> Result<Opened, StartError> {
    let backlog = options.limits.listen_backlog;
    let listeners = listener::bind(&options.listen, &options.advertise, backlog)?;
    let (vfs, dir) = options.storage.open();
    let world = World {
        vfs: Arc::clone(&vfs),
        clock: Arc::clone(&options.clock),
        entropy: Arc::clone(&options.entropy),
    };
    let mut of_store = StoreOptions::default();
    of_store.flush = options.flush;
    of_store.node_id = options.node_id;
    of_store.cluster_id.clone_from(&options.cluster_id);
    of_store.scrub.bytes_per_second = settings::scrub_rate(&options.config);
    of_store.open_files_max = options.limits.files().storage;
    let store = Store::open_in(world, dir, of_store)?.store;
    let node = BrokerId::new(options.node_id);
    // What topics there are, and who got which producer id, survives a power cut in each mode;
    // memory does not.
    let flush = match options.storage {
        Storage::InMemory => None,
        Storage::Dir(_) | Storage::Vfs(..) => Some(FlushMode::Sync),
    };
    let metadata = Metadata::open(&store, &vfs, runtime, timer, node, &options.config, flush);
    let metadata = metadata.inspect_err(|_| store.abandon())?;
    left_over::clear(&store, &metadata.image(), metadata.removed_before());
    Ok(Opened {
        listeners,
        store,
        metadata,
    })
}

/// Opens everything; where a broker of this process is just letting go of the data directory, once
/// it has.
async fn open_once_free(
    runtime: &Arc<Runtime>,
    options: &BrokerOptions,
    timer: &Timer,
) -> Result<Opened, StartError> {
    let attempt = || {
        let (options, runtime, timer) = (options.clone(), Arc::clone(runtime), timer.clone());
        let worker = Arc::clone(&runtime);
        worker.spawn_blocking(move || open(&options, &runtime, &timer))
    };
    let leaving = options.storage.dir().and_then(leaving::of);
    let opened = attempt().await.unwrap_or(Err(StartError::Panicked));
    let (Err(StartError::Open(OpenError::InUse { .. })), Some(leaving)) = (&opened, leaving) else {
        return opened;
    };
    if leaving.given_back().await {
        attempt().await.unwrap_or(Err(StartError::Panicked))
    } else {
        opened
    }
}

/// `options` with what holds where no setting says otherwise.
fn completed(mut options: BrokerOptions) -> BrokerOptions {
    let config = options.config.with_node_id(options.node_id);
    // As in the settings file that Kafka comes with, where a broker is likely to be alone.
    let config = config.or("group.initial.rebalance.delay.ms", "0");
    options.config = options.limits.told_in(config);
    options
}

async fn assemble(
    runtime: Arc<Runtime>,
    options: BrokerOptions,
) -> Result<RunningBroker, StartError> {
    let mut problems = listener::listener_problems(&options.listen, &options.advertise);
    let secured = |spec| settings::secured(spec, &options.config);
    problems.extend(options.listen.iter().filter_map(secured));
    if !problems.is_empty() {
        return Err(InvalidSettings { problems }.into());
    }
    let options = completed(options);
    let timer = Timer::new(Arc::clone(&options.clock));
    let Opened {
        listeners,
        store,
        metadata,
    } = open_once_free(&runtime, &options, &timer).await?;
    let flusher = Flusher::start(&store);
    let flusher = flusher.map_err(|e| {
        store.abandon();
        StartError::Runtime(e)
    })?;
    let (stopper, stop) = stop::pair();
    let (listeners, sockets): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    // All that can fail comes before the first task, which would have to be ended again.
    let sockets = match register(&metadata, &store, &options, &listeners).await {
        Ok(()) => accept_on(&runtime, sockets),
        Err(error) => Err(error),
    };
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(error) => {
            let abandoned = runtime.spawn_blocking(move || store.abandon());
            let _ = abandoned.await;
            return Err(error);
        }
    };
    let failing = stopper.clone();
    metadata.on_failure(move |_| failing.abandon());
    let flush = options.flush;
    let dir = options.storage.dir().map(Path::to_path_buf);
    let core = core(
        &runtime,
        options,
        timer.clone(),
        listeners,
        &store,
        metadata,
    );
    let tasks = Tasks::default();
    let (opened, until, clean) = (Arc::clone(&core), stop.clone(), store.was_clean());
    tasks.spawn(
        &runtime,
        async move { opened.open_pending(until, clean).await },
    );
    coordinate(&core, &tasks, &stop);
    let sockets = listen(&core, sockets, &tasks, &stop);
    let maintained = maintenance::run(runtime.clone(), Arc::clone(core.partitions()), timer, stop);
    tasks.spawn(&runtime, maintained);
    Ok(RunningBroker {
        core,
        store,
        dir,
        flush,
        stopper,
        tasks,
        sockets,
        _flusher: flusher,
    })
}

/// Loads the groups that are on the disk, and looks after the time of all of them.
fn coordinate(core: &Arc<BrokerCore>, tasks: &Tasks, stop: &Stop) {
    core.groups().found(core);
    let (loader, until) = (Arc::clone(core), stop.clone());
    tasks.spawn(core.runtime(), async move {
        loader.groups().load_found(&loader, until).await;
    });
    let (groups, until) = (Arc::clone(&core.groups), stop.clone());
    tasks.spawn(core.runtime(), async move { groups.run(until).await });
}

/// What all parts of the broker share.
fn core(
    runtime: &Arc<Runtime>,
    options: BrokerOptions,
    timer: Timer,
    listeners: Vec<Listener>,
    store: &Store,
    metadata: Metadata,
) -> Arc<BrokerCore> {
    let limits = Arc::new(options.limits);
    let node_id = BrokerId::new(options.node_id);
    let partitions = Arc::new(Partitions::new(
        node_id,
        store.clone(),
        options.flush,
        options.config.clone(),
        timer.clone(),
        Arc::clone(&options.entropy),
        metadata.published(),
    ));
    let groups = Arc::new(Groups::new(
        node_id,
        &options.config,
        &limits,
        timer.clone(),
    ));
    let rules = {
        let (at_start, limits) = (options.config.clone(), Arc::clone(&limits));
        move |image: &Image| DoorRules::of(ConfigView::new(image, node_id, &at_start), &limits)
    };
    let door = Doorkeeper::new(rules(&metadata.image()));
    let (of_metadata, its_groups) = (Arc::clone(&partitions), Arc::clone(&groups));
    let its_door = Arc::clone(&door);
    metadata.on_publish(move |old, new| {
        of_metadata.apply(old, new);
        its_groups.apply(old, new);
        its_door.set_rules(rules(new));
    });
    Arc::new(BrokerCore {
        runtime: Arc::clone(runtime),
        node_id,
        budget: Budget::new(limits.budget_bytes),
        fetch_sessions: FetchSessions::new(&limits),
        answer_files: Arc::new(tokio::sync::Semaphore::new(limits.files().answers)),
        producer_ids: ProducerIds::default(),
        groups,
        limits,
        log_limits: ottla_log::Limits::default(),
        partitions,
        at_start: options.config,
        listeners,
        door,
        authorizer: options.authorizer,
        timer,
        entropy: options.entropy,
        metadata,
        trace: options.trace,
        complaints: Complaints::default(),
    })
}

/// Writes down what this node is, and takes the lead of what it led before.
async fn register(
    metadata: &Metadata,
    store: &Store,
    options: &BrokerOptions,
    listeners: &[Listener],
) -> Result<(), StartError> {
    metadata.change(|controller| controller.bootstrap()).await?;
    let endpoint = |listener: &Listener| {
        let endpoint = listener.endpoint();
        BrokerEndpoint {
            name: listener.name.clone(),
            host: endpoint.host,
            port: endpoint.port,
            security_protocol: SecurityProtocol::Plaintext,
        }
    };
    let feature = |&(name, min, max): &(&'static str, i16, i16)| BrokerFeature {
        name: name.to_owned(),
        min_supported: min,
        max_supported: max,
    };
    let mut incarnation = [0; 16];
    options.entropy.fill(&mut incarnation);
    let node = Registration {
        broker_id: BrokerId::new(options.node_id),
        incarnation_id: IncarnationId::from_bytes(incarnation),
        endpoints: listeners.iter().map(endpoint).collect(),
        features: features::SUPPORTED.iter().map(feature).collect(),
        rack: options.config.text("broker.rack").map(str::to_owned),
        log_dirs: vec![DirectoryId::from_bytes(store.directory_id().to_bytes())],
    };
    let clean = store.was_clean();
    metadata
        .change(move |controller| controller.start_alone(&node, clean))
        .await?;
    Ok(())
}

/// The sockets of one listener, and where each is bound.
type Sockets = Vec<(Arc<AcceptSocket>, SocketAddr)>;

/// Hands the bound sockets of each listener to the runtime.
fn accept_on(
    runtime: &Runtime,
    sockets: Vec<Vec<TcpListener>>,
) -> Result<Vec<Sockets>, StartError> {
    let _inside = runtime.enter();
    let accept = |socket: TcpListener| {
        let local = socket.local_addr()?;
        Ok((AcceptSocket::new(socket)?, local))
    };
    let of_listener = |of: Vec<TcpListener>| of.into_iter().map(accept).collect();
    let all: io::Result<_> = sockets.into_iter().map(of_listener).collect();
    all.map_err(StartError::Runtime)
}

/// Lets connections in on every socket.
fn listen(
    core: &Arc<BrokerCore>,
    sockets: Vec<Sockets>,
    tasks: &Tasks,
    stop: &Stop,
) -> Vec<Arc<AcceptSocket>> {
    let mut open = Vec::new();
    for (number, of_listener) in sockets.into_iter().enumerate() {
        for (socket, local) in of_listener {
            open.push(Arc::clone(&socket));
            let (core, all, stop) = (Arc::clone(core), tasks.clone(), stop.clone());
            let (door, until) = (Arc::clone(&core.door), stop.clone());
            let runtime = Arc::clone(&core.runtime);
            let enter = move |stream: tokio::net::TcpStream, peer, pass: Pass| {
                // Answers leave when they are ready; a failure only costs time.
                let _ = stream.set_nodelay(true);
                // What a wildcard listener was reached at is known only now.
                let local = stream.local_addr().unwrap_or(local);
                let session = Session::new(Principal::anonymous(), number, peer, local);
                let stream = Stream::Tcp(stream);
                let serve =
                    connection::serve(Arc::clone(&core), stream, Arc::new(session), stop.clone());
                // Boxed, because a future that awaits another keeps room for it twice.
                let serve = Box::pin(serve);
                let turn = pass.turn().map(|at| Box::pin(runtime::sleep_until(at)));
                let mut until = stop.clone();
                all.spawn(&core.runtime, async move {
                    if let Some(turn) = turn {
                        tokio::select! {
                            biased;
                            () = until.requested() => return,
                            () = turn => {}
                        }
                    }
                    serve.await;
                    drop(pass);
                });
            };
            tasks.spawn(&runtime, socket.run(door, until, enter));
        }
    }
    open
}

/// Why a broker did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process listens there.
    #[error("{address} is in use (another Kafka?); run with --listen {next}")]
    PortInUse {
        /// The address.
        address: SocketAddr,
        /// An address to try.
        next: SocketAddr,
    },
    /// The machine refuses the address.
    #[error("cannot listen on {spec}: {source}; is it an address of this machine?")]
    Listen {
        /// The listener as it was given.
        spec: String,
        /// What the machine says.
        source: io::Error,
    },
    /// A host name has no address.
    #[error("cannot find the address of {host:?} to listen on: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the machine says.
        source: io::Error,
    },
    /// What was asked for does not go together; all of that, found before anything was opened.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The data directory cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The metadata cannot be read, or this node not be written down in it.
    #[error("{0}")]
    Metadata(String),
    /// The machine refuses a thread, or what a runtime needs.
    #[error("the machine refuses what a broker needs to run: {0}")]
    Runtime(io::Error),
    /// A bug.
    #[error("the start panicked; this is a bug, please report it with the lines above")]
    Panicked,
}

impl From<MetadataError> for StartError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(error.to_string())
    }
}
