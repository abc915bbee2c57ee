//! Power cuts: a file system of its own over a loop device is shut down under a broker at work, as
//! if the power had gone, and mounted again. What the device had is all that there is then.
//!
//! The shutdown is the kernel's own, made for tests of what survives one: nothing more is written,
//! the file system's journal included. A kill comes behind it, so that no cached page is seen.

use std::{thread, time::Duration};

use super::{SETTINGS, Tally, disk::Disk, draw::Draw, gate::Gate, ledger::Ledger, reader};
use crate::{
    Error,
    broker::{Broker, Kind},
};

/// How long the load lasts before a cut.
const LOAD_MS: (u64, u64) = (20, 400);

/// What keeps power from being cut here; `None` where nothing does.
pub fn lacks() -> Option<&'static str> {
    super::disk::lacks()
}

/// Cuts the power `cuts` times under a broker of the flush mode `flush`. With `os` records have to
/// be lost: that shows that the run notices.
///
/// # Errors
/// The first broken promise, or what kept the run from going on.
pub fn run(cuts: u64, seed: u64, flush: &str) -> Result<Tally, Error> {
    let mut disk = Disk::made()?;
    let data = disk.path().join("data");
    let arguments = ["--flush", flush];
    let mut broker = Broker::start_on(Some(&data), Kind::Ottla, &SETTINGS, &arguments)?;
    super::under_load(&mut broker, |broker, gate, ledger| {
        cycles(cuts, seed, &mut disk, broker, gate, ledger)
    })
    .map_err(|error| Error::failed(format!("seed {seed}: {error}; {}", broker.output())))
}

fn cycles(
    cuts: u64,
    seed: u64,
    disk: &mut Disk,
    broker: &mut Broker,
    gate: &Gate,
    ledger: &Ledger,
) -> Result<Tally, Error> {
    let mut draw = Draw::new(seed);
    let mut tally = Tally::default();
    let (least, most) = LOAD_MS;
    for cut in 1..=cuts {
        gate.open();
        thread::sleep(Duration::from_millis(least + draw.below(most - least)));
        gate.cut();
        disk.cut()?;
        broker.down()?;
        gate.close();
        tally.cuts += 1;
        disk.mount_again()?;
        broker.up(&[])?;
        reader::check_new(broker.address(), ledger)
            .map_err(|error| Error::failed(format!("after cut {cut}: {error}")))?;
        ledger.verdict()?;
    }
    Ok(tally)
}
