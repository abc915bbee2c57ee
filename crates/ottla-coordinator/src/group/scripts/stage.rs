//! A shard, its log, its clocks and its timers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_log::{Offset, Timestamp, TopicId};
use ottla_protocol::ErrorCode;

use super::tell;
use super::words::{Words, text, time};
use crate::group::{
    Decision, GroupConfig, GroupShard, Limits, MemberKey, Now, Record, TimerKey, WaiterId,
};

/// A record as it lies in the log.
type Written = (Bytes, Option<Bytes>);

#[derive(Default)]
pub(super) struct Stage {
    shard: Option<GroupShard>,
    config: GroupConfig,
    now: Now,
    timers: BTreeMap<TimerKey, Duration>,
    log: Vec<Written>,
    /// The names of the waiters, in the order in which they asked.
    waiters: Vec<String>,
    /// The members that were given a random id so far.
    drawn: u32,
    tells_offsets: bool,
    /// Whether answers have to wait for the log.
    holds_answers: bool,
    /// Whether the log takes nothing.
    refuses_records: bool,
    /// Whose sessions begin when their answers leave.
    held: Vec<MemberKey>,
}

impl Stage {
    pub(super) fn input(&mut self, line: &str) -> Vec<String> {
        let words = Words(line.split_whitespace().collect());
        match words.0[0] {
            "shard" => self.create(&words),
            "wait" => self.wait(time(words.0[1])),
            "stall" => self.stall(time(words.0[1])),
            "refuse" | "accept" => {
                self.refuses_records = words.0[0] == "refuse";
                Vec::new()
            }
            "hold" => {
                self.holds_answers = true;
                Vec::new()
            }
            "release" => {
                self.release();
                Vec::new()
            }
            "jump" => {
                let by = i64::try_from(time(words.0[1]).as_millis()).unwrap();
                self.now.wall = Timestamp::new(self.now.wall.get() + by);
                Vec::new()
            }
            "crash" => self.crash(&words),
            "configure" => {
                self.configure(&words);
                Vec::new()
            }
            "tell-offsets" => {
                self.tells_offsets = true;
                Vec::new()
            }
            "found" => {
                self.found(&words);
                Vec::new()
            }
            "topic-deleted" => {
                let topics = [(text(words.0[1]), TopicId::from_bytes([1; 16]))];
                let decision = self.shard().topics_deleted(&topics);
                self.carry_out(&decision)
            }
            _ => self.request(&words),
        }
    }

    fn create(&mut self, words: &Words<'_>) -> Vec<String> {
        *self = Self::default();
        self.now.wall = Timestamp::new(1_000_000);
        self.config.initial_rebalance_delay = Duration::ZERO;
        self.configure(words);
        self.load()
    }

    fn configure(&mut self, words: &Words<'_>) {
        let count = |name| words.number(name).map(|n| usize::try_from(n).unwrap());
        let config = &mut self.config;
        let times = [
            ("delay", &mut config.initial_rebalance_delay),
            ("min-session", &mut config.session_timeout_min),
            ("max-session", &mut config.session_timeout_max),
            ("retention", &mut config.offsets_retention),
        ];
        for (name, value) in times {
            *value = words.time(name).unwrap_or(*value);
        }
        let Limits {
            protocols_max,
            member_bytes_max,
            group_bytes_max,
            pending_members_max,
            record_bytes_max,
        } = &mut config.limits;
        let counts = [
            ("size", &mut config.members_max),
            ("note", &mut config.offset_metadata_max),
            ("protocols-max", protocols_max),
            ("member-bytes", member_bytes_max),
            ("group-bytes", group_bytes_max),
            ("pending", pending_members_max),
            ("record-bytes", record_bytes_max),
        ];
        for (name, value) in counts {
            *value = count(name).unwrap_or(*value);
        }
    }

    /// Makes the shard from the log, as after a start.
    fn load(&mut self) -> Vec<String> {
        let mut shard = GroupShard::new(self.config.clone());
        for (offset, (key, value)) in (0..).zip(&self.log) {
            let record = Record::decode(key, value.as_ref()).unwrap();
            shard.replay(Offset::new(offset), &record);
        }
        self.timers.clear();
        self.held.clear();
        let decision = shard.loaded(self.now);
        self.shard = Some(shard);
        self.carry_out(&decision)
    }

    /// The broker dies, perhaps before its last records were durable.
    fn crash(&mut self, words: &Words<'_>) -> Vec<String> {
        let lost = usize::try_from(words.number("losing").unwrap_or(0)).unwrap();
        self.log.truncate(self.log.len() - lost);
        self.load()
    }

