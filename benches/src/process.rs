//! A broker process under measurement.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `ottla serve`, killed when dropped.
#[derive(Debug)]
pub struct BrokerProcess {
    child: Child,
    address: SocketAddr,
}

impl BrokerProcess {
    /// Starts the release binary on a free port with its data in `data`, and waits for its ready
    /// line.
    ///
    /// # Errors
    /// Where it cannot be started, or ends before it is ready.
    pub fn start(data: &Path, flags: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--ready-json", "--data"])
            .arg(data)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = address_in(&line)
            .ok_or_else(|| io::Error::other(format!("no address in the ready line {line:?}")))?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let kib = field(&self.proc_file("status"), "VmRSS:");
        kib * 1024
    }

    /// How often its threads have gone to sleep of their own accord since they started.
    #[must_use]
    pub fn voluntary_switches(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
        let texts = tasks.into_iter().flatten().flatten().filter_map(status);
        texts
            .map(|text| field(&text, "voluntary_ctxt_switches:"))
            .sum()
    }

    /// The processor time that it has taken since it was started, to a hundredth of a second.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let stat = self.proc_file("stat");
        // The name before it, in brackets, may have blanks. See proc_pid_stat(5).
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Stops it with SIGTERM and waits for its end.
    ///
    /// # Errors
    /// Where the signal cannot be sent.
    pub fn terminate(mut self) -> io::Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        self.child.wait()?;
        Ok(())
    }

    /// Kills it with SIGKILL and waits for its end.
    ///
    /// # Errors
    /// Where the signal cannot be sent.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Already gone after `terminate` and `kill`; both calls are harmless then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process has in memory, in bytes.
#[must_use]
pub fn own_resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS:") * 1024
}

/// The release binary, beside this program.
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name("ottla")
}

/// The first listener's address in the ready line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let ready: serde_json::Value = serde_json::from_str(line).ok()?;
    ready["listeners"][0]["address"].as_str()?.parse().ok()
}

/// The number behind `name` in a file of the form `name number ...`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
