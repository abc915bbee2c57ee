//! Lets connections in: counts them, spreads each stranger's over time, and waits rather than spins
//! when the machine has no more descriptors.
//!
//! One loop accepts for everybody, so nothing that is one peer's doing makes it wait: a connection
//! beyond what its address may have is closed at once, and one that comes too soon behind the
//! others of its address waits for its turn in a task of its own.

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

use super::rules::DoorRules;
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
        Ok((stream, peer)) => match door.admit(peer.ip(), Instant::now()) {
            Ok(pass) => enter(stream, peer, pass),
            Err(refusal) => door.refused(peer, refusal),
        },
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
    inside: Mutex<Inside>,
    left: Notify,
    refusals: LogGate,
    exhaustion: LogGate,
}

#[derive(Debug)]
struct Inside {
    rules: DoorRules,
    count: usize,
    by_address: HashMap<IpAddr, usize>,
    pace: Pace,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many are inside in all.
    Total(usize),
    /// As many are from its address.
    Address(usize),
}

impl Doorkeeper {
    pub(crate) fn new(rules: DoorRules) -> Arc<Self> {
        rules.warn();
        let inside = Inside {
            rules,
            count: 0,
            by_address: HashMap::new(),
            pace: Pace::default(),
        };
        Arc::new(Self {
            inside: Mutex::new(inside),
            left: Notify::new(),
            refusals: LogGate::default(),
            exhaustion: LogGate::default(),
        })
    }

