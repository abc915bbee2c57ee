//! One round: what was gathered becomes durable, in the journal or in the files themselves.
//!
//! A log's part of the round that is large goes to its own files alone: written to the journal it
//! would cost the device twice. So does that of a log which has bytes from before that no round was
//! handed (`FlushMode::Os`, until a moment ago): in the journal it would lie behind a hole. Those
//! are synced first, then the journal takes all the rest with
//! one write and one sync. Where the journal has no room the rest goes the direct way too; where
//! the journal failed in this very round, every log with data in it goes offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::MutexGuard;

use crate::log::{FlushTarget, Written};
use crate::{LogId, Offset, StorageError, TopicId};

use super::super::journal::{Entry, Placed, Range, Refused, What};
use super::files::Synced;
use super::state::{Item, Receipt, State};
use super::{DRAIN, Rounds, parity};

type Outcome = Result<(), Arc<StorageError>>;

impl Rounds {
    /// Leads the round that gathers. Called with nobody leading.
    pub(super) fn lead<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let lead = Lead {
            rounds: self,
            round: state.gathering,
            outcome: None,
        };
        state.gathering += 1;
        state.leading = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        lead.run(items);
        self.state.lock()
    }

    fn run_round(&self, items: Vec<Item>) -> Outcome {
        let mut round = Round::gather(items);
        // An append removed it before it wrote; a note changes what the mark speaks for, too.
        if let Err(cause) = self.marker.remove(&*self.vfs) {
            round.answer_notes(&Err(cause));
            return round.outcome;
        }
        round.compare(&self.state.lock());
        let journal_exists = {
            let journal = self.journal.lock();
            round.has_journal = journal.failure().is_none();
            journal.exists()
        };
        self.sync_direct(&mut round);
        if round.has_data_to_write() || journal_exists && !round.notes.is_empty() {
            self.write_journal(&mut round);
        } else {
            self.ride(&round);
            let noted = self.checkpoint_notes(&mut round);
            round.answer_notes(&noted);
        }
        for part in round.parts.values().filter(|part| part.is_durable) {
            part.target.round_done(part.end);
        }
        round.outcome
    }

    /// Syncs the files of logs whose data is not worth a second writing, or of no use in the
    /// journal.
    fn sync_direct(&self, round: &mut Round) {
        let is_direct = |part: &Part| {
            !round.has_journal || part.bytes >= self.direct_bytes_min || part.is_behind_hole
        };
        let direct = round.parts.iter().filter(|(_, part)| is_direct(part));
        let ids: Vec<LogId> = direct.map(|(id, _)| id.clone()).collect();
        self.sync_parts(round, &ids);
    }

    fn sync_parts(&self, round: &mut Round, ids: &[LogId]) {
        for (id, synced) in self.sync_logs(ids) {
            let Some(part) = round.parts.get_mut(&id) else {
                continue;
            };
            part.is_durable = matches!(synced, Ok(Synced::Durable));
            part.is_lost = !part.is_durable;
            if let Err(cause) = synced {
                round.outcome = Err(cause);
            }
        }
    }

    /// Writes what is not durable yet, and the notes, to the journal.
    fn write_journal(&self, round: &mut Round) {
        let (mut entries, data) = round.encode();
        let own = entries.len();
        entries.extend(self.take_riding(round));
        match self.write_or_drain(&entries, &data) {
            Ok((placed, drains)) => {
                let mut state = self.state.lock();
                state.journaled(placed, &entries);
                self.signal(state, if drains { DRAIN } else { 0 });
                round.answer_notes(&Ok(()));
                let parts = round.parts.values_mut().filter(|part| !part.is_lost);
                parts.for_each(|part| part.is_durable = true);
            }
            Err(refused) => {
                let riding = entries.split_off(own);
                let mut state = self.state.lock();
                for entry in riding {
                    state.riding.entry(entry.id.clone()).or_insert(entry);
                }
                drop(state);
                self.without_journal(round, refused);
            }
        }
    }

    /// Writes a round; where both areas are full and nobody does it in the background, frees one.
    /// Also answers whether the area that is not written to waits to be freed.
    fn write_or_drain(&self, entries: &[Entry], data: &[Bytes]) -> Result<(Placed, bool), Refused> {
        let write = || {
            let mut journal = self.journal.lock();
            let placed = journal.write(entries, data)?;
            Ok((placed, journal.is_live(1 - placed.area)))
        };
        let first = write();
        if !matches!(first, Err(Refused::NoRoom)) {
            return first;
        }
        match self.step.try_lock() {
            Some(_step) if self.drain_all() => write(),
            _ => first,
        }
    }

    /// Finishes a round that the journal did not take.
    fn without_journal(&self, round: &mut Round, refused: Refused) {
        let open = round.parts.iter().filter(|(_, part)| part.is_open());
        let ids: Vec<LogId> = open.map(|(id, _)| id.clone()).collect();
        let refusal = match refused {
            Refused::NoRoom => {
                self.sync_parts(round, &ids);
                self.no_space()
            }
            Refused::Failed(cause) => {
                // Nothing is open where it failed in an earlier round.
                for id in &ids {
                    self.fail(id, &cause);
                    round.outcome = Err(Arc::clone(&cause));
                }
                cause
            }
        };
        for part in round.parts.values_mut().filter(|part| part.is_open()) {
            part.is_lost = true;
        }
        self.ride(round);
        let noted = self.note_without_journal(round, refusal);
        round.answer_notes(&noted);
    }

    /// Makes the notes of a round durable without the journal: the checkpoint files say the same,
    /// where nothing older in the journal could contradict them.
    fn note_without_journal(&self, round: &mut Round, refusal: Arc<StorageError>) -> Outcome {
        let is_start = |entry: &Entry| matches!(entry.what, What::Started { .. });
        let are_starts = round.notes.iter().all(|(entry, _)| is_start(entry));
        if are_starts || (!round.has_journal && self.retire_journal()) {
            return self.checkpoint_notes(round);
        }
        Err(refusal)
    }

    /// Makes the notes of a round durable, and that logs hold data whose first bytes are in it. A
    /// full device keeps the latter from nobody: what was appended is durable.
    fn checkpoint_notes(&self, round: &mut Round) -> Outcome {
        let is_new = |part: &Part| part.is_durable && part.created;
        if round.notes.is_empty() && !round.parts.values().any(is_new) {
            return Ok(());
        }
        let noted = self.checkpoint().map_err(Arc::new);
        if let Err(cause) = &noted
            && !cause.is_recoverable()
        {
            for (id, part) in round.parts.iter_mut().filter(|(_, part)| is_new(part)) {
                self.fail(id, cause);
                part.is_durable = false;
                part.is_lost = true;
                round.outcome = Err(Arc::clone(cause));
            }
        }
        noted
    }

    /// Keeps the durable ends of directly synced logs for the next journaled round.
    fn ride(&self, round: &Round) {
        let mut state = self.state.lock();
        for (id, part) in &round.parts {
            if part.is_durable {
                let entry = part.ended(id);
                state.riding.insert(id.clone(), entry);
            }
        }
    }

    /// The durable ends that wait for a journaled round, without those that this round tells.
    fn take_riding(&self, round: &Round) -> Vec<Entry> {
        let riding = std::mem::take(&mut self.state.lock().riding);
        let told = |entry: &Entry| round.parts.contains_key(&entry.id);
        riding.into_values().filter(|entry| !told(entry)).collect()
    }

    /// Takes a log offline, and tells it.
    pub(in super::super) fn fail(&self, id: &LogId, cause: &Arc<StorageError>) {
        let target = self.state.lock().fail(id, cause);
        if let Some(target) = target {
            target.failed(cause);
        }
        self.room.notify_all();
    }
}

