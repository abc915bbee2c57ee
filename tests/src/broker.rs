//! A broker as its own process, which a run starts, restarts and kills: Ottla, or Apache Kafka to
//! prove that a run expects what Kafka does.
//!
//! Ports are never fixed: the first start takes a free one, and every later start the same again,
//! because clients come back to the address they know.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Error, tools};

/// How long a broker may take to come up. Apache Kafka needs up to 10 s after a kill on a quiet
/// machine; only a broker that hangs takes this long.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Which broker a run is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Apache Kafka at [`tools::KAFKA_VERSION`].
    Kafka,
    /// `ottla serve`.
    Ottla,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "Apache Kafka",
            Self::Ottla => "Ottla",
        })
    }
}

/// A running broker with a data directory of its own. Dropping it kills it and removes the data.
#[derive(Debug)]
pub struct Broker {
    command: Launch,
    dir: TempDir,
    data: PathBuf,
    address: SocketAddr,
    child: Child,
    /// The child is a tracer, and the broker its child.
    is_traced: bool,
}

impl Broker {
    /// Starts a broker of `kind` on an empty data directory. `settings` are Kafka's broker configs.
    ///
    /// # Errors
    /// When something is missing on this machine or the broker does not come up.
    pub fn start(kind: Kind, settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_with(kind, settings, &[])
    }

    /// As [`Broker::start`], with more arguments for `ottla serve`.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_with(
        kind: Kind,
        settings: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Self, Error> {
        Self::start_on(None, kind, settings, arguments)
    }

    /// As [`Broker::start_with`], with the data in `data`, which is not removed.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_on(
        data: Option<&Path>,
        kind: Kind,
        settings: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("ottla-tests-")
            .tempdir()
            .map_err(Error::io("create a temporary directory"))?;
        let data = data.map_or_else(|| dir.path().join("data"), Path::to_path_buf);
        let command = match kind {
            Kind::Kafka => Launch::kafka(&data, settings)?,
            Kind::Ottla => Launch::ottla(settings, arguments)?,
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (child, address) = command.start(&[], dir.path(), &data, any)?;
        Ok(Self {
            command,
            dir,
            data,
            address,
            child,
            is_traced: false,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kafka's log.dir: the directory of partition directories.
    pub fn log_dir(&self) -> PathBuf {
        match self.command {
            Launch::Kafka { .. } => self.data.clone(),
            Launch::Ottla { .. } => self.data.join("kafka"),
        }
    }

    /// Stops the broker in order (SIGTERM) and starts it on the same data and address.
    ///
    /// # Errors
    /// When it does not stop or does not come up.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop()?;
        self.start_again()
    }

    /// Stops Ottla in order, has `work` done on its data directory, and starts it on the same data
    /// and address.
    ///
    /// # Errors
    /// When it does not stop or come up, or the work fails; the broker is back then, too.
    pub fn while_stopped<T>(
        &mut self,
        work: impl FnOnce(&Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.stop()?;
        let done = work(&self.data);
        self.start_again()?;
        done
    }

    /// Which broker it is.
    pub fn kind(&self) -> Kind {
        match self.command {
            Launch::Kafka { .. } => Kind::Kafka,
            Launch::Ottla { .. } => Kind::Ottla,
        }
    }

    fn stop(&mut self) -> Result<(), Error> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)
            .map_err(|errno| Error::io("stop the broker")(errno.into()))?;
        let status = self
            .child
            .wait()
            .map_err(Error::io("wait for the broker"))?;
        // The JVM reports the signal even after a shutdown in order; Ottla only where it was not.
        let in_order = match self.kind() {
            Kind::Kafka => status.success() || status.code() == Some(143),
            Kind::Ottla => status.success(),
        };
        if !in_order {
            return Err(self.explain(format!("the broker ended with {status} on SIGTERM")));
        }
        Ok(())
    }

    /// Kills the broker (SIGKILL) and starts it on the same data and address.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().map_err(Error::io("kill the broker"))?;
        self.child
            .wait()
            .map_err(Error::io("wait for the broker"))?;
        self.start_again()
    }

