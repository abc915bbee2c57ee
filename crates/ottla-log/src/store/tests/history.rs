//! What a workload did and was promised, and whether a store that was reopened keeps the promise.

use std::fmt::Debug;

use super::kit::{Portable, append, id, log_options, record, small, topic, values, world, written};
use super::transactions;
use crate::vfs::{MemVfs, Vfs};
use crate::{
    AppendError, AppendOptions, Appended, FlushMode, Log, LogConfig, LogId, Offset, Record, Store,
    StoreOptions, Timestamp, TopicId,
};

/// What happened to each log, noted before and after each step.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    logs: Vec<Past>,
    /// The workload ends with its first error, so that nothing failed before the last step.
    pub(super) strict: bool,
}

/// One log of one topic.
#[derive(Clone, Debug)]
struct Past {
    name: &'static str,
    topic: u8,
    /// Every append that was begun, in order.
    begun: Vec<Begun>,
    count: u32,
    /// Everything below this offset may be gone, and below `gone_for_sure` must be.
    may_be_gone: i64,
    gone_for_sure: i64,
    deletion: Deletion,
    /// Older records of a key may be gone.
    is_compacted: bool,
    /// Its appends are durable when the operating system likes.
    is_lazy: bool,
}

/// How many keys the records of a log have in turn.
const KEYS: u32 = 3;

/// An append of one record.
#[derive(Clone)]
struct Begun {
    text: String,
    key: u32,
    /// The offset it got, once it is known.
    offset: Option<i64>,
    /// That the log published it as durable was no promise.
    is_lazy: bool,
    /// It was said to be durable.
    promised: bool,
    /// Its transaction was aborted, or was about to be.
    aborted: bool,
}

impl Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.promised { "!" } else { "?" };
        write!(f, "{}@{:?}{mark}", self.text, self.offset)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    None,
    Begun,
    Done,
}

/// A store at work, with its history.
pub(super) struct Run<'h> {
    pub(super) store: Store,
    history: &'h mut History,
    /// Those that are deleted stay in their places.
    logs: Vec<Option<Log>>,
}

pub(super) type Failed = Box<dyn std::error::Error>;

impl<'h> Run<'h> {
    pub(super) fn open(
        vfs: impl Vfs + 'static,
        options: StoreOptions,
        history: &'h mut History,
    ) -> Result<Self, Failed> {
        let opened = Store::open_in(world(vfs), super::kit::DIR, options)?;
        Ok(Self {
            store: opened.store,
            history,
            logs: Vec::new(),
        })
    }

    /// Opens or makes the log `name` of topic `topic`; answers its place.
    pub(super) fn log(&mut self, name: &'static str, number: u8) -> Result<usize, Failed> {
        self.log_in(name, number, None)
    }

    pub(super) fn log_in(
        &mut self,
        name: &'static str,
        number: u8,
        flush: Option<FlushMode>,
    ) -> Result<usize, Failed> {
        let mut options = log_options(Some(topic(number)));
        options.config.flush = flush;
        let log = self.store.log(id(name), options)?;
        let is_known = |past: &Past| past.name == name && past.topic == number;
        let at = match self.history.logs.iter().position(is_known) {
            Some(at) => at,
            None => {
                self.history.logs.push(Past {
                    name,
                    topic: number,
                    begun: Vec::new(),
                    count: 0,
                    may_be_gone: 0,
                    gone_for_sure: 0,
                    deletion: Deletion::None,
                    is_compacted: false,
                    is_lazy: false,
                });
                self.history.logs.len() - 1
            }
        };
        if at < self.logs.len() {
            self.logs[at] = Some(log);
        } else {
            assert_eq!(at, self.logs.len(), "logs are opened in their order");
            self.logs.push(Some(log));
        }
        Ok(at)
    }

    pub(super) fn log_at(&self, at: usize) -> &Log {
        self.logs[at].as_ref().expect("the log is not deleted")
    }

    /// Stops, cleanly or as a kill does, and opens the store and the logs again.
    pub(super) fn again(self, vfs: impl Vfs + 'static, clean: bool) -> Result<Self, Failed> {
        let Self {
            store,
            history,
            logs,
        } = self;
        if clean && !store.close().clean {
            return Err("the stop was not clean".into());
        }
        drop((store, logs));
        let mut run = Self::open(vfs, small(), history)?;
        for at in 0..run.history.logs.len() {
            let Past {
                name,
                topic,
                deletion,
                ..
            } = run.history.logs[at];
            if deletion == Deletion::None {
                run.log(name, topic)?;
            } else {
                run.logs.push(None);
            }
        }
        Ok(run)
    }

