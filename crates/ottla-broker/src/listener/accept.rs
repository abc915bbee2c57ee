//! Lets connections in: counts them, paces strangers, and waits rather than spins when the machine
//! has no more descriptors.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::limits::Limits;
use crate::log_gate::LogGate;
use crate::runtime::{self, Instant};
use crate::stop::Stop;

/// How long the door stays shut when the machine has no descriptor or memory for a connection.
const EXHAUSTED_BACKOFF: Duration = Duration::from_millis(100);

/// A listening socket that can be closed at once from any thread, also while a task waits for a
/// connection on it. That is what frees the port in a `Drop` that must not wait for tasks.
#[derive(Debug)]
pub(crate) struct AcceptSocket {
    socket: Mutex<Option<TcpListener>>,
}

impl AcceptSocket {
    /// Takes over a bound socket. Call this inside the runtime.
    pub(crate) fn new(socket: std::net::TcpListener) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            socket: Mutex::new(Some(TcpListener::from_std(socket)?)),
        }))
    }

    /// Frees the port.
    pub(crate) fn close(&self) {
        self.socket.lock().take();
    }

    /// The next connection; `None` once closed.
    async fn accept(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        poll_fn(|cx| match self.socket.lock().as_ref() {
            Some(socket) => socket.poll_accept(cx).map(Some),
            None => Poll::Ready(None),
        })
        .await
    }

    /// Hands each admitted connection to `enter`, until told to stop.
    pub(crate) async fn run<E>(self: Arc<Self>, door: Arc<Doorkeeper>, mut stop: Stop, enter: E)
    where
        E: Fn(TcpStream, SocketAddr, Pass),
    {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                goes_on = self.admit_one(&door, &enter) => if !goes_on { break },
            }
        }
        self.close();
    }

    async fn admit_one<E>(&self, door: &Arc<Doorkeeper>, enter: &E) -> bool
    where
        E: Fn(TcpStream, SocketAddr, Pass),
    {
        door.room().await;
        let Some(accepted) = self.accept().await else {
            return false;
        };
        let_in(accepted, door, enter).await;
        true
    }
}

/// Hands a connection to `enter`, if there is one and it may come in.
async fn let_in<E>(accepted: io::Result<(TcpStream, SocketAddr)>, door: &Arc<Doorkeeper>, enter: &E)
where
    E: Fn(TcpStream, SocketAddr, Pass),
{
    match accepted {
        Ok((stream, peer)) => {
            door.pace(peer.ip()).await;
            match door.admit(peer.ip()) {
                Ok(pass) => enter(stream, peer, pass),
                Err(refusal) => door.refused(peer, refusal),
            }
        }
        Err(e) if is_exhausted(&e) => {
            door.exhausted(&e);
            runtime::sleep(EXHAUSTED_BACKOFF).await;
        }
        // The peer was gone before it was let in.
        Err(e) => {
            tracing::debug!(error = %e, "a connection failed before it was accepted");
        }
    }
}

/// Whether the machine, not the peer, is why a connection could not be accepted.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

/// Knows how many connections there are, and from where.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    connections_max: usize,
    per_address_max: usize,
    inside: Mutex<Inside>,
    left: Notify,
    pace: Mutex<Pace>,
    refusals: LogGate,
    exhaustion: LogGate,
}

#[derive(Debug, Default)]
struct Inside {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Total,
    Address,
}

