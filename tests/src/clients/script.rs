//! The conversation between the harness and a runner.
//!
//! A runner writes lines to its standard output:
//!
//! ```text
//! version TEXT                        which client this is, e.g. its library's version
//! ok SCENARIO                         the scenario went as it should
//! FAIL SCENARIO REASON                it did not
//! n/a SCENARIO REASON                 the client has no such feature
//! part SCENARIO REASON                it will be reported, but without this, for this reason
//! restart | kill                      interrupt the broker; answered with a line `done` on the
//!                                     runner's standard input once it is back
//! transactions | compacted TOPIC      write transactions into partition 0 of a topic that has a
//!                                     record, and compact it where that is said, the broker
//!                                     stopped meanwhile; answered with a line `FATE OFFSET KEY
//!                                     VALUE` for each record ([`transactions`]), and `done`
//! acked PARTITION OFFSET VALUE        for the ledger of the scenario that is running
//! read PARTITION OFFSET VALUE
//! ```
//!
//! The scenarios of groups are directed by the harness ([`groups`]); a runner reports only those
//! that its client cannot take part in. A scenario that used the ledger passes only when the
//! ledger's own check does. Other lines, and all of standard error, are kept and shown when
//! something failed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use super::{
    Scenario,
    groups::{self, Start},
    ledger::Ledger,
};
use crate::{
    Error,
    broker::{Broker, Kind},
    transactions::{self, Told},
};

/// No runner needs nearly as long, also where others take most of the machine: Kafka's tools start
/// a virtual machine for each of some hundred commands. Past it the runner hangs.
const WITHIN: Duration = Duration::from_secs(900);

/// How one scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Ok,
    /// Not as it should, with the reason.
    Fail(String),
    /// The client has no such feature, with the reason.
    NotAvailable(String),
}

/// How a client's run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the client says that it is.
    pub version: String,
    /// Every scenario that the runner has, in the order of its list.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What a scenario was run without, as the client has no such feature.
    pub parts: Vec<(String, String)>,
    /// What the runner wrote besides, for a person.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// The scenarios that failed, with their reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.verdicts
            .iter()
            .filter_map(|(name, verdict)| match verdict {
                Verdict::Fail(reason) => Some((*name, reason.as_str())),
                _ => None,
            })
    }

    /// How many verdicts are as `wanted`.
    pub fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        let verdicts = self.verdicts.iter();
        verdicts.filter(|(_, verdict)| wanted(verdict)).count()
    }
}

/// Runs what `start` gives to its end, interrupting `broker` when it asks for it, and then the
/// scenarios of groups that it has not called unavailable. It has to report each of `scenarios`.
///
/// # Errors
/// When the runner cannot be started. All else is a failed scenario.
pub fn run(
    start: Start<'_>,
    broker: &mut Broker,
    scenarios: impl Iterator<Item = Scenario>,
) -> Result<Outcome, Error> {
    let mut command = start()?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(Error::io(format!("start {command:?}")))?;
    let lines = lines_of(&mut child);
    let mut session = Session {
        stdin: child.stdin.take(),
        broker,
        ledger: Ledger::default(),
        is_foreign: false,
        reported: Vec::new(),
        outcome: Outcome::default(),
    };
    let hung = session.follow(&lines);
    if hung {
        let _ = child.kill();
        session
            .outcome
            .remarks
            .push(format!("the runner was stopped after {WITHIN:?}"));
    }
    let status = child.wait().map_err(Error::io("wait for the runner"))?;
    Ok(session.finish(scenarios, start, status))
}

struct Session<'a> {
    stdin: Option<ChildStdin>,
    broker: &'a mut Broker,
    ledger: Ledger,
    /// The scenario asked for something that can be done to our own broker's data alone.
    is_foreign: bool,
    reported: Vec<(String, Verdict)>,
    outcome: Outcome,
}

