//! Runs the scenarios of `testdata/*.txt`.
//!
//! A line that begins with `> ` is an input; the indented lines below it are all that follows
//! from it. Everything else is prose. `testdata/README.md` lists the inputs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ottla_log::{FlushMode, LeaderEpoch, Offset};

use super::*;
use crate::metadata::Partition;
use crate::{BrokerId, PartitionEpoch};

macro_rules! scripts {
    ($($name:literal)+) => {
        [$(($name, include_str!(concat!("../../testdata/", $name, ".txt"))),)+]
    };
}

const SCRIPTS: [(&str, &str); 8] = scripts! {
    "acks" "follower" "isr" "min_isr" "offline" "replication" "terms" "visibility"
};

#[test]
fn every_script_ends_as_written() {
    for (name, text) in SCRIPTS {
        let got = run(text);
        let differs = got
            .lines()
            .zip(text.lines())
            .find(|(got, written)| got != written);
        assert!(got == text, "{name}: {differs:?}; the whole:\n{got}");
    }
}

/// The script as it would have to be written for what really follows from its inputs.
fn run(text: &str) -> String {
    let mut stage = Stage::default();
    let mut written = String::new();
    let mut after_input = false;
    for line in text.lines() {
        if let Some(input) = line.strip_prefix("> ") {
            writeln!(written, "{line}").unwrap();
            for output in stage.input(input) {
                writeln!(written, "    {output}").unwrap();
            }
            after_input = true;
        } else if !(after_input && line.starts_with("    ")) {
            after_input = false;
            writeln!(written, "{line}").unwrap();
        }
    }
    written
}

/// One replica, its clock and its timers.
#[derive(Default)]
struct Stage {
    replica: Option<Replica>,
    now: Duration,
    timers: BTreeMap<Timer, Duration>,
    partition_epoch: i32,
    config: Option<ReplicaConfig>,
}

/// The words of an input: `name value` pairs in any order after the first word.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|word| *word == name)?;
        self.0.get(at + 1).copied()
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.value(name).map(|text| text.parse().unwrap())
    }

    fn offset(&self, name: &str) -> Option<Offset> {
        self.number(name).map(Offset::new)
    }

    fn ids(&self, name: &str) -> Vec<BrokerId> {
        match self.value(name) {
            None | Some("-") => Vec::new(),
            Some(list) => list
                .split(',')
                .map(|id| BrokerId::new(id.parse().unwrap()))
                .collect(),
        }
    }

    fn millis(&self, name: &str) -> Option<Duration> {
        let text = self.value(name)?;
        Some(match text.strip_suffix("ms") {
            Some(millis) => Duration::from_millis(millis.parse().unwrap()),
            None => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()),
        })
    }

    /// The number right after the first word.
    fn first(&self) -> i64 {
        self.0[1].parse().unwrap()
    }

    fn first_offset(&self) -> Offset {
        Offset::new(self.first())
    }
}

impl Stage {
    fn input(&mut self, line: &str) -> Vec<String> {
        let words = Words(line.split_whitespace().collect());
        let mut said = Vec::new();
        match words.0[0] {
            "replica" => self.create(&words),
            "wait" => return self.wait(words.millis("wait").unwrap()),
            "show" => said.push(self.show()),
            "register" => {
                let partition = self.registration(&words);
                let now = self.now;
                self.replica().registered(now, &partition);
            }
            _ => said.extend(self.event(&words)),
        }
        said.extend(self.outputs());
        said
    }

    fn create(&mut self, words: &Words<'_>) {
        *self = Self::default();
        let config = ReplicaConfig {
            flush: if words.has("os") {
                FlushMode::Os
            } else {
                FlushMode::Sync
            },
            min_insync_replicas: u32::try_from(words.number("min-isr").unwrap_or(1)).unwrap(),
            lag_max: words.millis("lag").unwrap_or(Duration::from_secs(30)),
        };
        let end = words.offset("end").unwrap_or(Offset::ZERO);
        let ends = Ends {
            start: words.offset("start").unwrap_or(Offset::ZERO),
            end,
            durable: words.offset("durable").unwrap_or(end),
        };
        let me = BrokerId::new(i32::try_from(words.first()).unwrap());
        let committed = words.offset("committed").unwrap_or(ends.start);
        self.config = Some(config);
        self.replica = Some(Replica::new(me, config, ends, committed));
    }

    fn registration(&mut self, words: &Words<'_>) -> Partition {
        self.partition_epoch += 1;
        let version = words.number("version").map(|n| i32::try_from(n).unwrap());
        Partition {
            replicas: words.ids("replicas"),
            directories: Vec::new(),
            isr: words.ids("isr"),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: words.ids("leader").first().copied(),
            recovering: false,
            leader_epoch: LeaderEpoch::new(i32::try_from(words.number("epoch").unwrap()).unwrap()),
            partition_epoch: PartitionEpoch::new(version.unwrap_or(self.partition_epoch)),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        }
    }