    /// A record of another type of group that another broker wrote.
    fn found(&mut self, words: &Words<'_>) {
        let kind = i16::try_from(words.number("type").unwrap()).unwrap();
        let group = words.value("of").unwrap();
        let length = i16::try_from(group.len()).unwrap();
        let mut key = kind.to_be_bytes().to_vec();
        key.extend(length.to_be_bytes());
        key.extend(group.as_bytes());
        key.extend(words.value("key").unwrap_or_default().as_bytes());
        let value = Some(Bytes::from_static(b"\0\0anything"));
        self.log.push((Bytes::from(key), value));
    }

    fn request(&mut self, words: &Words<'_>) -> Vec<String> {
        self.drawn += u32::from(words.0[0] == "join" && words.value("member").is_none());
        let entropy = text(&self.drawn.to_string());
        let request = words.request(entropy);
        let request = request.unwrap_or_else(|| panic!("no such input: {}", words.0[0]));
        let waiter = WaiterId::new(self.waiters.len() as u64);
        self.waiters.push(words.0[1].to_owned());
        let now = self.now;
        let decision = self.shard().handle(now, waiter, request);
        self.carry_out(&decision)
    }

    /// Lets time pass, and each timer come at its time.
    fn wait(&mut self, time: Duration) -> Vec<String> {
        let until = self.now.monotonic + time;
        let mut said = Vec::new();
        loop {
            let due = self.timers.iter().min_by_key(|(key, at)| (**at, *key));
            match due.map(|(key, at)| (key.clone(), *at)) {
                Some((key, at)) if at <= until => {
                    self.timers.remove(&key);
                    self.pass(at);
                    let now = self.now;
                    let decision = self.shard().timer(now, &key);
                    let lines = self.carry_out(&decision);
                    let after = at.checked_sub(until.saturating_sub(time)).unwrap();
                    said.extend(lines.into_iter().map(|line| format!("{after:?}: {line}")));
                }
                _ => break,
            }
        }
        self.pass(until);
        said
    }

    /// Lets time pass while nothing is done; the timers that are due come at its end.
    fn stall(&mut self, time: Duration) -> Vec<String> {
        let until = self.now.monotonic + time;
        self.pass(until);
        let mut due: Vec<_> = self
            .timers
            .iter()
            .map(|(key, at)| (*at, key.clone()))
            .collect();
        due.retain(|(at, _)| *at <= until);
        due.sort_unstable();
        let mut said = Vec::new();
        for (_, key) in due {
            self.timers.remove(&key);
            let now = self.now;
            let decision = self.shard().timer(now, &key);
            said.extend(self.carry_out(&decision));
        }
        said
    }

    /// The log is durable again: all answers leave.
    fn release(&mut self) {
        self.holds_answers = false;
        for key in std::mem::take(&mut self.held) {
            let now = self.now;
            self.shard().answered(now, &key);
        }
    }

    fn pass(&mut self, until: Duration) {
        let passed = until.saturating_sub(self.now.monotonic);
        self.now.monotonic = until.max(self.now.monotonic);
        let wall = self.now.wall.get() + i64::try_from(passed.as_millis()).unwrap();
        self.now.wall = Timestamp::new(wall);
    }

    fn shard(&mut self) -> &mut GroupShard {
        self.shard.as_mut().expect("a script begins with `shard`")
    }

    /// Does what a decision says. Records go through their bytes.
    fn carry_out(&mut self, decision: &Decision) -> Vec<String> {
        if self.refuses_records && !decision.records.is_empty() {
            let now = self.now;
            let error = ErrorCode::CoordinatorNotAvailable;
            let follows = self.shard().refused(now, decision.clone(), error);
            assert_eq!(follows.records, [], "what is refused is not tried again");
            return self.carry_out(&follows);
        }
        let mut said = Vec::new();
        for record in &decision.records {
            let (key, value) = record.encode().unwrap();
            let again = Record::decode(&key, value.as_ref()).unwrap();
            assert_eq!(again, *record, "a record is what its bytes say");
            let offset = Offset::new(i64::try_from(self.log.len()).unwrap());
            self.shard().replay(offset, &again);
            self.log.push((key, value));
            said.push(tell::record(record));
        }
        for change in &decision.timers {
            match change.at {
                Some(at) => self.timers.insert(change.key.clone(), at),
                None => self.timers.remove(&change.key),
            };
        }
        let until = match decision.records.is_empty() {
            true => decision.seen.get(),
            false => i64::try_from(self.log.len()).unwrap(),
        };
        for answer in &decision.answers {
            let waiter = usize::try_from(answer.waiter.get()).unwrap();
            let name = &self.waiters[waiter];
            for line in tell::response(&answer.response) {
                let mut line = format!("{name}: {line}");
                if self.tells_offsets {
                    line += &format!(" (once {until} are durable)");
                }
                said.push(line);
            }
            self.held.extend(answer.session.clone());
        }
        if !self.holds_answers {
            self.release();
        }
        said
    }
}
