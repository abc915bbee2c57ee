//! Real members of a group on a broker whose time is the test's: the broker runs in this process,
//! and a member that was killed is thrown out when its clock is moved, not when its time is over.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ottla::{Broker, TestClock};

use super::group::{Group, How};

/// The name of the scenario.
pub(super) const NAME: &str = "group-clock";

const SESSION: Duration = Duration::from_secs(30);

/// A broker in this process, and its clock.
pub(super) struct Host {
    broker: Broker,
    clock: TestClock,
}

impl Host {
    pub(super) fn start() -> Result<Self, String> {
        let clock = TestClock::ticking();
        let builder = Broker::builder().in_memory().clock(Arc::new(clock.clone()));
        let broker = builder.config("offsets.topic.num.partitions", 1);
        let broker = broker.start_blocking().map_err(|e| e.to_string())?;
        Ok(Self { broker, clock })
    }

    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        let listener = self.broker.listeners().into_iter().next();
        let address = listener.and_then(|listener| listener.addresses.first().copied());
        address.ok_or_else(|| "the broker listens nowhere".to_owned())
    }

    /// One of two members is killed, and thrown out as soon as the test says that its time is over.
    pub(super) fn session_ends(&self, group: &mut Group<'_>) -> Result<(), String> {
        group.fill(6, 20)?;
        let how = How {
            session_ms: u32::try_from(SESSION.as_millis()).unwrap_or(u32::MAX),
            ..How::default()
        };
        let first = group.join(how)?;
        group.until_owned(&[(first, 6)])?;
        let second = group.join(how)?;
        group.until_owned(&[(first, 3), (second, 3)])?;
        let killed = Instant::now();
        group.kill(second);
        // The first one's session ends, too: its next heartbeat tells, and it comes back.
        self.clock.advance(SESSION);
        group.until_owned(&[(first, 6)])?;
        if killed.elapsed() >= SESSION {
            return Err(format!("shows nothing: {SESSION:?} went by themselves"));
        }
        group.until_all_read()?;
        group.leave(first)
    }
}