    /// Lets retention take everything but the last segment.
    pub(super) fn retain(&mut self, at: usize) -> Result<(), Failed> {
        let log = self.log_at(at).clone();
        past_of(self.history, at).may_be_gone = log.ends().end.get();
        log.set_config(LogConfig {
            retention_bytes: Some(1),
            retention_check_interval: std::time::Duration::ZERO,
            ..log_options(None).config
        });
        let retained = self.work(&log, 2 * 60 * 60_000);
        log.set_config(log_options(None).config);
        retained
    }

    /// Compacts the log: of each key the newest record stays.
    pub(super) fn compact(&mut self, at: usize) -> Result<(), Failed> {
        let log = self.log_at(at).clone();
        past_of(self.history, at).is_compacted = true;
        log.set_config(LogConfig {
            compacted: true,
            min_cleanable_dirty_ratio: 0.0,
            ..log_options(None).config
        });
        let compacted = self.work(&log, 0);
        log.set_config(log_options(None).config);
        compacted
    }

    fn work(&self, log: &Log, now: i64) -> Result<(), Failed> {
        log.committed(log.ends().durable);
        while log.maintain(Timestamp::new(now))?.more {}
        while self.store.maintain(Timestamp::new(now)).more {}
        Ok(())
    }

    /// Appends `count` records of about `len` bytes, each durably.
    pub(super) fn durably(&mut self, at: usize, count: usize, len: usize) -> Result<(), Failed> {
        for _ in 0..count {
            let index = self.begun(at, len, AppendOptions::default())?;
            self.history.logs[at].begun[index].promised = true;
        }
        Ok(())
    }

    /// Appends a record without a promise.
    pub(super) fn written(&mut self, at: usize, len: usize) -> Result<(), Failed> {
        self.begun(at, len, written())?;
        Ok(())
    }

    fn begun(&mut self, at: usize, len: usize, options: AppendOptions) -> Result<usize, Failed> {
        self.begun_by(at, len, |log, record| log.append(&[record], options))
    }

    fn begun_by(
        &mut self,
        at: usize,
        len: usize,
        append: impl FnOnce(&Log, Record) -> Result<Appended, AppendError>,
    ) -> Result<usize, Failed> {
        let past = &mut self.history.logs[at];
        let index = past.begun.len();
        let text = format!("{}/{}/{}", past.name, past.topic, past.count);
        let key = past.count % KEYS;
        past.count += 1;
        past.begun.push(Begun {
            text: text.clone(),
            key,
            offset: None,
            is_lazy: past.is_lazy,
            promised: false,
            aborted: false,
        });
        let record = record(&text, len).with_key(key.to_be_bytes().to_vec());
        let appended = append(self.log_at(at), record)?;
        past_of(self.history, at).begun[index].offset = Some(appended.base_offset.get());
        Ok(index)
    }

    /// Has the appends from now on durable as `flush` says, or as the store's are.
    pub(super) fn switch(&mut self, at: usize, flush: Option<FlushMode>) {
        past_of(self.history, at).is_lazy = flush == Some(FlushMode::Os);
        self.log_at(at).set_config(LogConfig {
            flush,
            ..log_options(None).config
        });
    }

    /// Appends a transaction of three records of about `len` bytes and ends it, durably.
    pub(super) fn transaction(
        &mut self,
        at: usize,
        len: usize,
        committed: bool,
    ) -> Result<(), Failed> {
        // A producer of its own.
        let producer = 1000 + i64::from(self.history.logs[at].count);
        let mut records = Vec::new();
        for sequence in 0..3 {
            records.push(self.begun_by(at, len, |log, record| {
                transactions::write(log, record, producer, sequence)
            })?);
        }
        let begun = &mut past_of(self.history, at).begun;
        for index in &records {
            begun[*index].aborted = !committed;
        }
        let log = self.log_at(at);
        let ended = transactions::end(log, producer, committed)?;
        log.wait_durable(ended.end)?;
        log.committed(log.ends().durable);
        self.look(at);
        Ok(())
    }

    /// Begins a transaction with a record of about `len` bytes, and leaves it open.
    pub(super) fn open_transaction(&mut self, at: usize, len: usize) -> Result<(), Failed> {
        let producer = 1000 + i64::from(self.history.logs[at].count);
        self.begun_by(at, len, |log, record| {
            transactions::write(log, record, producer, 0)
        })?;
        Ok(())
    }

    /// A whole pass of the scrub, which finds nothing.
    pub(super) fn scrub(&mut self) -> Result<(), Failed> {
        let passes = self.store.scrub_report().passes;
        let mut now = Timestamp::new(0);
        while self.store.scrub_report().passes == passes {
            let next = self.store.scrub(now).ok_or("there is no scrub")?;
            now = now.max(next);
        }
        match self.store.findings().first() {
            None => Ok(()),
            Some(finding) => Err(format!("the scrub found {finding:?}").into()),
        }
    }

    pub(super) fn start(&self, at: usize) -> i64 {
        self.log_at(at).ends().start.get()
    }