/// A round in the hands of its leader. If the leader panics, the round has failed.
struct Lead<'r> {
    rounds: &'r Rounds,
    round: u64,
    outcome: Option<Outcome>,
}

impl Lead<'_> {
    fn run(mut self, items: Vec<Item>) {
        self.outcome = Some(self.rounds.run_round(items));
    }

    /// What was handed over for this round is lost from sight: no later round may publish an end
    /// beyond it.
    fn abandon(&self) -> Outcome {
        let cause = Arc::new(StorageError::Io {
            doing: "finish a flush round in",
            path: self.rounds.dirs.own.path().to_path_buf(),
            source: Arc::new(std::io::Error::other("its leader panicked")),
        });
        let ids: Vec<LogId> = self.rounds.state.lock().logs.keys().cloned().collect();
        for id in &ids {
            self.rounds.fail(id, &cause);
        }
        Err(cause)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| self.abandon());
        let mut state = self.rounds.state.lock();
        state.leading = false;
        state.finished = self.round;
        if let Err(cause) = outcome {
            state.failures.insert(self.round, cause);
        }
        self.rounds.turn[parity(self.round)].notify_all();
        if !state.items.is_empty() {
            // One of those who wait for the next round leads it.
            self.rounds.turn[parity(self.round + 1)].notify_one();
        }
    }
}

/// What a round has to make durable.
struct Round {
    parts: BTreeMap<LogId, Part>,
    notes: Vec<(Entry, Option<Receipt>)>,
    /// Whether the journal had not failed when the round began.
    has_journal: bool,
    outcome: Outcome,
}

/// One log's part of a round.
struct Part {
    target: Arc<dyn FlushTarget>,
    topic_id: TopicId,
    pieces: Vec<Piece>,
    bytes: u64,
    end: Offset,
    created: bool,
    /// The log has bytes before these that neither the journal nor a sync took.
    is_behind_hole: bool,
    is_durable: bool,
    is_lost: bool,
}

