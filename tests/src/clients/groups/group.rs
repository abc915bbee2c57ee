//! Members of one group as processes, and the conversation with them.
//!
//! A member is told what to do in its environment: `MEMBER_GROUP`, `MEMBER_TOPIC`,
//! `MEMBER_SESSION_MS`, and, where they apply, `MEMBER_PATTERN` (the topic is a pattern),
//! `MEMBER_COOPERATIVE` (rebalance step by step) and `MEMBER_INSTANCE` (a static member of that
//! name). It reads from the earliest record, commits after every ten or so, over which it takes
//! its time, and leaves the group when its standard input has a line or ends. It writes:
//!
//! ```text
//! assigned TOPIC:PARTITION ..           these are its own now, too
//! revoked [TOPIC:PARTITION ..]          these no longer; without any, all that it had
//! read TOPIC:PARTITION OFFSET
//! committed TOPIC:PARTITION OFFSET      the broker has acknowledged it; where the library tells
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Start,
    book::{Book, Place},
};
use crate::{
    Error,
    broker::Broker,
    differential::{
        batch::{Batch, record},
        recorder::Recorder,
    },
};

/// No group needs nearly as long; past it something hangs.
const WITHIN: Duration = Duration::from_secs(60);

/// How a member joins.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) session_ms: u32,
    pub(super) cooperative: bool,
    pub(super) instance: Option<&'static str>,
    pub(super) pattern: Option<&'static str>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            session_ms: 10_000,
            cooperative: false,
            instance: None,
            pattern: None,
        }
    }
}

/// A group under test. Members that are left are killed with it.
pub(super) struct Group<'a> {
    name: &'static str,
    start: Start<'a>,
    address: SocketAddr,
    /// The broker at the address, where it is a process that can be stopped.
    broker: Option<&'a mut Broker>,
    members: Vec<Child>,
    sender: Sender<(usize, String)>,
    lines: Receiver<(usize, String)>,
    book: Book,
    /// How many records each partition has.
    ends: BTreeMap<Place, i64>,
    remarks: Vec<String>,
}

impl<'a> Group<'a> {
    pub(super) fn new(name: &'static str, start: Start<'a>, broker: &'a mut Broker) -> Self {
        let mut group = Self::at(name, start, broker.address());
        group.broker = Some(broker);
        group
    }

    /// A group on the broker at `address`, which is not ours to stop.
    pub(super) fn at(name: &'static str, start: Start<'a>, address: SocketAddr) -> Self {
        let (sender, lines) = mpsc::channel();
        Self {
            name,
            start,
            address,
            broker: None,
            members: Vec::new(),
            sender,
            lines,
            book: Book::default(),
            ends: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }

    /// Makes the topic that is named as the group, with so many records in each partition.
    pub(super) fn fill(&mut self, partitions: i32, records: i64) -> Result<(), String> {
        self.fill_topic(self.name, partitions, records)
    }

    /// Makes another topic.
    pub(super) fn fill_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        records: i64,
    ) -> Result<(), String> {
        let mut recorder = Recorder::new(self.address);
        let made = recorder.topics_of(partitions, [topic], &[]);
        made.map_err(|error| error.to_string())?;
        let places = (0..partitions).map(|partition| (format!("{topic}:{partition}"), 0));
        self.ends.extend(places);
        self.produce(topic, partitions, records)
    }

    /// Adds records to each partition of the group's topic; where each was before.
    pub(super) fn append(&mut self, records: i64) -> Result<BTreeMap<Place, i64>, String> {
        let before = self.ends.clone();
        let partitions = i32::try_from(before.len()).map_err(|error| error.to_string())?;
        self.produce(self.name, partitions, records)?;
        Ok(before)
    }

    fn produce(&mut self, topic: &str, partitions: i32, records: i64) -> Result<(), String> {
        let batch = Batch::of((0..records).map(|_| record("key", "value"))).value();
        let partition = |index| json!({"index": index, "records": batch});
        let data: Vec<Value> = (0..partitions).map(partition).collect();
        let topics = json!([{"name": topic, "partitionData": data}]);
        let body = json!({"acks": -1, "timeoutMs": 30_000, "topicData": topics});
        let recorder = Recorder::new(self.address);
        let asked = recorder.ask("Produce", 9, &body);
        let answer = asked.map_err(|error| error.to_string())?;
        let partitions = answer["responses"][0]["partitionResponses"].as_array();
        let partitions = partitions.into_iter().flatten();
        if partitions.filter(|one| one["errorCode"] == 0).count() != data.len() {
            return Err(format!("records were not taken: {answer}"));
        }
        let ends = self.ends.iter_mut();
        let ends =
            ends.filter(|(place, _)| place.rsplit_once(':').map(|(name, _)| name) == Some(topic));
        ends.for_each(|(_, end)| *end += records);
        Ok(())
    }