    pub(super) fn end(&self, at: usize) -> i64 {
        self.log_at(at).ends().end.get()
    }

    /// Notes what a reader could see as durable.
    pub(super) fn look(&mut self, at: usize) {
        let durable = self.log_at(at).ends().durable.get();
        let below = |begun: &&mut Begun| {
            !begun.is_lazy && begun.offset.is_some_and(|offset| offset < durable)
        };
        for begun in past_of(self.history, at).begun.iter_mut().filter(below) {
            begun.promised = true;
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Failed> {
        let flushed = self.store.flush();
        let open = |at: &usize| self.logs[*at].is_some();
        let logs: Vec<usize> = (0..self.logs.len()).filter(open).collect();
        for at in logs {
            self.look(at);
        }
        Ok(flushed?)
    }

    pub(super) fn truncate(&mut self, at: usize, to: i64) -> Result<(), Failed> {
        let past = past_of(self.history, at);
        let stays = |begun: &Begun| begun.offset.is_none_or(|offset| offset < to);
        for begun in past.begun.iter_mut().filter(|begun| !stays(begun)) {
            begun.promised = false;
        }
        self.log_at(at).truncate_to(Offset::new(to))?;
        past_of(self.history, at).begun.retain(stays);
        Ok(())
    }

    pub(super) fn delete_records(&mut self, at: usize, to: i64) -> Result<(), Failed> {
        let past = past_of(self.history, at);
        past.may_be_gone = to;
        self.log_at(at).delete_records(Offset::new(to))?;
        self.log_at(at).ticket().wait()?;
        past_of(self.history, at).gone_for_sure = to;
        Ok(())
    }

    pub(super) fn delete(&mut self, at: usize) -> Result<(), Failed> {
        self.history.logs[at].deletion = Deletion::Begun;
        self.store.delete(&id(self.history.logs[at].name))?;
        self.history.logs[at].deletion = Deletion::Done;
        Ok(())
    }

    /// Background work of the store and of each log, until there is none left.
    pub(super) fn maintain(&mut self) -> Result<(), Failed> {
        for log in self.logs.iter().flatten() {
            while log.maintain(Timestamp::new(0)).is_ok_and(|done| done.more) {}
        }
        while self.store.maintain(Timestamp::new(0)).more {}
        Ok(())
    }

    /// A step at a time when everything is due.
    pub(super) fn maintain_late(&mut self) {
        for minutes in 1..3 {
            while self.store.maintain(Timestamp::new(minutes * 60_000)).more {}
        }
    }

    pub(super) fn close(self) -> bool {
        self.store.close().clean
    }
}

fn past_of(history: &mut History, at: usize) -> &mut Past {
    &mut history.logs[at]
}

/// Reopens a store, holds it against the history, and uses it. Every other image is recovered as
/// on a platform that cannot sync everything in one go.
pub(super) fn check(vfs: &MemVfs, history: &History, crash: &dyn Debug) {
    let vfs = &Disk {
        is_portable: crc32fast::hash(format!("{crash:?}").as_bytes()).is_multiple_of(2),
        mem: vfs.clone(),
    };
    let first = reopen(vfs, history, crash);
    let files = partitions(vfs);
    // What was found must be found again, with not a byte changed.
    let again = reopen(vfs, history, crash);
    assert_eq!(first, again, "a second open differs: {crash:?}");
    assert!(
        files == partitions(vfs),
        "a second open writes otherwise: {crash:?}"
    );
    let store = open(vfs, crash);
    let logs = open_all(&store, history, crash);
    for log in &logs {
        append(log, "after").unwrap_or_else(|e| panic!("{} is not usable: {e}", log.id()));
    }
    let report = store.close();
    assert!(report.clean, "{report:?} {crash:?}");
    drop((store, logs));
    let store = open(vfs, crash);
    assert!(store.was_clean());
    let logs = open_all(&store, history, crash);
    for (log, (_, before)) in logs.iter().zip(&first) {
        let values: Vec<_> = values(log).into_iter().map(|(_, text)| text).collect();
        let before: Vec<_> = before.iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(
            values,
            [before, vec!["after".to_owned()]].concat(),
            "{crash:?}"
        );
    }
}

/// A file system to be recovered.
struct Disk {
    mem: MemVfs,
    is_portable: bool,
}

/// The files of all partitions.
fn partitions(vfs: &Disk) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = super::kit::image(&vfs.mem);
    files.retain(|path, _| path.contains("/kafka/"));
    files
}

fn open(disk: &Disk, crash: &dyn Debug) -> Store {
    let world = if disk.is_portable {
        world(Portable(disk.mem.clone()))
    } else {
        world(disk.mem.clone())
    };
    let opened = Store::open_in(world, super::kit::DIR, small());
    let opened = opened.unwrap_or_else(|e| panic!("does not open: {e}, {crash:?}"));
    let report = &opened.report;
    let is_quiet = report.problems.is_empty()
        && report.unreadable.is_empty()
        && report.strangers.is_empty()
        && report.missing.is_empty();
    assert!(is_quiet, "{report:?} {crash:?}");
    opened.store
}

type Values = Vec<((LogId, TopicId), Vec<(i64, String)>)>;

/// Opens the store, checks every log that is there, and drops it as a kill would.
fn reopen(vfs: &Disk, history: &History, crash: &dyn Debug) -> Values {
    let store = open(vfs, crash);
    let logs = open_all(&store, history, crash);
    for past in &history.logs {
        let log = logs
            .iter()
            .find(|log| *log.id() == id(past.name) && log.topic_id() == topic(past.topic));
        match log {
            Some(log) => past.check(log, history.strict, crash),
            None => {
                let is_promised = past.begun.iter().any(|begun| begun.promised);
                assert!(
                    !is_promised || past.deletion != Deletion::None,
                    "{past:?} is gone: {crash:?}"
                );
            }
        }
    }
    let values = |log: &Log| ((log.id().clone(), log.topic_id()), values(log));
    logs.iter().map(values).collect()
}

/// Every log that the reopened store has.
fn open_all(store: &Store, history: &History, crash: &dyn Debug) -> Vec<Log> {
    let mut logs = Vec::new();
    for found in store.found() {
        let of_name = |past: &&Past| id(past.name) == found.id;
        // A crash may leave a directory whose partition.metadata is not durable. Whoever knows
        // the topics knows whose it is: the last one's of that name.
        let last = history.logs.iter().rfind(of_name);
        let topic_id = found
            .topic_id
            .or_else(|| last.map(|past| topic(past.topic)));
        let is_known = |past: &Past| of_name(&past) && Some(topic(past.topic)) == topic_id;
        assert!(
            history.logs.iter().any(is_known),
            "{found:?} is nobody's: {crash:?}"
        );
        let log = store.log(found.id.clone(), log_options(topic_id));
        logs.push(log.unwrap_or_else(|e| panic!("{} does not open: {e}, {crash:?}", found.id)));
    }
    logs
}

impl Past {
    fn check(&self, log: &Log, strict: bool, crash: &dyn Debug) {
        assert_ne!(self.deletion, Deletion::Done, "{self:?} is back: {crash:?}");
        if self.deletion == Deletion::Begun {
            return;
        }
        let (start, end) = (log.ends().start.get(), log.ends().end.get());
        assert!(
            start >= self.gone_for_sure && start <= self.may_be_gone,
            "{self:?} starts at {start}: {crash:?}"
        );
        let values = values(log);
        let context = || format!("{self:?} has {values:?}: {crash:?}");
        let markers = transactions::check(log, crash);
        let offsets = values.iter().map(|(offset, _)| *offset);
        let mut offsets: Vec<i64> = offsets.chain(markers).collect();
        offsets.sort_unstable();
        let is_dense = offsets.into_iter().eq(start..end);
        assert!(self.is_compacted || is_dense, "{}", context());
        let mut begun = self.begun.iter();
        for (offset, text) in &values {
            // Each in its order, at most once, at the offset it got.
            let found = begun.find(|begun| begun.text == *text);
            let found = found.unwrap_or_else(|| panic!("{text} is new or moved: {}", context()));
            assert!(
                found.offset.is_none_or(|known| known == *offset),
                "{}",
                context()
            );
        }
        for promised in self.begun.iter().filter(|begun| begun.promised) {
            let is_there = promised.offset < Some(start)
                || values.iter().any(|(_, text)| *text == promised.text)
                || self.is_outdated(promised, &values);
            assert!(is_there, "{promised:?} is lost: {}", context());
        }
        if strict && !self.is_compacted {
            // Nothing failed: what is there is all that was begun, up to some point.
            let texts = values.iter().map(|(_, text)| text);
            let all = self
                .begun
                .iter()
                .filter(|begun| begun.offset >= Some(start));
            let begun = all.map(|begun| &begun.text).take(values.len());
            let last = self.begun.iter().rev().take(1).map(|begun| &begun.text);
            let is_prefix = texts.clone().eq(begun.clone()) || texts.eq(begun.chain(last));
            assert!(is_prefix, "{}", context());
        }
    }

    /// Whether compaction may have taken `old`: a newer record of its key is there.
    fn is_outdated(&self, old: &Begun, values: &[(i64, String)]) -> bool {
        let newer =
            |begun: &&Begun| begun.key == old.key && begun.offset > old.offset && !begun.aborted;
        let is_there = |begun: &Begun| values.iter().any(|(_, text)| *text == begun.text);
        self.is_compacted && (old.aborted || self.begun.iter().filter(newer).any(is_there))
    }
}
