//! kill -9, again and again, under load: what was acknowledged is there afterwards, once, in order,
//! and so are the offsets of groups.
//!
//! The run sleeps for as long as the load is to last, and waits for nothing by sleeping.
//!
//! Idempotent producers write with several requests in flight; a committer commits offsets of a
//! group. The broker is killed at a random time, or at a chosen system call by `strace`, also
//! while it recovers from the kill before. Then it is started again, everything is read and held
//! against what was acknowledged, and the producers go on with what they have no answer to: that
//! must be known as a repetition where it arrived.

mod committer;
mod disk;
mod draw;
mod gate;
mod ledger;
pub mod power;
mod reader;
mod session;
mod writer;

use std::{thread, time::Duration};

use serde_json::{Value, json};

use self::{draw::Draw, gate::Gate, ledger::Ledger};
use crate::{
    Error,
    broker::{Broker, Kind},
};

/// Partitions of the one topic, and producers for each of them.
const PARTITIONS: i32 = 2;
const WRITERS_PER_PARTITION: usize = 2;
const TOPIC: &str = "killed";
const GROUP: &str = "survivors";

/// How long the load lasts before a kill at a random time.
const LOAD_MS: (u64, u64) = (5, 250);
/// How long a broker may live that is to be killed at a system call.
const TRACED_MAX: Duration = Duration::from_millis(400);
/// Rolls, snapshots and indexes within seconds.
const SETTINGS: [(&str, &str); 3] = [
    ("log.segment.bytes", "1048576"),
    ("log.index.interval.bytes", "512"),
    ("auto.create.topics.enable", "false"),
];
/// What a write to the disk is made of.
const CALLS: [&str; 6] = [
    "pwritev",
    "fdatasync",
    "fsync",
    "rename",
    "ftruncate",
    "mkdir",
];

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many kills.
    pub cycles: u64,
    /// What the random times are drawn from.
    pub seed: u64,
    /// `sync` or `os`: the flush mode of the broker.
    pub flush: String,
    /// Every other kill at a system call.
    pub traced: bool,
}

/// What was done and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Kills at a random time.
    pub kills: u64,
    /// Kills at a system call of a running broker.
    pub call_kills: u64,
    /// Kills at a system call before the broker was ready.
    pub recovery_kills: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Acknowledged records.
    pub acked: u64,
    /// Answers to repeated requests that had arrived the first time.
    pub repeated: u64,
    /// Acknowledged commits of offsets.
    pub commits: u64,
    /// Records read and compared.
    pub read: u64,
}

impl Tally {
    /// For a program that adds such up.
    pub fn json(&self) -> Value {
        json!({
            "kills": self.kills,
            "call_kills": self.call_kills,
            "recovery_kills": self.recovery_kills,
            "cuts": self.cuts,
            "acked": self.acked,
            "repeated": self.repeated,
            "commits": self.commits,
            "read": self.read,
        })
    }
}

/// Runs the cycles.
///
/// # Errors
/// The first broken promise, with the seed and the cycle; or what kept the run from going on. The
/// data directory is kept, and named, where a promise was broken.
pub fn run(plan: &Plan) -> Result<Tally, Error> {
    let arguments = ["--flush", &plan.flush];
    let mut broker = Broker::start_with(Kind::Ottla, &SETTINGS, &arguments)?;
    under_load(&mut broker, |broker, gate, ledger| {
        cycles(plan, broker, gate, ledger)
    })
    .map_err(|error| {
        let kept = broker.keep_data();
        let (seed, flush) = (plan.seed, &plan.flush);
        let kept = kept.display();
        Error::failed(format!(
            "seed {seed}, flush {flush}: {error}; the data is kept in {kept}"
        ))
    })
}

/// Runs `cycles` with producers and a committer at work, then reads everything once more. A broker
/// that is running afterwards is gone.
fn under_load(
    broker: &mut Broker,
    cycles: impl FnOnce(&mut Broker, &Gate, &Ledger) -> Result<Tally, Error>,
) -> Result<Tally, Error> {
    let ledger = Ledger::new(PARTITIONS as usize * WRITERS_PER_PARTITION);
    session::create_topic(broker.address(), TOPIC, PARTITIONS)?;
    let gate = Gate::new(broker.address());
    let outcome = thread::scope(|scope| {
        for writer in 0..ledger.writers() {
            let (gate, ledger) = (&gate, &ledger);
            scope.spawn(move || writer::write(gate, ledger, writer, partition_of(writer)));
        }
        scope.spawn(|| committer::commit(&gate, &ledger));
        let outcome = cycles(broker, &gate, &ledger);
        // Also where a promise was broken: whoever is connected must notice.
        let down = broker.down();
        gate.stop();
        outcome.and_then(|tally| down.map(|()| tally))
    });
    let mut tally = outcome?;
    broker.up(&[])?;
    reader::check_all(broker.address(), &ledger)?;
    tally.acked = ledger.acked();
    tally.repeated = ledger.repeated();
    tally.commits = ledger.commits();
    tally.read = ledger.read();
    if tally.acked == 0 || tally.commits == 0 {
        return Err(Error::failed("nothing was acknowledged: no load, no proof"));
    }
    broker.down()?;
    Ok(tally)
}

/// The partition that a producer writes to.
fn partition_of(writer: usize) -> i32 {
    i32::try_from(writer / WRITERS_PER_PARTITION).expect("a few partitions")
}

fn cycles(plan: &Plan, broker: &mut Broker, gate: &Gate, ledger: &Ledger) -> Result<Tally, Error> {
    let mut draw = Draw::new(plan.seed);
    let mut tally = Tally::default();
    let mut is_traced = false;
    for cycle in 0..plan.cycles {
        gate.open();
        if is_traced {
            broker.ends(TRACED_MAX)?;
            broker.down()?;
            tally.call_kills += 1;
        } else {
            let (least, most) = LOAD_MS;
            thread::sleep(Duration::from_millis(least + draw.below(most - least)));
            broker.down()?;
            tally.kills += 1;
        }
        gate.close();
        is_traced = plan.traced && draw.below(2) == 0;
        let mut tracer = Vec::new();
        if is_traced {
            let call = CALLS[draw.below(CALLS.len() as u64) as usize];
            // The first ones are those of the recovery.
            let most = [4, 40][draw.below(2) as usize];
            let nth = 1 + draw.below(most);
            tracer = tracer_of(call, nth);
        }
        if !broker.up(&tracer)? {
            tally.recovery_kills += 1;
            is_traced = false;
            broker.up(&[])?;
        }
        let checked = reader::check_new(broker.address(), ledger);
        match checked {
            // Killed at a system call before it was read: by the next cycle.
            Err(_) if is_traced && broker.ends(TRACED_MAX)? => {}
            checked => checked
                .map_err(|error| Error::failed(format!("after kill {}: {error}", cycle + 1)))?,
        }
        ledger.verdict()?;
    }
    Ok(tally)
}

/// Lets the broker be killed at the `nth` such call of one of its threads.
fn tracer_of(call: &str, nth: u64) -> Vec<String> {
    let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e"];
    let mut tracer: Vec<String> = words.map(str::to_owned).to_vec();
    tracer.push(format!("trace={call}"));
    tracer.push("-e".to_owned());
    tracer.push(format!("inject={call}:signal=KILL:when={nth}"));
    tracer
}