/// Bytes that lie next to each other in one segment.
struct Piece {
    segment_base: Offset,
    position: u64,
    len: u64,
    end: Offset,
    bytes: Vec<Bytes>,
}

impl Round {
    fn gather(items: Vec<Item>) -> Self {
        let mut round = Self {
            parts: BTreeMap::new(),
            notes: Vec::new(),
            has_journal: false,
            outcome: Ok(()),
        };
        for item in items {
            match item {
                Item::Note(entry, receipt) => round.notes.push((entry, receipt)),
                Item::Bytes(target, written) => round.add(target, written),
            }
        }
        round
    }

    fn add(&mut self, target: Arc<dyn FlushTarget>, written: Written) {
        let id = target.id().clone();
        let part = self.parts.entry(id).or_insert_with(|| Part::new(target));
        part.add(written);
    }

    /// Compares it with how the logs stand. Data of one that is offline cannot become durable any
    /// more, and is forgotten.
    fn compare(&mut self, state: &State) {
        let outcome = &mut self.outcome;
        self.parts.retain(|id, part| {
            let Some(log) = state.logs.get(id) else {
                return true;
            };
            if let Some(cause) = &log.offline {
                *outcome = Err(Arc::clone(cause));
                return false;
            }
            if log.unjournaled > 0 {
                part.is_behind_hole = true;
                // The hole may hold the log's first bytes.
                part.created |= log.unnoted;
            }
            true
        });
    }

    /// Whether a log waits for the journal: its data, or the note that it holds some.
    fn has_data_to_write(&self) -> bool {
        let is_new = |part: &Part| part.is_durable && part.created && self.has_journal;
        let needs = |part: &Part| part.is_open() || is_new(part);
        self.parts.values().any(needs)
    }

    /// Entries and data for the journal: the data of logs that were not synced, the ends of those
    /// that were, then the notes.
    fn encode(&self) -> (Vec<Entry>, Vec<Bytes>) {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (id, part) in &self.parts {
            if part.is_open() {
                part.encode(id, &mut entries, &mut data);
            } else if part.is_durable {
                entries.push(part.ended(id));
            }
        }
        entries.extend(self.notes.iter().map(|(entry, _)| entry.clone()));
        (entries, data)
    }

    /// Tells how the notes fared: those who wait for one, else all who wait for the round.
    fn answer_notes(&mut self, outcome: &Outcome) {
        for (_, receipt) in &self.notes {
            match (receipt, outcome) {
                // Set once: each note is in one round.
                (Some(receipt), _) => _ = receipt.set(outcome.clone()),
                (None, Err(cause)) => self.outcome = Err(Arc::clone(cause)),
                (None, Ok(())) => {}
            }
        }
    }
}

impl Part {
    fn new(target: Arc<dyn FlushTarget>) -> Self {
        Self {
            topic_id: target.topic_id(),
            target,
            pieces: Vec::new(),
            bytes: 0,
            end: Offset::ZERO,
            created: false,
            is_behind_hole: false,
            is_durable: false,
            is_lost: false,
        }
    }

    fn add(&mut self, written: Written) {
        let len = written.bytes.len() as u64;
        self.bytes += len;
        self.end = self.end.max(written.end);
        self.created |= written.created;
        if let Some(last) = self.pieces.last_mut() {
            let follows = last.segment_base == written.segment_base
                && last.position + last.len == written.position
                && last.len + len <= u64::from(u32::MAX);
            if follows {
                last.len += len;
                last.end = written.end;
                last.bytes.push(written.bytes);
                return;
            }
        }
        self.pieces.push(Piece {
            segment_base: written.segment_base,
            position: written.position,
            len,
            end: written.end,
            bytes: vec![written.bytes],
        });
    }

    /// Whether its data is not durable, and can become so.
    const fn is_open(&self) -> bool {
        !self.is_durable && !self.is_lost
    }

    fn encode(&self, id: &LogId, entries: &mut Vec<Entry>, data: &mut Vec<Bytes>) {
        for (index, piece) in self.pieces.iter().enumerate() {
            let mut crc = crc32fast::Hasher::new();
            for bytes in &piece.bytes {
                crc.update(bytes);
                data.push(bytes.clone());
            }
            let range = Range {
                segment_base: piece.segment_base,
                position: piece.position,
                len: u32::try_from(piece.len).expect("pieces are kept below 4 GiB"),
                crc: crc.finalize(),
                end: piece.end,
                created: self.created && index == 0,
            };
            entries.push(self.entry(id, What::Data(range)));
        }
    }

    fn ended(&self, id: &LogId) -> Entry {
        let what = What::Ended {
            end: self.end,
            created: self.created,
        };
        self.entry(id, what)
    }

    fn entry(&self, id: &LogId, what: What) -> Entry {
        Entry {
            id: id.clone(),
            topic_id: self.topic_id,
            what,
        }
    }
}