impl Session<'_> {
    /// Handles lines until the runner closes its output. True when it never does.
    fn follow(&mut self, lines: &Receiver<String>) -> bool {
        let deadline = Instant::now() + WITHIN;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.line(&line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "version" => rest.clone_into(&mut self.outcome.version),
            "ok" => self.report(rest, Verdict::Ok),
            "FAIL" => {
                let (name, reason) = rest.split_once(' ').unwrap_or((rest, "without a reason"));
                self.report(name, Verdict::Fail(reason.to_owned()));
            }
            "n/a" => {
                let (name, reason) = rest.split_once(' ').unwrap_or((rest, "without a reason"));
                self.report(name, Verdict::NotAvailable(reason.to_owned()));
            }
            "part" => {
                let (name, reason) = rest.split_once(' ').unwrap_or((rest, "without a reason"));
                let part = (name.to_owned(), reason.to_owned());
                self.outcome.parts.push(part);
            }
            "restart" => self.interrupt(Broker::restart),
            "kill" => self.interrupt(Broker::kill),
            "transactions" | "compacted" => self.write(rest, word == "compacted"),
            "acked" | "read" => self.record(word == "acked", rest, line),
            _ => self.outcome.remarks.push(line.to_owned()),
        }
    }

    fn report(&mut self, name: &str, verdict: Verdict) {
        let ledger = std::mem::take(&mut self.ledger);
        let interrupts = matches!(name, "restart" | "kill");
        let verdict = match verdict {
            _ if std::mem::take(&mut self.is_foreign) => {
                Verdict::NotAvailable("the data are written by Ottla's log".to_owned())
            }
            Verdict::Ok if interrupts || ledger.is_used() => {
                ledger.check().map_or_else(Verdict::Fail, |()| Verdict::Ok)
            }
            other => other,
        };
        self.reported.push((name.to_owned(), verdict));
    }

    fn interrupt(&mut self, how: fn(&mut Broker) -> Result<(), Error>) {
        self.ledger.interrupted();
        if let Err(error) = how(self.broker) {
            self.outcome.remarks.push(error.to_string());
        }
        // When the runner has gone meanwhile, its missing reports tell.
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(b"done\n");
        }
    }

    fn write(&mut self, topic: &str, compact: bool) {
        self.is_foreign = self.broker.kind() == Kind::Kafka;
        let mut answer = String::new();
        if !self.is_foreign {
            let work = |data: &Path| transactions::write(data, topic, compact);
            match self.broker.while_stopped(work) {
                Ok(told) => answer.extend(told.iter().map(Told::line)),
                Err(error) => self.outcome.remarks.push(error.to_string()),
            }
        }
        answer.push_str("done\n");
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(answer.as_bytes());
        }
    }

    fn record(&mut self, acked: bool, rest: &str, line: &str) {
        let mut words = rest.splitn(3, ' ');
        let partition = words.next().and_then(|word| word.parse().ok());
        let offset = words.next().and_then(|word| word.parse().ok());
        match (partition, offset, words.next()) {
            (Some(partition), Some(offset), Some(value)) if acked => {
                self.ledger.acked(value, (partition, offset));
            }
            (Some(partition), Some(offset), Some(value)) => {
                self.ledger.read(value, (partition, offset));
            }
            _ => self
                .outcome
                .remarks
                .push(format!("not a place and a value: {line}")),
        }
    }

    /// Puts the reports into the list's order; a scenario without exactly one report has failed.
    fn finish(
        mut self,
        scenarios: impl Iterator<Item = Scenario>,
        start: Start<'_>,
        status: ExitStatus,
    ) -> Outcome {
        for (name, _) in scenarios {
            let reports = self
                .reported
                .iter()
                .filter(|(reported, _)| reported == name);
            let verdict = match reports.map(|(_, verdict)| verdict).collect::<Vec<_>>()[..] {
                [verdict] => verdict.clone(),
                [] if groups::directs(name) && status.success() => {
                    groups::run(name, start, self.broker, &mut self.outcome.remarks)
                }
                [] => Verdict::Fail(format!("was not reported; the runner ended with {status}")),
                _ => Verdict::Fail("was reported more than once".to_owned()),
            };
            self.outcome.verdicts.push((name, verdict));
        }
        let verdicts = &self.outcome.verdicts;
        let known = |name: &str| verdicts.iter().any(|(known, _)| *known == name);
        for (name, verdict) in self.reported.iter().filter(|(name, _)| !known(name)) {
            self.outcome
                .remarks
                .push(format!("unknown scenario {name}: {verdict:?}"));
        }
        self.outcome
    }
}

/// The runner's output and error lines, as they come.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    send_lines(child.stdout.take(), "", sender.clone());
    send_lines(child.stderr.take(), "stderr: ", sender);
    lines
}

fn send_lines(
    stream: Option<impl Read + Send + 'static>,
    prefix: &'static str,
    sender: Sender<String>,
) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(format!("{prefix}{line}")).is_err() {
                return;
            }
        }
    });
}
