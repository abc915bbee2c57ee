//! `ottla consume --group`: reads what the group assigns, from where the group is.
//!
//! What was printed is committed after each fetch, before partitions are given up, and whatever
//! ends the command: a record may be printed twice, to another member, and none is left out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::member::{Member, Standing};
use super::reconnect::Reconnect;
use super::{Ends, Position, Reader, flush, start_offset};
use crate::cli::args::ConsumeArgs;
use crate::cli::client::{Client, ClientError, Topic};
use crate::cli::groups::committed;
use crate::cli::signals::stop_flag;

/// How long a member without partitions waits before it looks after its group again.
const IDLE: Duration = Duration::from_millis(100);

/// Prints records until the ends that its partitions had, the wanted number, or a signal.
pub(super) fn run(args: &ConsumeArgs, group: &str, out: &mut dyn Write) -> Result<(), ClientError> {
    let stop = stop_flag()?;
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    let topic = client.topic(&args.topic, false)?;
    let mut session = Session {
        member: Member::new(group, &topic.name),
        args,
        topic,
        stop: &stop,
        left: args.max.unwrap_or(u64::MAX),
        printed: BTreeMap::new(),
        committed: BTreeMap::new(),
        reconnect: Reconnect::new(),
    };
    let ended = loop {
        match session.generation(&mut client, out) {
            Ok(Standing::Lost) => {}
            Ok(Standing::Joined) => break Ok(()),
            Err(lost) if args.follow && lost.is_passing() && !session.stopped() => {
                if let Err(error) = session.reconnect(&mut client, &lost) {
                    break Err(error);
                }
            }
            Err(error) if error.is_stop() => {
                // The answer to what was asked may still come.
                client.forget_brokers();
                break Ok(());
            }
            Err(error) => break Err(error),
        }
    };
    session.end(&mut client, ended)
}

/// A member with what it has done.
struct Session<'a> {
    member: Member,
    args: &'a ConsumeArgs,
    topic: Topic,
    stop: &'a AtomicBool,
    /// How many records are still to be printed.
    left: u64,
    /// Where each partition is to be read on, by what was printed.
    printed: BTreeMap<i32, i64>,
    /// The same, as the group knows it.
    committed: BTreeMap<i32, i64>,
    reconnect: Reconnect,
}

impl Session<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn reconnect(&mut self, client: &mut Client, lost: &ClientError) -> Result<(), ClientError> {
        let (stop, address) = (self.stop, &self.args.broker.bootstrap_server);
        let stopped = || stop.load(Ordering::Relaxed);
        self.reconnect.reconnect(client, address, lost, stopped)?;
        // Others may lead its partitions now.
        if let Ok(topic) = client.topic(&self.args.topic, false) {
            self.topic = topic;
        }
        Ok(())
    }

    /// Reads until there is no more to do, or the member has to join again.
    fn generation(
        &mut self,
        client: &mut Client,
        out: &mut dyn Write,
    ) -> Result<Standing, ClientError> {
        let id = self.member.id.clone();
        let partitions = self.member.join(client, self.stop)?;
        if id != self.member.id {
            // The group has forgotten it meanwhile: others may have gone on, or its offsets moved.
            let mut printed = std::mem::take(&mut self.printed);
            printed.retain(|number, offset| self.committed.get(number) != Some(offset));
            self.tell_lost(printed);
        }
        let positions = self.positions(client, &partitions)?;
        let mut reader = Reader {
            args: self.args,
            topic: self.topic.clone(),
            positions,
            left: self.left,
        };
        self.printed = reader.progress();
        loop {
            // Before the group is looked after: while others join, it still takes what was printed.
            if self.commit(client)? == Standing::Lost {
                return Ok(Standing::Lost);
            }
            if reader.is_done() || self.stopped() {
                return Ok(Standing::Joined);
            }
            if self.member.beat(client)? == Standing::Lost {
                return Ok(Standing::Lost);
            }
            if reader.positions.is_empty() {
                thread::sleep(IDLE);
            }
            let read = reader.step(client, out).and_then(|()| flush(out));
            self.left = reader.left;
            self.printed = reader.progress();
            read?;
            self.reconnect.worked();
        }
    }

    fn commit(&mut self, client: &mut Client) -> Result<Standing, ClientError> {
        if self.printed == self.committed || self.printed.is_empty() {
            return Ok(Standing::Joined);
        }
        let standing = self.member.commit(client, &self.printed)?;
        if standing == Standing::Joined {
            self.committed.clone_from(&self.printed);
        }
        Ok(standing)
    }

    /// Where the group is in each of `partitions`, or where `--from` says where it was never. A
    /// partition that the member has kept goes on behind what was printed, though a rebalance was
    /// in the way of the commit.
    fn positions(
        &mut self,
        client: &mut Client,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Position>, ClientError> {
        let committed = committed(client, &self.member.group)?;
        let known = |number| committed.get(&(self.topic.name.clone(), number)).copied();
        let (kept, mut lost): (BTreeMap<i32, i64>, BTreeMap<i32, i64>) =
            std::mem::take(&mut self.printed)
                .into_iter()
                .partition(|(number, _)| partitions.contains(number));
        lost.retain(|number, offset| known(*number).is_none_or(|known| known < *offset));
        self.tell_lost(lost);
        // Where what follows fails, this is still to be committed.
        self.printed = kept;
        let (mut positions, mut noted) = (BTreeMap::new(), BTreeMap::new());
        for number in partitions {
            let ends = Ends::of(self.args, client, &self.topic, *number)?;
            let (known, ours) = (known(*number), self.printed.get(number).copied());
            let next = match known.max(ours) {
                // What was deleted since is gone for the group, too.
                Some(offset) => ends.first.max(offset),
                None => start_offset(self.args, client, &self.topic, *number, ends)?,
            };
            let end = ends.end;
            positions.insert(*number, Position { next, end });
            // Nothing is to be committed where nothing was printed.
            let before = known.or_else(|| self.committed.get(number).copied());
            let before = before.filter(|_| ours.is_some());
            noted.insert(*number, before.unwrap_or(next));
        }
        self.committed = noted;
        Ok(positions)
    }

    /// Says what the member printed and can commit no more.
    fn tell_lost(&self, printed: BTreeMap<i32, i64>) {
        for (number, offset) in printed {
            let name = &self.topic.name;
            let text = format!(
                "ottla: the group took {name}-{number} away before its records up to offset \
                 {offset} were committed; some of them may be printed again"
            );
            // Whoever closed standard error wants no reports.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Leaves, after what was printed is committed; whatever it was that ended the reading.
    fn end(
        mut self,
        client: &mut Client,
        ended: Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        if ended.as_ref().is_err_and(ClientError::is_passing) {
            // Nobody is there to tell, and a signal has nothing to wait for.
            return match self.stopped() && self.printed == self.committed {
                true => Ok(()),
                false => ended,
            };
        }
        let committed = match self.member.has_joined() {
            true => self.commit(client),
            false => Ok(Standing::Joined),
        };
        let committed = committed.map(|standing| {
            if standing == Standing::Lost {
                let mut lost = std::mem::take(&mut self.printed);
                lost.retain(|number, offset| self.committed.get(number) != Some(offset));
                self.tell_lost(lost);
            }
        });
        let left = self.member.leave(client);
        ended.and(committed).and(left)
    }
}