impl Doorkeeper {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections_max: limits.files().connections,
            per_address_max: limits.connections_per_address_max,
            inside: Mutex::default(),
            left: Notify::new(),
            pace: Mutex::new(Pace::new(limits.connection_rate_max)),
            refusals: LogGate::default(),
            exhaustion: LogGate::default(),
        })
    }

    /// How many connections are inside.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.inside.lock().count
    }

    /// Waits until fewer than the most connections are inside. Further ones stay in the queue of
    /// the listener, where they cost the broker nothing.
    async fn room(&self) {
        loop {
            let left = self.left.notified();
            if self.inside.lock().count < self.connections_max {
                return;
            }
            left.await;
        }
    }

    /// Spreads connections from other machines over time.
    async fn pace(&self, address: IpAddr) {
        if is_loopback(address) {
            return;
        }
        let wait = self.pace.lock().next(Instant::now());
        if !wait.is_zero() {
            runtime::sleep(wait).await;
        }
    }

    /// Counts a connection in.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Refusal> {
        let address = address.to_canonical();
        let mut inside = self.inside.lock();
        if inside.count >= self.connections_max {
            return Err(Refusal::Total);
        }
        if !is_loopback(address) {
            let from = inside.by_address.entry(address).or_default();
            if *from >= self.per_address_max {
                return Err(Refusal::Address);
            }
            *from += 1;
        }
        inside.count += 1;
        Ok(Pass {
            door: Arc::clone(self),
            address,
        })
    }

    fn leave(&self, address: IpAddr) {
        let mut inside = self.inside.lock();
        inside.count -= 1;
        if !is_loopback(address)
            && let Some(from) = inside.by_address.get_mut(&address)
        {
            *from -= 1;
            if *from == 0 {
                inside.by_address.remove(&address);
            }
        }
        drop(inside);
        self.left.notify_waiters();
    }

    fn refused(&self, peer: SocketAddr, refusal: Refusal) {
        let Some(more) = self.refusals.pass() else {
            return;
        };
        match refusal {
            Refusal::Address => tracing::warn!(
                %peer, more,
                "closed a connection: its address has max.connections.per.ip = {} already",
                self.per_address_max
            ),
            Refusal::Total => tracing::warn!(
                %peer, more,
                "closed a connection: there are max.connections = {} already",
                self.connections_max
            ),
        }
    }

    fn exhausted(&self, error: &io::Error) {
        if let Some(more) = self.exhaustion.pass() {
            tracing::warn!(
                %error, more,
                "cannot accept a connection; raise the limit of open files (ulimit -n)"
            );
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// One connection inside; counted out when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    door: Arc<Doorkeeper>,
    address: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.door.leave(self.address);
    }
}

/// Lets through so many a second, a second's worth of them at once.
#[derive(Debug)]
struct Pace {
    gap: Duration,
    /// When the next one is due. May lie up to a second back: that is the burst.
    due: Option<Instant>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self {
            gap: Duration::from_secs(1) / rate.max(1),
            due: None,
        }
    }

    /// How long the next one has to wait.
    fn next(&mut self, now: Instant) -> Duration {
        let burst = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let due = self.due.map_or(burst, |due| due.max(burst)) + self.gap;
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(total: usize, per_address: usize) -> Arc<Doorkeeper> {
        Doorkeeper::new(&Limits {
            connections_max: total,
            connections_per_address_max: per_address,
            ..Limits::default()
        })
    }

    #[test]
    fn connections_are_counted_in_and_out() {
        let door = door(3, 2);
        let (far, near) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([127, 0, 0, 1]));
        let one = door.admit(far).unwrap();
        let _two = door.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(door.admit(far).unwrap_err(), Refusal::Address);
        let _three = door.admit(near).unwrap();
        assert_eq!(door.admit(near).unwrap_err(), Refusal::Total);
        drop(one);
        assert_eq!(door.count(), 2);
        let _again = door.admit(far).unwrap();
    }

    #[test]
    fn loopback_has_no_limit_of_its_own() {
        let door = door(10, 1);
        let passes: Vec<_> = (0..10)
            .map(|_| door.admit(IpAddr::from([127, 0, 0, 1])).unwrap())
            .collect();
        assert_eq!(door.count(), 10);
        drop(passes);
        assert_eq!(door.count(), 0);
    }

    /// In virtual time: without the pause a listener would spin for as long as nothing is freed.
    #[test]
    fn a_machine_without_descriptors_is_asked_ten_times_a_second() {
        let mut paused = tokio::runtime::Builder::new_current_thread();
        let paused = paused.enable_time().start_paused(true).build().unwrap();
        let door = door(10, 10);
        let nobody = |_: TcpStream, _: SocketAddr, _: Pass| panic!("nobody comes in");
        let fails = async |error: io::Error| {
            let began = Instant::now();
            let_in(Err(error), &door, &nobody).await;
            began.elapsed()
        };
        use rustix::io::Errno;
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            let waited = paused.block_on(fails(errno.into()));
            assert_eq!(waited, EXHAUSTED_BACKOFF, "{errno:?}");
        }
        let waited = paused.block_on(fails(Errno::CONNABORTED.into()));
        assert_eq!(
            waited,
            Duration::ZERO,
            "a peer that went away delays nobody"
        );
    }

    #[test]
    fn strangers_come_in_bursts_of_a_second_and_then_at_the_rate() {
        let mut pace = Pace::new(10);
        let start = Instant::now();
        let free = (0..100).take_while(|_| pace.next(start).is_zero()).count();
        assert_eq!(free, 10);
        // The eleventh waited a tenth of a second, so the next waits two tenths.
        assert_eq!(pace.next(start), Duration::from_millis(200));
        let later = start + Duration::from_secs(60);
        assert!(pace.next(later).is_zero());
    }
}