    /// An input of the replica itself; what it returns, where it returns anything.
    fn event(&mut self, words: &Words<'_>) -> Option<String> {
        let now = self.now;
        let mut config = self.config.unwrap();
        let replica = self.replica();
        let refused = |result: Result<(), ReplicaError>| result.err().map(|e| refusal(&e));
        match words.0[0] {
            "append" => replica.appended(now, words.first_offset()),
            "durable" => replica.durable(now, words.first_offset()),
            "start" => replica.start_moved(words.first_offset()),
            "truncate" => replica.truncated(words.first_offset()),
            "fail" => replica.failed(),
            "forget" => replica.forget(waiter(words)),
            "isr-refused" => replica.isr_refused(),
            "replicated" => {
                replica.replicated(words.first_offset(), words.offset("hw").unwrap());
            }
            "produce" => {
                let deadline = now + words.millis("within").unwrap_or(Duration::from_secs(30));
                replica.produced(
                    waiter(words),
                    acks(words),
                    words.offset("end").unwrap(),
                    deadline,
                );
            }
            "check-append" => match replica.check_append(acks(words)) {
                Ok(epoch) => return Some(format!("append in epoch {epoch}")),
                Err(error) => return Some(refusal(&error)),
            },
            "check-epoch" => {
                let asked = LeaderEpoch::new(i32::try_from(words.first()).unwrap());
                let result = replica.check_epoch(Some(asked));
                return Some(refused(result).unwrap_or_else(|| "same term".to_owned()));
            }
            "fetch" => {
                let fetch = FollowerFetch {
                    broker: BrokerId::new(i32::try_from(words.number("from").unwrap()).unwrap()),
                    offset: words.offset("at").unwrap(),
                    log_start: words.offset("log-start").unwrap_or(Offset::ZERO),
                    is_eligible: !words.has("fenced"),
                };
                return refused(replica.fetched(now, &fetch));
            }
            "next-fetch" => {
                let next = replica.next_fetch().map(|offset| offset.to_string());
                return Some(next.unwrap_or_else(|| "not yet".to_owned()));
            }
            "min-isr" => {
                config.min_insync_replicas = u32::try_from(words.first()).unwrap();
                replica.configure(now, config);
                self.config = Some(config);
            }
            other => panic!("no such input: {other}"),
        }
        None
    }

    /// Lets time pass, and each timer come at its time.
    fn wait(&mut self, time: Duration) -> Vec<String> {
        let until = self.now + time;
        let mut said = Vec::new();
        loop {
            let due = self.timers.iter().min_by_key(|(key, at)| (**at, **key));
            match due.map(|(key, at)| (*key, *at)) {
                Some((key, at)) if at <= until => {
                    self.timers.remove(&key);
                    self.now = at;
                    self.replica().timer(at, key);
                    said.extend(self.outputs());
                }
                _ => break,
            }
        }
        self.now = until;
        said
    }

    fn replica(&mut self) -> &mut Replica {
        self.replica
            .as_mut()
            .expect("a script begins with `replica`")
    }

    /// What follows; timers are kept, not told.
    fn outputs(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(output) = self.replica().poll_output() {
            match output {
                Output::HighWatermark(offset) => said.push(format!("high watermark {offset}")),
                Output::EpochStarts { epoch, start } => {
                    said.push(format!("epoch {epoch} starts at {start}"));
                }
                Output::Answer { waiter, result } => {
                    let text = result.map_or_else(|e| refusal(&e), |()| "acknowledged".to_owned());
                    said.push(format!("{}: {text}", waiter.get()));
                }
                Output::ProposeIsr {
                    isr, leader_epoch, ..
                } => {
                    let isr: Vec<_> = isr.iter().map(ToString::to_string).collect();
                    said.push(format!(
                        "propose isr {} in epoch {leader_epoch}",
                        isr.join(",")
                    ));
                }
                Output::Timer { key, at } => {
                    self.timers.insert(key, at);
                }
            }
        }
        said
    }

    fn show(&mut self) -> String {
        let replica = self.replica();
        let ends = replica.ends();
        let latest = if replica.knows_latest() {
            ""
        } else {
            ", latest unknown"
        };
        format!(
            "{:?} in epoch {}: log {}..{}, durable {}, high watermark {}, low watermark {}{latest}",
            replica.role(),
            replica.leader_epoch(),
            ends.start,
            ends.end,
            ends.durable,
            replica.high_watermark(),
            replica.low_watermark(),
        )
    }
}

fn waiter(words: &Words<'_>) -> WaiterId {
    WaiterId::new(u64::try_from(words.first()).unwrap())
}

fn acks(words: &Words<'_>) -> Acks {
    match words.value("acks") {
        Some("all") => Acks::All,
        Some(number) => Acks::from_code(number.parse().unwrap()).unwrap(),
        None => panic!("which acks?"),
    }
}

fn refusal(error: &ReplicaError) -> String {
    format!("{} ({error})", error.code().name())
}