    /// Lets in by other rules from now on.
    pub(crate) fn set_rules(&self, rules: DoorRules) {
        let mut inside = self.inside.lock();
        if inside.rules != rules {
            rules.warn();
            if rules.rate_max != inside.rules.rate_max {
                // What is due was reckoned by the rate of before.
                inside.pace = Pace::default();
            }
            inside.rules = rules;
            drop(inside);
            self.left.notify_waiters();
        }
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
            {
                let inside = self.inside.lock();
                if inside.count < inside.rules.connections_max {
                    return;
                }
            }
            left.await;
        }
    }

    /// Counts a connection in that came `now`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Pass, Refusal> {
        let address = address.to_canonical();
        let mut inside = self.inside.lock();
        let inside = &mut *inside;
        let most = inside.rules.connections_max;
        if inside.count >= most {
            return Err(Refusal::Total(most));
        }
        let from = inside.by_address.get(&address).copied().unwrap_or(0);
        let most = inside.rules.most_from(address);
        if from >= most {
            return Err(Refusal::Address(most));
        }
        inside.by_address.insert(address, from + 1);
        inside.count += 1;
        let turn = match address.is_loopback() {
            true => None,
            false => inside.pace.turn(inside.rules.rate_max, address, now),
        };
        Ok(Pass {
            door: Arc::clone(self),
            address,
            turn,
        })
    }

    fn leave(&self, address: IpAddr) {
        let mut inside = self.inside.lock();
        inside.count -= 1;
        if let Some(from) = inside.by_address.get_mut(&address) {
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
            Refusal::Address(most) => tracing::warn!(
                %peer, more,
                "closed a connection: its address has all it may have, {most}; \
                 see max.connections.per.ip"
            ),
            Refusal::Total(most) => tracing::warn!(
                %peer, more,
                "closed a connection: there are all there may be, {most}; see max.connections"
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

/// One connection inside; counted out when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    door: Arc<Doorkeeper>,
    address: IpAddr,
    turn: Option<Instant>,
}

impl Pass {
    /// When it is served, if not at once.
    pub(crate) const fn turn(&self) -> Option<Instant> {
        self.turn
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.door.leave(self.address);
    }
}

/// Lets through so many a second of each address, a second's worth of them at once.
#[derive(Debug, Default)]
struct Pace {
    /// When the next one of an address is due. May lie up to a second back: that is the burst.
    /// What lies further back is as good as forgotten.
    due: HashMap<IpAddr, Instant>,
    /// With so many addresses it is time to forget some.
    sweep_at: usize,
}

/// So many addresses are remembered without looking which can be forgotten.
const SWEEP_MIN: usize = 1024;

impl Pace {
    /// When the next one of `address` has its turn; `None` for now.
    fn turn(&mut self, rate: u32, address: IpAddr, now: Instant) -> Option<Instant> {
        let burst = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        if self.due.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.due.retain(|_, due| *due > burst);
            self.due.shrink_to(SWEEP_MIN);
            self.sweep_at = self.due.len() * 2;
        }
        let due = self.due.entry(address).or_insert(burst);
        *due = (*due).max(burst) + Duration::from_secs(1) / rate.max(1);
        Some(*due).filter(|due| *due > now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn door(total: usize, per_address: usize) -> Arc<Doorkeeper> {
        Doorkeeper::new(rules(total, per_address))
    }

    fn rules(total: usize, per_address: usize) -> DoorRules {
        DoorRules {
            connections_asked: total,
            connections_max: total,
            per_address_max: per_address,
            overrides: BTreeMap::new(),
            rate_max: 10,
        }
    }

    fn admit(door: &Arc<Doorkeeper>, address: impl Into<IpAddr>) -> Result<Pass, Refusal> {
        door.admit(address.into(), Instant::now())
    }

    const FAR: [u8; 4] = [192, 0, 2, 1];
    const NEAR: [u8; 4] = [127, 0, 0, 1];

    #[test]
    fn connections_are_counted_in_and_out() {
        let door = door(3, 2);
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let one = admit(&door, FAR).unwrap();
        let _two = admit(&door, mapped).unwrap();
        assert_eq!(admit(&door, FAR).unwrap_err(), Refusal::Address(2));
        let _three = admit(&door, NEAR).unwrap();
        assert_eq!(admit(&door, NEAR).unwrap_err(), Refusal::Total(3));
        drop(one);
        assert_eq!(door.count(), 2);
        let _again = admit(&door, FAR).unwrap();
    }

    #[test]
    fn loopback_has_no_limit_of_its_own() {
        let door = door(10, 1);
        let passes: Vec<_> = (0..10).map(|_| admit(&door, NEAR).unwrap()).collect();
        assert_eq!(door.count(), 10);
        assert!(passes.iter().all(|pass| pass.turn().is_none()));
        drop(passes);
        assert_eq!(door.count(), 0);
        assert!(door.inside.lock().by_address.is_empty());
    }

    #[test]
    fn no_stranger_has_all_connections() {
        let door = door(16, 100);
        let mut passes = Vec::new();
        while let Ok(pass) = admit(&door, FAR) {
            passes.push(pass);
        }
        assert_eq!(passes.len(), 14);
        admit(&door, NEAR).unwrap();
        admit(&door, [192, 0, 2, 2]).unwrap();
    }

    #[test]
    fn rules_change_while_connections_are_inside() {
        let door = door(10, 10);
        let inside: Vec<_> = (0..3).map(|_| admit(&door, FAR).unwrap()).collect();
        door.set_rules(rules(10, 2));
        assert_eq!(admit(&door, FAR).unwrap_err(), Refusal::Address(2));
        door.set_rules(rules(3, 10));
        assert_eq!(admit(&door, NEAR).unwrap_err(), Refusal::Total(3));
        let mut own = rules(10, 2);
        own.overrides = [(FAR.into(), 4), (NEAR.into(), 1)].into();
        door.set_rules(own);
        let _fourth = admit(&door, FAR).unwrap();
        assert_eq!(admit(&door, FAR).unwrap_err(), Refusal::Address(4));
        let _own = admit(&door, NEAR).unwrap();
        assert_eq!(admit(&door, NEAR).unwrap_err(), Refusal::Address(1));
        drop(inside);
    }

    /// Who waits in the queue of the listener comes in once there may be more.
    #[test]
    fn more_room_is_heard_of_at_once() {
        let door = door(1, 1);
        let _full = admit(&door, NEAR).unwrap();
        let mut paused = tokio::runtime::Builder::new_current_thread();
        let paused = paused.enable_time().start_paused(true).build().unwrap();
        paused.block_on(async {
            let mut room = Box::pin(door.room());
            let pending = poll_fn(|cx| Poll::Ready(room.as_mut().poll(cx).is_pending())).await;
            assert!(pending);
            door.set_rules(rules(2, 1));
            runtime::timeout(Duration::from_secs(1), room)
                .await
                .unwrap();
        });
    }

    /// In virtual time, with addresses of the test's choosing: the loop that accepts for everybody
    /// must not spend any of it on a stranger.
    #[test]
    fn a_flood_from_one_address_delays_nobody_else() {
        let mut paused = tokio::runtime::Builder::new_current_thread();
        let paused = paused.enable_all().start_paused(true).build().unwrap();
        let door = door(1000, 40);
        let inside = Mutex::new(Vec::new());
        let enter = |_: TcpStream, peer: SocketAddr, pass: Pass| {
            inside.lock().push((peer.ip(), pass));
        };
        let arrive = async |from: [u8; 4]| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(stream).unwrap();
            let_in(Ok((stream, SocketAddr::from((from, 1)))), &door, &enter).await;
        };
        paused.block_on(async {
            let began = Instant::now();
            for _ in 0..200 {
                arrive([192, 0, 2, 1]).await;
            }
            arrive([127, 0, 0, 1]).await;
            arrive([192, 0, 2, 2]).await;
            assert_eq!(began.elapsed(), Duration::ZERO, "someone else waited");
            let inside = inside.lock();
            let turns = |from: [u8; 4]| {
                let of = inside
                    .iter()
                    .filter(move |(ip, _)| *ip == IpAddr::from(from));
                of.map(|(_, pass)| pass.turn().map_or(0, |at| (at - began).as_millis()))
                    .collect::<Vec<_>>()
            };
            // A second's worth at once, the others by the rate; what was refused cost no turn.
            let own = (0..40).map(|n: u128| n.saturating_sub(9) * 100);
            assert_eq!(turns([192, 0, 2, 1]), own.collect::<Vec<_>>());
            assert_eq!(turns([127, 0, 0, 1]), [0]);
            assert_eq!(turns([192, 0, 2, 2]), [0]);
        });
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
        let mut pace = Pace::default();
        let start = Instant::now();
        let mut turn = |now| pace.turn(10, FAR.into(), now);
        let free = (0..100).take_while(|_| turn(start).is_none()).count();
        assert_eq!(free, 10);
        // The eleventh waited a tenth of a second, so the next waits two tenths.
        assert_eq!(turn(start), Some(start + Duration::from_millis(200)));
        let later = start + Duration::from_secs(60);
        assert_eq!(turn(later), None);
    }

    #[test]
    fn addresses_are_forgotten_once_they_are_owed_their_burst_again() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for number in 0..10_000_u32 {
            let now = start + Duration::from_millis(number.into());
            pace.turn(10, IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(pace.due.len() <= 2 * SWEEP_MIN, "{}", pace.due.len());
    }
}