    /// Starts a member.
    pub(super) fn join(&mut self, how: How) -> Result<usize, String> {
        let mut command = (self.start)().map_err(|error| error.to_string())?;
        command.env("BOOTSTRAP_SERVERS", self.address.to_string());
        command.env("MEMBER_GROUP", self.name);
        command.env("MEMBER_TOPIC", how.pattern.unwrap_or(self.name));
        command.env("MEMBER_SESSION_MS", how.session_ms.to_string());
        if how.pattern.is_some() {
            command.env("MEMBER_PATTERN", "1");
        }
        if how.cooperative {
            command.env("MEMBER_COOPERATIVE", "1");
        }
        if let Some(instance) = how.instance {
            command.env("MEMBER_INSTANCE", instance);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let number = self.members.len();
        send_lines(number, child.stdout.take(), "", self.sender.clone());
        send_lines(number, child.stderr.take(), "stderr: ", self.sender.clone());
        self.members.push(child);
        Ok(number)
    }

    /// Asks a member to leave and waits until its process has ended.
    pub(super) fn leave(&mut self, member: usize) -> Result<(), String> {
        let child = &mut self.members[member];
        if let Some(mut stdin) = child.stdin.take() {
            // A member that has ended already is found out below.
            let _ = stdin.write_all(b"leave\n");
        }
        let deadline = Instant::now() + WITHIN;
        let what = format!("member {member} to end in order");
        loop {
            self.until_line(Duration::from_millis(20));
            match self.members[member].try_wait() {
                // The JVM reports the signal (143) even after a shutdown in order.
                Ok(Some(status)) if status.success() || status.code() == Some(143) => break,
                Ok(Some(status)) => return Err(format!("member {member} ended with {status}")),
                _ if Instant::now() > deadline => return Err(self.expected(&what)),
                _ => {}
            }
        }
        self.book.gone(member);
        Ok(())
    }

    /// Ends a member's process so that it cannot say a word more.
    pub(super) fn kill(&mut self, member: usize) {
        let _ = self.members[member].kill();
        let _ = self.members[member].wait();
        // What it wrote before is still to come.
        while self.until_line(Duration::from_millis(100)) {}
        self.book.gone(member);
    }

    /// Stops the broker in one way or another and starts it again.
    pub(super) fn interrupt(
        &mut self,
        how: fn(&mut Broker) -> Result<(), Error>,
    ) -> Result<(), String> {
        let broker = self.broker.as_deref_mut();
        let broker = broker.ok_or("the broker is not a process of its own")?;
        how(broker).map_err(|error| error.to_string())
    }

    /// Waits until these members own so many partitions each, and all partitions together.
    pub(super) fn until_owned(&mut self, wanted: &[(usize, usize)]) -> Result<(), String> {
        let places: BTreeSet<Place> = self.ends.keys().cloned().collect();
        let holds = |group: &Self| group.book.is_owned(wanted, &places);
        self.until(&format!("(member, partitions) to be {wanted:?}"), holds)
    }

    /// Waits until so many records are read.
    pub(super) fn until_reads(&mut self, count: usize) -> Result<(), String> {
        let what = format!("{count} records to be read");
        self.until(&what, |group| group.book.reads() >= count)
    }

    /// Waits until every record is read.
    pub(super) fn until_all_read(&mut self) -> Result<(), String> {
        let count = usize::try_from(self.ends.values().sum::<i64>()).unwrap_or(usize::MAX);
        self.until_reads(count)
    }

    /// Waits until everything is read and, where the library tells, committed: what was read but
    /// could not be committed in a rebalance is read again.
    pub(super) fn until_settled(&mut self) -> Result<(), String> {
        self.until_all_read()?;
        self.until("every commit acknowledged", |group| {
            !group.book.tells_commits() || *group.book.committed() == group.ends
        })
    }

    /// Waits until a rebalance has begun to take partitions away.
    pub(super) fn until_revoked(&mut self, members: &[usize]) -> Result<(), String> {
        let taken = |group: &Self| -> usize {
            let moves = members.iter().map(|member| group.moves(*member).1);
            moves.sum()
        };
        let before = taken(self);
        self.until("a rebalance", |group| taken(group) > before)
    }

    pub(super) fn owned(&self, member: usize) -> BTreeSet<Place> {
        self.book.owned(member)
    }

    pub(super) fn moves(&self, member: usize) -> (usize, usize) {
        self.book.moves(member)
    }

    /// Demands how many partitions a member was given and lost so far.
    pub(super) fn expect_moves(
        &self,
        member: usize,
        assigned: usize,
        revoked: usize,
    ) -> Result<(), String> {
        match self.moves(member) {
            found if found == (assigned, revoked) => Ok(()),
            (given, taken) => Err(format!(
                "member {member} was given {given} and lost {taken}, not {assigned} and {revoked}"
            )),
        }
    }

    /// Demands where a member began to read; no later, where the library tells of no commits.
    pub(super) fn expect_first_reads(
        &self,
        member: usize,
        wanted: &BTreeMap<Place, i64>,
    ) -> Result<(), String> {
        let found = self.book.first_reads(member);
        let not_later = wanted
            .iter()
            .all(|(place, end)| found.get(place) <= Some(end));
        if found == *wanted || (!self.book.tells_commits() && not_later) {
            return Ok(());
        }
        Err(format!(
            "reading began at {found:?}, not at the committed {wanted:?}"
        ))
    }

    /// What must never be true of the whole run.
    pub(super) fn check(&self) -> Result<(), String> {
        self.book.check()
    }

    /// What the members wrote besides.
    pub(super) fn into_remarks(mut self) -> impl Iterator<Item = String> {
        std::mem::take(&mut self.remarks).into_iter()
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + WITHIN;
        while !holds(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.until_line(left) {
                return Err(self.expected(what));
            }
        }
        Ok(())
    }

    /// Takes the next line in, if there is one in time.
    fn until_line(&mut self, time: Duration) -> bool {
        let Ok((member, line)) = self.lines.recv_timeout(time) else {
            return false;
        };
        if !self.book.line(member, &line) {
            self.remarks.push(format!("member {member}: {line}"));
        }
        true
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}; now {}", self.book.describe())
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

fn send_lines(
    member: usize,
    stream: Option<impl Read + Send + 'static>,
    prefix: &'static str,
    sender: Sender<(usize, String)>,
) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send((member, format!("{prefix}{line}"))).is_err() {
                return;
            }
        }
    });
}