    /// Kills the broker (SIGKILL) and leaves it so.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn down(&mut self) -> Result<(), Error> {
        if self.is_traced {
            self.kill_traced();
        } else {
            self.child.kill().map_err(Error::io("kill the broker"))?;
        }
        let ended = self.child.wait();
        ended.map_err(Error::io("wait for the broker"))?;
        Ok(())
    }

    /// Kills what the tracer started; the tracer ends with it.
    fn kill_traced(&self) {
        let tracer = self.child.id();
        let path = format!("/proc/{tracer}/task/{tracer}/children");
        let children = fs::read_to_string(&path).unwrap_or_default();
        let pids = children.split_whitespace().flat_map(str::parse);
        for pid in pids.filter_map(Pid::from_raw) {
            // It may have met its system call this moment.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Starts the broker again on the same data and address, below `tracer` where one is given.
    /// `false` where it ended before it was ready.
    ///
    /// # Errors
    /// When it does not come up for another reason.
    pub fn up(&mut self, tracer: &[String]) -> Result<bool, Error> {
        let started = self
            .command
            .start(tracer, self.dir.path(), &self.data, self.address);
        match started {
            Ok((child, _)) => {
                self.child = child;
                self.is_traced = !tracer.is_empty();
                Ok(true)
            }
            Err(Error::Ended(_)) if !tracer.is_empty() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps the data directory when this is dropped; answers where it is.
    pub fn keep_data(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_path_buf()
    }

    /// Whether the broker ends by itself before long.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ends(&mut self, within: Duration) -> Result<bool, Error> {
        let until = Instant::now() + within;
        loop {
            let ended = self.child.try_wait();
            if ended.map_err(Error::io("look at the broker"))?.is_some() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What the broker has written to its standard output and error so far.
    pub fn output(&self) -> String {
        fs::read_to_string(output_file(self.dir.path())).unwrap_or_default()
    }

    fn start_again(&mut self) -> Result<(), Error> {
        let (child, address) =
            self.command
                .start(&[], self.dir.path(), &self.data, self.address)?;
        self.child = child;
        if address != self.address {
            return Err(Error::failed(format!(
                "came back on {address}, not {}",
                self.address
            )));
        }
        Ok(())
    }

    fn explain(&self, text: String) -> Error {
        Error::failed(format!("{text}; its output:\n{}", self.output()))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.is_traced {
            self.kill_traced();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a broker is started.
#[derive(Debug)]
enum Launch {
    Kafka {
        jars: PathBuf,
        settings: String,
    },
    Ottla {
        binary: PathBuf,
        arguments: Vec<String>,
    },
}

impl Launch {
    fn kafka(data: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("log.dirs={}", data.display()),
            "offsets.topic.replication.factor=1".to_owned(),
            "transaction.state.log.replication.factor=1".to_owned(),
            "transaction.state.log.min.isr=1".to_owned(),
            "share.coordinator.state.topic.replication.factor=1".to_owned(),
            "share.coordinator.state.topic.min.isr=1".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
            // After a kill the controller waits for the old session to end: 9 s by default.
            "broker.heartbeat.interval.ms=300".to_owned(),
            "broker.session.timeout.ms=1500".to_owned(),
        ];
        lines.extend(settings.iter().map(|(key, value)| format!("{key}={value}")));
        Ok(Self::Kafka {
            jars: tools::kafka()?,
            settings: lines.join("\n"),
        })
    }

    fn ottla(settings: &[(&str, &str)], arguments: &[&str]) -> Result<Self, Error> {
        let settings = settings
            .iter()
            .flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        Ok(Self::Ottla {
            binary: tools::ottla()?,
            arguments: settings.chain(arguments).collect(),
        })
    }

    fn start(
        &self,
        tracer: &[String],
        dir: &Path,
        data: &Path,
        at: SocketAddr,
    ) -> Result<(Child, SocketAddr), Error> {
        match self {
            Self::Kafka { jars, settings } => start_kafka(jars, settings, dir, data, at),
            Self::Ottla { binary, arguments } => {
                let mut command = match tracer {
                    [program, args @ ..] => {
                        let mut command = Command::new(program);
                        command.args(args).arg(binary);
                        command
                    }
                    [] => Command::new(binary),
                };
                command.arg("serve").arg("--data").arg(data);
                command.args(["--ready-json", "--listen", &at.to_string()]);
                command.args(arguments);
                let (child, ready) = spawn(&mut command, dir, |line| line.starts_with('{'))?;
                Ok((child, ready_address(&ready)?))
            }
        }
    }
}

fn start_kafka(
    jars: &Path,
    settings: &str,
    dir: &Path,
    data: &Path,
    at: SocketAddr,
) -> Result<(Child, SocketAddr), Error> {
    let properties = dir.join("server.properties");
    let java = || {
        let mut java = Command::new("java");
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        java.arg("-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info");
        java.arg("-cp").arg(jars.join("*"));
        java
    };
    // Kafka cannot report a port that it chose, so free ones are looked for here. The controller's
    // may change with each start.
    let at = SocketAddr::new(
        at.ip(),
        if at.port() == 0 {
            free_port()?
        } else {
            at.port()
        },
    );
    let controller = free_port()?;
    // Directories that another broker left have no metadata log yet, which would name the voters.
    let is_handed_over = data.exists() && !data.join("__cluster_metadata-0").exists();
    let quorum = if is_handed_over {
        format!("controller.quorum.voters=1@127.0.0.1:{controller}")
    } else {
        format!("controller.quorum.bootstrap.servers=127.0.0.1:{controller}")
    };
    let text = format!(
        "{settings}\nlisteners=PLAINTEXT://{at},CONTROLLER://127.0.0.1:{controller}\n{quorum}\n"
    );
    fs::write(&properties, text).map_err(Error::path("write", &properties))?;
    if !data.exists() {
        let mut format = java();
        format.args(["kafka.tools.StorageTool", "format", "--standalone"]);
        format
            .args(["--cluster-id", "b3R0bGEtdGVzdHMtMDAwMQ", "--config"])
            .arg(&properties);
        let output = format
            .output()
            .map_err(Error::io("format Kafka's storage"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::failed(format!(
                "Kafka's storage cannot be formatted: {text}"
            )));
        }
    }
    let mut command = java();
    command.arg("kafka.Kafka").arg(&properties);
    let (child, _) = spawn(&mut command, dir, |line| {
        line.contains("Kafka Server started")
    })?;
    Ok((child, at))
}

/// Starts a process and waits for the line that says it is ready. All its output goes to a file.
fn spawn(
    command: &mut Command,
    dir: &Path,
    is_ready: fn(&str) -> bool,
) -> Result<(Child, String), Error> {
    let path = output_file(dir);
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(Error::path("open", &path))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(Error::io(format!("start {command:?}")))?;
    let (ready, wait) = mpsc::channel();
    let copy = log.try_clone().map_err(Error::path("open", &path))?;
    follow(child.stdout.take(), log, is_ready, ready.clone());
    follow(child.stderr.take(), copy, is_ready, ready);
    if let Ok(line) = wait.recv_timeout(READY_WITHIN) {
        return Ok((child, line));
    }
    let _ = child.kill();
    let status = child.wait().map_err(Error::io("wait for the broker"))?;
    let output = fs::read_to_string(&path).unwrap_or_default();
    Err(Error::Ended(format!(
        "the broker did not become ready ({status}); its output:\n{output}"
    )))
}

/// Copies what a process writes into `log`, and sends on the first line that says it is ready.
/// Ends with the process; when no stream saw such a line, the receiver learns it from the hang-up.
fn follow(
    stream: Option<impl Read + Send + 'static>,
    mut log: File,
    is_ready: fn(&str) -> bool,
    ready: Sender<String>,
) {
    let Some(stream) = stream else { return };
    let mut ready = Some(ready);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if is_ready(&line)
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(line);
            }
        }
    });
}

fn output_file(dir: &Path) -> PathBuf {
    dir.join("output.txt")
}

/// The first address of a line such as `{"listeners":[{"name":"PLAINTEXT","address":"..."}], ..}`.
fn ready_address(line: &str) -> Result<SocketAddr, Error> {
    let bad = || Error::failed(format!("no listener address in the ready line {line:?}"));
    let ready: serde_json::Value = serde_json::from_str(line).map_err(|_| bad())?;
    let address = ready["listeners"][0]["address"].as_str().ok_or_else(bad)?;
    address.parse().map_err(|_| bad())
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(Error::io("look for a free port"))?.port())
}
