//! `ottla consume --group`: reads what the group assigns, from where the group is.
//!
//! What was printed is committed after each fetch, and again before partitions are given up: a
//! record may be printed twice, to another member, and none is left out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::member::{Member, Standing};
use super::{Position, Reader, flush, start_offset};
use crate::cli::args::ConsumeArgs;
use crate::cli::client::{Client, ClientError, EARLIEST, LATEST, Topic};
use crate::cli::groups::committed;

/// How long a member without partitions waits before it looks after its group again.
const IDLE: Duration = Duration::from_millis(100);

/// Prints records until the ends that its partitions had, the wanted number, or a signal.
pub(super) fn run(args: &ConsumeArgs, group: &str, out: &mut dyn Write) -> Result<(), ClientError> {
    let stop = stop_flag()?;
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    let topic = client.topic(&args.topic, false)?;
    let mut member = Member::new(group, &topic.name);
    let mut left = args.max.unwrap_or(u64::MAX);
    loop {
        let partitions = member.join(&mut client)?;
        let positions = positions(args, group, &mut client, &topic, &partitions)?;
        let mut reader = Reader {
            args,
            topic: topic.clone(),
            positions,
            left,
        };
        let standing = read(&mut reader, &mut member, &mut client, &stop, out)?;
        left = reader.left;
        if standing == Standing::Joined {
            return member.leave(&mut client);
        }
    }
}

/// Reads until there is no more to do, or the member has to join again.
fn read(
    reader: &mut Reader<'_>,
    member: &mut Member,
    client: &mut Client,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<Standing, ClientError> {
    let mut committed = reader.progress();
    loop {
        if reader.is_done() || stop.load(Ordering::Relaxed) {
            return Ok(Standing::Joined);
        }
        if reader.positions.is_empty() {
            thread::sleep(IDLE);
        }
        reader.step(client, out)?;
        flush(out)?;
        let progress = reader.progress();
        if progress != committed {
            if member.commit(client, &progress)? == Standing::Lost {
                return Ok(Standing::Lost);
            }
            committed = progress;
        }
        if member.beat(client)? == Standing::Lost {
            return Ok(Standing::Lost);
        }
    }
}

/// Where the group is in each of `partitions`, or where `--from` says where it was never.
fn positions(
    args: &ConsumeArgs,
    group: &str,
    client: &mut Client,
    topic: &Topic,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Position>, ClientError> {
    let committed = committed(client, group)?;
    let mut positions = BTreeMap::new();
    for number in partitions {
        let end = client.offset(topic, *number, LATEST, args.read_committed)?;
        let next = match committed.get(&(topic.name.clone(), *number)) {
            // What was deleted since is gone for the group, too.
            Some(offset) => {
                let first = client.offset(topic, *number, EARLIEST, args.read_committed)?;
                first.max(*offset)
            }
            None => start_offset(args, client, topic, *number, end)?,
        };
        positions.insert(*number, Position { next, end });
    }
    Ok(positions)
}

/// Set by Ctrl-C. A second one ends the process at once.
fn stop_flag() -> Result<Arc<AtomicBool>, ClientError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let end = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop));
        let note = end.and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        note.map_err(|source| ClientError::Io {
            doing: "listening for signals",
            source,
        })?;
    }
    Ok(stop)
}
